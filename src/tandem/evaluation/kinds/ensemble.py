"""Metrics that take the samples of an input for an ensemble of forecasts, and its ground truth for what came.

They ask whether the ground truth could be one more sample: fair scores are smallest in expectation where it is drawn
from the distribution of the samples, and do not depend on how many samples there are. Everything is computed in float64
on the scale 0..255, where the values of saved images are whole numbers, so that equal ones stay equal and sums of them
and of their products are exact.
"""

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from tandem.errors import DataError
from tandem.evaluation.cases import Loaded
from tandem.evaluation.images import check_batch, to_bytes_scale
from tandem.evaluation.metric import Found, Metric, Needs, Setup
from tandem.evaluation.rows.measurement import EachCase, to_batch

_CELLS = 2**21


def ensemble_blocks(samples: Tensor, ground_truth: Tensor, *, pool: int = 1) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The values of some pixels at a time.

    Args:
        samples: ``(M, C, H, W)``, M at least 2, uint8, or float in [-1, 1].
        ground_truth: ``(C, H, W)``, likewise.
        pool: Side of the squares of pixels whose means are taken; what is left over at the right and at the bottom is
            left out.

    Returns:
        Blocks ``(M, P)`` and ``(P,)``, float64 on the scale 0..255.

    Raises:
        DataError: The images do not fit together, there is a single sample, or a side is smaller than `pool`.
    """
    if samples.shape[1:] != ground_truth.shape:
        raise DataError(
            f"the samples are {tuple(samples.shape[1:])}, but the ground truth is {tuple(ground_truth.shape)}."
        )
    check_batch(samples)
    check_batch(ground_truth[None])
    if len(samples) < 2:
        raise DataError(f"an ensemble needs at least 2 samples of an input, not {len(samples)}.")
    if min(samples.shape[2:]) < pool:
        raise DataError(
            f"means over {pool} px need sides of at least {pool} px; the images have {tuple(samples.shape[2:])}."
        )
    return _blocks(samples.cpu(), ground_truth.cpu(), pool)  # MPS has no float64


def _blocks(samples: Tensor, ground_truth: Tensor, pool: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    if pool == 1:
        flat, truth = samples.flatten(1), ground_truth.flatten()
    else:  # one image at a time: the floats of all could be much more than the bytes
        flat = torch.stack([_means(image, pool) for image in samples])
        truth = _means(ground_truth, pool)
    width = max(1, _CELLS // (len(samples) + 1))
    for start in range(0, len(truth), width):
        x, y = flat[:, start : start + width], truth[start : start + width]
        yield (x.numpy(), y.numpy()) if pool > 1 else (_floats(x).numpy(), _floats(y).numpy())


def _means(image: Tensor, pool: int) -> Tensor:
    """Means over squares of pixels, flat: of equal sums, which are exact for bytes, they are equal."""
    channels, height, width = image.shape[0], image.shape[1] // pool, image.shape[2] // pool
    kept = _floats(image[:, : height * pool, : width * pool])
    return kept.reshape(channels, height, pool, width, pool).sum((2, 4)).flatten() / pool**2


def _floats(values: Tensor) -> Tensor:
    return to_bytes_scale(values, torch.float64)


class EnsembleMetric(Metric):
    """Numbers from the samples of an input and its ground truth, without a network.

    A class sets `name`, `title` and `numbers`, and defines `of` and `summarise`.
    """

    needs: ClassVar[Needs] = Needs(ground_truth=True, samples=2, brightness=True)
    remarks: ClassVar[dict[str, Any]] = {}
    """What the rows depend on beside the images, the same in every evaluation."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self._rows = _EnsembleRows(self, setup.subject.num_samples)
        self.on_cases = (self._rows,)

    @staticmethod
    @abstractmethod
    def of(samples: Tensor, ground_truth: Tensor) -> np.ndarray:
        """The row of an input.

        Args:
            samples: ``(M, C, H, W)``, uint8.
            ground_truth: ``(C, H, W)``, likewise.

        Returns:
            Numbers, float64, of one shape for all inputs.
        """

    def rows(self, found: Found) -> np.ndarray:
        """The rows of all inputs, ``(N, …)``."""
        return found.cases[self._rows.spec]

    def depends(self, found: Found) -> dict[str, Any]:
        """What the numbers depend on, for a report."""
        counts = {"inputs": len(self.rows(found)), "samples": self.setup.subject.num_samples}
        return counts | {"seed": self.seed, **self.remarks}


class _EnsembleRows(EachCase):
    """The rows of an ensemble metric."""

    def __init__(self, metric: EnsembleMetric, num_samples: int) -> None:
        super().__init__(metric.name, num_samples=num_samples, depends_on=metric.remarks or None)
        self._of = metric.of

    def row(self, loaded: Loaded) -> np.ndarray:
        """See `EachCase`."""
        return self._of(to_batch(loaded.samples(self.num_samples)), to_batch(loaded.ground_truth[None])[0])
