"""A module that a reader runs as a process of its own, run by a copy of this one: imports alone take half a second."""

import contextlib
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Self


class Copy:
    """What `subprocess.Popen` gives, as far as readers use it: a process with pipes for its two outputs.

    Args:
        main: What the module does, with its words in `sys.argv`; returns the status.
        command: Interpreter, ``-m``, module, and words.
    """

    def __init__(self, main: Callable[[], int], command: Sequence[str]) -> None:
        pipes = [os.pipe() for _ in range(2)]
        sys.stdout.flush()
        self._pid = os.fork()
        if not self._pid:
            _run(main, command, [write for _, write in pipes])
        for _, write in pipes:
            os.close(write)
        self.stdout, self.stderr = (os.fdopen(read, "rb") for read, _ in pipes)
        self.returncode: int | None = None

    def wait(self) -> int:
        """Wait for its end; returns the status, or the negative number of a signal."""
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        return self.returncode

    def kill(self) -> None:
        """End it, where it has not ended."""
        if self.returncode is None:
            os.kill(self._pid, signal.SIGKILL)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stdout.close()
        self.stderr.close()
        self.wait()


@contextlib.contextmanager
def in_copies(main: Callable[[], int]) -> Iterator[None]:
    """Run by copies of this process what would be started as another one."""
    real = subprocess.Popen
    subprocess.Popen = lambda command, **_: Copy(main, command)  # type: ignore[assignment,misc]
    try:
        yield
    finally:
        subprocess.Popen = real


def _run(main: Callable[[], int], command: Sequence[str], outputs: Sequence[int]) -> None:
    status = 70
    try:
        for number, output in enumerate(outputs, 1):
            os.dup2(output, number)
        sys.argv = list(command[2:])
        sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
        status = main()
    except BaseException:
        sys.stderr.write(traceback.format_exc())
        status = 1
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        os._exit(status)
