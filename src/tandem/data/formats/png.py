"""PNG files of 16 bits, of which Pillow gives the high bytes, in both; and their transparent grey or colour (tRNS)."""

import os
import struct
import zlib

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from tandem.data.formats.carried import NOTHING, Carried
from tandem.data.formats.stored import UnreadableError

_GREYS_OF = {"L;2": 4, "L;4": 16, "L": 256}
"""How many greys there are in Pillow's raw modes of greyscale PNGs."""
_DEEP_COLOURS = {"RGB;16B": "RGB;16L", "RGBA;16B": "RGBA;16L"}
"""Raw modes of 16 bits a channel: as if the low byte came first, what Pillow takes for the high byte is the low one."""
_MOST_DEFLATED = 1032
"""Bytes that a byte of compressed data can stand for: deflate has two bits for 258 bytes."""
_UP = 2
"""The filter of rows that are stored as differences from the row above."""


def require_data(image: PngImageFile) -> None:
    """Refuse a PNG whose file is too small to hold its pixels, before memory is taken for them.

    Raises:
        UnreadableError: It is.
    """
    file = image.fp
    assert file is not None
    begin = file.tell()
    size = file.seek(0, os.SEEK_END)
    file.seek(begin)
    bands = len(image.getbands())
    bits = bands * (16 if (_raw_mode(image) or "").endswith("16B") else 8) if bands > 1 else 1  # of one band at least
    if image.width * image.height * bits // 8 > size * _MOST_DEFLATED:
        raise UnreadableError(f"damaged: {size} bytes cannot hold {image.width} x {image.height} pixels")


def read_deep(image: PngImageFile) -> np.ndarray | None:
    """The samples of a PNG of 16 bits that is not loaded yet.

    Returns:
        ``(H, W, C)``, uint16: grey, grey and alpha, RGB or RGBA, with alpha where a grey or colour is transparent; None
        of fewer bits.
    """
    raw_mode = _raw_mode(image)
    if raw_mode == "I;16B":
        values = np.array(image).astype(np.uint16)[:, :, None]
    elif raw_mode == "LA;16B":
        image.tile = [tile._replace(args="RGBA") for tile in image.tile]  # four bytes a pixel, as they are
        values = np.array(image).view(">u2").astype(np.uint16)
    elif raw_mode in _DEEP_COLOURS:
        low = _loaded_as(image, _DEEP_COLOURS[raw_mode])
        values = np.array(image).astype(np.uint16) * np.uint16(256) + low
    else:
        return None
    transparent = image.info.get("transparency")
    if not isinstance(transparent, int | tuple) or values.shape[2] not in (1, 3):
        return values
    same = (values == np.array(transparent)).all(axis=2)
    return np.concatenate([values, np.where(same, 0, 65535).astype(np.uint16)[:, :, None]], axis=2)


def scale_transparency(image: PngImageFile) -> None:
    """Bring the transparent grey of a PNG that is not loaded yet to the scale of its pixels in Pillow.

    The file says it on the scale of its bit depth, and Pillow keeps it so: of 2 and 4 bits, whose greys Pillow spreads
    to 0 to 255, no pixel would ever be transparent.
    """
    transparent, raw_mode = image.info.get("transparency"), _raw_mode(image)
    if isinstance(transparent, int) and raw_mode in _GREYS_OF:
        greys = _GREYS_OF[raw_mode]
        image.info["transparency"] = (transparent % greys) * (255 // (greys - 1))
    elif isinstance(transparent, tuple) and raw_mode == "RGB":
        image.info["transparency"] = tuple(value % 256 for value in transparent)


def _raw_mode(image: PngImageFile) -> str | None:
    args = image.tile[0].args if image.tile else None
    return args if isinstance(args, str) else None


def _loaded_as(image: PngImageFile, raw_mode: str) -> np.ndarray:
    """The pixels that come of another raw mode, of a PNG that is not loaded yet and stays so."""
    file = image.fp
    assert file is not None
    begin = file.tell()
    file.seek(0)
    with Image.open(file, formats=["PNG"]) as again:
        again.tile = [tile._replace(args=raw_mode) for tile in again.tile]
        pixels = np.array(again)
    file.seek(begin)
    return pixels


def png_bytes(array: np.ndarray, carried: Carried = NOTHING) -> bytes:
    """A PNG of 16 bits of an array ``(H, W, 1 to 4)``, uint16: grey, grey and alpha, RGB or RGBA."""
    height, width, channels = array.shape
    rows = np.ascontiguousarray(array, dtype=">u2").view(np.uint8).reshape(height, -1)
    above = np.concatenate([np.zeros_like(rows[:1]), rows[:-1]])
    filtered = np.concatenate([np.full((height, 1), _UP, np.uint8), rows - above], axis=1)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0))]
    if carried.profile is not None:
        chunks.append((b"iCCP", b"ICC Profile\0\0" + zlib.compress(carried.profile)))
    if carried.resolution is not None:
        x, y = (min(round(value), 2**31 - 1) for value in carried.resolution.per("metre"))
        chunks.append((b"pHYs", struct.pack(">IIB", x, y, carried.resolution.unit != "none")))
    chunks += [(b"IDAT", zlib.compress(filtered.tobytes())), (b"IEND", b"")]
    written = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(written)
