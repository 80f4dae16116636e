"""What a JPEG 2000 file says of its samples, and those that Pillow does not give as they are.

Pillow reads up to four channels of 8 bits and grey of 16, and spreads grey of 9 to 15 bits over 16, which is undone. It
shifts signed values to unsigned ones without a word, cuts deeper colours down to 8 bits or calls them damaged, and does
not open more channels: those are read by OpenJPEG itself (the extra ``jpeg2000``). The format: ISO/IEC 15444-1, annexes
A.5.1 and I.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from typing import BinaryIO

import numpy as np

from tandem.data.formats.extras import needed
from tandem.data.formats.stored import StoredImage, UnreadableError, check_values, kind_of_samples, read_what_is_there

_SIGNATURE = b"\0\0\0\x0cjP  "
_CODESTREAM = b"\xff\x4f\xff\x51"
_DEEPEST = 16
_PILLOW_CHANNELS = 4
_MAX_CHANNELS = 16384
_MAX_BOXES, _MAX_HEADER_BYTES = 1000, 2**24
_COLOURS_OF = {16: 3, 17: 1}
"""Of an enumerated colour space: sRGB and grey."""
_OPACITY = 1
_HEADER_BOX, _PALETTE_BOX, _COLOUR_BOX, _CHANNELS_BOX, _CODESTREAM_BOX = b"jp2h", b"pclr", b"colr", b"cdef", b"jp2c"


@dataclass(frozen=True)
class Jpeg2000Header:
    """What a file says before its samples.

    Attributes:
        samples: Bits of a sample and whether it is signed, of each channel.
        subsampled: Whether channels have fewer pixels than the image.
        colours: 3 or 1 where the file says so; 0 where it does not.
        has_alpha: Whether the channel behind the colours is called opacity.
        other_colours: Whether it has a palette, or a colour space that is neither sRGB nor grey.
    """

    width: int
    height: int
    samples: tuple[tuple[int, bool], ...]
    subsampled: bool
    colours: int = 0
    has_alpha: bool = False
    other_colours: bool = False

    @property
    def is_left_to_pillow(self) -> bool:
        """Whether Pillow gives the values, if need be by `unspread`."""
        if any(signed for _, signed in self.samples) or len(self.samples) > _PILLOW_CHANNELS:
            return False
        deepest = max(bits for bits, _ in self.samples)
        return deepest <= 8 or (deepest <= _DEEPEST and len(self.samples) == 1)

    def unspread(self, stored: StoredImage) -> StoredImage:
        """What Pillow read, with grey of 9 to 15 bits as the numbers that the file holds."""
        bits = self.samples[0][0]
        if len(self.samples) > 1 or not 8 < bits < _DEEPEST:
            return stored
        return replace(stored, values=stored.values >> (_DEEPEST - bits), bits=bits, kind=f"{bits}-bit JPEG2000")


def is_jpeg2000(head: bytes) -> bool:
    """Whether a file that begins so is a JPEG 2000 image, or the codestream of one."""
    return head.startswith((_SIGNATURE, _CODESTREAM))


def read_jpeg2000_header(stream: BinaryIO) -> Jpeg2000Header:
    """What a file says of its samples, from where the stream is, which comes back to there.

    Raises:
        UnreadableError: It is damaged, truncated or too large.
    """
    begin = stream.tell()
    try:
        has_boxes = stream.read(len(_SIGNATURE)) == _SIGNATURE
        stream.seek(begin)
        return _header(stream, _boxes_before_codestream(stream) if has_boxes else {})
    except struct.error as error:
        raise UnreadableError("damaged or truncated (the header of a JPEG 2000 image)") from error
    finally:
        stream.seek(begin)


def read_jpeg2000(stream: BinaryIO, header: Jpeg2000Header) -> StoredImage:
    """Read a file by OpenJPEG.

    Raises:
        UnreadableError: It is damaged, or of a kind that is not read.
        MissingExtraError: pylibjpeg-openjpeg is not installed.
    """
    bits, signed = header.samples[0]
    channels = len(header.samples)
    this = f"a JPEG 2000 image of {channels} x {'signed ' if signed else ''}{bits}-bit samples"
    if len(set(header.samples)) > 1 or header.subsampled or bits > _DEEPEST:
        raise UnreadableError(f"{this} that differ in depth or size, or of more than 16 bits: save it as a TIFF")
    if header.other_colours:
        raise UnreadableError(f"{this} with a palette, or in a colour space that is neither sRGB nor grey")
    check_values(header.width, header.height, channels)
    library = needed("openjpeg", "jpeg2000", f"Reading {this}")
    values = np.asarray(library.decode(BytesIO(stream.read())))
    values = values.reshape(*values.shape[:2], -1)
    if values.shape != (header.height, header.width, channels):
        raise UnreadableError(
            f"damaged: {this}, but {values.shape[2]} channels of {values.shape[:2]} pixels come of it"
        )
    colours = header.colours or {1: 1, 3: 3}.get(channels, 0)
    if colours > channels:
        raise UnreadableError(f"damaged: {this} that are called colours")
    alpha = header.has_alpha and channels > colours > 0
    return StoredImage(
        np.ascontiguousarray(values), bits, colours, alpha, kind=f"{kind_of_samples(values.dtype, bits)} JPEG2000"
    )


def _header(stream: BinaryIO, boxes: dict[bytes, bytes]) -> Jpeg2000Header:
    """What the codestream says of the samples, and the boxes of their meaning."""
    start = stream.read(42)
    if not start.startswith(_CODESTREAM):
        raise UnreadableError("damaged or truncated (a JPEG 2000 image without its samples)")
    right, bottom, left, top = struct.unpack(">4I", start[8:24])
    (channels,) = struct.unpack(">H", start[40:42])
    if not 0 < channels <= _MAX_CHANNELS or right <= left or bottom <= top:
        raise UnreadableError("damaged (a JPEG 2000 image without pixels or channels)")
    table = stream.read(3 * channels)
    if len(table) < 3 * channels:
        raise UnreadableError("damaged or truncated (the header of a JPEG 2000 image)")
    samples = tuple(((depth & 0x7F) + 1, bool(depth & 0x80)) for depth in table[::3])
    subsampled = any(step != 1 for step in table[1::3] + table[2::3])
    colours, other = 0, _PALETTE_BOX in boxes
    if (space := boxes.get(_COLOUR_BOX, b""))[:1] == b"\x01":
        (number,) = struct.unpack(">I", space[3:7])
        colours, other = _COLOURS_OF.get(number, 0), other or number not in _COLOURS_OF
    alpha = False
    meanings = boxes.get(_CHANNELS_BOX, b"")[2:]
    for index, kind, _ in struct.iter_unpack(">3H", meanings[: len(meanings) // 6 * 6]):
        alpha = alpha or (kind == _OPACITY and index == colours)
    return Jpeg2000Header(right - left, bottom - top, samples, subsampled, colours, alpha, other)


def _boxes_before_codestream(stream: BinaryIO) -> dict[bytes, bytes]:
    """The boxes of the header; the stream is at the codestream then."""
    found: dict[bytes, bytes] = {}
    for _ in range(_MAX_BOXES):
        length, kind, begin = _box(stream)
        if kind == _CODESTREAM_BOX:
            return found
        if kind == _HEADER_BOX:
            if length > _MAX_HEADER_BYTES:
                raise UnreadableError(f"too large: {length} bytes of header, at most {_MAX_HEADER_BYTES} are read")
            found = dict(_boxes_in(read_what_is_there(stream, length)))
        stream.seek(begin + length)
    raise UnreadableError(f"damaged: more than {_MAX_BOXES} boxes before the samples of a JPEG 2000 image")


def _boxes_in(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    stream = BytesIO(data)
    while stream.tell() + 8 <= len(data):
        length, kind, begin = _box(stream)
        yield kind, data[begin : begin + length]
        stream.seek(begin + length)


def _box(stream: BinaryIO) -> tuple[int, bytes, int]:
    """Length of what is in a box, its kind, and where it begins."""
    length, kind = struct.unpack(">I4s", stream.read(8))
    if length == 1:
        (length,) = struct.unpack(">Q", stream.read(8))
        length -= 8
    if length == 0 and kind == _CODESTREAM_BOX:  # to the end of the file
        return 0, kind, stream.tell()
    if not 8 <= length < 2**62:
        raise UnreadableError(f"damaged (a box of {length} bytes in a JPEG 2000 image)")
    return length - 8, kind, stream.tell()
