"""``tandem serve MODEL…``: models behind HTTP, and a page to draw on."""

import importlib.util
import logging
import os
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from tandem.commands.parser import Command
from tandem.config.options import REQUIRED, Options, option, same
from tandem.config.training import TrainingConfig
from tandem.errors import MissingExtraError, Problem
from tandem.evaluation.options import EvaluationOptions, Palette
from tandem.inference.memory import GIB
from tandem.inference.onnx.load import is_onnx_file
from tandem.inference.runtime import Runtime
from tandem.inference.translator import load_with
from tandem.serving.limits import Limits
from tandem.threads import usable_cores

TOKEN_VARIABLE = "TANDEM_TOKEN"

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ServeOptions(Options):
    """Which models are served, where, and to whom."""

    models: tuple[Path, ...] = option(
        REQUIRED,
        "folders of runs (runs/NAME) or of bundles (runs/NAME/model), or ONNX files; the first one is the default",
        name="model",
        positional=True,
    )
    host: str = option("127.0.0.1", "address to listen at; by default this machine alone can reach it")
    port: int = option(8000, "port to listen at; 0: a free one", at_least=0, at_most=65535)
    token: str | None = option(
        None,
        f"what clients must send; by default ${TOKEN_VARIABLE}, and where others than this machine can reach the "
        "service, one that is made at the start",
    )
    allow_origins: tuple[str, ...] = option(
        (),
        "another site whose pages may ask, e.g. https://example.org; may be given several times",
        name="allow_origin",
        repeated=True,
    )
    loaded_gb: float = option(
        2.0,
        "GiB that the weights of models in memory may take; those that were not asked for the longest leave it",
        above=0,
    )
    workers: int | None = option(
        None,
        "batches that are computed at the same time; by default 1, and with ONNX Runtime on a CPU one for each core",
        at_least=1,
    )
    palette: Palette | None = same(EvaluationOptions, "palette")
    device: str = same(TrainingConfig, "device")

    def problems(self) -> Iterator[Problem | str]:
        """Say what cannot be served."""
        if self.token is not None and not (self.token.isascii() and self.token.isprintable() and self.token.strip()):
            yield Problem("--token must be visible ASCII characters", "--token")
        for origin in self.allow_origins:
            parts = urlsplit(origin)
            if (
                parts.scheme not in {"http", "https"}
                or not parts.netloc
                or f"{parts.scheme}://{parts.netloc}" != origin
            ):
                yield Problem(
                    f"--allow-origin must be like https://example.org, without a path, not {origin}", "--allow-origin"
                )


COMMAND = Command(
    "serve",
    "Serve models over HTTP, with a page to draw on.",
    {
        "": ServeOptions,
        "what a client may ask for": Limits,
        "how the models are run": Runtime,
    },
)


def main(arguments: Sequence[str]) -> int:
    """Parse the options and serve until interrupted."""
    own, limits, runtime = COMMAND.parse(arguments)
    for package in ("starlette", "uvicorn", "python-multipart"):
        if importlib.util.find_spec(package.replace("-", "_")) is None:
            raise MissingExtraError(package, "serve", "the service")
    from tandem.serving.app import Access, build_app  # noqa: PLC0415  (an extra)
    from tandem.serving.engine_choice import is_cpu, served_runtime  # noqa: PLC0415  (start-up time)
    from tandem.serving.guard import is_loopback  # noqa: PLC0415  (an extra)
    from tandem.serving.run import serve  # noqa: PLC0415  (an extra)
    from tandem.serving.sources import name_models  # noqa: PLC0415  (start-up time)

    paths = name_models(own.models)
    local = is_loopback(own.host)
    token = own.token or os.environ.get(TOKEN_VARIABLE) or (None if local else secrets.token_urlsafe(24))
    log.info("loading %s", ", ".join(paths))
    how = partial(served_runtime, runtime=runtime, device=own.device, max_pixels=limits.max_pixels)
    with_onnx = all(how(path).decided(is_onnx_file=is_onnx_file(path)).engine == "onnx" for path in own.models)
    app = build_app(
        paths,
        lambda path: load_with(path, how(path), device=own.device),
        limits=limits,
        access=Access(token=token, only_loopback=local, origins=own.allow_origins),
        max_bytes=round(own.loaded_gb * GIB),
        num_workers=own.workers or (usable_cores() if with_onnx and is_cpu(own.device) else 1),
        palette=own.palette,
    )

    def say(address: str) -> None:
        log.info("%s: %s", "models" if len(paths) > 1 else "model", ", ".join(paths))
        log.info("the page is at %s%s", address, "" if token is None else f"#token={token}")

    serve(app, host=own.host, port=own.port, time_limit=limits.time_limit, on_start=say)
    return 0
