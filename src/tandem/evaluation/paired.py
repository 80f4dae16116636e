"""Distances between an image and its truth: L1, PSNR, SSIM, MS-SSIM, one number per image.

Papers: *Image Quality Assessment: From Error Visibility to Structural Similarity* (10.1109/TIP.2003.819861),
*Multiscale Structural Similarity* (10.1109/ACSSC.2003.1292216). Images are on the scale 0..1, windows are Gaussian
(11 px, sigma 1.5), K1 = 0.01, K2 = 0.03, and everything is float64. The numbers are torchmetrics' (to 1e-14),
which is not called for them: its window is not separated, which made SSIM of a 256 px image in float64 take 650 ms
of a core instead of 36, and its PSNR has a factor in float32.

`Border` says what happens where the window reaches over the border, which moves SSIM by about 0.01: ``reflect``
mirrors the image and averages over all of it, as torchmetrics does by default; ``valid`` leaves a border of 5 px out,
as the paper's code does.
"""

from functools import lru_cache
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tandem.errors import DataError
from tandem.evaluation.images import check_pair, to_unit_scale

Border = Literal["reflect", "valid"]

MS_SSIM_MIN_SIDE = 176
"""MS-SSIM halves the image four times (odd sides lose a row), and the window must still fit."""

_WINDOW = 11
_SIGMA = 1.5
_C1, _C2 = 0.01**2, 0.03**2
_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def l1(a: Tensor, b: Tensor) -> Tensor:
    """Mean absolute difference on the scale 0..1.

    Args:
        a: ``(N, C, H, W)``, uint8, or float in [-1, 1].
        b: Likewise.

    Returns:
        ``(N,)``, float64.

    Raises:
        DataError: The images cannot be compared.
    """
    x, y = _unit_pair(a, b)
    return (x - y).abs().mean((1, 2, 3))


def psnr(a: Tensor, b: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB, ``-10 log10(mse)`` on the scale 0..1; infinite for equal images. See `l1`."""
    x, y = _unit_pair(a, b)
    return -10 * (x - y).square().mean((1, 2, 3)).log10()


def ssim(a: Tensor, b: Tensor, *, border: Border = "reflect") -> Tensor:
    """Structural similarity, at most 1. See `l1` and the module.

    Raises:
        DataError: The images cannot be compared, or are smaller than the window.
    """
    x, y = _unit_pair(a, b)
    if min(x.shape[2:]) < _WINDOW:
        raise DataError(f"SSIM needs sides of at least {_WINDOW} px; the images have {tuple(x.shape[2:])}.")
    luminance, contrast = _terms(x, y, border)
    return (luminance * contrast).mean((1, 2, 3))


def ms_ssim(a: Tensor, b: Tensor, *, border: Border = "reflect") -> Tensor:
    """Structural similarity over five scales; negative terms count as 0. See `l1`.

    Contrast is always averaged without the border. With ``reflect`` the similarity of the last scale is averaged over
    the whole map, and all terms over the channels before they are raised to their weights, as torchmetrics does; with
    ``valid`` the border is left out there too, and channels are averaged last, as pytorch-msssim does (which pads odd
    sides).

    Raises:
        DataError: The images cannot be compared, or have a side below `MS_SSIM_MIN_SIDE`.
    """
    x, y = _unit_pair(a, b)
    if min(x.shape[2:]) < MS_SSIM_MIN_SIDE:
        raise DataError(
            f"MS-SSIM needs sides of at least {MS_SSIM_MIN_SIDE} px; the images have {tuple(x.shape[2:])}. Leave it "
            "out, or compare larger images."
        )
    dims = (1, 2, 3) if border == "reflect" else (2, 3)
    terms = []
    for _ in _WEIGHTS[:-1]:
        terms.append(_terms(x, y, "valid")[1].mean(dims))
        x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
    luminance, contrast = _terms(x, y, border)
    terms.append((luminance * contrast).mean(dims))
    product = torch.stack([term.relu() ** weight for term, weight in zip(terms, _WEIGHTS, strict=True)]).prod(0)
    return product if border == "reflect" else product.mean(1)


def _terms(x: Tensor, y: Tensor, border: Border) -> tuple[Tensor, Tensor]:
    """The maps of luminance and of contrast and structure, whose product is the similarity."""
    rows, columns = (torch.from_numpy(_window_matrix(size, border)).to(x) for size in x.shape[2:])
    mean_x, mean_y, square_x, square_y, product = (
        (rows @ z) @ columns.T for z in (x, y, x.square(), y.square(), x * y)
    )
    squares = mean_x.square() + mean_y.square()
    means = mean_x * mean_y
    variances = (square_x + square_y - squares).clamp_(min=0)
    return (2 * means + _C1) / (squares + _C1), (2 * (product - means) + _C2) / (variances + _C2)


@lru_cache(maxsize=32)
def _window_matrix(size: int, border: Border) -> np.ndarray:
    """The ``(out, size)`` matrix that applies the window along one axis."""
    offsets = np.arange(_WINDOW) - _WINDOW // 2
    window = np.exp(-np.square(offsets) / (2 * _SIGMA**2))
    window /= window.sum()
    centres = np.arange(size) if border == "reflect" else np.arange(_WINDOW // 2, size - _WINDOW // 2)
    pixels = np.abs(centres[:, None] + offsets)  # mirrored at the first pixel, then at the last
    pixels = np.minimum(pixels, 2 * (size - 1) - pixels)
    matrix = np.zeros((len(centres), size))
    np.add.at(matrix, (np.arange(len(centres))[:, None], pixels), window[None])
    return matrix


def _unit_pair(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    check_pair(a, b)
    # MPS has no float64.
    a, b = (x.cpu() if x.device.type == "mps" else x for x in (a, b))
    return to_unit_scale(a, torch.float64), to_unit_scale(b, torch.float64)
