"""pix2pix (Isola et al., 2017, 1611.07004): paired translation with a conditional discriminator and L1.

- ``discriminator`` phase, first (D): ½·(D is told that (A, B) is real and that (A, G(A)) is fake).
- ``generator`` phase (G): λ_GAN·GAN(D, (A, G(A))) + λ_L1·|G(A) − B|, by the updated D.

The only noise is dropout. Models sample with it switched on, and with the statistics of the image in batch norm
(``test_noise``), as published.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from tandem.config.data import DataConfig
from tandem.config.pix2pix import Pix2PixConfig
from tandem.networks.build import build_network
from tandem.objectives.diffaugment import augmented, draw_augmentation
from tandem.objectives.feature_loss import FeatureLoss, features_of
from tandem.objectives.losses import discriminator_gan_terms, generator_gan_loss
from tandem.objectives.masking import hidden, mean_distance
from tandem.objectives.objective import Phase, StepTensors, Terms, initialise_networks
from tandem.objectives.pool import ImagePool


@dataclass(frozen=True)
class Fakes:
    """What both phases share: G(A), ``(N, C, H, W)`` in [-1, 1]."""

    b: Tensor


class Pix2Pix:
    """The objective; see the file's head. Networks: generator, disc."""

    def __init__(self, config: Pix2PixConfig, data: DataConfig) -> None:
        self.config, self._fill = config, data.mask_fill
        networks: dict[str, nn.Module] = {"generator": build_network(config.generator_spec(data))}
        if config.lambda_gan > 0:
            networks["disc"] = build_network(config.discriminator_spec(data))
        self.networks = nn.ModuleDict(networks)
        self.inference_networks: tuple[str, ...] = ("generator",)
        self.samples_with_noise = config.test_noise
        self.differentiates_gradients = False
        self.joined = True
        self.micro_batches = 1
        self.features: FeatureLoss | None = features_of(config.feature_weights)
        self.pools: Mapping[str, ImagePool] = {}
        generator = Phase("generator", ("generator",), self.generator_terms, through_fakes=True)
        discriminator = Phase("discriminator", ("disc",), self.discriminator_terms)
        self.phases: tuple[Phase, ...] = (discriminator, generator) if "disc" in networks else (generator,)

    def initialise(self, seed: int) -> None:
        """Draw all weights, each network from a stream of its own."""
        initialise_networks(self.networks, self.config.init, gain=self.config.init_gain, seed=seed)

    def draw(self, seed: int, positions: Sequence[int]) -> dict[str, Tensor]:
        """Draw ``augment`` ``(N, 7)`` of DiffAugment where it is on; all else that is random is dropout."""
        return {"augment": draw_augmentation(seed, positions)} if self.config.diffaugment else {}

    def fakes(self, batch: StepTensors) -> Fakes:
        """Translate the batch."""
        return Fakes(self.networks["generator"](batch["a"]))

    def discriminator_terms(self, batch: StepTensors, fakes: Fakes) -> Terms:
        """The terms of the discriminator, on detached fakes."""
        disc = self.networks["disc"]
        # Two forwards, the fakes' first, as published: batch norm counts each of them.
        fake = disc(self._shown(batch, fakes.b.detach()))
        real = disc(self._shown(batch, batch["b"]))
        real_term, fake_term = discriminator_gan_terms(self.config.gan_loss, real, fake)
        return {"disc_real": 0.5 * real_term, "disc_fake": 0.5 * fake_term}

    def generator_terms(self, batch: StepTensors, fakes: Fakes) -> Terms:
        """The weighted terms of the generator."""
        config, terms, mask = self.config, {}, batch.get("mask_b")
        if config.lambda_gan > 0:
            logits = self.networks["disc"](self._shown(batch, fakes.b))
            terms["gan"] = config.lambda_gan * generator_gan_loss(config.gan_loss, logits)
        if config.lambda_l1 > 0:
            terms["l1"] = config.lambda_l1 * mean_distance(fakes.b, batch["b"], mask)
        if self.features is not None:
            terms["features"] = config.lambda_features * self.features(
                *(hidden(one, mask, self._fill) for one in (fakes.b, batch["b"]))
            )
        return terms

    def _shown(self, batch: StepTensors, image: Tensor) -> Tensor:
        mask, draws = batch.get("mask_b"), batch.get("augment")
        return augmented(self.config.diffaugment, image, draws, beside=batch["a"], mask=mask, fill=self._fill)
