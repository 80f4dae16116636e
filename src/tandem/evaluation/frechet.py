"""The Fréchet distance between two sets of features (FID where they are Inception's).

Paper: *GANs Trained by a Two Time-Scale Update Rule* (1706.08500). Between Gaussians of the sets' means and
covariances:

    d = |mu1 - mu2|² + Tr(S1) + Tr(S2) - 2 Tr((S1 S2)^½)

With S = A Aᵀ the last trace is the sum of the singular values of A1ᵀ A2. That is used here. It needs no decomposition
of a matrix that is not symmetric, as `scipy.linalg.sqrtm` and the eigenvalues of S1 S2 do; and where covariances are
singular (fewer images than features) it keeps all digits, of which those lose half. A is a Cholesky factor, or comes
from the eigenvectors of S where that is near singular.

The estimate is biased upwards by about a / N (*Effectively Unbiased FID and Inception Score*, 1911.07023); see
`tandem.evaluation.frechet_bias` for the extrapolation, and `frechet_warnings`.
"""

from dataclasses import dataclass

import numpy as np

from tandem.errors import DataError
from tandem.evaluation.accumulators import MeanCovariance

RECOMMENDED_IMAGES = 10_000
"""The authors of FID advise at least this many images."""

_NEARLY_SINGULAR = 1e-10
_LARGE = 512


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
