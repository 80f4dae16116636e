"""`tandem`: both cycles of BicycleGAN, with discriminators that join late and a prior that is learned.

As in BicycleGAN (1711.11586) z comes from a pair and gives its output back, and z is read again from what it gave. What
differs, and why, is told with its measurements in docs/methods.md.

Until the discriminators join, the whole batch (A, B) is encoded, z ~ E(A, B), and reconstructed, fake = G(A, z):

- ``generator`` phase (G, E): λ_L1·|fake − B| + λ_KL·KL(E(A, B) ‖ N(0, I)), a variational autoencoder given A.

From then on the second half of the batch takes the styles of the first, z' = its posterior samples, so that G learns
outputs that no ground truth exists of. With h the first half:

- ``generator`` phase: λ_L1·|fake_h − B_h| + λ_KL·KL + λ_GAN·(hinge(D, fake) + λ_FM·|D_l(A, fake_h) − D_l(A, B_h)|) +
  λ_z·|mu(E(A, fake_other)) − z'|, with D_l the maps behind the layers of D. The last term reaches G only: E is frozen
  in that forward.
- ``discriminator`` phase (D): hinge on (A, B) and (A, fake), on what D made of them for the phase before. Its learning
  rate does not fall with the others', unless ``discriminator_lr_schedule`` says so.

When they join follows from the run itself (`tandem.training.joining`): discriminators that begin with the generator
cost looks, and without them the cycle of z does harm, since encoder and generator can agree on something that no eye
sees.

λ_KL is a hundred times as large on what exceeds ``kl_bound`` nats. Each dimension has ``free_bits`` nats for nothing.
Models do not sample from N(0, I) but from the prior that is fitted to the posteriors (`tandem.prior`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from tandem import rng
from tandem.config.data import DataConfig
from tandem.config.tandem import TandemConfig
from tandem.networks.build import build_network
from tandem.objectives.diffaugment import augmented, draw_augmentation
from tandem.objectives.feature_loss import FeatureLoss, features_of
from tandem.objectives.losses import (
    discriminator_gan_terms,
    feature_matching,
    generator_gan_loss,
    kl_divergence,
    mode_seeking,
)
from tandem.objectives.masking import hidden, mean_distance, weights_of
from tandem.objectives.objective import Phase, StepTensors, Terms, frozen, initialise_networks
from tandem.objectives.pool import ImagePool

EXCESS = 100.0
"""How much heavier KL weighs above its bound."""


@dataclass(frozen=True)
class Fakes:
    """What both phases share.

    Attributes:
        b: G(A, z), ``(N, C, H, W)`` in [-1, 1].
        z: The latents, ``(N, latent_dim)``: of the first `own` samples posterior samples of their own pairs.
        mu: Posterior means, ``(n, latent_dim)``: of all pairs, or of the first half where the others are not needed.
        logvar: Posterior log-variances, likewise.
        own: How many samples have the style of their own pair: all, or the first half.
        z_other: Posterior samples of the second half, for mode seeking; None without it.
        other: G(A, z_other) with A of the first half, likewise.
        maps: What D has made of ``real`` and ``fake`` in the generator's phase, maps and logits of every scale. It
            holds for the discriminators' phase, since D is not updated in between.
    """

    b: Tensor
    z: Tensor
    mu: Tensor
    logvar: Tensor
    own: int
    z_other: Tensor | None = None
    other: Tensor | None = None
    maps: dict[str, list[list[Tensor]]] = field(default_factory=dict)


class Tandem:
    """The objective; see the file's head. Networks: generator, encoder, disc."""

    def __init__(self, config: TandemConfig, data: DataConfig) -> None:
        self.config, self._fill = config, data.mask_fill
        networks: dict[str, nn.Module] = {
            "generator": build_network(config.generator_spec(data)),
            "encoder": build_network(config.encoder_spec(data)),
        }
        if config.lambda_gan > 0:
            networks["disc"] = build_network(config.discriminator_spec(data))
        self.networks = nn.ModuleDict(networks)
        self.inference_networks: tuple[str, ...] = ("generator", "encoder")
        self.samples_with_noise = False
        self.differentiates_gradients = False
        self.micro_batches = 1
        self.features: FeatureLoss | None = features_of(config.feature_weights)
        self.pools: Mapping[str, ImagePool] = {}
        self.joined = False
        generator = Phase("generator", self.inference_networks, self.generator_terms, through_fakes=True)
        keeps_rate = config.discriminator_lr_schedule == "constant"
        discriminator = Phase(
            "discriminator", ("disc",), self.discriminator_terms, joins_late=True, keeps_rate=keeps_rate
        )
        self.phases: tuple[Phase, ...] = (generator, discriminator) if "disc" in networks else (generator,)

    def initialise(self, seed: int) -> None:
        """Draw all weights, each network from a stream of its own."""
        initialise_networks(self.networks, self.config.init, gain=self.config.init_gain, seed=seed)

    def draw(self, seed: int, positions: Sequence[int]) -> dict[str, Tensor]:
        """Draw ``eps`` ``(N, latent_dim)`` of the posterior samples, ``known`` ``(N,)``: whether E sees A, and T.

        The last is ``augment`` ``(N, 7)`` of DiffAugment, where that is on.
        """
        hidden = torch.special.ndtr(rng.normal(seed, "known", positions, ())) < self.config.input_dropout
        augment = {"augment": draw_augmentation(seed, positions)} if self.config.diffaugment else {}
        return augment | {
            "eps": rng.normal(seed, "eps", positions, (self.config.latent_dim,)),
            "known": (~hidden).to(torch.float32),
        }

    def fakes(self, batch: StepTensors) -> Fakes:
        """Translate the batch: all in their own style, or half of it in that of other pairs."""
        a, b = batch["a"], self._hidden(batch["b"], batch)
        own = len(a) // 2 if self._swaps else len(a)
        encoded = len(a) if self._seeks else own
        mu, logvar = self._encode(b[:encoded], a[:encoded], batch["known"][:encoded])
        posterior = mu + batch["eps"][:encoded] * torch.exp(0.5 * logvar)
        z = torch.cat([posterior[:own], posterior[:own].detach()]) if self._swaps else posterior
        generator = self.networks["generator"]
        if not self._seeks:
            return Fakes(generator(a, z), z, mu, logvar, own)
        z_other = posterior[own:].detach()
        made = generator(torch.cat([a, a[:own]]), torch.cat([z, z_other]))
        return Fakes(made[: len(a)], z, mu, logvar, own, z_other, made[len(a) :])

    def generator_terms(self, batch: StepTensors, fakes: Fakes) -> Terms:
        """The weighted terms of the generator and the encoder."""
        config, own = self.config, fakes.own
        mask = batch["mask_b"][:own] if "mask_b" in batch else None
        terms: Terms = {"l1": config.lambda_l1 * mean_distance(fakes.b[:own], batch["b"][:own], mask)}
        if self.features is not None:
            terms["features"] = config.lambda_features * self.features(
                *(self._hidden(one, batch)[:own] for one in (fakes.b, batch["b"]))
            )
        if config.lambda_kl > 0:
            terms["kl"] = config.lambda_kl * self._bounded_kl(fakes.mu[:own], fakes.logvar[:own])
        if not self._judges:
            return terms
        fake = self._maps("fake", batch, fakes)
        terms["gan"] = config.lambda_gan * generator_gan_loss("hinge", _logits(fake))
        if config.lambda_fm > 0:
            made, real = (
                [[one[:own] for one in maps[:-1]] for maps in scales]
                for scales in (fake, self._maps("real", batch, fakes))
            )
            terms["feature_matching"] = config.lambda_gan * config.lambda_fm * feature_matching(made, real)
        if config.lambda_z > 0:
            with frozen(self.networks["encoder"]):
                mu, _ = self._encode(self._hidden(fakes.b, batch)[own:], batch["a"][own:], batch["known"][own:])
            terms["latent"] = config.lambda_z * (mu - fakes.z[own:]).abs().mean()
        if fakes.other is not None and fakes.z_other is not None:
            weights = None if mask is None else weights_of(mask)
            distance = mode_seeking(fakes.b[:own], fakes.other, fakes.z[:own], fakes.z_other, weights=weights)
            terms["mode_seeking"] = config.lambda_ms * distance
        return terms

    def discriminator_terms(self, batch: StepTensors, fakes: Fakes) -> Terms:
        """The terms of the discriminators."""
        real, fake = (_logits(self._maps(name, batch, fakes)) for name in ("real", "fake"))
        real_term, fake_term = discriminator_gan_terms("hinge", real, fake)
        return {"disc_real": real_term, "disc_fake": fake_term}

    @property
    def _judges(self) -> bool:
        return self.joined and "disc" in self.networks

    @property
    def _swaps(self) -> bool:
        return self._judges and (self.config.lambda_z > 0 or self.config.lambda_ms > 0)

    @property
    def _seeks(self) -> bool:
        return self._judges and self.config.lambda_ms > 0

    def _maps(self, name: str, batch: StepTensors, fakes: Fakes) -> list[list[Tensor]]:
        """What D makes of the outputs, ``real`` or ``fake``: computed once."""
        if name not in fakes.maps:
            fakes.maps[name] = self.networks["disc"](self._shown(batch, batch["b"] if name == "real" else fakes.b))
        return fakes.maps[name]

    def _shown(self, batch: StepTensors, images: Tensor) -> Tensor:
        mask, draws = batch.get("mask_b"), batch.get("augment")
        return augmented(self.config.diffaugment, images, draws, beside=batch["a"], mask=mask, fill=self._fill)

    def _hidden(self, images: Tensor, batch: StepTensors) -> Tensor:
        return hidden(images, batch.get("mask_b"), self._fill)

    def _encode(self, b: Tensor, a: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        encoder = self.networks["encoder"]
        return encoder(b, a, known) if self.config.encoder_sees_input else encoder(b)

    def _bounded_kl(self, mu: Tensor, logvar: Tensor) -> Tensor:
        config = self.config
        kl = (kl_divergence(mu, logvar) - config.free_bits).clamp_min(0).sum(1)
        return (kl + (EXCESS - 1) * (kl - config.kl_bound).clamp_min(0)).mean()


def _logits(scales: list[list[Tensor]]) -> list[Tensor]:
    return [maps[-1] for maps in scales]
