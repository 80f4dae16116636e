"""The Fréchet distance between two sets of features (FID where they are Inception's).

Paper: *GANs Trained by a Two Time-Scale Update Rule* (1706.08500). Between Gaussians of the sets' means and
covariances:

    d = |mu1 - mu2|² + Tr(S1) + Tr(S2) - 2 Tr((S1 S2)^½)

With S = A Aᵀ the last trace is the sum of the singular values of A1ᵀ A2. That is used here. It needs no decomposition
of a matrix that is not symmetric, as `scipy.linalg.sqrtm` and the eigenvalues of S1 S2 do; and where covariances are
singular (fewer images than features) it keeps all digits, of which those lose half. A is a Cholesky factor, or comes
from the eigenvectors of S where that is near singular.

The estimate is biased upwards (*Effectively Unbiased FID and Inception Score*, 1911.07023): the distance of N images is
about that of infinitely many plus a / N; a line through distances of growing subsets, against 1 / N, meets the axis at
FID∞. The paper keeps the statistics of the real images fixed, for which it has 50,000; here by default both sets are
thinned by the same factor, so that the bias from the real ones goes as well.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from tandem.errors import DataError
from tandem.evaluation.accumulators import MeanCovariance
from tandem.evaluation.estimates import Estimate, normal_estimate
from tandem.evaluation.kinds.features import FeatureMetric, check_feature_sets
from tandem.evaluation.metric import Number, Setup
from tandem.evaluation.networks.features import FeatureExtractor
from tandem.evaluation.options import EvaluationOptions
from tandem.report.scores import MetricResult
from tandem.rng import numpy_generator

Progress = Callable[[int, int], None]

RECOMMENDED_IMAGES = 10_000
"""The authors of FID advise at least this many images."""

_NEARLY_SINGULAR = 1e-10
_LARGE = 512
_CHEAP = 512
_INFINITY_IMAGES = 20
_SMALLEST_FRACTION = 0.1


@dataclass(frozen=True)
class FrechetDistance:
    """A distance and its parts.

    Attributes:
        value: The distance; 0 at least, since rounding can give less.
        mean_term: |mu1 - mu2|².
        trace_real: Tr(S1).
        trace_fake: Tr(S2).
        trace_root: Tr((S1 S2)^½).
    """

    value: float
    mean_term: float
    trace_real: float
    trace_fake: float
    trace_root: float


def frechet_distance(real: tuple[np.ndarray, np.ndarray], fake: tuple[np.ndarray, np.ndarray]) -> FrechetDistance:
    """The distance between Gaussians.

    Args:
        real: Mean ``(D,)`` and covariance ``(D, D)``, as `MeanCovariance.result` gives them.
        fake: Likewise.

    Raises:
        DataError: The shapes differ, or values are not finite.

    Examples:
        >>> import numpy as np
        >>> unit = np.eye(2)
        >>> frechet_distance((np.zeros(2), unit), (np.array([3.0, 4.0]), unit)).value
        25.0
    """
    return between_roots(real[0], covariance_root(real[1]), fake[0], covariance_root(fake[1]))


def between_roots(
    real_mean: np.ndarray, real_root: np.ndarray, fake_mean: np.ndarray, fake_root: np.ndarray
) -> FrechetDistance:
    """The distance from means and roots A ``(D, rank)`` of the covariances A Aᵀ."""
    if real_mean.shape != fake_mean.shape or len(real_root) != len(fake_root):
        raise DataError(
            f"the two sets have features of different lengths, {len(real_mean)} and {len(fake_mean)}: they come from "
            "different networks."
        )
    delta = real_mean - fake_mean
    mean_term = float(delta @ delta)
    traces = float(np.square(real_root).sum()), float(np.square(fake_root).sum())
    root = _sum_of_singular_values(real_root.T @ fake_root)
    return FrechetDistance(max(0.0, mean_term + sum(traces) - 2 * root), mean_term, *traces, root)


def covariance_root(covariance: np.ndarray) -> np.ndarray:
    """A matrix A ``(D, rank)`` with A Aᵀ = covariance; directions without variance beyond rounding are left out."""
    if covariance.ndim != 2 or covariance.shape[0] != covariance.shape[1] or not np.isfinite(covariance).all():
        raise DataError(f"a covariance has the shape {covariance.shape} or values that are not finite.")
    try:
        root = np.linalg.cholesky(covariance)
        if np.square(root.diagonal()).min() > _NEARLY_SINGULAR * covariance.diagonal().max():
            return root
    except np.linalg.LinAlgError:
        pass  # singular to rounding
    values, vectors = np.linalg.eigh(covariance)
    kept = values > values[-1] * len(values) * np.finfo(np.float64).eps
    return vectors[:, kept] * np.sqrt(values[kept])


def _sum_of_singular_values(matrix: np.ndarray) -> float:
    rows, columns = matrix.shape
    if rows == columns and rows > _LARGE:
        # Both roots have full rank. Eigenvalues of the square are exact enough then, at a third of the cost.
        return float(np.sqrt(np.linalg.eigvalsh(matrix.T @ matrix).clip(min=0)).sum())
    return float(np.linalg.svd(matrix, compute_uv=False).sum())


def statistics_of(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of features ``(N, D)``, in float64."""
    gathered = MeanCovariance(features.shape[-1])
    gathered.add(features)
    return gathered.result()


def frechet_warnings(*, num_real: int, num_fake: int, num_features: int) -> list[str]:
    """What a reader of the distance must know of its bias; empty if there are enough images."""
    fewest = min(num_real, num_fake)
    if fewest > num_features and fewest >= RECOMMENDED_IMAGES:
        return []
    text = (
        f"the Fréchet distance of {num_real:,} and {num_fake:,} images is biased upwards: compare it only with "
        f"distances of as many images (the authors of FID advise at least {RECOMMENDED_IMAGES:,})"
    )
    if fewest <= num_features:
        text += (
            f", and with no more images than the {num_features:,} features the covariance is singular, so that the "
            "bias is large; KID is unbiased at any number"
        )
    return [text + "."]


@dataclass(frozen=True)
class FrechetInfinity:
    """The extrapolated distance.

    Attributes:
        value: The distance at 1 / N = 0.
        slope: Of the line, per 1 / fraction: what the bias of the whole sets is, about.
        fractions: Which fraction of the images each point used.
        values: The distances of the points.
        residual: Root mean square distance of the points from the line.
        is_reliable: Whether every point had more images than features; below that the bias is no line.
    """

    value: float
    slope: float
    fractions: tuple[float, ...]
    values: tuple[float, ...]
    residual: float
    is_reliable: bool


def frechet_infinity(
    real: np.ndarray,
    fake: np.ndarray,
    *,
    num_points: int = 15,
    thin_real: bool = True,
    seed: int = 0,
    on_progress: Progress | None = None,
) -> FrechetInfinity:
    """Extrapolate the distance to infinitely many images.

    Args:
        real: Features ``(N, D)``.
        fake: Features ``(M, D)``.
        num_points: Subsets, evenly spaced from a tenth (or D + 1 images, if that is more, but half at most) to all.
        thin_real: Whether the real set shrinks too.
        seed: Of the subsets.
        on_progress: Called with points done and points in all.

    Raises:
        DataError: The features do not fit together, or are too few.
    """
    check_feature_sets(real, fake)
    fewest = min(len(real), len(fake)) if thin_real else len(fake)
    if fewest < 20 or num_points < 3:
        raise DataError(f"an extrapolation needs at least 20 images and 3 points, not {fewest} and {num_points}.")
    num_features = real.shape[1]
    smallest = min(max(_SMALLEST_FRACTION, (num_features + 1) / fewest), 0.5)
    fractions = np.linspace(smallest, 1.0, num_points)
    orders = [
        numpy_generator(seed, f"frechet_infinity/{name}").permutation(len(rows))
        for name, rows in (("real", real), ("fake", fake))
    ]
    whole = root_of_rows(real)
    values = []
    for index, fraction in enumerate(fractions):
        of_real = root_of_rows(real[orders[0][: round(fraction * len(real))]]) if thin_real else whole
        of_fake = root_of_rows(fake[orders[1][: round(fraction * len(fake))]])
        values.append(between_roots(*of_real, *of_fake).value)
        if on_progress is not None:
            on_progress(index + 1, num_points)
    slope, intercept = np.polyfit(1 / fractions, values, 1)
    residual = float(np.sqrt(np.square(np.array(values) - slope / fractions - intercept).mean()))
    return FrechetInfinity(
        value=float(intercept),
        slope=float(slope),
        fractions=tuple(fractions.tolist()),
        values=tuple(values),
        residual=residual,
        is_reliable=bool(round(smallest * fewest) > num_features),
    )


def frechet_bootstrap(
    real: np.ndarray,
    fake: np.ndarray,
    *,
    num_resamples: int = 50,
    seed: int = 0,
    confidence: float = 0.95,
    on_progress: Progress | None = None,
) -> Estimate:
    """The distance with a bootstrap standard error and a normal interval around it.

    Both sets are resampled with replacement. A resample repeats images, which adds bias of its own, so that the
    percentiles of the resamples lie above the distance; their standard deviation does not suffer from a shift, and is
    what is used. It says nothing of the bias of the distance itself.

    Args:
        real: Features ``(N, D)``.
        fake: Features ``(M, D)``.
        num_resamples: Resamples; each costs one distance.
        seed: Of the resampling.
        confidence: 0.9, 0.95 or 0.99.
        on_progress: Called with resamples done and resamples in all.

    Raises:
        DataError: The features do not fit together.
    """
    check_feature_sets(real, fake)
    if num_resamples < 2:
        raise DataError(f"a bootstrap needs at least 2 resamples, not {num_resamples}.")
    value = between_roots(*root_of_rows(real), *root_of_rows(fake)).value
    resampled = []
    for index in range(num_resamples):
        generator = numpy_generator(seed, "bootstrap/frechet", position=index)
        drawn = [rows[generator.integers(0, len(rows), len(rows))] for rows in (real, fake)]
        resampled.append(between_roots(*root_of_rows(drawn[0]), *root_of_rows(drawn[1])).value)
        if on_progress is not None:
            on_progress(index + 1, num_resamples)
    error = float(np.std(resampled, ddof=1))
    count = min(len(real), len(fake))
    method = "normal from 0 on, bootstrap standard error"
    found = normal_estimate(value, error, count=count, confidence=confidence, method=method)
    assert found.low is not None
    return dataclasses.replace(found, low=max(0.0, found.low))  # no distance is less


def root_of_rows(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean ``(D,)`` of features ``(N, D)`` and a root ``(D, at most N)`` of their covariance."""
    if len(features) > features.shape[1]:
        mean, covariance = statistics_of(features)
        return mean, covariance_root(covariance)
    rows = features.astype(np.float64)
    mean = rows.mean(axis=0)
    return mean, (rows - mean).T / np.sqrt(len(rows) - 1)


class FrechetMetric(FeatureMetric):
    """The Fréchet distance between features, with FID∞ where there are enough images for a line."""

    def compare(self, real: np.ndarray, fake: np.ndarray) -> MetricResult:
        """See `FeatureMetric`."""
        fewest, num_features = min(len(real), len(fake)), real.shape[1]
        resamples = 50 if min(fewest, num_features) <= _CHEAP else 10
        number, curve, limit_name = self.numbers[0], (), ""
        estimate = frechet_bootstrap(real, fake, num_resamples=resamples, seed=self.seed)
        scores = [number.score(estimate)]
        if fewest >= _INFINITY_IMAGES:
            limit = frechet_infinity(real, fake, seed=self.seed)
            note = "" if limit.is_reliable else "unreliable: fewer images than features"
            limit_name = f"{number.name}-infinity"
            scores.append(Number(limit_name, number.better).plain_score(limit.value, fewest, note))
            curve = tuple((1 / part, value) for part, value in zip(limit.fractions, limit.values, strict=True))
        return MetricResult(
            metric=self.name,
            title=self.title,
            scores=tuple(scores),
            depends_on={"bootstrap_resamples": resamples, "seed": self.seed},
            warnings=tuple(frechet_warnings(num_real=len(real), num_fake=len(fake), num_features=num_features)),
            curve=curve,
            curve_limit=limit_name,
        )


class Frechet(FrechetMetric):
    """The Fréchet distance in the features of ``--features``."""

    name: ClassVar = "frechet"
    title: ClassVar = "Fréchet distance"
    # It sees quality and variety alike, so it says more than any distance to the ground truth.
    numbers: ClassVar = (Number("frechet", "lower", decides_paired=50, decides_unpaired=30),)
    is_cheap: ClassVar = True

    @staticmethod
    def extractor(setup: Setup) -> FeatureExtractor:
        """See `FeatureMetric`."""
        return setup.networks.features()

    @classmethod
    def is_wanted(cls, options: EvaluationOptions) -> bool:
        """See `Metric`: who gives a feature network wants it."""
        return options.features is not None

    def conditions(self) -> dict[str, Any]:
        """See `Metric`."""
        return {"features": self.spec.weights.sha256[:16]}
