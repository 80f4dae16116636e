"""SIGINT, SIGTERM and SIGHUP: the run saves and ends with the status that shells know; the same command goes on."""

import contextlib
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from support import (
    ENVIRONMENT,
    Finished,
    assert_same_run,
    finish,
    fork,
    num_log_lines,
    page_text,
    start,
    state_of,
    tandem,
    tiny,
    train,
    until,
    wait_for,
)

from tandem.checkpoint.store import CheckpointStore
from tandem.data.loader import Batch
from tandem.training.stepper import Stepper

STEPS = 40
OPTIONS = {"steps": STEPS, "log_every": 1, "snapshot_every": 7}


@pytest.fixture(autouse=True, scope="module")
def hangs_up() -> Iterator[None]:
    """Under nohup the tests and all that they start would ignore SIGHUP."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "run"
    train(data, out, **OPTIONS)
    return out


def go_on(whole: Path, data: Path, out: Path) -> Finished:
    finished = tandem("train", data, "--out", out, *tiny(**OPTIONS))
    assert finished.status == 0, finished.err
    assert_same_run(whole, out)
    return finished


def test_ctrl_c_in_a_terminal(data: Path, whole: Path, tmp_path: Path) -> None:
    """A terminal sends SIGINT to the whole group, the workers among them."""
    out = tmp_path / "run"
    process = start("train", data, "--out", out, *tiny(**OPTIONS | {"num_workers": 2}), group=True)
    until(lambda: num_log_lines(out) >= 5, process.pid)
    os.killpg(process.pid, signal.SIGINT)
    stopped = finish(process)
    assert stopped.status == 130, stopped.out
    assert "Traceback" not in stopped.out
    step = state_of(out)[1]["step"]
    assert 5 <= step < STEPS
    assert f"SIGINT: saved step {step}; the same command continues" in stopped.out
    page = (out / "index.html").read_text()
    assert "Stopped by SIGINT" in page
    assert "http-equiv" not in page.split("</head>")[0] or "refresh" not in page
    assert f"continuing at step {step} of {STEPS}" in go_on(whole, data, out).err


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_stopped_several_times(data: Path, whole: Path, tmp_path: Path, kind: signal.Signals) -> None:
    out = tmp_path / "run"
    for lines in (3, 12, 25):
        pid = fork("train", data, "--out", out, *tiny(**OPTIONS))
        until(lambda least=lines: num_log_lines(out) >= least, pid)
        os.kill(pid, kind)
        assert wait_for(pid) == 128 + kind
        assert 0 < state_of(out)[1]["step"] < STEPS
    go_on(whole, data, out)


def raised_after(step: int, kind: signal.Signals) -> Callable[[], None]:
    """Makes a process send itself a signal in the middle of a step."""

    def install() -> None:
        original = Stepper.step

        def stepping(self: Stepper, batches: Sequence[Batch]) -> None:
            if self._state.step == step - 1:
                os.kill(os.getpid(), kind)
            original(self, batches)

        Stepper.step = stepping  # type: ignore[method-assign]

    return install


@pytest.mark.parametrize("step", [1, 7, STEPS - 1, STEPS])
def test_stopped_at_special_steps(data: Path, whole: Path, tmp_path: Path, step: int) -> None:
    """The first step, one with a snapshot, the last but one and the last: nothing that was computed is lost."""
    out = tmp_path / "run"
    pid = fork("train", data, "--out", out, *tiny(**OPTIONS), before=raised_after(step, signal.SIGTERM))
    assert wait_for(pid) == 128 + signal.SIGTERM
    assert state_of(out)[1]["step"] == step
    go_on(whole, data, out)


def test_stopping_keeps_the_score_of_a_snapshot(data: Path, tmp_path: Path) -> None:
    """The best checkpoint is found by its score; stopping right after a snapshot must not take it away."""
    out = tmp_path / "run"
    options = OPTIONS | {"init_gain": 1.0}  # outputs with contrast, so that the checkpoint competes
    pid = fork("train", data, "--out", out, *tiny(**options), before=raised_after(7, signal.SIGINT))
    assert wait_for(pid) == 130
    assert CheckpointStore(out / "checkpoints").best_step() == 7


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_second_signal_insists(data: Path, tmp_path: Path, kind: signal.Signals) -> None:
    """It ends the process in the middle of a step, and what was saved before goes on."""

    def install() -> None:
        original = Stepper.step

        def stepping(self: Stepper, batches: Sequence[Batch]) -> None:
            original(self, batches)
            if self._state.step == 6:
                os.kill(os.getpid(), signal.SIGINT)
                os.kill(os.getpid(), kind)

        Stepper.step = stepping  # type: ignore[method-assign]

    out = tmp_path / "run"
    options = {"steps": 10}
    assert wait_for(fork("train", data, "--out", out, *tiny(**options), before=install)) == 128 + kind
    assert state_of(out)[1]["step"] == 4
    page = page_text(out / "index.html")
    assert "Interrupted. Saved steps: 4." in page
    assert "Failed" not in page
    train(data, out, **options)
    train(data, tmp_path / "whole", **options)
    assert_same_run(tmp_path / "whole", out)


def test_a_terminal_that_is_closed(data: Path, whole: Path, tmp_path: Path) -> None:
    """SIGHUP comes with it, and writing to it is an error; nothing is lost."""
    out = tmp_path / "run"
    master, terminal = pty.openpty()
    code = (
        "import fcntl, os, sys, termios\n"
        "from tandem.cli import main\n"
        "os.setsid()\n"
        "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    command = [sys.executable, "-c", code, *map(str, ["train", data, "--out", out, *tiny(**OPTIONS)])]
    process = subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal, env=ENVIRONMENT)
    os.close(terminal)
    drain = threading.Thread(target=_drain, args=[master], daemon=True)
    drain.start()
    until(lambda: num_log_lines(out) >= 5, process.pid)
    os.close(master)
    assert process.wait(timeout=60) == 128 + signal.SIGHUP
    step = state_of(out)[1]["step"]
    assert 0 < step < STEPS
    go_on(whole, data, out)


def _drain(master: int) -> None:
    with contextlib.suppress(OSError):
        while os.read(master, 4096):
            pass
