"""One pair of the demo dataset: a drawing, its rendering, and what is known about both."""

from dataclasses import dataclass

import numpy as np

from tandem.data.synthetic.geometry import Outline, place
from tandem.data.synthetic.kinds import BUILDERS
from tandem.data.synthetic.modes import MODES, mode_weights
from tandem.data.synthetic.raster import rasterize
from tandem.data.synthetic.render import body_mask, render
from tandem.errors import ConfigError
from tandem.rng import numpy_generator

GENERATOR_VERSION = 1
"""Raised whenever the same (seed, index, size) gives other pixels."""

MIN_SIZE = 16
MAX_SIZE = 2048

KINDS: tuple[str, ...] = tuple(BUILDERS)
"""The kinds of object, equally frequent."""


@dataclass(frozen=True)
class Drawing:
    """A pair and what is known about it.

    Args:
        a: ``(size, size, 3)`` uint8 sRGB: dark lines on white.
        b: ``(size, size, 3)`` uint8 sRGB: the same object in a mode.
        mask: ``(size, size)`` float32 in [0, 1]: the share of each pixel that shows the colour of the mode;
            lines are left out.
        mode: Index in `MODES`.
        kind: One of `KINDS`.
    """

    a: np.ndarray
    b: np.ndarray
    mask: np.ndarray
    mode: int
    kind: str


def kind_of(index: int, *, seed: int = 0) -> str:
    """The kind of the object with this index, without drawing it."""
    return KINDS[int(numpy_generator(seed, "synthetic/kind", position=index).integers(len(KINDS)))]


def mode_of(index: int, *, seed: int = 0) -> int:
    """The mode of the rendering with this index, drawn with the weights of `MODES`, without rendering it."""
    draw = numpy_generator(seed, "synthetic/mode", position=index).random()
    return min(int(np.searchsorted(np.cumsum(mode_weights()), draw, side="right")), len(MODES) - 1)


def outline_of(index: int, *, seed: int = 0) -> Outline:
    """The object with this index as vectors in the unit square, the same for every size and mode."""
    rng = numpy_generator(seed, "synthetic/geometry", position=index)
    return place(BUILDERS[kind_of(index, seed=seed)](rng), rng)


def draw_mask(index: int, *, size: int = 64, seed: int = 0) -> np.ndarray:
    """`Drawing.mask` alone, without rendering.

    Raises:
        ConfigError: See `draw_pair`.
    """
    _check(index, size)
    outline = outline_of(index, seed=seed)
    return body_mask(outline, rasterize(outline, size))


def draw_pair(index: int, *, size: int = 64, seed: int = 0, mode: int | None = None) -> Drawing:
    """Draw the pair with this index; the same arguments give the same pixels.

    Args:
        index: Which object; not negative.
        size: Side of both pictures in pixels, 16 to 2048.
        seed: Of the dataset.
        mode: Index in `MODES` to show the same object in, or None for the one that was drawn for it,
            independently of the object.

    Raises:
        ConfigError: If the size, the index or the mode is out of range.
    """
    _check(index, size)
    if mode is not None and not 0 <= mode < len(MODES):
        raise ConfigError(f"mode is {mode}; expected 0 to {len(MODES) - 1}, or None for the mode that is drawn.")
    outline = outline_of(index, seed=seed)
    planes = rasterize(outline, size)
    chosen = mode_of(index, seed=seed) if mode is None else mode
    look = numpy_generator(seed, "synthetic/appearance", position=index)
    a = np.round(255.0 - planes.ink * 235.0).astype(np.uint8)
    return Drawing(
        a=np.repeat(a[:, :, None], 3, axis=2),
        b=render(outline, planes, MODES[chosen], size=size, rng=look),
        mask=body_mask(outline, planes),
        mode=chosen,
        kind=outline.kind,
    )


def _check(index: int, size: int) -> None:
    if index < 0:
        raise ConfigError(f"index is {index}; expected 0 or more.")
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise ConfigError(f"size is {size}; expected {MIN_SIZE} to {MAX_SIZE} pixels.")
