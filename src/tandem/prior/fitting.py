"""Gaussian mixtures by expectation maximisation, with the number of components chosen by held-out images.

All is computed in coordinates in which the points have the mean 0 and the covariance I, in float64. There a Gaussian's
log density is linear in 1, x and the products x_i·x_j, and so are the sums that make new Gaussians; so a step is two
matrix products over the points. It begins with k-means (k-means++) and stops when a step adds less than `TOLERANCE`
nats a point. A component which fewer points fall to than say anything about its covariance is dropped.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count

import numpy as np

from tandem.config.latent_prior import most_components
from tandem.prior.distributions import MixturePrior, Prior, log_sum_exp
from tandem.rng import numpy_generator

CANDIDATES = (1, 2, 4, 8, 16, 32, 64)
"""The numbers of components among which ``auto`` chooses."""
HELD_OUT = 5
"""One of so many images is held out while the number is chosen."""
STARTS = 2
"""Starts of the final fit; that with the highest likelihood counts."""
TOLERANCE = 1e-3
MOST_STEPS = 50
FLOOR = 1e-6
"""What is added to the variances, in units of those of all points together."""
LEAST_IMAGES = 2
_BLOCK = 2**22


@dataclass(frozen=True, eq=False)
class Choice:
    """How many components say most about the latents of images that they have not seen.

    Attributes:
        components: The number; the smaller one of equals.
        held_out: The mean log density of the held-out latents, in nats, by the number that was tried.
        latents: The held-out latents, ``(N, D)``.
    """

    components: int
    held_out: Mapping[int, float]
    latents: np.ndarray

    def distance_from(self, prior: Prior) -> float:
        """Estimate KL(aggregate posterior ‖ prior) in nats, from below; 0 at least, as divergences are.

        By so much more likely are the held-out latents under the best mixture of the others than under the prior. For
        any density r, E_q log r(z) ≤ E_q log q(z), so this is at most the divergence, and as much where mixtures of
        Gaussians can be as the aggregate posterior is. (With the mean of the other images' posteriors as r, a dense
        kernel for each image, it would be a bound as well, but of no use where posteriors are narrow: dozens of nats
        below 0 for an aggregate posterior of N(0, I) in 8 dimensions and 2,000 posteriors with a deviation of 0.1.)
        """
        return max(0.0, max(self.held_out.values()) - float(prior.log_density(self.latents).mean()))


def choose_components(points: np.ndarray, *, seed: int) -> Choice | None:
    """Fit 1, 2, 4, … 64 components to four fifths of the images, and see how likely the latents of the others are.

    It stops when two numbers in a row have done worse than the best.

    Args:
        points: As for `fit_mixture`.
        seed: Of the images that are held out, and of the starts.

    Returns:
        None for fewer than `HELD_OUT` images.

    Raises:
        ValueError: As for `fit_mixture`.
    """
    x, scale = _standardised(points)
    images, each, dim = points.shape
    order = _generator(seed, "held_out").permutation(images)
    held, kept = order[: images // HELD_OUT], order[images // HELD_OUT :]
    if not len(held):
        return None
    test, train = x[held].reshape(-1, dim), x[kept].reshape(-1, dim)
    least = _least_points(each, dim)
    most = max(1, min(most_components(dim), len(train) // least))
    volume = float(np.log(np.diagonal(scale.factor)).sum())
    found: dict[int, float] = {}
    best = 1
    for number in (number for number in CANDIDATES if number <= most):
        fit = _fit(train, number, _generator(seed, "choose", number), least=least)
        found[number] = _pass(test, fit)[1] - volume
        best = number if found[number] > found[best] else best
        if number > 2 * best:
            break
    return Choice(best, found, points[held].reshape(-1, dim))


def fit_mixture(points: np.ndarray, components: int, *, seed: int) -> MixturePrior:
    """Fit a mixture of Gaussians.

    Args:
        points: Latents ``(images, latents of each, D)``, finite.
        components: How many Gaussians, from 1 to `tandem.config.latent_prior.most_components`; some may be dropped.
            With 1 the prior has the mean and the covariance of the points.
        seed: Of the starts.

    Returns:
        The mixture, with its components in descending order of weight.

    Raises:
        ValueError: There are no points, or they are not finite, or too large for float32.
    """
    x, scale = _standardised(points)
    dim = points.shape[2]
    flat, least = x.reshape(-1, dim), _least_points(points.shape[1], dim)
    starts = STARTS if components > 1 else 1
    fits = [_fit(flat, components, _generator(seed, "start", index), least=least) for index in range(starts)]
    best = max(fits, key=lambda fit: fit.likelihood)
    order = np.argsort(-best.weights, kind="stable")
    with np.errstate(over="ignore"):  # what no float32 holds becomes infinite and is refused as that
        return MixturePrior(
            weights=best.weights[order].astype(np.float32),
            means=(scale.mean + best.means[order] @ scale.factor.T).astype(np.float32),
            factors=(scale.factor @ np.linalg.cholesky(best.covariances[order])).astype(np.float32),
        )


@dataclass(frozen=True)
class _Scale:
    mean: np.ndarray
    factor: np.ndarray


def _standardised(points: np.ndarray) -> tuple[np.ndarray, _Scale]:
    """The points in coordinates in which they have the mean 0 and the covariance I, and how to come back."""
    if points.ndim != 3 or not points.size or not np.isfinite(points).all():
        raise ValueError(f"a prior is fitted to finite latents, (images, latents of each, D), not {points.shape}")
    dim = points.shape[2]
    flat = points.reshape(-1, dim).astype(np.float64)
    mean = flat.mean(0)
    covariance = np.cov(flat, rowvar=False, bias=True).reshape(dim, dim)
    # Points may lie in a plane, or all in one place.
    floor = FLOOR * (float(np.trace(covariance)) / dim or 1.0)
    factor = np.linalg.cholesky(covariance + floor * np.eye(dim))
    return np.linalg.solve(factor, (flat - mean).T).T.reshape(points.shape), _Scale(mean, factor)


def _least_points(each: int, dim: int) -> int:
    """Points that a component must have: more than dimensions, and those of several images."""
    return max(dim + 1, LEAST_IMAGES * each)


@dataclass(frozen=True)
class _Gaussians:
    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    likelihood: float = -math.inf


def _fit(x: np.ndarray, components: int, generator: np.random.Generator, *, least: int) -> _Gaussians:
    members = _k_means(x, components, generator)
    sums = _sums(x, lambda rows, _: np.eye(components)[members[rows]])
    fit, before = _maximise(sums, x.shape[1], least=least), -math.inf
    for step in count(1):
        sums, likelihood = _pass(x, fit)
        fit = _Gaussians(fit.weights, fit.means, fit.covariances, likelihood)
        if likelihood - before < TOLERANCE or step == MOST_STEPS:
            return fit
        next_fit = _maximise(sums, x.shape[1], least=least)
        before = likelihood if len(next_fit.weights) == len(fit.weights) else -math.inf
        fit = next_fit
    raise AssertionError("unreachable")


def _pass(x: np.ndarray, fit: _Gaussians) -> tuple[np.ndarray, float]:
    """What the next Gaussians are made of, see `_sums`, and the mean log density of the points."""
    coefficients, total = _coefficients(fit), 0.0

    def responsibilities(rows: slice, features: np.ndarray) -> np.ndarray:
        nonlocal total
        del rows
        logs = features @ coefficients
        evidence = log_sum_exp(logs, axis=1)
        total += float(evidence.sum())
        return np.exp(logs - evidence[:, None])

    return _sums(x, responsibilities), total / len(x)


def _coefficients(fit: _Gaussians) -> np.ndarray:
    """Of the log densities, log weight included, in the features of points: ``(F, K)``."""
    dim = fit.means.shape[1]
    rows, columns = np.triu_indices(dim)
    inverse = np.linalg.inv(np.linalg.cholesky(fit.covariances))
    precisions = np.swapaxes(inverse, 1, 2) @ inverse
    linear = np.einsum("kij,kj->ki", precisions, fit.means)
    volumes = np.log(np.diagonal(inverse, axis1=1, axis2=2)).sum(1)
    constant = np.log(fit.weights) + volumes - 0.5 * (dim * math.log(2 * math.pi) + (linear * fit.means).sum(1))
    products = np.where(rows == columns, -0.5, -1.0) * precisions[:, rows, columns]
    return np.concatenate([constant[:, None], linear, products], 1).T


def _sums(x: np.ndarray, shares: Callable[[slice, np.ndarray], np.ndarray]) -> np.ndarray:
    """Sums of the features of the points by component, ``(K, F)``; of each point a component has its share."""
    return sum(shares(rows, features).T @ features for rows, features in _features(x))  # type: ignore[return-value]


def _features(x: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Of some points at a time 1, x and the products x_i·x_j, i ≤ j: ``(N, F)``."""
    rows, columns = np.triu_indices(x.shape[1])
    size = max(1, _BLOCK // len(rows))
    for start in range(0, len(x), size):
        part = x[start : start + size]
        products = part[:, rows] * part[:, columns]
        yield slice(start, start + len(part)), np.concatenate([np.ones((len(part), 1)), part, products], 1)


def _maximise(sums: np.ndarray, dim: int, *, least: int) -> _Gaussians:
    """The Gaussians of these sums, without the smallest one if it has fewer than `least` points."""
    while len(sums) > 1 and sums[:, 0].min() < least:
        sums = np.delete(sums, int(sums[:, 0].argmin()), axis=0)
    numbers = sums[:, 0]
    means = sums[:, 1 : dim + 1] / numbers[:, None]
    rows, columns = np.triu_indices(dim)
    covariances = np.empty((len(sums), dim, dim))
    products = sums[:, dim + 1 :] / numbers[:, None] - means[:, rows] * means[:, columns]
    covariances[:, rows, columns] = covariances[:, columns, rows] = products
    covariances[:, range(dim), range(dim)] += FLOOR
    return _Gaussians(numbers / numbers.sum(), means, covariances)


def _k_means(x: np.ndarray, components: int, generator: np.random.Generator, *, steps: int = 30) -> np.ndarray:
    """The cluster of each point, ``(N,)``: k-means++ (Arthur and Vassilvitskii, 2007), then Lloyd's steps.

    Of several candidates for each centre the one that brings the points nearest to their centres is taken.
    """
    centres = x[[generator.integers(len(x))]]
    nearest = np.square(x - centres[0]).sum(1)
    candidates = 2 + int(math.log(components))
    while len(centres) < components:
        total = nearest.sum()
        chosen = generator.choice(len(x), candidates, p=nearest / total if total > 0 else None)
        distances = np.minimum(nearest, np.square(x[chosen][:, None] - x).sum(2))
        best = int(distances.sum(1).argmin())
        centres, nearest = np.concatenate([centres, x[[chosen[best]]]]), distances[best]
    members = np.zeros(len(x), int)
    for _ in range(steps):
        distances = np.square(centres).sum(1) - 2 * x @ centres.T
        before, members = members, distances.argmin(1)
        if (before == members).all():
            break
        numbers = np.bincount(members, minlength=components)
        sums = np.eye(components)[members].T @ x
        centres = np.where(numbers[:, None] > 0, sums / np.maximum(numbers, 1)[:, None], centres)
    return members


def _generator(seed: int, what: str, position: int = 0) -> np.random.Generator:
    return numpy_generator(seed, f"prior/{what}", position=position)
