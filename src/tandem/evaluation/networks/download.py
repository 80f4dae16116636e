"""Fetching a published file of weights: named only when its hash is right."""

from contextlib import ExitStack
from pathlib import Path

from tandem.errors import WeightsError
from tandem.fetch.errors import FetchError
from tandem.fetch.policy import FetchPolicy
from tandem.fetch.transfer import fetch_file
from tandem.networks.backbones.tensor_files import MAX_BYTES
from tandem.report.progress import TaskProgress

WEIGHTS_POLICY = FetchPolicy(max_bytes=MAX_BYTES, max_seconds=86_400.0, refuse_pages=True)


def download(url: str, target: Path, *, sha256: str, num_bytes: int, policy: FetchPolicy = WEIGHTS_POLICY) -> None:
    """Fetch `url` to `target`, with a progress bar on standard error.

    What has come is kept beside the target when it is interrupted, and the next call continues there. Several processes
    may ask for the same file at once: one fetches, the others wait for it.

    Args:
        url: Where the file is.
        target: What it is to be called; its folder is made.
        sha256: What it must hash to, in hexadecimal.
        num_bytes: How long it is; a server that sends more is cut off.
        policy: Limits, tries and rules.

    Raises:
        WeightsError: There is no connection, the server refuses, or what came is not that file.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        bars: list[TaskProgress] = []

        def show(done: int, total: int | None) -> None:
            if not bars:  # where nothing is fetched there is none
                bars.append(stack.enter_context(TaskProgress(f"downloading {target.name}", total, "bytes", done=done)))
            bars[0].callback(done, total)

        try:
            fetch_file(url, target, policy, num_bytes=num_bytes, sha256=sha256, on_progress=show)
        except FetchError as error:
            advice = "; try again to continue" if error.kept else ""
            raise WeightsError(f"downloading {url} failed: {error}{advice}.") from error
