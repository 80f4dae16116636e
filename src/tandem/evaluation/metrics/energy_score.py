"""Energy score: how well the samples of an input, as whole images, foresee its ground truth.

Paper: *Strictly Proper Scoring Rules, Prediction, and Estimation* (10.1198/016214506000001437), in the fair form. With
samples x_1 … x_M, ground truth y, and the norm over all d values of an image:

    (1/M sum_i |x_i - y| - 1 / (2 M (M - 1)) sum_ij |x_i - x_j|) / sqrt(d)

For images of one value it is the CRPS. Unlike that it sees whether pixels vary together.
"""

from typing import ClassVar

import numpy as np
from torch import Tensor

from tandem.evaluation.estimates import mean_estimate
from tandem.evaluation.kinds.ensemble import EnsembleMetric, ensemble_blocks
from tandem.evaluation.metric import Found, Number
from tandem.report.scores import MetricResult


def energy_score(samples: Tensor, ground_truth: Tensor) -> float:
    """Fair energy score on the scale 0..1, in units of a root mean square over the values of an image.

    Args:
        samples: ``(M, C, H, W)``, M at least 2, uint8, or float in [-1, 1].
        ground_truth: ``(C, H, W)``, likewise.

    Raises:
        DataError: The images do not fit together, or there is a single sample.

    Examples:
        >>> import torch
        >>> samples = torch.stack([torch.full((3, 8, 8), -1.0), torch.zeros(3, 8, 8)])
        >>> energy_score(samples, torch.ones(3, 8, 8))
        0.5
    """
    number, count = len(samples), 0
    products = np.zeros((number, number))
    for x, y in ensemble_blocks(samples, ground_truth):
        off = x - y
        products += off @ off.T
        count += len(y)
    squares = np.diag(products)
    between = np.sqrt((squares[:, None] + squares - products - products.T).clip(min=0))
    np.fill_diagonal(between, 0)
    spread = between.sum() / (2 * number * (number - 1))
    return float((np.sqrt(squares).mean() - spread) / (255 * np.sqrt(count)))


class EnergyScore(EnsembleMetric):
    """See `energy_score`; the mean over inputs."""

    name: ClassVar = "energy-score"
    title: ClassVar = "Energy score of the samples"
    numbers: ClassVar = (Number("energy-score", "lower"),)
    is_cheap: ClassVar = True

    @staticmethod
    def of(samples: Tensor, ground_truth: Tensor) -> np.ndarray:
        """See `EnsembleMetric`."""
        return np.array([energy_score(samples, ground_truth)])

    def summarise(self, found: Found) -> MetricResult:
        """See `Metric`."""
        estimate = mean_estimate(self.rows(found)[:, 0], seed=self.seed)
        score = self.numbers[0].score(estimate, "of whole images")
        return MetricResult(metric=self.name, title=self.title, scores=(score,), depends_on=self.depends(found))

    def per_input(self, found: Found) -> np.ndarray:
        """See `Metric`."""
        return self.rows(found)[:, 0]
