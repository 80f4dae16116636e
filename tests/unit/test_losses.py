"""Losses against numbers worked out by hand and against PyTorch's own distributions."""

import math

import pytest
import torch
from torch import Tensor, nn

from tandem.networks.patchgan import PatchDiscriminator, PatchDiscriminatorSpec
from tandem.objectives.losses import (
    discriminator_gan_loss,
    feature_matching,
    generator_gan_loss,
    gradient_penalty,
    kl_divergence,
)

# Two scales of different sizes: the mean within each, the sum over both.
FAKE = [torch.tensor([[[[0.5, -1.0]]]]), torch.tensor([[[[2.0]]]])]
REAL = [torch.tensor([[[[3.0, 0.0]]]]), torch.tensor([[[[-0.5]]]])]


def softplus(x: float) -> float:
    return math.log(1 + math.exp(x))


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("lsgan", (0.25 + 4.0) / 2 + 1.0),
        ("bce", (softplus(-0.5) + softplus(1.0)) / 2 + softplus(-2.0)),
        ("hinge", 0.25 - 2.0),
        ("wgangp", 0.25 - 2.0),
    ],
)
def test_generator_loss(kind: str, expected: float) -> None:
    assert generator_gan_loss(kind, FAKE).item() == pytest.approx(expected, rel=1e-6)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("lsgan", (4.0 + 1.0) / 2 + (0.25 + 1.0) / 2 + 2.25 + 4.0),
        (
            "bce",
            (softplus(-3.0) + softplus(0.0)) / 2 + (softplus(0.5) + softplus(-1.0)) / 2 + softplus(0.5) + softplus(2.0),
        ),
        ("hinge", (0.0 + 1.0) / 2 + (1.5 + 0.0) / 2 + 1.5 + 3.0),
        ("wgangp", -0.25 - 1.5 + 2.0 + 0.5),
    ],
)
def test_discriminator_loss(kind: str, expected: float) -> None:
    assert discriminator_gan_loss(kind, REAL, FAKE).item() == pytest.approx(expected, rel=1e-6)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["lsgan", "bce", "hinge", "wgangp"])
def test_losses_point_the_right_way(kind: str) -> None:
    """The generator raises logits of fakes; the discriminator lowers those and raises those of real images."""
    fake, real = torch.full((2, 1, 3, 3), 0.2, requires_grad=True), torch.full((2, 1, 3, 3), -0.3, requires_grad=True)
    (by_generator,) = torch.autograd.grad(generator_gan_loss(kind, [fake]), fake)  # type: ignore[arg-type]
    loss = discriminator_gan_loss(kind, [real], [fake])  # type: ignore[arg-type]
    on_real, on_fake = torch.autograd.grad(loss, [real, fake])
    assert (by_generator < 0).all()
    assert (on_real < 0).all()
    assert (on_fake > 0).all()


def test_bce_of_extreme_logits_is_finite() -> None:
    far = [torch.tensor([[1000.0, -1000.0]])]
    assert generator_gan_loss("bce", far).item() == pytest.approx(500.0)
    assert discriminator_gan_loss("bce", far, far).item() == pytest.approx(1000.0)


def test_scales_of_real_and_fake_must_match() -> None:
    for kind in ("lsgan", "hinge"):
        with pytest.raises(ValueError, match="zip"):
            discriminator_gan_loss(kind, REAL, FAKE[:1])  # type: ignore[arg-type]


def test_kl_equals_that_of_torch_distributions() -> None:
    generator = torch.Generator().manual_seed(0)
    mu, logvar = (2 * torch.randn((5, 3), generator=generator, dtype=torch.float64) for _ in range(2))
    normal = torch.distributions.Normal
    expected = torch.distributions.kl_divergence(normal(mu, (0.5 * logvar).exp()), normal(0.0, 1.0))
    torch.testing.assert_close(kl_divergence(mu, logvar), expected, rtol=1e-12, atol=1e-14)
    assert torch.equal(kl_divergence(torch.zeros(1, 2), torch.zeros(1, 2)), torch.zeros(1, 2))


class LinearCritic(nn.Module):
    """D(x) = ⟨w, x⟩ as a 1 × 1 map, at each of some scales w: the slope is w everywhere."""

    def __init__(self, *weights: Tensor) -> None:
        super().__init__()
        self.weights = nn.ParameterList(weights)

    def forward(self, x: Tensor) -> list[Tensor]:
        return [(x * w).sum((1, 2, 3)).view(-1, 1, 1, 1) for w in self.weights]


def test_gradient_penalty_of_a_linear_critic() -> None:
    torch.manual_seed(0)
    w1, w2 = torch.randn(2, 4, 4, dtype=torch.float64), 0.1 * torch.randn(2, 4, 4, dtype=torch.float64)
    critic = LinearCritic(w1, w2)
    real, fake = torch.randn(2, 3, 2, 4, 4, dtype=torch.float64).unbind()
    penalty = gradient_penalty(critic, real, fake, torch.tensor([0.0, 0.3, 1.0]))
    expected = (w1.norm() - 1) ** 2 + (w2.norm() - 1) ** 2
    torch.testing.assert_close(penalty, expected)
    slopes = torch.autograd.grad(penalty, list(critic.weights))
    for slope, w in zip(slopes, (w1, w2), strict=True):
        torch.testing.assert_close(slope, 2 * (w.norm() - 1) * w / w.norm())


def test_gradient_penalty_is_taken_between_real_and_fake() -> None:
    """D(x) = ½‖x‖² has the slope x: the penalty shows at which point it was taken."""
    real, fake = torch.full((2, 1, 2, 2), 3.0), torch.full((2, 1, 2, 2), -1.0)
    mix = torch.tensor([0.25, 1.0])
    penalty = gradient_penalty(lambda x: [x.square().sum((1, 2, 3)).view(-1, 1, 1, 1) / 2], real, fake, mix)
    at = [0.25 * 3.0 - 0.75, 3.0]
    assert penalty.item() == pytest.approx(sum((2 * abs(x) - 1) ** 2 for x in at) / 2)


def test_gradient_penalty_averages_the_map() -> None:
    """A critic with a map counts as the mean of its map, or the penalty would depend on the image's size."""
    critic = nn.Conv2d(1, 1, 1, bias=False)
    nn.init.constant_(critic.weight, 8.0)
    real, fake = torch.randn(2, 3, 1, 4, 4).unbind()
    penalty = gradient_penalty(lambda x: [critic(x)], real, fake, torch.rand(3))
    assert penalty.item() == pytest.approx((8.0 / 4 - 1) ** 2, rel=1e-5)


@pytest.mark.parametrize("norm", ["instance", "instance_affine", "none"])
def test_gradient_penalty_has_a_gradient_through_the_discriminator(norm: str) -> None:
    """Double backward through instance norm, against differences."""
    torch.manual_seed(0)
    spec = PatchDiscriminatorSpec(in_channels=1, filters=2, layers=2, scales=2, norm=norm)  # type: ignore[arg-type]
    discriminator = PatchDiscriminator(spec).double()
    real, fake = torch.randn(2, 2, 1, 32, 32, dtype=torch.float64).unbind()
    mix = torch.tensor([0.2, 0.9])
    weight = discriminator.sub_discriminators[0][1].conv.weight  # type: ignore[index, union-attr]
    (gradient,) = torch.autograd.grad(gradient_penalty(discriminator, real, fake, mix), weight)
    direction = torch.randn_like(weight)
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            weight.add_(sign * 1e-5 * direction)
        values.append(gradient_penalty(discriminator, real, fake, mix).item())
        with torch.no_grad():
            weight.sub_(sign * 1e-5 * direction)
    assert (values[0] - values[1]) / 2e-5 == pytest.approx((gradient * direction).sum().item(), rel=1e-4)


def test_gradient_penalty_of_a_flat_critic_is_finite() -> None:
    weight = torch.zeros(1, requires_grad=True)
    penalty = gradient_penalty(
        lambda x: [(x * weight).sum((1, 2, 3)).view(-1, 1, 1, 1)],
        torch.ones(1, 1, 2, 2),
        torch.ones(1, 1, 2, 2),
        torch.ones(1),
    )
    penalty.backward()
    assert penalty.item() == 1.0
    assert weight.grad is not None
    assert torch.isfinite(weight.grad).all()


def test_feature_matching() -> None:
    """The mean over the layers of each scale, the sum over the scales; no gradient reaches the ground truths."""
    made = [[torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0]])], [torch.tensor([[4.0]], dtype=torch.bfloat16)]]
    real = [[torch.tensor([[0.0, 5.0]]), torch.tensor([[-3.0]])], [torch.tensor([[3.5]], dtype=torch.bfloat16)]]
    for one in (*made[0], *real[0]):
        one.requires_grad_(True)
    loss = feature_matching(made, real)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(((1 + 3) / 2 + 3) / 2 + 0.5)
    loss.backward()
    assert all(one.grad is None for one in real[0])
    assert made[0][0].grad is not None
    assert made[0][0].grad.tolist() == [[0.25, -0.25]]
