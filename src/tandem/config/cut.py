"""The configuration of CUT (2007.15651), of which FastCUT is a variant."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from tandem.config.data import DataConfig
from tandem.config.method import (
    Init,
    PlainGanLoss,
    discriminator_layers_problems,
    resnet_blocks,
    resnet_problems,
)
from tandem.config.options import option
from tandem.config.specifications import Norm, PatchDiscriminatorSpec, PatchProjectorSpec, ResNetSpec

TAPPED_BLOCKS = (1, 5)
"""Residual blocks whose outputs are compared: layers 12 and 16 of the published nine-block generator."""
PUBLISHED_LAYERS = 3


@dataclass(frozen=True, kw_only=True)
class CUTConfig:
    """Options of the method; the defaults are those of the official implementation."""

    method: ClassVar[str] = "cut"
    paired: ClassVar[bool] = False
    parts: ClassVar[int] = 1

    generator_filters: int = option(64, "filters after the generator's first layer (ngf)", at_least=1, below=4097)
    generator_blocks: int | None = option(None, "residual blocks; by default 9 from 256 px on, 6 below")
    norm: Norm = option("instance", "normalisation in all networks")
    dropout: bool = option(False, "dropout 0.5 in the generator while training")
    antialias: bool = option(True, "blur before every subsampling, bilinear upsampling")
    discriminator_filters: int = option(64, "filters of the discriminator's first layer (ndf)", at_least=1, below=4097)
    discriminator_layers: int | None = option(
        None, "strided layers of the discriminator: 3 see patches of 70 px, the default; 2 of 34 px"
    )
    gan_loss: PlainGanLoss = option("lsgan", "the adversarial loss")
    lambda_gan: float = option(1.0, "weight of the adversarial loss; 0 leaves out the discriminator", at_least=0)
    lambda_nce: float = option(1.0, "weight of the contrastive loss PatchNCE", above=0)
    nce_identity: bool = option(True, "PatchNCE between B and G(B) too, half and half")
    nce_patches: int = option(256, "locations of each tapped layer that are compared", at_least=2, below=65537)
    nce_filters: int = option(256, "length of the vectors that are compared", at_least=1, below=4097)
    nce_temperature: float = option(0.07, "temperature of the softmax over the locations", above=0)
    flip_equivariance: bool = option(False, "flip the input of half of the steps, and the features back")
    init: Init = option("xavier", "distribution of the initial weights")
    init_gain: float = option(0.02, "gain (xavier) or standard deviation (normal)", above=0)

    @property
    def latent_dim(self) -> int:
        """There is no latent."""
        return 0

    def problems(self, data: DataConfig, batch_size: int) -> Iterator[str]:
        """Say what does not fit together, each with the option to change."""
        del batch_size
        if data.input_channels != data.output_channels:
            yield (
                "CUT compares input and output with the features of one network, so --input-channels and "
                "--output-channels must be the same"
            )
        yield from resnet_problems(data, self.generator_blocks)
        if self.generator_blocks is not None and self.generator_blocks < max(TAPPED_BLOCKS):
            yield f"--generator-blocks must be at least {max(TAPPED_BLOCKS)} for CUT, which compares features there"
        layers = self.discriminator_layers
        used = layers or PUBLISHED_LAYERS
        yield from discriminator_layers_problems(layers, used, 1, data, "--discriminator-layers")

    def size_multiple(self, data: DataConfig) -> int:
        """What the sides of the generator's input must be multiples of."""
        del data
        return 4

    def generator_spec(self, data: DataConfig) -> ResNetSpec:
        """The generator's specification."""
        return ResNetSpec(
            in_channels=data.input_channels,
            out_channels=data.output_channels,
            filters=self.generator_filters,
            blocks=resnet_blocks(self.generator_blocks, data),
            norm=self.norm,
            dropout=self.dropout,
            antialias=self.antialias,
            bias=self._bias,
        )

    def discriminator_spec(self, data: DataConfig) -> PatchDiscriminatorSpec:
        """The discriminator's specification."""
        return PatchDiscriminatorSpec(
            in_channels=data.output_channels,
            filters=self.discriminator_filters,
            layers=self.discriminator_layers or PUBLISHED_LAYERS,
            scales=1,
            norm=self.norm,
            antialias=self.antialias,
            bias=self._bias,
        )

    def projector_spec(self, data: DataConfig) -> PatchProjectorSpec:
        """The specification of PatchNCE's heads: of the flipped input, two down convolutions and the tapped blocks."""
        width = self.generator_filters
        channels = (data.input_channels, 2 * width, 4 * width, *(4 * width for _ in TAPPED_BLOCKS))
        return PatchProjectorSpec(channels=channels, filters=self.nce_filters)

    @property
    def _bias(self) -> bool:
        return self.norm in ("instance", "instance_affine")
