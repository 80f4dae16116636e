"""The configuration of BicycleGAN (1711.11586): networks, loss weights and update order."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from tandem.config.data import DataConfig
from tandem.config.latent_prior import LatentPriorOptions
from tandem.config.method import (
    DIFFAUGMENT_HELP,
    FEATURE_WEIGHTS_HELP,
    LAMBDA_FEATURES_HELP,
    MAX_DEPTH,
    Augmentation,
    GanLoss,
    Init,
    discriminator_layers_problems,
    dropout_problems,
    feature_problems,
    unet_depth,
    unet_problems,
)
from tandem.config.options import option, read_choices
from tandem.config.specifications import Activation, EncoderSpec, Norm, PatchDiscriminatorSpec, UNetSpec, Upsampling


@dataclass(frozen=True, kw_only=True)
class BicycleGANConfig(LatentPriorOptions):
    """Options of the method; the defaults are those of the official implementation."""

    method: ClassVar[str] = "bicyclegan"
    paired: ClassVar[bool] = True
    """Whether the method trains on pairs, or on two domains."""
    parts: ClassVar[int] = 2
    """Pieces of equal size of a batch that the method uses differently; see `tandem.data.micro_batches`."""

    latent_dim: int = option(8, "length of the latent z", at_least=1, below=4097)
    generator_filters: int = option(64, "filters after the generator's first level (ngf)", at_least=1, below=4097)
    generator_depth: int | None = option(None, "stride-2 levels of the U-Net; by default as many as the size allows")
    injection: Literal["input", "all"] = option("all", "where z enters: at the input or before every down convolution")
    upsampling: Upsampling = option("transposed", "upsampling in the generator; bilinear leaves no checkerboard")
    activation: Activation = option("relu", "activation on the generator's way up")
    norm: Norm = option("instance", "normalisation in all networks")
    dropout: bool = option(False, "dropout 0.5 in the inner blocks of the generator while training")
    encoder: Literal["resnet", "cnn"] = option("resnet", "body of the encoder")
    encoder_filters: int = option(64, "filters after the encoder's first layer (nef)", at_least=1, below=4097)
    encoder_depth: int | None = option(None, "stride-2 levels of the encoder; by default down to 8 px")
    discriminator_filters: int = option(
        64, "filters of the first discriminator's first layer (ndf)", at_least=1, below=4097
    )
    discriminator_layers: int | None = option(
        None, "strided layers of a discriminator: 2 see patches of 34 px, 3 of 70 px; by default 3 from 256 px on"
    )
    discriminator_scales: int = option(
        2, "sub-discriminators per discriminator, each at half the size", at_least=1, below=6
    )
    discriminator_norm: Norm | None = option(
        None, "normalisation in the discriminators, by default as in --norm; instance norm hides a patch's mean colour"
    )
    conditional: bool = option(False, "the discriminators see A beside the image that they are given")
    shared_discriminator: bool = option(False, "one discriminator for both kinds of fakes (use_same_D)")
    gan_loss: GanLoss = option("lsgan", "the adversarial loss")
    lambda_gan: float = option(1.0, "weight of the adversarial loss on G(A, E(B))", at_least=0)
    lambda_gan2: float = option(1.0, "weight of the adversarial loss on G(A, z), z random", at_least=0)
    lambda_l1: float = option(10.0, "weight of |G(A, E(B)) - B|", at_least=0)
    lambda_l1_random: float = option(0.0, "weight of |G(A, z) - B|, z random; pix2pix+noise has it", at_least=0)
    lambda_z: float = option(0.5, "weight of the latent regression |E(G(A, z)) - z|", at_least=0)
    latent_trains_encoder: bool = option(
        False, "the latent regression trains the encoder too, not the generator alone as published"
    )
    lambda_kl: float = option(0.01, "weight of the KL divergence of E(B) from N(0, I)", at_least=0)
    lambda_ms: float = option(
        0.0, "weight of mode seeking (MSGAN): |z1 - z2| over the distance of their two images", at_least=0
    )
    kl_reduction: Literal["sum", "mean"] = option("sum", "KL over the batch: summed as published, or a mean per sample")
    lambda_gp: float = option(10.0, "weight of the gradient penalty; only with --gan-loss wgangp", at_least=0)
    lambda_features: float = option(0.0, LAMBDA_FEATURES_HELP % "G(A, E(B))", at_least=0)
    feature_weights: str | None = option(None, FEATURE_WEIGHTS_HELP, metavar="FILE")
    diffaugment: tuple[Augmentation, ...] = option(
        (), DIFFAUGMENT_HELP, metavar="NAMES", read=read_choices("--diffaugment", Augmentation)
    )
    update_order: Literal["generator_first", "discriminator_first"] = option(
        "generator_first", "which phase of a step comes first"
    )
    init: Init = option("xavier", "distribution of the initial weights")
    init_gain: float = option(0.02, "gain (xavier) or standard deviation (normal)", above=0)

    @property
    def has_encoded_branch(self) -> bool:
        """Whether a loss uses G(A, E(B)) or the posterior E(B); this is what trains the encoder."""
        return self.lambda_gan > 0 or self.lambda_l1 > 0 or self.lambda_features > 0 or self.lambda_kl > 0

    @property
    def has_encoder(self) -> bool:
        """Whether any term trains an encoder."""
        return self.has_encoded_branch or (self.lambda_z > 0 and self.latent_trains_encoder)

    @property
    def has_random_branch(self) -> bool:
        """Whether a loss uses G(A, z) with a random z."""
        return self.lambda_gan2 > 0 or self.lambda_l1_random > 0 or self.lambda_z > 0 or self.lambda_ms > 0

    @property
    def trains_on_draws(self) -> bool:
        """See `LatentPriorOptions`."""
        return self.has_random_branch

    def problems(self, data: DataConfig, batch_size: int) -> Iterator[str]:
        """Say what does not fit together, each with the option to change."""
        if batch_size % 2:
            yield (
                f"--batch-size must be even for BicycleGAN, not {batch_size}: one half of a batch is encoded, the "
                "other half shows the discriminator other real images"
            )
        if self.gan_loss != "wgangp" and self.lambda_gp != BicycleGANConfig.lambda_gp:
            yield f"--lambda-gp {self.lambda_gp} has no effect without --gan-loss wgangp"
        if self.diffaugment and self.lambda_gan == 0 and self.lambda_gan2 == 0:
            yield f"--diffaugment {','.join(self.diffaugment)} has no effect without --lambda-gan and --lambda-gan2"
        if self.gan_loss == "wgangp" and (self.discriminator_norm or self.norm) == "batch":
            yield (
                "--gan-loss wgangp penalises the gradient of each sample, which batch norm in the discriminators ties "
                "to the others: choose another --discriminator-norm"
            )
        if self.shared_discriminator and not (self.lambda_gan > 0 and self.lambda_gan2 > 0):
            yield "--shared-discriminator needs both --lambda-gan and --lambda-gan2 above 0"
        if not (self.has_encoded_branch or self.has_random_branch):
            yield "all loss weights are 0: there is nothing to train"
        if self.lambda_z == 0 and self.latent_trains_encoder:
            yield "--latent-trains-encoder has no effect with --lambda-z 0"
        if self.lambda_z > 0 and not self.has_encoder:
            yield (
                "--lambda-z without --lambda-gan, --lambda-l1 or --lambda-kl leaves the encoder untrained (the latent "
                "regression reaches the generator only); give one of these a weight, or --latent-trains-encoder"
            )
        if self.lambda_kl > 0 and not (self.lambda_gan > 0 or self.lambda_l1 > 0 or self.lambda_features > 0):
            yield "--lambda-kl without --lambda-gan or --lambda-l1 encodes images into latents that nothing decodes"
        yield from self.prior_problems(self.latent_dim, has_encoder=self.has_encoder)
        yield from feature_problems(self.lambda_features, self.feature_weights, data)
        yield from self._size_problems(data)

    def _size_problems(self, data: DataConfig) -> Iterator[str]:
        misfits = list(unet_problems(self.generator_depth, data))
        if misfits:
            yield from misfits  # the sizes that follow would only repeat them
            return
        yield from dropout_problems(self.generator_depth, data, dropout=self.dropout)
        if self.encoder_depth is not None and not 1 <= self.encoder_depth <= MAX_DEPTH:
            yield f"--encoder-depth must be from 1 to {MAX_DEPTH}, not {self.encoder_depth}"
        elif min(data.crop_size) < 2 ** (self.resolved_encoder_depth(data) + 1):
            yield f"--encoder-depth {self.encoder_depth} is too deep for --size {data.size}: choose a smaller one"
        layers, scales = self.resolved_discriminator_layers(data), self.discriminator_scales
        advice = "--discriminator-scales or --discriminator-layers"
        yield from discriminator_layers_problems(self.discriminator_layers, layers, scales, data, advice)

    def resolved_generator_depth(self, data: DataConfig) -> int:
        """Levels of the U-Net: as given, or the largest number that the size allows (8 at 256 px)."""
        return unet_depth(self.generator_depth, data)

    def size_multiple(self, data: DataConfig) -> int:
        """What the sides of the generator's input must be multiples of."""
        return 2 ** self.resolved_generator_depth(data)

    def resolved_encoder_depth(self, data: DataConfig) -> int:
        """Levels of the encoder: as given, or down to a side of 8 px (5 at 256 px, 4 at 128)."""
        return self.encoder_depth or max(1, min(data.crop_size).bit_length() - 4)

    def resolved_discriminator_layers(self, data: DataConfig) -> int:
        """Strided layers of a discriminator: as given, or 3 from 256 px on, 2 below."""
        return self.discriminator_layers or (3 if min(data.crop_size) >= 256 else 2)

    def generator_spec(self, data: DataConfig) -> UNetSpec:
        """The generator's specification."""
        return UNetSpec(
            in_channels=data.input_channels,
            out_channels=data.output_channels,
            latent_dim=self.latent_dim,
            depth=self.resolved_generator_depth(data),
            filters=self.generator_filters,
            norm=self.norm,
            injection=self.injection,
            upsampling=self.upsampling,
            activation=self.activation,
            dropout=self.dropout,
        )

    def encoder_spec(self, data: DataConfig) -> EncoderSpec:
        """The encoder's specification."""
        return EncoderSpec(
            body=self.encoder,
            in_channels=data.output_channels,
            latent_dim=self.latent_dim,
            depth=self.resolved_encoder_depth(data),
            filters=self.encoder_filters,
            norm=self.norm,
        )

    def discriminator_spec(self, data: DataConfig) -> PatchDiscriminatorSpec:
        """The specification of each discriminator."""
        return PatchDiscriminatorSpec(
            in_channels=data.output_channels + (data.input_channels if self.conditional else 0),
            filters=self.discriminator_filters,
            layers=self.resolved_discriminator_layers(data),
            scales=self.discriminator_scales,
            norm=self.discriminator_norm or self.norm,
        )
