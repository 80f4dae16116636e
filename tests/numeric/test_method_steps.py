"""`train_step` of pix2pix, CycleGAN and CUT against plain implementations on literal networks, in float64."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from plain import LR, TandemStep, assert_same_gradients
from plain_methods import PlainCUT, PlainCycleGAN, PlainMethod, PlainPix2Pix
from torch import Tensor
from twins import perturb

from tandem.config.cut import CUTConfig
from tandem.config.cyclegan import CycleGANConfig
from tandem.config.data import DataConfig
from tandem.config.pix2pix import Pix2PixConfig
from tandem.config.variants import VARIANTS
from tandem.objectives.cut import CUT
from tandem.objectives.cyclegan import CycleGAN
from tandem.objectives.objective import Objective
from tandem.objectives.pix2pix import Pix2Pix

STEPS = 3
SIZES = {"generator_filters": 2, "discriminator_filters": 2}
SMALL = {**SIZES, "generator_blocks": 2, "discriminator_layers": 2}


def prepared(objective: Any) -> Any:
    """In float64, with weights and biases large enough that every term matters."""
    torch.manual_seed(0)
    objective.initialise(0)
    objective.networks.double().train()
    for network in objective.networks.values():
        perturb(network)
    return objective


def images(n: int, channels: tuple[int, int], size: int, step: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(step)
    return {
        name: 2 * torch.rand((n, c, size, size), generator=generator, dtype=torch.float64) - 1
        for name, c in zip("ab", channels, strict=True)
    }


def draws(objective: Objective, n: int, step: int) -> dict[str, Tensor]:
    drawn = objective.draw(0, range(n * step, n * step + n))
    return {name: tensor.double() if tensor.is_floating_point() else tensor for name, tensor in drawn.items()}


def assert_step(ours: TandemStep, theirs: PlainMethod, batch: Mapping[str, Any], extra: Mapping[str, Any]) -> None:
    """Terms and all gradients of one step; dropout draws the same numbers in both."""
    found = []
    for step, given in ((ours, batch), (theirs, {**batch, **extra})):
        torch.manual_seed(7)
        found.append(step(given))
    (terms, gradients), (expected, expected_gradients) = found
    assert terms.keys() == expected.keys()
    for key, value in expected.items():
        torch.testing.assert_close(terms[key], value, rtol=1e-9, atol=1e-12, msg=lambda m, k=key: f"{k}: {m}")
    assert_same_gradients(gradients, expected_gradients)


def assert_same_networks(objective: Objective, theirs: PlainMethod) -> None:
    """All weights and buffers, far below one step of Adam."""
    for name, expected in theirs.states().items():
        state = objective.networks[name].state_dict()
        assert state.keys() == expected.keys()
        for key, value in expected.items():
            # As in `plain.assert_same_state`; a bias without effect wanders with rounding, which Adam magnifies.
            atol = 1e-3 * LR if key.endswith(("weight", "bias")) else 1e-9
            torch.testing.assert_close(state[key], value, rtol=0, atol=atol, msg=lambda m, k=key: f"{k}: {m}")


PIX2PIX: dict[str, dict[str, Any]] = {
    "defaults": {"dropout": False},
    "instance": {"dropout": False, "norm": "instance"},
    "affine-hinge": {"dropout": False, "norm": "instance_affine", "gan_loss": "hinge"},
    "no-norm-lsgan": {"dropout": False, "norm": "none", "gan_loss": "lsgan"},
    "resnet": {"dropout": False, "generator": "resnet", "generator_blocks": 2},
    "resnet-instance": {"dropout": False, "generator": "resnet", "generator_blocks": 6, "norm": "instance"},
    "resnet-dropout": {"generator": "resnet", "generator_blocks": 2},
    "pixel": {"dropout": False, "discriminator": "pixel"},
    "pixel-instance": {"dropout": False, "discriminator": "pixel", "norm": "instance"},
    "1-layer": {"dropout": False, "discriminator_layers": 1},
    "2-layers": {"dropout": False, "discriminator_layers": 2},
    "other-weights": {"dropout": False, "lambda_gan": 0.3, "lambda_l1": 7.0},
    "l1-alone": {"dropout": False, "lambda_gan": 0.0},
    "gan-alone": {"dropout": False, "lambda_l1": 0.0},
}


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("name", PIX2PIX)
def test_pix2pix(name: str, n: int) -> None:
    check_pix2pix(PIX2PIX[name], n, 32)


@pytest.mark.parametrize("options", [{"dropout": True}, {"dropout": False, "discriminator_layers": 4}])
def test_pix2pix_with_dropout_and_a_deep_discriminator(options: dict[str, Any]) -> None:
    check_pix2pix(options, 2, 64)


def check_pix2pix(options: dict[str, Any], n: int, size: int) -> None:
    config, data = Pix2PixConfig(**(SIZES | options)), DataConfig(size=size, input_channels=1)
    assert list(config.problems(data, n)) == []
    objective = prepared(Pix2Pix(config, data))
    ours, theirs = TandemStep(objective), PlainPix2Pix(objective, config)
    for step in range(STEPS):
        assert_step(ours, theirs, images(n, (1, 3), size, step), {})
    assert_same_networks(objective, theirs)


CYCLEGAN: dict[str, dict[str, Any]] = {
    "defaults": {"generator_blocks": 6, "discriminator_layers": 3},
    "nine-blocks": {"generator_blocks": 9, "pool_size": 0},
    "no-identity": {"lambda_identity": 0.0},
    "other-weights": {"lambda_cycle_a": 3.0, "lambda_cycle_b": 5.0, "lambda_identity": 2.0},
    "one-cycle": {"lambda_cycle_a": 0.0},
    "unet": {"generator": "unet", "generator_blocks": None},
    "unet-bilinear-affine": {"generator": "unet", "generator_blocks": None, "norm": "instance_affine"},
    "1-layer-bce": {"discriminator_layers": 1, "gan_loss": "bce"},
    "pixel-hinge": {"discriminator": "pixel", "discriminator_layers": None, "gan_loss": "hinge"},
    "batch-norm": {"norm": "batch"},
    "no-norm": {"norm": "none"},
    "pool-of-2": {"pool_size": 2},
    "pool-of-1-batch-norm": {"pool_size": 1, "norm": "batch", "lambda_identity": 0.0},
}


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("name", CYCLEGAN)
def test_cyclegan(name: str, n: int) -> None:
    config = CycleGANConfig(**(SMALL | CYCLEGAN[name]))
    channels = (3, 3) if config.lambda_identity else (1, 2)
    data = DataConfig(size=32, input_channels=channels[0], output_channels=channels[1])
    assert list(config.problems(data, n)) == []
    objective = prepared(CycleGAN(config, data))
    ours, theirs = TandemStep(objective), PlainCycleGAN(objective, config)
    steps = 8 if 0 < config.pool_size < 3 and n == 1 else STEPS
    for step in range(steps):
        batch = images(n, channels, 32, step) | draws(objective, n, step)
        assert_step(ours, theirs, batch, {})
    assert_same_networks(objective, theirs)
    if 0 < config.pool_size < 3:
        assert min(pool.swaps for pool in theirs.pools.values()) > 0
    for domain, pool in objective.pools.items():
        kept = theirs.pools[domain].images
        assert pool.count == len(kept) == min(pool.size, n * steps)
        if kept:
            torch.testing.assert_close(pool.tensors()["images"], torch.stack(kept), rtol=1e-9, atol=1e-9)


CUT_OPTIONS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "fastcut": dict(VARIANTS["fastcut"].options),
    "flips-and-identity": {"flip_equivariance": True},
    "bce-other-weights": {"gan_loss": "bce", "lambda_gan": 0.4, "lambda_nce": 2.0, "nce_temperature": 0.5},
    "hinge-1-layer": {"gan_loss": "hinge", "discriminator_layers": 1},
    "nce-alone": {"lambda_gan": 0.0},
    "affine": {"norm": "instance_affine"},
    "no-norm": {"norm": "none"},
    "all-locations-of-the-inner-layers": {"nce_patches": 70},
    "plain-sampling": {"antialias": False},
}


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("name", CUT_OPTIONS)
def test_cut(name: str, n: int) -> None:
    sizes = SMALL | {"generator_blocks": 5, "nce_filters": 3, "nce_patches": 5}
    config, data = CUTConfig(**(sizes | CUT_OPTIONS[name])), DataConfig(size=16)
    objective = prepared(CUT(config, data))
    ours, theirs = TandemStep(objective), PlainCUT(objective, config)
    theirs.taps = theirs.taps if config.antialias else (0, 4, 7, 10, 14)
    for step in range(STEPS if config.nce_patches < 70 else 1):
        batch = images(n, (3, 3), 16, step) | draws(objective, n, step)
        maps = theirs.networks["generator"].features(batch["a"], theirs.taps)  # type: ignore[operator]
        locations = {use: objective._locations(batch, maps, use) for use in ("nce", "idt")}
        assert_step(ours, theirs, batch, {"locations": locations})
    assert_same_networks(objective, theirs)


def test_flips_are_of_each_image() -> None:
    """Half of them, and the case above has both kinds."""
    objective = CUT(CUTConfig(**SMALL, flip_equivariance=True), DataConfig(size=32))
    flips = objective.draw(0, range(400))["flip"]
    assert flips.shape == (400, 1, 1, 1)
    assert set(flips.flatten().tolist()) == {0.0, 1.0}
    assert 160 < flips.sum() < 240
    assert set(flips[:9].flatten().tolist()) == {0.0, 1.0}
    assert torch.equal(objective.draw(0, [7])["flip"], flips[7:8])
    assert not torch.equal(objective.draw(1, range(400))["flip"], flips)
