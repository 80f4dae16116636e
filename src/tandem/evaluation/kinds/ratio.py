"""Metrics that compare what there is to see in outputs with what there is in real images, without a network."""

from abc import abstractmethod
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from tandem.evaluation.cases import Loaded
from tandem.evaluation.images import to_unit_scale
from tandem.evaluation.metric import Found, Metric, Setup
from tandem.evaluation.rows.measurement import EachCase, to_batch
from tandem.report.scores import MetricResult


class RatioMetric(Metric):
    """The mean of a number over the samples, divided by its mean over the real outputs.

    A class sets `name`, `title`, `numbers` (one) and `needs`, and defines `of`.
    """

    is_cheap: ClassVar = True

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self._cases = _Rows(self, setup.subject.num_samples)
        self._reals = _Rows(self, 1)
        self.on_cases, self.on_reals = (self._cases,), (self._reals,)

    @staticmethod
    @abstractmethod
    def of(images: Tensor) -> Tensor:
        """The number of each image.

        Args:
            images: ``(N, C, H, W)``, float64 on the scale 0..1.

        Returns:
            ``(N,)``, float64, at least 0.
        """

    def summarise(self, found: Found) -> MetricResult:
        """See `Metric`; not a number where the real images have nothing of it."""
        cases, reals = found.cases[self._cases.spec], found.reals[self._reals.spec]
        real = float(reals.mean())
        value = float(cases.mean()) / real if real > 0 else float("nan")
        note = f"of the real outputs', {real:.3g}"
        return MetricResult(
            metric=self.name,
            title=self.title,
            scores=(self.numbers[0].plain_score(value, len(cases), note),) if real > 0 else (),
            depends_on={"inputs": len(cases), "samples": cases.shape[1], "real": len(reals), "seed": self.seed},
            warnings=() if real > 0 else ("the real outputs have none, so there is no scale.",),
        )


class _Rows(EachCase):
    """The number of each sample of a case, ``(M,)``."""

    def __init__(self, metric: RatioMetric, num_samples: int) -> None:
        super().__init__(metric.name, num_samples=num_samples)
        self._of = metric.of

    def row(self, loaded: Loaded) -> np.ndarray:
        """See `EachCase`."""
        samples = to_batch(loaded.samples(self.num_samples))
        return self._of(to_unit_scale(samples, torch.float64)).cpu().numpy()
