"""BicycleGAN (Zhu et al., 2017, 1711.11586): paired translation with a latent that matters.

A batch of 2h pairs is split: the first half (A1, B1) is encoded, the second half (A2, B2) shows the second
discriminator other real images. With z_enc ~ E(B1) and z_rand ~ N(0, I), both fakes come from A1:
fake_encoded = G(A1, z_enc), fake_random = G(A1, z_rand).

- ``generator`` phase (G, E), eq. 8 of the paper:
  λ_GAN·GAN(D, fake_encoded) + λ_GAN2·GAN(D2, fake_random) + λ_L1·|fake_encoded − B1| + λ_KL·KL(E(B1) ‖ N(0, I))
  + λ_z·|mu(E(fake_random)) − z_rand|. The last term reaches G only: E is frozen in that forward
  (unless ``latent_trains_encoder``, as in the paper's cLR-GAN).
  An option of later work is mode seeking (MSGAN, 1903.05628): λ_ms·1/(|G(A1, z') − fake_random| / |z' − z_rand|);
  another is a distance of fake_encoded from B1 in features (`tandem.objectives.feature_loss`).
- ``discriminator`` phase (D, D2): real B1 against fake_encoded, real B2 against fake_random.

Deviations from the reference implementation, equal in their numbers: one backward over the summed terms instead
of two, one shared forward of G for both fakes, and one forward of each discriminator on its fakes for both phases,
wherever no batch norm ties the samples of a forward together.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from tandem import rng
from tandem.config.bicyclegan import BicycleGANConfig
from tandem.config.data import DataConfig
from tandem.networks.build import build_network
from tandem.objectives.diffaugment import augmented, draw_augmentation
from tandem.objectives.feature_loss import FeatureLoss, features_of
from tandem.objectives.losses import (
    discriminator_gan_loss,
    generator_gan_loss,
    gradient_penalty,
    kl_divergence,
    mode_seeking,
)
from tandem.objectives.masking import hidden, mean_distance, weights_of
from tandem.objectives.objective import Phase, StepTensors, Terms, frozen, initialise_networks
from tandem.objectives.pool import ImagePool


@dataclass(frozen=True)
class Fakes:
    """What both phases share; h is half the batch size.

    Attributes:
        encoded: G(A1, E(B1)), ``(h, C, H, W)`` in [-1, 1]; None when no loss uses it.
        random: G(A1, z_random), likewise.
        mu: Posterior mean of B1, ``(h, latent_dim)``.
        logvar: Posterior log-variance of B1, ``(h, latent_dim)``.
        other: G(A1, z_other), of a second random latent, as `random`; for mode seeking.
        logits: Of the fakes that the generator's phase has computed already, by the term they serve. They hold
            for the discriminators' phase as long as no discriminator has been updated in between.
    """

    encoded: Tensor | None
    random: Tensor | None
    mu: Tensor | None
    logvar: Tensor | None
    other: Tensor | None = None
    logits: dict[str, list[Tensor]] = field(default_factory=dict)


class BicycleGAN:
    """The objective; see the file's head. Networks: generator, encoder, disc_encoded, disc_random."""

    def __init__(self, config: BicycleGANConfig, data: DataConfig) -> None:
        self.config, self._fill = config, data.mask_fill
        networks: dict[str, nn.Module] = {"generator": build_network(config.generator_spec(data))}
        if config.has_encoder:
            networks["encoder"] = build_network(config.encoder_spec(data))
        if config.lambda_gan > 0:
            networks["disc_encoded"] = build_network(config.discriminator_spec(data))
        if config.lambda_gan2 > 0 and not config.shared_discriminator:
            networks["disc_random"] = build_network(config.discriminator_spec(data))
        self.networks = nn.ModuleDict(networks)
        self.inference_networks = tuple(name for name in ("generator", "encoder") if name in networks)
        self.samples_with_noise = False
        self.differentiates_gradients = config.gan_loss == "wgangp"
        self.joined = True
        self.micro_batches = 1
        self.features: FeatureLoss | None = features_of(config.feature_weights)
        self.pools: Mapping[str, ImagePool] = {}
        self.phases = self._phases()
        # Batch norm's statistics belong to one forward: sharing it would change the numbers.
        self._share_generator = config.norm != "batch"
        self._share_discriminators = (config.discriminator_norm or config.norm) != "batch"

    def _phases(self) -> tuple[Phase, ...]:
        discriminators = tuple(name for name in self.networks if name.startswith("disc_"))
        phases = [Phase("generator", self.inference_networks, self.generator_terms, through_fakes=True)]
        if discriminators:
            phases.append(Phase("discriminator", discriminators, self.discriminator_terms))
        if self.config.update_order == "discriminator_first":
            phases.reverse()
        return tuple(phases)

    def initialise(self, seed: int) -> None:
        """Draw all weights, each network from a stream of its own."""
        initialise_networks(self.networks, self.config.init, gain=self.config.init_gain, seed=seed)

    def draw(self, seed: int, positions: Sequence[int]) -> dict[str, Tensor]:
        """Draw for the encoded half of the batch, and T for all of it.

        Returns:
            ``eps`` and ``z_random`` ``(h, latent_dim)``, WGAN-GP's ``mix`` ``(h,)``, for mode seeking ``z_other``, and
            with DiffAugment ``augment`` ``(2h, 7)``.
        """
        half = positions[: len(positions) // 2]
        augment = {"augment": draw_augmentation(seed, positions)} if self.config.diffaugment else {}
        seeking = {"z_other": rng.normal(seed, "z_other", half, (self.config.latent_dim,))}
        return (
            augment
            | (seeking if self.config.lambda_ms > 0 else {})
            | {
                "eps": rng.normal(seed, "eps", half, (self.config.latent_dim,)),
                "z_random": rng.normal(seed, "z_random", half, (self.config.latent_dim,)),
                "mix": torch.special.ndtr(rng.normal(seed, "mix", half, ())),
            }
        )

    def fakes(self, batch: StepTensors) -> Fakes:
        """Translate the first half of the batch with the encoded and with the random latent."""
        a1, _, b1, _ = _halves(batch)
        mu = logvar = None
        latents = []
        if self.config.has_encoded_branch:
            mu, logvar = self.networks["encoder"](hidden(b1, _masks(batch)[0], self._fill))
            latents.append(mu + batch["eps"] * torch.exp(0.5 * logvar))
        if self.config.has_random_branch:
            latents.append(batch["z_random"])
        if self.config.lambda_ms > 0:
            latents.append(batch["z_other"])
        generator = self.networks["generator"]
        if self._share_generator and len(latents) > 1:
            images = list(generator(torch.cat([a1] * len(latents)), torch.cat(latents)).chunk(len(latents)))
        else:
            images = [generator(a1, latent) for latent in latents]
        encoded = images.pop(0) if self.config.has_encoded_branch else None
        random = images.pop(0) if self.config.has_random_branch else None
        other = images.pop(0) if self.config.lambda_ms > 0 else None
        return Fakes(encoded, random, mu, logvar, other)

    def generator_terms(self, batch: StepTensors, fakes: Fakes) -> Terms:
        """The weighted terms of the generator and the encoder."""
        config = self.config
        a1, _, b1, _ = _halves(batch)
        first, _ = _augmentations(batch)
        mask, _ = _masks(batch)
        terms: Terms = {}
        if config.lambda_z > 0 and fakes.random is not None:
            encoder = self.networks["encoder"]
            with nullcontext() if config.latent_trains_encoder else frozen(encoder):
                mu_random, _ = encoder(hidden(fakes.random, mask, self._fill))
            terms["latent"] = config.lambda_z * (mu_random - batch["z_random"]).abs().mean()
        if config.lambda_gan > 0 and fakes.encoded is not None:
            shown = self._discriminator_input(a1, fakes.encoded, first, mask)
            logits = self._remember(fakes, "disc_encoded", self.networks["disc_encoded"], shown)
            terms["gan_encoded"] = config.lambda_gan * generator_gan_loss(config.gan_loss, logits)
        if config.lambda_gan2 > 0 and fakes.random is not None:
            shown = self._discriminator_input(a1, fakes.random, first, mask)
            logits = self._remember(fakes, "disc_random", self._random_discriminator, shown)
            terms["gan_random"] = config.lambda_gan2 * generator_gan_loss(config.gan_loss, logits)
        if config.lambda_l1 > 0 and fakes.encoded is not None:
            terms["l1"] = config.lambda_l1 * mean_distance(fakes.encoded, b1, mask)
        if self.features is not None and fakes.encoded is not None:
            terms["features"] = config.lambda_features * self.features(
                *(hidden(one, mask, self._fill) for one in (fakes.encoded, b1))
            )
        if config.lambda_l1_random > 0 and fakes.random is not None:
            terms["l1_random"] = config.lambda_l1_random * mean_distance(fakes.random, b1, mask)
        if fakes.random is not None and fakes.other is not None:
            weights = None if mask is None else weights_of(mask)
            distance = mode_seeking(fakes.random, fakes.other, batch["z_random"], batch["z_other"], weights=weights)
            terms["mode_seeking"] = config.lambda_ms * distance
        if config.lambda_kl > 0 and fakes.mu is not None and fakes.logvar is not None:
            divergence = kl_divergence(fakes.mu, fakes.logvar).sum()
            # The sum over the whole batch is that over this micro-batch times their number, in the mean over them.
            samples = 1 / self.micro_batches if config.kl_reduction == "sum" else len(fakes.mu)
            terms["kl"] = config.lambda_kl * divergence / samples
        return terms

    def discriminator_terms(self, batch: StepTensors, fakes: Fakes) -> Terms:
        """The terms of the discriminators, on detached fakes."""
        a1, a2, b1, b2 = _halves(batch)
        first, second = _augmentations(batch)
        mask1, mask2 = _masks(batch)
        terms: Terms = {}
        if self.config.lambda_gan > 0 and fakes.encoded is not None:
            real = self._discriminator_input(a1, b1, first, mask1)
            fake = self._discriminator_input(a1, fakes.encoded.detach(), first, mask1)
            discriminator = self.networks["disc_encoded"]
            logits = self._both_logits(fakes, "disc_encoded", discriminator, real=real, fake=fake)
            terms |= self._loss_terms("disc_encoded", discriminator, logits, real=real, fake=fake, mix=batch["mix"])
        if self.config.lambda_gan2 > 0 and fakes.random is not None:
            real = self._discriminator_input(a2, b2, second, mask2)
            fake = self._discriminator_input(a1, fakes.random.detach(), first, mask1)
            discriminator = self._random_discriminator
            logits = self._both_logits(fakes, "disc_random", discriminator, real=real, fake=fake)
            terms |= self._loss_terms("disc_random", discriminator, logits, real=real, fake=fake, mix=batch["mix"])
        return terms

    def _remember(self, fakes: Fakes, name: str, discriminator: nn.Module, fake: Tensor) -> list[Tensor]:
        logits = discriminator(fake)
        if self._share_discriminators:
            fakes.logits[name] = logits
        return logits

    def _both_logits(
        self, fakes: Fakes, name: str, discriminator: nn.Module, *, real: Tensor, fake: Tensor
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Logits of real and fake, of the fakes those of the generator's phase where they still hold."""
        if name in fakes.logits:
            return discriminator(real), fakes.logits[name]
        if self._share_discriminators:
            both = [logits.chunk(2) for logits in discriminator(torch.cat([fake, real]))]
            return [pair[1] for pair in both], [pair[0] for pair in both]
        fake_logits = discriminator(fake)
        return discriminator(real), fake_logits

    def _loss_terms(
        self,
        name: str,
        discriminator: nn.Module,
        logits: tuple[list[Tensor], list[Tensor]],
        *,
        real: Tensor,
        fake: Tensor,
        mix: Tensor,
    ) -> Terms:
        terms = {name: discriminator_gan_loss(self.config.gan_loss, *logits)}
        if self.config.gan_loss == "wgangp" and self.config.lambda_gp > 0:
            terms[f"{name}_gp"] = self.config.lambda_gp * gradient_penalty(discriminator, real, fake, mix)
        return terms

    @property
    def _random_discriminator(self) -> nn.Module:
        return self.networks["disc_encoded" if self.config.shared_discriminator else "disc_random"]

    def _discriminator_input(
        self, a: Tensor, image: Tensor, augmentation: Tensor | None, mask: Tensor | None
    ) -> Tensor:
        beside = a if self.config.conditional else None
        return augmented(self.config.diffaugment, image, augmentation, beside=beside, mask=mask, fill=self._fill)


def _halves(batch: StepTensors) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    a1, a2 = batch["a"].chunk(2)
    b1, b2 = batch["b"].chunk(2)
    return a1, a2, b1, b2


def _masks(batch: StepTensors) -> tuple[Tensor, Tensor] | tuple[None, None]:
    """The masks of each half of the batch; none where no pixels are masked."""
    if "mask_b" not in batch:
        return None, None
    first, second = batch["mask_b"].chunk(2)
    return first, second


def _augmentations(batch: StepTensors) -> tuple[Tensor, Tensor] | tuple[None, None]:
    """T of each half of the batch; none without DiffAugment."""
    if "augment" not in batch:
        return None, None
    first, second = batch["augment"].chunk(2)
    return first, second
