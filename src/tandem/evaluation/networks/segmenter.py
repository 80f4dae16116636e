"""A segmentation model of the user's, from a file: images to label maps."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tandem.errors import DataError
from tandem.evaluation.networks.external import load_external
from tandem.evaluation.networks.features import InputSpec, full_float32
from tandem.evaluation.networks.resize import Resizer
from tandem.evaluation.networks.weights import WeightsSource


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
