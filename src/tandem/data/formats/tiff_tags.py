"""The directories of a TIFF or BigTIFF file: what its pages say of themselves.

TIFF 6.0 and BigTIFF. Nothing is believed: offsets and counts are held against the size of the file, and a directory
that is linked twice ends the list.
"""

import os
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, Literal, NamedTuple

from tandem.data.formats.stored import UnreadableError

MAX_PAGES = 4096
_MAX_TAGS = 4096
_MAX_DESCRIPTION = 2**20
_TYPES = {
    **{1: "B", 2: "s", 3: "H", 4: "I", 6: "b", 7: "B", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"},
}
"""Tag types that are integers or text; the others (fractions, floats) say nothing of how samples lie."""
_BYTES_OF_TYPES = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
}
_TEXT = 2
_READ_TAGS = frozenset(
    {254, 256, 257, 258, 259, 262, 266, 270, 273, 274, 277, 278, 279, 284, 317, 322, 323, 324, 325, 338, 339, 42113}
)

ByteOrder = Literal["<", ">"]
Values = tuple[int, ...]
Tags = dict[int, bytes | Values]


@dataclass(frozen=True)
class RawTag:
    """A tag as it is stored.

    Attributes:
        kind: The type of its values, by its number.
        count: How many there are.
        data: Their bytes, in the byte order of the file.
    """

    kind: int
    count: int
    data: bytes


@dataclass(frozen=True)
class TiffPage:
    """One directory; names and numbers are those of TIFF 6.0.

    Attributes:
        order: The byte order of the file.
        width: In pixels.
        height: In pixels.
        bits: BitsPerSample, the same for all samples.
        samples: SamplesPerPixel.
        sample_format: 1 unsigned, 2 signed, 3 floating point, 4 undefined, 5 and 6 complex.
        photometric: 0 WhiteIsZero, 1 MinIsBlack, 2 RGB, and so on.
        compression: By its number.
        separate: Whether each sample has planes of its own (PlanarConfiguration 2).
        predictor: 1 none, 2 horizontal differences, 3 those of floating point.
        reversed_bits: FillOrder 2: the least significant bit of a byte comes first.
        extra: ExtraSamples: 0 unspecified, 1 associated alpha, 2 unassociated alpha.
        orientation: As EXIF's.
        block: Height and width of a strip or tile.
        tiled: Whether these are tiles, which are padded at the edges.
        offsets: Where they are.
        byte_counts: Their sizes in the file.
        subfile: NewSubfileType: 1 a smaller copy of another page, 4 a mask.
        description: ImageDescription.
        nodata: GDAL's text of the value of pixels that hold nothing; empty where there is none.
    """

    order: ByteOrder
    width: int
    height: int
    bits: int
    samples: int
    sample_format: int
    photometric: int
    compression: int
    separate: bool
    predictor: int
    reversed_bits: bool
    extra: Values
    orientation: int
    block: tuple[int, int]
    tiled: bool
    offsets: Values
    byte_counts: Values
    subfile: int
    description: str
    nodata: str

    @property
    def layout(self) -> tuple[int, ...]:
        """What pages share that can be channels of one image."""
        return self.width, self.height, self.bits, self.samples, self.sample_format, self.photometric, self.orientation


def is_tiff(head: bytes) -> bool:
    """Whether a file with these first `HEAD_BYTES` is a TIFF or BigTIFF, and no DICOM file that begins like one."""
    return head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+") and head[128:132] != b"DICM"


def read_pages(stream: BinaryIO) -> list[TiffPage]:
    """All pages of a file, in its order.

    Raises:
        UnreadableError: The file is damaged or truncated, or has more than `MAX_PAGES`.
    """
    pages: list[TiffPage] = []
    seen: set[int] = set()
    with _reading_tags():
        head = _head(stream)
        at = head.first
        while at and at not in seen:
            if len(pages) == MAX_PAGES:
                raise UnreadableError(f"has more than {MAX_PAGES} pages")
            seen.add(at)
            tags, at = _directory(stream, head, at)
            pages.append(_page(tags, head.order))
    if not pages:
        raise UnreadableError("a TIFF without a page")
    return pages


def read_raw_tags(stream: BinaryIO, wanted: frozenset[int]) -> tuple[dict[int, RawTag], ByteOrder]:
    """Tags of the first page as they are stored, those that are there; and the byte order of their values.

    Raises:
        UnreadableError: The file is damaged or truncated.
    """
    with _reading_tags():
        head = _head(stream)
        return _entries(stream, head, head.first, wanted)[0], head.order


class _Head(NamedTuple):
    """Of a file: its size, its byte order, whether it is a BigTIFF, and where its first directory is."""

    size: int
    order: ByteOrder
    big: bool
    first: int


def _head(stream: BinaryIO) -> _Head:
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    head = stream.read(16)
    order: ByteOrder = "<" if head[:1] == b"I" else ">"
    big = head[2:4] in (b"+\0", b"\0+")
    (at,) = struct.unpack_from(f"{order}Q", head, 8) if big else struct.unpack_from(f"{order}I", head, 4)
    return _Head(size, order, big, at)


@contextmanager
def _reading_tags() -> Iterator[None]:
    try:
        yield
    except struct.error as error:
        raise UnreadableError(f"damaged or truncated ({error})") from error


def _directory(stream: BinaryIO, head: _Head, at: int) -> tuple[Tags, int]:
    """The tags of a directory that are of use here, and where the next one is."""
    entries, following = _entries(stream, head, at, _READ_TAGS)
    tags: Tags = {}
    for tag, raw in entries.items():
        code = _TYPES.get(raw.kind)
        if code is not None:
            tags[tag] = raw.data if code == "s" else struct.unpack(f"{head.order}{raw.count}{code}", raw.data)
    return tags, following


def _entries(stream: BinaryIO, head: _Head, at: int, wanted: frozenset[int]) -> tuple[dict[int, RawTag], int]:
    size, order, big, _ = head
    counting, entry, offset = ("Q", "HHQ", "Q") if big else ("H", "HHI", "I")
    place = struct.calcsize(f"{order}{offset}")
    stream.seek(at)
    (count,) = struct.unpack(f"{order}{counting}", stream.read(struct.calcsize(f"{order}{counting}")))
    if count > _MAX_TAGS:
        raise UnreadableError(f"damaged (a directory of {count} tags)")
    length = struct.calcsize(f"{order}{entry}") + place
    table = stream.read(count * length + place)
    entries: dict[int, RawTag] = {}
    for index in range(count):
        tag, kind, number = struct.unpack_from(f"{order}{entry}", table, index * length)
        if tag not in wanted or kind not in _BYTES_OF_TYPES:
            continue
        if kind == _TEXT:
            number = min(number, _MAX_DESCRIPTION)
        total = number * _BYTES_OF_TYPES[kind]
        begin = (index + 1) * length - place
        data = table[begin : begin + place]
        if total > place:
            (where,) = struct.unpack(f"{order}{offset}", data)
            if where + total > size:
                raise UnreadableError(f"damaged or truncated (tag {tag} lies beyond the end of the file)")
            stream.seek(where)
            data = stream.read(total)
        entries[tag] = RawTag(kind, number, data[:total])
    (following,) = struct.unpack_from(f"{order}{offset}", table, count * length)
    return entries, following


def _page(tags: Mapping[int, bytes | Values], order: ByteOrder) -> TiffPage:
    def numbers(tag: int, default: Values = ()) -> Values:
        found = tags.get(tag, default)
        return tuple(found) if found else default

    def number(tag: int, default: int) -> int:
        return numbers(tag, (default,))[0]

    width, height = number(256, 0), number(257, 0)
    bits, samples = numbers(258, (1,)), number(277, 1)
    formats = numbers(339, (1,))
    for name, values in (("bits", bits), ("kinds", formats)):
        if len(set(values)) > 1:
            raise UnreadableError(f"a TIFF whose samples differ in their {name}: {', '.join(map(str, values))}")
    tiled = 322 in tags
    block = (number(323, 0), number(322, 0)) if tiled else (min(number(278, height) or height, height), width)

    def text(tag: int) -> str:
        found = tags.get(tag, b"")
        return found.decode("utf-8", "replace").rstrip("\0") if isinstance(found, bytes) else ""

    return TiffPage(
        order=order,
        width=width,
        height=height,
        bits=bits[0],
        samples=samples,
        sample_format=formats[0],
        photometric=number(262, 1),
        compression=number(259, 1),
        separate=number(284, 1) == 2 and samples > 1,
        predictor=number(317, 1),
        reversed_bits=number(266, 1) == 2,
        extra=numbers(338),
        orientation=number(274, 1),
        block=block,
        tiled=tiled,
        offsets=numbers(324 if tiled else 273),
        byte_counts=numbers(325 if tiled else 279),
        subfile=number(254, 0),
        description=text(270),
        nodata=text(42113),
    )
