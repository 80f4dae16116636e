"""Priors: N(0, I), one Gaussian, or a mixture of Gaussians. NumPy alone.

A sample follows from its position, as all random numbers do (`tandem.rng`): position i has a standard normal vector n,
the same one whatever the prior, and a mixture also a uniform number, from a stream of its own, that chooses the
component k; z = mean_k + L_k·n with the Cholesky factor L_k of the covariance. So the first m of n samples are those of
m, and N(0, I) gives n itself.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tandem.config.latent_prior import MAX_COMPONENTS, MAX_PRIOR_NUMBERS
from tandem.rng import numpy_generator

MAX_LATENT_DIM = 4096
MAX_MAGNITUDE = 1e30
"""Of each number, so that every sample is a finite float32."""
WEIGHTS_TOLERANCE = 1e-4
NORMAL_GUESS_ERROR = math.sqrt(2 / math.pi)
"""E|z| of a standard normal z: the error of a guess of 0."""


@dataclass(frozen=True)
class NormalPrior:
    """N(0, I).

    Attributes:
        latent_dim: Length of a latent; 0 for models without one.
    """

    latent_dim: int

    def sample(self, number: int, *, seed: int) -> np.ndarray:
        """Draw latents, each by its position: ``(number, latent_dim)``, float32."""
        return normals(number, self.latent_dim, seed=seed).astype(np.float32)

    def transform(self, normal: np.ndarray, uniform: np.ndarray) -> np.ndarray:
        """The latents that given draws stand for, here the normal ones; see `MixturePrior.transform`."""
        del uniform
        return normal.astype(np.float32)

    def log_density(self, z: np.ndarray) -> np.ndarray:
        """The log density in nats at `z` ``(N, latent_dim)``: ``(N,)``, float64."""
        values = np.asarray(z, np.float64)
        return -0.5 * (np.square(values).sum(1) + self.latent_dim * math.log(2 * math.pi))

    def standardise(self, z: np.ndarray) -> np.ndarray:
        """`z` in coordinates in which the prior has the mean 0 and the covariance I, which are its own."""
        return z

    def unstandardise(self, z: np.ndarray) -> np.ndarray:
        """The inverse of `standardise`."""
        return z

    @property
    def guess_error(self) -> float:
        """Mean absolute error of who guesses the mean for every latent: sqrt(2 / π)."""
        return NORMAL_GUESS_ERROR

    def describe(self) -> str:
        """What it is, in a few words."""
        return "N(0, I)"


@dataclass(frozen=True, eq=False)
class MixturePrior:
    """A mixture of K Gaussians with full covariances; with one component a Gaussian.

    Attributes:
        weights: ``(K,)``, float32, above 0, with the sum 1.
        means: ``(K, D)``, float32.
        factors: Lower Cholesky factors of the covariances, ``(K, D, D)``, float32, positive on the diagonal.

    Raises:
        ValueError: Shapes, numbers or sizes are others: what is read from a file may be damaged or hostile.
    """

    weights: np.ndarray
    means: np.ndarray
    factors: np.ndarray

    def __post_init__(self) -> None:
        for problem in self._problems():
            raise ValueError(problem)

    def _problems(self) -> Iterator[str]:
        """Say what is wrong; each check relies on those before it."""
        arrays = {"weights": (self.weights, 1), "means": (self.means, 2), "factors": (self.factors, 3)}
        for name, (array, axes) in arrays.items():
            if array.dtype != np.float32 or array.ndim != axes:
                yield f"{name} must be float32 of {axes} axes, not {array.dtype} of the shape {array.shape}"
        components, dim = self.means.shape
        if not (1 <= components <= MAX_COMPONENTS and 1 <= dim <= MAX_LATENT_DIM):
            yield (
                f"a mixture has from 1 to {MAX_COMPONENTS} components of from 1 to {MAX_LATENT_DIM} dimensions, not "
                f"{components} of {dim}"
            )
        if components * dim**2 > MAX_PRIOR_NUMBERS:
            yield f"the factors hold {components * dim**2} numbers; at most {MAX_PRIOR_NUMBERS} are allowed"
        if self.weights.shape != (components,) or self.factors.shape != (components, dim, dim):
            yield f"weights {self.weights.shape} and factors {self.factors.shape} do not fit means {self.means.shape}"
        for name, (array, _) in arrays.items():
            if not (np.abs(array) <= MAX_MAGNITUDE).all():  # nor does NaN fulfil it
                yield f"{name} holds values that are not finite, or above {MAX_MAGNITUDE:g} in magnitude"
        if not (self.weights > 0).all() or abs(float(self.weights.sum(dtype=np.float64)) - 1) > WEIGHTS_TOLERANCE:
            yield "the weights of the components must be above 0 and have the sum 1"
        diagonals = np.diagonal(self.factors, axis1=1, axis2=2)
        if np.triu(self.factors, 1).any() or not (diagonals >= 1 / MAX_MAGNITUDE).all():
            yield "the factors must be lower triangular and positive on the diagonal, as those of covariances are"

    @property
    def latent_dim(self) -> int:
        """Length of a latent."""
        return self.means.shape[1]

    @property
    def components(self) -> int:
        """The number of Gaussians."""
        return len(self.weights)

    def sample(self, number: int, *, seed: int) -> np.ndarray:
        """Draw latents, each by its position: ``(number, latent_dim)``, float32."""
        uniform = uniforms(number, seed=seed, stream="component")
        return self.transform(normals(number, self.latent_dim, seed=seed), uniform)

    def transform(self, normal: np.ndarray, uniform: np.ndarray) -> np.ndarray:
        """The latents that given draws stand for.

        Args:
            normal: Standard normal draws, ``(N, latent_dim)``.
            uniform: Draws from [0, 1), which choose the component, ``(N,)``.

        Returns:
            ``(N, latent_dim)``, float32; each follows from its own draws alone, bit for bit.
        """
        ends = np.cumsum(self.weights, dtype=np.float64)
        chosen = np.minimum(np.searchsorted(ends / ends[-1], uniform, side="right"), self.components - 1)
        z = np.empty((len(normal), self.latent_dim))
        for row, (k, draw) in enumerate(zip(chosen, np.asarray(normal, np.float64), strict=True)):
            z[row] = self.means[k] + self.factors[k].astype(np.float64) @ draw
        return z.astype(np.float32)

    def log_density(self, z: np.ndarray) -> np.ndarray:
        """The log density in nats at `z` ``(N, latent_dim)``: ``(N,)``, float64."""
        values = np.asarray(z, np.float64)
        logs = np.empty((self.components, len(values)))
        for k, (mean, factor) in enumerate(zip(self.means, self.factors.astype(np.float64), strict=True)):
            away = np.linalg.solve(factor, (values - mean).T)
            logs[k] = -0.5 * np.square(away).sum(0) - np.log(np.diagonal(factor)).sum()
        logs += np.log(self.weights.astype(np.float64))[:, None] - 0.5 * self.latent_dim * math.log(2 * math.pi)
        return log_sum_exp(logs, axis=0)

    @cached_property
    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """The mean ``(D,)`` and the covariance ``(D, D)`` of the whole, float64."""
        weights, means, factors = (array.astype(np.float64) for array in (self.weights, self.means, self.factors))
        weights = weights / weights.sum()
        mean = weights @ means
        apart = means - mean
        inner = np.einsum("k,kij,klj->il", weights, factors, factors)
        return mean, inner + (weights[:, None] * apart).T @ apart

    @cached_property
    def _whole(self) -> np.ndarray:
        return np.linalg.cholesky(self.moments[1])

    def standardise(self, z: np.ndarray) -> np.ndarray:
        """`z` ``(…, D)`` in coordinates in which the prior has the mean 0 and the covariance I, float64."""
        return np.linalg.solve(self._whole, (np.asarray(z, np.float64) - self.moments[0]).T).T

    def unstandardise(self, z: np.ndarray) -> np.ndarray:
        """The inverse of `standardise`."""
        return self.moments[0] + z @ self._whole.T

    @property
    def guess_error(self) -> float:
        """Mean absolute error of who guesses the mean for every latent, over the dimensions.

        Of a component N(δ, s²) in one dimension, δ from the guess, it is s·sqrt(2 / π)·exp(−δ² / 2s²) + δ·erf(δ / s√2).
        """
        spreads = np.sqrt(np.square(self.factors.astype(np.float64)).sum(2))
        apart = self.means - self.moments[0]
        error = np.vectorize(math.erf)(apart / (math.sqrt(2) * spreads))
        folded = spreads * NORMAL_GUESS_ERROR * np.exp(-0.5 * np.square(apart / spreads)) + apart * error
        return float((self.weights @ folded).mean() / self.weights.sum())

    def describe(self) -> str:
        """What it is, in a few words."""
        return "a Gaussian" if self.components == 1 else f"a mixture of {self.components} Gaussians"


Prior = NormalPrior | MixturePrior


def normals(number: int, latent_dim: int, *, seed: int) -> np.ndarray:
    """The standard normal vectors of the first positions, ``(number, latent_dim)``, float64."""
    draws = [numpy_generator(seed, "sample", position=index).standard_normal(latent_dim) for index in range(number)]
    return np.stack(draws) if draws else np.empty((0, latent_dim))


def uniforms(number: int, *, seed: int, stream: str) -> np.ndarray:
    """Draws from [0, 1) of the first positions of a stream, ``(number,)``, float64."""
    return np.array([numpy_generator(seed, stream, position=index).random() for index in range(number)])


def log_sum_exp(values: np.ndarray, *, axis: int) -> np.ndarray:
    """The logarithm of Σ exp along an axis, without overflow."""
    most = values.max(axis, keepdims=True)
    return np.squeeze(most, axis) + np.log(np.exp(values - most).sum(axis))
