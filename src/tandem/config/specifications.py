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
BackboneName = Literal["alex", "vgg", "squeeze"]
"""Classifiers whose inner maps are compared; see `tandem.networks.backbones.classifiers`."""

FIRST_DROPOUT_LEVEL = 4
"""The U-Net's level from which on blocks have dropout, the innermost excepted."""

_BOUNDS = {
    "in_channels": (1, 4096),
    "out_channels": (1, 4096),
    "input_channels": (0, 4096),
    "latent_dim": (0, 4096),
    "depth": (1, 12),
    "filters": (1, 4096),
    "layers": (1, 9),
    "scales": (1, 5),
    "detail": (0, 100),
    "blocks": (1, 64),
}


_MAX_TAPS = 16


class _Bounded:
    """Refuses numbers that no network has: a specification may come from a file of a stranger."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
            low, high = _BOUNDS.get(field.name, (None, None))
            value = getattr(self, field.name)
            if low is not None and not low <= value <= high:
                raise ValueError(f"{field.name} must be from {low} to {high}, not {value}")


class _Halving(_Bounded):
    """A network whose levels halve the image, down to one pixel at the least."""

    depth: int

    @property
    def size_multiple(self) -> int:
        """What the sides of an image must be multiples of."""
        return 2**self.depth

    @property
    def smallest_side(self) -> int:
        """What the sides must be at least."""
        return self.size_multiple


@dataclass(frozen=True, kw_only=True)
class UNetSpec(_Halving):
    """A U-Net generator; see `tandem.networks.unet`.

    Attributes:
        depth: Number of stride-2 levels; sides must be multiples of ``2**depth``.
        filters: Channels after the first level; they double up to eight times this number.
        injection: Where the latent enters: nowhere, at the input, or before every down convolution.
        bias: Whether convolutions have a bias, but the last one, which always has. pix2pix has them only with instance
            norm.
        skip_first: Whether the skip comes before the way up where both are joined, as in pix2pix.
        activation_last: Whether blocks end in their activation instead of beginning with it, as in a PyTorch project
            for 128 px: z is at the input, the innermost block has an affine instance norm too, and no tanh ends it.
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
    bias: bool = True
    skip_first: bool = False
    activation_last: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        published = (self.norm, self.injection, self.upsampling) == ("instance_affine", "input", "transposed")
        if self.activation_last and (not published or self.dropout or self.skip_first or not self.bias):
            raise ValueError("activation_last goes with z at the input and affine instance norm, and nothing else")


@dataclass(frozen=True, kw_only=True)
class ResNetSpec(_Bounded):
    """A residual generator without latent (CycleGAN, CUT); see `tandem.networks.resnet`.

    Attributes:
        filters: Channels after the first convolution.
        blocks: Residual blocks: 9 at 256 px, 6 at 128 px.
        antialias: Blur before every subsampling and bilinear upsampling, as in CUT.
        bias: Whether convolutions have a bias, but the last one, which always has.
    """

    kind: Literal["resnet"] = "resnet"
    in_channels: int
    out_channels: int
    filters: int
    blocks: int
    norm: Norm = "instance"
    dropout: bool = False
    antialias: bool = False
    bias: bool = True

    @property
    def latent_dim(self) -> int:
        """There is no latent."""
        return 0

    @property
    def size_multiple(self) -> int:
        """What the sides of an image must be multiples of."""
        return 4

    @property
    def smallest_side(self) -> int:
        """What the sides must be at least: the blocks reflect the edge of a map of a quarter of the size."""
        return 8


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

    @property
    def size_multiple(self) -> int:
        """What the sides of an image must be multiples of."""
        return 1

    @property
    def smallest_side(self) -> int:
        """What the sides of an image must be at least."""
        return 2 ** (self.depth + 1)


@dataclass(frozen=True, kw_only=True)
class PatchDiscriminatorSpec(_Bounded):
    """A PatchGAN on one or more scales; see `tandem.networks.patchgan`.

    Attributes:
        layers: Strided convolutions: 3 discriminator patches of 70 px, 2 of 34 px.
        scales: Sub-discriminators; each next one sees the image at half the size with half the filters.
        antialias: Blur before every subsampling, as in CUT.
        bias: Whether the convolutions in front of a norm have a bias; the first and the last one always have.
    """

    kind: Literal["patch_discriminator"] = "patch_discriminator"
    in_channels: int
    filters: int
    layers: int
    scales: int
    norm: Norm = "instance"
    antialias: bool = False
    bias: bool = True


@dataclass(frozen=True, kw_only=True)
class PixelDiscriminatorSpec(_Bounded):
    """A discriminator of single pixels (1×1 convolutions); see `tandem.networks.patchgan`."""

    kind: Literal["pixel_discriminator"] = "pixel_discriminator"
    in_channels: int
    filters: int
    norm: Norm = "batch"
    bias: bool = True


@dataclass(frozen=True, kw_only=True)
class PatchProjectorSpec(_Bounded):
    """The heads that PatchNCE compares features with, one per tapped layer; see `tandem.networks.projector`.

    Attributes:
        channels: Channels of each tapped layer.
        filters: Width of the heads and of the vectors that they give.
    """

    kind: Literal["patch_projector"] = "patch_projector"
    channels: tuple[int, ...]
    filters: int

    def __post_init__(self) -> None:
        super().__post_init__()
        low, high = _BOUNDS["in_channels"]
        if not 1 <= len(self.channels) <= _MAX_TAPS or not all(low <= c <= 4 * high for c in self.channels):
            raise ValueError(f"channels must be 1 to {_MAX_TAPS} numbers from {low} to {4 * high}")


@dataclass(frozen=True, kw_only=True)
class ResidualUNetSpec(_Halving):
    """A residual U-Net that feels the latent in every block; see `tandem.networks.residual_unet`.

    Attributes:
        latent_dim: 0 for none.
        depth: Number of levels; the outermost one has half the sides of the image.
        filters: Channels of the outermost level; the next ones have two, three and four times as many, all others four.
    """

    kind: Literal["residual_unet"] = "residual_unet"
    in_channels: int
    out_channels: int
    latent_dim: int
    depth: int
    filters: int

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of the levels, the outermost first."""
        return tuple(self.filters * min(level, 4) for level in range(1, self.depth + 1))

    @property
    def narrow_width(self) -> int:
        """Channels of the only maps at the resolution of the image."""
        return max(8, self.filters // 4)

    @property
    def dropout(self) -> bool:
        """There is none."""
        return False


@dataclass(frozen=True, kw_only=True)
class PairEncoderSpec(_Bounded):
    """An encoder of an output, and of its input beside it; see `tandem.networks.pair_encoder`.

    Attributes:
        in_channels: Channels of the outputs that it encodes.
        input_channels: Channels of the inputs beside them; 0 where it sees outputs alone.
        depth: Convolutions, behind a pixel-unshuffle by 2; the first one halves the map.
        filters: Channels of the first one; each next one has twice as many.
    """

    kind: Literal["pair_encoder"] = "pair_encoder"
    in_channels: int
    input_channels: int
    latent_dim: int
    depth: int
    filters: int

    @property
    def size_multiple(self) -> int:
        """What the sides of an image must be multiples of."""
        return 2

    @property
    def smallest_side(self) -> int:
        """What the sides of an image must be at least."""
        return 4


@dataclass(frozen=True, kw_only=True)
class SpectralDiscriminatorSpec(_Bounded):
    """Spectrally normalised discriminators of patches; see `tandem.networks.spectral_discriminator`.

    Attributes:
        filters: Channels of the first convolution; each next one has twice as many.
        layers: Convolutions before that to the logits.
        scales: Discriminators; each next one sees the image at half the size.
        detail: How much stronger than its mean the differences within a block of 2×2 pixels are shown.
    """

    kind: Literal["spectral_discriminator"] = "spectral_discriminator"
    in_channels: int
    filters: int
    layers: int
    scales: int
    detail: float


GeneratorSpec = UNetSpec | ResNetSpec | ResidualUNetSpec
ImageEncoderSpec = EncoderSpec | PairEncoderSpec
DiscriminatorSpec = PatchDiscriminatorSpec | PixelDiscriminatorSpec | SpectralDiscriminatorSpec
NetworkSpec = GeneratorSpec | ImageEncoderSpec | DiscriminatorSpec | PatchProjectorSpec
