"""Metrics that measure distances of images with LPIPS."""

import dataclasses
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tandem.errors import DataError
from tandem.evaluation.cases import Loaded
from tandem.evaluation.kinds.weights import described_weights
from tandem.evaluation.networks.lpips import LPIPS, LPIPSSpec, consecutive
from tandem.evaluation.rows.measurement import EachCase, to_rgb_batch

_BATCH = 20


def distances_to(distance: LPIPS, samples: Tensor, ground_truth: Tensor, *, batch_size: int = _BATCH) -> np.ndarray:
    """Distances of samples to one image.

    Args:
        distance: LPIPS.
        samples: ``(M, 3, H, W)``, uint8, or float in [-1, 1].
        ground_truth: ``(3, H, W)``, likewise.
        batch_size: Samples that go through the network at once.

    Returns:
        ``(M,)``, float64.

    Raises:
        DataError: The sizes differ, or the images have another form.
    """
    if samples.shape[1:] != ground_truth.shape:
        raise DataError(
            f"the samples are {tuple(samples.shape[1:])}, but the ground truth is {tuple(ground_truth.shape)}."
        )
    embedding = distance.embed(ground_truth[None])
    parts = [
        distance.between(embedding, distance.embed(samples[start : start + batch_size])).sum(1)
        for start in range(0, len(samples), batch_size)
    ]
    return torch.cat(parts).double().cpu().numpy()


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


def rows_of_one_length(rows: list[np.ndarray]) -> np.ndarray:
    """One row for each input as a matrix ``(N, M)``.

    Raises:
        DataError: There are no inputs, or different numbers of samples.
    """
    if not rows or len({len(row) for row in rows}) > 1:
        counts = sorted({len(row) for row in rows})
        raise DataError(f"every input needs the same number of samples, and there must be one; found {counts}.")
    return np.stack(rows)


class LpipsRows(EachCase):
    """LPIPS of the samples to the ground truth, ``(M,)``."""

    def __init__(self, distance: LPIPS, num_samples: int) -> None:
        super().__init__("lpips", num_samples=num_samples, **_depends_of_rows(distance))
        self._distance = distance

    def row(self, loaded: Loaded) -> np.ndarray:
        """See `EachCase`."""
        ground_truth = to_rgb_batch(loaded.ground_truth[None])[0]
        return distances_to(self._distance, to_rgb_batch(loaded.samples(self.num_samples)), ground_truth)


class ConsecutiveLpipsRows(EachCase):
    """LPIPS between consecutive samples, ``(M - 1,)``."""

    def __init__(self, distance: LPIPS, num_samples: int) -> None:
        super().__init__("lpips-diversity", num_samples=num_samples, **_depends_of_rows(distance))
        self._distance = distance

    def row(self, loaded: Loaded) -> np.ndarray:
        """See `EachCase`."""
        return consecutive_distances(self._distance, to_rgb_batch(loaded.samples(self.num_samples)))


def described_lpips(spec: LPIPSSpec) -> dict[str, Any]:
    """What an LPIPS depends on, for a report."""
    sources = {"backbone": spec.backbone_weights, "heads": spec.head_weights}
    return {"version": spec.version, "network": spec.network} | {
        name: None if source is None else described_weights(source) for name, source in sources.items()
    }


def _depends_of_rows(distance: LPIPS) -> dict[str, Any]:
    return {"depends_on": dataclasses.asdict(distance.spec), "device": distance.shift.device.type}
