"""Diversity of the samples of one input in pixels."""

from typing import ClassVar

import numpy as np

from tandem.evaluation.cases import Loaded
from tandem.evaluation.estimates import mean_estimate
from tandem.evaluation.metric import Found, Metric, Needs, Number, Ranking, Setup
from tandem.evaluation.metrics.l1 import l1
from tandem.evaluation.rows.measurement import EachCase, to_batch
from tandem.report.scores import MetricResult


def l1_diversity(samples: np.ndarray) -> np.ndarray:
    """Mean absolute difference of consecutive samples of one input, on the scale 0..1.

    Args:
        samples: ``(M, H, W, C)``, uint8, M at least 2.

    Returns:
        ``(M - 1,)``, float64, in [0, 1].

    Examples:
        >>> import numpy as np
        >>> samples = np.zeros((3, 4, 4, 3), np.uint8)
        >>> samples[1] = 255
        >>> l1_diversity(samples)
        array([1., 1.])
    """
    batch = to_batch(samples)
    return l1(batch[:-1], batch[1:]).cpu().numpy()


class L1Diversity(Metric):
    """See `l1_diversity`; the mean over inputs."""

    name: ClassVar = "l1-diversity"
    title: ClassVar = "Diversity of the samples of an input (L1)"
    numbers: ClassVar = (Number("l1-diversity", "higher"),)
    needs: ClassVar = Needs(samples=2, brightness=True)
    is_cheap: ClassVar = True
    ranking: ClassVar = Ranking("diversity", 10)

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self._rows = _DiversityRows("l1-diversity", num_samples=setup.subject.num_samples)
        self.on_cases = (self._rows,)

    def summarise(self, found: Found) -> MetricResult:
        """See `Metric`."""
        rows = found.cases[self._rows.spec]
        return MetricResult(
            metric=self.name,
            title=self.title,
            scores=(self.numbers[0].score(mean_estimate(rows, seed=self.seed)),),
            depends_on={"inputs": rows.shape[0], "samples": rows.shape[1] + 1, "seed": self.seed},
        )

    def per_input(self, found: Found) -> np.ndarray:
        """See `Metric`: the mean over the consecutive pairs."""
        return found.cases[self._rows.spec].mean(axis=1)


class _DiversityRows(EachCase):
    """Differences of consecutive samples, ``(M - 1,)``."""

    def row(self, loaded: Loaded) -> np.ndarray:
        """See `EachCase`."""
        return l1_diversity(loaded.samples(self.num_samples))
