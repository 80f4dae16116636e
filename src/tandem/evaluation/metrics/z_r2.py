"""z R²: how much of the latent can be read from a picture by a network that never saw the model.

An encoder that is trained with the generator can agree with it on a code that nobody sees (*CycleGAN, a Master of
Steganography*, 1712.02950), and then recovers z though it changes nothing to look at. Here z is read by ridge
regression from the features of the evaluation's network, which is frozen, for inputs that the regression was not fitted
on; and once more after JPEG and after a resize to half and back, which leave what can be seen and wipe out what is
hidden in high frequencies.

Of every input the mean over its samples is taken from features and z, so that what the input shows is no help and its
variety no hindrance. With features f and latents z like this, for half of the inputs,

    W = argmin |f W - z|² + lambda |W|²

and R² = 1 - sum (f W - z)² / sum z² over the other half, for each dimension of z. Lambda is the one of a few that
predicts each input of the first half best from its others.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tandem.errors import DataError
from tandem.evaluation.cases import Loaded, ModelCase
from tandem.evaluation.estimates import resampled_estimate
from tandem.evaluation.kinds.sample_features import Picture, SampleFeatureMetric, SampleFeatureRows
from tandem.evaluation.metric import Found, Needs, Number, Setup, UnmetNeedError
from tandem.evaluation.rows.measurement import EachCase
from tandem.report.scores import MetricResult, Score
from tandem.rng import numpy_generator

_MOST_ROWS = 2000  # samples that the regression sees, of both halves: it takes the cube of their number
_STRENGTHS = 10.0 ** np.arange(-6, 4)  # of lambda, in units of the mean eigenvalue
_FEWEST_INPUTS = 4


@dataclass(frozen=True)
class LatentReading:
    """How well z is read.

    Attributes:
        r_squared: Of each dimension, ``(d,)``: 1 at best, 0 where nothing is known, below that by chance.
        sums: ``(N, 2 d)``, of each input that was scored its squared errors, then its squared z, by dimension.
    """

    r_squared: np.ndarray
    sums: np.ndarray


def read_latents(features: np.ndarray, latents: np.ndarray, *, seed: int = 0) -> LatentReading:
    """Fit a ridge regression from features to latents on half of the inputs, and score it on the others.

    Args:
        features: ``(N, M, D)``, of M samples of each of N inputs; N at least 4, M at least 2.
        latents: ``(N, M, d)``, from which they were made.
        seed: Of the halves.

    Raises:
        DataError: The shapes do not fit.

    Examples:
        >>> import numpy as np
        >>> z = np.random.default_rng(0).standard_normal((20, 5, 2))
        >>> read_latents(z @ [[1.0, 2.0, 0.0], [0.0, 1.0, 3.0]] + 7, z).r_squared.round(6)
        array([1., 1.])
    """
    f, z = np.asarray(features, dtype=np.float64), np.asarray(latents, dtype=np.float64)
    if f.ndim != 3 or z.ndim != 3 or f.shape[:2] != z.shape[:2] or len(f) < _FEWEST_INPUTS or f.shape[1] < 2:
        raise DataError(
            f"features {f.shape} and latents {z.shape}; expected (N, M, D) and (N, M, d) with N at least "
            f"{_FEWEST_INPUTS} and M at least 2."
        )
    kept = max(2, min(f.shape[1], _MOST_ROWS // len(f)))
    f, z = (values[:, :kept] - values[:, :kept].mean(axis=1, keepdims=True) for values in (f, z))
    order = numpy_generator(seed, "z-r2/halves", position=len(f)).permutation(len(f))
    fitted, scored = np.sort(order[: len(f) // 2]), np.sort(order[len(f) // 2 :])
    read = _ridge(f[fitted], z[fitted], f[scored])
    errors = np.square(read - z[scored]).sum(axis=1)
    sums = np.concatenate([errors, np.square(z[scored]).sum(axis=1)], axis=1)
    return LatentReading(_r_squared(sums.sum(axis=0)), sums)


def _r_squared(sums: np.ndarray) -> np.ndarray:
    """From sums ``(…, 2 d)``, as in a reading, to ``(…, d)``."""
    errors, squares = np.split(sums, 2, axis=-1)
    return 1 - errors / squares


def _ridge(f: np.ndarray, z: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Predictions for features ``(K, M, D)`` from ``(N, M, D)`` and ``(N, M, d)``: ``(K, M, d)``.

    All is done with the products of features, ``(N M, N M)``, however many features there are.
    """
    num_inputs, num_samples, num_features = f.shape
    rows, targets = f.reshape(-1, num_features), z.reshape(num_inputs * num_samples, -1)
    values, vectors = np.linalg.eigh(rows @ rows.T)
    values = values.clip(min=0)
    if not values.any():  # features that do not differ
        return np.zeros((*wanted.shape[:2], z.shape[2]))
    turned = vectors.T @ targets
    by_input = vectors.reshape(num_inputs, num_samples, -1)
    best, least = 0.0, np.inf
    for strength in _STRENGTHS * values.mean():
        # Without an input g its error is (I - H_gg)^-1 times the one with it, where H turns targets into predictions.
        hat = np.einsum("gik,k,gjk->gij", by_input, values / (values + strength), by_input, optimize=True)
        error = (vectors @ (turned * (strength / (values + strength))[:, None])).reshape(z.shape)
        left_out = np.square(np.linalg.solve(np.eye(num_samples) - hat, error)).sum()
        if left_out < least:
            best, least = strength, left_out
    weights = rows.T @ (vectors @ (turned / (values + best)[:, None]))
    return wanted @ weights


class ZR2(SampleFeatureMetric):
    """See the module."""

    name: ClassVar = "z-r2"
    title: ClassVar = "How much of z can be read from a picture"
    numbers: ClassVar = (Number("z-r2", "higher"), Number("z-r2-jpeg", "higher"), Number("z-r2-half", "higher"))
    needs: ClassVar = Needs(samples=2)

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        num_samples = setup.subject.num_samples
        pictures: tuple[Picture, ...] = ("plain", "jpeg", "half")
        self._by_picture = {
            picture: SampleFeatureRows(self.extractor, num_samples, picture=picture) for picture in pictures
        }
        self._latents = _LatentRows("drawn-latents", num_samples=num_samples)
        self.on_cases = (*self._by_picture.values(), self._latents)

    @classmethod
    def check(cls, setup: Setup) -> None:
        """See `Metric`."""
        model = setup.subject.model
        if model is None or not model.translator.latent_dim:
            raise UnmetNeedError("it needs a model with a latent")
        super().check(setup)
        if (count := len(setup.subject.cases)) < _FEWEST_INPUTS:
            raise UnmetNeedError(f"it needs at least {_FEWEST_INPUTS} inputs, not {count}")

    def summarise(self, found: Found) -> MetricResult:
        """See `Metric`; the units of the intervals are the inputs that were scored."""
        latents = found.cases[self._latents.spec]
        read = {
            picture: read_latents(found.cases[rows.spec], latents, seed=self.seed)
            for picture, rows in self._by_picture.items()
        }
        notes = {
            "plain": "mean over z, of inputs that were not fitted on",
            "jpeg": "after JPEG of quality 75",
            "half": "after a resize to half and back",
        }
        scores = tuple(
            self._score(number, reading, notes[picture])
            for number, (picture, reading) in zip(self.numbers, read.items(), strict=True)
        )
        result = MetricResult(
            metric=self.name,
            title=self.title,
            scores=scores,
            depends_on={"r_squared": {picture: reading.r_squared.tolist() for picture, reading in read.items()}},
            outcomes=("r_squared",),
        )
        return self.result(found, result)

    def _score(self, number: Number, reading: LatentReading, note: str) -> Score:
        estimate = resampled_estimate(
            reading.sums, lambda sums: _r_squared(sums).mean(axis=-1), stream=number.name, seed=self.seed
        )
        return number.score(estimate, note)


class _LatentRows(EachCase):
    """The latents that the samples were made from, ``(M, d)``."""

    def row(self, loaded: Loaded) -> np.ndarray:
        """See `EachCase`."""
        case = loaded.case
        assert isinstance(case, ModelCase)
        return case.model.translator.sample_z(self.num_samples, seed=case.seed).astype(np.float64)
