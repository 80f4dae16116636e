"""Writing files so that a reader, or a crash, never sees half of one."""

import contextlib
import errno
import functools
import glob
import hashlib
import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from tandem.errors import ConfigError
from tandem.locks import BUSY_NAME, FileLock, being_written, folder_being_written, left_behind
from tandem.names import MAX_NAME_BYTES

_TEMPORARY_BYTES = 24  # two dots, the number of a process, a random one, .tmp
_TEMPORARY = re.compile(r"\..+\.\d+-[0-9a-f]{8}\.tmp")
_REPLACED_MEANWHILE = 10


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
    temporary = _temporary(path)
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


def atomic_write_folder(path: Path, files: Mapping[str, bytes], check: Callable[[Path], None]) -> None:
    """Write a folder of files so that a reader, or a crash, never sees a part of it.

    It is written beside `path`, forced to the disk, and takes the name. A folder of this name is set aside and then
    removed: between the two there is none for a moment.

    Args:
        path: The folder.
        files: The content of each file in it, by its path there, with ``/`` between its parts.
        check: Given a folder of this name, raises where it must not be replaced.
    """
    check(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary, old = _temporary(path), _temporary(path)
    try:
        with folder_being_written(temporary):
            for name, data in files.items():
                _write_through(temporary / name, data)
            for folder in sorted({(temporary / name).parent for name in files} | {temporary}, reverse=True):
                _sync_folder(folder)
            _take_name(temporary, path, old, check)
        _sync_folder(path.parent)
    finally:
        for folder in (temporary, old):
            shutil.rmtree(folder, ignore_errors=True)


def _take_name(temporary: Path, path: Path, old: Path, check: Callable[[Path], None]) -> None:
    """Rename a folder; several processes may do so at a time."""
    for attempt in range(_REPLACED_MEANWHILE):
        try:
            temporary.rename(path)
            return
        except OSError as error:
            last = attempt == _REPLACED_MEANWHILE - 1
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or last:
                raise
        check(path)
        shutil.rmtree(old, ignore_errors=True)
        with contextlib.suppress(FileNotFoundError):
            path.rename(old)


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder of this call's own among the temporary ones of the system, removed when this ends.

    Those that killed processes have left there are removed, once in each process.
    """
    path = Path(tempfile.gettempdir()) / "tandem"
    _remove_leftovers_once(path)
    temporary = _temporary(path)
    try:
        with folder_being_written(temporary, mode=0o700):
            yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@functools.cache
def _remove_leftovers_once(path: Path) -> None:
    with contextlib.suppress(OSError):  # those of other users
        remove_leftovers_of(path)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files and folders that killed writers left in `folder`; those of writers that live stay."""
    _remove(folder.glob(".*.tmp"))


def remove_leftovers_of(path: Path) -> None:
    """Remove what killed writers of `path` left beside it, in a folder that is not ours alone."""
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
    return _holds_files(folder) and not any((folder / name).exists() for name in (BUSY_NAME, *marks))


@contextlib.contextmanager
def owned(folder: Path, doing: str, *, option: str = "--out", patience_seconds: float = 0.0) -> Iterator[None]:
    """Make `folder`, which this call owns until it ends: what others are writing there stays theirs.

    Where this call is interrupted or fails and leaves files in a folder that was empty, its lock stays beside them, so
    that `belongs_to_others` knows the folder again, as after a kill.

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
    is_begun = (folder / BUSY_NAME).exists() or not _holds_files(folder)
    lock = FileLock(folder / BUSY_NAME)
    if not lock.acquire(patience_seconds=patience_seconds):
        raise ConfigError(f"another process is {doing} {folder}: wait for it, stop it, or give another {option}.")
    try:
        remove_leftovers(folder)
        yield
    except BaseException:
        lock.release(remove=not (is_begun and _holds_files(folder)))
        raise
    else:
        lock.release(remove=True)
    finally:
        remove_empty(made)


def _holds_files(folder: Path) -> bool:
    try:
        return not all(map(is_leftover, folder.iterdir()))
    except FileNotFoundError:
        return False


def _remove(leftovers: Iterable[Path]) -> None:
    for leftover in leftovers:
        with left_behind(leftover) as is_free:
            if not is_free:
                continue
            if not leftover.is_dir() or leftover.is_symlink():
                leftover.unlink(missing_ok=True)
            elif _TEMPORARY.fullmatch(leftover.name):  # no other folder of a name that ends so is ours
                shutil.rmtree(leftover, ignore_errors=True)


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


def _temporary(path: Path) -> Path:
    # Others may write here, in other containers even, where numbers of processes are the same.
    return path.parent / f"{_temporary_start(path)}{os.getpid()}-{os.urandom(4).hex()}.tmp"


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


def _write_through(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)
