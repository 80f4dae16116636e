"""Accuracy of label maps: the classes of outputs beside those of their ground truth, pixel by pixel.

The measures are those of *Fully Convolutional Networks for Semantic Segmentation* (1411.4038), see
`tandem.evaluation.metrics.segmentation`, over all pixels of all inputs and samples. Pixels whose ground truth has no
class and masked pixels do not count.
"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from tandem.config.classes import LabelClasses
from tandem.data.label_maps import IGNORED
from tandem.evaluation.cases import Loaded
from tandem.evaluation.metric import Found, Metric, Needs, Number, Ranking, Setup, UnmetNeedError
from tandem.evaluation.metrics.segmentation import score_of
from tandem.evaluation.rows.measurement import EachCase
from tandem.report.scores import MetricResult


class Labels(Metric):
    """See the module."""

    name: ClassVar = "labels"
    title: ClassVar = "Accuracy of label maps"
    numbers: ClassVar = (
        Number("label-iou", "higher", decides_paired=100),
        Number("label-accuracy", "higher"),
        Number("label-class-accuracy", "higher"),
    )
    needs: ClassVar = Needs(ground_truth=True)
    is_cheap: ClassVar = True
    ranking: ClassVar = Ranking("quality", 100)

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        classes = setup.subject.output_levels.classes
        assert classes is not None, "checked"
        self._classes = classes
        self._rows = _CountRows(classes, setup.subject.num_samples)
        self.on_cases = (self._rows,)

    @classmethod
    def check(cls, setup: Setup) -> None:
        """See `Metric`."""
        if setup.subject.output_levels.classes is None:
            raise UnmetNeedError("it needs a model whose outputs are label maps (--classes-a, --classes-b)")
        super().check(setup)

    def summarise(self, found: Found) -> MetricResult:
        """See `Metric`."""
        rows = found.cases[self._rows.spec]
        hits, true, predicted = rows.sum(axis=0)
        depends = {"inputs": len(rows), "samples": self.setup.subject.num_samples, "pixels": int(true.sum())}
        if not true.sum():
            warning = "no pixel of a ground truth has a class, so that there is nothing to compare."
            return MetricResult(metric=self.name, title=self.title, scores=(), depends_on=depends, warnings=(warning,))
        score = score_of(hits, true, predicted)
        values = (score.mean_iou, score.pixel_accuracy, score.class_accuracy)
        names = [one.name for one in self._classes.classes]
        return MetricResult(
            metric=self.name,
            title=self.title,
            scores=tuple(
                number.plain_score(value, len(rows)) for number, value in zip(self.numbers, values, strict=True)
            ),
            depends_on=depends | {"ious": _by_name(names, score.ious), "accuracies": _by_name(names, score.accuracies)},
            outcomes=("pixels", "ious", "accuracies"),
        )

    def per_input(self, found: Found) -> np.ndarray:
        """See `Metric`: the pixel accuracy; 0 where no pixel of the ground truth has a class."""
        rows = found.cases[self._rows.spec]
        return rows[:, 0].sum(axis=1) / np.maximum(rows[:, 1].sum(axis=1), 1)


class _CountRows(EachCase):
    """Of each class the pixels that were hit, that are of it, and that were taken for it: ``(3, K)``, int64."""

    def __init__(self, classes: LabelClasses, num_samples: int) -> None:
        super().__init__("labels", num_samples=num_samples, depends_on={"classes": classes.as_text()})
        self._num_classes = len(classes)

    def row(self, loaded: Loaded) -> np.ndarray:
        """See `EachCase`."""
        planes = loaded.exact_ground_truth
        true = np.where(planes.max(axis=-1) > -1, planes.argmax(axis=-1), IGNORED)
        counted = true != IGNORED
        if loaded.valid is not None:
            counted &= loaded.valid
        counts = np.zeros((3, self._num_classes), np.int64)
        for sample in loaded.exact_samples(self.num_samples):
            predicted = sample.argmax(axis=-1)
            hit = predicted[counted & (predicted == true)]
            for place, labels in enumerate((hit, true[counted], predicted[counted])):
                counts[place] += np.bincount(labels, minlength=self._num_classes)
        return counts


def _by_name(names: Sequence[str], values: np.ndarray) -> dict[str, float | None]:
    return {name: float(one) if np.isfinite(one) else None for name, one in zip(names, values, strict=True)}
