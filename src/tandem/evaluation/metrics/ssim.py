"""SSIM: the structural similarity of a sample to its ground truth.

Paper: *Image Quality Assessment: From Error Visibility to Structural Similarity* (10.1109/TIP.2003.819861). Images are
on the scale 0..1, windows are Gaussian (11 px, sigma 1.5), K1 = 0.01, K2 = 0.03, and everything is float64. The numbers
are torchmetrics' (to 1e-14), which is not called for them: its window is not separated, which made SSIM of a 256 px
image in float64 take 650 ms of a core instead of 36.
"""

from functools import lru_cache
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from tandem.errors import DataError
from tandem.evaluation.kinds.paired import PairedMetric, unit_pair, valid_mean
from tandem.evaluation.metric import Needs, Number, Ranking

Border = Literal["reflect", "valid"]
"""What happens where the window reaches over the border, which moves SSIM by about 0.01: ``reflect`` mirrors the image
and averages over all of it, as torchmetrics does by default; ``valid`` leaves a border of 5 px out, as the paper's code
does."""

WINDOW = 11
"""Side of the window in pixels."""

_SIGMA = 1.5
_C1, _C2 = 0.01**2, 0.03**2


def ssim(a: Tensor, b: Tensor, *, border: Border = "reflect", valid: Tensor | None = None) -> Tensor:
    """Structural similarity, 1 for equal images.

    Args:
        a: ``(N, C, H, W)``, uint8, or float in [-1, 1]; sides of at least 11 px.
        b: Likewise.
        border: What happens at the border; see `Border`.
        valid: ``(N, 1, H, W)``, bool: the pixels that count; None for all. The similarity is then averaged over the
            windows that lie in them wholly, and NaN where there are none.

    Returns:
        ``(N,)``, float64, in [-1, 1].

    Raises:
        DataError: The images cannot be compared, or are smaller than the window.

    Examples:
        >>> import torch
        >>> images = torch.linspace(-1, 1, 3 * 16 * 16).reshape(1, 3, 16, 16)
        >>> ssim(images, images)
        tensor([1.], dtype=torch.float64)
    """
    x, y = unit_pair(a, b)
    if min(x.shape[2:]) < WINDOW:
        raise DataError(f"SSIM needs sides of at least {WINDOW} px; the images have {tuple(x.shape[2:])}.")
    luminance, contrast = similarity_terms(x, y, border)
    return valid_mean(luminance * contrast, None if valid is None else _whole_windows(valid, border))


class SSIM(PairedMetric):
    """See `ssim`."""

    name: ClassVar = "ssim"
    title: ClassVar = "SSIM"
    numbers: ClassVar = (
        Number("ssim", "higher", decides_paired=30),
        Number("ssim-best", "higher", of_several=True, decides_paired=40),
    )
    needs: ClassVar = Needs(ground_truth=True, side=WINDOW, brightness=True)
    is_cheap: ClassVar = True
    ranking: ClassVar = Ranking("quality", 20)
    remarks: ClassVar = {"border": "reflect"}
    counts_valid: ClassVar = True
    between = staticmethod(ssim)


def similarity_terms(x: Tensor, y: Tensor, border: Border) -> tuple[Tensor, Tensor]:
    """The maps of luminance and of contrast and structure, whose product is the similarity.

    Args:
        x: ``(N, C, H, W)``, float64 on the scale 0..1.
        y: Likewise.
        border: See `Border`.

    Returns:
        Two maps ``(N, C, H, W)``; with ``valid`` each side is `WINDOW` - 1 shorter.
    """
    rows, columns = (torch.from_numpy(_window_matrix(size, border)).to(x) for size in x.shape[2:])
    mean_x, mean_y, square_x, square_y, product = (
        (rows @ z) @ columns.T for z in (x, y, x.square(), y.square(), x * y)
    )
    squares = mean_x.square() + mean_y.square()
    means = mean_x * mean_y
    variances = (square_x + square_y - squares).clamp_(min=0)
    return (2 * means + _C1) / (squares + _C1), (2 * (product - means) + _C2) / (variances + _C2)


def _whole_windows(valid: Tensor, border: Border) -> Tensor:
    """The pixels ``(N, 1, H, W)`` whose window holds valid ones alone."""
    rows, columns = (torch.from_numpy(_window_matrix(size, border) > 0).double() for size in valid.shape[2:])
    masked = (~valid).double()
    return ((rows @ masked) @ columns.T) == 0


@lru_cache(maxsize=32)
def _window_matrix(size: int, border: Border) -> np.ndarray:
    """The ``(out, size)`` matrix that applies the window along one axis."""
    offsets = np.arange(WINDOW) - WINDOW // 2
    window = np.exp(-np.square(offsets) / (2 * _SIGMA**2))
    window /= window.sum()
    centres = np.arange(size) if border == "reflect" else np.arange(WINDOW // 2, size - WINDOW // 2)
    pixels = np.abs(centres[:, None] + offsets)  # mirrored at the first pixel, then at the last
    pixels = np.minimum(pixels, 2 * (size - 1) - pixels)
    matrix = np.zeros((len(centres), size))
    np.add.at(matrix, (np.arange(len(centres))[:, None], pixels), window[None])
    return matrix
