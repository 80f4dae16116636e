"""Vendi score: how many different pictures there are among the samples of an input.

Paper: *The Vendi Score: A Diversity Evaluation Metric for Machine Learning* (2210.02410). With the similarities K_ij of
M samples, K_ii = 1, and the eigenvalues l of K / M:

    exp(- sum l log l)

It is 1 for equal samples and M for samples that have nothing in common. The similarity is the cosine of the angle
between features from which the mean of the real outputs was taken: behind a ReLU features are nearly parallel, so that
without it 100 independent ones count as less than half as many.
"""

from typing import ClassVar

import numpy as np

from tandem.errors import DataError
from tandem.evaluation.estimates import mean_estimate
from tandem.evaluation.kinds.features import FeatureRows
from tandem.evaluation.kinds.sample_features import SampleFeatureMetric
from tandem.evaluation.metric import Found, Number, Setup
from tandem.report.scores import MetricResult
from tandem.rng import numpy_generator


def vendi_score(features: np.ndarray, *, centre: np.ndarray | None = None) -> float:
    """The effective number of different pictures.

    Args:
        features: ``(M, D)``, of M samples.
        centre: ``(D,)``, taken from all of them; None takes nothing.

    Returns:
        From 1 to M.

    Raises:
        DataError: The shapes do not fit, or features are not finite.

    Examples:
        >>> import numpy as np
        >>> round(vendi_score(np.eye(4)), 6), round(vendi_score(np.ones((4, 3))), 6)
        (4.0, 1.0)
        >>> round(vendi_score(np.array([[2.0, 0.0], [4.0, 0.0], [0.0, 1.0], [0.0, 1.0]])), 6)
        2.0
    """
    rows = np.asarray(features, dtype=np.float64)
    if rows.ndim != 2 or not rows.size or not np.isfinite(rows).all():
        raise DataError(f"features of the shape {rows.shape} have no Vendi score, or some are not finite.")
    if centre is not None:
        if np.shape(centre) != rows.shape[1:]:
            raise DataError(f"the centre has the shape {np.shape(centre)}; expected {rows.shape[1:]}.")
        rows = rows - centre
    norms = np.linalg.norm(rows, axis=1)
    unit = rows / np.where(norms > 0, norms, 1)[:, None]
    similarity = unit @ unit.T
    similarity[np.ix_(norms == 0, norms == 0)] = 1  # pictures in the centre are alike, though they have no direction
    values = np.linalg.eigvalsh(similarity / len(rows))
    values = values[values > 0]
    return float(np.exp(-(values * np.log(values)).sum()))


class Vendi(SampleFeatureMetric):
    """See `vendi_score`; the mean over inputs, beside that of as many real outputs of random inputs."""

    name: ClassVar = "vendi"
    title: ClassVar = "Different pictures among the samples of an input (Vendi)"
    numbers: ClassVar = (Number("vendi", "higher"),)

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self._reals = FeatureRows(self.extractor)
        self.on_reals = (self._reals,)

    def summarise(self, found: Found) -> MetricResult:
        """See `Metric`; without the scale where there are fewer real outputs than samples."""
        features, reals = self.features(found), found.reals[self._reals.spec]
        num_inputs, num_samples = features.shape[:2]
        centre = reals.mean(axis=0, dtype=np.float64)
        values = np.array([vendi_score(one, centre=centre) for one in features])
        scores = [self.numbers[0].score(mean_estimate(values, seed=self.seed), f"of {num_samples} samples")]
        if len(reals) >= num_samples:
            generator = numpy_generator(self.seed, "vendi/real", position=len(reals))
            groups = [generator.permutation(len(reals))[:num_samples] for _ in range(num_inputs)]
            real = float(np.mean([vendi_score(reals[group], centre=centre) for group in groups]))
            note = f"of {num_samples} real outputs of random inputs: the scale"
            scores.append(Number("vendi-real", "neither").plain_score(real, len(reals), note))
        result = MetricResult(
            metric=self.name,
            title=self.title,
            scores=tuple(scores),
            depends_on={"similarity": "cosine", "centred": "by the mean of the real outputs", "real": len(reals)},
        )
        return self.result(found, result)

    def per_input(self, found: Found) -> np.ndarray:
        """See `Metric`."""
        centre = found.reals[self._reals.spec].mean(axis=0, dtype=np.float64)
        return np.array([vendi_score(one, centre=centre) for one in self.features(found)])
