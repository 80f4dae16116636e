"""Activations that are computed again: the same step to the last bit, and less that is kept."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

from tandem.config.run import from_flat
from tandem.training.setup import make_state
from tandem.training.state import TrainingState
from tandem.training.step import train_step

WIDTHS = {"generator_filters": 2, "discriminator_filters": 2, "size": 64, "batch_size": 4, "ema_halflife_images": 100}
CASES: dict[str, dict[str, Any]] = {
    "bicyclegan": {"method": "bicyclegan", "latent_dim": 2, "encoder_filters": 2, "dropout": True},
    "batch_norm": {"method": "bicyclegan", "latent_dim": 2, "encoder_filters": 2, "norm": "batch"},
    "discriminators_first": {
        "method": "bicyclegan",
        "latent_dim": 2,
        "encoder_filters": 2,
        "update_order": "discriminator_first",
        "gan_loss": "wgangp",
    },
    "pix2pix": {"method": "pix2pix", "norm": "batch", "dropout": True},
    "cyclegan": {"method": "cyclegan", "generator_blocks": 2},
    "cut": {"method": "cut", "generator_blocks": 6, "nce_patches": 8},
    "tandem": {"method": "tandem", "latent_dim": 2, "encoder_filters": 2, "lambda_ms": 1.0},
    "tandem_without_inputs": {"method": "tandem", "latent_dim": 2, "encoder_filters": 2, "encoder_sees_input": False},
}


def state_of(case: str, *, recompute: bool) -> TrainingState:
    return make_state(from_flat(WIDTHS | CASES[case] | {"recompute_activations": recompute}), torch.device("cpu"))


def batch_for(state: TrainingState) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = {name: torch.rand((4, 3, 64, 64), generator=generator) * 2 - 1 for name in "ab"}
    return images | state.objective.draw(0, range(4))


@pytest.mark.parametrize("case", CASES)
def test_the_step_is_the_same_to_the_last_bit(case: str) -> None:
    ends = []
    for recompute in (False, True):
        state = state_of(case, recompute=recompute)
        batch = batch_for(state)
        for step in range(2):
            state.objective.joined = step > 0
            torch.manual_seed(step)
            state.meter.add(train_step(state.objective, state.optimizers, batch))
        ends.append(state.tensors())
    plain, again = ends
    assert plain.keys() == again.keys()
    assert [name for name in plain if not torch.equal(plain[name], again[name])] == []


def test_of_the_generators_only_inputs_are_kept() -> None:
    kept = []
    for recompute in (False, True):
        state = state_of("cyclegan", recompute=recompute)
        sizes: list[int] = []

        def count(tensor: Tensor, sizes: list[int] = sizes) -> Tensor:
            sizes.append(tensor.numel())
            return tensor

        batch = batch_for(state)
        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            state.objective.fakes(batch)
        kept.append(sum(sizes))
    assert kept[1] < 0.1 * kept[0]


def test_the_average_is_a_network_of_its_own() -> None:
    state = state_of("bicyclegan", recompute=True)
    assert state.ema is not None
    ema = state.ema.networks["generator"]
    for parameter in ema.parameters():
        parameter.zero_()
    before = copy.deepcopy(state.objective.networks["generator"].state_dict())
    assert not ema(torch.ones(1, 3, 64, 64), torch.zeros(1, 2)).any()
    assert all(torch.equal(v, before[k]) for k, v in state.objective.networks["generator"].state_dict().items())
