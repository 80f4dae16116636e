"""Ctrl-C is what ends a command, also where a library makes another error of it."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tandem import cli
from tandem.errors import TandemError
from tandem.foreign import reading
from tandem.interrupts import raise_for_signal, raise_lost, remembering_interrupts
from tandem.tensors import read_tensors, write_tensors

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="signals at moments of their own")


@pytest.fixture(autouse=True)
def _ctrl_c_counts() -> Iterator[None]:
    """Also where the tests run in the background of a shell, which ignores it there."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def lose_it() -> None:
    """Do what some libraries do: the signal arrives in their code, and they make an error of their own of it."""
    try:
        os.kill(os.getpid(), signal.SIGINT)
        signal.sigtimedwait([], 1)
    except KeyboardInterrupt:
        pass
    raise ValueError("could not determine the shape of object type 'torch.storage.UntypedStorage'")


def interrupted_reading(path: Path, seconds: float) -> KeyboardInterrupt | None:
    """What a signal raises that arrives after so much of the processor's time; None if Python had to ignore it.

    (Python ignores what is raised while it clears an object up.)
    """
    try:
        signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
        while signal.getitimer(signal.ITIMER_VIRTUAL)[0] > 0:
            read_tensors(path)
    except KeyboardInterrupt as error:
        return error
    return None


def parse(raising: Exception) -> None:
    with reading("x.safetensors", TandemError):
        raise raising


def test_it_is_no_damage() -> None:
    with remembering_interrupts(), pytest.raises(KeyboardInterrupt), reading("x.safetensors", TandemError):
        lose_it()
    with remembering_interrupts(), pytest.raises(TandemError, match="is damaged: of its own"):
        parse(ValueError("of its own"))  # what came before is forgotten


def test_a_real_library_loses_it(tmp_path: Path) -> None:
    """Reading many small tensors is interrupted at moments of its own; none of them makes the file damaged."""
    path = tmp_path / "x.safetensors"
    write_tensors(path, {f"x.{index}": torch.zeros(3, 4) for index in range(400)}, {})
    begun = time.process_time()
    read_tensors(path)
    took = time.process_time() - begun
    handler = signal.getsignal(signal.SIGVTALRM)
    seen = set()
    with remembering_interrupts():
        # The timer's signal stands for Ctrl-C, which has no timer. (SIGALRM is what ends a test that hangs.)
        signal.signal(signal.SIGVTALRM, signal.getsignal(signal.SIGINT))
        try:
            for moment in range(1, 61):
                raised = interrupted_reading(path, took * moment / 60)
                if raised is not None:
                    seen.add(type(raised.__cause__ or raised.__context__))
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            signal.signal(signal.SIGVTALRM, handler)
    assert ValueError in seen, "PyTorch does not lose it any more: look whether this is still needed"


@pytest.mark.parametrize("kind", [ValueError("a bug"), TandemError("the file is damaged")])
def test_the_command_ends_by_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kind: Exception
) -> None:
    def call(_: object) -> int:
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt:
            raise kind from None
        raise AssertionError

    monkeypatch.setattr("tandem.commands.presets.main", call)
    assert cli.main(["presets"]) == 130
    assert capsys.readouterr().err == "tandem presets: interrupted\n"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_others_handlers_stay() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with remembering_interrupts():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_do_not_end_by_it() -> None:
    """A thread's error is its own; the main thread ends the program."""
    error, told = ValueError("x"), []

    def work() -> None:
        raise_lost(error)
        told.append("went on")

    with remembering_interrupts():
        with pytest.raises(KeyboardInterrupt):
            raise_for_signal(KeyboardInterrupt())
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        with pytest.raises(KeyboardInterrupt):
            raise_lost(error)
    raise_lost(error)
    assert told == ["went on"]
