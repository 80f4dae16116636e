"""Diversity of the samples of one input in LPIPS, as BicycleGAN measured it.

Paper: *Toward Multimodal Image-to-Image Translation* (1711.11586), whose protocol is: 100 inputs, 20 samples each,
LPIPS v0.0 with AlexNet between the 19 consecutive pairs of an input's samples, and the mean over all 1,900 pairs.
Beside it belongs the same distance between random pairs of real images: the scale, which the paper gives as well.

Diversity alone rewards noise: it says how different samples are, not whether they are plausible.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from tandem.evaluation.estimates import Estimate, mean_estimate, pairs_estimate
from tandem.evaluation.kinds.perceptual import (
    ConsecutiveLpipsRows,
    consecutive_distances,
    described_lpips,
    rows_of_one_length,
)
from tandem.evaluation.kinds.weights import unpublished_warnings
from tandem.evaluation.metric import Found, Metric, Needs, Number, Ranking, Setup
from tandem.evaluation.networks.lpips import LPIPS, MIN_SIDE, LPIPSSpec
from tandem.evaluation.real_pairs import pair_numbers
from tandem.report.scores import MetricResult
from tandem.rng import numpy_generator

PROTOCOL_INPUTS = 100
PROTOCOL_SAMPLES = 20


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


def protocol_inputs(count: int, *, num_inputs: int = PROTOCOL_INPUTS, seed: int = 0) -> np.ndarray:
    """Which of `count` images are the inputs: `num_inputs` of them at random, or all, in ascending order."""
    return np.sort(numpy_generator(seed, "diversity/inputs").permutation(count)[:num_inputs])


def sample_diversity(distance: LPIPS, samples: Iterable[Tensor], *, batch_size: int = 20, seed: int = 0) -> Diversity:
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
    return diversity_of(rows_of_one_length(rows), distance.spec, seed=seed)


def diversity_of(distances: np.ndarray, spec: LPIPSSpec, *, seed: int = 0) -> Diversity:
    """Summarise distances of consecutive samples.

    Args:
        distances: ``(N, M - 1)``, of each input the distances between its M samples.
        spec: Of the LPIPS that they are.
        seed: Of the bootstrap.

    Examples:
        >>> import numpy as np
        >>> found = diversity_of(np.array([[0.2, 0.4], [0.6, 0.6]]), LPIPSSpec("v0.0", "alex", None, None))
        >>> round(found.estimate.value, 3)
        0.45
        >>> found.deviations
        ('2 inputs instead of 100', '3 samples instead of 20')
    """
    num_inputs, num_pairs = distances.shape
    found = {
        f"{num_inputs} inputs instead of {PROTOCOL_INPUTS}": num_inputs != PROTOCOL_INPUTS,
        f"{num_pairs + 1} samples instead of {PROTOCOL_SAMPLES}": num_pairs + 1 != PROTOCOL_SAMPLES,
        f"LPIPS {spec.version} with {spec.network} instead of v0.0 with alex": (spec.version, spec.network)
        != ("v0.0", "alex"),
    }
    deviations = tuple(text for text, differs in found.items() if differs)
    return Diversity(mean_estimate(distances, seed=seed), distances, deviations)


def real_pair_diversity(
    distance: LPIPS, read: Callable[[int], Tensor], pairs: np.ndarray
) -> tuple[Estimate, np.ndarray]:
    """The scale of diversity: LPIPS between random pairs of real images.

    Args:
        distance: The same LPIPS as for the samples.
        read: Gives real image number i, ``(3, H, W)``, all of one size.
        pairs: ``(P, 2)``, from `tandem.evaluation.real_pairs.random_pairs`.

    Returns:
        The mean with its standard error (which knows that pairs share images), and the distances ``(P,)``.
    """
    rows = [consecutive_distances(distance, torch.stack([read(int(i)), read(int(j))])) for i, j in pairs]
    found = np.concatenate(rows)
    return pairs_estimate(found, pairs), found


class LpipsDiversity(Metric):
    """See `diversity_of`, with the distances of random pairs of real images beside it."""

    name: ClassVar = "lpips-diversity"
    title: ClassVar = "Diversity of the samples of an input (LPIPS)"
    numbers: ClassVar = (Number("lpips-diversity", "higher"),)
    needs: ClassVar = Needs(samples=2, side=MIN_SIDE)
    ranking: ClassVar = Ranking("diversity", 20)

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        distance, subject = setup.networks.lpips("v0.0"), setup.subject
        self._spec = distance.spec
        self._rows = ConsecutiveLpipsRows(distance, subject.num_samples)
        self._scale = ConsecutiveLpipsRows(distance, 2)
        self.on_cases, self.on_pairs = (self._rows,), (self._scale,)
        self.only = frozenset(protocol_inputs(len(subject.cases), seed=self.seed).tolist())

    def summarise(self, found: Found) -> MetricResult:
        """See `Metric`."""
        rows, pairs, spec = found.cases[self._rows.spec], pair_numbers(self.setup.subject, seed=self.seed), self._spec
        diversity = diversity_of(rows, spec, seed=self.seed)
        scores = [self.numbers[0].score(diversity.estimate)]
        has_scale = len(pairs) > 1
        if has_scale:
            scale = pairs_estimate(found.pairs[self._scale.spec][:, 0], pairs)
            scores.append(Number("lpips-real-pairs", "neither").score(scale, "random pairs of real images: the scale"))
        warnings = unpublished_warnings([spec.backbone_weights, spec.head_weights])
        if spec.version != "v0.0":
            text = "published diversity is v0.0; the two must not be mixed."
            warnings += (f"diversity with LPIPS {spec.version}: {text}",)
        depends = described_lpips(spec) | {
            "inputs": rows.shape[0],
            "samples": rows.shape[1] + 1,
            "differs_from_protocol_in": list(diversity.deviations),
            "real_pairs": len(pairs) if has_scale else 0,
            "seed": self.seed,
        }
        return MetricResult(
            metric=self.name, title=self.title, scores=tuple(scores), depends_on=depends, warnings=warnings
        )

    def per_input(self, found: Found) -> np.ndarray:
        """See `Metric`: the mean over the consecutive pairs."""
        return found.cases[self._rows.spec].mean(axis=1)
