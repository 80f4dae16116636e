"""Writing files so that a reader, or a crash, never sees half of one."""

import contextlib
import glob
import os
import time
from collections.abc import Callable
from pathlib import Path


def atomic_write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path` so that it holds either its old content or all of the new one.

    The bytes go to a temporary file in the same folder, are forced to the disk, then take the name. Missing
    folders are made.
    """
    atomic_replace(path, lambda temporary: _write(temporary, data))


def atomic_write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8; see `atomic_write_bytes`."""
    atomic_write_bytes(path, text.encode("utf-8"))


def atomic_replace(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a temporary file beside `path`, force it to the disk, then give it the name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}.{os.getpid()}.tmp"
    try:
        write(temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
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
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        leftover.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)
