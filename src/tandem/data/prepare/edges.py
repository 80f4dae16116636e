"""Edges of an image as lines of one pixel, by the detector of Canny (1986).

Smoothed, differentiated by Sobel's operator; of the gradient's magnitude only maxima across the edge stay, and of these
the lines that reach the threshold somewhere and `WEAK` of it everywhere.
"""

import numpy as np

from tandem.data.prepare.smoothing import gaussian

WEAK = 0.4
"""Share of the threshold at which a line that has begun still goes on."""
_SOBEL = 8.0  # the operator's weights sum to this on a slope of one a pixel
_AHEAD = ((0, 1), (1, 1), (1, 0), (1, -1))
"""Steps across an edge, (rows, columns), by the direction of its gradient in eighths of a turn."""


def canny(luma: np.ndarray, *, sigma: float, threshold: float) -> np.ndarray:
    """Find the edges of an image.

    Args:
        luma: ``(H, W)``, on any scale.
        sigma: Standard deviation in pixels of the Gaussian that smooths it first.
        threshold: Change from pixel to pixel, on the image's scale, that begins an edge.

    Returns:
        ``(H, W)``, bool.
    """
    smooth = gaussian(luma.astype(np.float32)[:, :, None], sigma)[:, :, 0]
    down, across = _gradient(smooth)
    size = np.hypot(down, across)
    ridge = _maxima(size, down, across)
    return _connected(ridge & (size >= threshold), ridge & (size >= WEAK * threshold))


def _gradient(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The change from pixel to pixel downwards and to the right."""
    padded = np.pad(image, 1, mode="edge")
    rows = padded[2:, :] - padded[:-2, :]
    columns = padded[:, 2:] - padded[:, :-2]
    down = rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]
    across = columns[:-2, :] + 2 * columns[1:-1, :] + columns[2:, :]
    return down / _SOBEL, across / _SOBEL


def _maxima(size: np.ndarray, down: np.ndarray, across: np.ndarray) -> np.ndarray:
    """Where the magnitude of a gradient is the largest of its two neighbours across the edge; of equal ones one."""
    eighth = np.rint(np.arctan2(down, across) / (np.pi / 4)).astype(np.int64) % 4
    height, width = size.shape
    padded = np.pad(size, 1)
    found = np.zeros(size.shape, bool)
    for direction, (rows, columns) in enumerate(_AHEAD):
        ahead = padded[1 + rows : 1 + rows + height, 1 + columns : 1 + columns + width]
        behind = padded[1 - rows : 1 - rows + height, 1 - columns : 1 - columns + width]
        found |= (eighth == direction) & (size > ahead) & (size >= behind)
    return found


def _connected(strong: np.ndarray, weak: np.ndarray) -> np.ndarray:
    """The pixels of `weak` that hang together with one of `strong`, over corners too; each is visited once."""
    height, width = strong.shape
    open_ = np.pad(weak & ~strong, 1).ravel()
    found = np.pad(strong, 1).ravel()
    steps = np.array([r * (width + 2) + c for r in (-1, 0, 1) for c in (-1, 0, 1) if r or c])
    frontier = np.flatnonzero(found)
    while frontier.size:
        near = np.unique(frontier[:, None] + steps)
        frontier = near[open_[near]]
        open_[frontier] = False
        found[frontier] = True
    return found.reshape(height + 2, width + 2)[1:-1, 1:-1]
