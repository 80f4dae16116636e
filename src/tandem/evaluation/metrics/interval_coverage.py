"""Interval coverage: how often the ground truth lies inside the central interval of an input's samples.

The interval of k samples left out on either side reaches from the k-th lowest to the k-th highest of M samples. Where
the ground truth is one more draw of the same kind, its rank among them is any of 0 … M with the same probability, so
that it lies inside with

    (M + 1 - 2 k) / (M + 1)

exactly, whatever the distribution. That, not 50, 80 or 90 %, is what the number of a level is to be held against; k is
the one that comes nearest to the level. Where samples equal the ground truth, as on a white background, it counts as
any of the ranks that it could have among them, each in equal parts, so that this holds for them too.
"""

from typing import ClassVar

import numpy as np
from torch import Tensor

from tandem.errors import DataError
from tandem.evaluation.estimates import mean_estimate
from tandem.evaluation.kinds.ensemble import EnsembleMetric, ensemble_blocks
from tandem.evaluation.metric import Found, Number
from tandem.report.scores import MetricResult

_LEVELS = (50, 80, 90)


def interval_of(num_samples: int, level: int) -> tuple[int, float]:
    """Which interval of the samples stands for a level, and how often it holds one more sample of the same kind.

    Args:
        num_samples: M, at least 2.
        level: In percent.

    Returns:
        k, how many samples from each end the interval begins, 1 for all of it; and its coverage, in [0, 1].

    Raises:
        DataError: There are fewer than two samples.

    Examples:
        >>> interval_of(19, 90)
        (1, 0.9)
        >>> interval_of(10, 50)
        (3, 0.45454545454545453)
    """
    if num_samples < 2:
        raise DataError(f"an interval needs at least 2 samples of an input, not {num_samples}.")
    # In whole numbers: |100 (M + 1 - 2 k) - level (M + 1)|.
    off = {k: abs(100 * (num_samples + 1 - 2 * k) - level * (num_samples + 1)) for k in range(1, num_samples // 2 + 1)}
    best = min(off, key=lambda k: off[k])
    return best, (num_samples + 1 - 2 * best) / (num_samples + 1)


def interval_coverage(samples: Tensor, ground_truth: Tensor, level: int) -> float:
    """The share of the values of an image that lie inside the central interval of the samples of its input.

    Args:
        samples: ``(M, C, H, W)``, M at least 2, uint8, or float in [-1, 1].
        ground_truth: ``(C, H, W)``, likewise.
        level: Of the interval, in percent; see `interval_of`.

    Returns:
        In [0, 1].

    Raises:
        DataError: The images do not fit together, or there is a single sample.

    Examples:
        >>> import torch
        >>> samples = torch.linspace(-0.9, 0.9, 9).view(9, 1, 1, 1).expand(9, 1, 4, 4)
        >>> truth = torch.zeros(1, 4, 4)
        >>> truth[0, 0] = 1.0
        >>> interval_coverage(samples, truth, 80)
        0.75
    """
    return float(_coverages(samples, ground_truth, (level,))[0])


def _coverages(samples: Tensor, ground_truth: Tensor, levels: tuple[int, ...]) -> np.ndarray:
    number = len(samples)
    inside, count = np.zeros(len(levels)), 0
    for x, y in ensemble_blocks(samples, ground_truth):
        low = (x < y).sum(axis=0)
        high = low + (x == y).sum(axis=0)  # the ranks that the ground truth could have are low … high
        for index, level in enumerate(levels):
            k, _ = interval_of(number, level)
            ranks = (np.minimum(high, number - k) - np.maximum(low, k) + 1).clip(min=0)
            inside[index] += (ranks / (high - low + 1)).sum()
        count += len(y)
    return inside / count


class IntervalCoverage(EnsembleMetric):
    """See the module; the mean over inputs."""

    name: ClassVar = "interval-coverage"
    title: ClassVar = "Coverage of the intervals of the samples"
    numbers: ClassVar = tuple(Number(f"coverage-{level}", "neither") for level in _LEVELS)
    is_cheap: ClassVar = True

    @staticmethod
    def of(samples: Tensor, ground_truth: Tensor) -> np.ndarray:
        """See `EnsembleMetric`: a number for each level."""
        return _coverages(samples, ground_truth, _LEVELS)

    def summarise(self, found: Found) -> MetricResult:
        """See `Metric`; beside each number what samples of the right distribution would have."""
        rows, number = self.rows(found), self.setup.subject.num_samples
        scores, right = [], []
        for which, level, values in zip(self.numbers, _LEVELS, rows.T, strict=True):
            k, expected = interval_of(number, level)
            right.append(expected)
            ends = "lowest to highest" if k == 1 else f"{k}. lowest to {k}. highest"
            note = f"right: {expected:.3f} ({ends} of {number} samples)"
            scores.append(which.score(mean_estimate(values, seed=self.seed), note))
        depends = self.depends(found) | {"right": right}
        return MetricResult(
            metric=self.name, title=self.title, scores=tuple(scores), depends_on=depends, outcomes=("right",)
        )
