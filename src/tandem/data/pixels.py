"""Arrays of pixels in memory: their channels, the range of their values, their size.

An *array* is ``(H, W, C)`` with C channels: 1 luma, 2 luma + alpha, 3 RGB, 4 RGBA, or bands that are no colours.
A *tensor* is ``(C, H, W)``, float32, [-1, 1].

- Alpha is composited over white where 1 or 3 channels are asked for; 2 and 4 channels keep it.
- Luma is ITU-R 601 of the (composited) colour; luma becomes RGB by repetition.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from tandem.errors import ConfigError, DataError

if TYPE_CHECKING:
    import torch

ResizeMethod = Literal["nearest", "bilinear", "bicubic", "lanczos"]


def eight_bits(array: np.ndarray) -> np.ndarray:
    """The same image as uint8; of uint16 round(value / 257)."""
    if array.dtype == np.uint8:
        return array
    half_range(array.dtype)
    return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)  # 257 is odd: there are no ties


def convert_channels(array: np.ndarray, channels: int) -> np.ndarray:
    """Convert between luma, luma + alpha, RGB and RGBA.

    Args:
        array: ``(H, W, 1 to 4)``, uint8 or uint16.
        channels: 1 to 4.

    Returns:
        ``(H, W, channels)`` of the same type.
    """
    given = array.shape[2]
    if given == channels:
        return array
    if channels not in (1, 2, 3, 4):
        raise ConfigError(f"{channels} channels were asked for; image files give 1, 2, 3 or 4.")
    if given > 4:
        raise ConfigError(f"{given} channels are no picture of {channels}: only all of them can be taken.")
    colour, alpha = (array[:, :, :-1], array[:, :, -1:]) if given in (2, 4) else (array, None)
    if alpha is not None and channels in (1, 3):
        colour = _over_white(colour, alpha)
    if colour.shape[2] == 3 and channels in (1, 2):
        colour = _luma(colour)
    if colour.shape[2] == 1 and channels in (3, 4):
        colour = np.repeat(colour, 3, axis=2)
    if channels in (1, 3):
        return colour
    opaque = np.full_like(colour[:, :, :1], np.iinfo(colour.dtype).max) if alpha is None else alpha
    return np.concatenate([colour, opaque], axis=2)


def resize(array: np.ndarray, height: int, width: int, *, method: ResizeMethod = "bicubic") -> np.ndarray:
    """Resize ``(H, W, C)`` of any type to ``(height, width, C)``, antialiased when it shrinks.

    Each channel is resized by itself: alpha does not weigh the colours. The same size returns `array` itself. Integers
    are rounded and cut off at the ends of their type; floating point is computed in float32 and may overshoot.
    """
    if array.shape[:2] == (height, width):
        return array
    resampling = Image.Resampling[method.upper()]
    if array.dtype == np.uint8:
        step = 3 if array.shape[2] == 3 else 1
        parts = [array[:, :, first : first + step] for first in range(0, array.shape[2], step)]
        images = [pil_from_array(part).resize((width, height), resampling) for part in parts]
        return np.concatenate([np.array(image).reshape(height, width, step) for image in images], axis=2)
    planes = [Image.fromarray(plane) for plane in np.moveaxis(array, 2, 0).astype(np.float32)]
    values = np.stack([np.array(plane.resize((width, height), resampling)) for plane in planes], axis=2)
    if array.dtype.kind == "f":
        return values.astype(array.dtype)
    ends = np.iinfo(array.dtype)
    return np.rint(np.clip(values.astype(np.float64), ends.min, ends.max)).astype(array.dtype)


def to_floats(array: np.ndarray) -> np.ndarray:
    """Convert ``(H, W, C)``, uint8 or uint16, to ``(C, H, W)``, float32: 0 is -1, the maximum is 1."""
    values = np.ascontiguousarray(np.moveaxis(array, 2, 0), dtype=np.float32)
    values /= half_range(array.dtype)
    values -= 1
    return values


def from_floats(values: np.ndarray, dtype: npt.DTypeLike = np.uint8) -> np.ndarray:
    """Convert ``(..., C, H, W)`` in [-1, 1] to ``(..., H, W, C)`` of `dtype` (uint8 or uint16).

    Values are clamped to [-1, 1] and rounded to nearest, so that `to_floats` is undone exactly.

    Raises:
        DataError: A value is not finite.
    """
    channels, height, width = values.shape[-3:]
    array = np.empty((*values.shape[:-3], height, width, channels), dtype)
    for rows in row_blocks(height, values.size // max(1, height)):
        part = values[..., rows, :]
        if not np.isfinite(part).all():
            raise DataError(f"An image of shape {tuple(values.shape)} holds values that are not finite.")
        array[..., rows, :, :] = np.moveaxis(np.rint((np.clip(part, -1, 1) + 1) * half_range(dtype)), -3, -1)
    return array


def row_blocks(height: int, values_a_row: int, at_most: int = 2**20) -> Iterator[slice]:
    """Blocks of rows of so many values: by default several copies in float64 are nothing beside a large image."""
    step = max(1, at_most // max(1, values_a_row))
    return (slice(first, min(height, first + step)) for first in range(0, height, step))


def half_range(dtype: npt.DTypeLike) -> float:
    """How many steps of an array's type make one unit of [-1, 1]: 127.5 of uint8, 32767.5 of uint16."""
    if np.dtype(dtype) not in (np.uint8, np.uint16):
        raise DataError(f"Images are uint8 or uint16 arrays, not {np.dtype(dtype)}.")
    return np.iinfo(dtype).max / 2


def to_tensor(array: np.ndarray) -> "torch.Tensor":
    """`to_floats` as a tensor."""
    import torch  # noqa: PLC0415  (decoding alone must not load torch)

    return torch.from_numpy(to_floats(array))


def to_array(tensor: "torch.Tensor", dtype: npt.DTypeLike = np.uint8) -> np.ndarray:
    """`from_floats` of a tensor of any device and floating type."""
    return from_floats(tensor.detach().cpu().float().numpy(), dtype)


def pil_from_array(array: np.ndarray) -> Image.Image:
    """Convert ``(H, W, C)`` to a Pillow image: uint8 with 1 to 4 channels, or uint16 with one (mode I;16)."""
    channels = array.shape[2] if array.ndim == 3 else 0
    wide = array.dtype == np.uint16 and channels == 1
    if not wide and (array.dtype != np.uint8 or channels not in (1, 2, 3, 4)):
        raise DataError(
            f"An array of shape {array.shape} and type {array.dtype} has no picture form: expected "
            "(H, W, C), uint8 with C from 1 to 4, or uint16 with C = 1."
        )
    return Image.fromarray(np.ascontiguousarray(array[:, :, 0] if channels == 1 else array))


def pil_from_indices(indices: np.ndarray, palette: Mapping[int, tuple[int, int, int]]) -> Image.Image:
    """A Pillow image with a palette (mode P) of an index image ``(H, W, 1)``, uint8, and the colours of its indices."""
    image = Image.fromarray(np.ascontiguousarray(indices[:, :, 0]))
    colours = [part for index in range(max(palette) + 1) for part in palette.get(index, (0, 0, 0))]
    image.putpalette(colours)
    return image


def _luma(colour: np.ndarray) -> np.ndarray:
    """ITU-R 601 luma ``(H, W, 1)`` of RGB, by the integers that Pillow computes it with."""
    if colour.dtype == np.uint8:
        return np.array(Image.fromarray(np.ascontiguousarray(colour)).convert("L"))[:, :, None]
    weighted = colour.astype(np.uint32) * np.array([19595, 38470, 7471], np.uint32)
    total = weighted.sum(axis=2, keepdims=True, dtype=np.uint64)
    return ((total + 32768) >> 16).astype(colour.dtype)


def _over_white(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    white = np.iinfo(colour.dtype).max
    wide = np.uint16 if white == 255 else np.uint32
    weight = alpha.astype(wide)
    return ((colour * weight + white * (white - weight) + white // 2) // white).astype(colour.dtype)
