"""Two processes equal one with the joined batch: terms, weights, statistics and pools of every method, in float64."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from processes import together
from tandem.config.run import from_flat
from tandem.config.training import Overlap
from tandem.data.micro_batches import MicroBatches
from tandem.objectives.build import build_objective
from tandem.objectives.objective import Objective
from tandem.training import all_reduce
from tandem.training.all_reduce import OverlappedAllReduce
from tandem.training.distributed import join
from tandem.training.process_group import ProcessGroup, make_all_reduce
from tandem.training.step import StepOptions, train_step

STEPS = 3
WIDTHS: dict[str, Any] = {"generator_filters": 2, "discriminator_filters": 2, "size": 32}
BICYCLE = WIDTHS | {"encoder_filters": 2, "latent_dim": 2}
PIX2PIX = WIDTHS | {"method": "pix2pix", "dropout": False}
CYCLE = WIDTHS | {"method": "cyclegan", "generator_blocks": 1}
CUT = WIDTHS | {"method": "cut", "generator_blocks": 5, "nce_filters": 4, "nce_patches": 8}
AUGMENT = ("color", "translation", "cutout")
TANDEM = BICYCLE | {"method": "tandem", "discriminator_layers": 2, "generator_filters": 8}

CASES: dict[str, dict[str, Any]] = {
    "bicyclegan": BICYCLE,
    "bicyclegan with batch norm": BICYCLE | {"norm": "batch"},
    "batch norm in the discriminators": BICYCLE | {"discriminator_norm": "batch"},
    "wgangp": BICYCLE | {"gan_loss": "wgangp"},
    "hinge, clipped": BICYCLE | {"gan_loss": "hinge", "clip_grad_norm": 0.5},
    "bce, not conditional": BICYCLE | {"gan_loss": "bce", "conditional": False},
    "kl sum": BICYCLE | {"kl_reduction": "sum", "lambda_kl": 0.5},
    "mode seeking": BICYCLE | {"lambda_ms": 1.0},
    "discriminator first": BICYCLE | {"update_order": "discriminator_first"},
    "shared discriminator": BICYCLE | {"shared_discriminator": True},
    "latent trains the encoder": BICYCLE | {"latent_trains_encoder": True},
    "cvae-gan": BICYCLE | {"method": "cvae-gan"},
    "cvae-gan++": BICYCLE | {"method": "cvae-gan++"},
    "clr-gan": BICYCLE | {"method": "clr-gan"},
    "cae-gan": BICYCLE | {"method": "cae-gan"},
    "pix2pix-noise": BICYCLE | {"method": "pix2pix-noise"},
    "pix2pix with batch norm": PIX2PIX,
    "pix2pix with instance norm": PIX2PIX | {"norm": "instance"},
    "pix2pix, one image each": PIX2PIX | {"batch_size": 2},
    "cyclegan while the pools fill": CYCLE | {"pool_size": 50},
    "cyclegan with full pools": CYCLE | {"pool_size": 3},
    "cyclegan without pools": CYCLE | {"pool_size": 0},
    "cyclegan with batch norm": CYCLE | {"norm": "batch", "pool_size": 2},
    "cyclegan without the identity term": CYCLE | {"lambda_identity": 0.0},
    "cut": CUT,
    "cut with batch norm": CUT | {"norm": "batch"},
    "fastcut": CUT | {"method": "fastcut"},
    "tandem": TANDEM,
    "tandem with mode seeking, near the bounds of KL": TANDEM
    | {"lambda_ms": 1.0, "kl_bound": 0.02, "free_bits": 0.001, "input_dropout": 0.5},
    "tandem whose encoder sees outputs alone": TANDEM | {"encoder_sees_input": False},
    "tandem, augmented, in two micro-batches": TANDEM | {"accumulate": 2, "batch_size": 8, "diffaugment": AUGMENT},
    "bicyclegan, augmented": BICYCLE | {"conditional": True, "diffaugment": AUGMENT},
    "tandem in two micro-batches": TANDEM | {"accumulate": 2, "batch_size": 8},
    "bicyclegan in two micro-batches": BICYCLE | {"accumulate": 2, "batch_size": 8},
    "kl sum in two micro-batches": BICYCLE | {"accumulate": 2, "batch_size": 8, "kl_reduction": "sum"},
}


def images_at(objective: Objective, positions: Sequence[int], side: int) -> dict[str, Tensor]:
    images = {}
    for offset, name in enumerate("ab"):
        seeds = [torch.Generator().manual_seed(2 * position + offset) for position in positions]
        images[name] = torch.stack([torch.rand((3, side, side), generator=s, dtype=torch.float64) for s in seeds])
        images[name] = images[name] * 2 - 1
    drawn = objective.draw(0, positions)
    return images | {name: value.double() if value.is_floating_point() else value for name, value in drawn.items()}


def trained(process_group: ProcessGroup, options: dict[str, Any], *, overlap: Overlap = "off") -> dict[str, np.ndarray]:
    """Terms of each step, and all that the networks and pools hold after the last, in this process."""
    config = from_flat({"method": "bicyclegan", "batch_size": 4} | options)
    training = config.training
    objective = build_objective(config)
    objective.networks.double().train()
    micro_batches = MicroBatches.of_process(
        process_group.rank, process_group.size, per_process=training.accumulate, parts=config.objective.parts
    )
    objective.micro_batches = micro_batches.count
    process_group.join(objective)
    # A large epsilon, because Adam's usual one makes a whole step of a gradient that is rounding alone.
    optimizers: dict[str, torch.optim.Optimizer] = {
        name: torch.optim.Adam(network.parameters(), lr=1e-2, betas=(0.5, 0.999), eps=1e-2)
        for name, network in objective.networks.items()
    }
    average = make_all_reduce(process_group, overlap)
    watch = {"watch": average.watch} if isinstance(average, OverlappedAllReduce) else {}
    found: dict[str, np.ndarray] = {}
    positions = micro_batches.positions(0, training.batch_size)
    for step in range(STEPS):
        objective.joined = step > 0
        batches = [images_at(objective, next(positions), config.data.crop_size[0]) for _ in range(micro_batches.number)]
        terms = train_step(
            objective,
            optimizers,
            *batches,
            options=StepOptions(clip_grad_norm=training.clip_grad_norm, **watch),
            all_reduce=average,
        )
        found |= {f"step {step}, {name}": value.numpy() for name, value in terms.items()}
    found |= {name: value.numpy() for name, value in objective.networks.state_dict().items()}
    for name, pool in objective.pools.items():
        found |= {f"pool {name}/{key}": value.numpy() for key, value in pool.tensors().items()}
    return found


@pytest.fixture(scope="module")
def of_two() -> list[dict[str, dict[str, np.ndarray]]]:
    """What each of two processes has after all cases: one pair of processes for all of them."""
    return together(lambda process_group: {name: trained(process_group, options) for name, options in CASES.items()})


@pytest.fixture(scope="module")
def of_two_early() -> list[dict[str, dict[str, np.ndarray]]]:
    """The same with gradients that are sent while the backward runs, in small buckets."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(all_reduce, "BUCKET_BYTES", 2000)
        return together(
            lambda process_group: {
                name: trained(process_group, options, overlap="on") for name, options in CASES.items()
            }
        )


@pytest.mark.parametrize("case", CASES)
def test_gradients_sent_early_change_nothing(
    case: str, of_two: list[dict[str, dict[str, np.ndarray]]], of_two_early: list[dict[str, dict[str, np.ndarray]]]
) -> None:
    """Not in a bit: two summands have no order."""
    for late, early in zip(of_two, of_two_early, strict=True):
        assert late[case].keys() == early[case].keys()
        for name, value in late[case].items():
            assert value.tobytes() == early[case][name].tobytes(), name


@pytest.mark.parametrize("case", CASES)
def test_two_equal_one(case: str, of_two: list[dict[str, dict[str, np.ndarray]]]) -> None:
    options = CASES[case]
    with join("cpu") as process_group:
        expected = trained(process_group, options | {"accumulate": 1})
    first, second = (one[case] for one in of_two)
    assert first.keys() == second.keys() == expected.keys()
    for name, value in first.items():
        assert value.tobytes() == second[name].tobytes(), f"{name} differs between the processes"
        np.testing.assert_allclose(value, expected[name], rtol=1e-8, atol=1e-10, err_msg=name)


def test_the_steps_change_the_weights() -> None:
    """So the cases above compare what training has made."""
    with join("cpu") as process_group:
        after = trained(process_group, CASES["cyclegan with full pools"])
    objective = build_objective(from_flat({"batch_size": 4} | CASES["cyclegan with full pools"]))
    before = {name: value.numpy() for name, value in objective.networks.state_dict().items()}
    moved = [np.abs(after[name] - value).max() for name, value in before.items() if name.endswith("weight")]
    assert min(moved) > 1e-4
    assert len(after["pool a/images"]) == 3
