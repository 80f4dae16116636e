"""Rank histogram: which place the ground truth takes among the samples of its input.

Papers: *Interpretation of Rank Histograms for Verifying Ensemble Forecasts* (10.1175/1520-0493(2001)129<0550:IORHFV>
2.0.CO;2) for the histogram, *Evaluating Rank Histograms Using Decompositions of the Chi-Square Test Statistic*
(10.1175/2007MWR2219.1) for its slope and its bend. The rank of a value among M samples is how many of them are below
it: 0 … M. Values are means over squares of pixels. Where samples equal the ground truth, every rank that it could have
among them counts in equal parts, which is what breaking ties at random gives on average, and has no noise.

- bias: the mean of 2 rank / M - 1, in [-1, 1]. 0 is right; above it the samples are too low, below it too high.
- dispersion: the mean of (rank - M / 2)² over that of equally frequent ranks, M (M + 2) / 12. 1 is right; above it the
  histogram is a U and the samples are too narrow, below it a dome and they are too wide.

**Is it flat?** The pixels of an image depend on each other, so that their number says nothing of how sure the histogram
is, and a chi-square over pixels rejects everything. The inputs are the independent units. If the ground truth of an
input could be one of its samples, then any of its M + 1 images could as well be taken for the ground truth, with all
that its pixels have in common. So for every input one of them is drawn to take its place, and the histogram is made
anew: the share of these draws that are as far from flat as the real one is an exact p-value, for few inputs too, and
without a model of the dependence. Three distances are looked at: bias, dispersion, and that of the whole histogram in
units of its covariance over the draws; the smallest of their p-values counts three times (Bonferroni).
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from torch import Tensor

from tandem.errors import DataError
from tandem.evaluation.estimates import mean_estimate
from tandem.evaluation.kinds.ensemble import EnsembleMetric, ensemble_blocks
from tandem.evaluation.metric import Found, Needs, Number
from tandem.report.scores import MetricResult
from tandem.rng import numpy_generator

_POOL = 4
_DRAWS = 1999
_CELLS = 2**20
_SURE = 0.05
_EQUAL = 1e-9  # sums of the same parts in another order


def rank_histograms(samples: Tensor, ground_truth: Tensor, *, pool: int = _POOL) -> np.ndarray:
    """The rank histogram of an input, and those with each of its samples in the place of the ground truth.

    Args:
        samples: ``(M, C, H, W)``, M at least 2, uint8, or float in [-1, 1].
        ground_truth: ``(C, H, W)``, likewise.
        pool: Side of the squares of pixels whose means are ranked.

    Returns:
        ``(M + 1, M + 1)``, float64: rows of shares of the ranks 0 … M, each with the sum 1. The first row is that of
        the ground truth; the mean of all rows is flat.

    Raises:
        DataError: The images do not fit together, there is a single sample, or a side is smaller than `pool`.

    Examples:
        >>> import torch
        >>> samples = torch.tensor([-0.5, 0.5]).view(2, 1, 1, 1).expand(2, 1, 4, 4)
        >>> rank_histograms(samples, torch.zeros(1, 4, 4))[0].tolist()
        [0.0, 1.0, 0.0]
    """
    size = len(samples) + 1
    changes, count = np.zeros((size, size + 1)), 0
    for x, y in ensemble_blocks(samples, ground_truth, pool=pool):
        values = np.concatenate([y[None], x])
        for place, own in enumerate(values):
            first = (values < own).sum(axis=0)
            end = first + (values == own).sum(axis=0)  # the ranks that it could have are first … end - 1
            part = 1 / (end - first)
            changes[place] += np.bincount(first, part, size + 1) - np.bincount(end, part, size + 1)
        count += len(y)
    return changes.cumsum(axis=1)[:, :-1] / count


@dataclass(frozen=True)
class Flatness:
    """What a rank histogram says; see the module.

    Attributes:
        histogram: Share of each rank, ``(M + 1,)``, the mean over inputs.
        biases: Of each input, ``(N,)``, in [-1, 1].
        dispersions: Of each input, ``(N,)``.
        p_value: Of the whole, in (0, 1].
        shape: In words: flat, biased low or high, too narrow (U) or too wide (dome), or uneven.
    """

    histogram: np.ndarray
    biases: np.ndarray
    dispersions: np.ndarray
    p_value: float
    shape: str


def flatness(histograms: np.ndarray, *, seed: int = 0) -> Flatness:
    """Test whether a rank histogram is flat.

    Args:
        histograms: ``(N, M + 1, M + 1)``, of each input what `rank_histograms` gives.
        seed: Of the draws.

    Raises:
        DataError: The shape is another one.

    Examples:
        >>> import numpy as np
        >>> low = np.roll(np.eye(5), 1, axis=1)[[3, 0, 1, 2, 4]]  # the ground truth is above all samples
        >>> found = flatness(np.repeat(low[None], 20, axis=0))
        >>> found.shape, found.p_value < 0.01
        ('biased low', True)
    """
    rows = np.asarray(histograms, dtype=np.float64)
    if rows.ndim != 3 or rows.shape[1] != rows.shape[2] or rows.shape[1] < 3 or not len(rows):
        raise DataError(f"histograms of the shape {rows.shape} cannot be tested; expected (N, M + 1, M + 1), M from 2.")
    count, size = rows.shape[:2]
    moments = np.stack(_moments(size), axis=1)  # what turns a histogram into bias and dispersion
    spread = rows - 1 / size
    distances = _Distances(moments, np.einsum("njk,njl->kl", spread, spread) / (size * count**2), size)
    own = distances(rows[:, 0].mean(axis=0)[None])
    exceeding = np.ones(own.shape[1])  # the real one is a draw too
    generator = numpy_generator(seed, "rank-histogram/flatness", position=count)
    at_once = max(1, _CELLS // (count * size))
    for start in range(0, _DRAWS, at_once):
        places = generator.integers(size, size=(min(at_once, _DRAWS - start), count))
        drawn = distances(rows[np.arange(count), places].mean(axis=1))
        exceeding += (drawn >= own * (1 - _EQUAL) - _EQUAL).sum(axis=0)
    p_values = np.minimum(1, len(exceeding) * exceeding / (_DRAWS + 1))
    biases, dispersions = (rows[:, 0] @ moments).T
    histogram = rows[:, 0].mean(axis=0)
    shape = _shape(p_values, histogram, bias=float(biases.mean()), dispersion=float(dispersions.mean()))
    return Flatness(histogram, biases, dispersions, float(p_values.min()), shape)


def _moments(size: int) -> tuple[np.ndarray, np.ndarray]:
    """By rank what it adds to bias and dispersion."""
    most = size - 1
    ranks = np.arange(size)
    return 2 * ranks / most - 1, np.square(ranks - most / 2) / (most * (most + 2) / 12)


@dataclass(frozen=True)
class _Distances:
    """From histograms ``(R, M + 1)`` to how far bias, dispersion and the whole are from those of flat ones."""

    moments: np.ndarray
    covariance: np.ndarray
    size: int

    def __call__(self, histograms: np.ndarray) -> np.ndarray:
        whole = histograms - 1 / self.size
        inverse = np.linalg.pinv(self.covariance, rcond=1e-9, hermitian=True)
        squared = np.einsum("rk,kl,rl->r", whole, inverse, whole)
        return np.column_stack([np.abs(whole @ self.moments), squared])


def _shape(p_values: np.ndarray, histogram: np.ndarray, *, bias: float, dispersion: float) -> str:
    is_biased, is_bent, is_uneven = (p_values < _SURE).tolist()
    ends = histogram[[0, -1]] * len(histogram)
    words = ["biased low" if bias > 0 else "biased high"] if is_biased else []
    # A bias alone fills one end and empties the other; it bends the histogram, but makes no U and no dome of it.
    if is_bent and dispersion > 1 and (not is_biased or ends.min() > 1):
        words.append("too narrow (U)")
    if is_bent and dispersion < 1 and (not is_biased or ends.max() < 1):
        words.append("too wide (dome)")
    return ", ".join(words) or ("uneven" if is_uneven else "flat")


class RankHistogram(EnsembleMetric):
    """See the module."""

    name: ClassVar = "rank-histogram"
    title: ClassVar = "Rank of the ground truth among the samples"
    numbers: ClassVar = (
        Number("rank-bias", "neither"),
        Number("rank-dispersion", "neither"),
        Number("rank-flatness-p", "neither"),
    )
    needs: ClassVar = Needs(ground_truth=True, samples=2, side=_POOL, brightness=True)
    remarks: ClassVar[dict[str, Any]] = {"pixels": f"means over {_POOL} px"}

    @staticmethod
    def of(samples: Tensor, ground_truth: Tensor) -> np.ndarray:
        """See `EnsembleMetric`."""
        return rank_histograms(samples, ground_truth)

    def summarise(self, found: Found) -> MetricResult:
        """See `Metric`."""
        rows = self.rows(found)
        tested = flatness(rows, seed=self.seed)
        bias, dispersion, p_value = self.numbers
        samples = self.setup.subject.num_samples
        scores = (
            bias.score(mean_estimate(tested.biases, seed=self.seed), "right: 0; above 0 the samples are too low"),
            dispersion.score(
                mean_estimate(tested.dispersions, seed=self.seed), "right: 1; above 1 the samples are too narrow"
            ),
            p_value.plain_score(tested.p_value, len(rows), tested.shape),
        )
        shares = tested.histogram.tolist()
        return MetricResult(
            metric=self.name,
            title=self.title,
            scores=scores,
            depends_on=self.depends(found) | {"shape": tested.shape, "histogram": shares},
            outcomes=("shape", "histogram"),
            shares={str(rank): share for rank, share in enumerate(shares)},
            shares_title=f"Share of each rank among {samples} samples (flat: {1 / len(shares):.3g})",
        )
