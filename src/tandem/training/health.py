"""Latent health: does the latent change the output, and can it be recovered?

Measured on fixed inputs with fixed latents, so that the numbers of one run can be compared over time.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tandem.data.check_images import SPREAD_SIZE
from tandem.data.contrast import contrast, detail
from tandem.networks.pair_encoder import encode_pair
from tandem.objectives.losses import kl_divergence
from tandem.prior.distributions import NORMAL_GUESS_ERROR
from tandem.report.records import LatentFacts, LatentHealth, Level

IGNORED_BELOW = 0.02
"""A diversity ratio under which the samples of one input look alike."""
WEAK_BELOW = 0.08
FAR_FROM = 3.0
"""Nats between the latents of training images and the prior from which samples may fall between the looks: at 2.3 nats
another prior changed nothing (docs/experiments.md)."""


@dataclass(frozen=True)
class Sampling:
    """What makes the samples of one input differ, the same for every input and every measurement.

    Attributes:
        z: Latents, ``(M, latent_dim)``; the dimension is 0 without a latent.
        seeds: One for each sample, for dropout; None where the generator has no noise of its own.
        real_spread: See `LatentHealth`.
        guess_error: The error of who guesses the prior's mean for every latent.
        latents: What is known of the latents of training images; None without an encoder.
        trains_on_draws: Whether the generator is trained with draws from N(0, I) too.
    """

    z: Tensor
    seeds: Sequence[int] | None
    real_spread: float
    guess_error: float = NORMAL_GUESS_ERROR
    latents: LatentFacts | None = None
    trains_on_draws: bool = False

    def samples(self, generator: nn.Module, a: Tensor) -> Tensor:
        """Sample one input ``(1, C, H, W)``: ``(M, C, H, W)``, or a single one where nothing makes them differ."""
        if self.z.shape[1]:
            return generator(a.expand(len(self.z), -1, -1, -1), self.z)
        if self.seeds is None:
            return generator(a)
        images = []
        # Batch norm takes the statistics of the image itself, and dropout a seed of its own, so one at a time.
        with torch.random.fork_rng(devices=[a.device] if a.device.type == "cuda" else []):
            for seed in self.seeds:
                torch.manual_seed(seed)
                images.append(generator(a))
        return torch.cat(images)


@torch.no_grad()
def measure_health(
    generator: nn.Module, encoder: nn.Module | None, a: Tensor, b: Tensor, *, sampling: Sampling
) -> tuple[LatentHealth, Tensor, Tensor]:
    """Measure on fixed pairs and latents.

    Args:
        generator: From (a, z) to b, in the state of sampling.
        encoder: From b, or from a and b, to (mu, logvar), likewise, or None.
        a: Inputs, ``(N, C, H, W)``, [-1, 1].
        b: Their true outputs, likewise.
        sampling: Latents and seeds of M samples.

    Returns:
        The measurement; the samples ``(N, M, C, H, W)``, M = 1 where nothing makes them differ; the reconstructions
        G(a, mu(E(b))) ``(N, C, H, W)`` (without an encoder the first sample).
    """
    z, real_spread = sampling.z, sampling.real_spread
    samples, reconstructions, posteriors, errors = [], [], [], []
    for one_a, one_b in zip(a.split(1), b.split(1), strict=True):
        images = sampling.samples(generator, one_a)
        samples.append(images)
        if encoder is None:
            reconstructions.append(images[:1])
            continue
        mu, logvar = encode_pair(encoder, one_a, one_b)
        posteriors.append(kl_divergence(mu, logvar))
        reconstructions.append(generator(one_a, mu))
        read_back, _ = encode_pair(encoder, one_a.expand(len(images), -1, -1, -1), images)
        errors.append((read_back - z).abs().mean())
    sampled, reconstructed = torch.stack(samples), torch.cat(reconstructions)
    diversity = pairwise_distance(sampled)
    ratio = diversity / max(real_spread, 1e-12)
    error = torch.stack(errors).mean().item() if errors else None
    verdict, level = _verdict(ratio, error, sampling)
    health = LatentHealth(
        diversity=diversity,
        real_spread=real_spread,
        diversity_ratio=ratio,
        kl_per_dimension=tuple(torch.cat(posteriors).mean(0).tolist()) if posteriors else (),
        recovered_z_error=error,
        recovered_z_chance=sampling.guess_error,
        fixed_l1=(reconstructed - b).abs().mean().item(),
        verdict=verdict,
        level=level,
        latents=sampling.latents,
        **beside_real(sampled.flatten(0, 1), b),
    )
    return health, sampled, reconstructed


def beside_real(outputs: Tensor, reals: Tensor) -> dict[str, float | None]:
    """``contrast`` and ``detail`` of outputs divided by those of real images; None where these have none.

    Args:
        outputs: ``(N, C, H, W)``, [-1, 1].
        reals: ``(M, C, H, W)``, likewise.
    """
    found: dict[str, float | None] = {}
    for name, measure in (("contrast", contrast), ("detail", detail)):
        real = measure(reals.float()).mean().item()
        found[name] = measure(outputs.float()).mean().item() / real if real > 0 else None
    return found


def pairwise_distance(samples: Tensor) -> float:
    """Mean absolute distance between the samples of one input.

    Args:
        samples: ``(N, M, C, H, W)``, [-1, 1]; compared at 64×64 px.

    Returns:
        The mean over all N inputs and all M(M−1)/2 pairs, in [0, 2]; 0 for single samples.
    """
    n, m, c, h, w = samples.shape
    if m < 2:
        return 0.0
    side = (SPREAD_SIZE, SPREAD_SIZE)
    flat = samples.reshape(n * m, c, h, w).float()
    if (h, w) != side:
        flat = F.interpolate(flat, side, mode="bicubic", align_corners=False, antialias=True)
    small = flat.reshape(n, m, -1)
    first, second = torch.triu_indices(m, m, offset=1).unbind()
    return (small[:, first] - small[:, second]).abs().mean().item()


def _verdict(ratio: float, error: float | None, sampling: Sampling) -> tuple[str, Level]:
    if not math.isfinite(ratio):
        return "The samples hold values that are not finite: the weights have diverged.", "warning"
    percent = f"{100 * ratio:.1f} % of the distance between real images"
    if not sampling.z.shape[1]:
        dropout = f"Dropout is the only noise: samples of one input differ by {percent}."
        single = "The model gives one output for an input: it has neither a latent nor dropout."
        return (single if sampling.seeds is None else dropout), "info"
    if sampling.real_spread == 0:
        return "All training images are alike (or there is one only): there is no scale for diversity.", "info"
    verdict, level = _latent_verdict(ratio, error, percent, chance=sampling.guess_error)
    if sampling.latents is None:
        return verdict, level
    remark, is_far = _prior_verdict(sampling.latents, sampling.z.shape[1], known=sampling.trains_on_draws)
    return f"{verdict} {remark}", "info" if is_far and level == "good" else level


def _prior_verdict(latents: LatentFacts, latent_dim: int, *, known: bool) -> tuple[str, bool]:
    """A sentence about the latents of training images, and whether they are too far from what samples are drawn from.

    They are not where the generator has learned that as well: `known`.
    """
    used = f"The latents of training images use {latents.active} of {latent_dim} dimensions"
    if latents.distance is None or latents.distance < FAR_FROM or not latents.active:
        return f"{used}.", False
    if known:
        return f"{used} and are {latents.distance:.1f} nats from {latents.prior}.", False
    mend = "more --prior-components" if latents.prior.startswith("a mixture") else "--prior mixture"
    return (
        f"{used} and are {latents.distance:.1f} nats from {latents.prior}, so that samples may fall between the "
        f"looks: {mend} draws them where the latents are ('tandem prior' fits it to this run).",
        True,
    )


def _latent_verdict(ratio: float, error: float | None, percent: str, *, chance: float) -> tuple[str, Level]:
    if ratio < IGNORED_BELOW:
        return (
            f"z is being ignored: samples of one input differ by only {percent}. Early in training that is normal; "
            "if it stays so, raise --lambda-z or lower --lambda-kl and --lambda-l1.",
            "warning",
        )
    if error is not None and error > 0.95 * chance:
        return (
            f"Samples of one input differ by {percent}, but the encoder cannot tell their latents apart "
            f"(error {error:.2f}, a guess that is always the same has {chance:.2f}).",
            "warning",
        )
    if ratio < WEAK_BELOW:
        return f"z is used weakly so far: samples of one input differ by {percent}.", "info"
    return f"z is used: samples of one input differ by {percent}.", "good"
