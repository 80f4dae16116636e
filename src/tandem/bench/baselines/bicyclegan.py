"""The published order of a BicycleGAN step, written plainly.

Two forwards of the generator, two backwards for G and E over a retained graph, one backward per discriminator, one
Adam per network. As in the published code E is frozen between the two backwards and not in its forward, so that the
latent regression's gradients of its weights are computed and dropped.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from tandem.config.bicyclegan import BicycleGANConfig
from tandem.objectives.losses import discriminator_gan_loss, generator_gan_loss, kl_divergence


class PublishedBicycleGANStep:
    """One BicycleGAN step in the published order, with unshared discriminators and without a gradient penalty.

    Args:
        networks: generator, encoder, disc_encoded, disc_random.
        config: Loss weights and kinds.
        lr: Adam's rate.
        betas: Adam's momenta.
    """

    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        config: BicycleGANConfig,
        *,
        lr: float = 2e-4,
        betas: tuple[float, float] = (0.5, 0.999),
    ) -> None:
        self.networks = dict(networks)
        self.config = config
        self.optimizers = {
            name: torch.optim.Adam(network.parameters(), lr=lr, betas=betas) for name, network in self.networks.items()
        }

    def __call__(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Update every network once; the batch is that of `BicycleGAN`. Returns the weighted terms, detached."""
        config, generator, encoder = self.config, self.networks["generator"], self.networks["encoder"]
        (a1, a2), (b1, b2) = batch["a"].chunk(2), batch["b"].chunk(2)
        mu, logvar = encoder(b1)
        fake_encoded = generator(a1, mu + batch["eps"] * torch.exp(0.5 * logvar))
        fake_random = generator(a1, batch["z_random"])
        mu_random, _ = encoder(fake_random)

        self._train_only("generator", "encoder")
        self._zero_grad("generator", "encoder")
        kind = config.gan_loss
        terms = {
            "gan_encoded": config.lambda_gan
            * generator_gan_loss(kind, self.networks["disc_encoded"](self._discriminator_input(a1, fake_encoded))),
            "gan_random": config.lambda_gan2
            * generator_gan_loss(kind, self.networks["disc_random"](self._discriminator_input(a1, fake_random))),
            "l1": config.lambda_l1 * (fake_encoded - b1).abs().mean(),
            "kl": config.lambda_kl * kl_divergence(mu, logvar).sum(),
        }
        torch.stack(list(terms.values())).sum().backward(retain_graph=True)
        terms["latent"] = config.lambda_z * (mu_random - batch["z_random"]).abs().mean()
        self._train_only("generator")
        terms["latent"].backward()
        self.optimizers["encoder"].step()
        self.optimizers["generator"].step()

        for name, real, fake in (
            ("disc_encoded", self._discriminator_input(a1, b1), self._discriminator_input(a1, fake_encoded)),
            ("disc_random", self._discriminator_input(a2, b2), self._discriminator_input(a1, fake_random)),
        ):
            self._train_only(name)
            self._zero_grad(name)
            discriminator = self.networks[name]
            fake_logits, real_logits = discriminator(fake.detach()), discriminator(real)
            terms[name] = discriminator_gan_loss(kind, real_logits, fake_logits)
            terms[name].backward()
            self.optimizers[name].step()
        self._train_only(*self.networks)
        return {name: term.detach() for name, term in terms.items()}

    def _discriminator_input(self, a: Tensor, image: Tensor) -> Tensor:
        return torch.cat([a, image], 1) if self.config.conditional else image

    def _train_only(self, *names: str) -> None:
        for name, network in self.networks.items():
            network.requires_grad_(name in names)

    def _zero_grad(self, *names: str) -> None:
        for name in names:
            self.optimizers[name].zero_grad()
