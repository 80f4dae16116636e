"""Which pixels of an image count: masks in files, and what becomes of them where images are resized.

A mask is an image of the size of the one that it belongs to. Its pixels are valid where any of its channels is not
zero, and where it is no number they are not; the alpha of a picture says nothing.
"""

from collections.abc import Sequence

import numpy as np

from tandem.data.formats.stored import StoredImage
from tandem.data.image_file import ImageFile
from tandem.data.images import ImageReadError, read_stored
from tandem.data.levels import Levels

_SUPPORT = 2
"""Pixels on each side that a bicubic resize looks at, of the larger of the two images."""


def read_mask(file: ImageFile, size: tuple[int, int], image: str) -> np.ndarray:
    """Read a mask: ``(H, W)``, bool, where pixels are valid.

    Args:
        file: The mask.
        size: Height and width of the image that it belongs to.
        image: The name of that image, for messages.

    Raises:
        ImageReadError: The file is unreadable, or of another size.
    """
    return mask_of(read_stored(file), size, str(file), image)


def mask_of(stored: StoredImage, size: tuple[int, int], name: str, image: str) -> np.ndarray:
    """The mask that an image says, as `read_mask`; `name` is what it is called in messages."""
    values = stored.values[:, :, : stored.num_colours or None]
    if values.shape[:2] != size:
        own, other = (f"{width} x {height}" for height, width in (values.shape[:2], size))
        raise ImageReadError(name, f"is {own} pixels, but it is the mask of {image}, {other}: they must be alike")
    if values.dtype.kind == "f":
        values = np.nan_to_num(values, nan=0, posinf=1, neginf=1)
    return (values != 0).any(axis=2)


def left_out(mask: ImageFile | None, image: ImageFile, stored: StoredImage, levels: Levels) -> np.ndarray | None:
    """The pixels that the mask of an image leaves out, ``(H, W)``; None where it has none, or the levels no fill.

    Raises:
        ImageReadError: See `read_mask`.
    """
    if mask is None or levels.fill is None:
        return None
    height, width = stored.values.shape[:2]
    return ~read_mask(mask, (height, width), str(image))


def filled_values(
    stored: StoredImage, channels: int, levels: Levels, masked: np.ndarray | None, file: ImageFile
) -> np.ndarray:
    """The values of an image (`Levels.values_of`) with the fill where it holds nothing, or is masked."""
    return levels.filled(levels.values_of(stored, channels, str(file)), masked)


def valid_pixels(
    images: Sequence[StoredImage], levels: Sequence[Levels], masked: np.ndarray | None
) -> np.ndarray | None:
    """Where all images hold something and nothing is masked, ``(H, W)``; None where the levels have no fill."""
    if levels[0].fill is None:
        return None
    valid = np.ones(images[0].values.shape[:2], bool) if masked is None else ~masked
    for stored, own in zip(images, levels, strict=True):
        if (empty := own.empty(stored)) is not None:
            valid &= ~empty
    return valid


def resize_valid(valid: np.ndarray, height: int, width: int) -> np.ndarray:
    """Which pixels are valid when the image of a mask ``(H, W)`` is resized: ``(height, width)``, bool.

    Those that are computed from valid pixels alone, so that no value of a masked pixel reaches them.
    """
    for axis, side in enumerate((height, width)):
        if valid.shape[axis] != side:
            valid = _resized(valid, axis, side)
    return valid


def _resized(valid: np.ndarray, axis: int, side: int) -> np.ndarray:
    own = valid.shape[axis]
    scale = own / side
    support = _SUPPORT * max(scale, 1)
    centres = (np.arange(side) + 0.5) * scale
    first = np.maximum((centres - support + 0.5).astype(int), 0)
    last = np.minimum((centres + support + 0.5).astype(int), own)
    masked = np.cumsum(~valid, axis=axis, dtype=np.int64)
    masked = np.concatenate([np.zeros_like(masked.take([0], axis)), masked], axis)
    return masked.take(last, axis) == masked.take(first, axis)
