"""LPIPS of the samples to their ground truth; the distance itself is `tandem.evaluation.networks.lpips.LPIPS`.

Paper: *The Unreasonable Effectiveness of Deep Features as a Perceptual Metric* (1801.03924).
"""

from typing import ClassVar

import numpy as np

from tandem.evaluation.estimates import mean_estimate
from tandem.evaluation.kinds.perceptual import LpipsRows, described_lpips
from tandem.evaluation.kinds.weights import unpublished_warnings
from tandem.evaluation.metric import Found, Metric, Needs, Number, Ranking, Setup
from tandem.evaluation.networks.lpips import MIN_SIDE
from tandem.report.scores import MetricResult, Score


class LpipsToGroundTruth(Metric):
    """A metric from the distances ``(N, M)`` of the samples to their ground truth."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        distance = setup.networks.lpips("v0.1")
        self._spec = distance.spec
        self._rows = LpipsRows(distance, setup.subject.num_samples)
        self.on_cases = (self._rows,)

    def distances(self, found: Found) -> np.ndarray:
        """The distances, ``(N, M)``."""
        return found.cases[self._rows.spec]

    def result(self, title: str, scores: tuple[Score, ...], distances: np.ndarray) -> MetricResult:
        """The result with what it depends on."""
        spec = self._spec
        warnings = unpublished_warnings([spec.backbone_weights, spec.head_weights])
        if spec.version != "v0.1":
            text = "to the ground truth: most published numbers are v0.1; the two must not be mixed."
            warnings += (f"LPIPS {spec.version} {text}",)
        num_inputs, num_samples = distances.shape
        depends = {"inputs": num_inputs, "samples": num_samples, "seed": self.seed}
        depends = described_lpips(spec) | depends
        return MetricResult(metric=self.name, title=title, scores=scores, depends_on=depends, warnings=warnings)


class LpipsMean(LpipsToGroundTruth):
    """The mean over inputs and samples."""

    name: ClassVar = "lpips"
    title: ClassVar = "LPIPS to the ground truth"
    numbers: ClassVar = (Number("lpips", "lower"),)
    needs: ClassVar = Needs(ground_truth=True, side=MIN_SIDE)
    ranking: ClassVar = Ranking("quality", 30)

    def summarise(self, found: Found) -> MetricResult:
        """See `Metric`."""
        distances = self.distances(found)
        score = self.numbers[0].score(mean_estimate(distances, seed=self.seed))
        return self.result(self.title, (score,), distances)

    def per_input(self, found: Found) -> np.ndarray:
        """See `Metric`: the mean over the samples."""
        return self.distances(found).mean(axis=1)
