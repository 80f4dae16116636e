"""LPIPS: distances between images in the activations of a classifier.

Paper: *The Unreasonable Effectiveness of Deep Features as a Perceptual Metric* (1801.03924). At each tap the
activations are divided by their L2 norm over the channels; the distance is the sum over taps of the spatial mean
of the squared differences, weighted per channel by the published heads (no square root). There are two versions,
whose numbers must not be mixed:

- **v0.1** (2018): input channels are shifted and scaled as the backbone was trained.
- **v0.0**: the first release, other heads, and by mistake no shift and scale. BicycleGAN's published diversity is v0.0
  with AlexNet.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from tandem.config.specifications import BackboneName
from tandem.errors import DataError
from tandem.evaluation.images import check_batch, to_signed_scale
from tandem.evaluation.networks.features import full_float32
from tandem.evaluation.networks.weights import WeightsName, WeightsSource, find_weights
from tandem.evaluation.options import LPIPSVersion
from tandem.networks.backbones.classifiers import (
    MIN_SIDE,
    SCALE,
    SHIFT,
    TAP_CHANNELS,
    Backbone,
    without_classifier,
)
from tandem.networks.backbones.tensor_files import load_strictly, read_state_dict

_EPSILON = 1e-10

Embedding = list[Tensor]
"""Normalised activations of a batch, one ``(N, C, H', W')`` per tap."""


@dataclass(frozen=True)
class LPIPSSpec:
    """What a distance depends on, for a report.

    Attributes:
        version: Heads and preprocessing.
        network: The backbone.
        backbone_weights: Its file; `None` if it came from memory.
        head_weights: Their file; `None` if they came from memory.
    """

    version: LPIPSVersion
    network: BackboneName
    backbone_weights: WeightsSource | None
    head_weights: WeightsSource | None


class LPIPS(nn.Module):
    """The distance, without gradients.

    Args:
        network: The backbone.
        version: Heads and preprocessing; see the module.
        backbone: State dict under torchvision's names; what is not ``features.*`` is left out.
        heads: ``lin{k}.model.1.weight``, each ``(1, C, 1, 1)``.

    Attributes:
        spec: What the numbers depend on.

    Raises:
        WeightsError: The weights are not those of this network.
    """

    shift: Tensor
    scale: Tensor

    def __init__(
        self,
        network: BackboneName,
        version: LPIPSVersion,
        *,
        backbone: Mapping[str, Tensor],
        heads: Mapping[str, Tensor],
        spec: LPIPSSpec | None = None,
    ) -> None:
        super().__init__()
        self.spec = spec or LPIPSSpec(version, network, None, None)
        self.backbone = Backbone(network)
        wanted = without_classifier(self.backbone, backbone)
        load_strictly(self.backbone, wanted, name=_file_name(self.spec.backbone_weights, f"the weights of {network}"))
        self.heads = nn.ParameterDict(
            {
                f"lin{k}": nn.Parameter(torch.empty(1, channels, 1, 1))
                for k, channels in enumerate(TAP_CHANNELS[network])
            }
        )
        renamed = {key.removesuffix(".model.1.weight"): value for key, value in heads.items()}
        load_strictly(self.heads, renamed, name=_file_name(self.spec.head_weights, f"the heads of LPIPS {version}"))
        shifted = version == "v0.1"
        # Rounded to float32 as in the original, also when the network is converted to float64.
        self.register_buffer("shift", torch.tensor(SHIFT if shifted else (0.0,) * 3).view(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor(SCALE if shifted else (1.0,) * 3).view(1, 3, 1, 1))
        self.eval().requires_grad_(False)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Distances of pairs.

        Args:
            a: ``(N, 3, H, W)`` RGB, uint8, or float in [-1, 1].
            b: Likewise.

        Returns:
            ``(N,)``.

        Raises:
            DataError: The images have another form.
        """
        return self.per_layer(a, b).sum(1)

    def per_layer(self, a: Tensor, b: Tensor) -> Tensor:
        """The part of each tap, ``(N, taps)``; a row sums to the distance."""
        if a.shape != b.shape:
            raise DataError(f"LPIPS compares images of one size, not {tuple(a.shape)} and {tuple(b.shape)}.")
        return self.between(self.embed(a), self.embed(b))

    def embed(self, images: Tensor) -> Embedding:
        """Normalised activations, for distances of one image to several others.

        Args:
            images: ``(N, 3, H, W)`` RGB, uint8, or float in [-1, 1].

        Raises:
            DataError: The images have another form or are too small.
        """
        check_batch(images, channels=3)
        if min(images.shape[2:]) < MIN_SIDE:
            raise DataError(f"LPIPS needs sides of at least {MIN_SIDE} px; the images have {tuple(images.shape[2:])}.")
        with torch.inference_mode(), full_float32():
            signed = to_signed_scale(images.to(self.shift.device), self.shift.dtype)
            x = (signed - self.shift) / self.scale
            return [tap / (tap.square().sum(1, keepdim=True).sqrt() + _EPSILON) for tap in self.backbone(x)]

    def between(self, a: Embedding, b: Embedding) -> Tensor:
        """Distances by tap, ``(N, taps)``, of embeddings; a batch of 1 is compared with all of the other."""
        parts = [
            torch.einsum("nchw,c->nhw", (x - y).square(), head.view(-1)).mean((1, 2))
            for x, y, head in zip(a, b, self.heads.values(), strict=True)
        ]
        return torch.stack(parts, 1)


def load_lpips(
    network: BackboneName = "alex",
    version: LPIPSVersion = "v0.1",
    *,
    device: torch.device,
    backbone_weights: Path | None = None,
    head_weights: Path | None = None,
    may_download: bool = True,
    cache: Path | None = None,
) -> LPIPS:
    """LPIPS with weights from files.

    Args:
        network: The backbone.
        version: Heads and preprocessing.
        device: Where to compute.
        backbone_weights: A file or folder instead of the cache; see `find_weights`.
        head_weights: Likewise. The v0.1 heads come with torchmetrics.
        may_download: Whether weights may be fetched.
        cache: See `find_weights`.

    Raises:
        WeightsError: Weights are missing or belong to something else.
    """
    heads: WeightsName = f"lpips-{version}-{network}"  # type: ignore[assignment]  (both are literals)
    found = find_weights(network, path=backbone_weights, may_download=may_download, cache=cache)
    found_heads = find_weights(heads, path=head_weights, may_download=may_download, cache=cache)
    return LPIPS(
        network,
        version,
        backbone=read_state_dict(found.path),
        heads=read_state_dict(found_heads.path),
        spec=LPIPSSpec(version, network, found, found_heads),
    ).to(device)


def consecutive(embedding: Embedding) -> tuple[Embedding, Embedding]:
    """The embeddings of images 1 to M-1 and 2 to M, for the distances of consecutive pairs."""
    return [tap[:-1] for tap in embedding], [tap[1:] for tap in embedding]


def _file_name(source: WeightsSource | None, otherwise: str) -> str:
    return otherwise if source is None else str(source.path)
