"""The steps of pix2pix, CycleGAN and CUT a second time, straight from their papers, for tests to compare with.

They run on the literal networks of `published_methods`, every image goes through a network by itself or with its own
batch as in the papers' equations, every loss is one of PyTorch's own or a loop, gradients are asked for by name, and
Adam is written out. Nothing of the project's losses, phases, step, optimiser or networks is used.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from plain import PlainAdam
from torch import Tensor, nn
from twins import twin_of

from tandem.objectives.objective import Objective

Gradients = dict[str, dict[str, Tensor]]
Losses = dict[str, Tensor]


class PlainMethod:
    """What the three steps share; called with a batch one returns the weighted losses and the gradients."""

    def __init__(self, objective: Objective, config: Any) -> None:
        pairs = {name: twin_of(network) for name, network in objective.networks.items()}
        self.networks: dict[str, nn.Module] = {name: pair[0].train() for name, pair in pairs.items()}
        self.keys = {name: {theirs: ours for ours, theirs in pair[1].items()} for name, pair in pairs.items()}
        self.config, self.adam = config, PlainAdam()

    def __call__(self, batch: Mapping[str, Tensor]) -> tuple[Losses, Gradients]:
        self.losses: Losses = {}
        self.gradients: Gradients = {}
        self.step(batch)
        return {name: loss.detach() for name, loss in self.losses.items()}, self.gradients

    def step(self, batch: Mapping[str, Tensor]) -> None:
        raise NotImplementedError

    def told(self, logits: Sequence[Tensor], real: bool) -> Tensor:
        """What a discriminator is told about logits; for BCE and LSGAN also what a generator wants it to say."""
        (map_of_logits,) = logits
        wanted = torch.full_like(map_of_logits, float(real))
        match self.config.gan_loss:
            case "lsgan":
                return F.mse_loss(map_of_logits, wanted)
            case "bce":
                return F.binary_cross_entropy_with_logits(map_of_logits, wanted)
        margin = 1 - map_of_logits if real else 1 + map_of_logits
        return margin.clamp(min=0).mean()

    def fools(self, logits: Sequence[Tensor]) -> Tensor:
        return -logits[0].mean() if self.config.gan_loss == "hinge" else self.told(logits, True)

    def descend(self, names: Sequence[str], losses: Losses) -> None:
        """One step of Adam for each of the networks down the sum of the losses."""
        total = torch.stack(list(losses.values())).sum()
        own = {name: dict(self.networks[name].named_parameters()) for name in names}
        flat = [parameter for group in own.values() for parameter in group.values()]
        found = iter(torch.autograd.grad(total, flat, retain_graph=True))
        for name, group in own.items():
            self.gradients[name] = {self.keys[name][key]: next(found) for key in group}
        for name, group in own.items():
            for key, parameter in group.items():
                self.adam.update(f"{name}.{key}", parameter, self.gradients[name][self.keys[name][key]])
        self.losses |= losses

    def states(self) -> dict[str, dict[str, Tensor]]:
        """Weights and buffers by our names."""
        return {
            name: {self.keys[name][key]: value for key, value in network.state_dict().items()}
            for name, network in self.networks.items()
        }


class PlainPix2Pix(PlainMethod):
    """1611.07004, section 3.1, with the discriminator's loss halved as in its section 3.3; the discriminator first."""

    def step(self, batch: Mapping[str, Tensor]) -> None:
        a, b = batch["a"], batch["b"]
        fake = self.networks["generator"](a)
        losses: Losses = {}
        if self.config.lambda_gan > 0:
            disc = self.networks["disc"]
            on_fake = self.told(disc(torch.cat((a, fake.detach()), 1)), False)
            on_real = self.told(disc(torch.cat((a, b), 1)), True)
            self.descend(["disc"], {"disc_real": on_real / 2, "disc_fake": on_fake / 2})
            losses["gan"] = self.config.lambda_gan * self.fools(disc(torch.cat((a, fake), 1)))
        if self.config.lambda_l1 > 0:
            losses["l1"] = self.config.lambda_l1 * F.l1_loss(fake, b)
        self.descend(["generator"], losses)


class ListPool:
    """A pool of images as a plain list."""

    def __init__(self, size: int) -> None:
        self.size, self.images = size, list[Tensor]()
        self.swaps = 0

    def show(self, fakes: Tensor, draws: Tensor) -> Tensor:
        shown = []
        for fake, (first, second) in zip(fakes, draws.tolist(), strict=True):
            if len(self.images) < self.size:
                self.images.append(fake)
                shown.append(fake)
            elif first < 0.5:
                place = int(second * self.size)
                shown.append(self.images[place])
                self.images[place] = fake
                self.swaps += 1
            else:
                shown.append(fake)
        return torch.stack(shown)


class PlainCycleGAN(PlainMethod):
    """1703.10593, equation 3 with the identity term of section 5.2; both generators, then both discriminators."""

    def __init__(self, objective: Objective, config: Any) -> None:
        super().__init__(objective, config)
        self.pools = {"a": ListPool(config.pool_size), "b": ListPool(config.pool_size)}

    def step(self, batch: Mapping[str, Tensor]) -> None:
        c, a, b = self.config, batch["a"], batch["b"]
        forth, back = self.networks["gen_ab"], self.networks["gen_ba"]
        fake_b = forth(a)
        cycled_a = back(fake_b)
        fake_a = back(b)
        cycled_b = forth(fake_a)
        weight_a, weight_b = c.lambda_cycle_a, c.lambda_cycle_b
        losses = {}
        if c.lambda_identity > 0:
            if weight_b > 0:
                losses["identity_b"] = c.lambda_identity * weight_b * F.l1_loss(forth(b), b)
            if weight_a > 0:
                losses["identity_a"] = c.lambda_identity * weight_a * F.l1_loss(back(a), a)
        losses["gan_ab"] = self.fools(self.networks["disc_b"](fake_b))
        losses["gan_ba"] = self.fools(self.networks["disc_a"](fake_a))
        if weight_a > 0:
            losses["cycle_a"] = weight_a * F.l1_loss(cycled_a, a)
        if weight_b > 0:
            losses["cycle_b"] = weight_b * F.l1_loss(cycled_b, b)
        self.descend(["gen_ab", "gen_ba"], losses)
        for domain, real, fake in (("b", b, fake_b.detach()), ("a", a, fake_a.detach())):
            shown = self.pools[domain].show(fake, batch[f"pool_{domain}"]) if c.pool_size else fake
            disc = self.networks[f"disc_{domain}"]
            on_real, on_fake = self.told(disc(real), True), self.told(disc(shown), False)
            self.descend([f"disc_{domain}"], {f"disc_{domain}": (on_real + on_fake) / 2})


class PlainCUT(PlainMethod):
    """2007.15651, equations 1 to 5; the discriminator first, then the generator with the heads.

    The batch holds the locations as ``locations``: of each use, ``nce`` and ``idt``, and each layer ``(N, P)``.
    """

    taps = (0, 4, 8, 12, 16)

    def step(self, batch: Mapping[str, Any]) -> None:
        c, generator = self.config, self.networks["generator"]
        flipped = [bool(flip > 0.5) for flip in batch["flip"]] if c.flip_equivariance else [False] * len(batch["a"])
        a, b = (self.turned(batch[name], flipped) for name in ("a", "b"))
        fake = generator(a)
        losses: Losses = {}
        if c.lambda_gan > 0:
            disc = self.networks["disc"]
            on_fake, on_real = self.told(disc(fake.detach()), False), self.told(disc(batch["b"]), True)
            self.descend(["disc"], {"disc_real": on_real / 2, "disc_fake": on_fake / 2})
            losses["gan"] = c.lambda_gan * self.fools(disc(fake))
        contrast = self.contrast(batch["a"], fake, batch["locations"]["nce"], flipped)
        losses["nce"] = c.lambda_nce * contrast
        if c.nce_identity:
            kept = self.contrast(batch["b"], generator(b), batch["locations"]["idt"], flipped)
            losses["nce"], losses["nce_identity"] = losses["nce"] / 2, c.lambda_nce * kept / 2
        self.descend(["generator", "projector"], losses)

    @staticmethod
    def turned(images: Tensor, flipped: Sequence[bool]) -> Tensor:
        pairs = zip(images, flipped, strict=True)
        return torch.stack([torch.flip(image, [2]) if flip else image for image, flip in pairs])

    def contrast(self, source: Tensor, output: Tensor, locations: Sequence[Tensor], flipped: Sequence[bool]) -> Tensor:
        generator, projector = self.networks["generator"], self.networks["projector"]
        queries = [self.turned(tap, flipped) for tap in generator.features(output, self.taps)]  # type: ignore[operator]
        query = projector(queries, locations)
        key = [vectors.detach() for vectors in projector(generator.features(source, self.taps), locations)]  # type: ignore[operator]
        layers = []
        for q, k in zip(query, key, strict=True):
            found = [
                torch.logsumexp(row, 0) - row[place]
                for image_q, image_k in zip(q, k, strict=True)
                for place, row in enumerate(image_q @ image_k.T / self.config.nce_temperature)
            ]
            layers.append(torch.stack(found).mean())
        return torch.stack(layers).mean()
