"""Writing files so that a reader, or a crash, never sees half of one."""

import contextlib
import errno
import glob
import hashlib
import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tandem.errors import ConfigError
from tandem.locks import BUSY_NAME, FileLock, being_written, is_being_written
from tandem.names import MAX_NAME_BYTES

_TEMPORARY_BYTES = 24  # two dots, the number of a process, a random one, .tmp


def atomic_write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path` so that it holds either its old content or all of the new one.

    The bytes go to a temporary file in the same folder, are forced to the disk, then take the name. Missing
    folders are made.
    """
    atomic_replace(path, lambda temporary: _write(temporary, data))


def atomic_write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, bytes of file names that are no text as escapes; see `atomic_write_bytes`."""
    atomic_write_bytes(path, text.encode("utf-8", "backslashreplace"))


def atomic_replace(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a temporary file beside `path`, force it to the disk, then give it the name.

    Whatever `write` does, the file gets the permissions that the umask leaves to new files.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Others may write here, in other containers even, where numbers of processes are the same.
    temporary = path.parent / f"{_temporary_start(path)}{os.getpid()}-{os.urandom(4).hex()}.tmp"
    try:
        with being_written(temporary) as mode:
            os.utime(temporary, (0, 0))
            write(temporary)
            if temporary.stat().st_mtime_ns == 0:
                raise FileNotFoundError(errno.ENOENT, "nothing was written", str(path))
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.chmod(stat.S_IMODE(mode))
            temporary.replace(path)
        _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files that killed writers left in `folder`; those of writers that live stay."""
    _remove(folder.glob(".*.tmp"))


def remove_leftovers_of(path: Path) -> None:
    """Remove the temporary files that killed writers of `path` left beside it, in a folder that is not ours alone."""
    _remove(path.parent.glob(f"{glob.escape(_temporary_start(path))}*.tmp"))


def is_leftover(path: Path) -> bool:
    """Whether a file is none of a folder's content: one that is written, or what says who owns the folder."""
    return path.name == BUSY_NAME or (path.name.startswith(".") and path.suffix == ".tmp")


def belongs_to_others(folder: Path, *marks: str) -> bool:
    """Whether a folder holds files, and none that says that they are ours.

    Args:
        folder: Where a command is to write; it need not exist.
        marks: Names of files that say so; besides, an owner that was killed has left its lock.
    """
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    return names.isdisjoint((BUSY_NAME, *marks)) and not all(is_leftover(folder / name) for name in names)


@contextlib.contextmanager
def owned(folder: Path, doing: str, *, option: str = "--out", patience_seconds: float = 0.0) -> Iterator[None]:
    """Make `folder`, which this call owns until it ends: what others are writing there stays theirs.

    Args:
        folder: Where a command writes more than one file.
        doing: What for, after "another process is": ``writing samples to``.
        option: That named it.
        patience_seconds: How long to wait for another owner.

    Raises:
        ConfigError: Somebody else owns it.
    """
    made = missing_folders(folder)
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / BUSY_NAME)
    if not lock.acquire(patience_seconds=patience_seconds):
        raise ConfigError(f"another process is {doing} {folder}: wait for it, stop it, or give another {option}.")
    try:
        remove_leftovers(folder)
        yield
    finally:
        lock.release(remove=True)
        remove_empty(made)


def _remove(leftovers: Iterable[Path]) -> None:
    for leftover in leftovers:
        if not is_being_written(leftover):
            leftover.unlink(missing_ok=True)


def missing_folders(folder: Path) -> list[Path]:
    """Those of a folder and the folders above it that do not exist, the innermost first."""
    return [one for one in (folder, *folder.parents) if not one.exists()]


def cache_folder() -> Path:
    """Where what can be made again is kept: ``TANDEM_CACHE``, or ``tandem`` in the folder of the system for caches."""
    if given := os.environ.get("TANDEM_CACHE"):
        return Path(given).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "tandem"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "tandem"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tandem"


def remove_empty(folders: Iterable[Path]) -> None:
    """Remove those of some folders that are empty, the innermost first; all others stay."""
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


def longest_name(folder: Path) -> int:
    """Bytes that the file system of a folder takes for a name."""
    if os.name == "posix":
        with contextlib.suppress(OSError, ValueError):
            return os.pathconf(folder, "PC_NAME_MAX")
    return MAX_NAME_BYTES


def _temporary_start(path: Path) -> str:
    """What the names of temporary files of `path` begin with; a hash where the name leaves no room for more."""
    name = path.name
    if len(os.fsencode(name)) > MAX_NAME_BYTES - _TEMPORARY_BYTES:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()[:32]
    return f".{name}."


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)
