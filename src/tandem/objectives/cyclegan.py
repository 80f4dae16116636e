"""CycleGAN (Zhu et al., 2017, 1703.10593): unpaired translation, both ways at once.

``gen_ab`` translates A to B and ``gen_ba`` B to A; ``disc_a`` sees domain A and ``disc_b`` domain B (the official
code names a discriminator after the generator it is trained against: its D_A is ``disc_b``).

- ``generator`` phase, first (gen_ab, gen_ba), eq. 3 of the paper and its section 5.2:
  GAN(disc_b, G_AB(a)) + GAN(disc_a, G_BA(b)) + λ_A·|G_BA(G_AB(a)) − a| + λ_B·|G_AB(G_BA(b)) − b|
  + λ_idt·(λ_A·|G_BA(a) − a| + λ_B·|G_AB(b) − b|).
- ``discriminator`` phase (disc_a, disc_b): ½·(real + fake) each, the fakes exchanged with a pool of earlier ones.

Deviation, equal in its numbers: translation and identity share one forward of each generator where no batch norm ties
the images of a forward together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tandem import rng
from tandem.config.cyclegan import CycleGANConfig
from tandem.config.data import DataConfig
from tandem.networks.build import build_network
from tandem.objectives.feature_loss import FeatureLoss
from tandem.objectives.losses import discriminator_gan_terms, generator_gan_loss
from tandem.objectives.masking import both_valid, hidden, mean_distance
from tandem.objectives.objective import Phase, StepTensors, Terms, initialise_networks
from tandem.objectives.pool import ImagePool


@dataclass(frozen=True)
class Fakes:
    """Translations, there and back; all ``(N, C, H, W)`` in [-1, 1].

    Attributes:
        b: G_AB(a).
        a: G_BA(b).
        rec_a: G_BA(G_AB(a)).
        rec_b: G_AB(G_BA(b)).
        idt_a: G_BA(a), or None without the identity term.
        idt_b: G_AB(b), likewise.
    """

    b: Tensor
    a: Tensor
    rec_a: Tensor
    rec_b: Tensor
    idt_a: Tensor | None
    idt_b: Tensor | None


class CycleGAN:
    """The objective; see the file's head. Networks: gen_ab, gen_ba, disc_a, disc_b."""

    def __init__(self, config: CycleGANConfig, data: DataConfig) -> None:
        self.config, self._fill = config, data.mask_fill
        channels_a, channels_b = data.input_channels, data.output_channels
        self.networks = nn.ModuleDict(
            {
                "gen_ab": build_network(config.generator_of(data, in_channels=channels_a, out_channels=channels_b)),
                "gen_ba": build_network(config.generator_of(data, in_channels=channels_b, out_channels=channels_a)),
                "disc_a": build_network(config.discriminator_of(in_channels=channels_a)),
                "disc_b": build_network(config.discriminator_of(in_channels=channels_b)),
            }
        )
        self.inference_networks: tuple[str, ...] = ("gen_ab", "gen_ba")
        self.samples_with_noise = False
        self.differentiates_gradients = False
        self.joined = True
        self.micro_batches = 1
        self.features: FeatureLoss | None = None
        self.pools: Mapping[str, ImagePool] = {name: ImagePool(config.pool_size) for name in ("a", "b")}
        self.phases: tuple[Phase, ...] = (
            Phase("generator", ("gen_ab", "gen_ba"), self.generator_terms, through_fakes=True),
            Phase("discriminator", ("disc_a", "disc_b"), self.discriminator_terms, uses_pools=True),
        )
        self._identity = config.lambda_identity > 0
        # Batch norm's statistics belong to one forward, and dropout's mask too.
        self._share = config.norm != "batch"

    def initialise(self, seed: int) -> None:
        """Draw all weights, each network from a stream of its own."""
        initialise_networks(self.networks, self.config.init, gain=self.config.init_gain, seed=seed)

    def draw(self, seed: int, positions: Sequence[int]) -> dict[str, Tensor]:
        """Draw what decides about each pool's exchange: ``pool_a`` and ``pool_b`` ``(N, 2)``, uniform in [0, 1)."""
        if not self.config.pool_size:
            return {}
        return {name: rng.uniform(seed, name, positions, (2,)) for name in ("pool_a", "pool_b")}

    def fakes(self, batch: StepTensors) -> Fakes:
        """Translate both ways, there and back."""
        a, b = batch["a"], batch["b"]
        gen_ab, gen_ba = self.networks["gen_ab"], self.networks["gen_ba"]
        if self._identity and self._share and a.shape == b.shape:
            fake_b, idt_b = gen_ab(torch.cat([a, b])).chunk(2)
            fake_a, idt_a = gen_ba(torch.cat([b, a])).chunk(2)
            rec_a = gen_ba(hidden(fake_b, batch.get("mask_a"), self._fill))
            rec_b = gen_ab(hidden(fake_a, batch.get("mask_b"), self._fill))
            return Fakes(b=fake_b, a=fake_a, rec_a=rec_a, rec_b=rec_b, idt_a=idt_a, idt_b=idt_b)
        # In the published order, because batch norm's running statistics follow it.
        fake_b = gen_ab(a)
        rec_a = gen_ba(hidden(fake_b, batch.get("mask_a"), self._fill))
        fake_a = gen_ba(b)
        rec_b = gen_ab(hidden(fake_a, batch.get("mask_b"), self._fill))
        idt_b, idt_a = (gen_ab(b), gen_ba(a)) if self._identity else (None, None)
        return Fakes(b=fake_b, a=fake_a, rec_a=rec_a, rec_b=rec_b, idt_a=idt_a, idt_b=idt_b)

    def generator_terms(self, batch: StepTensors, fakes: Fakes) -> Terms:
        """The weighted terms of both generators."""
        config, a, b = self.config, batch["a"], batch["b"]
        terms = {
            "gan_ab": generator_gan_loss(config.gan_loss, self.networks["disc_b"](self._shown(fakes.b, batch))),
            "gan_ba": generator_gan_loss(config.gan_loss, self.networks["disc_a"](self._shown(fakes.a, batch))),
        }
        weights = {"a": config.lambda_cycle_a, "b": config.lambda_cycle_b}
        cycles = {"a": (fakes.rec_a, a), "b": (fakes.rec_b, b)}
        identities = {"a": (fakes.idt_a, a), "b": (fakes.idt_b, b)}
        for domain, weight in weights.items():
            if weight > 0:
                made, true = cycles[domain]
                terms[f"cycle_{domain}"] = weight * mean_distance(made, true, batch.get(f"mask_{domain}"))
        for domain, weight in weights.items():
            made, true = identities[domain]
            if made is not None and weight > 0:
                distance = mean_distance(made, true, batch.get(f"mask_{domain}"))
                terms[f"identity_{domain}"] = weight * config.lambda_identity * distance
        return terms

    def discriminator_terms(self, batch: StepTensors, fakes: Fakes) -> Terms:
        """The terms of both discriminators, on fakes from the pools."""
        terms = {}
        for domain, made in (("a", fakes.a.detach()), ("b", fakes.b.detach())):
            pool, fake = self.pools[domain], self._shown(made, batch)
            shown = pool.exchange(fake, batch[f"pool_{domain}"]) if pool.size else fake
            real = self._shown(batch[domain], batch)
            terms[f"disc_{domain}"] = self._adversarial_term(self.networks[f"disc_{domain}"], real, shown)
        return terms

    def _shown(self, images: Tensor, batch: StepTensors) -> Tensor:
        """What a discriminator sees of real or made images: what is valid in both domains' images of the sample.

        The masks of the domains may differ, and by them real images could be told from fakes.
        """
        return hidden(images, both_valid(batch.get("mask_a"), batch.get("mask_b")), self._fill)

    def _adversarial_term(self, discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
        if self._share and real.shape == fake.shape:
            logits = [both.chunk(2) for both in discriminator(torch.cat([real, fake]))]
            reals, fake_logits = [pair[0] for pair in logits], [pair[1] for pair in logits]
        else:
            reals, fake_logits = discriminator(real), discriminator(fake)
        real_term, fake_term = discriminator_gan_terms(self.config.gan_loss, reals, fake_logits)
        return 0.5 * (real_term + fake_term)
