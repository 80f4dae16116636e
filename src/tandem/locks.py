"""Locks on files: who holds one owns what it stands for, until it lets go or its process ends, however it ends.

They are `flock`s, so that two holders in one process exclude each other and nobody loses one by reading the file. A
child of a process closes its copies, so that workers do not hold what a killed parent has left. Where a file system
knows no locks (or the system is Windows) everybody gets them.
"""

import errno
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

if sys.platform != "win32":
    import fcntl

LOCK_NAME = ".tandem.lock"
"""In the folder of a run, which it marks as one."""
BUSY_NAME = ".tandem.busy"
"""In a folder that a command owns while it works there; left behind only by one that was killed."""

_LOOK_SECONDS = 0.1
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
        return self._handle is not None and self._is_there(self._handle)

    def release(self, *, remove: bool = False) -> None:
        """Let go of it; releasing twice does nothing.

        Args:
            remove: Remove the file, which only its owner may.
        """
        if self._handle is None:
            return
        handle, self._handle = self._handle, None
        if remove and self._is_there(handle):
            with suppress(OSError):
                self.path.unlink()
        _close(handle)

    def _try(self) -> bool:
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        _handles.add(handle)
        # Who had it before may have removed the file: then nobody else would see this one.
        if not lock_handle(handle) or not self._is_there(handle):
            _close(handle)
            return False
        self._handle = handle
        return True

    def _is_there(self, handle: int) -> bool:
        try:
            return os.path.samestat(self.path.stat(), os.fstat(handle))
        except OSError:
            return False


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
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    _handles.add(handle)
    try:
        lock_handle(handle)
        yield os.fstat(handle).st_mode
    finally:
        _close(handle)


@contextmanager
def folder_being_written(path: Path) -> Iterator[None]:
    """Make a folder that nobody takes for the leftover of a killed writer while this is entered."""
    path.mkdir()
    if sys.platform == "win32":
        yield
        return
    handle = os.open(path, os.O_RDONLY)
    _handles.add(handle)
    try:
        lock_handle(handle)
        yield
    finally:
        _close(handle)


def is_being_written(path: Path) -> bool:
    """Whether the writer of a file or folder is still at it."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        return not lock_handle(handle)
    finally:
        os.close(handle)


def _close(handle: int) -> None:
    _handles.discard(handle)
    os.close(handle)
