"""Numbers with their uncertainty: standard errors that know what was drawn independently, and bootstrap intervals.

An interval says how the number would vary with other images of the same kind (and other samples of the same model). It
does not know about bias, nor about another training run.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tandem.errors import DataError
from tandem.rng import numpy_generator

_CELLS = 2**19
_NORMAL_QUANTILES = {0.9: 1.6448536269514722, 0.95: 1.959963984540054, 0.99: 2.5758293035489004}


@dataclass(frozen=True)
class Estimate:
    """A number and how sure it is.

    Attributes:
        value: The number.
        standard_error: `None` if it was not estimated.
        low: Lower end of the interval; `None` if there is none.
        high: Upper end.
        confidence: Of the interval.
        count: How many independent units (images, inputs) it comes from.
        method: How the interval was made.
    """

    value: float
    standard_error: float | None
    low: float | None
    high: float | None
    confidence: float
    count: int
    method: str


def mean_estimate(
    values: np.ndarray, *, num_resamples: int = 2000, seed: int = 0, confidence: float = 0.95
) -> Estimate:
    """The mean, with a percentile bootstrap over rows.

    Args:
        values: ``(N,)``, one number per image; or ``(N, M)``, M numbers per input, which are not independent: whole
            rows are resampled then, and the standard error is that of the rows' means.
        num_resamples: Bootstrap resamples.
        seed: Of the resampling.
        confidence: Of the interval.

    Raises:
        DataError: There are no values, or some are not finite.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim not in {1, 2} or array.size == 0 or not np.isfinite(array).all():
        raise DataError(f"a mean of values of the shape {array.shape} cannot be taken, or some are not finite.")
    rows = array if array.ndim == 1 else array.mean(axis=1)
    if len(rows) == 1:
        return Estimate(float(rows[0]), None, None, None, confidence, 1, "none: a single unit")
    error = float(rows.std(ddof=1) / np.sqrt(len(rows)))
    resampled = [counts @ rows / len(rows) for counts in _resamples(len(rows), num_resamples, seed, "mean")]
    low, high = _percentiles(np.concatenate(resampled), confidence)
    return Estimate(float(rows.mean()), error, low, high, confidence, len(rows), "percentile bootstrap")


def student_estimate(values: Sequence[float], *, confidence: float = 0.95) -> Estimate:
    """The mean of a few independent values, such as those of training runs, with the interval of Student's t.

    The interval is mean ± t · s / √n with the quantile t of n − 1 degrees of freedom; it takes the values for normal.

    Raises:
        DataError: There are no values, or some are not finite.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not array.size or not np.isfinite(array).all():
        raise DataError(f"a mean of values of the shape {array.shape} cannot be taken, or some are not finite.")
    mean, count = float(array.mean()), len(array)
    if count == 1:
        return Estimate(mean, None, None, None, confidence, 1, "none: a single run")
    error = float(array.std(ddof=1)) / math.sqrt(count)
    reach = student_quantile(confidence, count - 1) * error
    return Estimate(mean, error, mean - reach, mean + reach, confidence, count, "Student's t")


def student_quantile(confidence: float, freedom: int) -> float:
    """The t with P(|T| < t) = `confidence` of Student's distribution with a whole number of degrees of freedom.

    With θ = atan(t / √ν) the probability is a finite sum of powers of cos θ (Abramowitz and Stegun, 26.7.3 and 26.7.4)
    and grows with θ, so θ is found by halving.
    """

    def probability(theta: float) -> float:
        odd = freedom % 2
        term = math.cos(theta) if odd else 1.0
        total = 0.0
        for k in range(1 + odd, freedom, 2):
            total += term
            term *= k / (k + 1) * math.cos(theta) ** 2
        inner = math.sin(theta) * total
        return 2 / math.pi * (theta + inner) if odd else inner

    low, high = 0.0, math.pi / 2
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if probability(middle) < confidence else (low, middle)
    return math.sqrt(freedom) * math.tan((low + high) / 2)


def pairs_estimate(values: np.ndarray, pairs: np.ndarray, *, confidence: float = 0.95) -> Estimate:
    """The mean over pairs of images, whose standard error knows that pairs share images.

    The variance sums the products of deviations over all pairs of pairs with an image in common (the dyadic
    cluster-robust estimator); it is at least that of independent pairs. The interval is normal.

    Args:
        values: ``(P,)``, one number per pair.
        pairs: ``(P, 2)``, the two images of each pair; no pair occurs twice.
        confidence: 0.9, 0.95 or 0.99.

    Raises:
        DataError: The shapes do not fit, or there are fewer than two pairs.
    """
    array = np.asarray(values, dtype=np.float64)
    pairs = np.asarray(pairs, dtype=np.int64)
    if array.ndim != 1 or pairs.shape != (len(array), 2) or len(array) < 2:
        raise DataError(f"values {array.shape} and pairs {pairs.shape}; expected (P,) and (P, 2) with P at least 2.")
    deviations = array - array.mean()
    by_image = np.zeros(int(pairs.max()) + 1)
    np.add.at(by_image, pairs.ravel(), np.repeat(deviations, 2))
    own = float(np.square(deviations).sum())
    variance = max(float(np.square(by_image).sum()) - own, own) / len(array) ** 2
    error = float(np.sqrt(variance * len(array) / (len(array) - 1)))
    count = len(np.unique(pairs))
    return normal_estimate(float(array.mean()), error, count=count, confidence=confidence, method="normal, dyadic")


def normal_estimate(value: float, error: float, *, count: int, confidence: float, method: str) -> Estimate:
    """An estimate with the interval value ± quantile · standard error."""
    if confidence not in _NORMAL_QUANTILES:
        raise DataError(f"the confidence is {confidence}; expected one of {', '.join(map(str, _NORMAL_QUANTILES))}.")
    reach = _NORMAL_QUANTILES[confidence] * error
    return Estimate(value, error, value - reach, value + reach, confidence, count, method)


def resampled_estimate(
    rows: np.ndarray,
    of: Callable[[np.ndarray], np.ndarray],
    *,
    stream: str,
    num_resamples: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Estimate:
    """A function of the means of some columns, such as a ratio of two, with a percentile bootstrap over rows.

    Args:
        rows: ``(N, K)``, of each independent unit K numbers.
        of: From means ``(R, K)`` to numbers ``(R,)``; resamples where it is not finite are left out.
        stream: Names the draws.
        num_resamples: Bootstrap resamples.
        seed: Of the resampling.
        confidence: Of the interval.
    """
    value = float(of(rows.mean(axis=0, keepdims=True))[0])
    if len(rows) == 1:
        return Estimate(value, None, None, None, confidence, 1, "none: a single unit")
    means = [counts @ rows / len(rows) for counts in _resamples(len(rows), num_resamples, seed, stream)]
    resampled = of(np.concatenate(means))
    resampled = resampled[np.isfinite(resampled)]
    return percentile_estimate(value, resampled, count=len(rows), confidence=confidence)


def percentile_estimate(value: float, resampled: np.ndarray, *, count: int, confidence: float) -> Estimate:
    """An estimate with the percentiles of its bootstrap resamples; no interval without resamples."""
    if len(resampled) < 2:
        return Estimate(value, None, None, None, confidence, count, "none")
    low, high = _percentiles(resampled, confidence)
    return Estimate(value, float(resampled.std(ddof=1)), low, high, confidence, count, "percentile bootstrap")


def resample_counts(count: int, num_resamples: int, seed: int, stream: str) -> np.ndarray:
    """How often each of `count` units is drawn, with replacement: ``(num_resamples, count)``, the smallest integers."""
    found = np.empty((num_resamples, count), np.min_scalar_type(count))
    done = 0
    for counts in _resamples(count, num_resamples, seed, stream):
        found[done : done + len(counts)] = counts
        done += len(counts)
    return found


def _resamples(count: int, num_resamples: int, seed: int, stream: str) -> Iterator[np.ndarray]:
    """The counts of some resamples at a time, ``(n, count)``: all of them can be much more than the values."""
    generator = numpy_generator(seed, f"bootstrap/{stream}", position=count)
    shares = np.full(count, 1 / count)
    at_once = max(1, _CELLS // count)
    for start in range(0, num_resamples, at_once):
        yield generator.multinomial(count, shares, size=min(at_once, num_resamples - start))


def _percentiles(values: np.ndarray, confidence: float) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
