"""Speed never changes the method: the losses of 200 steps with each speed-up on and off.

A GAN amplifies rounding errors from step to step: here the 1e-16 of two orders of summation in float64 become 1e-9 in
50 steps and 0.1 in 150. So single losses are compared over the first 50 steps, to 1e-6, and over all 200 the means of
the second half, to 5 %. Half precision is compared in these means alone.
"""

from typing import Any

import pytest
import torch

from tandem.bench.baselines.build import make_baseline
from tandem.config.run import RunConfig, from_flat
from tandem.data.loader import Batch
from tandem.data.micro_batches import MicroBatches
from tandem.training.setup import make_state
from tandem.training.stepper import Stepper

STEPS, SIZE, BATCH = 200, 32, 4
CPU = torch.device("cpu")
TINY = {
    "method": "bicyclegan",
    "size": SIZE,
    "batch_size": BATCH,
    "latent_dim": 2,
    "generator_filters": 4,
    "encoder_filters": 4,
    "discriminator_filters": 4,
    "discriminator_layers": 1,
    "encoder_depth": 2,
    "learning_rate": 2e-4,
    "ema_halflife_images": 0,
}


def images(positions: list[int], dtype: torch.dtype) -> Batch:
    """A: a dark square on white; B: the same square in one of two colours."""
    a, b = torch.ones(len(positions), 3, SIZE, SIZE), torch.full((len(positions), 3, SIZE, SIZE), 0.7)
    for row, position in enumerate(positions):
        top, left = 2 + 5 * position % 13, 2 + 7 * position % 13
        a[row, :, top : top + 10, left : left + 10] = -1
        colour = torch.tensor([0.9, -0.8, -0.6]) if position % 2 else torch.tensor([-0.9, -0.2, 0.8])
        b[row, :, top : top + 10, left : left + 10] = colour[:, None, None]
    return Batch(a=a.to(dtype), b=b.to(dtype), names=[], positions=positions)


def run(dtype: torch.dtype, **options: Any) -> tuple[torch.Tensor, list[str]]:
    """Losses ``(STEPS, terms)`` of a run, float64."""
    config = from_flat({name: value for name, value in (TINY | options).items() if value is not None})
    passes = config.training.accumulate
    state = make_state(config, CPU, micro_batches=passes)
    state.objective.networks.to(dtype)
    stepper = Stepper(config, state, device=CPU, epoch_images=100, total_steps=1000)
    shares = MicroBatches.of_process(0, 1, per_process=passes, parts=config.objective.parts).positions(0, BATCH)
    draw = state.objective.draw
    state.objective.draw = lambda *arguments: {name: v.to(dtype) for name, v in draw(*arguments).items()}  # type: ignore[method-assign]
    rows = []
    for _ in range(STEPS):
        stepper.step([images(next(shares), dtype) for _ in range(passes)])
        rows.append(list(state.meter.means().values()))
        names = list(state.meter.means())
        state.meter.reset()
    return torch.tensor(rows, dtype=torch.float64), names


def published(config: RunConfig) -> list[dict[str, torch.Tensor]]:
    """The terms of the published order, on plain networks."""
    objective = make_state(config, CPU).objective
    objective.networks.double()
    step = make_baseline(config, objective, CPU)
    rows = []
    for number in range(STEPS):
        positions = list(range(BATCH * number, BATCH * (number + 1)))
        batch = images(positions, torch.float64)
        drawn = {name: value.double() for name, value in objective.draw(0, positions).items()}
        rows.append(step({"a": batch["a"], "b": batch["b"]} | drawn))
    return rows


def assert_same(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found[:50], expected[:50], rtol=1e-6, atol=1e-9)
    assert_same_means(found, expected, 0.05)


def assert_same_means(found: torch.Tensor, expected: torch.Tensor, tolerance: float) -> None:
    """The KL term is near zero here: for it 0.01 counts."""
    assert found.shape == expected.shape == (STEPS, expected.shape[1])
    torch.testing.assert_close(found[100:].mean(0), expected[100:].mean(0), rtol=tolerance, atol=0.01)


@pytest.fixture(scope="module")
def plain() -> tuple[torch.Tensor, list[str]]:
    return run(torch.float64)


def test_the_runs_learn(plain: tuple[torch.Tensor, list[str]]) -> None:
    """Otherwise equal losses would say little."""
    losses, names = plain
    l1 = losses[:, names.index("l1")]
    assert l1[-20:].mean() < 0.3 * l1[:20].mean()


def test_merged_passes_and_fused_adam_equal_the_published_order(plain: tuple[torch.Tensor, list[str]]) -> None:
    losses, names = plain
    rows = [[row[name].item() for name in names] for row in published(from_flat(TINY))]
    assert_same(losses, torch.tensor(rows, dtype=torch.float64))


@pytest.mark.parametrize(
    "options",
    [{"accumulate": 2}, {"recompute_activations": True}, {"acceleration": "none"}],
    ids=["accumulate", "recompute", "none"],
)
def test_options_that_change_how_a_step_is_computed(
    plain: tuple[torch.Tensor, list[str]], options: dict[str, Any]
) -> None:
    assert_same(run(torch.float64, **options)[0], plain[0])


@pytest.mark.slow
def test_compiled_networks(plain: tuple[torch.Tensor, list[str]]) -> None:
    assert_same(run(torch.float64, acceleration="compile")[0], plain[0])


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 0.05), ("bf16", 0.1), ("fp16", 0.25)])
def test_lower_precision_learns_the_same(
    plain: tuple[torch.Tensor, list[str]], precision: str, tolerance: float
) -> None:
    """fp16 leaves out its first updates, while it looks for a scale that does not overflow."""
    assert_same_means(run(torch.float32, precision=precision)[0], plain[0], tolerance)


@pytest.mark.slow
def test_tandem_learns_the_same_in_half_precision() -> None:
    """With all of its phases from the first step on."""
    own = {"method": "tandem", "gan_from": 0.0, "encoder_depth": None, "lr_warmup_steps": 0}
    exact, near = run(torch.float32, **own)[0], run(torch.float32, **own, precision="bf16")[0]
    assert_same_means(near, exact, 0.1)
    assert not torch.equal(near, exact)
