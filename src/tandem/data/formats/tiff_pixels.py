"""The samples of a page of a TIFF: strips and tiles, their compression, predictors, packed bits, separate planes."""

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from PIL import Image

from tandem.data.formats.stored import UnreadableError, read_what_is_there
from tandem.data.formats.tiff_tags import TiffPage

NAMES_OF_COMPRESSIONS = {
    **{1: "none", 2: "CCITT RLE", 3: "CCITT T.4", 4: "CCITT T.6", 5: "LZW", 6: "old JPEG", 7: "JPEG", 8: "deflate"},
    **{9: "JBIG", 10: "JBIG", 32773: "PackBits", 32809: "ThunderScan", 32946: "deflate", 33003: "JPEG 2000"},
    **{33004: "JPEG 2000", 33005: "JPEG 2000", 34676: "SGI LogLuv", 34677: "SGI LogLuv", 34712: "JPEG 2000"},
    **{34887: "LERC", 34892: "lossy JPEG (DNG)", 34925: "LZMA", 34933: "PNG", 34934: "JPEG XR", 50000: "Zstandard"},
    **{50001: "WebP", 50002: "JPEG XL", 52546: "JPEG XL"},
}
_STORED, _DEFLATE = 1, (8, 32946)
_BY_LIBTIFF = (5, 32773, 34925, 50000)
"""Of bytes, whatever these mean: LZW, PackBits, LZMA, Zstandard."""
READ_COMPRESSIONS = frozenset({_STORED, *_DEFLATE, *_BY_LIBTIFF})
PREDICTED_COMPRESSIONS = READ_COMPRESSIONS - {_STORED, 32773}
"""Those before which samples may be replaced by their differences."""
_PACKED_AT_ONCE = 2**20
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def dtype_of(page: TiffPage) -> np.dtype | None:
    """The type of the samples, in the byte order of the machine; None where they are not read."""
    kind = {1: "u", 2: "i", 3: "f", 4: "u"}.get(page.sample_format)
    if kind is None:
        return None
    if kind == "u" and 1 <= page.bits <= 16:
        return np.dtype(np.uint8 if page.bits <= 8 else np.uint16)
    whole = {"u": (32,), "i": (8, 16, 32), "f": (16, 32, 64)}[kind]
    return np.dtype(f"{kind}{page.bits // 8}") if page.bits in whole else None


@dataclass(frozen=True)
class Block:
    """A strip or tile.

    Attributes:
        top: Its first row in the image.
        left: Its first column.
        channel: Its first channel.
        values: ``(rows, columns, channels)``, without what reaches over the edges of the image.
    """

    top: int
    left: int
    channel: int
    values: np.ndarray

    def put(self, image: np.ndarray) -> None:
        """Write it where it belongs in an image ``(H, W, C)``."""
        rows, columns, channels = self.values.shape
        image[self.top : self.top + rows, self.left : self.left + columns, self.channel : self.channel + channels] = (
            self.values
        )


def read_samples(stream: BinaryIO, page: TiffPage) -> np.ndarray:
    """The samples of a page as they are stored, ``(H, W, samples)``, in the byte order of the machine.

    Raises:
        UnreadableError: They are damaged or truncated.
    """
    image = np.empty((page.height, page.width, page.samples), dtype_of(page))
    for block in read_blocks(stream, page):
        block.put(image)
    return image


def require_blocks(page: TiffPage) -> tuple[int, int]:
    """How many strips or tiles a plane of a page has, down and across.

    Raises:
        UnreadableError: They are too large, or some are not in the file.
    """
    block_height, block_width = page.block
    if min(block_height, block_width) < 1 or block_height * block_width > 4 * max(page.width * page.height, 2**16):
        raise UnreadableError(f"damaged (strips or tiles of {block_width} x {block_height} pixels)")
    down, across = -(-page.height // block_height), -(-page.width // block_width)
    number = down * across * (page.samples if page.separate else 1)
    if len(page.offsets) < number:
        raise UnreadableError(f"damaged ({len(page.offsets)} strips or tiles of {number})")
    return down, across


def read_blocks(stream: BinaryIO, page: TiffPage) -> Iterator[Block]:
    """The same, strip by strip or tile by tile."""
    block_height, block_width = page.block
    down, across = require_blocks(page)
    planes, depth = (page.samples, 1) if page.separate else (1, page.samples)
    if len(page.byte_counts) < planes * down * across:
        raise UnreadableError(f"damaged ({len(page.byte_counts)} strips or tiles of {planes * down * across})")
    for index in range(planes * down * across):
        plane, rest = divmod(index, down * across)
        top, left = (number * side for number, side in zip(divmod(rest, across), page.block, strict=True))
        rows = block_height if page.tiled else min(block_height, page.height - top)
        stream.seek(page.offsets[index])
        stored = read_what_is_there(stream, page.byte_counts[index])
        part = _block(stored, page, (rows, block_width, depth))
        yield Block(top, left, plane, part[: page.height - top, : page.width - left])


def _block(stored: bytes, page: TiffPage, shape: tuple[int, int, int]) -> np.ndarray:
    """The samples of a strip or tile of a shape ``(rows, columns, depth)``."""
    rows, columns, depth = shape
    dtype = dtype_of(page)
    assert dtype is not None
    row_bytes = -(-columns * depth * page.bits // 8)
    if page.reversed_bits:
        stored = stored.translate(_REVERSED)
    data = _decompressed(stored, page.compression, row_bytes, rows)
    if len(data) < rows * row_bytes:
        raise UnreadableError(f"damaged or truncated ({len(data)} of {rows * row_bytes} bytes of a strip or tile)")
    table = np.frombuffer(data, np.uint8, rows * row_bytes).reshape(rows, row_bytes)
    if page.bits != 8 * dtype.itemsize:
        values = _unpacked(table, columns * depth, page.bits, dtype)
    elif page.predictor == 3:
        values = _from_differences_of_bytes(table, depth, dtype)
    else:
        values = table.view(dtype.newbyteorder(page.order)).astype(dtype, copy=False)
    values = values.reshape(rows, columns, depth)
    return np.cumsum(values, axis=1, dtype=dtype) if page.predictor == 2 else values


def _decompressed(stored: bytes, compression: int, row_bytes: int, rows: int) -> bytes:
    """At most the bytes of the rows."""
    if compression == _STORED:
        return stored
    if compression in _DEFLATE:
        try:
            return zlib.decompressobj().decompress(stored, row_bytes * rows)
        except zlib.error as error:
            raise UnreadableError(f"damaged ({error})") from error
    # To libtiff, which undoes it, the bytes are those of an 8-bit grey image.
    tags = {256: row_bytes, 257: rows, 258: 8, 259: compression, 262: 1, 273: 0, 277: 1, 278: rows, 279: len(stored)}
    tags[273] = 8 + 2 + 12 * len(tags) + 4
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    file = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + stored
    with Image.open(io.BytesIO(file), formats=["TIFF"]) as image:
        return image.tobytes()


def _unpacked(table: np.ndarray, count: int, bits: int, dtype: np.dtype) -> np.ndarray:
    """Rows of `count` samples of `bits` each, the most significant bit first, each row beginning with a whole byte."""
    width = 8 * dtype.itemsize
    values = np.empty((len(table), count), dtype)
    rows_at_once = max(1, _PACKED_AT_ONCE // max(count, 1))
    for start in range(0, len(table), rows_at_once):
        part = np.unpackbits(table[start : start + rows_at_once], axis=1, count=count * bits).reshape(-1, count, bits)
        padded = np.zeros((len(part), count, width), np.uint8)
        padded[:, :, width - bits :] = part
        packed = np.packbits(padded, axis=2).reshape(len(part), count, dtype.itemsize)
        values[start : start + rows_at_once] = packed.view(dtype.newbyteorder(">"))[:, :, 0]
    return values


def _from_differences_of_bytes(table: np.ndarray, depth: int, dtype: np.dtype) -> np.ndarray:
    """Undo the predictor of floating point: a row holds the first bytes of all samples, then the second ones, …."""
    rows, row_bytes = table.shape
    summed = np.cumsum(table.reshape(rows, row_bytes // depth, depth), axis=1, dtype=np.uint8).reshape(rows, row_bytes)
    parts = summed.reshape(rows, dtype.itemsize, -1).swapaxes(1, 2)
    return np.ascontiguousarray(parts).view(dtype.newbyteorder(">"))[:, :, 0].astype(dtype)
