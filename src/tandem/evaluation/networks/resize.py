"""The resizes that published numbers depend on, as batched matrix products on any device.

Every one of them is separable, so an image is ``rows @ image @ columns.T`` with two small matrices. These are zero but
for a narrow band along the diagonal, so that the CPU multiplies them piece by piece.

- ``clean``: clean-fid's (2104.11222): bicubic (a = -0.5) with antialiasing when shrinking, as Pillow does it on
  floats, clipped to 0..255 and not rounded.
- ``torch-fidelity``: TensorFlow 1.x bilinear, no half-pixel offset, no antialiasing: what the original FID code did.
- ``pytorch-fid``: bilinear with half-pixel centres, no antialiasing.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from tandem.errors import DataError
from tandem.evaluation.options import Resizer

RESIZERS: tuple[Resizer, ...] = ("clean", "torch-fidelity", "pytorch-fid")
"""All of them; `clean` is the default everywhere, since shrinking without antialiasing changes the distances."""

_PIECES = 12
"""From 256 to 299 px they take a fifth of the CPU time of whole matrices; from 8 to 16 pieces take about the same."""


def resize_images(
    images: Tensor, size: tuple[int, int], *, resizer: Resizer, dtype: torch.dtype | None = None
) -> Tensor:
    """Resize a batch.

    Args:
        images: ``(N, C, H, W)``, uint8 or float, on the scale 0..255.
        size: Height and width of the result.
        resizer: See the module.
        dtype: Floating type to compute in; that of `images`, or float32 for uint8.

    Returns:
        ``(N, C, *size)``, floating, still on the scale 0..255.

    Raises:
        DataError: `images` is no batch.
    """
    if images.ndim != 4 or 0 in images.shape:
        raise DataError(f"the images have the shape {tuple(images.shape)}; expected (N, C, H, W), none of them 0.")
    if dtype is None:
        dtype = images.dtype if images.is_floating_point() else torch.float32
    height, width = images.shape[2:]
    x = images.to(dtype)
    if (height, width) == size and resizer != "clean":
        return x
    # The order that makes the product in between smaller.
    for axis in (2, 3) if size[0] * width <= size[1] * height else (3, 2):
        x = _resize_axis(x, axis, size[axis - 2], resizer)
    return x.clamp_(0, 255) if resizer == "clean" else x


def _resize_axis(x: Tensor, axis: int, wanted: int, resizer: Resizer) -> Tensor:
    shape = [*x.shape]
    shape[axis] = wanted
    result = x.new_empty(shape)
    # A GPU is faster with one large product than with the starts of many small ones.
    for piece in _pieces(x.shape[axis], wanted, resizer, _PIECES if x.device.type == "cpu" else 1):
        weights = torch.from_numpy(piece.weights).to(x.device, x.dtype)
        if axis == 2:
            result[:, :, piece.to] = weights @ x[:, :, piece.of]
        else:
            result[..., piece.to] = x[..., piece.of] @ weights.T
    return result


@dataclass(frozen=True)
class _Piece:
    """Some rows of a matrix, without the columns that are zero in all of them."""

    to: slice
    of: slice
    weights: np.ndarray


@lru_cache(maxsize=64)
def _pieces(given: int, wanted: int, resizer: Resizer, number: int) -> tuple[_Piece, ...]:
    matrix = resize_matrix(given, wanted, resizer)
    pieces = []
    for rows in np.array_split(np.arange(wanted), min(number, wanted)):
        to = slice(int(rows[0]), int(rows[-1]) + 1)
        used = np.flatnonzero(matrix[to].any(axis=0))
        of = slice(int(used[0]), int(used[-1]) + 1)
        pieces.append(_Piece(to, of, np.ascontiguousarray(matrix[to, of])))
    return tuple(pieces)


@lru_cache(maxsize=64)
def resize_matrix(given: int, wanted: int, resizer: Resizer) -> np.ndarray:
    """The ``(wanted, given)`` float64 matrix that resizes one axis; rows sum to 1."""
    match resizer:
        case "clean":
            return _antialiased_bicubic(given, wanted)
        case "torch-fidelity":
            # The ratio is a float32 in the original.
            return _bilinear(np.arange(wanted) * float(np.float32(given / wanted)), given)
        case "pytorch-fid":
            centres = (np.arange(wanted) + 0.5) * (given / wanted) - 0.5
            return _bilinear(np.maximum(centres, 0), given)


def _bilinear(positions: np.ndarray, given: int) -> np.ndarray:
    lower = np.floor(positions).astype(np.int64)
    fraction = positions - lower
    matrix = np.zeros((len(positions), given))
    rows = np.arange(len(positions))
    np.add.at(matrix, (rows, np.minimum(lower, given - 1)), 1 - fraction)
    np.add.at(matrix, (rows, np.minimum(lower + 1, given - 1)), fraction)
    return matrix


def _antialiased_bicubic(given: int, wanted: int) -> np.ndarray:
    """Weights of Pillow's resampling: the kernel stretched when shrinking, cut at the edges, normalised."""
    ratio = given / wanted
    stretch = max(ratio, 1.0)
    reach = 2.0 * stretch
    centres = (np.arange(wanted) + 0.5) * ratio
    first = np.maximum(np.floor(centres - reach + 0.5).astype(np.int64), 0)
    last = np.minimum(np.floor(centres + reach + 0.5).astype(np.int64), given)
    pixels = np.arange(given)
    inside = (pixels >= first[:, None]) & (pixels < last[:, None])
    weights = np.where(inside, _cubic((pixels + 0.5 - centres[:, None]) / stretch), 0.0)
    return weights / weights.sum(axis=1, keepdims=True)


def _cubic(distance: np.ndarray, a: float = -0.5) -> np.ndarray:
    x = np.abs(distance)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))
