"""Fetching a published file: bounded, continued after an interruption, and named only when its hash is right."""

import hashlib
import http.client
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from tandem.errors import WeightsError
from tandem.report.progress import TaskProgress

if sys.platform != "win32":
    import fcntl

_PART_BYTES = 1 << 18
_TIMEOUT_SECONDS = 30.0
_PARTIAL = 206
_RANGE_NOT_SATISFIABLE = 416


def download(url: str, target: Path, *, sha256: str, num_bytes: int) -> None:
    """Fetch `url` to `target`, with a progress bar on standard error.

    What has come is kept beside the target when it is interrupted, and the next call continues there. Several processes
    may ask for the same file at once: one fetches, the others wait for it.

    Args:
        url: Where the file is.
        target: What it is to be called; its folder is made.
        sha256: What it must hash to, in hexadecimal.
        num_bytes: How long it is; a server that sends more is cut off.

    Raises:
        WeightsError: There is no connection, the server refuses, or what came is not that file.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    with _locked(part) as file:
        if target.exists():  # another process was faster
            return
        try:
            _fetch(url, file, num_bytes=num_bytes, name=target.name)
        except (urllib.error.URLError, OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            reason = getattr(reason, "strerror", None) or reason
            raise WeightsError(f"downloading {url} failed: {reason}.") from error
        _check_hash(file, url, sha256)
    # Outside, since Windows does not rename open files; a process that waited may have been faster again.
    with suppress(FileNotFoundError):
        part.replace(target)


def _check_hash(file: BinaryIO, url: str, sha256: str) -> None:
    file.seek(0)
    digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  (an open binary file)
    if digest != sha256:
        file.truncate(0)
        raise WeightsError(
            f"{url} gave a file with the SHA-256 {digest}; expected {sha256}. It was removed: try again, or fetch the "
            "file by other means and give its path."
        )
    os.fsync(file.fileno())


@contextmanager
def _locked(part: Path) -> Iterator[BinaryIO]:
    """The open partial file, which no other process has; the system drops the lock of a killed process."""
    while True:
        with part.open("a+b") as file:
            if sys.platform != "win32":
                fcntl.flock(file, fcntl.LOCK_EX)
            # Whoever had the lock before may have given the file its final name.
            if not _is_at(part, file):
                continue
            try:
                yield file
            finally:
                if os.fstat(file.fileno()).st_size == 0:
                    with suppress(OSError):  # Windows does not remove open files
                        part.unlink()
            return


def _is_at(path: Path, file: BinaryIO) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _fetch(url: str, file: BinaryIO, *, num_bytes: int, name: str) -> None:
    have = file.seek(0, os.SEEK_END)
    if have >= num_bytes:  # complete, or nonsense that the hash will show
        return
    with TaskProgress(f"downloading {name}", num_bytes, "bytes", done=have) as progress:
        request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
        try:
            response = urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS)
        except urllib.error.HTTPError as error:
            if error.code == _RANGE_NOT_SATISFIABLE:
                file.truncate(0)
            raise
        with response:
            if have and response.status != _PARTIAL:
                file.truncate(0)
                have = 0
            _copy(response, file, have=have, num_bytes=num_bytes, on_progress=progress.callback)


def _copy(
    response: http.client.HTTPResponse,
    file: BinaryIO,
    *,
    have: int,
    num_bytes: int,
    on_progress: Callable[[int, int | None], None],
) -> None:
    while data := response.read(_PART_BYTES):
        have += len(data)
        if have > num_bytes:
            file.truncate(0)
            raise OSError(None, f"the server sends more than the {num_bytes:,} bytes of this file")
        file.write(data)
        file.flush()
        on_progress(have, num_bytes)
    if have < num_bytes:
        raise OSError(None, f"the connection ended after {have:,} of {num_bytes:,} bytes; try again to continue")
