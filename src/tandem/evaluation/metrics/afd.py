"""AFD: the average feature distance between samples of one input.

Paper: *Exploring the Design Space of Diffusion Bridge Models* (2410.21553): the Euclidean distance in the features of a
network, the mean over all pairs of the samples of an input. Like every diversity it rewards noise.
"""

from typing import ClassVar

import numpy as np

from tandem.errors import DataError
from tandem.evaluation.estimates import mean_estimate, pairs_estimate
from tandem.evaluation.kinds.features import FeatureRows
from tandem.evaluation.kinds.sample_features import SampleFeatureMetric
from tandem.evaluation.metric import Found, Number, Setup
from tandem.evaluation.real_pairs import pair_numbers
from tandem.report.scores import MetricResult


def average_feature_distance(features: np.ndarray) -> float:
    """Mean Euclidean distance over all pairs.

    Args:
        features: ``(M, D)``, of the samples of an input, M at least 2.

    Returns:
        At least 0, in the units of the features.

    Raises:
        DataError: There are fewer than two samples.

    Examples:
        >>> import numpy as np
        >>> average_feature_distance(np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 0.0]]))
        3.3333333333333335
    """
    rows = np.asarray(features, dtype=np.float64)
    if rows.ndim != 2 or len(rows) < 2:
        raise DataError(f"distances need the features of at least 2 samples, (M, D), not {rows.shape}.")
    distances = [np.linalg.norm(rows[index + 1 :] - one, axis=1) for index, one in enumerate(rows[:-1])]
    return float(np.concatenate(distances).mean())


class AFD(SampleFeatureMetric):
    """See `average_feature_distance`; the mean over inputs, beside that of random pairs of real outputs."""

    name: ClassVar = "afd"
    title: ClassVar = "Average feature distance between the samples of an input"
    numbers: ClassVar = (Number("afd", "higher"),)

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self._reals = FeatureRows(self.extractor)
        self.on_reals = (self._reals,)

    def summarise(self, found: Found) -> MetricResult:
        """See `Metric`."""
        scores = [self.numbers[0].score(mean_estimate(self.per_input(found), seed=self.seed))]
        reals = found.reals[self._reals.spec]
        pairs = pair_numbers(self.setup.subject, seed=self.seed)
        if len(pairs) > 1:
            distances = np.array([average_feature_distance(reals[pair]) for pair in pairs])
            note = "random pairs of real outputs: the scale"
            scores.append(Number("afd-real-pairs", "neither").score(pairs_estimate(distances, pairs), note))
        depends = {"real_pairs": len(pairs)}
        result = MetricResult(metric=self.name, title=self.title, scores=tuple(scores), depends_on=depends)
        return self.result(found, result)

    def per_input(self, found: Found) -> np.ndarray:
        """See `Metric`."""
        return np.array([average_feature_distance(one) for one in self.features(found)])
