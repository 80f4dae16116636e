"""Metrics that compare each sample with the ground truth of its input, without a network."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from tandem.evaluation.cases import Loaded
from tandem.evaluation.estimates import mean_estimate
from tandem.evaluation.images import check_pair, to_unit_scale
from tandem.evaluation.metric import Found, Metric, Needs, Setup
from tandem.evaluation.rows.measurement import EachCase, to_batch
from tandem.report.scores import MetricResult, Score


def unit_pair(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Two batches of images, float64 on the scale 0..1.

    Args:
        a: ``(N, C, H, W)``, uint8, or float in [-1, 1].
        b: Likewise.

    Raises:
        DataError: Their shapes differ, or one is no batch.
    """
    check_pair(a, b)
    # MPS has no float64.
    a, b = (x.cpu() if x.device.type == "mps" else x for x in (a, b))
    return to_unit_scale(a, torch.float64), to_unit_scale(b, torch.float64)


def valid_mean(values: Tensor, valid: Tensor | None) -> Tensor:
    """The mean of a map ``(N, C, H, W)`` over all its numbers, or over the pixels that are valid: ``(N,)``."""
    if valid is None:
        return values.mean((1, 2, 3))
    counted = valid.expand_as(values)
    return values.where(counted, 0).sum((1, 2, 3)) / counted.sum((1, 2, 3))


class PairedMetric(Metric):
    """A distance or similarity of a sample and its ground truth: the mean, and that of the best sample of each input.

    A class sets `name`, `title`, `numbers` (that of the mean, then that of the best sample) and `needs`, and defines
    `between`.
    """

    needs: ClassVar[Needs] = Needs(ground_truth=True)
    remarks: ClassVar[dict[str, Any]] = {}
    """What the numbers depend on beside the images, the same in every evaluation."""
    counts_valid: ClassVar[bool] = False
    """Whether `between` takes the pixels that are valid as `valid`, ``(N, 1, H, W)``, bool, and gives NaN of none;
    otherwise it sees one constant in masked pixels of both images."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self._rows = _DistanceRows(self, setup.subject.num_samples)
        levels = setup.subject.output_levels
        self._data_range = None if levels.is_eight_bit else levels.describe()
        self.on_cases = (self._rows,)

    @staticmethod
    @abstractmethod
    def between(a: Tensor, b: Tensor) -> Tensor:
        """The number of each image.

        Args:
            a: Samples, ``(N, C, H, W)``, uint8, or of files with more levels float32 in [-1, 1].
            b: Ground truths, likewise.

        Returns:
            ``(N,)``, float64.
        """

    def summarise(self, found: Found) -> MetricResult:
        """See `Metric`; inputs whose number is infinite are left out and counted in a warning."""
        rows = found.cases[self._rows.spec]
        warnings: tuple[str, ...] = ()
        kept = np.isfinite(rows).all(axis=1)
        if (equal := int(np.isinf(rows).any(axis=1).sum())) > 0:
            warnings = (
                f"{equal} of {len(rows)} images are equal to their ground truth, so that their {self.name} is "
                "infinite: they are left out of its mean.",
            )
        if (masked := int(np.isnan(rows).any(axis=1).sum())) > 0:
            warnings += (
                f"{masked} of {len(rows)} images are masked too much for {self.name}: they are left out of its mean.",
            )
        depends = {"inputs": int(kept.sum()), "samples": rows.shape[1], "seed": self.seed, **self.remarks}
        if self._data_range is not None:
            depends["data_range"] = self._data_range
        scores = self._scores(rows[kept]) if kept.any() else ()
        return MetricResult(metric=self.name, title=self.title, scores=scores, depends_on=depends, warnings=warnings)

    def _scores(self, rows: np.ndarray) -> tuple[Score, ...]:
        mean, best_of_several = self.numbers
        score = mean.score(mean_estimate(rows, seed=self.seed))
        if rows.shape[1] == 1:
            return (score,)
        best = rows.min(axis=1) if mean.better == "lower" else rows.max(axis=1)
        note = f"the best of {rows.shape[1]} samples"
        return score, best_of_several.score(mean_estimate(best, seed=self.seed), note)

    def per_input(self, found: Found) -> np.ndarray:
        """See `Metric`: the mean over the samples."""
        return found.cases[self._rows.spec].mean(axis=1)


class _DistanceRows(EachCase):
    """The numbers of the samples of a case, ``(M,)``."""

    def __init__(self, metric: PairedMetric, num_samples: int) -> None:
        super().__init__(metric.name, num_samples=num_samples)
        self._between: Callable[..., Tensor] = metric.between
        self._counts_valid = metric.counts_valid

    def row(self, loaded: Loaded) -> np.ndarray:
        """See `EachCase`."""
        ground_truth = to_batch(loaded.exact_ground_truth[None])
        samples = [to_batch(sample[None]) for sample in loaded.exact_samples(self.num_samples)]
        valid = loaded.valid if self._counts_valid else None
        masked = {} if valid is None else {"valid": torch.from_numpy(valid)[None, None]}
        return np.array([float(self._between(sample, ground_truth, **masked)) for sample in samples])
