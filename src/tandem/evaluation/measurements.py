"""What is measured on one image or one input at a time: rows of numbers, computed in batches and kept in a cache."""

import dataclasses
import json
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from tandem.data.images import convert_channels, resize
from tandem.data.synthetic import DemoInfo, classify_mode
from tandem.errors import DataError
from tandem.evaluation import paired
from tandem.evaluation.diversity import consecutive_distances, distances_to
from tandem.evaluation.features import FeatureExtractor
from tandem.evaluation.lpips import LPIPS
from tandem.evaluation.read_ahead import LateRows
from tandem.evaluation.segmentation import ConfusionMatrix, Segmenter, labels_from_colours
from tandem.evaluation.sources import FileCase, Loaded, ModelCase

THUMBNAIL_SIDE = 16
NO_PIXEL = -1000
"""In the thumbnail of an image that cannot be read: far from every pixel."""
_ROW_VERSION = 1

PairMetric = Callable[[Tensor, Tensor], Tensor]

PAIR_METRICS: dict[str, PairMetric] = {
    "l1": paired.l1,
    "psnr": paired.psnr,
    "ssim": paired.ssim,
    "ms-ssim": paired.ms_ssim,
}
"""Distances of an image to its truth that need no network."""


class Measurement(Protocol):
    """Gives each case a row.

    Attributes:
        spec: All that a row depends on beside the images, as text.
        num_samples: How many samples of a case it looks at.
    """

    spec: str
    num_samples: int

    def __call__(self, loaded: Sequence[Loaded]) -> Sequence[np.ndarray]:
        """One row for each, all of one shape and type."""
        ...


class Features:
    """Features of the first sample, ``(D,)``."""

    num_samples = 1

    def __init__(self, extractor: FeatureExtractor) -> None:
        self.extractor = extractor
        self.spec = spec_text("features", dataclasses.asdict(extractor.spec), device=extractor.device.type)

    def __call__(self, loaded: Sequence[Loaded]) -> Sequence[np.ndarray]:
        """See `Measurement`."""
        images = [_rgb(one.samples(1)[0]) for one in loaded]
        parts: list[tuple[list[int], Callable[[], np.ndarray]]] = []
        for shape in dict.fromkeys(image.shape for image in images):
            where = [index for index, image in enumerate(images) if image.shape == shape]
            batch = torch.from_numpy(np.stack([images[index] for index in where])).movedim(-1, 1)
            parts.append((where, self.extractor.start(batch)))

        def arrive() -> list[np.ndarray]:
            rows = {index: row for where, features in parts for index, row in zip(where, features(), strict=True)}
            return [rows[index] for index in range(len(images))]

        return LateRows(len(images), arrive) if self.extractor.device.type == "cuda" else arrive()


class PairedDistances:
    """Distances of the samples to the truth, ``(M,)``, without a network."""

    def __init__(self, name: str, num_samples: int) -> None:
        self.num_samples = num_samples
        self.spec = spec_text(name)
        self._metric = PAIR_METRICS[name]

    def __call__(self, loaded: Sequence[Loaded]) -> list[np.ndarray]:
        """See `Measurement`."""
        rows = []
        for one in loaded:
            truth = to_batch(_of_one_size(one)[None])
            samples = [to_batch(sample[None]) for sample in one.samples(self.num_samples)]
            rows.append(np.array([float(self._metric(sample, truth)) for sample in samples]))
        return rows


class LpipsToTruth:
    """LPIPS of the samples to the truth, ``(M,)``."""

    def __init__(self, distance: LPIPS, num_samples: int) -> None:
        self.num_samples = num_samples
        self.spec = lpips_spec("lpips", distance)
        self._distance = distance

    def __call__(self, loaded: Sequence[Loaded]) -> list[np.ndarray]:
        """See `Measurement`."""
        return [
            distances_to(self._distance, as_rgb(one.samples(self.num_samples)), as_rgb(_of_one_size(one)[None])[0])
            for one in loaded
        ]


class LpipsDiversity:
    """LPIPS between consecutive samples, ``(M - 1,)``."""

    def __init__(self, distance: LPIPS, num_samples: int) -> None:
        self.num_samples = num_samples
        self.spec = lpips_spec("lpips-diversity", distance)
        self.distance = distance

    def __call__(self, loaded: Sequence[Loaded]) -> list[np.ndarray]:
        """See `Measurement`."""
        return [consecutive_distances(self.distance, as_rgb(one.samples(self.num_samples))) for one in loaded]


class L1Diversity:
    """Mean absolute difference of consecutive samples, ``(M - 1,)``, on the scale 0..1."""

    def __init__(self, num_samples: int) -> None:
        self.num_samples = num_samples
        self.spec = spec_text("l1-diversity")

    def __call__(self, loaded: Sequence[Loaded]) -> list[np.ndarray]:
        """See `Measurement`."""
        batches = [to_batch(one.samples(self.num_samples)) for one in loaded]
        return [paired.l1(batch[:-1], batch[1:]).cpu().numpy() for batch in batches]


class RecoveredCodes:
    """The codes that went in and those that the encoder finds in the samples, ``(2, M, d)``."""

    def __init__(self, num_samples: int) -> None:
        self.num_samples = num_samples
        self.spec = spec_text("codes")

    def __call__(self, loaded: Sequence[Loaded]) -> list[np.ndarray]:
        """See `Measurement`."""
        rows = []
        for one in loaded:
            case = one.case
            assert isinstance(case, ModelCase)
            translator = case.model.translator
            mu, _ = translator.encode(one.samples(self.num_samples))
            rows.append(np.stack([translator.sample_z(self.num_samples, seed=case.seed), mu]).astype(np.float64))
        return rows


class Reconstruction:
    """L1 of the truth to what is generated from its encoded style, ``(1,)``, on the scale 0..1."""

    num_samples = 1

    def __init__(self) -> None:
        self.spec = spec_text("reconstruction")

    def __call__(self, loaded: Sequence[Loaded]) -> list[np.ndarray]:
        """See `Measurement`."""
        rows = []
        for one in loaded:
            case = one.case
            assert isinstance(case, ModelCase)
            model = case.model
            mu, _ = model.translator.encode(one.truth)
            again = model.translator(one.input, z=mu, fit=model.fit, direction=model.direction, output="array")
            rows.append(paired.l1(to_batch(again), to_batch(one.truth[None])).cpu().numpy())
        return rows


class Modes:
    """The mode of each sample on the demo data, ``(M,)``; -1 for none."""

    def __init__(self, info: DemoInfo, split: str, num_samples: int) -> None:
        self.num_samples = num_samples
        self.spec = spec_text("modes", {"seed": info.seed, "size": info.size, "split": split})
        self._info, self._split = info, split

    def __call__(self, loaded: Sequence[Loaded]) -> list[np.ndarray]:
        """See `Measurement`."""
        rows = []
        for one in loaded:
            case = one.case
            assert isinstance(case, ModelCase)
            mask = self._info.mask(self._split, case.job.name)
            rows.append(np.array([classify_mode(sample, mask) for sample in one.samples(self.num_samples)]))
        return rows


class Confusions:
    """Counts of (true class, found class) in the first sample, ``(K, K)``; the input's colours are the truth."""

    num_samples = 1

    def __init__(self, segmenter: Segmenter, palette: np.ndarray, max_distance: float) -> None:
        self.spec = spec_text(
            "segmentation",
            {"sha256": segmenter.source.sha256, "palette": palette.tolist(), "max_distance": max_distance},
        )
        self._segmenter, self._palette, self._max_distance = segmenter, palette, max_distance

    def __call__(self, loaded: Sequence[Loaded]) -> list[np.ndarray]:
        """See `Measurement`."""
        rows = []
        for one in loaded:
            truth = labels_from_colours(convert_channels(one.input, 3), self._palette, max_distance=self._max_distance)
            found = self._segmenter(as_rgb(one.samples(1)), size=(truth.shape[0], truth.shape[1]))[0]
            matrix = ConfusionMatrix(len(self._palette))
            matrix.add(truth, found)
            rows.append(matrix.counts)
        return rows


class Thumbnails:
    """A tiny copy of the first sample, ``(16 · 16 · 3,)``, int16, to find near duplicates by; else `NO_PIXEL`."""

    num_samples = 1

    def __init__(self) -> None:
        self.spec = spec_text("thumbnail", "int16")

    def __call__(self, loaded: Sequence[Loaded]) -> list[np.ndarray]:
        """See `Measurement`."""
        return [_thumbnail(one.samples(1)[0]) for one in loaded]


def _thumbnail(image: np.ndarray) -> np.ndarray:
    if not image.size:
        return np.full(THUMBNAIL_SIDE * THUMBNAIL_SIDE * 3, NO_PIXEL, np.int16)
    return resize(convert_channels(image, 3), THUMBNAIL_SIDE, THUMBNAIL_SIDE).ravel().astype(np.int16)


def to_batch(images: np.ndarray) -> Tensor:
    """Images ``(N, H, W, C)`` as a batch ``(N, C, H, W)``, uint8."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(images, -1, 1)))


def as_rgb(images: np.ndarray) -> Tensor:
    """Likewise, with three channels: grey is repeated, transparency laid over white."""
    return to_batch(images if images.shape[-1] == 3 else np.stack([_rgb(image) for image in images]))


def _rgb(image: np.ndarray) -> np.ndarray:
    return convert_channels(image, 3)


def lpips_spec(name: str, distance: LPIPS) -> str:
    """The text of a measurement with LPIPS."""
    return spec_text(name, dataclasses.asdict(distance.spec), device=distance.shift.device.type)


def _of_one_size(loaded: Loaded) -> np.ndarray:
    """The truth, if it has the size of the samples."""
    sample, truth = loaded.samples(1)[0], loaded.truth
    if sample.shape != truth.shape:
        first, second = (f"{image.shape[1]} x {image.shape[0]}" for image in (sample, truth))
        what = "image" if isinstance(loaded.case, FileCase) else "output"
        raise DataError(
            f"{loaded.case.name}: the {what} is {first} pixels, but its truth is {second}: resize one of them."
        )
    return truth


def spec_text(name: str, values: Any = None, *, device: str = "cpu") -> str:
    """All that a row depends on beside the images; paths are left out, for the content of files counts."""
    described = {
        "measurement": name,
        "version": _ROW_VERSION,
        "depends_on": values,
        "torch": torch.__version__,
        "device": device,
    }
    return json.dumps(_without_paths(described), sort_keys=True, default=str)


def _without_paths(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_paths(one) for key, one in value.items() if key != "path"}
    return value
