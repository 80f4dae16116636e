"""Shallow water seen from above, with known physics: A is the depth, B what a sensor of six bands sees.

Over a bottom of the reflectance R_b, at a depth of z metres, water reflects (Maritorena, Morel and Gentili 1994)

    R = R_d (1 - exp(-2 K z)) + R_b exp(-2 K z)

with K = a + b and R_d = 0.33 b / (a + b), where a is what water absorbs in a band and b what it scatters back. The
depth decides neither: water of four types lies over the same sand, drawn independently of the depth from known
probabilities. So a depth has four right answers, each known exactly, and `classify_water` says which of them an image
is, and how far from it.
"""

from dataclasses import dataclass

import numpy as np

from tandem.data.pixels import resize
from tandem.errors import ConfigError, DataError
from tandem.rng import numpy_generator

BANDS_NM = (665, 560, 490, 443, 620, 705)
"""Middle of each band; the first three are red, green and blue."""
DEEPEST = 12.0
"""Metres."""
SCALE = 10_000
"""What a reflectance of 1 is in the files."""

MIN_SIDE, MAX_SIDE = 16, 2048

_ABSORBED = np.array([0.429, 0.062, 0.015, 0.007, 0.275, 0.704])
"""By pure water, in 1/m; rounded from Pope and Fry 1997."""
_GRIDS = ((2, 3, 1.0), (4, 6, 0.6), (8, 12, 0.3), (16, 24, 0.12))
"""Rows, columns and height of the waves that the bottom is made of."""
_NOISE = 5.0
"""Of the sensor, in steps of the files."""


@dataclass(frozen=True)
class Water:
    """A type of water.

    Attributes:
        name: What it is called.
        weight: The probability that a scene has it.
        dissolved: What dissolved matter absorbs at 440 nm, in 1/m.
        particles: What particles scatter back at 550 nm, in 1/m.
    """

    name: str
    weight: float
    dissolved: float
    particles: float


WATERS = (
    Water("clear", 0.4, 0.01, 0.002),
    Water("green", 0.3, 0.12, 0.012),
    Water("milky", 0.2, 0.05, 0.08),
    Water("brown", 0.1, 1.2, 0.02),
)


@dataclass(frozen=True)
class Shallows:
    """A scene.

    Attributes:
        depth: ``(H, W, 1)``, float32, in metres from 0 (the beach) to `DEEPEST`.
        spectra: ``(H, W, 6)``, uint16, reflectance times `SCALE`, in the order of `BANDS_NM`.
        water: Index in `WATERS`.
    """

    depth: np.ndarray
    spectra: np.ndarray
    water: int


def reflectance(depth: np.ndarray, water: int) -> np.ndarray:
    """What water of a type reflects over sand, without noise.

    Args:
        depth: ``(H, W, 1)``, in metres.
        water: Index in `WATERS`.

    Returns:
        ``(H, W, 6)``, float64, from 0 to 1.
    """
    bands = np.array(BANDS_NM, np.float64)
    absorbed = _ABSORBED + WATERS[water].dissolved * np.exp(-0.015 * (bands - 440))
    scattered = WATERS[water].particles * 550 / bands
    deep, sand = 0.33 * scattered / (absorbed + scattered), 0.18 + 0.18 * (bands - 443) / (705 - 443)
    left = np.exp(-2 * (absorbed + scattered) * depth.astype(np.float64))
    return deep * (1 - left) + sand * left


def draw_shallows(
    index: int, *, height: int = 64, width: int = 96, seed: int = 0, water: int | None = None
) -> Shallows:
    """Draw the scene with this index; the same arguments give the same values.

    Args:
        index: Which one; not negative.
        height: In pixels, 16 to 2048.
        width: Likewise.
        seed: Of the dataset.
        water: Index in `WATERS`, or None for the one that was drawn for it, independently of the depth.

    Raises:
        ConfigError: An argument is out of range.
    """
    if index < 0 or not all(MIN_SIDE <= side <= MAX_SIDE for side in (height, width)):
        raise ConfigError(
            f"index {index}, {width} x {height} pixels; expected 0 or more, and sides from {MIN_SIDE} to {MAX_SIDE}."
        )
    if water is not None and not 0 <= water < len(WATERS):
        raise ConfigError(f"water is {water}; expected 0 to {len(WATERS) - 1}, or None for the one that is drawn.")
    depth = _depth(numpy_generator(seed, "shallows/depth", position=index), height, width)
    chosen = water_of(index, seed=seed) if water is None else water
    noise = numpy_generator(seed, "shallows/noise", position=index).normal(0, _NOISE, (height, width, len(BANDS_NM)))
    spectra = np.rint(SCALE * reflectance(depth, chosen) + noise).clip(0, 65535).astype(np.uint16)
    return Shallows(depth, spectra, chosen)


def water_of(index: int, *, seed: int = 0) -> int:
    """The type of the water of a scene, without drawing it."""
    weights = [water.weight for water in WATERS]
    return int(numpy_generator(seed, "shallows/water", position=index).choice(len(WATERS), p=weights))


def classify_water(depth: np.ndarray, spectra: np.ndarray) -> tuple[int, float]:
    """The type of water that explains an image best, and how well.

    Args:
        depth: ``(H, W, 1)``, in metres.
        spectra: ``(H, W, 6)``, reflectance times `SCALE`.

    Returns:
        Index in `WATERS`, and the root of the mean squared difference from what that water reflects, as reflectance.

    Raises:
        DataError: The shapes do not fit.
    """
    if depth.ndim != 3 or depth.shape[2] != 1 or spectra.shape != (*depth.shape[:2], len(BANDS_NM)):
        raise DataError(f"expected depth (H, W, 1) and spectra (H, W, 6), not {depth.shape} and {spectra.shape}.")
    seen = spectra.astype(np.float64) / SCALE
    errors = [float(np.sqrt(np.square(seen - reflectance(depth, one)).mean())) for one in range(len(WATERS))]
    best = int(np.argmin(errors))
    return best, errors[best]


def _depth(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    ground = np.zeros((height, width, 1), np.float32)
    for rows, columns, weight in _GRIDS:
        waves = rng.normal(0, weight, (rows, columns, 1)).astype(np.float32)
        ground += resize(waves, height, width)
    slope = np.linspace(-1, 1, width, dtype=np.float32)[None, :, None] * rng.choice([-1, 1])
    return (DEEPEST * (0.45 + 0.25 * slope + 0.2 * ground)).clip(0, DEEPEST).astype(np.float32)
