"""Kernel distance (KID): squared maximum mean discrepancy with the kernel (x·y / D + 1)³.

Paper: *Demystifying MMD GANs* (1801.01401). The estimate leaves out both diagonals and is unbiased at any number of
images; it may be negative. Published numbers are often means over random subsets, whose spread says how a subset
varies, not how sure the estimate is; `kid_subsets` draws them as torch-fidelity does, `kid` uses every image once
and gives a bootstrap interval. The kernel is computed block by block, in memory that does not grow with the images.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from tandem.errors import ConfigError
from tandem.evaluation.estimates import Estimate, percentile_estimate, resample_counts
from tandem.evaluation.kinds.features import FeatureMetric, check_feature_sets
from tandem.evaluation.metric import Number
from tandem.report.scores import MetricResult
from tandem.report.text import number

_BLOCK = 1024


@dataclass(frozen=True)
class SubsetKID:
    """KID over random subsets.

    Attributes:
        mean: Over the subsets.
        std: Their population standard deviation.
        values: Of each subset.
        subset_size: Images of each set in a subset.
        seed: Of the draws.
    """

    mean: float
    std: float
    values: np.ndarray
    subset_size: int
    seed: int


def kid(
    real: np.ndarray,
    fake: np.ndarray,
    *,
    num_resamples: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
    device: torch.device | str = "cpu",
) -> Estimate:
    """KID of whole sets, of any sizes.

    The interval is a percentile bootstrap over images of both sets: an image that is drawn w times counts w times, and
    pairs of an image with itself stay left out, which keeps the resampled estimate unbiased.

    Args:
        real: Features ``(N, D)``.
        fake: Features ``(M, D)``.
        num_resamples: Bootstrap resamples; 0 for none, and then no interval.
        seed: Of the resampling.
        confidence: Of the interval.
        device: Where to compute (float64, so not MPS).

    Returns:
        The squared distance, which may be negative, with its interval.

    Raises:
        DataError: The features do not fit together.

    Examples:
        >>> import numpy as np
        >>> real = np.array([[0.0, 0.0], [1.0, 1.0]])
        >>> kid(real, real + 2, num_resamples=0).value
        297.5
    """
    x, y = _features(real, fake, device)
    drawn_x, drawn_y = (
        resample_counts(len(rows), num_resamples, seed, f"kid/{name}") for name, rows in (("real", x), ("fake", y))
    )
    # The first row is the set itself.
    counts_x, counts_y = (
        np.concatenate([np.ones_like(drawn, shape=(1, drawn.shape[1])), drawn]) for drawn in (drawn_x, drawn_y)
    )
    values = _own_kernel(x, counts_x) + _own_kernel(y, counts_y) - 2 * _cross_kernel(x, y, counts_x, counts_y)
    point, *resampled = values.cpu().tolist()
    # Of a handful of images a resample may hold a single one, again and again: no pair is left then, and no distance.
    drawn = np.array([value for value in resampled if np.isfinite(value)])
    return percentile_estimate(point, drawn, count=min(len(x), len(y)), confidence=confidence)


def kid_subsets(
    real: np.ndarray,
    fake: np.ndarray,
    *,
    num_subsets: int = 100,
    subset_size: int = 1000,
    seed: int = 2020,
    device: torch.device | str = "cpu",
) -> SubsetKID:
    """KID over random subsets, with torch-fidelity's defaults and its draws.

    Args:
        real: Features ``(N, D)``.
        fake: Features ``(M, D)``.
        num_subsets: How many subsets.
        subset_size: Images of each set in a subset, without replacement.
        seed: Of NumPy's legacy generator; per subset the real images are drawn first.
        device: Where to compute (float64, so not MPS).

    Raises:
        DataError: The features do not fit together.
        ConfigError: A set has fewer images than `subset_size`.
    """
    x, y = _features(real, fake, device)
    if not 2 <= subset_size <= min(len(x), len(y)):
        raise ConfigError(
            f"subsets of {subset_size} images cannot be drawn from {len(x)} real and {len(y)} generated ones: give a "
            f"subset size from 2 to {min(len(x), len(y))}."
        )
    generator = np.random.RandomState(seed)  # the legacy generator is part of the protocol
    values = []
    for _ in range(num_subsets):
        of_real = generator.choice(len(x), subset_size, replace=False)
        of_fake = generator.choice(len(y), subset_size, replace=False)
        a, b = x[torch.from_numpy(of_real).to(x.device)], y[torch.from_numpy(of_fake).to(x.device)]
        ones = np.ones((1, subset_size))
        values.append(float(_own_kernel(a, ones) + _own_kernel(b, ones) - 2 * _cross_kernel(a, b, ones, ones)))
    array = np.array(values)
    return SubsetKID(float(array.mean()), float(array.std()), array, subset_size, seed)


class KID(FeatureMetric):
    """See `kid`; of the whole sets."""

    name: ClassVar = "kid"
    title: ClassVar = "Kernel distance (KID)"
    numbers: ClassVar = (Number("kid", "lower"),)

    def compare(self, real: np.ndarray, fake: np.ndarray) -> MetricResult:
        """See `FeatureMetric`."""
        estimate = kid(real, fake, seed=self.seed)
        note = f"times 1000: {number(estimate.value * 1000)}"
        score = self.numbers[0].score(estimate, note)
        return MetricResult(metric=self.name, title=self.title, scores=(score,), depends_on={"seed": self.seed})


def _own_kernel(x: Tensor, counts: np.ndarray) -> Tensor:
    """Means of the kernel over pairs of two rows of ``(N, D)``, weighted by each row of counts ``(B, N)``: ``(B,)``."""
    total, same = _zeros(counts, x), _zeros(counts, x)
    for rows in _blocks(x):
        weights = _part(counts, rows, x)
        same += weights.square().sum(1)
        for columns in _blocks(x):
            if columns.start < rows.start:
                continue  # the kernel is symmetric
            kernel = _kernel(x[rows], x[columns])
            if columns == rows:
                total += ((weights @ kernel.fill_diagonal_(0)) * weights).sum(1)
            else:
                total += 2 * ((weights @ kernel) * _part(counts, columns, x)).sum(1)
    return total / (_sums(counts, x).square() - same)


def _cross_kernel(x: Tensor, y: Tensor, counts_x: np.ndarray, counts_y: np.ndarray) -> Tensor:
    """Weighted means of the kernel over all pairs of rows of ``(N, D)`` and ``(M, D)``: ``(B,)``."""
    total = _zeros(counts_x, x)
    for rows in _blocks(x):
        weights = _part(counts_x, rows, x)
        for columns in _blocks(y):
            total += ((weights @ _kernel(x[rows], y[columns])) * _part(counts_y, columns, y)).sum(1)
    return total / (_sums(counts_x, x) * _sums(counts_y, y))


def _kernel(a: Tensor, b: Tensor) -> Tensor:
    return (a.double() @ b.double().T).div_(a.shape[1]).add_(1).pow_(3)


def _blocks(x: Tensor) -> Iterator[slice]:
    for start in range(0, len(x), _BLOCK):
        yield slice(start, min(start + _BLOCK, len(x)))


def _part(counts: np.ndarray, part: slice, like: Tensor) -> Tensor:
    return torch.from_numpy(counts[:, part].astype(np.float64)).to(like.device)


def _sums(counts: np.ndarray, like: Tensor) -> Tensor:
    return torch.from_numpy(counts.sum(axis=1, dtype=np.float64)).to(like.device)


def _zeros(counts: np.ndarray, like: Tensor) -> Tensor:
    return torch.zeros(len(counts), dtype=torch.float64, device=like.device)


def _features(real: np.ndarray, fake: np.ndarray, device: torch.device | str) -> tuple[Tensor, Tensor]:
    check_feature_sets(real, fake)
    return torch.as_tensor(real).to(device), torch.as_tensor(fake).to(device)
