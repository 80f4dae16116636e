"""Diversity of the samples of one input, as BicycleGAN measured it, and how near the best sample comes to the truth.

Paper: *Toward Multimodal Image-to-Image Translation* (1711.11586), whose protocol is: 100 inputs, 20 samples each,
LPIPS v0.0 with AlexNet between the 19 consecutive pairs of an input's samples, and the mean over all 1,900 pairs.
Beside it belongs the same distance between random pairs of real images: the scale, which the paper gives as well.

Diversity alone rewards noise: it says how different samples are, not whether they are plausible.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import comb

import numpy as np
import torch
from torch import Tensor

from tandem.errors import DataError
from tandem.evaluation.estimates import Estimate, mean_estimate, pairs_estimate
from tandem.evaluation.lpips import LPIPS, LPIPSSpec, consecutive
from tandem.rng import numpy_generator

PROTOCOL_INPUTS = 100
PROTOCOL_SAMPLES = 20
PROTOCOL_PAIRS = PROTOCOL_INPUTS * (PROTOCOL_SAMPLES - 1)

_BATCH = 20


@dataclass(frozen=True)
class Diversity:
    """How far samples of one input lie apart.

    Attributes:
        estimate: The mean; its error is that of the inputs' means, since pairs of one input are not independent.
        distances: ``(N, M - 1)``, of consecutive samples of each input.
        deviations: In what the measurement differs from the published protocol; empty if in nothing.
    """

    estimate: Estimate
    distances: np.ndarray
    deviations: tuple[str, ...]


@dataclass(frozen=True)
class BestOfN:
    """How near the samples of an input come to its truth.

    Attributes:
        best: Mean over the inputs of the smallest distance.
        mean: Mean over inputs and samples.
        distances: ``(N, M)``.
    """

    best: Estimate
    mean: Estimate
    distances: np.ndarray

    def expected_best(self, num_samples: int) -> np.ndarray:
        """Smallest distance among `num_samples` of the M samples, averaged over all choices: ``(N,)``.

        So numbers of more samples can be compared with those of fewer.

        Raises:
            DataError: There are not that many samples.
        """
        total = self.distances.shape[1]
        if not 1 <= num_samples <= total:
            raise DataError(f"the best of {num_samples} cannot be had from {total} samples: give 1 to {total}.")
        weights = [comb(total - 1 - rank, num_samples - 1) / comb(total, num_samples) for rank in range(total)]
        return np.sort(self.distances, axis=1) @ np.array(weights)


def protocol_inputs(count: int, *, num_inputs: int = PROTOCOL_INPUTS, seed: int = 0) -> np.ndarray:
    """Which of `count` images are the inputs: `num_inputs` of them at random, or all, in ascending order."""
    return np.sort(numpy_generator(seed, "diversity/inputs").permutation(count)[:num_inputs])


def consecutive_distances(distance: LPIPS, samples: Tensor, *, batch_size: int = _BATCH) -> np.ndarray:
    """Distances between consecutive samples of one input.

    Args:
        distance: LPIPS.
        samples: ``(M, 3, H, W)``, M at least 2, uint8, or float in [-1, 1].
        batch_size: Samples that go through the network at once.

    Returns:
        ``(M - 1,)``, float64.

    Raises:
        DataError: There are fewer than two samples, or they have another form.
    """
    if len(samples) < 2:
        raise DataError(f"diversity needs at least 2 samples of an input, not {len(samples)}.")
    parts = []
    for start in range(0, len(samples) - 1, batch_size):
        embedding = distance.embed(samples[start : start + batch_size + 1])
        parts.append(distance.between(*consecutive(embedding)).sum(1))
    return torch.cat(parts).double().cpu().numpy()


def sample_diversity(
    distance: LPIPS, samples: Iterable[Tensor], *, batch_size: int = _BATCH, seed: int = 0
) -> Diversity:
    """Diversity over several inputs, whose samples may come one input after the other from a generator.

    Args:
        distance: LPIPS; v0.0 with AlexNet for published numbers.
        samples: For each input ``(M, 3, H, W)``, the same M for all.
        batch_size: Samples that go through the network at once.
        seed: Of the bootstrap.

    Raises:
        DataError: There are no inputs, or different numbers of samples.
    """
    rows = [consecutive_distances(distance, one, batch_size=batch_size) for one in samples]
    return diversity_of(_matrix(rows, "samples"), distance.spec, seed=seed)


def diversity_of(distances: np.ndarray, spec: LPIPSSpec, *, seed: int = 0) -> Diversity:
    """Summarise distances ``(N, M - 1)`` of consecutive samples, gathered from any number of processes."""
    num_inputs, num_pairs = distances.shape
    found = {
        f"{num_inputs} inputs instead of {PROTOCOL_INPUTS}": num_inputs != PROTOCOL_INPUTS,
        f"{num_pairs + 1} samples instead of {PROTOCOL_SAMPLES}": num_pairs + 1 != PROTOCOL_SAMPLES,
        f"LPIPS {spec.version} with {spec.network} instead of v0.0 with alex": (spec.version, spec.network)
        != ("v0.0", "alex"),
    }
    deviations = tuple(text for text, differs in found.items() if differs)
    return Diversity(mean_estimate(distances, seed=seed), distances, deviations)


def random_pairs(count: int, *, num_pairs: int = PROTOCOL_PAIRS, seed: int = 0) -> np.ndarray:
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


def real_pair_diversity(
    distance: LPIPS, read: Callable[[int], Tensor], pairs: np.ndarray, *, batch_size: int = _BATCH
) -> tuple[Estimate, np.ndarray]:
    """The scale of diversity: LPIPS between random pairs of real images.

    Args:
        distance: The same LPIPS as for the samples.
        read: Gives real image number i, ``(3, H, W)``, all of one size.
        pairs: ``(P, 2)``, from `random_pairs`.
        batch_size: Images that go through the network at once.

    Returns:
        The mean with its standard error (which knows that pairs share images), and the distances ``(P,)``.
    """
    found = np.empty(len(pairs))
    for first in np.unique(pairs[:, 0]):
        rows = np.flatnonzero(pairs[:, 0] == first)
        embedding = distance.embed(read(int(first))[None])
        for start in range(0, len(rows), batch_size):
            part = rows[start : start + batch_size]
            others = distance.embed(torch.stack([read(int(index)) for index in pairs[part, 1]]))
            found[part] = distance.between(embedding, others).sum(1).double().cpu().numpy()
    return pairs_estimate(found, pairs), found


def best_of_n(
    distance: LPIPS, samples_and_truths: Iterable[tuple[Tensor, Tensor]], *, batch_size: int = _BATCH, seed: int = 0
) -> BestOfN:
    """The smallest LPIPS of an input's samples to its truth, over several inputs.

    Args:
        distance: LPIPS.
        samples_and_truths: For each input its samples ``(M, 3, H, W)`` and its truth ``(3, H, W)``.
        batch_size: Samples that go through the network at once.
        seed: Of the bootstrap.

    Raises:
        DataError: There are no inputs, different numbers of samples, or sizes that differ.
    """
    rows = [distances_to(distance, *pair, batch_size=batch_size) for pair in samples_and_truths]
    distances = _matrix(rows, "samples")
    return BestOfN(mean_estimate(distances.min(axis=1), seed=seed), mean_estimate(distances, seed=seed), distances)


def distances_to(distance: LPIPS, samples: Tensor, truth: Tensor, *, batch_size: int = _BATCH) -> np.ndarray:
    """Distances of samples ``(M, 3, H, W)`` to one image ``(3, H, W)``: ``(M,)``, float64."""
    if samples.shape[1:] != truth.shape:
        raise DataError(f"the samples are {tuple(samples.shape[1:])}, but the truth is {tuple(truth.shape)}.")
    embedding = distance.embed(truth[None])
    parts = [
        distance.between(embedding, distance.embed(samples[start : start + batch_size])).sum(1)
        for start in range(0, len(samples), batch_size)
    ]
    return torch.cat(parts).double().cpu().numpy()


def _matrix(rows: list[np.ndarray], what: str) -> np.ndarray:
    if not rows or len({len(row) for row in rows}) > 1:
        counts = sorted({len(row) for row in rows})
        raise DataError(f"every input needs the same number of {what}, and there must be one; found {counts}.")
    return np.stack(rows)
