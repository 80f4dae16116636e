"""The published order of a CycleGAN step, written plainly.

Every image goes through a generator by itself (six forwards with the identity term), the discriminators see real and
fake one after the other, each discriminator has a backward of its own, and one Adam each drives the pair of generators
and the pair of discriminators. Its pools decide on the host, as the published ones do.
"""

import itertools
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from tandem.config.cyclegan import CycleGANConfig
from tandem.objectives.losses import discriminator_gan_loss, generator_gan_loss


class ListPool:
    """A pool of earlier fakes as a list."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.images: list[Tensor] = []

    def query(self, fakes: Tensor, draws: Sequence[Sequence[float]]) -> Tensor:
        """Store fakes and say what the discriminator is shown.

        Args:
            fakes: ``(N, C, H, W)``, detached.
            draws: Of each fake two numbers in [0, 1): whether to swap, and with which image.
        """
        shown = []
        for fake, (chance, place) in zip(fakes.split(1), draws, strict=True):
            if len(self.images) < self.size:
                self.images.append(fake)
                shown.append(fake)
            elif chance < 0.5:
                index = int(place * self.size)
                shown.append(self.images[index].clone())
                self.images[index] = fake
            else:
                shown.append(fake)
        return torch.cat(shown)


class PublishedCycleGANStep:
    """One CycleGAN step in the published order.

    Args:
        networks: gen_ab, gen_ba, disc_a, disc_b.
        config: Loss weights and kinds.
        lr: Adam's rate.
        betas: Adam's momenta.
    """

    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        config: CycleGANConfig,
        *,
        lr: float = 2e-4,
        betas: tuple[float, float] = (0.5, 0.999),
    ) -> None:
        self.networks = dict(networks)
        self.config = config
        self.pools = {domain: ListPool(config.pool_size) for domain in "ab"}
        pairs = {"generators": ("gen_ab", "gen_ba"), "discriminators": ("disc_a", "disc_b")}
        self.optimizers = {
            name: torch.optim.Adam(
                itertools.chain(*(self.networks[network].parameters() for network in pair)), lr=lr, betas=betas
            )
            for name, pair in pairs.items()
        }

    def __call__(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Update every network once. Returns the weighted terms, detached.

        Args:
            batch: Images ``a`` and ``b``, and what the pools have drawn, ``pool_a`` and ``pool_b``, on the CPU.
        """
        a, b = batch["a"], batch["b"]
        gen_ab, gen_ba = self.networks["gen_ab"], self.networks["gen_ba"]
        fake_b = gen_ab(a)
        rec_a = gen_ba(fake_b)
        fake_a = gen_ba(b)
        rec_b = gen_ab(fake_a)

        self._discriminators_learn(False)
        self.optimizers["generators"].zero_grad()
        terms = self._identity_terms(a, b)
        kind = self.config.gan_loss
        terms["gan_ab"] = generator_gan_loss(kind, self.networks["disc_b"](fake_b))
        terms["gan_ba"] = generator_gan_loss(kind, self.networks["disc_a"](fake_a))
        terms["cycle_a"] = self.config.lambda_cycle_a * (rec_a - a).abs().mean()
        terms["cycle_b"] = self.config.lambda_cycle_b * (rec_b - b).abs().mean()
        torch.stack(list(terms.values())).sum().backward()
        self.optimizers["generators"].step()

        self._discriminators_learn(True)
        self.optimizers["discriminators"].zero_grad()
        for domain, real, fake in (("b", b, fake_b), ("a", a, fake_a)):
            shown = fake.detach()
            if self.config.pool_size:
                shown = self.pools[domain].query(shown, batch[f"pool_{domain}"].tolist())
            discriminator = self.networks[f"disc_{domain}"]
            terms[f"disc_{domain}"] = 0.5 * discriminator_gan_loss(kind, discriminator(real), discriminator(shown))
            terms[f"disc_{domain}"].backward()
        self.optimizers["discriminators"].step()
        return {name: term.detach() for name, term in terms.items()}

    def _identity_terms(self, a: Tensor, b: Tensor) -> dict[str, Tensor]:
        config = self.config
        if config.lambda_identity == 0:
            return {}
        kept_b, kept_a = self.networks["gen_ab"](b), self.networks["gen_ba"](a)
        return {
            "identity_b": config.lambda_cycle_b * config.lambda_identity * (kept_b - b).abs().mean(),
            "identity_a": config.lambda_cycle_a * config.lambda_identity * (kept_a - a).abs().mean(),
        }

    def _discriminators_learn(self, learn: bool) -> None:
        for name in ("disc_a", "disc_b"):
            self.networks[name].requires_grad_(learn)
