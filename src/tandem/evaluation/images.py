"""Batches of images for metrics: ``(N, C, H, W)``, uint8, or floats in [-1, 1]; and the scales that metrics want.

Published numbers are those of saved images, 8 bits deep. Floats are taken as they are, not rounded.
"""

import torch
from torch import Tensor

from tandem.errors import DataError

_SLACK = 1e-3  # a generator ends in tanh; resizing and mixed precision overshoot a little


def check_batch(images: Tensor, *, channels: int | None = None) -> None:
    """Refuse what is no batch of images.

    Args:
        images: Anything.
        channels: How many there must be; `None` for any number.

    Raises:
        DataError: The shape, the type or the range of values is another one.
    """
    wanted = "C" if channels is None else str(channels)
    if images.ndim != 4 or 0 in images.shape or channels not in {None, images.shape[1]}:
        raise DataError(
            f"the images have the shape {tuple(images.shape)}; expected (N, {wanted}, H, W), none of them 0."
        )
    if images.dtype == torch.uint8:
        return
    if not images.is_floating_point():
        raise DataError(f"the images are {images.dtype}; expected uint8, or floats in [-1, 1].")
    low, high = (float(value) for value in images.aminmax())
    if not (low >= -1 - _SLACK and high <= 1 + _SLACK):
        raise DataError(f"the images hold values from {low:.4g} to {high:.4g}; floats must be in [-1, 1].")


def to_bytes_scale(images: Tensor, dtype: torch.dtype) -> Tensor:
    """Floats on the scale 0..255."""
    return images.to(dtype) if images.dtype == torch.uint8 else images.to(dtype).add(1).mul_(127.5)


def to_unit_scale(images: Tensor, dtype: torch.dtype) -> Tensor:
    """Floats on the scale 0..1."""
    return images.to(dtype) / 255 if images.dtype == torch.uint8 else images.to(dtype).add(1).div_(2)


def to_signed_scale(images: Tensor, dtype: torch.dtype) -> Tensor:
    """Floats on the scale -1..1."""
    return images.to(dtype).div_(127.5).sub_(1) if images.dtype == torch.uint8 else images.to(dtype)


def check_pair(a: Tensor, b: Tensor) -> None:
    """Refuse two batches that cannot be compared image by image.

    Raises:
        DataError: Their shapes differ, or one is no batch.
    """
    if a.shape != b.shape:
        raise DataError(
            f"images can be compared only at one size and number, not {tuple(a.shape)} and {tuple(b.shape)}."
        )
    check_batch(a)
    check_batch(b)
