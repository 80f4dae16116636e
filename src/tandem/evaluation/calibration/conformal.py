"""The arithmetic of conformal risk control on images: their pixels depend on each other, so each image counts as one.

Paper: *Conformal Risk Control* (Angelopoulos et al., 2208.02814). Let L_i(t) be a loss of image i at the setting t,
which is at most 1 and does not rise with t. The least t with

    (L_1(t) + … + L_n(t) + 1) / (n + 1) ≤ α

gives E[L(t)] ≤ α for a new image that is exchangeable with the n images.

*Intervals*: t is their scale, L the share of an image's values that lie outside, α is 1 − level. Where every image
is one value this is split conformal prediction: t is the score of rank ⌈(n + 1) · level⌉.

*Flags*: t is the threshold and α the rate of false ones. What share of an image's flagged pixels is right may rise and
fall with the threshold, so L is the highest such share at this threshold and all above, which is never below the share.

Levels are decimal fractions and losses are ratios of counts, and all comparisons are made in whole numbers: in floating
point (n + 1) · (1 − 0.9) is less than 1, 2, 10 at n = 9, 19, 99, which costs a rank.
"""

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np


def exact(share: float) -> Fraction:
    """The decimal fraction that a share was written as: 0.9 is 9/10, which no float is."""
    return Fraction(repr(float(share)))


def conformal_rank(num_images: int, level: float) -> int | None:
    """The rank, from 1, of the score that the interval of a level is made of; None where that is infinite.

    Examples:
        >>> [conformal_rank(n, 0.9) for n in (8, 9, 19, 99, 999)]
        [None, 9, 18, 90, 900]
    """
    rank = math.ceil((num_images + 1) * exact(level))
    return rank if rank <= num_images else None


def images_needed(rate: Fraction) -> int:
    """The least number of images that can control a loss at a rate: 1 − level of intervals, or that of false flags.

    Examples:
        >>> images_needed(1 - exact(0.9)), images_needed(exact(0.05))
        (9, 19)
    """
    return math.ceil(1 / rate) - 1


def least_scale(missed: np.ndarray, sizes: np.ndarray, level: float) -> int | None:
    """The first of some scales, in rising order, whose intervals hold enough.

    Args:
        missed: ``(N, J)``, integers: how many values of each image lie outside at each scale; not rising in a row.
        sizes: ``(N,)``: how many values each image has.
        level: What share must lie inside, on average over images.

    Returns:
        The index of the scale; None if there is none.
    """
    return _first(missed, np.broadcast_to(sizes[:, None], missed.shape), 1 - exact(level))


def least_threshold(flagged: np.ndarray, right: np.ndarray, rate: float) -> int | None:
    """The first of some thresholds, in rising order, above which few enough flags are false.

    Args:
        flagged: ``(N, K)``, integers: how many pixels of each image are flagged at each threshold.
        right: ``(N, K)``: how many of those are right all the same.
        rate: What share of an image's flagged pixels may be right, on average; an image without flags counts as 0.

    Returns:
        The index of the threshold; None if there is none at which anything is flagged.
    """
    found = _first(*_highest_from(right, np.maximum(flagged, 1)), exact(rate))
    return found if found is not None and flagged[:, found].any() else None


def _highest_from(parts: np.ndarray, wholes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of ratios ``(N, K)``, the highest from each place of a row to its end: parts and wholes of these."""
    parts, wholes = parts.copy(), wholes.copy()
    for index in reversed(range(parts.shape[1] - 1)):
        here, behind = slice(index, index + 1), slice(index + 1, index + 2)
        is_lower = parts[:, here] / wholes[:, here] < parts[:, behind] / wholes[:, behind]
        for counts in (parts, wholes):
            counts[:, here] = np.where(is_lower, counts[:, behind], counts[:, here])
    return parts, wholes


def _first(parts: np.ndarray, wholes: np.ndarray, limit: Fraction) -> int | None:
    """The first place at which the ratios ``(N, J)``, which do not rise in a row, are controlled at `limit`."""
    num_images, num_places = parts.shape
    most = limit * (num_images + 1) - 1

    def holds(place: int) -> bool:
        # Images of one size have one denominator: their counts are summed first.
        sizes, groups = np.unique(wholes[:, place], return_inverse=True)
        sums = [0] * len(sizes)
        for group, part in zip(groups.tolist(), parts[:, place].tolist(), strict=True):
            sums[group] += part
        return sum((Fraction(part, size) for part, size in zip(sums, sizes.tolist(), strict=True)), Fraction()) <= most

    return _bisect(holds, num_places)


def _bisect(holds: Callable[[int], bool], num_places: int) -> int | None:
    """The first place at which something holds that holds at all later ones too; None if it holds nowhere."""
    low, high = 0, num_places
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low if low < num_places else None
