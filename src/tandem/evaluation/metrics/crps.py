"""CRPS: the continuous ranked probability score of the samples of an input, pixel by pixel.

Papers: *Strictly Proper Scoring Rules, Prediction, and Estimation* (10.1198/016214506000001437) for the score, *Fair
scores for ensemble forecasts* (10.1002/qj.2270) for the form that does not depend on the number of samples. Of a
pixel with samples x_1 … x_M and ground truth y:

    1/M sum_i |x_i - y| - 1 / (2 M (M - 1)) sum_ij |x_i - x_j|

The second sum is had from the sorted samples: sum_i<j |x_i - x_j| = sum_i (2 i - M - 1) x_(i).
"""

from typing import ClassVar

import numpy as np
from torch import Tensor

from tandem.evaluation.estimates import mean_estimate
from tandem.evaluation.kinds.ensemble import EnsembleMetric, ensemble_blocks
from tandem.evaluation.metric import Found, Number
from tandem.report.scores import MetricResult

_POOLS = (1, 4, 16)


def crps(samples: Tensor, ground_truth: Tensor, *, pool: int = 1) -> float:
    """Fair CRPS on the scale 0..1, the mean over pixels and channels; of equal samples it is their L1.

    It is smallest, in expectation, for samples that are drawn from the distribution of the ground truth: what is off
    costs, and so does variety that the data does not have. It may be below 0 by chance.

    Args:
        samples: ``(M, C, H, W)``, M at least 2, uint8, or float in [-1, 1].
        ground_truth: ``(C, H, W)``, likewise.
        pool: Side of the squares of pixels whose means are scored.

    Raises:
        DataError: The images do not fit together, there is a single sample, or a side is smaller than `pool`.

    Examples:
        >>> import torch
        >>> samples = torch.tensor([-1.0, 0.0]).view(2, 1, 1, 1).expand(2, 3, 8, 8)
        >>> crps(samples, torch.zeros(3, 8, 8))
        0.0
        >>> crps(samples, torch.ones(3, 8, 8))
        0.5
    """
    total, count = 0.0, 0
    for x, y in ensemble_blocks(samples, ground_truth, pool=pool):
        number = len(x)
        weights = (2 * np.arange(1, number + 1) - number - 1) / (number * (number - 1))
        total += float(np.abs(x - y).mean(axis=0).sum() - (weights @ np.sort(x, axis=0)).sum())
        count += len(y)
    return total / (255 * count)


class CRPS(EnsembleMetric):
    """See `crps`; of the pixels, and of the means over squares, which see structures of that size."""

    name: ClassVar = "crps"
    title: ClassVar = "CRPS of the samples"
    numbers: ClassVar = (Number("crps", "lower"), Number("crps-4", "lower"), Number("crps-16", "lower"))
    is_cheap: ClassVar = True

    @staticmethod
    def of(samples: Tensor, ground_truth: Tensor) -> np.ndarray:
        """See `EnsembleMetric`: one number for each side of squares, NaN where the image is smaller."""
        side = min(samples.shape[2:])
        return np.array([crps(samples, ground_truth, pool=pool) if pool <= side else np.nan for pool in _POOLS])

    def summarise(self, found: Found) -> MetricResult:
        """See `Metric`."""
        rows = self.rows(found)
        scores = []
        for number, pool, values in zip(self.numbers, _POOLS, rows.T, strict=True):
            kept = values[~np.isnan(values)]
            if len(kept):
                what = f"of means over {pool} px" if pool > 1 else "of pixels"
                few = f"; {len(kept)} of {len(values)} inputs are large enough" if len(kept) < len(values) else ""
                scores.append(number.score(mean_estimate(kept, seed=self.seed), what + few))
        return MetricResult(metric=self.name, title=self.title, scores=tuple(scores), depends_on=self.depends(found))

    def per_input(self, found: Found) -> np.ndarray:
        """See `Metric`: that of the pixels."""
        return self.rows(found)[:, 0]
