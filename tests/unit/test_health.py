"""Latent health on networks whose numbers follow by hand."""

import itertools

import pytest
import torch
from torch import Tensor, nn

from tandem.config.specifications import PairEncoderSpec
from tandem.networks.pair_encoder import PairEncoder
from tandem.objectives.losses import kl_divergence
from tandem.prior.distributions import NORMAL_GUESS_ERROR
from tandem.report.records import LatentFacts, LatentHealth
from tandem.training.health import FAR_FROM, Sampling, measure_health, pairwise_distance


class Painter(nn.Module):
    """G(a, z): a, brightened by strength · z₀."""

    def __init__(self, strength: float) -> None:
        super().__init__()
        self.strength = strength

    def forward(self, a: Tensor, z: Tensor) -> Tensor:
        return a + self.strength * z[:, :1, None, None]


class Reader(nn.Module):
    """E(b): mu = (mean of b / scale, 0), logvar = −1."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, b: Tensor) -> tuple[Tensor, Tensor]:
        mean = b.mean((1, 2, 3)) / self.scale
        mu = torch.stack([mean, torch.zeros_like(mean)], 1)
        return mu, torch.full_like(mu, -1.0)


A = torch.zeros(2, 3, 32, 32)
B = torch.stack([torch.full((3, 32, 32), 0.2), torch.full((3, 32, 32), -0.4)])
Z = torch.tensor([[1.0, 0.5], [-0.5, 0.25], [2.0, -1.0]])


def measure(strength: float = 0.1, *, spread: float = 0.5) -> LatentHealth:
    return measure_health(Painter(strength), Reader(strength), A, B, sampling=Sampling(Z, None, spread))[0]


def test_every_number() -> None:
    health, samples, reconstructions = measure_health(Painter(0.1), Reader(0.1), A, B, sampling=Sampling(Z, None, 0.5))
    distances = [0.1 * abs(x - y) for x, y in itertools.combinations((1.0, -0.5, 2.0), 2)]
    assert health.diversity == pytest.approx(sum(distances) / 3, rel=1e-5)
    assert health.diversity_ratio == pytest.approx(sum(distances) / 3 / 0.5, rel=1e-5)
    assert health.real_spread == 0.5
    # mu(E(G(0, z))) = (z₀, 0)
    assert health.recovered_z_error == pytest.approx((0.5 + 0.25 + 1.0) / 6, rel=1e-5)
    # mu(E(B)) = (±mean(B) / 0.1, 0) paints B back
    assert health.fixed_l1 == pytest.approx(0.0, abs=1e-6)
    expected = kl_divergence(torch.tensor([[2.0, 0.0], [-4.0, 0.0]]), torch.full((2, 2), -1.0)).mean(0)
    assert health.kl_per_dimension == pytest.approx(expected.tolist(), rel=1e-5)
    assert samples.shape == (2, 3, 3, 32, 32)
    torch.testing.assert_close(samples[1, 2], torch.full((3, 32, 32), 0.2))
    torch.testing.assert_close(reconstructions, B)
    assert health.as_json()["fixed_l1"] == health.fixed_l1


def test_without_an_encoder() -> None:
    health, samples, reconstructions = measure_health(Painter(0.1), None, A, B, sampling=Sampling(Z, None, 0.5))
    assert health.kl_per_dimension == ()
    assert health.recovered_z_error is None
    assert torch.equal(reconstructions, samples[:, 0])
    assert health.fixed_l1 == pytest.approx((abs(0.1 - 0.2) + abs(0.1 + 0.4)) / 2, rel=1e-5)


def test_chance_is_the_error_of_a_guess_of_zero() -> None:
    z = torch.randn(200_000, generator=torch.Generator().manual_seed(0))
    assert z.abs().mean().item() == pytest.approx(NORMAL_GUESS_ERROR, rel=5e-3)


@pytest.mark.parametrize(
    ("ratio", "level", "words"),
    [
        (0.001, "warning", "z is being ignored: samples of one input differ by only 0.1 %"),
        (0.019, "warning", "z is being ignored"),
        (0.021, "info", "z is used weakly so far"),
        (0.079, "info", "z is used weakly so far"),
        (0.081, "good", "z is used: samples of one input differ by 8.1 %"),
    ],
)
def test_verdicts(ratio: float, level: str, words: str) -> None:
    diversity = measure().diversity
    health = measure(spread=diversity / ratio)
    assert health.level == level
    assert words in health.verdict


def test_latents_that_the_encoder_cannot_tell_apart() -> None:
    health, _, _ = measure_health(Painter(0.1), Reader(1e6), A, B, sampling=Sampling(Z * 2, None, 0.5))
    assert health.level == "warning"
    assert "the encoder cannot tell their latents apart" in health.verdict


def test_images_that_are_not_finite_are_no_good_news() -> None:
    health = measure(float("nan"))
    assert health.level == "warning"


def test_training_is_not_disturbed() -> None:
    network = nn.Conv2d(3, 3, 1)

    class Wrapped(Painter):
        def forward(self, a: Tensor, z: Tensor) -> Tensor:
            return network(a) + super().forward(a, z)

    _, samples, _ = measure_health(Wrapped(0.1), Reader(0.1), A, B, sampling=Sampling(Z, None, 0.5))
    assert not samples.requires_grad
    assert network.weight.grad is None


@pytest.mark.parametrize("size", [(64, 64), (32, 48), (100, 64), (256, 256)])
def test_pairwise_distance_of_flat_images(size: tuple[int, int]) -> None:
    """The mean over inputs of the mean over pairs, whatever the size."""
    values = torch.tensor([[0.0, 0.5, -0.25], [1.0, 1.0, 0.0]])
    samples = values[:, :, None, None, None].expand(2, 3, 3, *size)
    assert pairwise_distance(samples) == pytest.approx((0.5 + 0.25 + 0.75 + 0.0 + 1.0 + 1.0) / 6, rel=1e-5)


def test_pairwise_distance_is_at_64_px() -> None:
    """Detail above the resolution does not count as diversity."""
    bars = torch.stack([(torch.arange(256) % 4 == phase).float().expand(256, 256) for phase in (1, 3)])
    samples = bars[None, :, None]
    assert pairwise_distance(samples) < 0.05
    assert pairwise_distance(samples[..., :64, :64]) == pytest.approx(0.5)


def test_without_a_spread_of_real_images_there_is_no_verdict_on_diversity() -> None:
    class Flat(nn.Module):
        def forward(self, a: Tensor, z: Tensor) -> Tensor:
            return z[:, :1, None, None].expand(len(z), *a.shape[1:])

    a, z = torch.zeros(1, 3, 64, 64), torch.tensor([[0.0], [1.0]])
    health, _, _ = measure_health(Flat(), None, a, a, sampling=Sampling(z, None, 0.0))
    assert health.level == "info"
    assert "no scale" in health.verdict


def test_a_guess_is_one_of_the_prior_s_mean() -> None:
    """The same error says nothing where the prior is narrow."""
    narrow = Sampling(Z, None, 0.5, guess_error=0.3)
    health, _, _ = measure_health(Painter(0.1), Reader(0.1), A, B, sampling=narrow)
    assert measure().level == "good"
    assert health.level == "warning"
    assert "a guess that is always the same has 0.30" in health.verdict


def with_latents(prior: str, distance: float | None, active: int = 2) -> LatentHealth:
    facts = LatentFacts(prior=prior, distance=distance, active=active, images=50)
    sampling = Sampling(Z, None, 0.5, guess_error=5.0, latents=facts)
    return measure_health(Painter(0.1), Reader(0.1), A, B, sampling=sampling)[0]


@pytest.mark.parametrize(
    ("prior", "distance", "active", "words"),
    [
        ("N(0, I)", 9.12, 2, "use 2 of 2 dimensions and are 9.1 nats from N(0, I), so that samples may fall between"),
        ("N(0, I)", 9.12, 1, "--prior mixture draws them where the latents are ('tandem prior' fits it to this run)."),
        (
            "a Gaussian",
            4.5,
            1,
            "4.5 nats from a Gaussian, so that samples may fall between the looks: --prior mixture ",
        ),
        (
            "a mixture of 4 Gaussians",
            4.5,
            1,
            "4.5 nats from a mixture of 4 Gaussians, so that samples may fall between",
        ),
        ("a mixture of 4 Gaussians", 4.5, 1, "the looks: more --prior-components draws them where the latents are"),
    ],
)
def test_latents_far_from_the_prior_are_named_with_what_mends_it(
    prior: str, distance: float, active: int, words: str
) -> None:
    health = with_latents(prior, distance, active)
    assert words in health.verdict
    assert health.level == "info"
    assert health.recovered_z_chance == 5.0


def test_draws_that_the_generator_is_trained_with_are_no_cause_for_concern() -> None:
    facts = LatentFacts(prior="N(0, I)", distance=4.24, active=2, images=50)
    sampling = Sampling(Z, None, 0.5, latents=facts, trains_on_draws=True)
    health, _, _ = measure_health(Painter(0.1), Reader(0.1), A, B, sampling=sampling)
    assert health.verdict.endswith(
        "The latents of training images use 2 of 2 dimensions and are 4.2 nats from N(0, I)."
    )
    assert health.level == measure().level == "good"


@pytest.mark.parametrize(("distance", "active"), [(FAR_FROM - 0.01, 2), (None, 2), (9.0, 0)])
def test_other_latents_are_no_cause_for_concern(distance: float | None, active: int) -> None:
    """Near the prior, or too few images to say, or all in one place: then nothing lies between."""
    health = with_latents("N(0, I)", distance, active)
    assert health.verdict.endswith(f"The latents of training images use {active} of 2 dimensions.")
    assert health.level == measure().level
    assert measure().latents is None


def test_an_encoder_that_sees_the_inputs_gets_them() -> None:
    """Its mu is the mean of A, which an encoder of B alone cannot know."""
    spec = PairEncoderSpec(in_channels=3, input_channels=3, latent_dim=2, depth=2, filters=4)

    class OfInputs(PairEncoder):
        def forward(self, b: Tensor, a: Tensor | None = None, known: Tensor | None = None) -> tuple[Tensor, Tensor]:
            del known
            assert a is not None
            assert a.shape == b.shape
            mu = a.mean((1, 2, 3))[:, None].expand(-1, 2)
            return mu, torch.zeros_like(mu)

    health, _, _ = measure_health(Painter(0.1), OfInputs(spec), A + 0.5, B, sampling=Sampling(Z, None, 0.5))
    assert health.recovered_z_error == pytest.approx((Z - 0.5).abs().mean().item())
