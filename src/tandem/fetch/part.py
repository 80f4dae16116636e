"""The beginning of a file that is being fetched: `NAME.part`, and beside it `NAME.part.json` with what it belongs to.

One process has it at a time. The system drops the lock of a process that is killed.
"""

import hashlib
import json
import logging
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from tandem.config.parse import parse_dataclass
from tandem.fetch.errors import FetchError
from tandem.files import atomic_write_text
from tandem.foreign import load_json

if sys.platform != "win32":
    import fcntl

_log = logging.getLogger(__name__)

_MAX_ORIGIN_BYTES = 1 << 16
_LOOK_SECONDS = 0.1


@dataclass(frozen=True)
class Origin:
    """What the bytes of a partial file belong to.

    Attributes:
        url: Where they came from.
        validator: By which the server knows whether its file is still that one.
        total: Bytes of the whole file.
    """

    url: str
    validator: str | None
    total: int | None


class Part:
    """A partial file that is open, for this process alone."""

    def __init__(self, file: BinaryIO, target: Path) -> None:
        self._file, self._target = file, target
        self.path, self._origin_path = _paths(target)

    @property
    def size(self) -> int:
        """Bytes that are there."""
        return os.fstat(self._file.fileno()).st_size

    def origin(self) -> Origin:
        """What it belongs to, which may not be known."""
        try:
            values = load_json(self._origin_path, _MAX_ORIGIN_BYTES)
            return parse_dataclass(Origin, values, self._origin_path.name)
        except (OSError, ValueError):
            return Origin("an unknown place", None, None)

    def begin(self, origin: Origin, why: str) -> None:
        """Drop what is there, if anything, and begin a file of `origin`."""
        self.drop(why)
        atomic_write_text(self._origin_path, json.dumps(asdict(origin)))

    def drop(self, why: str) -> None:
        """Drop what is there."""
        if self.size:
            _log.info("beginning anew: %s (%s are dropped)", why, amount(self.size))
        self._file.truncate(0)
        self._origin_path.unlink(missing_ok=True)

    def append(self, chunk: bytes) -> None:
        """Write what has come."""
        rest = memoryview(chunk)
        while rest:  # an unbuffered file may take less
            rest = rest[self._file.write(rest) :]

    def sha256(self) -> str:
        """Of what is there, in hexadecimal."""
        self._file.seek(0)
        return hashlib.file_digest(self._file, "sha256").hexdigest()  # type: ignore[arg-type]  (an open binary file)

    def finish(self) -> None:
        """Force it to the disk and give it its name."""
        os.fsync(self._file.fileno())
        if sys.platform == "win32":
            self._file.close()  # open files are not renamed there
        self.path.replace(self._target)
        self._origin_path.unlink(missing_ok=True)


@contextmanager
def open_part(target: Path, seconds: float) -> Iterator[Part]:
    """The partial file of `target`, made if there is none; it goes at the end if nothing is in it.

    Raises:
        FetchError: Another process has had it for so many seconds.
    """
    path, end = _paths(target)[0], time.monotonic() + seconds
    while True:
        with path.open("a+b", buffering=0) as file:
            if _lock(file):
                if not _is_at(path, file):  # who had it before has given it its name, or removed it
                    continue
                part = Part(file, target)
                try:
                    yield part
                finally:
                    if not file.closed and _is_at(path, file) and not part.size:
                        part.drop("")
                        with suppress(OSError):  # open files are not removed on Windows
                            path.unlink()
                return
        if time.monotonic() >= end:
            raise FetchError(f"another process has been fetching {target.name} for {seconds:g} s", "busy")
        time.sleep(_LOOK_SECONDS)


def require_space(folder: Path, needed: int, limit: int | None = None) -> None:
    """Refuse work that needs more bytes than the disk of `folder` has, or than `limit` allows.

    Raises:
        FetchError: It does.
    """
    free = min(shutil.disk_usage(folder).free, sys.maxsize if limit is None else limit)
    if needed > free:
        raise FetchError(f"about {amount(needed)} are needed in {folder}, and {amount(free)} are free", "space")


def amount(count: int) -> str:
    """An amount of bytes in GB (10**9), MB or, where it is small, bytes."""
    if count >= 1_000_000_000:
        return f"{count / 1e9:,.1f} GB"
    return f"{count / 1e6:,.1f} MB" if count >= 100_000 else f"{count:,} bytes"


def _paths(target: Path) -> tuple[Path, Path]:
    return target.with_name(f"{target.name}.part"), target.with_name(f"{target.name}.part.json")


def _lock(file: BinaryIO) -> bool:
    if sys.platform != "win32":
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def _is_at(path: Path, file: BinaryIO) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    return False
