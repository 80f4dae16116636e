"""How much there is to see in an image: its contrast and its detail, both 0 for an image of one colour."""

import torch.nn.functional as F
from torch import Tensor

from tandem.data.check_images import SPREAD_SIZE

LEAST_CONTRAST = 0.5
"""Of outputs beside real images, under which a model has learnt little more than a mean colour. SSIM and L1 may prefer
that for long: on 100 pairs of shoes at 64 px the flat grey of step 1 (0.01) had an SSIM of 0.42, the blotches of step
150 (0.57) one of 0.26."""
LEAST_DETAIL = 0.25
"""Likewise: less is a blur in which no shape has an edge. Outputs that are merely softer than real ones have more."""


def contrast(images: Tensor) -> Tensor:
    """Standard deviation over the pixels of each channel, the mean over the channels.

    Args:
        images: ``(N, C, H, W)``, float, on any scale.

    Returns:
        ``(N,)``, float, on the images' scale, at least 0.
    """
    return images.flatten(2).std(2, correction=0).mean(1)


def detail(images: Tensor) -> Tensor:
    """Mean absolute difference of neighbouring pixels, in rows and in columns, of the image at 64 px.

    Larger sides are shrunk to that first: edges of shapes count, and whether an image was computed at its size or
    brought to it does not.

    Args:
        images: ``(N, C, H, W)``, float, on any scale; sides of at least 2 px.

    Returns:
        ``(N,)``, float, on the images' scale, at least 0.
    """
    height, width = images.shape[2:]
    side = (min(height, SPREAD_SIZE), min(width, SPREAD_SIZE))
    if side != (height, width):
        images = F.interpolate(images, side, mode="bicubic", align_corners=False, antialias=True)
    across = (images[..., 1:] - images[..., :-1]).abs().mean((1, 2, 3))
    down = (images[..., 1:, :] - images[..., :-1, :]).abs().mean((1, 2, 3))
    return 0.5 * (across + down)
