"""Is the file of a video all there? Told from the sizes that its outermost elements announce.

Decoders are forgiving: a file that was cut off in the middle plays up to there, without an error. So that nobody takes
half a video for a whole one after hours of work, this is asked first. Files whose size was not known when they were
written (live recordings) announce nothing and pass.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from tandem.errors import DataError

_SEGMENT, _EBML = 0x18538067, 0x1A45DFA3
_MAX_BOXES = 100_000


def check_whole(path: Path) -> None:
    """Refuse a file that ends before what it announces.

    Raises:
        DataError: It is cut off, empty, or cannot be read.
    """
    try:
        size = path.stat().st_size
        if size == 0:
            raise DataError(f"{path}: the file is empty (0 bytes)")
        with path.open("rb") as file:
            announced = max(_announced(file, size), default=0)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error
    if announced > size:
        raise DataError(
            f"{path}: cut off: the file has {size} bytes of the {announced} that it announces. Copy or download it "
            "again."
        )


def _announced(file: BinaryIO, size: int) -> Iterator[int]:
    """Where the outermost elements end."""
    head = file.read(12)
    file.seek(0)
    if head[:4] == b"RIFF":
        yield 8 + struct.unpack("<I", head[4:8].ljust(4, b"\0"))[0]
    elif head[:4] == _EBML.to_bytes(4):
        yield from _matroska(file)
    elif head[4:8] in {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"}:
        yield from _boxes(file, size)


def _boxes(file: BinaryIO, size: int) -> Iterator[int]:
    """ISO 14496-12: 32 bits of size and a type; size 1: 64 bits follow; size 0: up to the end of the file."""
    start = 0
    for _ in range(_MAX_BOXES):
        file.seek(start)
        head = file.read(16)
        if len(head) < 8:
            return
        length = int.from_bytes(head[:4])
        if length == 1:
            length = int.from_bytes(head[8:16])
        if length < 8:
            return
        start += length
        yield start
        if start >= size:
            return


def _matroska(file: BinaryIO) -> Iterator[int]:
    """RFC 8794: the EBML header, then one segment; a size of ones only means that it is not known."""
    for expected in (_EBML, _SEGMENT):
        if file.read(4) != expected.to_bytes(4):
            return
        first = file.read(1)
        if not first or not first[0]:
            return
        more = 8 - first[0].bit_length()
        mask = (1 << (7 * (more + 1))) - 1
        length = int.from_bytes(first + file.read(more)) & mask
        if length == mask:
            return
        yield file.tell() + length
        file.seek(length, 1)
