"""Conformal risk control: ranks in whole numbers, brute force, and its promise over many draws of dependent pixels."""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from tandem.evaluation.calibration import conformal
from tandem.evaluation.calibration.conformal import (
    conformal_rank,
    exact,
    images_needed,
    least_scale,
    least_threshold,
)
from tandem.evaluation.calibration.rows import SCALES, SPREADS, CalibrationRows, Histograms
from tandem.evaluation.cases import Loaded


def loaded(samples: np.ndarray, ground_truth: np.ndarray) -> Loaded:
    case: Any = None
    return Loaded(case, lambda count: samples[:count], read=lambda: (None, ground_truth))


def histograms(pairs: list[tuple[np.ndarray, np.ndarray]], *, tolerance: float = 0.05) -> Histograms:
    """Of (samples ``(M, H, W, C)``, ground truth) of each image."""
    rows = CalibrationRows(num_samples=len(pairs[0][0]), tolerance=tolerance)
    return Histograms.of(np.stack([rows.row(loaded(*pair)) for pair in pairs]))


class TestRanks:
    @pytest.mark.parametrize(("number", "rank"), [(8, None), (9, 9), (19, 18), (99, 90), (999, 900)])
    def test_whole_numbers(self, number: int, rank: int | None) -> None:
        """Where every image is one value, the scale is the score of the rank that split conformal prediction takes."""
        assert conformal_rank(number, 0.9) == rank
        scores = np.random.default_rng(number).permutation(number) + 1  # 1 to n, so that a score is its rank
        missed = (scores[:, None] > np.arange(number + 1)).astype(int)
        found = least_scale(missed, np.ones(number, int), 0.9)
        assert found == rank

    def test_floats_would_be_a_rank_off(self) -> None:
        assert [int((1 - 0.9) * (n + 1)) for n in (9, 19, 99)] == [0, 1, 9]  # 1, 2 and 10 in truth
        assert [int((1 - exact(0.9)) * (n + 1)) for n in (9, 19, 99)] == [1, 2, 10]

    @pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.95, 0.99, 0.999])
    def test_the_images_needed_are_the_least(self, level: float) -> None:
        needed = images_needed(1 - exact(level))
        assert conformal_rank(needed, level) == needed
        assert conformal_rank(needed - 1, level) is None
        missed = np.zeros((needed, 1), int)
        assert least_scale(missed, np.ones(needed, int), level) == 0
        assert least_scale(missed[1:], np.ones(needed - 1, int), level) is None


class TestBruteForce:
    @pytest.mark.parametrize("seed", range(5))
    def test_scales_of_images_of_several_sizes(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        sizes = rng.choice([7, 12, 30], 25)
        missed = np.sort(rng.binomial(sizes[:, None], np.linspace(0.5, 0, 15)[None]), axis=1)[:, ::-1]
        allowed = [
            j
            for j in range(15)
            if (sum(Fraction(int(m), int(s)) for m, s in zip(missed[:, j], sizes, strict=True)) + 1) / 26
            <= Fraction(2, 10)
        ]
        assert least_scale(missed, sizes, 0.8) == (min(allowed) if allowed else None)

    @pytest.mark.parametrize("seed", range(5))
    def test_thresholds(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        flagged = np.sort(rng.integers(0, 40, (25, 15)), axis=1)[:, ::-1]
        right = rng.binomial(flagged, 0.25)
        worst = [
            [max(Fraction(int(r), max(int(f), 1)) for f, r in zip(fs[j:], rs[j:], strict=True)) for j in range(15)]
            for fs, rs in zip(flagged, right, strict=True)
        ]
        allowed = [j for j in range(15) if (sum(row[j] for row in worst) + 1) / 26 <= Fraction(4, 10)]
        assert allowed
        assert least_threshold(flagged, right, 0.4) == min(allowed)

    def test_no_flags_where_none_may_be(self) -> None:
        flagged = np.tile(np.array([10, 5, 0]), (20, 1))
        assert least_threshold(flagged, flagged, 0.1) is None  # all are right
        assert least_threshold(flagged, np.zeros_like(flagged), 0.1) == 0  # none is
        assert least_threshold(flagged[:8], np.zeros_like(flagged[:8]), 0.1) is None  # too few images
        assert least_threshold(np.zeros_like(flagged), np.zeros_like(flagged), 0.1) is None  # nothing to flag


NUM_IMAGES, NUM_SAMPLES, SIDE = 19, 4, 8


def image(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Samples and a truth that is off by what all pixels share, much in some images: far from independent pixels."""
    spread = rng.uniform(5, 30, (SIDE, SIDE, 1))
    samples = 128 + rng.normal(0, 1, (NUM_SAMPLES, SIDE, SIDE, 1)) * spread
    hardness = rng.exponential(1.5)
    truth = 128 + spread * hardness * (rng.normal() + 0.5 * rng.normal(0, 1, (SIDE, SIDE, 1)))
    return samples.clip(0, 255).round().astype(np.uint8), truth.clip(0, 255).round().astype(np.uint8)


@pytest.fixture(scope="module")
def drawn() -> Histograms:
    rng = np.random.default_rng(0)
    return histograms([image(rng) for _ in range(120 * (NUM_IMAGES + 1))], tolerance=0.06)


class TestThePromise:
    """Over many calibrations, each with a new image: means that the theorem bounds from below and above."""

    @staticmethod
    def over(drawn: Histograms, found: Callable[[slice, int], float]) -> np.ndarray:
        """What is found of a new image, for each calibration."""
        starts = range(0, len(drawn.sizes), NUM_IMAGES + 1)
        return np.array([found(slice(start, start + NUM_IMAGES), start + NUM_IMAGES) for start in starts])

    @pytest.mark.parametrize("level", [0.7, 0.9])
    def test_intervals_hold_what_they_say(self, drawn: Histograms, level: float) -> None:
        def covered(past: slice, new: int) -> float:
            at = least_scale(drawn.missed[past], drawn.sizes[past], level)
            assert at is not None
            return 1 - drawn.missed[new, at] / drawn.sizes[new]

        shares = self.over(drawn, covered)
        slack = 3 * shares.std() / np.sqrt(len(shares))
        assert level - slack <= shares.mean() <= level + 2 / (NUM_IMAGES + 1) + slack

    @pytest.mark.parametrize("rate", [0.1, 0.3])
    def test_flags_are_false_no_more_often_than_they_say(self, drawn: Histograms, rate: float) -> None:
        def false(past: slice, new: int) -> float:
            at = least_threshold(drawn.flagged[past], drawn.right[past], rate)
            return 0.0 if at is None else drawn.right[new, at] / max(drawn.flagged[new, at], 1)

        shares = self.over(drawn, false)
        assert shares.mean() <= rate + 3 * shares.std() / np.sqrt(len(shares))
        assert rate < 0.2 or shares.mean() > 0.05  # some pixels are flagged at all


class TestScales:
    def test_half_the_spread_needs_twice_the_scale(self) -> None:
        rng = np.random.default_rng(1)
        found = []
        truths = [np.full((SIDE, SIDE, 3), 128) + rng.integers(-80, 81, (SIDE, SIDE, 3)) for _ in range(40)]
        for width in (80, 40):
            samples = (
                np.array([128 - width, 128 + width], np.uint8)[:, None, None, None].repeat(SIDE, 1).repeat(SIDE, 2)
            )
            pairs = [(samples.repeat(3, 3), truth.astype(np.uint8)) for truth in truths]
            counts = histograms(pairs)
            at = least_scale(counts.missed, counts.sizes, 0.9)
            assert at is not None
            # u = √2 width + 1; the scale is found to the next of `SCALES`.
            errors = np.sort(np.abs(np.stack(truths) - 128).ravel() / (math.sqrt(2) * width + 1))
            wanted = errors[math.ceil((0.9 + 0.9 / 40) * len(errors)) - 1]  # all images have one size
            assert wanted <= SCALES[at] <= wanted * 2 ** (1 / 128)
            found.append(SCALES[at])
        assert found[1] / found[0] == pytest.approx(2, rel=0.02)

    def test_no_score_is_above_the_last_scale(self) -> None:
        """Samples that agree on black, and a truth that is white: 255 levels off at a spread of one level."""
        counts = histograms([(np.zeros((2, 4, 4, 1), np.uint8), np.full((4, 4, 1), 255, np.uint8))])
        assert counts.missed[0, -1] == 0
        assert counts.missed[0, SCALES < 255].min() == 16
        assert SPREADS[-1] > 1 + 255 / math.sqrt(2)  # of two samples, one black and one white

    def test_histograms_count(self) -> None:
        rng = np.random.default_rng(2)
        samples, truth = rng.integers(0, 256, (5, 12, 9, 3), np.uint8), rng.integers(0, 256, (12, 9, 3), np.uint8)
        counts = histograms([(samples, truth)], tolerance=0.2)
        spread = samples.std(axis=0, ddof=1, dtype=np.float64) + 1
        errors = np.abs(truth - samples.mean(axis=0, dtype=np.float64))
        assert (counts.sizes[0], counts.pixels[0]) == (12 * 9 * 3, 12 * 9)
        for at in (0, 900, 1100, 1500):
            assert counts.missed[0, at] == (errors / spread > SCALES[at]).sum()
        for at in (0, 150, 170):
            flagged = spread.mean(axis=2) > SPREADS[at]
            assert counts.flagged[0, at] == flagged.sum()
            assert counts.right[0, at] == (flagged & (errors.mean(axis=2) <= 51)).sum()

    def test_a_handful_of_pixels_is_not_flagged(self) -> None:
        samples = np.zeros((2, 20, 20, 1), np.uint8)
        samples[1, 0, :3] = 200  # 3 of 400 pixels are too few, 4 are enough
        truth = np.zeros((20, 20, 1), np.uint8)
        assert histograms([(samples, truth)]).flagged[0, 3:].max() == 0
        samples[1, 0, 3] = 200
        assert histograms([(samples, truth)]).flagged[0, 3:].max() == 4


def test_examples_in_docstrings_are_true() -> None:
    import doctest  # noqa: PLC0415

    result = doctest.testmod(conformal)
    assert result.attempted
    assert not result.failed
