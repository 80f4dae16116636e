"""How sure a model is of an image, as pictures to look at and as a file of numbers."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from tandem.files import atomic_write_bytes
from tandem.report.grid import to_image

WHITE_AT = 0.5
"""Half an interval that is drawn white, on the scale 0 (black) to 1 (white); wider ones are white too."""
FLAG_COLOUR = (213, 94, 0)

_PALE = 0.5  # how far the mean is faded towards white where it is not flagged


@dataclass(frozen=True)
class SpreadPictures:
    """What a page shows of how sure a model is of one input; every picture is a path relative to the page.

    Attributes:
        pictures: (picture, caption) of the mean of the samples, of the intervals' widths, of what was guessed.
        values: The file with the numbers.
        legend: What the pictures show, and what the intervals promise, in sentences.
    """

    pictures: tuple[tuple[str, str], ...]
    values: str
    legend: str


def mean_picture(mean: np.ndarray) -> np.ndarray:
    """Numbers from 0 to 1, ``(H, W, C)``, as uint8."""
    return np.rint(255 * mean).astype(np.uint8)


def width_picture(guessed: np.ndarray) -> np.ndarray:
    """Half intervals, ``(H, W)``, as greys ``(H, W, 1)``, uint8: 0 is black, `WHITE_AT` and more are white."""
    return np.rint(255 * np.minimum(guessed / WHITE_AT, 1)).astype(np.uint8)[:, :, None]


def guessed_picture(mean: np.ndarray, flagged: np.ndarray) -> np.ndarray:
    """The mean, pale and grey, with the flagged pixels in `FLAG_COLOUR`.

    Args:
        mean: ``(H, W, C)``, from 0 to 1.
        flagged: ``(H, W)``, bool.

    Returns:
        ``(H, W, 3)``, uint8.
    """
    colour = mean[:, :, : 1 if mean.shape[2] < 3 else 3].mean(axis=2, keepdims=True)
    pale = np.rint(255 * (_PALE + (1 - _PALE) * colour)).astype(np.uint8)
    return np.where(flagged[:, :, None], np.array(FLAG_COLOUR, np.uint8), pale)


def save_spread_values(path: Path, mean: np.ndarray, guessed: np.ndarray, flagged: np.ndarray) -> None:
    """Write a TIFF of three pages: the mean in 8 bits, half of each pixel's interval in float32, flags as 0 and 255.

    Args:
        path: Ends in .tif.
        mean: ``(H, W, C)``, from 0 to 1.
        guessed: ``(H, W)``, float32, on the same scale.
        flagged: ``(H, W)``, bool.
    """
    first = to_image(mean_picture(mean))
    others = [Image.fromarray(guessed.astype(np.float32)), Image.fromarray(flagged.astype(np.uint8) * 255)]
    buffer = io.BytesIO()
    first.save(buffer, "TIFF", save_all=True, append_images=others, compression="tiff_adobe_deflate")
    atomic_write_bytes(path, buffer.getvalue())
