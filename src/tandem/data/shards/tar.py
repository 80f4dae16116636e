"""The members of a tar file, from its headers alone; anything but plain files is refused.

Python's `tarfile` takes a damaged header in the middle for the end and follows links and sparse files; here the file
must be whole, down to the block of zeros at its end. Understood are ustar, GNU's long names and pax.
"""

import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tandem.errors import DataError
from tandem.foreign import open_plain
from tandem.names import is_control, is_text

MAX_MEMBER_BYTES = 1 << 30
_MAX_EXTENSION_BYTES = 1 << 16
_MAX_NAME = 1024
_BLOCK = 512


@dataclass(frozen=True, slots=True)
class TarMember:
    """A plain file in a tar file: where its bytes lie."""

    name: str
    offset: int
    size: int


def scan(path: Path) -> Iterator[TarMember]:
    """List the plain files of a tar file in their order; folders are passed over.

    Raises:
        DataError: It cannot be read, is cut off, damaged, or holds links, devices or members of hostile names or sizes.
    """
    try:
        with open_plain(path) as file:
            yield from _scan(file, path.stat().st_size)
    except (OSError, ValueError, tarfile.HeaderError) as error:
        if isinstance(error, DataError):
            raise
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise DataError(f"{path} is no tar file that can be used: {reason}") from error


def _scan(file: BinaryIO, length: int) -> Iterator[TarMember]:
    at, name, size = 0, None, None
    while True:
        file.seek(at)
        block = file.read(_BLOCK)
        if len(block) < _BLOCK:
            raise ValueError(f"it is cut off after {length} bytes, without an end mark")
        if not block.strip(b"\0"):
            return
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        start, taken = at + _BLOCK, header.size if size is None else size
        at = start + -(-taken // _BLOCK) * _BLOCK
        if taken < 0 or start + taken > length:
            raise ValueError(f"it is cut off: {header.name!r:.80} would end at byte {start + taken} of {length}")
        if header.type in {b"L", b"x"}:
            if taken > _MAX_EXTENSION_BYTES:
                raise ValueError(f"an extended header has {taken} bytes, at most {_MAX_EXTENSION_BYTES} are read")
            body = file.read(taken)
            if header.type == b"L":
                name = body.rstrip(b"\0").decode("utf-8", "surrogateescape")
            else:
                name, size = _pax(body, name)
            continue
        if header.type in {tarfile.REGTYPE, tarfile.AREGTYPE}:
            yield TarMember(_checked(header.name if name is None else name), start, _bounded(taken))
        elif not (header.isdir() or header.type == b"g"):
            raise ValueError(f"{header.name!r:.80} is no plain file (type {header.type!r})")
        name = size = None


def _pax(body: bytes, name: str | None) -> tuple[str | None, int | None]:
    """The path and the size from an extended header, whose records are ``LENGTH KEY=VALUE``."""
    size = None
    while body:
        match = re.match(rb"(\d{1,7}) ([^=]{1,200})=", body)
        length = int(match[1]) if match else 0
        if match is None or not match.end() < length <= len(body) or body[length - 1 : length] != b"\n":
            raise ValueError("an extended header is damaged")
        key, value = match[2], body[match.end() : length - 1]
        if key.startswith(b"GNU.sparse"):
            raise ValueError("it holds a sparse file")
        if key == b"path":
            name = value.decode("utf-8", "surrogateescape")
        elif key == b"size":
            if not re.fullmatch(rb"\d{1,15}", value):
                raise ValueError(f"a size is {value!r:.40}")
            size = int(value)
        body = body[length:]
    return name, size


def _checked(name: str) -> str:
    name = name.removeprefix("./")
    plain = len(name) <= _MAX_NAME and "\\" not in name and not any(map(is_control, name)) and is_text(name)
    if not plain or {"", ".", ".."} & {*name.split("/")}:
        raise ValueError(
            f"a member is called {name!r:.80}; expected are names such as KEY.a.png, or with folders, FOLDER/KEY.a.png"
        )
    return name


def _bounded(size: int) -> int:
    if size > MAX_MEMBER_BYTES:
        raise ValueError(f"a member has {size} bytes, at most {MAX_MEMBER_BYTES} are read")
    return size
