"""The configuration of pix2pix (1611.07004)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from tandem.config.data import DataConfig
from tandem.config.method import (
    DIFFAUGMENT_HELP,
    FEATURE_WEIGHTS_HELP,
    LAMBDA_FEATURES_HELP,
    Augmentation,
    PlainGanLoss,
    feature_problems,
)
from tandem.config.options import option, read_choices
from tandem.config.shared_networks import Body, NetworkOptions
from tandem.config.specifications import DiscriminatorSpec, GeneratorSpec, Norm


@dataclass(frozen=True, kw_only=True)
class Pix2PixConfig(NetworkOptions):
    """Options of the method; the defaults are those of the official implementation."""

    method: ClassVar[str] = "pix2pix"
    paired: ClassVar[bool] = True
    parts: ClassVar[int] = 1

    generator: Body = option("unet", "body of the generator; residual_unet is that of tandem")
    norm: Norm = option("batch", "normalisation in all networks")
    dropout: bool = option(True, "dropout 0.5 in the generator's inner blocks: the method's only noise")
    test_noise: bool = option(
        True, "models sample as in training: dropout stays on, batch norm uses the image's own statistics"
    )
    gan_loss: PlainGanLoss = option("bce", "the adversarial loss")
    lambda_gan: float = option(1.0, "weight of the adversarial loss; 0 leaves out the discriminator", at_least=0)
    lambda_l1: float = option(100.0, "weight of |G(A) - B|", at_least=0)
    lambda_features: float = option(0.0, LAMBDA_FEATURES_HELP % "G(A)", at_least=0)
    feature_weights: str | None = option(None, FEATURE_WEIGHTS_HELP, metavar="FILE")
    diffaugment: tuple[Augmentation, ...] = option(
        (), DIFFAUGMENT_HELP, metavar="NAMES", read=read_choices("--diffaugment", Augmentation)
    )

    @property
    def latent_dim(self) -> int:
        """There is no latent."""
        return 0

    def problems(self, data: DataConfig, batch_size: int) -> Iterator[str]:
        """Say what does not fit together, each with the option to change."""
        del batch_size
        if self.lambda_gan == 0 and self.lambda_l1 == 0 and self.lambda_features == 0:
            yield "all loss weights are 0: there is nothing to train"
        if self.diffaugment and self.lambda_gan == 0:
            yield f"--diffaugment {','.join(self.diffaugment)} has no effect with --lambda-gan 0"
        has_norm = self.norm == "batch" and self.generator != "residual_unet"
        if not self.test_noise and not self.dropout and not has_norm:
            yield "--no-test-noise has no effect without --dropout and without batch norm in the generator"
        yield from feature_problems(self.lambda_features, self.feature_weights, data)
        yield from self.network_problems(data)

    def generator_spec(self, data: DataConfig) -> GeneratorSpec:
        """The generator's specification."""
        return self.generator_of(data, in_channels=data.input_channels, out_channels=data.output_channels)

    def discriminator_spec(self, data: DataConfig) -> DiscriminatorSpec:
        """The discriminator's specification: it sees A and the image."""
        return self.discriminator_of(in_channels=data.input_channels + data.output_channels)
