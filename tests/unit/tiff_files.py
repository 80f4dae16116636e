"""TIFF files written byte by byte, for tests of whoever reads them: TIFF 6.0, BigTIFF, Technical Note 3."""

import itertools
import lzma
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

COMPRESSIONS = {"none": 1, "lzw": 5, "deflate": 8, "packbits": 32773, "lzma": 34925}
SAMPLE_FORMATS = {"u": 1, "i": 2, "f": 3}


@dataclass(frozen=True)
class TiffLayout:
    """How the samples of a file lie; see the names of TIFF 6.0."""

    order: str = "<"
    big: bool = False
    separate: bool = False
    block: tuple[int, int] | None = None  # rows of a strip, or sides of tiles where `tiled`
    tiled: bool = False
    compression: str = "none"
    predictor: int = 1
    reversed_bits: bool = False


def tiff_bytes(
    pages: Sequence[np.ndarray],
    *,
    bits: int,
    photometric: int,
    layout: TiffLayout | None = None,
    extra: Sequence[int] = (),
    description: bytes = b"",
    orientation: int = 1,
) -> bytes:
    """A file of pages ``(H, W, samples)``; unsigned samples may have any number of bits, others that of their type."""
    layout = layout or TiffLayout()
    order, offset = layout.order, "Q" if layout.big else "I"
    mark = {"<": b"II", ">": b"MM"}[order]
    head = 16 if layout.big else 8
    body = bytearray()
    directories: list[dict[int, tuple[str, list[int] | bytes]]] = []
    for page in pages:
        height, width, samples = page.shape
        blocks = [_packed(part, bits, layout) for part in _blocks(page, layout)]
        at = []
        for block in blocks:
            at.append(head + len(body))
            body += block + bytes(len(block) % 2)
        rows, columns = layout.block or (height, width)
        tags: dict[int, tuple[str, list[int] | bytes]] = {
            256: ("I", [width]),
            257: ("H", [height]),
            258: ("H", [bits] * samples),
            259: ("H", [COMPRESSIONS[layout.compression]]),
            262: ("H", [photometric]),
            277: ("H", [samples]),
            284: ("H", [2 if layout.separate else 1]),
            339: ("H", [SAMPLE_FORMATS[page.dtype.kind]] * samples),
        }
        if layout.tiled:
            tags |= {322: ("H", [columns]), 323: ("H", [rows]), 324: (offset, at)}
            tags[325] = ("I", [len(block) for block in blocks])
        else:
            tags |= {273: (offset, at), 278: ("H", [rows]), 279: ("I", [len(block) for block in blocks])}
        if extra:
            tags[338] = ("H", list(extra))
        if layout.predictor != 1:
            tags[317] = ("H", [layout.predictor])
        if layout.reversed_bits:
            tags[266] = ("H", [2])
        if orientation != 1:
            tags[274] = ("H", [orientation])
        if description:
            tags[270] = ("s", description + b"\0")
        directories.append(dict(sorted(tags.items())))
    return _with_head(mark, order, layout.big, bytes(body), directories)


def _with_head(
    mark: bytes, order: str, big: bool, body: bytes, directories: Sequence[dict[int, tuple[str, list[int] | bytes]]]
) -> bytes:
    offset, size, counting = ("Q", 8, "Q") if big else ("I", 4, "H")
    version = struct.pack(f"{order}HHH", 43, 8, 0) if big else struct.pack(f"{order}H", 42)
    start = len(mark + version) + size
    file = bytearray(body)
    where = []
    for tags in directories:
        entries = b""
        for tag, (code, values) in tags.items():
            number = len(values)
            packed = values if isinstance(values, bytes) else struct.pack(f"{order}{number}{code}", *values)
            kind = {"s": 2, "H": 3, "I": 4, "Q": 16}[code]
            if len(packed) > size:
                file += bytes((start + len(file)) % 2)
                place = struct.pack(f"{order}{offset}", start + len(file))
                file += packed
                packed = place
            entries += struct.pack(f"{order}HH{offset}", tag, kind, number) + packed.ljust(size, b"\0")
        file += bytes((start + len(file)) % 2)
        where.append(start + len(file))
        file += struct.pack(f"{order}{counting}", len(tags)) + entries + bytes(size)
    for first, second in itertools.pairwise(where):
        tags = directories[where.index(first)]
        end = first + struct.calcsize(f"{order}{counting}") + len(tags) * (4 + 2 * size)
        file[end - start : end - start + size] = struct.pack(f"{order}{offset}", second)
    return mark + version + struct.pack(f"{order}{offset}", where[0]) + bytes(file)


def _blocks(page: np.ndarray, layout: TiffLayout) -> list[np.ndarray]:
    """The strips or tiles of a page, all of one plane before the next; tiles are padded by their last pixels."""
    height, width, samples = page.shape
    rows, columns = layout.block or (height, width)
    columns = columns if layout.tiled else width
    planes = [page[:, :, index : index + 1] for index in range(samples)] if layout.separate else [page]
    found = []
    for plane in planes:
        for top in range(0, height, rows):
            for left in range(0, width, columns):
                part = plane[top : top + rows, left : left + columns]
                if layout.tiled:
                    missing = ((0, rows - part.shape[0]), (0, columns - part.shape[1]), (0, 0))
                    part = np.pad(part, missing, mode="edge")
                found.append(part)
    return found


def _packed(part: np.ndarray, bits: int, layout: TiffLayout) -> bytes:
    rows, columns, depth = part.shape
    kind = part.dtype.newbyteorder(layout.order)
    if layout.predictor == 2:
        part = np.concatenate([part[:, :1], part[:, 1:] - part[:, :-1]], axis=1)
    if layout.predictor == 3:
        size = part.dtype.itemsize
        parts = part.reshape(rows, -1).astype(part.dtype.newbyteorder(">")).view(np.uint8).reshape(rows, -1, size)
        swapped = parts.swapaxes(1, 2).reshape(rows, columns * size, depth)
        data = np.concatenate([swapped[:, :1], swapped[:, 1:] - swapped[:, :-1]], axis=1).tobytes()
    elif bits == 8 * part.dtype.itemsize:
        data = part.astype(kind).tobytes()
    else:
        lines = ["".join(f"{int(value):0{bits}b}" for value in row) for row in part.reshape(rows, -1)]
        data = b"".join(int(line.ljust(-(-len(line) // 8) * 8, "0"), 2).to_bytes(-(-len(line) // 8)) for line in lines)
    match layout.compression:
        case "deflate":
            data = zlib.compress(data)
        case "lzma":
            data = lzma.compress(data)
        case "packbits":
            pieces = [data[start : start + 128] for start in range(0, len(data), 128)]
            data = b"".join(bytes([len(piece) - 1]) + piece for piece in pieces)
        case "lzw":
            data = _lzw(data)
    return bytes(int(f"{byte:08b}"[::-1], 2) for byte in data) if layout.reversed_bits else data


def _lzw(data: bytes) -> bytes:
    """LZW in which the table is cleared before codes grow beyond 9 bits, so that it may hold anything."""
    codes = [256]
    for number, byte in enumerate(data):
        if number % 200 == 199:
            codes.append(256)
        codes.append(byte)
    line = "".join(f"{code:09b}" for code in [*codes, 257])
    return int(line.ljust(-(-len(line) // 8) * 8, "0"), 2).to_bytes(-(-len(line) // 8))
