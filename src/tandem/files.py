"""Writing files so that a reader, or a crash, never sees half of one."""

import contextlib
import glob
import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from tandem.names import MAX_NAME_BYTES

_TEMPORARY_BYTES = 24  # two dots, the number of a process, .tmp


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
    temporary = path.parent / f"{_temporary_start(path)}{os.getpid()}.tmp"
    try:
        mode = _mode_of_new(temporary)
        write(temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.chmod(mode)
        temporary.replace(path)
        _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Path, *, min_age_seconds: float = 0.0) -> None:
    """Remove the temporary files that a killed writer left in `folder`, where others write too those of some age."""
    for leftover in folder.glob(".*.tmp"):
        with contextlib.suppress(FileNotFoundError):
            if min_age_seconds <= 0 or time.time() - leftover.stat().st_mtime >= min_age_seconds:
                leftover.unlink()


def remove_leftovers_of(path: Path) -> None:
    """Remove the temporary files that killed writers of `path` left beside it, in a folder that is not ours alone."""
    for leftover in path.parent.glob(f"{glob.escape(_temporary_start(path))}*.tmp"):
        leftover.unlink(missing_ok=True)


def missing_folders(folder: Path) -> list[Path]:
    """Those of a folder and the folders above it that do not exist, the innermost first."""
    return [one for one in (folder, *folder.parents) if not one.exists()]


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


def _mode_of_new(path: Path) -> int:
    """The permissions of a new file, which only the system knows: the umask cannot be asked for without setting it."""
    with path.open("wb") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
    path.unlink()
    return mode


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)
