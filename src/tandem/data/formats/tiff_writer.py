"""TIFF files of any type and number of channels: little-endian, deflate, strips, written from the top down."""

import io
import struct
import zlib
from collections.abc import Mapping
from typing import BinaryIO

import numpy as np

from tandem.data.formats.tiff_tags import RawTag

_STRIP_BYTES = 2**18
_FORMATS = {"u": 1, "i": 2, "f": 3}
_ALPHA, _UNSPECIFIED = 2, 0
_KINDS = {"H": 3, "I": 4, "Q": 16}
MAX_BYTES = 2**32 - 2**16
"""Of a classic TIFF; what may come out larger is written as a BigTIFF."""


class TiffWriter:
    """Writes one image from its top rows to its last ones.

    Of unsigned samples one channel is grey, two are grey with alpha, three RGB, four RGBA; other channels are bands.
    Integers of 8 and 16 bits are stored as horizontal differences, which deflate well and every reader undoes.

    Args:
        file: Is written from its beginning, and sought in.
        shape: Height, width and channels.
        dtype: Of the samples.
        tags: More tags of the first page, their values little-endian.
        pages: Whether every channel is a page of its own, as in OME-TIFF.
    """

    def __init__(
        self,
        file: BinaryIO,
        shape: tuple[int, int, int],
        dtype: np.dtype,
        *,
        tags: Mapping[int, RawTag] | None = None,
        pages: bool = False,
    ) -> None:
        height, width, channels = shape
        self._file, self._shape, self._dtype = file, shape, dtype
        self._tags, self._pages = dict(tags or {}), channels if pages else 1
        self._big = height * width * channels * dtype.itemsize > MAX_BYTES
        self._rows = max(1, min(height, _STRIP_BYTES // max(width * channels * dtype.itemsize, 1)))
        self._predicted = dtype.kind in "ui" and dtype.itemsize <= 2
        self._pending = np.empty((0, width, channels), dtype)
        self._strips: list[list[tuple[int, int]]] = [[] for _ in range(self._pages)]
        self._done = 0
        file.write(struct.pack("<2sHHHQ", b"II", 43, 8, 0, 0) if self._big else struct.pack("<2sHI", b"II", 42, 0))

    def write(self, rows: np.ndarray) -> None:
        """Add rows ``(h, W, C)`` below those that are there."""
        rows = rows if not len(self._pending) else np.concatenate([self._pending, rows])
        left = self._shape[0] - self._done
        whole = len(rows) if len(rows) == left else len(rows) // self._rows * self._rows
        for top in range(0, whole, self._rows):
            self._write_strip(rows[top : min(top + self._rows, whole)])
        self._done += whole
        self._pending = rows[whole:].copy()

    def close(self) -> None:
        """Write what the file says of itself; all rows must be there."""
        assert self._done == self._shape[0]
        self._align()
        pointer = 8 if self._big else 4  # where the place of the next directory goes
        for number, strips in enumerate(self._strips):
            tags = self._page_tags(strips) | (self._tags if number == 0 else {})
            pointer = self._write_directory(dict(sorted(tags.items())), pointer)

    def _write_strip(self, rows: np.ndarray) -> None:
        if self._predicted:
            rows = np.concatenate([rows[:, :1], rows[:, 1:] - rows[:, :-1]], axis=1)
        rows = rows.astype(self._dtype.newbyteorder("<"), copy=False)
        parts = [rows] if self._pages == 1 else [rows[:, :, channel] for channel in range(self._pages)]
        for strips, part in zip(self._strips, parts, strict=True):
            data = zlib.compress(np.ascontiguousarray(part).tobytes())
            strips.append((self._file.tell(), len(data)))
            self._file.write(data)

    def _page_tags(self, strips: list[tuple[int, int]]) -> dict[int, RawTag]:
        height, width, channels = self._shape
        channels //= self._pages
        picture = self._dtype.kind == "u" and channels <= 4
        colours = {1: 1, 2: 1, 3: 3, 4: 3}[channels] if picture else 1
        extra = [_ALPHA if picture else _UNSPECIFIED] * (channels - colours)
        place = "Q" if self._big else "I"
        return {
            256: _numbers("I", [width]),
            257: _numbers("I", [height]),
            258: _numbers("H", [8 * self._dtype.itemsize] * channels),
            259: _numbers("H", [8]),
            262: _numbers("H", [2 if colours == 3 else 1]),
            273: _numbers(place, [offset for offset, _ in strips]),
            277: _numbers("H", [channels]),
            278: _numbers("I", [self._rows]),
            279: _numbers("I", [size for _, size in strips]),
            284: _numbers("H", [1]),
            **({317: _numbers("H", [2])} if self._predicted else {}),
            **({338: _numbers("H", extra)} if extra else {}),
            339: _numbers("H", [_FORMATS[self._dtype.kind]] * channels),
        }

    def _write_directory(self, tags: Mapping[int, RawTag], pointer: int) -> int:
        """Write a directory, and its place where `pointer` says; returns where the place of the next one goes."""
        counting, offset, inline = ("Q", "Q", 8) if self._big else ("H", "I", 4)
        entries = b""
        for tag, raw in tags.items():
            value = raw.data
            if len(value) > inline:
                value = struct.pack(f"<{offset}", self._file.tell())
                self._file.write(raw.data)
                self._align()
            entries += struct.pack(f"<HH{offset}", tag, raw.kind, raw.count) + value.ljust(inline, b"\0")
        place = self._file.tell()
        self._file.write(struct.pack(f"<{counting}", len(tags)) + entries)
        following = self._file.tell()
        self._file.write(bytes(inline))
        end = self._file.tell()
        self._file.seek(pointer)
        self._file.write(struct.pack(f"<{offset}", place))
        self._file.seek(end)
        return following

    def _align(self) -> None:
        self._file.write(bytes(self._file.tell() % 2))


def tiff_bytes(array: np.ndarray, *, tags: Mapping[int, RawTag] | None = None, pages: bool = False) -> bytes:
    """A file of an array ``(H, W, C)``; see `TiffWriter`."""
    height, width, channels = array.shape
    stream = io.BytesIO()
    writer = TiffWriter(stream, (height, width, channels), array.dtype, tags=tags, pages=pages)
    writer.write(array)
    writer.close()
    return stream.getvalue()


def _numbers(code: str, values: list[int]) -> RawTag:
    return RawTag(_KINDS[code], len(values), struct.pack(f"<{len(values)}{code}", *values))
