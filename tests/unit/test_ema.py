"""The moving average against its closed form."""

import copy

import pytest
import torch
from torch import nn

from tandem.training.ema import EMA


def network(value: float) -> nn.Module:
    """A weight, a bias and batch norm's buffers, all set to `value`."""
    module = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)).double()
    fill(module, value)
    return module


def fill(module: nn.Module, value: float) -> None:
    with torch.no_grad():
        for tensor in module.state_dict().values():
            tensor.fill_(value)


def weight(average: EMA) -> float:
    """The value that all averaged weights share."""
    values = torch.cat([parameter.flatten() for parameter in average.networks["g"].parameters()])
    assert values.max() - values.min() <= 1e-15 * values.abs().max()
    return values[0].item()


def test_after_one_half_life_the_old_weight_counts_half() -> None:
    source = network(0.0)
    average = EMA({"g": source}, halflife_images=1000)
    fill(source, 1.0)
    for step in range(250):
        average.update(images_seen=10**6 + 4 * step, batch_size=4)
    assert weight(average) == pytest.approx(0.5, abs=1e-10)


def test_closed_form_over_changing_weights() -> None:
    source = network(0.0)
    average = EMA({"g": source}, halflife_images=10)
    decay, expected = 0.5 ** (2 / 10), 0.0
    for step, value in enumerate([3.0, -1.0, 5.0, 2.0]):
        fill(source, value)
        average.update(images_seen=10_000 + 2 * step, batch_size=2)
        expected = decay * expected + (1 - decay) * value
    assert weight(average) == pytest.approx(expected)


def test_ramp_up_forgets_the_initial_weights() -> None:
    """The half-life is at most 5 % of the images seen: after n of them the initial weights count ∏ ½^(b / 0.05 n)."""
    source = network(1.0)
    average = EMA({"g": source}, halflife_images=10_000)
    fill(source, 0.0)
    left = 1.0
    for step in range(1, 21):
        average.update(images_seen=step, batch_size=1)
        left *= 0.5 ** (1 / min(10_000, 0.05 * step))
        assert weight(average) == pytest.approx(left, rel=1e-9, abs=1e-30)
    assert left < 1e-20


def test_ramp_up_ends_at_the_half_life() -> None:
    for seen, expected in ((199, 0.5 ** (1 / 9.95)), (200, 0.5 ** (1 / 10)), (10_000, 0.5 ** (1 / 10))):
        source = network(1.0)
        average = EMA({"g": source}, halflife_images=10)
        fill(source, 0.0)
        average.update(images_seen=seen, batch_size=1)
        assert weight(average) == pytest.approx(expected)


def test_buffers_are_copied_not_averaged() -> None:
    source = network(0.0)
    average = EMA({"g": source}, halflife_images=1000)
    fill(source, 4.0)
    average.update(images_seen=10**6, batch_size=1)
    buffers = dict(average.networks["g"].named_buffers())
    assert buffers["1.num_batches_tracked"].dtype == torch.int64
    assert all(bool((value == 4).all()) for value in buffers.values())
    assert 0 < weight(average) < 0.01


def test_the_average_is_a_copy_for_inference() -> None:
    source = network(1.0)
    before = copy.deepcopy(source.state_dict())
    average = EMA({"g": source}, halflife_images=5)
    assert not average.networks["g"].training
    assert source.training
    assert not any(parameter.requires_grad for parameter in average.networks.parameters())
    assert all(parameter.requires_grad for parameter in source.parameters())
    with torch.no_grad():
        next(average.networks["g"].parameters()).fill_(9.0)
    average.update(images_seen=1000, batch_size=1)
    assert all(torch.equal(value, before[key]) for key, value in source.state_dict().items())
    assert set(average.state_dict()) == {f"g.{key}" for key in before}
