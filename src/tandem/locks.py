"""Locks on files: who holds one owns what it stands for, until it lets go or its process ends, however it ends.

They are `flock`s, so that two holders in one process exclude each other and nobody loses one by reading the file. A
child of a process closes its copies, so that workers do not hold what a killed parent has left. Where a file system
knows no locks (or the system is Windows) everybody gets them.
"""

import errno
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

if sys.platform != "win32":
    import fcntl

LOCK_NAME = ".tandem.lock"
"""In the folder of a run, which it marks as one."""
BUSY_NAME = ".tandem.busy"
"""In a folder that a command owns while it works there; left behind only by one that was killed."""

_LOOK_SECONDS = 0.1
_REMOVAL_SECONDS, _TRIES = 0.01, 100
"""How long is waited for somebody to remove what he took for a leftover, and how often."""
# NFS answers with EBADF where a folder is locked.
_KNOWS_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EBADF})
_handles: set[int] = set()  # of this process, for its children to close


def _close_in_child() -> None:
    for handle in _handles:
        with suppress(OSError):
            os.close(handle)
    _handles.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_in_child)


class FileLock:
    """A lock on a file that is made if there is none.

    Args:
        path: The file, in a folder that exists.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: int | None = None

    def acquire(self, *, patience_seconds: float = 0.0) -> bool:
        """Take the lock; False if somebody else has it for so long."""
        deadline = time.monotonic() + patience_seconds
        while not self._try():
            if time.monotonic() >= deadline:
                return False
            time.sleep(_LOOK_SECONDS)
        return True

    def is_held(self) -> bool:
        """Whether the lock is held, on the file that is there now: a folder may be removed or replaced meanwhile."""
        return self._handle is not None and _is_at(self.path, self._handle)

    def release(self, *, remove: bool = False) -> None:
        """Let go of it; releasing twice does nothing.

        Args:
            remove: Remove the file, which only its owner may.
        """
        if self._handle is None:
            return
        handle, self._handle = self._handle, None
        if remove and _is_at(self.path, handle):
            with suppress(OSError):
                self.path.unlink()
        _close(handle)

    def _try(self) -> bool:
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        _handles.add(handle)
        # Who had it before may have removed the file: then nobody else would see this one.
        if not lock_handle(handle) or not _is_at(self.path, handle):
            _close(handle)
            return False
        self._handle = handle
        return True


def lock_handle(handle: int) -> bool:
    """Lock an open file; False if somebody else has it locked."""
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in _KNOWS_NO_LOCKS
    return True


@contextmanager
def being_written(path: Path) -> Iterator[int]:
    """Make a file that nobody takes for the leftover of a killed writer while this is entered; gives its mode."""
    handle = _made_and_locked(path, lambda: os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666))
    try:
        yield os.fstat(handle).st_mode
    finally:
        _close(handle)


@contextmanager
def folder_being_written(path: Path, mode: int = 0o777) -> Iterator[None]:
    """Make a folder that nobody takes for the leftover of a killed writer while this is entered."""
    if sys.platform == "win32":
        path.mkdir(mode)
        yield
        return

    def make() -> int:
        path.mkdir(mode)
        return os.open(path, os.O_RDONLY)

    handle = _made_and_locked(path, make)
    try:
        yield
    finally:
        _close(handle)


@contextmanager
def left_behind(path: Path) -> Iterator[bool]:
    """Whether the writer of a file or folder is not at it any more; one that has just made it begins anew meanwhile."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))  # nobody waits for a pipe of that name
    except OSError:
        yield True
        return
    try:
        yield lock_handle(handle)
    finally:
        os.close(handle)


def _made_and_locked(path: Path, make: Callable[[], int]) -> int:
    """Make a file or folder and lock it; anew where somebody took it for a leftover before it was locked."""
    for last in (*[False] * _TRIES, True):
        try:
            handle = make()
        except (FileExistsError, FileNotFoundError):  # it is being removed, or was before it was opened
            if last or not path.parent.exists():
                raise
            time.sleep(_REMOVAL_SECONDS)
            continue
        _handles.add(handle)
        if (lock_handle(handle) and _is_at(path, handle)) or last:
            return handle
        _close(handle)
    raise AssertionError("the last try gives something or raises")


def _is_at(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except OSError:
        return False


def _close(handle: int) -> None:
    _handles.discard(handle)
    os.close(handle)
