"""Adam against its published algorithm, schedules against a loop over the epochs."""

import math

import pytest
import torch
from torch import nn

from tandem.config.run import from_flat
from tandem.data.loader import Batch
from tandem.training.optimizers import learning_rate_factor, make_adam
from tandem.training.setup import make_state
from tandem.training.stepper import Stepper


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


@pytest.mark.parametrize("schedule", ["constant", "same"])
def test_a_rate_that_does_not_fall(schedule: str) -> None:
    """The rates of each step of a run of eight, with a warm-up of two, and of the run after a stop."""
    tiny = {"generator_filters": 2, "encoder_filters": 2, "discriminator_filters": 2, "latent_dim": 1, "size": 32}
    tiny |= {"method": "tandem", "learning_rate": 0.01, "lr_warmup_steps": 2, "gan_from": 0.25}
    config = from_flat(tiny | {"batch_size": 2, "discriminator_lr_schedule": schedule})
    state, cpu = make_state(config, torch.device("cpu")), torch.device("cpu")
    falling = [0.005, 0.01, 0.01, 0.01, 0.01, 0.0075, 0.005, 0.0025]
    staying = [0.005, *[0.01] * 7]
    image = torch.zeros(2, 3, 32, 32)
    for first, last in ((0, 6), (6, 8)):
        stepper = Stepper(config, state, device=cpu, epoch_images=100, total_steps=8)
        for step in range(first, last):
            stepper.step([Batch(a=image, b=image, names=[], positions=[2 * step, 2 * step + 1])])
            rates = {name: optimizer.param_groups[0]["lr"] for name, optimizer in state.optimizers.items()}
            expected = staying if schedule == "constant" else falling
            assert rates["generator"] == rates["encoder"] == pytest.approx(falling[step])
            assert rates["disc"] == pytest.approx(expected[step])
