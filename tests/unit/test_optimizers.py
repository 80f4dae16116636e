"""Adam against its published algorithm, schedules against a loop over the epochs."""

import math

import pytest
import torch
from torch import nn

from tandem.training.optimizers import learning_rate_factor, make_adam


def test_adam_equals_the_published_algorithm() -> None:
    torch.manual_seed(0)
    weight = nn.Parameter(torch.randn(7, dtype=torch.float64))
    expected, m, v = weight.detach().clone(), torch.zeros(7), torch.zeros(7)
    adam = make_adam([weight], lr=0.01, betas=(0.5, 0.9))
    for t in range(1, 6):
        gradient = torch.randn(7, dtype=torch.float64)
        weight.grad = gradient.clone()
        adam.step()
        m, v = 0.5 * m + 0.5 * gradient, 0.9 * v + 0.1 * gradient**2
        expected -= 0.01 * (m / (1 - 0.5**t)) / ((v / (1 - 0.9**t)).sqrt() + 1e-8)
        torch.testing.assert_close(weight.detach(), expected, rtol=1e-12, atol=1e-12)


def test_adam_is_fused() -> None:
    assert make_adam([nn.Parameter(torch.zeros(1))], lr=1e-3, betas=(0.5, 0.999)).defaults["fused"] is True


def factors(schedule: str, constant: int, decay: int) -> list[float]:
    return [
        learning_rate_factor(schedule, epoch=epoch, constant_epochs=constant, decay_epochs=decay, progress=0.9)  # type: ignore[arg-type]
        for epoch in range(constant + decay + 3)
    ]


@pytest.mark.parametrize(("constant", "decay"), [(0, 1), (2, 3), (200, 200), (30, 30), (0, 10), (5, 1)])
def test_linear_is_the_published_table(constant: int, decay: int) -> None:
    """Full rate for `constant` epochs, then equal steps, the last of which would reach zero after the run."""
    table = [1.0] * constant + [1 - k / (decay + 1) for k in range(1, decay + 1)] + [0.0] * 3
    assert factors("linear", constant, decay) == pytest.approx(table, abs=1e-12)


def test_linear_by_hand() -> None:
    assert factors("linear", 2, 3)[:5] == pytest.approx([1, 1, 0.75, 0.5, 0.25])


@pytest.mark.parametrize(("constant", "decay"), [(0, 3), (4, 9)])
def test_cosine_falls_from_one_to_zero(constant: int, decay: int) -> None:
    found = factors("cosine", constant, decay)
    assert found[:constant] == [1.0] * constant
    expected = [math.cos(math.pi * k / (decay + 1) / 2) ** 2 for k in range(1, decay + 1)]
    assert found[constant : constant + decay] == pytest.approx(expected)
    assert found[constant + decay :] == pytest.approx([0.0] * 3, abs=1e-15)
    assert found == sorted(found, reverse=True)


def test_constant_stays() -> None:
    assert factors("constant", 0, 0) == [1.0] * 3


def test_half_linear_follows_the_length_of_the_run() -> None:
    found = [
        learning_rate_factor("half_linear", epoch=3, constant_epochs=0, decay_epochs=0, progress=step / 8)
        for step in range(9)
    ]
    assert found == pytest.approx([1, 1, 1, 1, 1, 0.75, 0.5, 0.25, 0])
