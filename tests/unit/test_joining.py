"""When late phases join: the rule against a plain loop, its state, and what a step does before and after."""

import math

import pytest
import torch

from tandem.config.data import DataConfig
from tandem.config.tandem import TandemConfig
from tandem.objectives.objective import phases_of
from tandem.objectives.tandem import Tandem
from tandem.training.joining import Joining
from tandem.training.state import LossMeter

LATE = frozenset({"disc"})


def joined_at(losses: list[float], *, share: float | None = None, restart_at: int | None = None) -> int | None:
    """The step before which late phases join in a run of these losses, which may be continued at a step."""
    joining = Joining(share, LATE)
    for step, loss in enumerate(losses):
        if step == restart_at:
            state = joining.state()
            joining = Joining(share, LATE)
            joining.load(state)
        if joining.has_joined(step, len(losses)):
            return step
        joining.observe({"l1": torch.tensor(loss)}, step + 1, len(losses))
    return joining.joined_at


def expected(losses: list[float]) -> int:
    """The rule of the documentation, written out."""
    size = len(losses) // 40
    means = [sum(losses[start : start + size]) / size for start in range(0, len(losses), size)]
    for end in range(16, 31):
        if min(means[end - 8 : end]) > 0.95 * min(means[end - 16 : end - 8]):
            return end * size
    return 30 * size


@pytest.mark.parametrize(
    "losses",
    [
        [1.0] * 400,
        [math.exp(-step / 400) for step in range(400)],
        [math.exp(-step / 2000) for step in range(400)],
        [max(0.2, math.exp(-step / 100)) for step in range(400)],
        [0.5 + math.exp(-step / 60) + 0.02 * math.sin(step) for step in range(400)],
    ],
    ids=["flat", "falling", "slowly", "then flat", "noisy"],
)
def test_they_join_where_the_rule_says(losses: list[float]) -> None:
    assert joined_at(losses) == expected(losses)


def test_flat_losses_have_them_early_and_falling_ones_late() -> None:
    assert joined_at([1.0] * 400) == 160
    assert joined_at([math.exp(-step / 400) for step in range(400)]) == 300


@pytest.mark.parametrize("restart_at", [7, 20, 33, 150, 199])
def test_a_continued_run_joins_at_the_same_step(restart_at: int) -> None:
    losses = [max(0.2, math.exp(-step / 100)) + 0.01 * math.sin(step) for step in range(400)]
    assert joined_at(losses, restart_at=restart_at) == joined_at(losses) == 250


@pytest.mark.parametrize(("share", "step"), [(0.0, 0), (0.25, 100), (0.501, 201)])
def test_a_share_of_the_run_wins_over_the_losses(share: float, step: int) -> None:
    assert joined_at([1.0] * 400, share=share) == step


def test_runs_of_a_few_steps_have_them_for_their_last_quarter() -> None:
    assert joined_at([1.0, 0.9, 0.8, 0.7]) == 3


def test_networks_that_have_never_been_updated() -> None:
    joining = Joining(0.5, LATE)
    assert joining.not_yet_stepped({"joined_at": None}, 5) == LATE
    assert joining.not_yet_stepped({"joined_at": 5}, 5) == LATE
    assert joining.not_yet_stepped({"joined_at": 4}, 5) == frozenset()


def test_phases_before_and_after() -> None:
    method = Tandem(TandemConfig(generator_filters=4), DataConfig(size=32))
    assert [phase.name for phase in phases_of(method)] == ["generator"]
    method.joined = True
    assert [phase.name for phase in phases_of(method)] == ["generator", "discriminator"]


def test_means_of_terms_that_join_between_two_lines() -> None:
    meter = LossMeter()
    for loss in (1.0, 2.0):
        meter.add({"l1": torch.tensor(loss)})
    for loss in (3.0, 6.0):
        meter.add({"l1": torch.tensor(loss), "gan": torch.tensor(10 * loss)})
    meter.add({"gan": torch.tensor(0.0), "l1": torch.tensor(3.0)})
    assert meter.means() == {"l1": 3.0, "gan": 30.0}
    again = LossMeter()
    again.load(meter.sums, meter.counts, device=torch.device("cpu"))
    assert again.means() == meter.means()
