"""The command line in a copy of this process: quick to start, real in all else, and never waited for without an end."""

import contextlib
import ctypes
import logging
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tandem.cli import main

SECONDS = 120.0
"""How long a command may take; the longest undisturbed one takes a tenth of it."""
HUNG = -1000
"""Status of a command that had to be ended."""
_LOOK_SECONDS = 0.005
_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG


@dataclass(frozen=True)
class Ended:
    """How a command has ended: its status, or the negative number of a signal; what it said; its most memory in MB."""

    status: int
    text: str
    seconds: float
    peak_mb: float

    @property
    def complaint(self) -> str:
        """What no command may do whatever happens to it; empty where it did none of it."""
        if self.status == HUNG:
            return f"it hung for {self.seconds:.0f} s"
        if "Traceback (most recent call last)" in self.text:
            return f"a traceback: {self.text.strip().splitlines()[-1][:200]}"
        return ""

    @property
    def last_line(self) -> str:
        """The end of what it said."""
        lines = self.text.strip().splitlines()
        return lines[-1][:200] if lines else ""


@dataclass(frozen=True)
class Running:
    """A command that runs; `wait` for it.

    Attributes:
        pid: Its number, and that of its group.
        log: Where it says something.
    """

    pid: int
    log: Path
    begun: float

    def kill(self, kind: signal.Signals = signal.SIGKILL) -> None:
        """Send it a signal; one that has ended gets none."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, kind)

    def has_ended(self) -> bool:
        """Whether it has."""
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def wait(self, seconds: float = SECONDS) -> Ended:
        """Wait for its end, and bring it about with all its children where it takes longer."""
        hung = not until(self.has_ended, self.begun + seconds - time.monotonic())
        if hung:
            self._kill_group()
        _, status, usage = os.wait4(self.pid, 0)
        self._kill_group()
        text = self.log.read_text(encoding="utf-8", errors="backslashreplace") if self.log.exists() else ""
        code = HUNG if hung else os.waitstatus_to_exitcode(status)
        return Ended(code, text, time.monotonic() - self.begun, usage.ru_maxrss / 1024)

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)


def _nothing() -> None:
    pass


def start(
    words: Sequence[str | Path],
    log: Path,
    *,
    before: Callable[[], None] = _nothing,
    after: Callable[[], object] = _nothing,
) -> Running:
    """Start a command in a copy of this process and a group of its own.

    Args:
        words: The words after ``tandem``.
        log: The file for all that it writes.
        before: What the copy does first.
        after: What it does last, if the command comes to its end.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    pid = os.fork()
    if pid:
        with contextlib.suppress(OSError):  # both do it, whoever comes first
            os.setpgid(pid, pid)
        return Running(pid, log, begun)
    status = 99
    try:
        with contextlib.suppress(OSError):
            os.setpgid(0, 0)
        _end_with_parent()
        sys.dont_write_bytecode = True  # Python takes a cache of code that a limit has cut short for a whole one
        _say_into(log)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        before()
        status = main([str(word) for word in words])
        after()
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        status = 98
    finally:
        with contextlib.suppress(Exception):
            sys.stderr.flush()
        os._exit(status)


def run(
    words: Sequence[str | Path],
    log: Path,
    *,
    before: Callable[[], None] = _nothing,
    after: Callable[[], object] = _nothing,
    seconds: float = SECONDS,
) -> Ended:
    """Run a command to its end; see `start`."""
    return start(words, log, before=before, after=after).wait(seconds)


def until(holds: Callable[[], bool], seconds: float) -> bool:
    """Wait until something holds; False where it does not in time."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(_LOOK_SECONDS)
    return True


def _end_with_parent() -> None:
    """Have the system kill this process when the campaign is killed, so that none of its commands outlives it."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL)


def _say_into(log: Path) -> None:
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.close(handle)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False, buffering=1)  # noqa: SIM115
    sys.__stdout__, sys.__stderr__ = sys.stdout, sys.stderr  # type: ignore[misc]  (as in a process of its own)
    logging.getLogger().handlers.clear()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
