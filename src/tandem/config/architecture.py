"""Specifications of networks: what a network is, as data.

A specification holds every number that the network's shape depends on and nothing else, so that a model
bundle can rebuild the network without the configuration of the run that trained it.
"""

import dataclasses
from dataclasses import dataclass
from typing import Literal

Norm = Literal["instance", "instance_affine", "batch", "none"]
Activation = Literal["relu", "lrelu", "elu"]
Injection = Literal["none", "input", "all"]
Upsampling = Literal["transposed", "bilinear"]

FIRST_DROPOUT_LEVEL = 4
"""The U-Net's level from which on blocks have dropout, the innermost excepted."""

_BOUNDS = {
    "in_channels": (1, 4096),
    "out_channels": (1, 4096),
    "latent_dim": (0, 4096),
    "depth": (1, 12),
    "filters": (1, 4096),
    "layers": (1, 9),
    "scales": (1, 5),
}


class _Bounded:
    """Refuses numbers that no network has: a specification may come from a file of a stranger."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
            low, high = _BOUNDS.get(field.name, (None, None))
            value = getattr(self, field.name)
            if low is not None and not low <= value <= high:
                raise ValueError(f"{field.name} must be from {low} to {high}, not {value}")


@dataclass(frozen=True, kw_only=True)
class UNetSpec(_Bounded):
    """A U-Net generator; see `tandem.networks.unet`.

    Attributes:
        depth: Number of stride-2 levels; sides must be multiples of ``2**depth``.
        filters: Channels after the first level; they double up to eight times this number.
        injection: Where the latent code enters: nowhere, at the input, or before every down convolution.
    """

    kind: Literal["unet"] = "unet"
    in_channels: int
    out_channels: int
    latent_dim: int
    depth: int
    filters: int
    norm: Norm = "instance"
    injection: Injection = "all"
    upsampling: Upsampling = "transposed"
    activation: Activation = "relu"
    dropout: bool = False


@dataclass(frozen=True, kw_only=True)
class EncoderSpec(_Bounded):
    """An image encoder with two heads, mu and logvar; see `tandem.networks.encoder`."""

    kind: Literal["encoder"] = "encoder"
    body: Literal["resnet", "cnn"] = "resnet"
    in_channels: int
    latent_dim: int
    depth: int
    filters: int
    norm: Norm = "instance"


@dataclass(frozen=True, kw_only=True)
class PatchDiscriminatorSpec(_Bounded):
    """A PatchGAN on one or more scales; see `tandem.networks.patchgan`.

    Attributes:
        layers: Strided convolutions: 3 judge patches of 70 px, 2 of 34 px.
        scales: Judges; each next one sees the image at half the size with half the filters.
    """

    kind: Literal["patch_discriminator"] = "patch_discriminator"
    in_channels: int
    filters: int
    layers: int
    scales: int
    norm: Norm = "instance"


NetworkSpec = UNetSpec | EncoderSpec | PatchDiscriminatorSpec
