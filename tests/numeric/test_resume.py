"""The training state through a checkpoint: 3 + 3 steps are 6 steps, bit for bit; what does not fit is refused."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tandem.checkpoint.store import CheckpointStore
from tandem.config.bicyclegan import BicycleGANConfig
from tandem.config.data import DataConfig
from tandem.errors import CheckpointError
from tandem.objectives.bicyclegan import BicycleGAN
from tandem.training.ema import EMA
from tandem.training.optimizers import make_adam
from tandem.training.state import LossMeter, TrainingState
from tandem.training.step import train_step


def fresh(seed: int = 0, *, averaged: bool = True, **options: Any) -> TrainingState:
    sizes = {"latent_dim": 2, "generator_filters": 2, "encoder_filters": 2, "discriminator_filters": 2}
    method = BicycleGAN(BicycleGANConfig(**(sizes | options)), DataConfig(size=64))
    method.initialise(seed)
    method.networks.to(memory_format=torch.channels_last)
    optimizers = {name: make_adam(n.parameters(), lr=1e-3, betas=(0.5, 0.999)) for name, n in method.networks.items()}
    kept = {name: method.networks[name] for name in method.inference_networks}
    return TrainingState(method, optimizers, EMA(kept, halflife_images=20) if averaged else None)


def train(state: TrainingState, until: int) -> None:
    while state.step < until:
        generator = torch.Generator().manual_seed(state.step)
        batch = {name: 2 * torch.rand((4, 3, 64, 64), generator=generator) - 1 for name in ("a", "b")}
        batch |= state.objective.draw(0, range(4 * state.step, 4 * state.step + 4))
        state.meter.add(train_step(state.objective, state.optimizers, batch))
        state.step += 1
        if state.ema is not None:
            state.ema.update(images_seen=4 * state.step, batch_size=4)


def assert_equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> None:
    assert first.keys() == second.keys()
    assert [name for name, value in first.items() if not torch.equal(value, second[name])] == []


LATENT_ALONE = {"lambda_gan": 0.0, "lambda_l1": 0.0, "lambda_kl": 0.0, "latent_trains_encoder": True}
"""Leaves the encoder's head for logvar without a gradient, so that Adam keeps no moments of it."""


@pytest.mark.parametrize("options", [{}, {"norm": "batch"}, LATENT_ALONE])
def test_a_resumed_run_is_the_same_run(tmp_path: Path, options: dict[str, Any]) -> None:
    store = CheckpointStore(tmp_path)
    whole, first, second = fresh(**options), fresh(**options), fresh(seed=9, **options)
    train(whole, 6)
    train(first, 3)
    store.save(3, first.tensors(), first.metadata())
    second.load(store.tensors(3), store.metadata(3))
    assert second.step == 3
    assert_equal(first.tensors(), second.tensors())
    train(second, 6)
    assert_equal(whole.tensors(), second.tensors())
    assert whole.meter.means() == second.meter.means()
    names = {name.split("/")[0] for name in whole.tensors()}
    assert names == {"network", "ema", "optimizer", "meter"}


def saved() -> tuple[dict[str, Tensor], dict[str, Any]]:
    state = fresh()
    train(state, 1)
    return {name: value.clone() for name, value in state.tensors().items()}, state.metadata()


BIAS = "generator.down.0.conv.bias"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (f"network/{BIAS}", None, f"network {BIAS} is missing"),
        ("network/generator.extra", torch.zeros(1), "network generator.extra is not part of this model"),
        (f"network/{BIAS}", torch.zeros(7), r"has the shape \(7,\), this model's has \(2,\)"),
        (f"ema/{BIAS}", None, f"ema {BIAS} is missing"),
        ("optimizer/encoder/", None, "optimizer encoder has no state"),
        ("optimizer/encoder/0/exp_avg_sq", None, "optimizer encoder/0/exp_avg_sq is missing"),
        ("optimizer/generator/1/step", None, "optimizer generator/1/step is missing"),
        ("optimizer/generator/0/exp_avg_sq", torch.zeros(1), "optimizer generator/0/exp_avg_sq has the shape"),
        ("optimizer/generator/999/exp_avg", torch.zeros(1), "optimizer generator/999/exp_avg is not part"),
        ("optimizer/critic/0/exp_avg", torch.zeros(1), "optimizer critic/0/exp_avg is not part"),
        ("something/else", torch.zeros(1), "something"),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(name: str, value: Tensor | None, message: str) -> None:
    tensors, metadata = saved()
    if value is None:
        tensors = {key: tensor for key, tensor in tensors.items() if not key.startswith(name)}
    else:
        tensors[name] = value
    state = fresh(seed=5)
    before = {key: tensor.clone() for key, tensor in state.tensors().items()}
    with pytest.raises(CheckpointError, match=message):
        state.load(tensors, metadata)
    assert_equal(before, state.tensors())
    assert state.step == 0


def test_a_state_before_the_first_step() -> None:
    state, other = fresh(), fresh(seed=3)
    other.load(state.tensors(), state.metadata())
    train(state, 2)
    train(other, 2)
    assert_equal(state.tensors(), other.tensors())


def test_with_and_without_an_average() -> None:
    plain = fresh(averaged=False)
    train(plain, 1)
    assert not any(name.startswith("ema/") for name in plain.tensors())
    with pytest.raises(CheckpointError, match=r"ema generator.* is missing"):
        fresh().load(plain.tensors(), plain.metadata())


def test_meter_gives_means() -> None:
    meter = LossMeter()
    for value in (1.0, 2.0, 6.0):
        meter.add({"x": torch.tensor(value), "y": torch.tensor(2 * value)})
    assert meter.means() == {"x": 3.0, "y": 6.0}
    meter.reset()
    meter.add({"x": torch.tensor(5.0)})
    assert meter.means() == {"x": 5.0}
