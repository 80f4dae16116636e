"""The configuration of CycleGAN (1703.10593)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from tandem.config.data import DataConfig
from tandem.config.method import PlainGanLoss
from tandem.config.options import option
from tandem.config.shared_networks import NetworkOptions


@dataclass(frozen=True, kw_only=True)
class CycleGANConfig(NetworkOptions):
    """Options of the method; the defaults are those of the official implementation."""

    method: ClassVar[str] = "cyclegan"
    paired: ClassVar[bool] = False
    parts: ClassVar[int] = 1

    gan_loss: PlainGanLoss = option("lsgan", "the adversarial loss")
    lambda_cycle_a: float = option(10.0, "weight of |G_BA(G_AB(A)) - A|", at_least=0)
    lambda_cycle_b: float = option(10.0, "weight of |G_AB(G_BA(B)) - B|", at_least=0)
    lambda_identity: float = option(
        0.5, "weight of |G_BA(A) - A| and |G_AB(B) - B|, in units of the cycles' weights; 0 is off", at_least=0
    )
    pool_size: int = option(
        50, "earlier fakes that each discriminator may be shown; 0 shows the newest alone", at_least=0, below=10_001
    )

    @property
    def latent_dim(self) -> int:
        """There is no latent."""
        return 0

    def problems(self, data: DataConfig, batch_size: int) -> Iterator[str]:
        """Say what does not fit together, each with the option to change."""
        del batch_size
        if data.direction != "AtoB":
            yield "--direction BtoA has no effect: CycleGAN learns both directions, and sampling chooses one"
        if self.lambda_identity > 0 and data.input_channels != data.output_channels:
            yield (
                f"--lambda-identity {self.lambda_identity} shows each generator the domain that it makes, so "
                "--input-channels and --output-channels must be the same; or set it to 0"
            )
        if self.lambda_identity > 0 and self.lambda_cycle_a == 0 and self.lambda_cycle_b == 0:
            yield "--lambda-identity counts in units of --lambda-cycle-a and --lambda-cycle-b, which are both 0"
        yield from self.network_problems(data)
