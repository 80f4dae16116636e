"""Smoothing images with a Gaussian, exactly: libraries of pictures approximate it with boxes."""

import numpy as np

REACH = 4.0
"""Standard deviations after which the weights end."""


def gaussian(values: np.ndarray, sigma: float) -> np.ndarray:
    """Convolve with a Gaussian; beyond the edges the image goes on as its mirror image.

    Args:
        values: ``(H, W, C)``, float32, on any scale.
        sigma: Standard deviation in pixels, above 0.

    Returns:
        The same shape and type.
    """
    radius = max(1, round(REACH * sigma))
    weights = np.exp(-0.5 * np.square(np.arange(-radius, radius + 1) / sigma))
    weights /= weights.sum()
    for axis in (0, 1):
        sides = [(radius, radius) if one == axis else (0, 0) for one in range(3)]
        padded, length = np.pad(values, sides, mode="symmetric"), values.shape[axis]
        total = np.zeros(values.shape, np.float32)
        for index, weight in enumerate(weights.astype(np.float32)):
            total += weight * (padded[index : index + length] if axis == 0 else padded[:, index : index + length])
        values = total
    return values
