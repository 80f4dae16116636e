"""The directories of a TIFF or BigTIFF file: what its pages say of themselves.

TIFF 6.0 and BigTIFF. Nothing is believed: offsets and counts are held against the size of the file, and a directory
that is linked twice ends the list.
"""

import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO, Literal

from tandem.data.formats.stored import UnreadableError

MAX_PAGES = 4096
_MAX_TAGS = 4096
_MAX_DESCRIPTION = 2**20
_TYPES = {
    **{1: "B", 2: "s", 3: "H", 4: "I", 6: "b", 7: "B", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"},
}
"""Tag types that are integers or text; the others (fractions, floats) are of no use here."""
_READ_TAGS = frozenset(
    {254, 256, 257, 258, 259, 262, 266, 270, 273, 274, 277, 278, 279, 284, 317, 322, 323, 324, 325, 338, 339}
)

ByteOrder = Literal["<", ">"]
Values = tuple[int, ...]
Tags = dict[int, bytes | Values]


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

    @property
    def layout(self) -> tuple[int, ...]:
        """What pages share that can be channels of one image."""
        return self.width, self.height, self.bits, self.samples, self.sample_format, self.photometric, self.orientation


def is_tiff(head: bytes) -> bool:
    """Whether a file that begins so is a TIFF or BigTIFF."""
    return head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def read_pages(stream: BinaryIO) -> list[TiffPage]:
    """All pages of a file, in its order.

    Raises:
        UnreadableError: The file is damaged or truncated, or has more than `MAX_PAGES`.
    """
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    head = stream.read(16)
    order: ByteOrder = "<" if head[:1] == b"I" else ">"
    big = head[2:4] in (b"+\0", b"\0+")
    try:
        (at,) = struct.unpack_from(f"{order}Q", head, 8) if big else struct.unpack_from(f"{order}I", head, 4)
        pages: list[TiffPage] = []
        seen: set[int] = set()
        while at and at not in seen:
            if len(pages) == MAX_PAGES:
                raise UnreadableError(f"has more than {MAX_PAGES} pages")
            seen.add(at)
            tags, at = _directory(stream, at, size, order, big)
            pages.append(_page(tags, order))
    except struct.error as error:
        raise UnreadableError(f"damaged or truncated ({error})") from error
    if not pages:
        raise UnreadableError("a TIFF without a page")
    return pages


def _directory(
    stream: BinaryIO, at: int, size: int, order: ByteOrder, big: bool
) -> tuple[dict[int, bytes | Values], int]:
    """The tags of a directory that are of use here, and where the next one is."""
    counting, entry, offset = ("Q", "HHQ", "Q") if big else ("H", "HHI", "I")
    place = struct.calcsize(f"{order}{offset}")
    stream.seek(at)
    (count,) = struct.unpack(f"{order}{counting}", stream.read(struct.calcsize(f"{order}{counting}")))
    if count > _MAX_TAGS:
        raise UnreadableError(f"damaged (a directory of {count} tags)")
    length = struct.calcsize(f"{order}{entry}") + place
    table = stream.read(count * length + place)
    tags: Tags = {}
    for index in range(count):
        tag, kind, number = struct.unpack_from(f"{order}{entry}", table, index * length)
        if tag not in _READ_TAGS or kind not in _TYPES:
            continue
        code = _TYPES[kind]
        if code == "s":
            number = min(number, _MAX_DESCRIPTION)
        total = number * struct.calcsize(f"{order}{code}")
        begin = (index + 1) * length - place
        data = table[begin : begin + place]
        if total > place:
            (where,) = struct.unpack(f"{order}{offset}", data)
            if where + total > size:
                raise UnreadableError(f"damaged or truncated (tag {tag} lies beyond the end of the file)")
            stream.seek(where)
            data = stream.read(total)
        tags[tag] = data[:total] if code == "s" else struct.unpack(f"{order}{number}{code}", data[:total])
    (following,) = struct.unpack_from(f"{order}{offset}", table, count * length)
    return tags, following


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
    description = tags.get(270, b"")
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
        description=description.decode("utf-8", "replace") if isinstance(description, bytes) else "",
    )
