"""``tandem data download NAME``: a published dataset from its authors' server, checked and unpacked."""

import logging
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from tandem.commands.parser import Command
from tandem.config.options import Options, option
from tandem.config.presets import PRESETS
from tandem.data.download.catalogue import CATALOGUE, RemoteDataset, find
from tandem.data.download.install import DATASET_POLICY, DatasetSource, Stage, install
from tandem.data.download.present import Installed, installed
from tandem.data.download.unpack import describe_counts
from tandem.errors import Problem
from tandem.fetch.part import amount
from tandem.fetch.policy import FetchPolicy
from tandem.report.progress import TaskProgress
from tandem.targets import folder_problems

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class DownloadOptions(Options):
    """Which dataset is downloaded, from where and where to."""

    name: str | None = option(None, "as --list shows it: horse2zebra, or cyclegan/maps", positional=True)
    list: bool = option(False, "list the datasets", one_way=True)
    out: Path | None = option(None, "folder of the dataset; by default datasets/NAME")
    unpaired: bool = option(
        False, "the unpaired one where a name is offered with pairs too (maps, facades)", one_way=True
    )
    timeout: float = option(
        DATASET_POLICY.stall_seconds, "longest silence of the server in seconds", above=0, at_most=3600
    )
    tries: int = option(DATASET_POLICY.max_tries, "tries in a row that bring nothing", at_least=1, at_most=100)

    def problems(self) -> Iterator[Problem | str]:
        """Say what does not fit together."""
        if self.name is None and not self.list:
            yield "which dataset? tandem data download NAME; --list shows the names"
        if self.out is not None:
            yield from folder_problems(self.out, "the dataset")


COMMAND = Command(
    "data download",
    "Download a published dataset, check the archive and unpack it.",
    {"": DownloadOptions, "the archive": DatasetSource},
)


def main(arguments: Sequence[str]) -> int:
    """Download one dataset, or list what there is."""
    options, source = COMMAND.parse(arguments)
    if options.list:
        _list()
        return 0
    entry = find(options.name, unpaired=options.unpaired)
    out = options.out or Path(f"datasets/{entry.default_folder}")
    _run(entry, out, source, replace(DATASET_POLICY, stall_seconds=options.timeout, max_tries=options.tries))
    return 0


def _run(entry: RemoteDataset, out: Path, source: DatasetSource, policy: FetchPolicy) -> None:
    done = installed(entry, out)
    if done is not None:
        log.info("%s is already there and complete: %s", entry.key, out)
    else:
        log.info("%s: %s; %s", entry.key, entry.title, entry.licence)
        with _Bars() as bars:
            done = install(entry, out, source, policy=policy, on_progress=bars.show)
        log.info("dataset: %s", out)
    log.info("images: %s%s", describe_counts(done.folders), _compared(entry, done))
    if done.num_left_out:
        log.info("left out: %d other files of the archive", done.num_left_out)
    log.info("next: %s", _next_command(entry, out))


def _compared(entry: RemoteDataset, done: Installed) -> str:
    """Say whether the numbers of images are those of the catalogue, and where it has none."""
    if any(done.folders.get(name, 0) != number for name, number in entry.folders.items() if number is not None):
        return " (not those of the catalogue)"
    unknown = [name for name in done.folders if entry.folders.get(name) is None]
    return f" (no known number to compare with: {', '.join(unknown)})" if unknown else " (as expected)"


def _next_command(entry: RemoteDataset, out: Path) -> str:
    """Training with the first preset that was made for this dataset; without one, a look at it."""
    for preset in PRESETS.values():
        if preset.dataset is not None and find(preset.dataset).key == entry.key:
            return shlex.join(["tandem", "train", str(out), "--out", f"runs/{out.name}", "--preset", preset.name])
    return shlex.join(["tandem", "data", "check", str(out)])


def _list() -> None:
    lines = []
    for entry in CATALOGUE.values():
        size = "size unknown" if entry.about_bytes is None else amount(entry.about_bytes)
        about = "" if entry.sha256 or entry.about_bytes is None else "about "
        lines.append(f"{entry.key}: {entry.title} ({entry.kind})")
        state = "by hand only" if entry.withheld else f"{about}{size}"
        lines.append(f"    {state} · images: {describe_counts(entry.folders)} · {entry.licence}")
    lines.append("")
    lines.append(
        "A bare name is enough where it is on one list only; maps, facades and cityscapes alone are the pairs."
    )
    lines.append("?: a number that could not be verified.")
    sys.stdout.write("\n".join(lines) + "\n")


class _Bars:
    """A progress bar for each stage; a transfer that begins anew gets a new one."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._bar: TaskProgress | None = None
        self._stage: Stage | None = None

    def __enter__(self) -> "_Bars":
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def show(self, stage: Stage, done: int, total: int | None) -> None:
        """Take note of how far a stage is."""
        if self._bar is None or stage != self._stage or done < self._bar.done:
            self._stack.close()
            unit = "images" if stage == "unpacking" else "bytes"
            self._bar = self._stack.enter_context(TaskProgress(stage, total, unit, done=done))
            self._stage = stage
        self._bar.callback(done, total)
