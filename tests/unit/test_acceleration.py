"""How steps are run: what is chosen, and what is said when it cannot be had."""

import logging
from typing import Any

import pytest
import torch

from tandem.config.run import RunConfig, from_flat
from tandem.errors import ConfigError
from tandem.training.graphs import obstacle
from tandem.training.setup import make_state
from tandem.training.stepper import Stepper

CPU = torch.device("cpu")
TINY = {"method": "bicyclegan", "size": 64, "batch_size": 2, "generator_filters": 2, "discriminator_filters": 2}


def config_of(**options: Any) -> RunConfig:
    return from_flat(TINY | options)


def batch_of(config: RunConfig) -> tuple[Any, dict[str, torch.Tensor]]:
    objective = make_state(config, CPU).objective
    images = {name: torch.zeros(2, 3, 64, 64) for name in "ab"}
    return objective, images | objective.draw(0, [0, 1])


@pytest.mark.parametrize("method", ["bicyclegan", "tandem", "pix2pix", "cyclegan"])
def test_the_steps_of_a_method_can_be_captured(method: str) -> None:
    objective, batch = batch_of(config_of(method=method))
    assert obstacle(objective, [batch]) is None
    assert "--accumulate" in str(obstacle(objective, [batch, batch]))


def test_locations_drawn_on_the_host_cannot_be_captured() -> None:
    objective, batch = batch_of(config_of(method="cut", nce_patches=8))
    assert "draws patch locations" in str(obstacle(objective, [batch]))


def test_a_pool_of_images_of_another_size_cannot_be_captured() -> None:
    objective, batch = batch_of(config_of(method="cyclegan"))
    objective.pools["a"].exchange(torch.zeros(1, 3, 32, 32), torch.zeros(1, 2))
    assert "other sizes" in str(obstacle(objective, [batch]))


def test_domains_of_different_channels_can_be_captured() -> None:
    """Each pool holds images of its own domain."""
    objective = make_state(config_of(method="cyclegan", input_channels=1, lambda_identity=0.0), CPU).objective
    batch = {"a": torch.zeros(2, 1, 64, 64), "b": torch.zeros(2, 3, 64, 64)} | objective.draw(0, [0, 1])
    for name, pool in objective.pools.items():
        pool.exchange(batch[name], batch[f"pool_{name}"])
    assert obstacle(objective, [batch]) is None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"acceleration": "graphs"}, "steps are not captured as CUDA graphs: the device is cpu"),
        ({"acceleration": "compile", "gan_loss": "wgangp"}, "networks are not compiled: the gradient penalty"),
        ({"acceleration": "auto"}, ""),
        ({"acceleration": "none"}, ""),
    ],
)
def test_what_cannot_be_had_is_said_once(options: dict[str, Any], said: str, caplog: pytest.LogCaptureFixture) -> None:
    config = config_of(latent_dim=2, encoder_filters=2, **options)
    with caplog.at_level(logging.WARNING):
        Stepper(config, make_state(config, CPU), device=CPU, epoch_images=10, total_steps=100)
    assert [record.message.startswith(said) for record in caplog.records] == ([True] if said else [])


def test_a_missing_compiler_is_said_and_the_networks_stay_as_they_are(caplog: pytest.LogCaptureFixture) -> None:
    from torch._inductor import config as inductor  # noqa: PLC0415  (slow to import)

    torch.compiler.reset()
    config = config_of(latent_dim=2, encoder_filters=2, acceleration="compile")
    state = make_state(config, CPU)
    missing = {"cpp.cxx": ("no-such-compiler",), "fx_graph_cache": False, "force_disable_caches": True}
    with caplog.at_level(logging.WARNING), inductor.patch(missing):
        Stepper(config, state, device=CPU, epoch_images=10, total_steps=100)
    assert "networks are not compiled: torch.compile does not work here" in caplog.text
    assert all(network._compiled_call_impl is None for network in state.objective.networks.values())


def test_computing_again_and_recording_exclude_each_other() -> None:
    with pytest.raises(ConfigError, match="exclude each other"):
        config_of(recompute_activations=True, acceleration="graphs")
