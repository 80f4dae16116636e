"""How far apart two images are in the inner maps of a network that others have trained.

Paper: *Perceptual Losses for Real-Time Style Transfer and Super-Resolution* (1603.08155), with what *The Unreasonable
Effectiveness of Deep Features* (1801.03924) adds: every place of a map is normalised over its channels. With f_l the
maps of layer l:

    1/L · Σ_l mean |n(f_l(x)) − n(f_l(y))|,  n(f) = f / √(mean_c f_c² + ε)

Deviations: L1, as in the rest of the objectives, and lengths of √C, so that the distance is of the order of one
whatever the layer. The network's weights are never trained, and are part of neither state nor bundle: a run remembers
the SHA-256 of their file.
"""

from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn

from tandem.errors import DataError
from tandem.networks.backbones.classifiers import MIN_SIDE, SCALE, SHIFT, Backbone
from tandem.networks.backbones.mobilenet import MobileNet
from tandem.networks.backbones.read import read_backbone
from tandem.networks.backbones.tensor_files import sha256_of

EPSILON = 1e-6
"""Keeps the gradient finite where all channels are zero."""


class FeatureLoss(nn.Module):
    """The distance; see the file's head.

    Args:
        network: Without gradients for its weights.
        sha256: Of the file that the weights come from.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, network: Backbone | MobileNet, *, sha256: str) -> None:
        super().__init__()
        self.network, self.sha256 = network, sha256
        is_mobile = isinstance(network, MobileNet)  # which takes images in [-1, 1] as they are
        self.register_buffer("shift", torch.tensor((0.0,) * 3 if is_mobile else SHIFT).view(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor((1.0,) * 3 if is_mobile else SCALE).view(1, 3, 1, 1))

    @classmethod
    def of_file(cls, path: Path) -> Self:
        """The distance in the maps of the network whose weights a file holds; see `read_backbone`.

        Raises:
            WeightsError: The file cannot be read, is too large, or holds something else.
        """
        return cls(read_backbone(path), sha256=sha256_of(path))

    def forward(self, made: Tensor, real: Tensor) -> Tensor:
        """The mean distance of pairs; gradients reach `made` alone.

        Args:
            made: ``(N, C, H, W)`` with one channel or three, float32, [-1, 1]; under autocast too all is float32.
            real: Likewise.

        Returns:
            A scalar.

        Raises:
            DataError: The images are too small.
        """
        if min(made.shape[2:]) < MIN_SIDE:
            height, width = made.shape[2:]
            raise DataError(
                f"--lambda-features compares images of at least {MIN_SIDE} px a side, not {width}×{height} px. Train "
                "on larger images, or without it."
            )
        with torch.autocast(made.device.type, enabled=False):
            with torch.no_grad():
                wanted = self._maps(real)
            distances = [(x - y).abs().mean() for x, y in zip(self._maps(made), wanted, strict=True)]
            return torch.stack(distances).mean()

    def _maps(self, images: Tensor) -> list[Tensor]:
        x = (images.expand(-1, 3, -1, -1) - self.shift) / self.scale
        maps = self.network.maps(x) if isinstance(self.network, MobileNet) else self.network(x)
        return [one / (one.square().mean(1, keepdim=True) + EPSILON).sqrt() for one in maps]


def features_of(file: str | None) -> FeatureLoss | None:
    """The distance of ``--feature-weights``; None where there is no file."""
    return None if file is None else FeatureLoss.of_file(Path(file))
