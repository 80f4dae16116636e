"""BicycleGAN as an objective: which networks, terms and gradients there are for which weights.

What a step computes is held against two other implementations in tests/numeric/test_step_oracles.py.
"""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tandem.config.bicyclegan import BicycleGANConfig
from tandem.config.data import DataConfig
from tandem.config.run import RunConfig
from tandem.config.training import TrainingConfig
from tandem.objectives.bicyclegan import BicycleGAN, Fakes
from tandem.objectives.build import build_objective
from tandem.objectives.objective import frozen
from tandem.training.step import owned_once

SIZES = {"latent_dim": 2, "generator_filters": 2, "encoder_filters": 2, "discriminator_filters": 2}
DATA = DataConfig(size=32)


def objective(**options: Any) -> BicycleGAN:
    return BicycleGAN(BicycleGANConfig(**(SIZES | {"discriminator_scales": 1} | options)), DATA)


def batch(size: int = 4, seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    images = {name: 2 * torch.rand((size, 3, 32, 32), generator=generator) - 1 for name in ("a", "b")}
    latents = {name: torch.randn((size // 2, 2), generator=generator) for name in ("eps", "z_random")}
    return images | latents | {"mix": torch.rand(size // 2, generator=generator)}


def terms_of(method: BicycleGAN) -> dict[str, list[str]]:
    given = batch()
    fakes = method.fakes(given)
    return {phase.name: sorted(phase.loss(given, fakes)) for phase in method.phases}


ALL = ["gan_encoded", "gan_random", "kl", "l1", "latent"]


@pytest.mark.parametrize(
    ("options", "networks", "generator_terms"),
    [
        ({}, "generator encoder disc_encoded disc_random", ALL),
        ({"lambda_gan": 0.0}, "generator encoder disc_random", ["gan_random", "kl", "l1", "latent"]),
        ({"lambda_gan2": 0.0}, "generator encoder disc_encoded", ["gan_encoded", "kl", "l1", "latent"]),
        ({"lambda_z": 0.0}, "generator encoder disc_encoded disc_random", ["gan_encoded", "gan_random", "kl", "l1"]),
        (
            {"lambda_kl": 0.0},
            "generator encoder disc_encoded disc_random",
            ["gan_encoded", "gan_random", "l1", "latent"],
        ),
        ({"lambda_gan": 0.0, "lambda_gan2": 0.0}, "generator encoder", ["kl", "l1", "latent"]),
        ({"shared_discriminator": True}, "generator encoder disc_encoded", ALL),
        # cVAE-GAN, cLR-GAN and pix2pix+noise, the ablations of the paper
        ({"lambda_gan2": 0.0, "lambda_z": 0.0}, "generator encoder disc_encoded", ["gan_encoded", "kl", "l1"]),
        (
            {"lambda_gan": 0.0, "lambda_l1": 0.0, "lambda_kl": 0.0, "latent_trains_encoder": True},
            "generator encoder disc_random",
            ["gan_random", "latent"],
        ),
        (
            {"lambda_gan": 0.0, "lambda_l1": 0.0, "lambda_kl": 0.0, "lambda_z": 0.0, "lambda_l1_random": 10.0},
            "generator disc_random",
            ["gan_random", "l1_random"],
        ),
    ],
)
def test_terms_without_weight_need_no_network(
    options: dict[str, Any], networks: str, generator_terms: list[str]
) -> None:
    method = objective(**options)
    assert list(method.networks) == networks.split()
    found = terms_of(method)
    assert found["generator"] == generator_terms
    seen = [name for name in ("disc_encoded", "disc_random") if f"gan_{name.removeprefix('disc_')}" in generator_terms]
    assert found.get("discriminator", []) == seen
    owned_once(method)
    assert method.inference_networks == tuple(name for name in ("generator", "encoder") if name in networks.split())


def test_gradient_penalty_is_a_term_of_its_own() -> None:
    names = ["disc_encoded", "disc_encoded_gp", "disc_random", "disc_random_gp"]
    assert terms_of(objective(gan_loss="wgangp"))["discriminator"] == names
    assert terms_of(objective(gan_loss="wgangp", lambda_gp=0.0))["discriminator"] == names[::2]


def test_fakes_that_no_loss_uses_are_not_made() -> None:
    given = batch()
    plain = objective(lambda_gan2=0.0, lambda_z=0.0).fakes(given)
    assert plain.random is None
    assert plain.encoded is not None
    noise = objective(lambda_gan=0.0, lambda_l1=0.0, lambda_kl=0.0, lambda_z=0.0).fakes(given)
    assert noise.encoded is None
    assert noise.mu is None
    assert noise.random is not None


@pytest.mark.parametrize("order", ["generator_first", "discriminator_first"])
def test_order_of_phases(order: str) -> None:
    names = [phase.name for phase in objective(update_order=order).phases]
    assert names == (["generator", "discriminator"] if order == "generator_first" else ["discriminator", "generator"])


def test_owned_once_finds_a_network_that_nobody_trains() -> None:
    method = objective()
    method.networks["stray"] = nn.Linear(1, 1)
    with pytest.raises(AssertionError, match="stray"):
        owned_once(method)


def test_fakes_are_made_from_the_first_half() -> None:
    method, given = objective(), batch()
    fakes = method.fakes(given)
    other = dict(given)
    for name in ("a", "b"):
        other[name] = torch.cat([given[name][:2], -given[name][2:]])
    again = method.fakes(other)
    assert fakes.encoded is not None
    assert again.encoded is not None
    assert torch.equal(fakes.encoded, again.encoded)
    mu, logvar = method.networks["encoder"](given["b"][:2])
    expected = method.networks["generator"](given["a"][:2], mu + given["eps"] * (0.5 * logvar).exp())
    torch.testing.assert_close(fakes.encoded, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("reduction", "samples"), [("sum", 1), ("sum", 3), ("mean", 1), ("mean", 3)])
def test_kl_reductions(reduction: str, samples: int) -> None:
    """Summed over dimensions and samples, or the mean of that over the samples: equal for one sample."""
    method = objective(kl_reduction=reduction, lambda_kl=0.5)
    mu, logvar = torch.tensor([[1.0, -2.0], [0.5, 0.0], [3.0, 1.0]])[:samples], torch.zeros(samples, 2)
    fakes = Fakes(encoded=None, random=None, mu=mu, logvar=logvar)
    expected = 0.5 * sum([2.5, 0.125, 5.0][:samples]) / (samples if reduction == "mean" else 1)
    assert method.generator_terms(batch(2 * samples), fakes)["kl"].item() == pytest.approx(expected)


def learns(network: nn.Module, loss: Tensor) -> bool:
    """Whether the loss has a gradient that is not zero (both fakes share one forward, so zeros are to be expected)."""
    found = torch.autograd.grad(loss, list(network.parameters()), retain_graph=True, allow_unused=True)
    return any(bool(gradient.any()) for gradient in found if gradient is not None)


def test_who_learns_from_which_term() -> None:
    """G and E from every term they are part of, but E not from the latent regression; D from its own phase only."""
    method, given = objective(), batch()
    fakes = method.fakes(given)
    terms = method.generator_terms(given, fakes)
    encoder, generator = method.networks["encoder"], method.networks["generator"]
    found = {name: learns(encoder, loss) for name, loss in terms.items()}
    assert found == {"gan_encoded": True, "l1": True, "kl": True, "gan_random": False, "latent": False}
    found = {name: learns(generator, loss) for name, loss in terms.items() if name != "kl"}
    assert found == {"gan_encoded": True, "l1": True, "gan_random": True, "latent": True}
    reused = method.discriminator_terms(given, fakes)
    for name, loss in method.discriminator_terms(given, method.fakes(given)).items():
        # The logits of the generator's phase are used again: the same value, the same gradient of the discriminator.
        torch.testing.assert_close(reused[name], loss, rtol=1e-4, atol=1e-5)
        assert learns(method.networks[name], reused[name])
        assert learns(method.networks[name], loss)
        for other in method.networks.keys() - {name}:
            found = torch.autograd.grad(
                loss, list(method.networks[other].parameters()), retain_graph=True, allow_unused=True
            )
            assert all(gradient is None for gradient in found), other


def test_frozen_restores_what_was_trained() -> None:
    network = nn.Linear(2, 2)
    network.bias.requires_grad_(False)
    with frozen(network):
        assert not any(parameter.requires_grad for parameter in network.parameters())
    assert network.weight.requires_grad
    with pytest.raises(ZeroDivisionError), frozen(network):
        _ = 1 / 0
    assert network.weight.requires_grad
    assert not network.bias.requires_grad


def test_draws_belong_to_positions() -> None:
    """The codes of a pair do not depend on the batch around it."""
    method = objective()
    whole = method.draw(7, [10, 11, 12, 13])
    assert {name: tuple(value.shape) for name, value in whole.items()} == {
        "eps": (2, 2),
        "z_random": (2, 2),
        "mix": (2,),
    }
    alone = method.draw(7, [11, 99])
    for name, value in whole.items():
        assert torch.equal(value[1:], alone[name])
        assert not torch.equal(value, method.draw(8, [10, 11, 12, 13])[name])
    assert not torch.equal(whole["eps"], whole["z_random"])


def test_mix_is_uniform() -> None:
    mix = objective().draw(0, range(2000))["mix"]
    assert mix.min() >= 0
    assert mix.max() <= 1
    counts = torch.histc(mix, 10, 0, 1)
    assert (counts - 100).abs().max() < 40


def test_weights_follow_from_the_seed() -> None:
    def weights(seed: int, **options: Any) -> dict[str, Tensor]:
        method = BicycleGANConfig(**(SIZES | options))
        config = RunConfig(data=DataConfig(size=64), objective=method, training=TrainingConfig(seed=seed))
        return build_objective(config).networks.state_dict()

    first, same, other = weights(1), weights(1), weights(2)
    assert all(torch.equal(value, same[key]) for key, value in first.items())
    changed = [key for key in first if key.endswith("weight")]
    assert all(not torch.equal(first[key], other[key]) for key in changed)
    assert not torch.equal(
        first["disc_encoded.sub_discriminators.0.0.conv.weight"],
        first["disc_random.sub_discriminators.0.0.conv.weight"],
    )
    # Networks have streams of their own: leaving one out leaves the others as they are.
    fewer = weights(1, lambda_gan=0.0)
    assert all(torch.equal(value, first[key]) for key, value in fewer.items())
