"""How the two images of a pair lie on each other: shifted, flipped, or as they should.

Compared are their outlines, the magnitudes of gradients, which a drawing and a photo share. The shift is that of phase
correlation (Kuglin and Hines 1975): the inverse transform of the cross-power spectrum has its peak there.
"""

from dataclasses import dataclass

import numpy as np

from tandem.data.pixels import convert_channels, resize

SIDE = 64
"""Outlines are compared at this size."""
_BLUR = 1.0  # standard deviation of the peak, in pixels of the outline


@dataclass(frozen=True)
class Alignment:
    """How image B lies on image A.

    Attributes:
        right: By how many pixels it lies to the right, between minus and plus half of its width.
        down: By how many it lies below.
        peak: How many standard deviations the peak of the phase correlation is above the others.
        at_zero: The same of the place of no shift.
        straight: Correlation of the outlines, in [-1, 1].
        flipped: The same with B flipped from left to right.
        upside_down: The same with B flipped from top to bottom.
    """

    right: float
    down: float
    peak: float
    at_zero: float
    straight: float
    flipped: float
    upside_down: float


def outline(picture: np.ndarray) -> np.ndarray:
    """The magnitude of the gradient of a picture ``(H, W, 3)``, uint8: ``(SIDE, SIDE)``, of mean 0 and length 1."""
    luma = convert_channels(picture, 1).astype(np.float32)[:, :, 0]
    down = np.abs(np.diff(luma, axis=0, append=luma[-1:]))
    across = np.abs(np.diff(luma, axis=1, append=luma[:, -1:]))
    # Thin lines must not get lost where the image is shrunk, so the gradient comes first.
    steep = np.minimum(down + across, 255)[:, :, None]
    small = resize(steep.astype(np.uint8), SIDE, SIDE, method="bilinear")[:, :, 0].astype(np.float64)
    small = np.sqrt(small) - np.sqrt(small).mean()
    length = np.linalg.norm(small)
    return small / length if length > 0 else small


def align(a: np.ndarray, b: np.ndarray, height: int, width: int) -> Alignment | None:
    """Compare two outlines; None where one of them is empty.

    Args:
        a: See `outline`.
        b: Likewise.
        height: Of the images, in pixels.
        width: Likewise.
    """
    if not a.any() or not b.any():
        return None
    window = np.outer(np.hanning(SIDE), np.hanning(SIDE))
    spectrum = np.fft.fft2(b * window) * np.conj(np.fft.fft2(a * window))
    frequency = np.fft.fftfreq(SIDE)
    smooth = np.exp(-2 * (np.pi * _BLUR) ** 2 * (frequency[:, None] ** 2 + frequency[None, :] ** 2))
    surface = np.fft.ifft2(smooth * spectrum / (np.abs(spectrum) + 1e-12)).real
    scores = (surface - np.median(surface)) / (1.4826 * np.median(np.abs(surface - np.median(surface))) + 1e-12)
    row, column = np.unravel_index(scores.argmax(), scores.shape)
    near = scores[np.ix_((-1, 0, 1), (-1, 0, 1))]
    down, right = (int(one) - SIDE if one >= SIDE // 2 else int(one) for one in (row, column))
    return Alignment(
        right=right * width / SIDE,
        down=down * height / SIDE,
        peak=float(scores.max()),
        at_zero=float(near.max()),
        straight=float((a * b).sum()),
        flipped=float((a * b[:, ::-1]).sum()),
        upside_down=float((a * b[::-1]).sum()),
    )
