"""The step of `tandem` a second time, straight from the equations of docs/methods.md, for tests to compare with.

Every image goes through the networks by itself, the networks are formulas over their weights, gradients are asked for
by name, and Adam is written out. Nothing of the project's networks, losses, phases, step or optimiser is used.
"""

import math
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from plain import PlainAdam
from torch import Tensor

from tandem.objectives.objective import Objective

Weights = dict[str, Tensor]
Gradients = dict[str, dict[str, Tensor]]


def silu(x: Tensor) -> Tensor:
    return x / (1 + torch.exp(-x))


def blocks_of_pixels(image: Tensor) -> Tensor:
    """``(1, C, H, W)`` to ``(1, 4·C, H/2, W/2)``: of each channel the four pixels of a block, row by row."""
    (_, channels, height, width) = image.shape
    found = torch.stack([image[:, :, row::2, column::2] for row in (0, 1) for column in (0, 1)], 2)
    return found.reshape(1, 4 * channels, height // 2, width // 2)


def blocks_for_discriminators(image: Tensor, detail: float) -> Tensor:
    """The same by Haar's orthonormal transform over rows and columns, the differences `detail` times as strong."""
    haar = torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=image.dtype) / math.sqrt(2)
    strength = torch.tensor([1.0, detail, detail, detail], dtype=image.dtype)
    pixels = blocks_of_pixels(image).unflatten(1, (-1, 4))
    return torch.einsum("k,kp,ncphw->nckhw", strength, torch.kron(haar, haar), pixels).flatten(1, 2)


def normed(w: Weights, name: str, x: Tensor) -> Tensor:
    """Group norm with groups of eight channels, or of all where eight do not divide them."""
    channels = x.shape[1]
    groups = math.gcd(channels, max(1, channels // 8))
    apart = x.reshape(groups, -1)
    apart = (apart - apart.mean(1, keepdim=True)) / (apart.var(1, unbiased=False, keepdim=True) + 1e-5).sqrt()
    return apart.reshape(x.shape) * w[f"{name}.weight"][:, None, None] + w[f"{name}.bias"][:, None, None]


def convolved(w: Weights, name: str, x: Tensor, *, stride: int = 1) -> Tensor:
    kernel = w[f"{name}.weight"]
    return F.conv2d(x, kernel, w[f"{name}.bias"], stride=stride, padding=kernel.shape[-1] // 2)


def linear(w: Weights, name: str, x: Tensor) -> Tensor:
    return w[f"{name}.weight"] @ x + w[f"{name}.bias"]


def doubled(x: Tensor, dim: int) -> Tensor:
    """Bilinear interpolation to twice the side: ¾ of the nearer value and ¼ of the next; edges repeat."""
    before = torch.cat([x.narrow(dim, 0, 1), x.narrow(dim, 0, x.shape[dim] - 1)], dim)
    after = torch.cat([x.narrow(dim, 1, x.shape[dim] - 1), x.narrow(dim, x.shape[dim] - 1, 1)], dim)
    return torch.stack([0.75 * x + 0.25 * before, 0.75 * x + 0.25 * after], dim + 1).flatten(dim, dim + 1)


def block(w: Weights, name: str, x: Tensor, style: Tensor) -> Tensor:
    x = x + linear(w, f"{name}.offset", style)[:, None, None]
    y = convolved(w, f"{name}.conv1", silu(normed(w, f"{name}.norm1", x)))
    scale, shift = linear(w, f"{name}.modulation", style)[:, None, None].split(y.shape[1])
    y = convolved(w, f"{name}.conv2", silu(normed(w, f"{name}.norm2", y) * (1 + scale) + shift))
    past = convolved(w, f"{name}.shortcut", x) if f"{name}.shortcut.weight" in w else x
    return (y + past) / math.sqrt(2)


def generated(w: Weights, a: Tensor, z: Tensor) -> Tensor:
    """G(a, z) of one image, ``(1, C, H, W)``, with z ``(latent_dim,)``."""
    style = silu(linear(w, "style.second", silu(linear(w, "style.first", z))))
    x, levels, seen = convolved(w, "stem", blocks_of_pixels(a)), 0, []
    while f"encode.{levels}.conv1.weight" in w:
        if levels:
            seen.append(x)
            x = convolved(w, f"down.{levels - 1}", x, stride=2)
        x, levels = block(w, f"encode.{levels}", x, style), levels + 1
    for level in reversed(range(levels - 1)):
        x = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
        x = block(w, f"decode.{level}", torch.cat([convolved(w, f"up.{level}", x), seen[level]], 1), style)
    x = torch.cat([doubled(doubled(silu(normed(w, "head.norm", x)), 2), 3), a], 1)
    return torch.tanh(convolved(w, "output.conv2", silu(convolved(w, "output.conv1", x))))


def encoded(w: Weights, b: Tensor, a: Tensor | None) -> tuple[Tensor, Tensor]:
    """mu and logvar of one output beside its input, where that is seen and known (then not None)."""
    planes = 4 * b.shape[1]
    flagged = w["body.conv0.weight"].shape[1] - planes  # of the input and of the channel that says whether it is there
    x = blocks_of_pixels(b)
    if flagged:
        height, width = x.shape[2:]
        beside = x.new_zeros(1, flagged, height, width)
        if a is not None:
            beside = torch.cat([blocks_of_pixels(a), x.new_ones(1, 4, height, width)], 1)
        x = torch.cat([x, beside], 1)
    depth = 0
    while f"body.conv{depth}.weight" in w:
        x, depth = silu(convolved(w, f"body.conv{depth}", x, stride=1 if depth else 2)), depth + 1
    places = torch.exp(convolved(w, "attention", x))
    mean = (x * places).sum((0, 2, 3)) / places.sum((0, 2, 3))
    return linear(w, "mu", mean), linear(w, "logvar", mean)


def spectrally(w: Weights, name: str) -> Tensor:
    """A weight over its largest singular value, by seven half-iterations each way from a vector of ones."""
    matrix = w[f"{name}.weight"].flatten(1)
    with torch.no_grad():
        u = torch.ones(len(matrix), dtype=matrix.dtype)
        for _ in range(7):
            v = matrix.T @ (u / u.norm())
            last, u = u / u.norm(), matrix @ (v / v.norm())
        v = v / v.norm()
    return w[f"{name}.weight"] / (last @ matrix @ v)


def judged(w: Weights, detail: float, a: Tensor, image: Tensor) -> list[list[Tensor]]:
    """Of each scale the maps behind its layers and, last, its logits, for one pair."""
    x, scales, found = torch.cat([a, image], 1), 0, []
    while f"scales.{scales}.head.weight" in w:
        layers = sum(key.startswith(f"scales.{scales}.body.") and key.endswith("weight") for key in w)
        y, maps = blocks_for_discriminators(x, detail), []
        for layer in range(layers):
            name = f"scales.{scales}.body.{layer}"
            stride = 1 if layer == layers - 1 else 2
            y = F.conv2d(y, spectrally(w, name), w[f"{name}.bias"], stride=stride, padding=1)
            y = torch.where(y > 0, y, 0.2 * y)
            maps.append(y)
        name = f"scales.{scales}.head"
        found.append([*maps, F.conv2d(y, spectrally(w, name), w[f"{name}.bias"], padding=1)])
        x = (x[..., ::2, ::2] + x[..., 1::2, ::2] + x[..., ::2, 1::2] + x[..., 1::2, 1::2]) / 4
        scales += 1
    return found


class PlainTandem:
    """The whole step; called with a batch it returns the weighted losses and the gradients."""

    def __init__(self, objective: Objective) -> None:
        self.weights = {
            name: {key: value.detach().clone().requires_grad_(True) for key, value in network.named_parameters()}
            for name, network in objective.networks.items()
        }
        self.config = objective.config  # type: ignore[attr-defined]
        self.adam = PlainAdam()

    def __call__(self, batch: Mapping[str, Tensor], *, joined: bool) -> tuple[dict[str, Tensor], Gradients]:
        c, self.gradients = self.config, {}
        n, w = len(batch["a"]), self.weights
        a, b = batch["a"].split(1), batch["b"].split(1)
        seen = [one if c.encoder_sees_input and known else None for one, known in zip(a, batch["known"], strict=True)]
        judges = joined and c.lambda_gan > 0
        own = n // 2 if judges and (c.lambda_z > 0 or c.lambda_ms > 0) else n
        codes = [encoded(w["encoder"], b[i], seen[i]) for i in range(n)]
        styles = [mu + eps * torch.exp(logvar).sqrt() for (mu, logvar), eps in zip(codes, batch["eps"], strict=True)]
        z = styles[:own] + [one.detach() for one in styles[: n - own]]
        fakes = [generated(w["generator"], a[i], z[i]) for i in range(n)]
        losses = {"l1": c.lambda_l1 * mean([(fakes[i] - b[i]).abs().mean() for i in range(own)])}
        if c.lambda_kl > 0:
            losses["kl"] = c.lambda_kl * mean([self.bounded(*codes[i]) for i in range(own)])
        if judges:
            looks = [judged(w["disc"], c.discriminator_detail, a[i], fakes[i]) for i in range(n)]
            losses["gan"] = c.lambda_gan * sum(-mean([one[-1].mean() for one in scale]) for scale in zip(*looks))  # noqa: B905
            if c.lambda_fm > 0:
                apart = []
                for i in range(own):
                    for made, real in zip(looks[i], judged(w["disc"], c.discriminator_detail, a[i], b[i]), strict=True):
                        layers = [(m - r.detach()).abs().mean() for m, r in zip(made[:-1], real[:-1], strict=True)]
                        apart.append(sum(layers) / len(layers))
                losses["feature_matching"] = c.lambda_gan * c.lambda_fm * torch.stack(apart).sum() / own
        only_generator = {}
        if judges and c.lambda_z > 0:
            found = [encoded(w["encoder"], fakes[i], seen[i])[0] for i in range(own, n)]
            wrong = [(mu - z[i]).abs().mean() for i, mu in enumerate(found, own)]
            only_generator["latent"] = c.lambda_z * mean(wrong)
        if judges and c.lambda_ms > 0:
            seeking = []
            for i in range(own):
                third = styles[own + i].detach()
                moved = (generated(w["generator"], a[i], third) - fakes[i]).abs().mean()
                seeking.append(1 / (moved / (third - z[i]).abs().mean() + 1e-5))
            losses["mode_seeking"] = c.lambda_ms * mean(seeking)
        both = torch.stack(list(losses.values())).sum()
        self.descend({"generator": both + sum(only_generator.values()), "encoder": both})
        losses |= only_generator
        if judges:
            pairs = [
                [judged(w["disc"], c.discriminator_detail, a[i], image[i].detach()) for i in range(n)]
                for image in (b, fakes)
            ]
            real, fake = (
                sum(mean([(1 + sign * one[-1]).clamp(min=0).mean() for one in scale]) for scale in zip(*looks))  # noqa: B905
                for sign, looks in zip((-1, 1), pairs, strict=True)
            )
            self.descend({"disc": real + fake})
            losses |= {"disc_real": real, "disc_fake": fake}
        return {name: loss.detach() for name, loss in losses.items()}, self.gradients

    def bounded(self, mu: Tensor, logvar: Tensor) -> Tensor:
        """KL from N(0, I), each dimension's free bits taken off, a hundred times as steep above the bound."""
        c = self.config
        posterior = torch.distributions.Normal(mu, torch.exp(logvar).sqrt())
        nats = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0))
        total = sum(torch.maximum(one - c.free_bits, torch.zeros_like(one)) for one in nats)
        return total if total <= c.kl_bound else c.kl_bound + 100 * (total - c.kl_bound)

    def descend(self, totals: Mapping[str, Tensor]) -> None:
        for name, total in totals.items():
            own = self.weights[name]
            found = torch.autograd.grad(total, list(own.values()), retain_graph=True)
            self.gradients[name] = dict(zip(own, found, strict=True))
        for name in totals:
            for key, weight in self.weights[name].items():
                self.adam.update(f"{name}.{key}", weight, self.gradients[name][key])


def mean(values: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(values)).sum() / len(values)
