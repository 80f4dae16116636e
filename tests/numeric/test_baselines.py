"""What `tandem bench train` measures against computes the same step, in float64, networks and all."""

import pytest
import torch
from plain import LR, Gradients, TandemStep, assert_same_gradients, record_gradients, tiny_batch
from torch import Tensor, nn
from twins import perturb

from tandem.bench.baselines.build import has_baseline, make_baseline
from tandem.bench.baselines.cyclegan import PublishedCycleGANStep
from tandem.checkpoint.official import official_key_map
from tandem.config.bicyclegan import BicycleGANConfig
from tandem.config.run import RunConfig, from_flat
from tandem.objectives.build import build_objective
from tandem.objectives.objective import Objective

CPU = torch.device("cpu")
NARROW = {"size": 64, "learning_rate": LR, "generator_filters": 3, "discriminator_filters": 4}
SETTINGS = {
    "bicyclegan": {"batch_size": 4, "encoder_filters": 3, "latent_dim": 3, "input_channels": 1},
    "bicyclegan-batch-2": {"batch_size": 2, "encoder_filters": 3, "latent_dim": 3, "input_channels": 1},
    "bicyclegan-conditional": {"encoder_filters": 3, "latent_dim": 3, "input_channels": 1, "conditional": True},
    "cyclegan": {"batch_size": 1, "generator_blocks": 2, "pool_size": 2},
    "cyclegan-batch-2": {"batch_size": 2, "generator_blocks": 2, "pool_size": 3},
    "cyclegan-no-pool": {"batch_size": 2, "generator_blocks": 2, "pool_size": 0},
    "cyclegan-no-identity": {"generator_blocks": 2, "pool_size": 1, "lambda_identity": 0.0},
    "cyclegan-weights": {"generator_blocks": 2, "lambda_cycle_a": 3.0, "lambda_cycle_b": 5.0, "lambda_identity": 0.2},
}
STEPS = 6
"""So many that pools of two or three images are full and swap."""


def prepared(name: str) -> tuple[RunConfig, Objective]:
    config = from_flat({"method": name.partition("-")[0]} | NARROW | SETTINGS[name])
    objective = build_objective(config)
    objective.networks.double().train()
    torch.manual_seed(0)
    for network in objective.networks.values():
        perturb(network)
    return config, objective


def batch_of(config: RunConfig, objective: Objective, step: int) -> dict[str, Tensor]:
    n = config.training.batch_size
    if isinstance(config.objective, BicycleGANConfig):
        return tiny_batch(config.objective, batch_size=n, seed=step)
    generator = torch.Generator().manual_seed(step)
    images = {name: 2 * torch.rand((n, 3, 64, 64), generator=generator, dtype=torch.float64) - 1 for name in "ab"}
    return images | objective.draw(0, range(n * step, n * step + n))


def renamed(network: nn.Module, theirs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of a plain network by our names."""
    keys = official_key_map(network.spec, list(network.state_dict()))  # type: ignore[arg-type]
    return {ours: theirs[key] for ours, key in keys.items()}


@pytest.mark.parametrize("name", SETTINGS)
def test_the_baseline_computes_our_step(name: str) -> None:
    config, objective = prepared(name)
    assert has_baseline(config)
    theirs = make_baseline(config, objective, CPU)
    ours = TandemStep(objective)
    expected_gradients: Gradients = {}
    networks, optimizers = theirs.networks, theirs.optimizers  # type: ignore[attr-defined]
    optimizer_of = {
        "gen_ab": "generators",
        "gen_ba": "generators",
        "disc_a": "discriminators",
        "disc_b": "discriminators",
    }
    record_gradients(expected_gradients, networks, {n: optimizers[optimizer_of.get(n, n)] for n in networks})
    for step in range(STEPS):
        batch = batch_of(config, objective, step)
        terms, gradients = ours(batch)
        expected = theirs(batch)
        assert terms.keys() == expected.keys()
        for key, value in expected.items():
            torch.testing.assert_close(terms[key], value, rtol=1e-8, atol=1e-10, msg=lambda m, k=key: f"{k}: {m}")
        found = {n: renamed(objective.networks[n], expected_gradients[n]) for n in networks}
        assert_same_gradients(gradients, found)
    for n, network in networks.items():
        state = objective.networks[n].state_dict()
        for key, value in renamed(objective.networks[n], network.state_dict()).items():
            torch.testing.assert_close(state[key], value, rtol=0, atol=1e-4 * LR, msg=lambda m, k=key: f"{k}: {m}")


def test_the_pools_of_the_test_swap() -> None:
    config, objective = prepared("cyclegan")
    theirs = make_baseline(config, objective, CPU)
    assert isinstance(theirs, PublishedCycleGANStep)
    pool = theirs.pools["a"]
    shown = []
    for step in range(STEPS):
        draws = objective.draw(0, [step])["pool_a"].tolist()
        shown.append(pool.query(torch.full((1, 1, 1, 1), float(step)), draws).item())
    assert len(pool.images) == 2
    assert any(value < step for step, value in enumerate(shown)), "no earlier fake was shown"


@pytest.mark.parametrize(
    "options",
    [
        {"method": "pix2pix"},
        {"method": "cut"},
        {"shared_discriminator": True},
        {"gan_loss": "wgangp"},
        {"norm": "batch"},
        {"dropout": True, "size": 128},
        {"update_order": "discriminator_first"},
        {"clip_grad_norm": 1.0},
        {"lambda_l1_random": 1.0},
        {"method": "cyclegan", "lambda_cycle_a": 0.0},
        {"method": "cyclegan", "norm": "batch"},
    ],
)
def test_other_options_have_no_baseline(options: dict[str, object]) -> None:
    """A ratio against something that computes another step would say nothing."""
    assert not has_baseline(from_flat({"method": "bicyclegan", "size": 256} | options))


def test_the_published_options_have_one() -> None:
    assert has_baseline(from_flat({"method": "bicyclegan"}))
    assert not has_baseline(from_flat({"method": "tandem"}))
    assert has_baseline(from_flat({"method": "cyclegan"}))
