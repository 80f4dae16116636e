"""Best of N: how near the best of an input's samples comes to its ground truth, in LPIPS.

Paper: *Toward Multimodal Image-to-Image Translation* (1711.11586). The best of some samples does not punish variety, as
the mean does.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import comb
from typing import ClassVar

import numpy as np
from torch import Tensor

from tandem.errors import DataError
from tandem.evaluation.estimates import Estimate, mean_estimate
from tandem.evaluation.kinds.perceptual import distances_to, rows_of_one_length
from tandem.evaluation.metric import Found, Needs, Number, Ranking
from tandem.evaluation.metrics.lpips import LpipsToGroundTruth
from tandem.evaluation.networks.lpips import LPIPS, MIN_SIDE
from tandem.report.scores import MetricResult


@dataclass(frozen=True)
class BestOfNResult:
    """How near the samples of an input come to its ground truth.

    Attributes:
        best: Mean over the inputs of the smallest distance.
        mean: Mean over inputs and samples.
        distances: ``(N, M)``.
    """

    best: Estimate
    mean: Estimate
    distances: np.ndarray

    def expected_best(self, num_samples: int) -> np.ndarray:
        """Smallest distance among `num_samples` of the M samples, averaged over all choices: ``(N,)``.

        So numbers of more samples can be compared with those of fewer.

        Raises:
            DataError: There are not that many samples.
        """
        total = self.distances.shape[1]
        if not 1 <= num_samples <= total:
            raise DataError(f"the best of {num_samples} cannot be had from {total} samples: give 1 to {total}.")
        weights = [comb(total - 1 - rank, num_samples - 1) / comb(total, num_samples) for rank in range(total)]
        return np.sort(self.distances, axis=1) @ np.array(weights)


def best_of_n(distances: np.ndarray, *, seed: int = 0) -> BestOfNResult:
    """The smallest distance of an input's samples to its ground truth, over several inputs.

    Args:
        distances: ``(N, M)``, of M samples of each of N inputs; see `sample_distances`.
        seed: Of the bootstrap.

    Raises:
        DataError: There are no distances, or they are not finite.

    Examples:
        >>> import numpy as np
        >>> found = best_of_n(np.array([[0.2, 0.4], [0.6, 0.1]]))
        >>> round(found.best.value, 3), round(found.mean.value, 3)
        (0.15, 0.325)
    """
    return BestOfNResult(
        mean_estimate(distances.min(axis=1), seed=seed), mean_estimate(distances, seed=seed), distances
    )


def sample_distances(
    distance: LPIPS, samples_and_ground_truths: Iterable[tuple[Tensor, Tensor]], *, batch_size: int = 20
) -> np.ndarray:
    """LPIPS of samples to the ground truth of their input, ``(N, M)``, float64.

    Args:
        distance: LPIPS.
        samples_and_ground_truths: For each input its samples ``(M, 3, H, W)`` and its ground truth ``(3, H, W)``.
        batch_size: Samples that go through the network at once.

    Raises:
        DataError: There are no inputs, different numbers of samples, or sizes that differ.
    """
    return rows_of_one_length(
        [distances_to(distance, *pair, batch_size=batch_size) for pair in samples_and_ground_truths]
    )


class BestOfN(LpipsToGroundTruth):
    """See `best_of_n`."""

    name: ClassVar = "best-of-n"
    title: ClassVar = "LPIPS of the best sample"
    numbers: ClassVar = (Number("best-of-n", "lower"),)
    needs: ClassVar = Needs(ground_truth=True, samples=2, side=MIN_SIDE)
    ranking: ClassVar = Ranking("quality", 40)

    def summarise(self, found: Found) -> MetricResult:
        """See `Metric`; also the best of half as many of the same samples."""
        result = best_of_n(self.distances(found), seed=self.seed)
        num_samples = result.distances.shape[1]
        scores = [self.numbers[0].score(result.best)]
        if num_samples > 2:
            half = num_samples // 2
            expected = mean_estimate(result.expected_best(half), seed=self.seed)
            scores.append(Number(f"best-of-{half}", "lower").score(expected, "from the same samples"))
        return self.result(f"LPIPS of the best of {num_samples} samples", tuple(scores), result.distances)

    def per_input(self, found: Found) -> np.ndarray:
        """See `Metric`: that of the best sample."""
        return self.distances(found).min(axis=1)
