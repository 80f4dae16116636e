"""Metrics that look at the samples of an input through the feature network."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from types import MappingProxyType
from typing import Any, ClassVar, Literal

import numpy as np

from tandem.data.images import read_image
from tandem.data.pixels import pil_from_array, resize
from tandem.evaluation.cases import Loaded
from tandem.evaluation.kinds.features import described_features, unpublished_features
from tandem.evaluation.metric import Found, Metric, Needs, Setup
from tandem.evaluation.networks.features import FeatureExtractor
from tandem.evaluation.rows.measurement import Measurement, to_batch, to_rgb_batch
from tandem.evaluation.rows.read_ahead import LateRows
from tandem.report.scores import MetricResult
from tandem.rng import numpy_generator

MOST_INPUTS = 100
"""The features of all samples of so many inputs are held at once; of more inputs so many are drawn."""

_BATCH = 16
_JPEG_QUALITY = 75

Picture = Literal["plain", "jpeg", "half"]
"""What is done to a picture before the network sees it; see `PICTURES`."""


def through_jpeg(image: np.ndarray) -> np.ndarray:
    """An image ``(H, W, 3)``, uint8, saved as JPEG of quality 75 (colours at half the resolution) and read again."""
    file = BytesIO()
    pil_from_array(image).save(file, "JPEG", quality=_JPEG_QUALITY, subsampling="4:2:0")
    return read_image(file.getvalue())


def through_half(image: np.ndarray) -> np.ndarray:
    """An image ``(H, W, 3)``, uint8, resized to half its sides and back (bicubic, antialiased)."""
    height, width = image.shape[:2]
    return resize(resize(image, max(1, height // 2), max(1, width // 2)), height, width)


PICTURES: Mapping[Picture, Callable[[np.ndarray], np.ndarray]] = MappingProxyType(
    {"plain": lambda image: image, "jpeg": through_jpeg, "half": through_half}
)


class SampleFeatureMetric(Metric):
    """Numbers from the features of the samples of at most `MOST_INPUTS` inputs; several metrics share them.

    A class sets `name`, `title` and `numbers`, and defines `summarise`.
    """

    needs: ClassVar[Needs] = Needs(samples=2)

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.extractor = setup.networks.features_or_inception()
        self._rows = SampleFeatureRows(self.extractor, setup.subject.num_samples)
        self.on_cases = (self._rows,)
        self.only = frozenset(chosen_inputs(len(setup.subject.cases), seed=self.seed).tolist())

    def features(self, found: Found) -> np.ndarray:
        """The features of the samples of the inputs that were measured, ``(N, M, D)``."""
        return found.cases[self._rows.spec]

    def result(self, found: Found, result: MetricResult) -> MetricResult:
        """The result with what it depends on by its network, its inputs and their samples."""
        features = self.features(found)
        depends: dict[str, Any] = described_features(self.extractor.spec, features.shape[2]) | {
            "inputs": features.shape[0],
            "samples": features.shape[1],
            "seed": self.seed,
        }
        return dataclasses.replace(
            result,
            depends_on=depends | dict(result.depends_on),
            warnings=(*result.warnings, *unpublished_features(self.extractor.spec)),
        )


def chosen_inputs(count: int, *, most: int = MOST_INPUTS, seed: int = 0) -> np.ndarray:
    """Which of `count` inputs are measured: `most` of them at random, or all, in ascending order."""
    return np.sort(numpy_generator(seed, "sample-features/inputs").permutation(count)[:most])


class SampleFeatureRows(Measurement):
    """Features of the samples of an input, ``(M, D)``; they do not depend on the other inputs of a batch."""

    def __init__(self, extractor: FeatureExtractor, num_samples: int, *, picture: Picture = "plain") -> None:
        depends = dataclasses.asdict(extractor.spec) | {"picture": picture}
        super().__init__("sample-features", num_samples=num_samples, depends_on=depends, device=extractor.device.type)
        self._extractor, self._picture = extractor, PICTURES[picture]

    def __call__(self, loaded: Sequence[Loaded]) -> Sequence[np.ndarray]:
        """See `Measurement`."""
        begun = [self._begin(one) for one in loaded]

        def arrive() -> list[np.ndarray]:
            return [np.concatenate([wait() for wait in parts]) for parts in begun]

        return LateRows(len(begun), arrive) if self._extractor.device.type == "cuda" else arrive()

    def _begin(self, loaded: Loaded) -> list[Callable[[], np.ndarray]]:
        images = np.moveaxis(to_rgb_batch(loaded.samples(self.num_samples)).numpy(), 1, -1)
        parts = []
        for start in range(0, len(images), _BATCH):
            pictures = [self._picture(np.ascontiguousarray(image)) for image in images[start : start + _BATCH]]
            parts.append(self._extractor.start(to_batch(np.stack(pictures))))
        return parts
