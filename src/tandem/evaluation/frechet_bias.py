"""What a Fréchet distance of finitely many images can say: its bias extrapolated away, and a bootstrap interval.

Paper: *Effectively Unbiased FID and Inception Score* (1911.07023). The distance of N images is about that of infinitely
many plus a / N; a line through distances of growing subsets, against 1 / N, meets the axis at FID∞. The paper keeps the
statistics of the real images fixed, for which it has 50,000; here by default both sets are thinned by the same factor,
so that the bias from the real ones goes as well.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tandem.errors import DataError
from tandem.evaluation.estimates import Estimate, normal_estimate
from tandem.evaluation.frechet import between_roots, covariance_root, statistics_of
from tandem.evaluation.kernel import check_feature_sets
from tandem.rng import numpy_generator

Progress = Callable[[int, int], None]
_SMALLEST_SHARE = 0.1


@dataclass(frozen=True)
class FrechetInfinity:
    """The extrapolated distance.

    Attributes:
        value: The distance at 1 / N = 0.
        slope: Of the line, per 1 / share: what the bias of the whole sets is, about.
        shares: Which share of the images each point used.
        values: The distances of the points.
        residual: Root mean square distance of the points from the line.
        is_reliable: Whether every point had more images than features; below that the bias is no line.
    """

    value: float
    slope: float
    shares: tuple[float, ...]
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
    smallest = min(max(_SMALLEST_SHARE, (num_features + 1) / fewest), 0.5)
    shares = np.linspace(smallest, 1.0, num_points)
    orders = [
        numpy_generator(seed, f"frechet_infinity/{name}").permutation(len(rows))
        for name, rows in (("real", real), ("fake", fake))
    ]
    whole = root_of_rows(real)
    values = []
    for index, share in enumerate(shares):
        of_real = root_of_rows(real[orders[0][: round(share * len(real))]]) if thin_real else whole
        of_fake = root_of_rows(fake[orders[1][: round(share * len(fake))]])
        values.append(between_roots(*of_real, *of_fake).value)
        if on_progress is not None:
            on_progress(index + 1, num_points)
    slope, intercept = np.polyfit(1 / shares, values, 1)
    residual = float(np.sqrt(np.square(np.array(values) - slope / shares - intercept).mean()))
    return FrechetInfinity(
        value=float(intercept),
        slope=float(slope),
        shares=tuple(shares.tolist()),
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
