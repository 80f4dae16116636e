"""TIFF files whose samples Pillow loses, scales or misreads, in their own type.

Pillow keeps those that it reads right: up to 8 bits in up to four channels of one page, palettes, CMYK, YCbCr, Lab,
JPEG and fax compression. Everything else is read here: 10 to 16 bits, 32-bit and signed integers, floating point,
bands, and pages of one channel each, which are the channels of one image, as in OME-TIFF and ImageJ files.
"""

import os
import re
from dataclasses import replace
from typing import BinaryIO

import numpy as np

from tandem.data.formats.stored import (
    TURNED_ORIENTATIONS,
    StoredImage,
    UnreadableError,
    check_values,
    kind_of_samples,
    turned_upright,
)
from tandem.data.formats.tiff_pixels import (
    NAMES_OF_COMPRESSIONS,
    PREDICTED_COMPRESSIONS,
    READ_COMPRESSIONS,
    dtype_of,
    read_samples,
    require_blocks,
)
from tandem.data.formats.tiff_tags import TiffPage, read_pages

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2
_COLOUR_SPACES = {
    **{0: "grey (WhiteIsZero)", 1: "grey", 2: "RGB", 3: "palette", 4: "mask", 5: "CMYK", 6: "YCbCr", 8: "CIE Lab"},
    **{9: "ICC Lab", 10: "ITU Lab", 32803: "colour filter array", 32844: "LogL", 32845: "LogLuv", 34892: "linear raw"},
}
_COPY_OR_MASK = 1 | 4
_OLD_JPEG = 6
_ASSOCIATED = 1


def read_tiff(stream: BinaryIO, *, pillow: bool = True) -> StoredImage | None:
    """Read a TIFF file.

    Args:
        stream: The file.
        pillow: Whether Pillow is there for what it reads right.

    Returns:
        Its image, upright; None where it is left to Pillow.

    Raises:
        UnreadableError: It is damaged, too large, or of a kind that is not read.
    """
    pages = main_pages(stream)
    first = pages[0]
    check_values(first.width, first.height, _num_channels(pages))
    if pillow and _left_to_pillow(pages):
        if first.compression != _OLD_JPEG:  # which may lie elsewhere
            require_blocks(first)  # Pillow takes those that are there, and white or black for the others
        return None
    require_readable(first)
    if are_channels(pages):
        for page in pages[1:]:
            require_readable(page)
        values = np.concatenate([white_turned(read_samples(stream, page), page) for page in pages], axis=2)
        bits, values = _spread(values, first)
        stored = StoredImage(values, bits, 0, has_alpha=False)
    else:
        stored = _one_page(stream, first)
    kind = f"{describe_samples(first)} TIFF" + (f" of {len(pages)} pages" if len(pages) > 1 else "")
    upright = np.ascontiguousarray(turned_upright(stored.values, first.orientation))
    few = first.bits in (1, 2, 4) and upright.shape[2] == 1
    indices = upright[:, :, 0] // np.uint8(255 // (2**first.bits - 1)) if few else None
    return replace(stored, values=upright, num_frames=len(pages), kind=kind, nodata=_nodata(first), indices=indices)


def _nodata(page: TiffPage) -> float | None:
    try:
        return float(page.nodata) if page.nodata else None
    except ValueError:
        return None


def read_tiff_size(stream: BinaryIO, *, pillow: bool = True) -> tuple[int, int] | None:
    """The ``(width, height)`` of the image of `read_tiff`, with the same arguments; None where it is left to Pillow.

    Raises:
        UnreadableError: The file is damaged, or too large.
    """
    pages = main_pages(stream)
    first = pages[0]
    check_values(first.width, first.height, first.samples)
    if pillow and _left_to_pillow(pages):
        return None
    return (first.height, first.width) if first.orientation in TURNED_ORIENTATIONS else (first.width, first.height)


def read_tiff_channels(stream: BinaryIO) -> int:
    """How many channels the image of `read_tiff` has, from its directories alone.

    Raises:
        UnreadableError: The file is damaged.
    """
    return _num_channels(main_pages(stream))


def _num_channels(pages: list[TiffPage]) -> int:
    return pages[0].samples * (len(pages) if are_channels(pages) else 1)


def main_pages(stream: BinaryIO) -> list[TiffPage]:
    """The pages that are neither smaller copies nor masks of others; ImageJ's, which have no directories, as well.

    Raises:
        UnreadableError: The file is damaged.
    """
    pages = read_pages(stream)
    pages = [page for page in pages if not page.subfile & _COPY_OR_MASK] or pages[:1]
    first = pages[0]
    stacked = re.match(r"ImageJ=[^\n]*\nimages=(\d{1,6})\n", first.description)
    if stacked is None or len(pages) > 1 or first.compression != 1 or not first.offsets:
        return pages
    number, size = int(stacked[1]), first.height * -(-first.width * first.samples * first.bits // 8)
    if first.offsets[0] + number * size > stream.seek(0, os.SEEK_END):
        return pages
    return [
        replace(
            first, offsets=(first.offsets[0] + index * size,), byte_counts=(size,), block=(first.height, first.width)
        )
        for index in range(number)
    ]


def describe_samples(page: TiffPage) -> str:
    """The kind of a page's samples, e.g. ``12-bit``."""
    kind = {2: "i", 3: "f", 5: "c", 6: "c"}.get(page.sample_format, "u")
    return kind_of_samples(np.dtype(f"{kind}{16 if kind == 'c' else 8}"), page.bits)


def are_channels(pages: list[TiffPage]) -> bool:
    """Whether the pages are the channels of one image."""
    grey = pages[0].samples == 1 and pages[0].photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO)
    return len(pages) > 1 and grey and len({page.layout for page in pages}) == 1


def _left_to_pillow(pages: list[TiffPage]) -> bool:
    page = pages[0]
    if page.sample_format not in (1, 4) or are_channels(pages):
        return False
    if page.photometric not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB):
        return page.bits <= 8 or not page.separate
    if page.bits > 8:
        return False
    if page.compression not in READ_COMPRESSIONS:
        return True
    if page.predictor != 1 and page.compression not in PREDICTED_COMPRESSIONS:
        return False
    others = page.samples - (3 if page.photometric == _RGB else 1)
    return not page.separate and (others == 0 or (others == 1 and page.bits == 8))


def require_readable(page: TiffPage) -> None:
    """Refuse a page of a kind that is not read.

    Raises:
        UnreadableError: It is one; says what it is and what to save it as.
    """
    kind, grey = describe_samples(page), page.photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO)
    colours = _COLOUR_SPACES.get(page.photometric, f"colour space {page.photometric}")
    compression = NAMES_OF_COMPRESSIONS.get(page.compression, f"number {page.compression}")
    this = f"a TIFF of {kind} samples, {page.samples} x {colours}, compression {compression}"
    if not (grey or page.photometric == _RGB) or (page.photometric == _RGB and page.samples < 3):
        raise UnreadableError(f"{this}, which is not read: save it as grey or RGB")
    if page.compression not in READ_COMPRESSIONS:
        raise UnreadableError(f"{this}, which is not read: save it with deflate, LZW or no compression")
    dtype = dtype_of(page)
    if dtype is None:
        raise UnreadableError(
            f"{this}: read are integers of 1 to 16 and of 32 bits, signed ones of 8, 16 and 32, floating point of 16, "
            "32 and 64"
        )
    whole = page.bits == 8 * dtype.itemsize
    fits = {2: whole and dtype.kind in "ui", 3: whole and dtype.kind == "f"}.get(page.predictor, False)
    if page.predictor != 1 and not (fits and page.compression in PREDICTED_COMPRESSIONS):
        # Without a compression that takes one, libtiff does not look at it and tifffile does: two different images.
        raise UnreadableError(f"{this}, with predictor {page.predictor}, which does not go with these")
    if page.photometric == _WHITE_IS_ZERO and dtype.kind != "u":
        raise UnreadableError(f"{this}: it says that 0 is white and not what black is: save it with black as the least")


def _one_page(stream: BinaryIO, page: TiffPage) -> StoredImage:
    bits, values = _spread(white_turned(read_samples(stream, page), page), page)
    colours = 3 if page.photometric == _RGB else 1
    if page.extra[:1] == (_ASSOCIATED,) and page.samples > colours:
        values = _unassociated(values, colours)
    return StoredImage(values, bits, *colours_of(page))


def colours_of(page: TiffPage) -> tuple[int, bool]:
    """How many of the samples of a page are colours, and whether alpha follows them."""
    colours = 3 if page.photometric == _RGB else 1
    unnamed = page.photometric == _RGB and page.samples == 4 and not page.extra
    alpha = page.samples > colours and (page.extra[:1] in ((_ASSOCIATED,), (2,)) or unnamed)
    return (0, False) if colours == 1 and page.samples > 1 + alpha else (colours, alpha)  # bands, as GDAL writes them


def _spread(values: np.ndarray, page: TiffPage) -> tuple[int, np.ndarray]:
    """Spread 1, 2 and 4 bits over 8; the bits then."""
    if page.bits not in (1, 2, 4):
        return page.bits, values
    return 8, values * np.uint8(255 // (2**page.bits - 1))


def white_turned(values: np.ndarray, page: TiffPage) -> np.ndarray:
    """Turn the greys of a file whose zero is white; alpha and other extra samples stay."""
    if page.photometric != _WHITE_IS_ZERO:
        return values
    greys = max(page.samples - len(page.extra), 1)
    white = np.array(2**page.bits - 1, values.dtype)
    return np.concatenate([white - values[:, :, :greys], values[:, :, greys:]], axis=2)


def _unassociated(values: np.ndarray, colours: int) -> np.ndarray:
    """Divide colours that were multiplied with alpha by it again."""
    colour, alpha = values[:, :, :colours].astype(np.float64), values[:, :, colours : colours + 1].astype(np.float64)
    white = 1.0 if values.dtype.kind == "f" else float(np.iinfo(values.dtype).max)
    with np.errstate(divide="ignore", invalid="ignore"):
        divided = np.where(alpha > 0, colour * white / alpha, colour)
    whole = divided if values.dtype.kind == "f" else np.floor(np.minimum(divided, white))
    return np.concatenate([whole.astype(values.dtype), values[:, :, colours:]], axis=2)
