"""What the integration tests share: tiny runs, the command line in this process and in others, comparisons."""

import contextlib
import html.parser
import importlib
import io
import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from tandem.checkpoint.store import CheckpointStore
from tandem.cli import main
from tandem.config.run import RunConfig, from_flat
from tandem.training.setup import make_state

TINY_OPTIONS: dict[str, Any] = {
    "method": "bicyclegan",
    "size": 32,
    "generator_filters": 4,
    "encoder_filters": 4,
    "discriminator_filters": 4,
    "latent_dim": 4,
    "num_workers": 0,
    "num_previews": 2,
    "num_preview_samples": 2,
    "log_every": 3,
    "snapshot_every": 4,
    "device": "cpu",
}
"""Small enough for some ten steps a second on one slow core."""

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
TIMEOUT = 180


def flags(**options: Any) -> list[str]:
    """Options as words of the command line: ``log_every=3`` → ``--log-every 3``, ``flip=False`` → ``--no-flip``."""
    words = []
    for name, value in options.items():
        flag = name.replace("_", "-")
        words += [f"--{'' if value else 'no-'}{flag}"] if isinstance(value, bool) else [f"--{flag}", str(value)]
    return words


def tiny(**options: Any) -> list[str]:
    """The words of a tiny run, with changes; None leaves an option to its default."""
    return flags(**{name: value for name, value in (TINY_OPTIONS | options).items() if value is not None})


def tiny_config(**options: Any) -> RunConfig:
    """The configuration of a tiny run, with changes."""
    return from_flat(TINY_OPTIONS | options)


@dataclass(frozen=True)
class Finished:
    """A call of the command line: its status and everything it wrote."""

    status: int
    out: str
    err: str


def tandem(*arguments: str | Path) -> Finished:
    """Run the command line in this process."""
    return _captured(lambda: main([str(argument) for argument in arguments]))


def _captured(run: Callable[[], int]) -> Finished:
    out, err = io.StringIO(), io.StringIO()
    handler, logger = logging.StreamHandler(err), logging.getLogger("tandem")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = run()
    except SystemExit as end:  # argparse's --help
        status = int(end.code or 0)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    return Finished(status, out.getvalue(), err.getvalue())


def benchmark(name: str, *arguments: str | Path) -> Finished:
    """Run ``python -m benchmarks.NAME`` in this process."""
    command = importlib.import_module(f"benchmarks.{name}.__main__")
    return _captured(lambda: command.main([str(argument) for argument in arguments]))


def train(data: Path, out: Path, **options: Any) -> Finished:
    """Train a tiny run in this process; it must succeed."""
    finished = tandem("train", data, "--out", out, *tiny(**options))
    assert finished.status == 0, finished.err
    return finished


def sample(model: Path, *words: str | Path, out: Path) -> Finished:
    """Sample in this process; it must succeed."""
    finished = tandem("sample", model, *words, "--out", out, "--device", "cpu")
    assert finished.status == 0, finished.err
    return finished


def records_of(out: Path) -> list[dict[str, Any]]:
    """Lines of samples.jsonl."""
    return [json.loads(line) for line in (out / "samples.jsonl").read_text().splitlines()]


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file's content by its path in `folder`."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def start(*arguments: str | Path, code: str | None = None, group: bool = False) -> subprocess.Popen[str]:
    """Start the command line in a process of its own (and of its own group), or Python on `code`."""
    command = [sys.executable, *(["-m", "tandem"] if code is None else ["-c", code]), *map(str, arguments)]
    return subprocess.Popen(
        command,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=group,
    )


def finish(process: subprocess.Popen[str]) -> Finished:
    """Wait for the end of a process."""
    try:
        out, _ = process.communicate(timeout=TIMEOUT)
    finally:
        process.kill()
    return Finished(process.returncode, out, "")


def fork(*arguments: str | Path, before: Callable[[], None] = lambda: None) -> int:
    """Run the command line in a copy of this process, after `before`; cheaper than `start` by the imports.

    Returns:
        The number of the process; `wait_for` its end.
    """
    pid = os.fork()
    if pid:
        return pid
    status = 99
    try:
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), 1)
            os.dup2(nowhere.fileno(), 2)
            # A shell that starts the tests in the background has them ignore Ctrl-C.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            before()
            status = main([str(argument) for argument in arguments])
    finally:
        os._exit(status)


def wait_for(pid: int) -> int:
    """Wait for the end of a forked process.

    Returns:
        Its exit status, or the negative number of the signal that killed it.
    """
    until(lambda: _has_ended(pid), pid)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def until(holds: Callable[[], bool], pid: int, *, seconds: float = TIMEOUT) -> None:
    """Wait until something holds; fail when the process `pid` ends without it, or, killing it, when it takes long."""
    end = time.monotonic() + seconds
    while not holds():
        if _has_ended(pid) and not holds():
            raise AssertionError("the process has ended without it")
        if time.monotonic() > end:
            os.kill(pid, signal.SIGKILL)
            raise AssertionError(f"waited {seconds} s in vain")
        time.sleep(0.01)


def _has_ended(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def num_log_lines(run: Path) -> int:
    """Lines of metrics.jsonl so far."""
    path = run / "metrics.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def state_of(run: Path, step: int | None = None) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and metadata of a checkpoint, by default the newest; the configuration is left out."""
    store = CheckpointStore(run / "checkpoints")
    step = store.steps()[-1] if step is None else step
    metadata = store.metadata(step)
    return store.tensors(step), {name: value for name, value in metadata.items() if name != "config"}


def first_weights_of(run: Path) -> dict[str, Tensor]:
    """The tensors of a run's state before its first step, made again."""
    store = CheckpointStore(run / "checkpoints")
    config = from_flat(store.metadata(store.steps()[-1])["config"])
    return make_state(config, torch.device("cpu")).tensors()


def page_text(page: Path) -> str:
    """What a page says, without its markup and with plain spaces."""
    return re.sub("<[^>]+>", "", page.read_text(encoding="utf-8")).replace("\N{NO-BREAK SPACE}", " ")


def log_of(run: Path) -> list[dict[str, Any]]:
    """Lines of metrics.jsonl, without the speed, which differs from run to run."""
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [{key: value for key, value in json.loads(line).items() if key != "speed"} for line in lines]


def model_of(run: Path) -> dict[str, Any]:
    """The bundle's description, the weights' hash included, without the options of the run."""
    description = json.loads((run / "model" / "model.json").read_text())
    del description["training"]["options"]
    return description


def assert_same_state(first: Path, second: Path) -> None:
    """Every tensor and every number of the newest checkpoints is the same."""
    (tensors, metadata), (others, other_metadata) = state_of(first), state_of(second)
    assert metadata == other_metadata
    assert tensors.keys() == others.keys()
    assert [name for name, tensor in tensors.items() if not torch.equal(tensor, others[name])] == []


def assert_same_run(first: Path, second: Path) -> None:
    """The newest checkpoint, the log and the model are the same."""
    assert_same_state(first, second)
    assert log_of(first) == log_of(second)
    assert model_of(first) == model_of(second)


def leftovers(folder: Path) -> list[Path]:
    """Temporary files that somebody did not live to rename."""
    return [path for path in folder.rglob("*") if path.name.endswith(".tmp")]


class _References(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del tag
        self.found += [value for name, value in attrs if name in {"src", "href"} and value]


def references_of(page: Path) -> list[Path]:
    """The files that a page shows or links to, as a browser would resolve them."""
    parser = _References()
    parser.feed(page.read_text(encoding="utf-8"))
    local = [value for value in parser.found if not value.startswith(("#", "data:", "https:", "http:"))]
    return [page.parent / unquote(value.partition("#")[0].partition("?")[0]) for value in local]


def assert_page_is_whole(page: Path, *, least: int) -> None:
    """Every file that the page names exists, pictures can be read, and there are at least so many."""
    files = references_of(page)
    assert [str(file) for file in files if not file.is_file()] == []
    pictures = [file for file in files if file.suffix in {".png", ".jpg", ".gif", ".webp"}]
    assert len(pictures) >= least
    for picture in pictures:
        with Image.open(picture) as image:
            image.load()


def pixels(path: Path) -> np.ndarray:
    """A picture as it is on the disk, ``(H, W, C)`` uint8."""
    with Image.open(path) as image:
        return np.atleast_3d(np.asarray(image))


def write_pairs(
    folder: Path, count: int, *, size: tuple[int, int] = (32, 32), seed: int = 0, mode: str = "RGB"
) -> Path:
    """Write random side-by-side pairs, each half of `size` (height, width), as ``folder/0.png`` and so on."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        noise = np.random.default_rng([seed, index]).integers(0, 256, (size[0], 2 * size[1], 3), dtype=np.uint8)
        Image.fromarray(noise).convert(mode).save(folder / f"{index}.png")
    return folder
