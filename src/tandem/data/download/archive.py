"""Reading zip and tar.gz archives of strangers, member by member, without trusting what they say of themselves.

Refused are: links, devices and other special files; absolute names, `..`, backslashes and control characters; names
that occur twice or differ only in case or Unicode form; encrypted members; more members, bytes or compression than
`ArchiveLimits` allows. Headers are bounded too: neither format is read further ahead than that.
"""

import gzip
import os
import re
import stat
import struct
import tarfile
import unicodedata
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from tandem.errors import DataError

_MAX_HEADER_BYTES = 1 << 20
_MAX_DIRECTORY_BYTES = 64 << 20
_MAX_NAME_BYTES, _MAX_PATH_BYTES = 255, 1024
_BLOCK = 512
_END_SIZE, _MAX_COMMENT = 22, 65535


@dataclass(frozen=True)
class ArchiveLimits:
    """How much an archive may hold.

    Attributes:
        max_members: Entries of any kind.
        max_member_bytes: Of one file, unpacked.
        max_total_bytes: Of all of it, unpacked.
        max_ratio: Unpacked bytes per byte of the archive, where it is more than `ratio_from_bytes`. Images hardly
            shrink.
        ratio_from_bytes: Unpacked bytes that are fine at any ratio.
    """

    max_members: int = 400_000
    max_member_bytes: int = 64 << 20
    max_total_bytes: int = 32 << 30
    max_ratio: float = 20.0
    ratio_from_bytes: int = 64 << 20


@dataclass(frozen=True)
class ArchiveMember:
    """A file in an archive; read it before asking for the next one.

    Attributes:
        parts: Its path, folders first; no part is empty, `.` or `..`.
        size: Bytes that are announced.
        read: Return up to so many further bytes, none at the end.
    """

    parts: tuple[str, ...]
    size: int
    read: Callable[[int], bytes]


def archive_format(path: Path) -> str:
    """`zip` or `tar.gz`, by the first bytes.

    Raises:
        DataError: Neither, or no regular file.
    """
    if not path.is_file():
        raise DataError(f"{path} is no file.")
    with path.open("rb") as file:
        head = file.read(4)
    if head.startswith(b"\x1f\x8b"):
        return "tar.gz"
    if head in {b"PK\x03\x04", b"PK\x05\x06"}:
        return "zip"
    raise DataError(f"{path} is neither a zip nor a tar.gz archive: it begins with {head!r}.")


def members(path: Path, limits: ArchiveLimits) -> Iterator[ArchiveMember]:
    """All files of an archive in its order.

    Raises:
        DataError: Something in it is not allowed; see the module.
        Exception: Whatever the readers of the standard library raise for broken archives, here or in a member's `read`.
    """
    budget = _Budget(limits, path.stat().st_size)
    return _tar_members(path, budget) if archive_format(path) == "tar.gz" else _zip_members(path, budget)


class _Budget:
    """Counts what an archive holds, and knows the names that have occurred."""

    def __init__(self, limits: ArchiveLimits, archive_bytes: int) -> None:
        self._limits = limits
        self._most = min(limits.max_total_bytes, max(limits.ratio_from_bytes, int(limits.max_ratio * archive_bytes)))
        self._count, self._total = 0, 0
        self._seen: dict[str, str] = {}

    def admit(self, name: str, size: int, *, is_folder: bool) -> tuple[str, ...]:
        """Take note of an entry and return the parts of its name."""
        self._count += 1
        if self._count > self._limits.max_members:
            raise DataError(f"the archive has more than {self._limits.max_members:,} entries")
        parts = _parts(name)
        if not is_folder:
            self._admit_name(name, parts)
        if size > self._limits.max_member_bytes:
            raise DataError(f"{name!r:.120} is {size:,} bytes, more than {self._limits.max_member_bytes:,}")
        self._total += size
        self.allow(self._total)
        return parts

    def allow_directory(self, num_entries: int, num_bytes: int) -> None:
        """Refuse a directory that is larger than that of an archive within the limits."""
        if num_entries > self._limits.max_members or num_bytes > _MAX_DIRECTORY_BYTES:
            raise DataError(f"the archive has more than {self._limits.max_members:,} entries")

    def allow(self, total: int) -> None:
        """Refuse more unpacked bytes than there may be in all."""
        if total > self._most:
            raise DataError(f"the archive unpacks to more than {self._most:,} bytes, which no set of images would")

    def _admit_name(self, name: str, parts: tuple[str, ...]) -> None:
        folded = unicodedata.normalize("NFC", "/".join(parts)).casefold()
        if folded in self._seen:
            other = self._seen[folded]
            twice = f"{name!r:.120} occurs twice"
            raise DataError(twice if other == name else f"{other!r:.120} and {name!r:.120} are one name on some disks")
        self._seen[folded] = name


def _parts(name: str) -> tuple[str, ...]:
    """The parts of a name that stays below where it is unpacked."""
    shown = f"the name {name!r:.120}"
    try:
        encoded = name.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(f"{shown} is not valid Unicode") from error
    if any(unicodedata.category(sign) in {"Cc", "Cs"} for sign in name):
        raise DataError(f"{shown} holds control characters")
    if name.startswith("/") or "\\" in name or re.match(r"[A-Za-z]:", name):
        raise DataError(f"{shown} is absolute or holds a backslash")
    parts = tuple(part for part in name.split("/") if part not in {"", "."})
    if ".." in parts:
        raise DataError(f"{shown} leads out of its folder")
    if len(encoded) > _MAX_PATH_BYTES or any(len(part.encode()) > _MAX_NAME_BYTES for part in parts):
        raise DataError(f"{shown} is too long")
    return parts


def _tar_members(path: Path, budget: _Budget) -> Iterator[ArchiveMember]:
    with gzip.open(path, "rb") as unpacked:
        stream = _ForwardOnly(cast(gzip.GzipFile, unpacked), budget)
        with tarfile.open(fileobj=cast("IO[bytes]", stream), mode="r:") as tar:
            while (entry := tar.next()) is not None:
                tar.members.clear()  # pyright: ignore[reportAttributeAccessIssue]  (or hundreds of thousands pile up)
                if not (entry.isdir() or entry.isreg()) or entry.issparse():
                    raise DataError(f"{entry.name!r:.120} is {_tar_kind(entry)}, and only plain files are unpacked")
                parts = budget.admit(entry.name, entry.size, is_folder=entry.isdir())
                reader = tar.extractfile(entry)
                if reader is not None and parts:
                    stream.budget = entry.size + _MAX_HEADER_BYTES
                    yield ArchiveMember(parts, entry.size, reader.read)
                stream.budget = _MAX_HEADER_BYTES
        if stream.last != bytes(_BLOCK):
            raise tarfile.ReadError("it ends in the middle")
        while chunk := unpacked.read(_MAX_HEADER_BYTES):  # to the checksum at the end
            budget.allow(unpacked.tell() - len(chunk))


def _tar_kind(entry: tarfile.TarInfo) -> str:
    kinds = {tarfile.SYMTYPE: "a symbolic link", tarfile.LNKTYPE: "a hard link", tarfile.FIFOTYPE: "a pipe"}
    return kinds.get(entry.type, "a device or another special file")


class _ForwardOnly:
    """What tarfile reads from: no further than a budget, and never backwards."""

    def __init__(self, file: gzip.GzipFile, budget: _Budget) -> None:
        self._file, self._total = file, budget
        self.budget = _MAX_HEADER_BYTES
        self.last = b""

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, position: int, whence: int = os.SEEK_SET) -> int:
        if whence != os.SEEK_SET or position < self._file.tell():
            raise tarfile.ReadError("its headers point backwards")
        return self._file.seek(position)

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= self.budget:
            raise DataError(f"the archive has a header of more than {_MAX_HEADER_BYTES:,} bytes")
        self.last = self._file.read(size)
        self.budget -= len(self.last)
        self._total.allow(self._file.tell() - len(self.last))
        return self.last


def _zip_members(path: Path, budget: _Budget) -> Iterator[ArchiveMember]:
    _check_zip_directory(path, budget)
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            kind = stat.S_IFMT(entry.external_attr >> 16)
            if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
                what = "a symbolic link" if kind == stat.S_IFLNK else "a special file"
                raise DataError(f"{entry.filename!r:.120} is {what}, and only plain files are unpacked")
            if entry.flag_bits & 1:
                raise DataError(f"{entry.filename!r:.120} is encrypted")
            parts = budget.admit(entry.orig_filename, entry.file_size, is_folder=entry.is_dir())
            if entry.is_dir() or not parts:
                continue
            with archive.open(entry) as reader:
                yield ArchiveMember(parts, entry.file_size, reader.read)


def _check_zip_directory(path: Path, budget: _Budget) -> None:
    """Bound the directory at the end of the archive before zipfile reads it as a whole."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _END_SIZE - _MAX_COMMENT - 20))
        tail = file.read()
        start = len(tail) - _END_SIZE
        if tail[start : start + 4] != b"PK\x05\x06" or tail[-2:] != b"\0\0":
            start = tail.rfind(b"PK\x05\x06")
        if start < 0 or len(tail) < start + _END_SIZE:
            raise zipfile.BadZipFile("its directory is missing")
        num_entries, num_bytes = struct.unpack_from("<HL", tail, start + 10)
        locator = tail[max(0, start - 20) : start]
        if locator.startswith(b"PK\x06\x07"):
            file.seek(struct.unpack_from("<Q", locator, 8)[0])
            record = file.read(56)
            if not record.startswith(b"PK\x06\x06") or len(record) < 56:
                raise zipfile.BadZipFile("its directory is missing")
            num_entries, num_bytes = cast(tuple[Any, Any], struct.unpack_from("<QQ", record, 32))
    budget.allow_directory(num_entries, num_bytes)
