"""Metrics that compare the features of real and of generated images."""

import dataclasses
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from tandem.data.pixels import convert_channels
from tandem.errors import DataError
from tandem.evaluation.cases import Loaded
from tandem.evaluation.kinds.weights import described_weights, unpublished_warnings
from tandem.evaluation.metric import Found, Metric, Needs, Setup
from tandem.evaluation.networks.features import FeatureExtractor, FeatureSpec
from tandem.evaluation.rows.measurement import Measurement
from tandem.evaluation.rows.read_ahead import LateRows
from tandem.report.scores import MetricResult

_STAND_IN = 64  # px of what the network sees in the place of an image without pixels
_BLOCK = 1024
_CELLS = 2**20


class FeatureMetric(Metric):
    """A distance between two sets of features.

    A class sets `name`, `title` and `numbers`, and defines `compare`; by default it looks through the network of
    ``--features``, and through that of FID where none is given.
    """

    needs: ClassVar[Needs] = Needs(images=2)

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        extractor = self.extractor(setup)
        self.spec = extractor.spec
        self._rows = FeatureRows(extractor)
        self.on_cases = self.on_reals = (self._rows,)

    @staticmethod
    def extractor(setup: Setup) -> FeatureExtractor:
        """The network.

        Raises:
            ConfigError: There is none.
            WeightsError: It cannot be read.
        """
        return setup.networks.features_or_inception()

    @abstractmethod
    def compare(self, real: np.ndarray, fake: np.ndarray) -> MetricResult:
        """The result, without what it depends on by its network, for features ``(N, D)`` and ``(M, D)``."""

    def summarise(self, found: Found) -> MetricResult:
        """See `Metric`."""
        real, fake = found.reals[self._rows.spec], found.cases[self._rows.spec]
        result = self.compare(real, fake)
        return dataclasses.replace(
            result,
            depends_on=self._depends(real, fake) | dict(result.depends_on),
            warnings=(*result.warnings, *unpublished_features(self.spec)),
        )

    def _depends(self, real: np.ndarray, fake: np.ndarray) -> dict[str, Any]:
        described = described_features(self.spec, real.shape[1])
        return described | {"num_real": len(real), "num_generated": len(fake)}


class FeatureRows(Measurement):
    """Features of the first sample, ``(D,)``; NaN of an image without pixels, which could not be read."""

    def __init__(self, extractor: FeatureExtractor) -> None:
        super().__init__("features", depends_on=dataclasses.asdict(extractor.spec), device=extractor.device.type)
        self.extractor = extractor

    def __call__(self, loaded: Sequence[Loaded]) -> Sequence[np.ndarray]:
        """See `Measurement`."""
        images = [convert_channels(one.samples(1)[0], 3) for one in loaded]
        empty = [index for index, image in enumerate(images) if not image.size]
        for index in empty:
            images[index] = np.zeros((_STAND_IN, _STAND_IN, 3), np.uint8)
        parts: list[tuple[list[int], Callable[[], np.ndarray]]] = []
        for shape in dict.fromkeys(image.shape for image in images):
            where = [index for index, image in enumerate(images) if image.shape == shape]
            batch = torch.from_numpy(np.stack([images[index] for index in where])).movedim(-1, 1)
            parts.append((where, self.extractor.start(batch)))

        def arrive() -> list[np.ndarray]:
            rows = {index: row for where, features in parts for index, row in zip(where, features(), strict=True)}
            rows |= {index: np.full_like(rows[index], np.nan) for index in empty}
            return [rows[index] for index in range(len(images))]

        return LateRows(len(images), arrive) if self.extractor.device.type == "cuda" else arrive()


def described_features(spec: FeatureSpec, num_features: int) -> dict[str, Any]:
    """What features depend on, for a report."""
    return {
        "network": spec.network,
        "tap": spec.tap,
        "num_features": num_features,
        "resizer": spec.resizer,
        "input": dataclasses.asdict(spec.input),
        "precision": spec.precision,
        "weights": described_weights(spec.weights),
    }


def unpublished_features(spec: FeatureSpec) -> tuple[str, ...]:
    """Warnings where the network is FID's with other weights in it."""
    return unpublished_warnings([spec.weights] if spec.network == "inception-fid" else [])


def check_feature_sets(real: np.ndarray, fake: np.ndarray) -> None:
    """Refuse feature sets that cannot be compared.

    Raises:
        DataError: They are not ``(N, D)`` and ``(M, D)`` with N, M ≥ 2, or hold values that are not finite.
    """
    if real.ndim != 2 or fake.ndim != 2 or real.shape[1] != fake.shape[1] or min(len(real), len(fake)) < 2:
        raise DataError(
            f"the feature sets have the shapes {real.shape} and {fake.shape}; expected (N, D) and (M, D) with at "
            "least 2 images each."
        )
    if not (np.isfinite(real).all() and np.isfinite(fake).all()):
        raise DataError("the features hold values that are not finite.")


def centre_of(x: Tensor) -> Tensor:
    """The mean of features ``(N, D)``, float64: distances do not depend on the origin, but near it they lose less."""
    return torch.stack([part.sum(0, dtype=torch.float64) for part in x.split(_BLOCK)]).sum(0) / len(x)


def squared_distances(x: Tensor, y: Tensor, centre: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Squared distances of some rows of one set at a time to all of another one, in little memory.

    Args:
        x: ``(N, D)``.
        y: ``(M, D)``.
        centre: See `centre_of`.

    Returns:
        Which rows of `x`, and their distances ``(rows, M)``, float64.
    """
    height = max(1, min(_BLOCK, _CELLS // len(y)))
    for start in range(0, len(x), height):
        block = x[start : start + height] - centre
        distances = block.new_empty((len(block), len(y)))
        for first in range(0, len(y), _BLOCK):
            others = y[first : first + _BLOCK] - centre
            part = block.square().sum(1, keepdim=True) + others.square().sum(1) - 2 * block @ others.T
            distances[:, first : first + _BLOCK] = part.clamp_(min=0)
        yield slice(start, start + len(block)), distances
