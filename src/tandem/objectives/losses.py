"""Losses as pure functions.

Adversarial losses take the logits of all scales: the mean within each scale, summed over the scales. With D(x) the
logits:

- ``lsgan`` (1611.04076, eq. 9): D minimises (D(x) − 1)² + D(G)², G (D(G) − 1)²; the paper's halves are left to the
  caller.
- ``bce`` (1406.2661, eq. 1, with the loss of G of its section 3): −log σ(D(x)) − log(1 − σ(D(G))); −log σ(D(G)).
- ``hinge`` (1802.05957, eq. 16 and 17): max(0, 1 − D(x)) + max(0, 1 + D(G)); −D(G).
- ``wgangp`` (1704.00028, eq. 3): D(G) − D(x) plus `gradient_penalty`; −D(G).
"""

from collections.abc import Callable, Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from tandem.config.method import GanLoss
from tandem.networks.layers import full_precision

MODE_SEEKING_EPSILON = 1e-5
_NEVER = -1e4
"""A logit, not infinite, of what is never right: its exponential is 0 beside any other."""
_IGNORED = -100


def generator_gan_loss(kind: GanLoss, fake: Sequence[Tensor]) -> Tensor:
    """The adversarial loss that the generator minimises.

    Args:
        kind: ``lsgan`` (D−1)², ``bce`` −log σ(D), ``hinge`` and ``wgangp`` −D.
        fake: Logits of the fakes, one tensor of any shape per scale.

    Returns:
        A scalar: the mean within each scale, summed over the scales.
    """
    return _sum(_towards_real(kind, logits) for logits in fake)


def discriminator_gan_loss(kind: GanLoss, real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
    """The adversarial loss that the discriminator minimises: real plus fake, not halved.

    For ``wgangp`` this is mean(D(fake)) − mean(D(real)); add `gradient_penalty`.

    Returns:
        A scalar: the mean within each scale, summed over the scales.
    """
    real_term, fake_term = discriminator_gan_terms(kind, real, fake)
    return fake_term + real_term


def discriminator_gan_terms(kind: GanLoss, real: Sequence[Tensor], fake: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """The two parts of `discriminator_gan_loss`: that of the real images and that of the fakes."""
    pairs = list(zip(real, fake, strict=True))
    if kind == "hinge":
        return _sum(F.relu(1 - r).mean() for r, _ in pairs), _sum(F.relu(1 + f).mean() for _, f in pairs)
    return _sum(_towards_real(kind, r) for r, _ in pairs), _sum(_towards_fake(kind, f) for _, f in pairs)


def _towards_real(kind: GanLoss, logits: Tensor) -> Tensor:
    match kind:
        case "lsgan":
            return (logits - 1).square().mean()
        case "bce":
            return -F.logsigmoid(logits).mean()
        case "hinge" | "wgangp":
            return -logits.mean()


def _towards_fake(kind: GanLoss, logits: Tensor) -> Tensor:
    match kind:
        case "lsgan":
            return logits.square().mean()
        case "bce":
            return -F.logsigmoid(-logits).mean()
        case "hinge" | "wgangp":
            return logits.mean()


def gradient_penalty(
    discriminate: Callable[[Tensor], Sequence[Tensor]], real: Tensor, fake: Tensor, mix: Tensor
) -> Tensor:
    """WGAN-GP's penalty (1704.00028, eq. 3): (‖∇ D(x̂)‖₂ − 1)² at x̂ = mix·real + (1 − mix)·fake.

    Args:
        discriminate: From images to logits per scale; each scale's mean over its map is one critic.
        real: ``(N, C, H, W)``.
        fake: ``(N, C, H, W)``.
        mix: ``(N,)``, in [0, 1].

    Returns:
        A scalar: the mean over the batch, summed over the scales.
    """
    weight = mix.to(real.dtype)[:, None, None, None]
    mixed = (weight * real + (1 - weight) * fake).detach().requires_grad_(True)
    penalties = []
    for logits in discriminate(mixed):
        critic = logits.flatten(1).mean(1).sum()
        (gradient,) = torch.autograd.grad(critic, mixed, create_graph=True)
        penalties.append((gradient.flatten(1).norm(dim=1) - 1).square().mean())
    return _sum(penalties)


def feature_matching(made: Sequence[Sequence[Tensor]], real: Sequence[Sequence[Tensor]]) -> Tensor:
    """The distance of pairs in the maps of their discriminator (pix2pixHD, 1711.11585, eq. 4).

    Args:
        made: Of every scale the maps behind its layers, ``(N, C, h, w)``, any precision.
        real: Those of the ground truths, likewise; no gradient reaches them.

    Returns:
        A scalar, at least float32: mean |made − real| of each layer, the mean over the layers (where the paper has the
        sum), summed over the scales.
    """
    scales = []
    for made_maps, real_maps in zip(made, real, strict=True):
        pairs = zip(made_maps, real_maps, strict=True)
        scales.append(
            torch.stack([(full_precision(m) - full_precision(r.detach())).abs().mean() for m, r in pairs]).mean()
        )
    return _sum(scales)


def kl_divergence(mu: Tensor, logvar: Tensor) -> Tensor:
    """KL(N(mu, exp(logvar)) ‖ N(0, 1)) of each dimension (1312.6114, appendix B): −½(1 + logvar − mu² − e^logvar).

    Args:
        mu: ``(N, D)``.
        logvar: ``(N, D)``.

    Returns:
        ``(N, D)``, at least 0; not reduced.
    """
    return -0.5 * (1 + logvar - mu.square() - logvar.exp())


def patch_nce(query: Tensor, target: Tensor, *, temperature: float, valid: Tensor | None = None) -> Tensor:
    """PatchNCE (2007.15651, eq. 3): cross-entropy of finding the right location among all locations of the same image.

    −log(exp(q_i·k_i / τ) / Σ_j exp(q_i·k_j / τ)), with the q and k of length one.

    Args:
        query: ``(N, P, C)``, vectors of the output at P locations.
        target: ``(N, P, C)``, vectors of the input at the same locations; give it without gradient.
        temperature: τ.
        valid: ``(N, P)``, bool: the locations that count, as queries and as those that they are told from; None: all.

    Returns:
        A scalar: the mean over locations and images, 0 where none counts. It is at most ln P for vectors that are all
        alike.
    """
    with torch.autocast(query.device.type, enabled=False):
        similarity = torch.bmm(query, target.transpose(1, 2)) / temperature
        n, p, _ = similarity.shape
        right = torch.arange(p, device=similarity.device).expand(n, p)
        if valid is None:
            return F.cross_entropy(similarity.flatten(0, 1), right.flatten())
        similarity = similarity.masked_fill(~valid[:, None, :], _NEVER)
        right = right.where(valid, _IGNORED).flatten()
        total = F.cross_entropy(similarity.flatten(0, 1), right, ignore_index=_IGNORED, reduction="sum")
        return total / valid.sum().clamp_min(1)


def mode_seeking(
    first: Tensor, second: Tensor, z_first: Tensor, z_second: Tensor, *, weights: Tensor | None = None
) -> Tensor:
    """The mode-seeking regulariser (MSGAN, 1903.05628): 1 / (d(images) / d(latents) + 10⁻⁵), d the mean |difference|.

    Deviation, equal for one pair of images: d is that of each pair, and the mean over pairs comes last; the authors'
    code takes d over the whole batch. So a batch that is split over processes gives the same number.

    Args:
        first: Images of the latents `z_first`, ``(N, C, H, W)``.
        second: Images of the same inputs with the latents `z_second`, likewise.
        z_first: ``(N, D)``.
        z_second: ``(N, D)``.
        weights: What pixels weigh, ``(N, 1, H, W)``, with a mean of one; None: all the same.

    Returns:
        A scalar, positive; small where other latents give other images.
    """
    distance = (second - first).abs()
    distance = distance if weights is None else distance * weights
    ratio = distance.flatten(1).mean(1) / (z_second - z_first).abs().mean(1)
    return (1 / (ratio + MODE_SEEKING_EPSILON)).mean()


def _sum(terms: Iterable[Tensor]) -> Tensor:
    return torch.stack(list(terms)).sum()
