"""Random pairs of real images, whose distances are the scale that diversity is read by."""

import numpy as np

from tandem.errors import DataError
from tandem.evaluation.cases import RealPair
from tandem.evaluation.subject import Subject
from tandem.rng import numpy_generator

NUM_PAIRS = 1900
"""As many as the published protocol of diversity has pairs of samples: 100 inputs with 19 each."""


def random_pairs(count: int, *, num_pairs: int = NUM_PAIRS, seed: int = 0) -> np.ndarray:
    """Different random pairs of different images, ``(P, 2)``, sorted; all pairs where there are not more.

    Raises:
        DataError: There are fewer than two images.
    """
    if count < 2:
        raise DataError(f"pairs need at least 2 images, not {count}.")
    total = count * (count - 1) // 2
    generator = numpy_generator(seed, "diversity/pairs", position=count)
    numbers = np.sort(generator.choice(total, min(num_pairs, total), replace=False, shuffle=False))
    # Pair number n is (i, j), i < j, where i(i-1)/2 pairs end before j = i ... counted by the larger image.
    larger = ((1 + np.sqrt(8.0 * numbers + 1)) // 2).astype(np.int64)
    larger -= larger * (larger - 1) // 2 > numbers
    larger += (larger + 1) * larger // 2 <= numbers
    pairs = np.stack([numbers - larger * (larger - 1) // 2, larger], axis=1)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


def pair_numbers(subject: Subject, *, seed: int) -> np.ndarray:
    """Which real images are the pairs, ``(P, 2)``; none of fewer than two images."""
    count = len(subject.reals)
    return random_pairs(count, seed=seed) if count > 1 else np.zeros((0, 2), np.int64)


def real_pairs(subject: Subject, *, seed: int) -> list[RealPair]:
    """The pairs, brought to the size of the first generated image."""
    reals = subject.reals
    return [RealPair(reals[i], reals[j], subject.size) for i, j in pair_numbers(subject, seed=seed)]
