"""The segmentation score ("FCN score"): does a segmentation model find the right classes in generated images?

Papers: *Fully Convolutional Networks for Semantic Segmentation* (1411.4038) for the measures, *Image-to-Image
Translation with Conditional Adversarial Networks* (1611.07004) for their use. With n_ij pixels of class i that
were taken for class j and t_i of class i:

- pixel accuracy: sum_i n_ii / sum_i t_i
- class accuracy: mean over classes of n_ii / t_i
- mean IoU: mean over classes of n_ii / (t_i + sum_j n_ji - n_ii)

Classes that do not occur are left out of the means (of the accuracy those without truth, of the IoU those that were not
predicted either); the published scripts count them as 0. The segmentation model and its classes are the user's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tandem.errors import ConfigError, DataError
from tandem.evaluation.features import InputSpec, full_float32
from tandem.evaluation.networks.external import load_external
from tandem.evaluation.networks.weights import WeightsSource
from tandem.evaluation.resize import Resizer

MAX_CLASSES = 1000
IGNORED = -1
"""The label of pixels that do not count."""


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

    def add(self, truth: np.ndarray, predicted: np.ndarray) -> None:
        """Count pixels.

        Args:
            truth: Labels of any shape, integers; `IGNORED` where a pixel does not count.
            predicted: Labels of the same shape.

        Raises:
            DataError: The shapes differ, or a label is no class.
        """
        num_classes = len(self.counts)
        if truth.shape != predicted.shape:
            raise DataError(f"the truth has the shape {truth.shape} and the prediction {predicted.shape}.")
        counted = truth != IGNORED
        for name, labels in (("truth", truth[counted]), ("prediction", predicted[counted])):
            if labels.size and not (labels.min() >= 0 and labels.max() < num_classes):
                raise DataError(
                    f"the {name} holds labels from {labels.min()} to {labels.max()}; expected 0 to {num_classes - 1}."
                )
        joint = truth[counted].astype(np.int64) * num_classes + predicted[counted].astype(np.int64)
        self.counts += np.bincount(joint, minlength=num_classes**2).reshape(num_classes, num_classes)

    def score(self) -> SegmentationScore:
        """The measures.

        Raises:
            DataError: No pixel was counted.
        """
        hits = np.diag(self.counts).astype(np.float64)
        true, predicted = self.counts.sum(axis=1), self.counts.sum(axis=0)
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


class Segmenter:
    """A segmentation model from an ONNX or TorchScript file: images to label maps.

    Args:
        path: The file; its output is logits ``(N, K, H', W')``, or labels ``(N, H', W')`` or ``(N, 1, H', W')``.
        input_spec: What it takes.
        device: Where it runs.
        resizer: How images get its size.
        trust_torchscript: See `tandem.evaluation.networks.external`.

    Attributes:
        source: The file and its hash.
    """

    def __init__(
        self,
        path: Path,
        input_spec: InputSpec,
        *,
        device: torch.device,
        resizer: Resizer = "clean",
        trust_torchscript: bool = False,
    ) -> None:
        self._network = load_external(path, device=device, trust_torchscript=trust_torchscript)
        self._input, self._device = input_spec, device
        self._resizer: Resizer = resizer
        self.source = WeightsSource(self._network.kind, path, self._network.sha256, published=False)

    def __call__(self, images: Tensor, *, size: tuple[int, int] | None = None) -> np.ndarray:
        """Label maps of a batch.

        Args:
            images: ``(N, 3, H, W)``, uint8, or float in [-1, 1].
            size: Height and width of the result; those of the images by default. Logits are interpolated, labels
                repeated.

        Returns:
            ``(N, *size)``, int64.

        Raises:
            DataError: The images have another form, or the model fails or gives something else.
        """
        size = (images.shape[2], images.shape[3]) if size is None else size
        with torch.inference_mode(), full_float32():
            x = self._input.apply(images.to(self._device), resizer=self._resizer, dtype=torch.float32)
            return _labels(self._network(x), len(images), size).cpu().numpy()


def _labels(output: Tensor, count: int, size: tuple[int, int]) -> Tensor:
    if output.ndim == 3:
        output = output[:, None]
    if output.ndim != 4 or len(output) != count:
        raise DataError(
            f"the segmentation model gave the shape {tuple(output.shape)} for {count} images; expected logits "
            "(N, K, H, W) or labels (N, H, W)."
        )
    if output.shape[1] > 1:
        resized = output.float()
        if tuple(output.shape[2:]) != size:
            resized = F.interpolate(resized, size, mode="bilinear", align_corners=False)
        return resized.argmax(1)
    labels = output.double()
    if tuple(output.shape[2:]) != size:
        labels = F.interpolate(labels, size, mode="nearest-exact")
    return labels[:, 0].round().long()


def labels_from_colours(image: np.ndarray, palette: np.ndarray, *, max_distance: float = 0.0) -> np.ndarray:
    """Read a label map that is stored as an image in colours.

    Args:
        image: ``(H, W, 3)``, uint8.
        palette: ``(K, 3)``, the colour of each class.
        max_distance: How far (Euclidean, 0..441) a pixel may be from the nearest colour; JPEG needs some 60. Pixels
            beyond it are `IGNORED`; with 0, they are an error.

    Returns:
        ``(H, W)``, int64.

    Raises:
        DataError: The shapes are others, colours repeat, or a colour is not in the palette.
    """
    colours = np.asarray(palette, dtype=np.int64)
    if image.ndim != 3 or image.shape[2] != 3 or colours.ndim != 2 or colours.shape[1] != 3:
        raise DataError(
            f"the label image is {image.shape} and the palette {colours.shape}; expected (H, W, 3), (K, 3)."
        )
    if len(np.unique(colours, axis=0)) < len(colours):
        raise DataError("two classes of the palette have the same colour.")
    found, where = np.unique(image.reshape(-1, 3), axis=0, return_inverse=True)
    squares = np.square(found.astype(np.int64)[:, None] - colours).sum(axis=2)
    labels = squares.argmin(axis=1)
    strange = squares.min(axis=1) > max_distance**2
    if strange.any() and max_distance == 0:
        raise DataError(
            f"the label image holds the colour {tuple(found[strange][0].tolist())}, which is not in the palette. If "
            "it was saved with losses (JPEG) or resized smoothly, allow a distance."
        )
    labels[strange] = IGNORED
    return labels[where.ravel()].reshape(image.shape[:2])
