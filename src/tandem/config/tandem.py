"""The configuration of the method `tandem`; see `tandem.objectives.tandem`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from tandem.config.data import DataConfig
from tandem.config.latent_prior import LatentPriorOptions, PriorName
from tandem.config.method import (
    DIFFAUGMENT_HELP,
    FEATURE_WEIGHTS_HELP,
    LAMBDA_FEATURES_HELP,
    Augmentation,
    Init,
    feature_problems,
)
from tandem.config.options import option, read_choices, same
from tandem.config.residual_unet import (
    MAX_LEVELS,
    fits_multiple,
    no_multiple,
    residual_unet_depth,
    residual_unet_problems,
)
from tandem.config.specifications import PairEncoderSpec, ResidualUNetSpec, SpectralDiscriminatorSpec

ENCODER_DEPTH = 3


@dataclass(frozen=True, kw_only=True)
class TandemConfig(LatentPriorOptions):
    """Options of the method."""

    method: ClassVar[str] = "tandem"
    paired: ClassVar[bool] = True
    parts: ClassVar[int] = 2

    prior: PriorName = same(LatentPriorOptions, "prior", default="mixture")
    latent_dim: int = option(8, "length of the latent z", at_least=1, below=4097)
    generator_filters: int = option(48, "filters of the generator's outermost level", at_least=1, below=1025)
    generator_depth: int | None = option(
        None, "levels of the generator; by default as many as the size allows, down to maps of 4 px"
    )
    encoder_filters: int = option(24, "filters of the encoder's first layer", at_least=1, below=1025)
    encoder_sees_input: bool = option(True, "the encoder sees A beside B; a style without its A can be encoded too")
    input_dropout: float = option(
        0.1, "share of the pairs whose A the encoder does not see, so that it can do without", at_least=0, at_most=1
    )
    discriminator_filters: int = option(48, "filters of a discriminator's first layer", at_least=1, below=1025)
    discriminator_layers: int = option(3, "convolutions of a discriminator before its logits", at_least=1, at_most=6)
    discriminator_scales: int = option(
        2, "discriminators, each at half the size of the one before", at_least=1, below=6
    )
    discriminator_detail: float = option(
        4.0,
        "how much stronger than its mean the discriminators are shown the differences within a block of 2×2 pixels",
        above=0,
        at_most=100,
    )
    lambda_l1: float = option(10.0, "weight of |G(A, E(A, B)) - B|", above=0)
    lambda_kl: float = option(1e-3, "weight of the KL divergence of the posteriors from N(0, I)", at_least=0)
    kl_bound: float = option(
        30.0, "nats of KL above which its weight is a hundred times as large, so that it cannot run away", above=0
    )
    free_bits: float = option(0.0, "nats of KL that every dimension of z has for nothing", at_least=0)
    lambda_gan: float = option(1.0, "weight of the adversarial loss; 0 leaves out the discriminators", at_least=0)
    gan_from: float | None = option(
        None,
        "share of the run after which the discriminators join; by default when the lowest L1 of a fifth of the run is "
        "less than 5 % below that of the fifth before, and for its last quarter at the latest",
        at_least=0,
        below=1,
    )
    discriminator_lr_schedule: Literal["constant", "same"] = option(
        "constant", "shape of the discriminators' learning rate after the warm-up; same is that of --lr-schedule"
    )
    lambda_fm: float = option(
        10.0,
        "weight of feature matching (pix2pixHD), in units of --lambda-gan: |G(A, E(A, B)) - B| in the maps of the "
        "discriminators, once they have joined",
        at_least=0,
    )
    lambda_z: float = option(
        0.5,
        "weight of |E(A, G(A, z)) - z|, z the style of another pair, once the discriminators have joined",
        at_least=0,
    )
    lambda_ms: float = option(
        0.0, "weight of mode seeking (MSGAN): |z1 - z2| over the distance of their two images", at_least=0
    )
    lambda_features: float = option(0.0, LAMBDA_FEATURES_HELP % "G(A, E(A, B))", at_least=0)
    feature_weights: str | None = option(None, FEATURE_WEIGHTS_HELP, metavar="FILE")
    diffaugment: tuple[Augmentation, ...] = option(
        (), DIFFAUGMENT_HELP, metavar="NAMES", read=read_choices("--diffaugment", Augmentation)
    )
    init: Init = option("fan_in", "distribution of the initial weights")
    init_gain: float = option(1.0, "gain (fan_in, xavier) or standard deviation (normal)", above=0)

    def problems(self, data: DataConfig, batch_size: int) -> Iterator[str]:
        """Say what does not fit together, each with the option to change."""
        if batch_size % 2:
            yield (
                f"--batch-size must be even for tandem, not {batch_size}: once the discriminators have joined, one "
                "half of a batch is given its own style, the other half that of another pair"
            )
        yield from self._options_without_effect()
        yield from self.prior_problems(self.latent_dim, has_encoder=True)
        yield from feature_problems(self.lambda_features, self.feature_weights, data)
        yield from self._size_problems(data)

    def _options_without_effect(self) -> Iterator[str]:
        if self.lambda_gan == 0:
            if self.gan_from is not None:
                yield f"--gan-from {self.gan_from:g} has no effect with --lambda-gan 0"
            if self.lambda_z not in {0, TandemConfig.lambda_z}:
                yield f"--lambda-z {self.lambda_z:g} has no effect with --lambda-gan 0"
            if self.lambda_fm not in {0, TandemConfig.lambda_fm}:
                yield f"--lambda-fm {self.lambda_fm:g} has no effect with --lambda-gan 0"
            if self.discriminator_lr_schedule != TandemConfig.discriminator_lr_schedule:
                yield f"--discriminator-lr-schedule {self.discriminator_lr_schedule} has no effect with --lambda-gan 0"
            if self.lambda_ms > 0:
                yield f"--lambda-ms {self.lambda_ms:g} has no effect with --lambda-gan 0"
            if self.diffaugment:
                yield f"--diffaugment {','.join(self.diffaugment)} has no effect with --lambda-gan 0"
        if self.lambda_kl == 0:
            if self.free_bits > 0:
                yield f"--free-bits {self.free_bits:g} has no effect with --lambda-kl 0"
            if self.kl_bound != TandemConfig.kl_bound:
                yield f"--kl-bound {self.kl_bound:g} has no effect with --lambda-kl 0"
        if not self.encoder_sees_input and self.input_dropout != TandemConfig.input_dropout:
            yield f"--input-dropout {self.input_dropout:g} has no effect with --no-encoder-sees-input"

    def _size_problems(self, data: DataConfig) -> Iterator[str]:
        misfits = list(residual_unet_problems(self.generator_depth, data))
        yield from misfits
        if self.generator_depth is not None and not 1 <= self.generator_depth <= MAX_LEVELS:
            return
        if not misfits and self.lambda_gan > 0 and not fits_multiple(data, 2**self.discriminator_scales):
            whose = f"discriminators at {self.discriminator_scales} scales (--discriminator-scales) take"
            yield no_multiple(data, 2**self.discriminator_scales, whose)
        smallest = min(data.crop_size) // 2 ** (self.discriminator_scales - 1)
        if smallest < 2 ** (self.discriminator_layers + 1) and self.lambda_gan > 0:
            yield (
                f"--size {data.size} is too small for {self.discriminator_scales} discriminators with "
                f"{self.discriminator_layers} layers: lower --discriminator-scales or --discriminator-layers"
            )

    def resolved_generator_depth(self, data: DataConfig) -> int:
        """Levels of the generator: as given, or as many as the size allows (4 at 64 px, 5 at 128, 6 at 256)."""
        return residual_unet_depth(self.generator_depth, data)

    def size_multiple(self, data: DataConfig) -> int:
        """What the sides of images in training must be multiples of: for the generator and every discriminator."""
        return 2 ** max(self.resolved_generator_depth(data), self.discriminator_scales if self.lambda_gan > 0 else 1)

    def generator_spec(self, data: DataConfig) -> ResidualUNetSpec:
        """The generator's specification."""
        return ResidualUNetSpec(
            in_channels=data.input_channels,
            out_channels=data.output_channels,
            latent_dim=self.latent_dim,
            depth=self.resolved_generator_depth(data),
            filters=self.generator_filters,
        )

    def encoder_spec(self, data: DataConfig) -> PairEncoderSpec:
        """The encoder's specification."""
        return PairEncoderSpec(
            in_channels=data.output_channels,
            input_channels=data.input_channels if self.encoder_sees_input else 0,
            latent_dim=self.latent_dim,
            depth=ENCODER_DEPTH,
            filters=self.encoder_filters,
        )

    def discriminator_spec(self, data: DataConfig) -> SpectralDiscriminatorSpec:
        """The specification of the discriminators: they see A and the image."""
        return SpectralDiscriminatorSpec(
            in_channels=data.input_channels + data.output_channels,
            filters=self.discriminator_filters,
            layers=self.discriminator_layers,
            scales=self.discriminator_scales,
            detail=self.discriminator_detail,
        )
