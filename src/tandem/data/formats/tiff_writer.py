"""TIFF files of any type and number of channels: baseline layout, little-endian, deflate, strips."""

import struct
import zlib

import numpy as np

_STRIP_BYTES = 2**18
_FORMATS = {"u": 1, "i": 2, "f": 3}
_ALPHA, _UNSPECIFIED = 2, 0
MAX_BYTES = 2**32 - 2**16
"""Of a classic TIFF; what may come out larger is refused."""


def tiff_bytes(array: np.ndarray) -> bytes:
    """A file of an array ``(H, W, C)``.

    Of unsigned samples one channel is grey, two are grey with alpha, three RGB, four RGBA; other channels are bands.
    Integers of 8 and 16 bits are stored as horizontal differences, which deflate well and every reader undoes.
    """
    height, width, channels = array.shape
    picture = array.dtype.kind == "u" and channels <= 4
    colours = {1: 1, 2: 1, 3: 3, 4: 3}[channels] if picture else 1
    extra = [_ALPHA if picture else _UNSPECIFIED] * (channels - colours)
    bits, predicted = 8 * array.itemsize, array.dtype.kind in "ui" and array.itemsize <= 2
    rows = max(1, min(height, _STRIP_BYTES // max(width * channels * array.itemsize, 1)))
    strips = []
    for top in range(0, height, rows):
        part = array[top : top + rows]
        if predicted:
            part = np.concatenate([part[:, :1], part[:, 1:] - part[:, :-1]], axis=1)
        strips.append(zlib.compress(np.ascontiguousarray(part, dtype=array.dtype.newbyteorder("<")).tobytes()))
    offsets = (8 + np.cumsum([0, *map(len, strips)])).tolist()
    tags: dict[int, tuple[str, list[int]]] = {
        256: ("I", [width]),
        257: ("I", [height]),
        258: ("H", [bits] * channels),
        259: ("H", [8]),
        262: ("H", [2 if colours == 3 else 1]),
        273: ("I", offsets[:-1]),
        277: ("H", [channels]),
        278: ("I", [rows]),
        279: ("I", [len(strip) for strip in strips]),
        284: ("H", [1]),
        **({317: ("H", [2])} if predicted else {}),
        **({338: ("H", extra)} if extra else {}),
        339: ("H", [_FORMATS[array.dtype.kind]] * channels),
    }
    body = b"".join(strips)
    body += bytes(len(body) % 2)
    entries = b""
    for tag, (code, values) in tags.items():
        packed = struct.pack(f"<{len(values)}{code}", *values)
        if len(packed) > 4:
            place = struct.pack("<I", 8 + len(body))
            body += packed + bytes(len(packed) % 2)
            packed = place
        entries += struct.pack("<HHI", tag, {"H": 3, "I": 4}[code], len(values)) + packed.ljust(4, b"\0")
    return b"II*\0" + struct.pack("<I", 8 + len(body)) + body + struct.pack("<H", len(tags)) + entries + bytes(4)
