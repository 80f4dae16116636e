"""The segmentation score ("FCN score"): does a segmentation model find the right classes in generated images?

Papers: *Fully Convolutional Networks for Semantic Segmentation* (1411.4038) for the measures, *Image-to-Image
Translation with Conditional Adversarial Networks* (1611.07004) for their use. With n_ij pixels of class i that
were taken for class j and t_i of class i:

- pixel accuracy: sum_i n_ii / sum_i t_i
- class accuracy: mean over classes of n_ii / t_i
- mean IoU: mean over classes of n_ii / (t_i + sum_j n_ji - n_ii)

Classes that do not occur are left out of the means (of the accuracy those without ground truth, of the IoU those that
were not predicted either); the published scripts count them as 0. The segmentation model and its classes are the
user's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from tandem.config.classes import MAX_CLASSES
from tandem.data.label_maps import IGNORED, labels_from_colours
from tandem.data.pixels import convert_channels
from tandem.errors import ConfigError, DataError
from tandem.evaluation.cases import Loaded
from tandem.evaluation.kinds.weights import described_weights
from tandem.evaluation.metric import Found, Metric, Number, Setup, UnmetNeedError
from tandem.evaluation.networks.segmenter import Segmenter
from tandem.evaluation.rows.measurement import EachCase, to_rgb_batch
from tandem.report.scores import MetricResult


@dataclass(frozen=True)
class SegmentationScore:
    """See the module.

    Attributes:
        pixel_accuracy: In [0, 1].
        class_accuracy: Mean over classes, in [0, 1].
        mean_iou: Mean over classes, in [0, 1].
        accuracies: Of each class; NaN where it does not occur.
        ious: Of each class, likewise.
        num_pixels: How many pixels counted.
    """

    pixel_accuracy: float
    class_accuracy: float
    mean_iou: float
    accuracies: np.ndarray
    ious: np.ndarray
    num_pixels: int


class ConfusionMatrix:
    """Counts of (true class, predicted class), mergeable.

    Attributes:
        counts: ``(K, K)``, int64.
    """

    def __init__(self, num_classes: int) -> None:
        if not 1 <= num_classes <= MAX_CLASSES:
            raise ConfigError(f"{num_classes} classes; expected 1 to {MAX_CLASSES}.")
        self.counts = np.zeros((num_classes, num_classes), dtype=np.int64)

    def add(self, ground_truth: np.ndarray, predicted: np.ndarray) -> None:
        """Count pixels.

        Args:
            ground_truth: Labels of any shape, integers; `IGNORED` where a pixel does not count.
            predicted: Labels of the same shape.

        Raises:
            DataError: The shapes differ, or a label is no class.
        """
        num_classes = len(self.counts)
        if ground_truth.shape != predicted.shape:
            raise DataError(
                f"the ground truth has the shape {ground_truth.shape} and the prediction {predicted.shape}."
            )
        counted = ground_truth != IGNORED
        for name, labels in (("ground truth", ground_truth[counted]), ("prediction", predicted[counted])):
            if labels.size and not (labels.min() >= 0 and labels.max() < num_classes):
                raise DataError(
                    f"the {name} holds labels from {labels.min()} to {labels.max()}; expected 0 to {num_classes - 1}."
                )
        pairs = ground_truth[counted].astype(np.int64) * num_classes + predicted[counted].astype(np.int64)
        self.counts += np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)

    def score(self) -> SegmentationScore:
        """The measures.

        Raises:
            DataError: No pixel was counted.
        """
        return score_of(np.diag(self.counts), self.counts.sum(axis=1), self.counts.sum(axis=0))

    def state(self) -> dict[str, np.ndarray]:
        """The counts."""
        return {"counts": self.counts.copy()}

    @classmethod
    def from_state(cls, state: Mapping[str, np.ndarray]) -> Self:
        """What `state` was taken from."""
        new = cls(len(state["counts"]))
        new.counts += state["counts"]
        return new

    def merge(self, other: "ConfusionMatrix") -> None:
        """Add the counts of another one."""
        if self.counts.shape != other.counts.shape:
            raise DataError(f"cannot merge {len(self.counts)} classes with {len(other.counts)}.")
        self.counts += other.counts


def score_of(hits: np.ndarray, true: np.ndarray, predicted: np.ndarray) -> SegmentationScore:
    """The measures of counts of pixels, of each class ``(K,)``.

    Args:
        hits: Pixels of the class that were taken for it.
        true: Pixels of the class.
        predicted: Pixels that were taken for it.

    Raises:
        DataError: No pixel was counted.
    """
    if not true.sum():
        raise DataError("no pixel was counted: every label is ignored, or there are no images.")
    union = true + predicted - hits
    accuracies = np.divide(hits, true, out=np.full(len(hits), np.nan), where=true > 0)
    ious = np.divide(hits, union, out=np.full(len(hits), np.nan), where=union > 0)
    return SegmentationScore(
        pixel_accuracy=float(hits.sum() / true.sum()),
        class_accuracy=float(np.nanmean(accuracies)),
        mean_iou=float(np.nanmean(ious)),
        accuracies=accuracies,
        ious=ious,
        num_pixels=int(true.sum()),
    )


class Segmentation(Metric):
    """See the module; the input's colours are the true classes."""

    name: ClassVar = "segmentation"
    title: ClassVar = "Segmentation score"
    numbers: ClassVar = ()

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        segmenter, options = setup.networks.segmenter(), setup.options
        assert options.palette is not None, "a segmenter comes with a palette"
        self._source = segmenter.source
        self._rows = _ConfusionRows(segmenter, np.array(options.palette), options.palette_distance)
        self.on_cases = (self._rows,)

    @classmethod
    def check(cls, setup: Setup) -> None:
        """See `Metric`."""
        super().check(setup)
        if setup.subject.model is None:
            raise UnmetNeedError("it needs a model whose inputs are label maps in the colours of the palette")

    def summarise(self, found: Found) -> MetricResult:
        """See `Metric`."""
        counts = found.cases[self._rows.spec]
        score = ConfusionMatrix.from_state({"counts": counts.sum(axis=0)}).score()
        values = {
            "pixel-accuracy": score.pixel_accuracy,
            "class-accuracy": score.class_accuracy,
            "mean-iou": score.mean_iou,
        }
        return MetricResult(
            metric=self.name,
            title=self.title,
            scores=tuple(Number(name, "higher").plain_score(value, len(counts)) for name, value in values.items()),
            depends_on={
                "weights": described_weights(self._source),
                "pixels": score.num_pixels,
                "class_accuracies": _finite(score.accuracies),
                "class_ious": _finite(score.ious),
            },
            outcomes=("pixels", "class_accuracies", "class_ious"),
        )


class _ConfusionRows(EachCase):
    """Counts of (true class, found class) in the first sample, ``(K, K)``."""

    def __init__(self, segmenter: Segmenter, palette: np.ndarray, max_distance: float) -> None:
        depends = {"sha256": segmenter.source.sha256, "palette": palette.tolist(), "max_distance": max_distance}
        super().__init__("segmentation", depends_on=depends)
        self._segmenter, self._palette, self._max_distance = segmenter, palette, max_distance

    def row(self, loaded: Loaded) -> np.ndarray:
        """See `EachCase`."""
        image = convert_channels(loaded.input, 3)
        labels = labels_from_colours(image, self._palette, max_distance=self._max_distance)
        found = self._segmenter(to_rgb_batch(loaded.samples(1)), size=(labels.shape[0], labels.shape[1]))[0]
        matrix = ConfusionMatrix(len(self._palette))
        matrix.add(labels, found)
        return matrix.counts


def _finite(values: np.ndarray) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]
