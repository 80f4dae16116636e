"""Augmentation beyond crop and flip: quarter turns, rotation, scale, elastic deformation, and colour on one side.

All images of a pair are moved by one draw. A crop's pixels are looked up in the image around it, in one interpolation
however many of these are on: bilinear, or nearest for label maps, whose values must not mix. Beyond the edges the image
goes on as its mirror image. Elastic deformation moves points by a smooth random field (Simard et al. 2003): Gaussian
numbers on a coarse grid as coefficients of cubic B-splines. Everything follows from the generator that is handed in.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from tandem.data.augment import CropWindow

Sides = Literal["none", "input", "output", "both"]
ELASTIC_CELLS = 4
"""Cells of the coarse grid on the shorter side."""
SPLINE_DEVIATION = 151 / 315
"""Of a surface of cubic B-splines whose coefficients have one: their autocorrelation at 0."""


@dataclass(frozen=True)
class Warp:
    """What is done to a crop, drawn once.

    Attributes:
        quarters: Quarter turns, counter-clockwise.
        offsets: By how many pixels down and to the right each pixel is looked up from its place, ``(2, h, w)``; None
            where nothing but quarter turns is drawn.
    """

    quarters: int = 0
    offsets: np.ndarray | None = None

    def cut(self, planes: np.ndarray, window: CropWindow, *, nearest: bool) -> np.ndarray:
        """The crop of an image ``(C, H, W)`` of any type: ``(C, height, width)`` of the same type."""
        if self.offsets is None:
            part = window.cut(planes)
        else:
            part = self._looked_up(planes, window, nearest=nearest)
            part = part[:, :, :: -1 if window.flipped else 1]
        return np.rot90(part, self.quarters, (1, 2))

    def cut_valid(self, planes: np.ndarray, window: CropWindow) -> np.ndarray:
        """The crop of a mask ``(1, H, W)``, 0 or 1, likewise: valid is what is interpolated of valid pixels alone."""
        masked = self.cut((planes == 0).astype(np.float64), window, nearest=False)
        return (masked == 0).astype(planes.dtype)

    def _looked_up(self, planes: np.ndarray, window: CropWindow, *, nearest: bool) -> np.ndarray:
        assert self.offsets is not None
        rows = window.top + np.arange(window.height)[:, None] + self.offsets[0]
        columns = window.left + np.arange(window.width)[None, :] + self.offsets[1]
        height, width = planes.shape[1:]
        if nearest:
            return planes[:, _mirrored(np.rint(rows), height), _mirrored(np.rint(columns), width)]
        top, left = np.floor(rows), np.floor(columns)
        down, right = rows - top, columns - left
        total = np.zeros((len(planes), window.height, window.width))
        for row, of_row in ((top, 1 - down), (top + 1, down)):
            for column, of_column in ((left, 1 - right), (left + 1, right)):
                total += of_row * of_column * planes[:, _mirrored(row, height), _mirrored(column, width)]
        return (np.rint(total) if planes.dtype.kind in "ui" else total).astype(planes.dtype)


@dataclass(frozen=True)
class Augmentation:
    """What is drawn; all zero is nothing.

    Attributes:
        turns: Quarter turns, half turns where a crop is not square.
        rotate: Largest rotation in degrees.
        scale: Largest change of scale: 0.2 draws from 1 / 1.2 to 1.2.
        elastic: Standard deviation of the elastic deformation, in pixels.
        colour: Largest change of brightness, as a share of half the range, and of contrast; to which of each channel by
            itself comes half as much.
        colour_of: Whose.
        nearest: Which sides hold labels, so that values do not mix.
    """

    turns: bool = False
    rotate: float = 0.0
    scale: float = 0.0
    elastic: float = 0.0
    colour: float = 0.0
    colour_of: Literal["input", "output"] = "input"
    nearest: Sides = "none"

    @property
    def moves(self) -> bool:
        """Whether pixels are moved."""
        return self.turns or self.resamples

    @property
    def resamples(self) -> bool:
        """Whether pixels are interpolated."""
        return bool(self.rotate or self.scale or self.elastic)

    def is_nearest(self, side: int) -> bool:
        """Whether side 0, the input, or 1, the output, holds labels."""
        return self.nearest in ("both", ("input", "output")[side])

    def draw(self, height: int, width: int, generator: np.random.Generator) -> Warp:
        """Draw what is done to crops of a size."""
        quarters = 0
        if self.turns:
            quarters = int(generator.integers(4)) if height == width else 2 * int(generator.integers(2))
        if not self.resamples:
            return Warp(quarters)
        angle = np.deg2rad(self.rotate) * generator.uniform(-1, 1)
        scale = (1 + self.scale) ** generator.uniform(-1, 1)
        down = np.arange(height)[:, None] - (height - 1) / 2
        right = np.arange(width)[None, :] - (width - 1) / 2
        cosine, sine = np.cos(angle) / scale, np.sin(angle) / scale
        offsets = np.stack([cosine * down - sine * right - down, sine * down + cosine * right - right])
        if self.elastic:
            offsets += self.elastic * _smooth_field(height, width, generator)
        return Warp(quarters, offsets)

    def recolour(self, values: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Change brightness and contrast of ``(C, H, W)``, float32 in [-1, 1]; what leaves the range is cut off."""
        each = generator.uniform(-0.5, 0.5, (2, len(values), 1, 1)) * self.colour
        shift, gain = generator.uniform(-1, 1, (2, 1, 1, 1)) * self.colour + each
        return np.clip(values * (1 + gain) + shift, -1, 1).astype(np.float32)


def _smooth_field(height: int, width: int, generator: np.random.Generator) -> np.ndarray:
    """Two fields ``(2, height, width)`` of standard deviation one: cubic B-splines of numbers on a coarse grid."""
    step = min(height, width) / ELASTIC_CELLS
    rows, columns = (int(np.ceil(side / step)) + 3 for side in (height, width))
    field = generator.standard_normal((2, rows, columns))
    for axis, side in ((1, height), (2, width)):
        at = np.arange(side) / step
        first = at.astype(np.int64)
        t = (at - first).reshape(-1, 1) if axis == 1 else at - first
        weights = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
        parts = [weight / 6 * field.take(first + index, axis) for index, weight in enumerate(weights)]
        field = np.sum(parts, axis=0)
    return field / SPLINE_DEVIATION


def _mirrored(places: np.ndarray, length: int) -> np.ndarray:
    """Indices inside of a side, as those of a mirror image that goes on beyond its edges; the edge comes twice."""
    places = places.astype(np.int64) % (2 * length)
    return np.where(places < length, places, 2 * length - 1 - places)
