"""A batch in several micro-batches: the same gradients, updates and terms as in one, in float64."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

from tandem.config.run import from_flat
from tandem.data.micro_batches import MicroBatches
from tandem.errors import NonFiniteError
from tandem.objectives.build import build_objective
from tandem.objectives.objective import Objective
from tandem.training.finite import FiniteGuard, RefusedStepError
from tandem.training.step import StepOptions, train_step

BATCH = 8
WIDTHS = {"generator_filters": 2, "discriminator_filters": 2}
RESIDUAL = {"generator": "residual_unet", "generator_depth": 2, "generator_filters": 8, "dropout": False}
AUGMENT = ("color", "translation", "cutout")
BICYCLE = {"method": "bicyclegan", "latent_dim": 2, "encoder_filters": 2}
TANDEM = {"method": "tandem", "latent_dim": 2, "encoder_filters": 2, "generator_filters": 8}
CASES: dict[str, dict[str, Any]] = {
    "bicyclegan": {"method": "bicyclegan", "latent_dim": 2, "encoder_filters": 2},
    "kl_sum": {"method": "bicyclegan", "latent_dim": 2, "encoder_filters": 2, "kl_reduction": "sum", "lambda_kl": 0.5},
    "mode_seeking": {"method": "bicyclegan", "latent_dim": 2, "encoder_filters": 2, "lambda_ms": 1.0},
    "wgangp": {"method": "bicyclegan", "latent_dim": 2, "encoder_filters": 2, "gan_loss": "wgangp"},
    "discriminators_first": {
        "method": "bicyclegan",
        "latent_dim": 2,
        "encoder_filters": 2,
        "update_order": "discriminator_first",
        "shared_discriminator": True,
    },
    "clr-gan": {"method": "clr-gan", "latent_dim": 2, "encoder_filters": 2},
    "cvae-gan": {"method": "cvae-gan", "latent_dim": 2, "encoder_filters": 2},
    "augmented": BICYCLE | {"conditional": True, "diffaugment": AUGMENT},
    "augmented_wgangp": BICYCLE | {"gan_loss": "wgangp", "diffaugment": AUGMENT},
    "augmented_pix2pix": {"method": "pix2pix", "norm": "instance", "dropout": False, "diffaugment": AUGMENT},
    "pix2pix": {"method": "pix2pix", "norm": "instance", "dropout": False},
    "pix2pix_residual": RESIDUAL | {"method": "pix2pix", "norm": "instance"},
    "cyclegan_residual": RESIDUAL | {"method": "cyclegan"},
    "cyclegan": {"method": "cyclegan", "generator_blocks": 1},
    "cut": {"method": "cut", "generator_blocks": 6, "nce_patches": 8},
    "fastcut": {"method": "fastcut", "generator_blocks": 6, "nce_patches": 8},
    "tandem": TANDEM,
    "augmented_tandem": TANDEM | {"diffaugment": AUGMENT},
    "tandem_mode_seeking": TANDEM | {"lambda_ms": 1.0, "kl_bound": 0.02, "free_bits": 0.001, "input_dropout": 0.5},
}


def make(options: dict[str, Any], *, micro_batches: int = 1) -> tuple[Objective, dict[str, torch.optim.Optimizer]]:
    flat = {"size": 64, "batch_size": BATCH} | WIDTHS | options
    objective = build_objective(from_flat(flat))
    objective.networks.double().train()
    objective.micro_batches = micro_batches
    # A large epsilon, because Adam's usual one makes a whole step of a gradient that is rounding alone.
    optimizers: dict[str, torch.optim.Optimizer] = {
        name: torch.optim.Adam(network.parameters(), lr=1e-3, betas=(0.5, 0.999), eps=1e-2, fused=True)
        for name, network in objective.networks.items()
    }
    return objective, optimizers


def batch_at(objective: Objective, positions: list[int]) -> dict[str, Tensor]:
    images = {}
    for offset, name in enumerate("ab"):
        seeds = [torch.Generator().manual_seed(2 * position + offset) for position in positions]
        images[name] = torch.stack([torch.rand((3, 64, 64), generator=s, dtype=torch.float64) * 2 - 1 for s in seeds])
    drawn = objective.draw(0, positions)
    return images | {name: value.double() if value.is_floating_point() else value for name, value in drawn.items()}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("count", [2, 4])
def test_micro_batches_equal_one_batch(case: str, count: int) -> None:
    whole, whole_optimizers = make(CASES[case])
    parts, parts_optimizers = make(CASES[case], micro_batches=count)
    assert all(torch.equal(a, b) for a, b in zip(whole.networks.parameters(), parts.networks.parameters(), strict=True))
    micro_batches = MicroBatches.of_process(
        0,
        1,
        per_process=count,
        parts=from_flat({"size": 64, "batch_size": BATCH} | WIDTHS | CASES[case]).objective.parts,
    ).positions(0, BATCH)
    for step in range(2):
        whole.joined = parts.joined = step > 0
        positions = list(range(step * BATCH, (step + 1) * BATCH))
        expected = train_step(whole, whole_optimizers, batch_at(whole, positions))
        found = train_step(parts, parts_optimizers, *(batch_at(parts, next(micro_batches)) for _ in range(count)))
        assert list(found) == list(expected)
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value, rtol=1e-9, atol=1e-12)
    for name, value in whole.networks.named_parameters():
        torch.testing.assert_close(parts.networks.get_parameter(name), value, rtol=1e-9, atol=1e-10)


def test_dropout_draws_the_same_mask_where_fakes_are_computed_twice() -> None:
    """The discriminator comes first, on detached fakes; the generator's phase computes them again with their graph."""
    seen: dict[str, list[Tensor]] = {"discriminator": [], "generator": []}
    objective, optimizers = make({"method": "pix2pix", "dropout": True, "norm": "batch"})
    phases = []
    for phase in objective.phases:

        def loss(batch: Any, fakes: Any, phase: Any = phase) -> Any:
            seen[phase.name].append(fakes.b.detach().clone())
            return phase.loss(batch, fakes)

        phases.append(type(phase)(phase.name, phase.networks, loss, phase.through_fakes))
    objective.phases = tuple(phases)
    before = copy.deepcopy(objective.networks.state_dict())
    torch.manual_seed(3)
    train_step(objective, optimizers, batch_at(objective, [0, 1, 2, 3]), batch_at(objective, [4, 5, 6, 7]))
    for first, again in zip(seen["discriminator"], seen["generator"], strict=True):
        assert torch.equal(first, again)
    assert not torch.equal(*seen["generator"])
    counts = [key for key in before if key.startswith("generator") and key.endswith("num_batches_tracked")]
    assert counts
    assert all(objective.networks.state_dict()[key] == 2 for key in counts)  # once a micro-batch


def test_a_deferred_verdict_voids_this_and_later_updates_until_it_is_asked_for() -> None:
    objective, optimizers = make(CASES["bicyclegan"])
    options = StepOptions(guard=FiniteGuard(deferred=True))
    good, bad = batch_at(objective, [0, 1]), batch_at(objective, [2, 3])
    bad["b"][1, 0, 5, 5] = float("nan")  # the second half: seen as real after the generator's update
    for _ in range(2):
        train_step(objective, optimizers, good, options=options)
    options.guard.settle()
    train_step(objective, optimizers, good, options=options)
    train_step(objective, optimizers, bad, options=options)
    before = copy.deepcopy(objective.networks.state_dict())
    train_step(objective, optimizers, good, options=options)
    assert all(torch.equal(value, before[name]) for name, value in objective.networks.state_dict().items())
    with pytest.raises(
        RefusedStepError, match="phase 'discriminator': the loss term disc_random is not finite"
    ) as caught:
        options.guard.settle()
    assert caught.value.good_steps == 1
    options.guard.settle()
    train_step(objective, optimizers, good, options=options)
    assert not all(torch.equal(value, before[name]) for name, value in objective.networks.state_dict().items())


def step_and_settle(objective: Objective, optimizers: Any, batch: dict[str, Tensor], options: StepOptions) -> None:
    train_step(objective, optimizers, batch, options=options)
    options.guard.settle()


def test_the_weights_of_a_deferred_refusal_are_those_of_an_immediate_one() -> None:
    states = []
    for deferred in (False, True):
        objective, optimizers = make(CASES["bicyclegan"])
        options = StepOptions(guard=FiniteGuard(deferred=deferred))
        good, bad = batch_at(objective, [0, 1]), batch_at(objective, [2, 3])
        bad["b"][1, 0, 5, 5] = float("nan")
        step_and_settle(objective, optimizers, good, options)
        with pytest.raises(NonFiniteError, match="disc_random is not finite"):
            step_and_settle(objective, optimizers, bad, options)
        step_and_settle(objective, optimizers, good, options)
        states.append(objective.networks.state_dict())
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
