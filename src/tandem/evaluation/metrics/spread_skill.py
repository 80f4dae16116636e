"""Spread and skill: do the samples of an input vary as much as their mean is off?

Paper: *Why Should Ensemble Spread Match the RMSE of the Ensemble Mean?* (10.1175/JHM-D-14-0008.1). With the variance s²
of M samples (with M - 1 below) and the ground truth y, both averaged over pixels and inputs before the root is taken:

    sqrt((M + 1) / M) * sqrt(mean s²) / sqrt(mean (mean_i x_i - y)²)

Samples of the distribution of the ground truth have 1 in expectation of both means; below 1 they vary too little.
"""

from typing import ClassVar

import numpy as np
from torch import Tensor

from tandem.errors import DataError
from tandem.evaluation.estimates import resampled_estimate
from tandem.evaluation.kinds.ensemble import EnsembleMetric, ensemble_blocks
from tandem.evaluation.metric import Found, Number
from tandem.report.scores import MetricResult


def spread_and_error(samples: Tensor, ground_truth: Tensor) -> tuple[float, float]:
    """Mean variance of the samples of an input, and mean squared error of their mean, on the scale 0..1.

    Args:
        samples: ``(M, C, H, W)``, M at least 2, uint8, or float in [-1, 1].
        ground_truth: ``(C, H, W)``, likewise.

    Raises:
        DataError: The images do not fit together, or there is a single sample.

    Examples:
        >>> import torch
        >>> samples = torch.stack([torch.full((3, 8, 8), -1.0), torch.zeros(3, 8, 8)])
        >>> spread_and_error(samples, torch.zeros(3, 8, 8))
        (0.125, 0.0625)
    """
    variance, error, count = 0.0, 0.0, 0
    for x, y in ensemble_blocks(samples, ground_truth):
        variance += float(x.var(axis=0, ddof=1).sum())
        error += float(np.square(x.mean(axis=0) - y).sum())
        count += len(y)
    return variance / (255**2 * count), error / (255**2 * count)


def spread_skill(spreads_and_errors: np.ndarray, num_samples: int) -> float:
    """The ratio of spread and skill.

    Args:
        spreads_and_errors: ``(N, 2)``, of each input what `spread_and_error` gives.
        num_samples: M, of each input.

    Returns:
        At least 0; 1 where samples vary as much as they are off.

    Raises:
        DataError: The mean of the samples is the ground truth everywhere.

    Examples:
        >>> import numpy as np
        >>> round(spread_skill(np.array([[0.125, 0.0625]]), 2), 3)
        1.732
    """
    if not np.asarray(spreads_and_errors)[:, 1].any():
        raise DataError("the mean of the samples is the ground truth everywhere: there is no error to compare with.")
    return float(_ratio(np.mean(spreads_and_errors, axis=0, keepdims=True), num_samples)[0])


def _ratio(means: np.ndarray, num_samples: int) -> np.ndarray:
    spread, error = means.T
    wide = spread * (num_samples + 1) / num_samples
    return np.sqrt(np.divide(wide, error, out=np.full(len(means), np.nan), where=error > 0))


class SpreadSkill(EnsembleMetric):
    """See the module."""

    name: ClassVar = "spread-skill"
    title: ClassVar = "Spread of the samples to the error of their mean"
    numbers: ClassVar = (Number("spread-skill", "neither"),)
    is_cheap: ClassVar = True

    @staticmethod
    def of(samples: Tensor, ground_truth: Tensor) -> np.ndarray:
        """See `EnsembleMetric`."""
        return np.array(spread_and_error(samples, ground_truth))

    def summarise(self, found: Found) -> MetricResult:
        """See `Metric`; without a number where the mean of the samples is the ground truth everywhere."""
        rows, number = self.rows(found), self.setup.subject.num_samples
        depends = self.depends(found)
        if not rows[:, 1].any():
            warning = "the mean of the samples is the ground truth everywhere, so that spread-skill has no scale."
            return MetricResult(metric=self.name, title=self.title, scores=(), depends_on=depends, warnings=(warning,))
        estimate = resampled_estimate(rows, lambda means: _ratio(means, number), stream=self.name, seed=self.seed)
        spread, error = np.sqrt(rows.mean(axis=0) * [(number + 1) / number, 1])
        note = f"right: 1; spread {spread:.3g}, error of the mean {error:.3g}"
        score = self.numbers[0].score(estimate, note)
        return MetricResult(metric=self.name, title=self.title, scores=(score,), depends_on=depends)
