"""BicycleGAN's step a second time, straight from the equations, for tests to compare with.

Nothing of the project's losses, phases, step or optimiser is used: every gradient is asked for by name with
`torch.autograd.grad` (no network is frozen), every loss is one of PyTorch's own, Adam is written out.
"""

import copy
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tandem.config.bicyclegan import BicycleGANConfig
from tandem.config.data import DataConfig
from tandem.objectives.bicyclegan import BicycleGAN
from tandem.objectives.objective import Objective
from tandem.training.optimizers import make_adam
from tandem.training.step import train_step

Gradients = dict[str, dict[str, Tensor]]
LR, BETAS = 1e-3, (0.5, 0.999)


class PlainAdam:
    """Adam (1412.6980, algorithm 1) for parameters by name."""

    def __init__(self) -> None:
        self.moments: dict[str, tuple[int, Tensor, Tensor]] = {}

    @torch.no_grad()
    def update(self, name: str, parameter: Tensor, gradient: Tensor) -> None:
        t, m, v = self.moments.get(name, (0, torch.zeros_like(parameter), torch.zeros_like(parameter)))
        t, m, v = t + 1, BETAS[0] * m + (1 - BETAS[0]) * gradient, BETAS[1] * v + (1 - BETAS[1]) * gradient**2
        self.moments[name] = (t, m, v)
        m_hat, v_hat = m / (1 - BETAS[0] ** t), v / (1 - BETAS[1] ** t)
        parameter -= LR * m_hat / (v_hat.sqrt() + 1e-8)


class PlainStep:
    """The whole step; called with a batch it returns the weighted losses and the gradients."""

    def __init__(self, networks: Mapping[str, nn.Module], config: BicycleGANConfig) -> None:
        self.networks, self.config, self.adam = dict(networks), config, PlainAdam()

    def __call__(self, batch: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], Gradients]:
        self.losses: dict[str, Tensor] = {}
        self.gradients: Gradients = {}
        half = len(batch["a"]) // 2
        self.a1, self.a2, self.b1, self.b2 = batch["a"][:half], batch["a"][half:], batch["b"][:half], batch["b"][half:]
        self.z, self.mix = batch["z_random"], batch["mix"]
        self.mu, self.logvar = self.networks["encoder"](self.b1)
        z_encoded = self.mu + batch["eps"] * self.logvar.exp().sqrt()
        self.fake_encoded = self.networks["generator"](self.a1, z_encoded)
        self.fake_random = self.networks["generator"](self.a1, self.z)
        self.mu_random = self.networks["encoder"](self.fake_random)[0]
        updates = [self._update_generator, self._update_discriminators]
        for update in updates if self.config.update_order == "generator_first" else reversed(updates):
            update()
        return {name: loss.detach() for name, loss in self.losses.items()}, self.gradients

    def _update_generator(self) -> None:
        c = self.config
        posterior = torch.distributions.Normal(self.mu, self.logvar.exp().sqrt())
        kl = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0)).sum()
        losses = {
            "gan_encoded": c.lambda_gan * self._fools("disc_encoded", self._seen(self.a1, self.fake_encoded)),
            "gan_random": c.lambda_gan2 * self._fools(self._second, self._seen(self.a1, self.fake_random)),
            "l1": c.lambda_l1 * F.l1_loss(self.fake_encoded, self.b1),
            "l1_random": c.lambda_l1_random * F.l1_loss(self.fake_random, self.b1),
            "kl": c.lambda_kl * (kl if c.kl_reduction == "sum" else kl / len(self.mu)),
        }
        latent = c.lambda_z * F.l1_loss(self.mu_random, self.z)
        joint = torch.stack(list(losses.values())).sum()
        self._descend({"generator": joint + latent, "encoder": joint + latent if c.latent_trains_encoder else joint})
        self.losses |= losses | {"latent": latent}

    def _update_discriminators(self) -> None:
        seen = {
            "disc_encoded": (self._seen(self.a1, self.b1), self._seen(self.a1, self.fake_encoded.detach())),
            "disc_random": (self._seen(self.a2, self.b2), self._seen(self.a1, self.fake_random.detach())),
        }
        totals: dict[str, Tensor] = {}
        for name, (real, fake) in seen.items():
            discriminator = self._second if name == "disc_random" else name
            self.losses[name] = self._unmasks(discriminator, real, fake)
            totals[discriminator] = totals.get(discriminator, torch.zeros(())) + self.losses[name]
            if self.config.gan_loss == "wgangp" and self.config.lambda_gp > 0:
                self.losses[f"{name}_gp"] = self.config.lambda_gp * self._penalty(discriminator, real, fake)
                totals[discriminator] = totals[discriminator] + self.losses[f"{name}_gp"]
        self._descend(totals)

    @property
    def _second(self) -> str:
        return "disc_encoded" if self.config.shared_discriminator else "disc_random"

    def _seen(self, a: Tensor, image: Tensor) -> Tensor:
        return torch.cat([a, image], 1) if self.config.conditional else image

    def _fools(self, discriminator: str, fake: Tensor) -> Tensor:
        rule: dict[str, Callable[[Tensor], Tensor]] = {
            "lsgan": lambda x: F.mse_loss(x, torch.ones_like(x)),
            "bce": lambda x: F.binary_cross_entropy_with_logits(x, torch.ones_like(x)),
            "hinge": lambda x: -x.mean(),
            "wgangp": lambda x: -x.mean(),
        }
        return sum((rule[self.config.gan_loss](x) for x in self.networks[discriminator](fake)), torch.zeros(()))

    def _unmasks(self, discriminator: str, real: Tensor, fake: Tensor) -> Tensor:
        def one(r: Tensor, f: Tensor) -> Tensor:
            match self.config.gan_loss:
                case "lsgan":
                    return F.mse_loss(r, torch.ones_like(r)) + F.mse_loss(f, torch.zeros_like(f))
                case "bce":
                    bce = F.binary_cross_entropy_with_logits
                    return bce(r, torch.ones_like(r)) + bce(f, torch.zeros_like(f))
                case "hinge":
                    return (1 - r).clamp(min=0).mean() + (1 + f).clamp(min=0).mean()
                case "wgangp":
                    return f.mean() - r.mean()

        on_fake = self.networks[discriminator](fake)
        pairs = zip(self.networks[discriminator](real), on_fake, strict=True)
        return sum((one(r, f) for r, f in pairs), torch.zeros(()))

    def _penalty(self, discriminator: str, real: Tensor, fake: Tensor) -> Tensor:
        total = torch.zeros(())
        for i in range(len(real)):
            mixed = (self.mix[i] * real[i] + (1 - self.mix[i]) * fake[i])[None].requires_grad_(True)
            for logits in self.networks[discriminator](mixed):
                (slope,) = torch.autograd.grad(logits.mean(), mixed, create_graph=True)
                total = total + ((slope**2).sum().sqrt() - 1) ** 2 / len(real)
        return total

    def _descend(self, totals: Mapping[str, Tensor]) -> None:
        for name, total in totals.items():
            own = dict(self.networks[name].named_parameters())
            found = torch.autograd.grad(total, list(own.values()), retain_graph=True)
            self.gradients[name] = dict(zip(own, found, strict=True))
        for name in totals:
            for key, parameter in self.networks[name].named_parameters():
                self.adam.update(f"{name}.{key}", parameter, self.gradients[name][key])


def tiny_config(**options: object) -> BicycleGANConfig:
    """A BicycleGAN whose step takes milliseconds; `options` win."""
    sizes = {"latent_dim": 3, "generator_filters": 3, "encoder_filters": 3, "discriminator_filters": 4}
    return BicycleGANConfig(**(sizes | options))  # type: ignore[arg-type]


def tiny_objective(config: BicycleGANConfig, *, size: int = 64, seed: int = 0) -> BicycleGAN:
    """In float64, with weights and biases large enough that every term matters."""
    objective = BicycleGAN(config, DataConfig(size=size, input_channels=1))
    generator = torch.Generator().manual_seed(seed)
    objective.initialise(seed)
    objective.networks.double().train()
    with torch.no_grad():
        for parameter in objective.networks.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.add_(noise / parameter[0].numel() ** 0.5)
    return objective


def tiny_batch(config: BicycleGANConfig, *, batch_size: int = 2, size: int = 64, seed: int = 0) -> dict[str, Tensor]:
    """Random images and latents in float64."""
    generator = torch.Generator().manual_seed(1000 + seed)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, dtype=torch.float64)

    half = batch_size // 2
    latents = {
        name: torch.randn((half, config.latent_dim), generator=generator, dtype=torch.float64)
        for name in ("eps", "z_random")
    }
    images = {"a": 2 * uniform(batch_size, 1, size, size) - 1, "b": 2 * uniform(batch_size, 3, size, size) - 1}
    return images | latents | {"mix": uniform(half)}


class TandemStep:
    """`train_step` with its Adam; called with a batch it returns the losses and the gradients that Adam used."""

    def __init__(self, objective: Objective) -> None:
        self.objective = objective
        self.gradients: Gradients = {}
        self.optimizers = {
            name: make_adam(network.parameters(), lr=LR, betas=BETAS) for name, network in objective.networks.items()
        }
        record_gradients(self.gradients, objective.networks, self.optimizers)

    def __call__(self, batch: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], Gradients]:
        return train_step(self.objective, self.optimizers, batch), self.gradients


def record_gradients(
    into: Gradients, networks: Mapping[str, nn.Module] | nn.ModuleDict, optimizers: Mapping[str, torch.optim.Optimizer]
) -> None:
    """Let each optimiser note its gradients in `into` just before it uses them."""
    for name, optimizer in optimizers.items():

        def note(*_: object, name: str = name) -> None:
            own = networks[name].named_parameters()
            into[name] = {key: p.grad.clone() for key, p in own if p.grad is not None}

        optimizer.register_step_pre_hook(note)


def twin(objective: BicycleGAN) -> dict[str, nn.Module]:
    """The same networks a second time."""
    return {name: copy.deepcopy(network) for name, network in objective.networks.items()}


def assert_same_gradients(ours: Gradients, theirs: Gradients) -> None:
    """All gradients agree, up to rounding relative to the largest one of each network."""
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert ours[name].keys() == theirs[name].keys(), name
        largest = max(gradient.abs().max().item() for gradient in theirs[name].values())
        assert largest > 0, name
        for key, gradient in ours[name].items():
            difference = (gradient - theirs[name][key]).abs().max().item()
            assert difference <= 1e-10 * largest, f"{name}.{key}: {difference:.1e} of {largest:.1e}"


def assert_same_state(ours: Mapping[str, nn.Module] | nn.ModuleDict, theirs: Mapping[str, nn.Module]) -> None:
    """All weights and buffers agree far below one step of Adam, which is about LR.

    The tolerance is that wide because Adam magnifies rounding where a gradient is zero (biases in front of a norm).
    """
    for name, network in theirs.items():
        state = ours[name].state_dict()
        for key, value in network.state_dict().items():
            torch.testing.assert_close(state[key], value, rtol=0, atol=1e-4 * LR, msg=lambda m, k=key: f"{k}: {m}")
