"""The networks that pix2pix and CycleGAN share, as in their common official implementation."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from tandem.config.data import DataConfig
from tandem.config.method import (
    Init,
    discriminator_layers_problems,
    dropout_problems,
    resnet_blocks,
    resnet_problems,
    unet_depth,
    unet_problems,
)
from tandem.config.options import option
from tandem.config.residual_unet import residual_unet_depth, residual_unet_problems
from tandem.config.specifications import (
    DiscriminatorSpec,
    GeneratorSpec,
    Norm,
    PatchDiscriminatorSpec,
    PixelDiscriminatorSpec,
    ResidualUNetSpec,
    ResNetSpec,
    UNetSpec,
    Upsampling,
)

Body = Literal["resnet", "unet", "residual_unet"]
PUBLISHED_LAYERS = 3


@dataclass(frozen=True, kw_only=True)
class NetworkOptions:
    """Options of generators and discriminators; the methods change some of the defaults."""

    generator: Body = option("resnet", "body of a generator; residual_unet is that of tandem")
    generator_filters: int = option(64, "filters after a generator's first layer (ngf)", at_least=1, below=4097)
    generator_blocks: int | None = option(
        None, "residual blocks of --generator resnet; by default 9 from 256 px on, 6 below"
    )
    generator_depth: int | None = option(
        None, "levels of --generator unet or residual_unet; by default as many as the size allows"
    )
    upsampling: Upsampling = option("transposed", "upsampling in --generator unet; bilinear leaves no checkerboard")
    norm: Norm = option("instance", "normalisation in all networks")
    dropout: bool = option(False, "dropout 0.5 in a generator's inner blocks")
    discriminator: Literal["patch", "pixel"] = option("patch", "what a discriminator sees: patches or single pixels")
    discriminator_filters: int = option(64, "filters of a discriminator's first layer (ndf)", at_least=1, below=4097)
    discriminator_layers: int | None = option(
        None, "strided layers of a patch discriminator: 3 see patches of 70 px, the default; 2 of 34 px"
    )
    init: Init = option("normal", "distribution of the initial weights")
    init_gain: float = option(0.02, "gain (xavier) or standard deviation (normal)", above=0)

    def network_problems(self, data: DataConfig) -> Iterator[str]:
        """Say what does not fit together among the networks, each with the option to change."""
        if self.generator == "unet":
            misfits = list(unet_problems(self.generator_depth, data))
            yield from misfits or dropout_problems(self.generator_depth, data, dropout=self.dropout)
        elif self.generator == "residual_unet":
            yield from residual_unet_problems(self.generator_depth, data)
            if self.dropout:
                yield "--dropout has no effect with --generator residual_unet, which has none: give --no-dropout"
        else:
            yield from resnet_problems(data, self.generator_blocks)
            if self.generator_depth is not None:
                yield f"--generator-depth {self.generator_depth} has no effect with --generator resnet"
        if self.generator != "resnet" and self.generator_blocks is not None:
            yield f"--generator-blocks {self.generator_blocks} has no effect with --generator {self.generator}"
        if self.generator != "unet" and self.upsampling != NetworkOptions.upsampling:
            yield f"--upsampling {self.upsampling} has no effect with --generator {self.generator}"
        layers = self.discriminator_layers
        if self.discriminator == "patch":
            advice = "--discriminator-layers, or choose --discriminator pixel"
            yield from discriminator_layers_problems(layers, layers or PUBLISHED_LAYERS, 1, data, advice)
        elif layers is not None:
            yield f"--discriminator-layers {layers} has no effect with --discriminator pixel"

    def size_multiple(self, data: DataConfig) -> int:
        """What the sides of a generator's input must be multiples of."""
        match self.generator:
            case "unet":
                return 2 ** unet_depth(self.generator_depth, data)
            case "residual_unet":
                return 2 ** residual_unet_depth(self.generator_depth, data)
            case "resnet":
                return 4

    def generator_of(self, data: DataConfig, *, in_channels: int, out_channels: int) -> GeneratorSpec:
        """A generator's specification; as published, its convolutions have a bias only with instance norm.

        The residual U-Net has its own norms, and biases always.
        """
        if self.generator == "residual_unet":
            return ResidualUNetSpec(
                in_channels=in_channels,
                out_channels=out_channels,
                latent_dim=0,
                depth=residual_unet_depth(self.generator_depth, data),
                filters=self.generator_filters,
            )
        if self.generator == "resnet":
            return ResNetSpec(
                in_channels=in_channels,
                out_channels=out_channels,
                filters=self.generator_filters,
                blocks=resnet_blocks(self.generator_blocks, data),
                norm=self.norm,
                dropout=self.dropout,
                bias=self._bias,
            )
        return UNetSpec(
            in_channels=in_channels,
            out_channels=out_channels,
            latent_dim=0,
            depth=unet_depth(self.generator_depth, data),
            filters=self.generator_filters,
            norm=self.norm,
            injection="none",
            upsampling=self.upsampling,
            dropout=self.dropout,
            bias=self._bias,
            skip_first=True,
        )

    def discriminator_of(self, *, in_channels: int) -> DiscriminatorSpec:
        """A discriminator's specification."""
        filters = self.discriminator_filters
        if self.discriminator == "pixel":
            return PixelDiscriminatorSpec(in_channels=in_channels, filters=filters, norm=self.norm, bias=self._bias)
        layers = self.discriminator_layers or PUBLISHED_LAYERS
        return PatchDiscriminatorSpec(
            in_channels=in_channels, filters=filters, layers=layers, scales=1, norm=self.norm, bias=self._bias
        )

    @property
    def _bias(self) -> bool:
        return self.norm in ("instance", "instance_affine")
