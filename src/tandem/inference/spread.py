"""How sure a model is: where the samples of one input disagree, and intervals around their mean.

In 8-bit levels let m be the mean of the samples of a value (a channel of a pixel), s their standard deviation, and
u = s + 1. An interval of a calibrated model is m ± λ u with the λ of its calibration, cut at black and white; one of a
model that is not calibrated is a range of quantiles of the samples. Samples are those that would be saved, uint8, so
that sums are whole numbers and do not depend on which samples ran together.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tandem.checkpoint.calibration import MAX_SAMPLES, Calibration
from tandem.config.data import Direction
from tandem.data.fit import Fit
from tandem.errors import ConfigError

DEFAULT_LEVEL = 0.9
DEFAULT_SAMPLES = 10
DEFAULT_TOLERANCE = 0.05

LEAST_FLAGGED = 100
"""An image of a calibrated model has flags where at least one of so many pixels would be flagged, else none.

A handful of pixels may all be right by chance, and no threshold would keep the share of false flags low."""

_STRIP = 2**20
"""Values that are computed in float64 at once."""


@dataclass(frozen=True, repr=False)
class Spread:
    """What the samples of one input say of each other, and of the truth; all on the scale 0 (black) to 1 (white).

    Attributes:
        mean: Of the samples, ``(H, W, C)``, float32.
        low: Lower end of the interval of each value, ``(H, W, C)``, float32.
        high: Upper end.
        guessed: How far a pixel was guessed: half of its interval before it is cut at black and white, as a mean over
            the channels, ``(H, W)``, float32.
        flagged: Whether a pixel counts as guessed, ``(H, W)``, bool: `guessed` is above `threshold`, where that is
            so for at least 1 % of the image (`LEAST_FLAGGED`).
        level: Of the intervals.
        calibrated: Whether the intervals are those of a calibration, which hold the truth at their level. Otherwise
            they are quantiles of the samples, and say what the model makes and nothing of the truth.
        threshold: See `flagged`; None where nothing is flagged.
        num_samples: How many there were.
    """

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    guessed: np.ndarray
    flagged: np.ndarray
    level: float
    calibrated: bool
    threshold: float | None
    num_samples: int

    def __repr__(self) -> str:
        height, width, channels = self.mean.shape
        kind = "calibrated intervals" if self.calibrated else "quantiles of the samples, not calibrated"
        return (
            f"<Spread: {width}×{height} px, {channels} channels, {self.num_samples} samples, {kind} at "
            f"{self.level:.6g}, {100 * float(self.flagged.mean()):.3g} % flagged as guessed>"
        )


@dataclass(frozen=True)
class SpreadPlan:
    """How the spread of a model is had.

    Attributes:
        num_samples: Samples of each input.
        level: Of the intervals.
        calibration: That of the model; None for quantiles of the samples.
    """

    num_samples: int
    level: float
    calibration: Calibration | None


def plan_spread(
    calibration: Calibration | None, num_samples: int | None, level: float | None, fit: Fit, direction: Direction
) -> SpreadPlan:
    """What is taken of the calibration of a model.

    Args:
        calibration: Of the model; None for quantiles of the samples.
        num_samples: None for those of the calibration, else `DEFAULT_SAMPLES`.
        level: None for that of the calibration, else `DEFAULT_LEVEL`.
        fit: How inputs come to the size that the network takes.
        direction: Of the translation.

    Raises:
        ConfigError: The calibration does not hold for what is asked for, or an argument is out of range.
    """
    if num_samples is not None and not 2 <= num_samples <= MAX_SAMPLES:
        raise ConfigError(f"num_samples must be from 2 to {MAX_SAMPLES} for a spread, not {num_samples}.")
    if level is not None and not 0 < level < 1:
        raise ConfigError(f"level must be above 0 and below 1, not {level}.")
    if calibration is None:
        return SpreadPlan(num_samples or DEFAULT_SAMPLES, DEFAULT_LEVEL if level is None else level, None)
    asked = {"num_samples": num_samples, "level": level, "fit": fit, "direction": direction}
    for name, given in asked.items():
        made = getattr(calibration, name)
        if given is not None and given != made:
            raise ConfigError(
                f"{name} is {given}, but the model was calibrated with {made}, and its intervals hold for that alone: "
                f"leave {name} out, calibrate again with 'tandem calibrate', or take plain=True for quantiles of the "
                "samples."
            )
    return SpreadPlan(calibration.num_samples, calibration.level, calibration)


class SampleMoments:
    """Sum and sum of squares of the samples of an input, as whole numbers: two images, however many there are."""

    def __init__(self) -> None:
        self.num_samples = 0
        self._sums: np.ndarray = np.empty(0)
        self._squares: np.ndarray = np.empty(0)

    def add(self, samples: np.ndarray) -> None:
        """Take in samples ``(M, H, W, C)``, uint8."""
        for sample in samples:
            if not self.num_samples:
                self._sums, self._squares = (np.zeros(sample.shape, np.uint32) for _ in range(2))
            values = sample.astype(np.uint32)
            self._sums += values
            self._squares += np.square(values)
            self.num_samples += 1

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a sample: ``(H, W, C)``."""
        return self._sums.shape

    def strips(self) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
        """Some rows at a time, from the top: which they are, the mean m and the spread u, in levels, float64."""
        height, width, channels = self.shape
        rows = max(1, _STRIP // (width * channels))
        number = self.num_samples
        for top in range(0, height, rows):
            part = slice(top, min(top + rows, height))
            sums = self._sums[part].astype(np.int64)
            deviations = number * self._squares[part].astype(np.int64) - np.square(sums)
            yield part, sums / number, np.sqrt(deviations / (number * (number - 1))) + 1


def calibrated_spread(moments: SampleMoments, calibration: Calibration) -> Spread:
    """The spread of samples with the intervals of a calibration."""
    mean, low, high = (np.empty(moments.shape, np.float32) for _ in range(3))
    guessed = np.empty(moments.shape[:2], np.float32)
    flagged = np.zeros(moments.shape[:2], bool)
    for rows, centre, spread in moments.strips():
        half = calibration.scale * spread
        mean[rows] = centre / 255
        # Rounded outwards, so that a truth at the very end of an interval stays in it.
        low[rows] = np.clip(np.nextafter(((centre - half) / 255).astype(np.float32), np.float32(-1)), 0, 1)
        high[rows] = np.clip(np.nextafter(((centre + half) / 255).astype(np.float32), np.float32(np.inf)), 0, 1)
        halves = half.mean(axis=2) / 255
        guessed[rows] = halves
        if calibration.threshold is not None:
            flagged[rows] = halves > calibration.threshold
    if not are_enough(flagged.sum(), flagged.size):
        flagged[:] = False
    return Spread(
        mean, low, high, guessed, flagged, calibration.level, True, calibration.threshold, moments.num_samples
    )


def are_enough(flagged: Any, pixels: Any) -> Any:
    """Whether so many pixels of an image with so many are enough to be flagged; see `LEAST_FLAGGED`."""
    return flagged * LEAST_FLAGGED >= pixels


def scores(moments: SampleMoments, ground_truth: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """How far the truth is from the samples, some rows at a time.

    Args:
        moments: Of the samples.
        ground_truth: ``(H, W, C)``, uint8.

    Yields:
        The score |truth − m| / u of each value ``(h, W, C)``, the mean of |truth − m| over the channels ``(h, W)``, and
        that of u, in levels; float64.
    """
    for rows, centre, spread in moments.strips():
        errors = np.abs(ground_truth[rows] - centre)
        yield errors / spread, errors.mean(axis=2), spread.mean(axis=2)


class SampleQuantiles:
    """The two quantiles of samples that leave out the same share at both ends.

    Only the samples that decide them are kept, the lowest and the highest of each value.

    Args:
        num_samples: How many will come.
        level: What share lies between the two.
    """

    def __init__(self, num_samples: int, level: float) -> None:
        self._place = (num_samples - 1) * (1 - level) / 2
        self._kept = min(num_samples, math.floor(self._place) + 2)
        self._lowest: list[np.ndarray] = []
        self._highest: list[np.ndarray] = []

    def add(self, samples: np.ndarray) -> None:
        """Take in samples ``(M, H, W, C)``, uint8."""
        for sample in samples:
            self._lowest = _inserted(self._lowest, sample, np.minimum, np.maximum)[: self._kept]
            self._highest = _inserted(self._highest, sample, np.maximum, np.minimum)[: self._kept]

    def ends(self, rows: slice) -> tuple[np.ndarray, np.ndarray]:
        """The two quantiles of some rows, ``(h, W, C)``, in levels, interpolated linearly, float64."""
        below = math.floor(self._place)
        share = self._place - below
        low, high = (
            (1 - share) * kept[below][rows] + share * kept[min(below + 1, len(kept) - 1)][rows]
            for kept in (self._lowest, self._highest)
        )
        return low, high


def _inserted(ordered: list[np.ndarray], sample: np.ndarray, first: np.ufunc, second: np.ufunc) -> list[np.ndarray]:
    """Images that are in order value by value, with one more; `first` says which of two comes first."""
    result = []
    for image in ordered:
        result.append(first(image, sample))
        sample = second(image, sample)
    return [*result, sample]


def plain_spread(moments: SampleMoments, quantiles: SampleQuantiles, level: float) -> Spread:
    """The spread of samples of a model that is not calibrated; flagged is what is wider than `DEFAULT_TOLERANCE`."""
    mean, low, high = (np.empty(moments.shape, np.float32) for _ in range(3))
    guessed = np.empty(moments.shape[:2], np.float32)
    for rows, centre, _ in moments.strips():
        below, above = quantiles.ends(rows)
        mean[rows], low[rows], high[rows] = centre / 255, below / 255, above / 255
        guessed[rows] = (above - below).mean(axis=2) / 510
    flagged = guessed > DEFAULT_TOLERANCE
    return Spread(mean, low, high, guessed, flagged, level, False, DEFAULT_TOLERANCE, moments.num_samples)


class SpreadBuilder:
    """Takes in the samples of an input as they come and gives their `Spread`.

    Args:
        plan: How it is had.
    """

    def __init__(self, plan: SpreadPlan) -> None:
        self._plan = plan
        self._moments = SampleMoments()
        self._quantiles = None if plan.calibration is not None else SampleQuantiles(plan.num_samples, plan.level)

    def add(self, samples: np.ndarray) -> None:
        """Take in samples ``(M, H, W, C)``, uint8."""
        self._moments.add(samples)
        if self._quantiles is not None:
            self._quantiles.add(samples)

    def finish(self) -> Spread:
        """The spread, when as many samples have come as the plan says."""
        if self._quantiles is None:
            assert self._plan.calibration is not None
            return calibrated_spread(self._moments, self._plan.calibration)
        return plain_spread(self._moments, self._quantiles, self._plan.level)
