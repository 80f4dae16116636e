"""The training state of every method through a checkpoint: 5 + 5 steps are 10 steps, bit for bit, pools included."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tandem.checkpoint.store import CheckpointStore
from tandem.config.run import from_flat
from tandem.errors import CheckpointError
from tandem.objectives.build import build_objective
from tandem.training.ema import EMA
from tandem.training.joining import Joining
from tandem.training.optimizers import make_adam
from tandem.training.state import TrainingState
from tandem.training.step import train_step

SMALL: dict[str, Any] = {"generator_filters": 2, "discriminator_filters": 2, "size": 32}
BICYCLE = SMALL | {"encoder_filters": 2, "latent_dim": 2, "batch_size": 2}
TANDEM = BICYCLE | {"discriminator_layers": 2}
RESIDUAL = {"generator": "residual_unet", "generator_depth": 2, "dropout": False}
AUGMENT = ("color", "translation", "cutout")
UNPAIRED = SMALL | {"generator_blocks": 1}
CUT = SMALL | {"generator_blocks": 5, "nce_filters": 4, "nce_patches": 8}

RUNS: dict[str, tuple[str, dict[str, Any]]] = {
    "pix2pix with dropout and batch norm": ("pix2pix", SMALL | {"size": 64}),
    "pix2pix of three": ("pix2pix", SMALL | {"batch_size": 3, "dropout": False, "norm": "instance"}),
    "cyclegan that swaps": ("cyclegan", UNPAIRED | {"pool_size": 2}),
    "cyclegan that fills": ("cyclegan", UNPAIRED | {"pool_size": 7, "batch_size": 2, "dropout": True}),
    "cyclegan without pool": ("cyclegan", UNPAIRED | {"pool_size": 0, "norm": "batch"}),
    "residual pix2pix": ("pix2pix", SMALL | RESIDUAL),
    "residual cyclegan": ("cyclegan", SMALL | RESIDUAL | {"pool_size": 2}),
    "cut": ("cut", CUT | {"dropout": True}),
    "fastcut": ("fastcut", CUT | {"batch_size": 2}),
    "cvae-gan": ("cvae-gan", BICYCLE),
    "cvae-gan++": ("cvae-gan++", BICYCLE),
    "clr-gan": ("clr-gan", BICYCLE),
    "cae-gan": ("cae-gan", BICYCLE),
    "pix2pix-noise": ("pix2pix-noise", BICYCLE),
    "mode seeking": ("bicyclegan", BICYCLE | {"lambda_ms": 1.0}),
    "augmented": ("bicyclegan", BICYCLE | {"conditional": True, "diffaugment": AUGMENT}),
    "pix2pix augmented": ("pix2pix", SMALL | {"size": 64, "diffaugment": AUGMENT}),
    "tandem augmented": ("tandem", TANDEM | {"gan_from": 0.3, "diffaugment": AUGMENT}),
    "tandem that joins before": ("tandem", TANDEM | {"gan_from": 0.3, "lambda_ms": 1.0}),
    "tandem that joins there": ("tandem", TANDEM | {"gan_from": 0.5}),
    "tandem that joins later": ("tandem", TANDEM | {"gan_from": 0.7}),
    "tandem by its losses": ("tandem", TANDEM | {"encoder_sees_input": False}),
    "tandem without discriminators": ("tandem", TANDEM | {"lambda_gan": 0.0}),
}
STEPS = 10


def fresh(name: str, **options: Any) -> tuple[TrainingState, int, int]:
    method, given = RUNS[name]
    config = from_flat({"method": method} | given | options)
    objective = build_objective(config)
    optimizers = {n: make_adam(net.parameters(), lr=1e-3, betas=(0.5, 0.999)) for n, net in objective.networks.items()}
    kept = {n: objective.networks[n] for n in objective.inference_networks}
    average = EMA(kept, halflife_images=20)
    joining = Joining.of(objective, config.objective)
    return (
        TrainingState(objective, optimizers, average, joining=joining),
        config.training.batch_size,
        config.data.crop_size[0],
    )


def train(name: str, until: int, state: TrainingState | None = None, **options: Any) -> TrainingState:
    made, n, side = fresh(name, **options)
    state = state or made
    while state.step < until:
        positions = range(n * state.step, n * state.step + n)
        generator = torch.Generator().manual_seed(state.step)
        batch = {name: 2 * torch.rand((n, 3, side, side), generator=generator) - 1 for name in ("a", "b")}
        torch.manual_seed(state.step)
        if state.joining is not None:
            state.objective.joined = state.joining.has_joined(state.step, STEPS)
        terms = train_step(state.objective, state.optimizers, batch | state.objective.draw(0, positions))
        state.meter.add(terms)
        state.step += 1
        if state.joining is not None:
            state.joining.observe(terms, state.step, STEPS)
        assert state.ema is not None
        state.ema.update(images_seen=n * state.step, batch_size=n)
    return state


def assert_equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> None:
    assert first.keys() == second.keys()
    assert [name for name, value in first.items() if not torch.equal(value, second[name])] == []


@pytest.mark.parametrize("name", RUNS)
def test_half_and_half_is_whole(tmp_path: Path, name: str) -> None:
    store = CheckpointStore(tmp_path)
    whole, first = train(name, 10), train(name, 5)
    store.save(5, first.tensors(), first.metadata())
    second, n, _ = fresh(name, seed=9)
    second.load(store.tensors(5), store.metadata(5))
    assert_equal(first.tensors(), second.tensors())
    train(name, 10, second)
    assert_equal(whole.tensors(), second.tensors())
    assert whole.meter.means() == second.meter.means()
    stored = {key: len(value) for key, value in whole.tensors().items() if key.startswith("pool/")}
    size = RUNS[name][1].get("pool_size", 0)
    assert stored == ({"pool/a/images": min(size, 10 * n), "pool/b/images": min(size, 10 * n)} if size else {})


def test_a_pool_that_is_not_resumed_makes_another_run() -> None:
    """The pool matters: without it the same steps end elsewhere."""
    whole, other = train("cyclegan that swaps", 10), train("cyclegan that swaps", 5)
    for pool in other.objective.pools.values():
        pool.load({}, device=torch.device("cpu"))
    train("cyclegan that swaps", 10, other)
    found = other.tensors()
    assert any(not torch.equal(value, found[key]) for key, value in whole.tensors().items() if "disc_" in key)


@pytest.mark.parametrize(
    ("name", "joined_at"),
    [
        ("tandem that joins before", 3),
        ("tandem that joins there", 5),
        ("tandem that joins later", 7),
        ("tandem by its losses", 8),
    ],
)
def test_where_discriminators_join(name: str, joined_at: int) -> None:
    """So the cases above are interrupted on either side; until then the state has no moments of them."""
    state = train(name, STEPS)
    assert state.joining is not None
    assert state.joining.joined_at == joined_at
    assert state.meter.counts["disc_real"] == STEPS - joined_at
    early = train(name, joined_at).tensors()
    assert not any(key.startswith("optimizer/disc") for key in early)
    assert any(key.startswith("optimizer/disc") for key in state.tensors())


def test_a_state_without_moments_of_discriminators_that_have_joined() -> None:
    state, (other, _, _) = train("tandem that joins before", 5), fresh("tandem that joins before")
    tensors = {key: value for key, value in state.tensors().items() if not key.startswith("optimizer/disc")}
    with pytest.raises(CheckpointError, match="optimizer disc has no state"):
        other.load(tensors, state.metadata())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pool/a/images": None}, "pool a is missing"),
        (
            {"pool/a/images": torch.zeros(3, 3, 32, 32)},
            r"pool a has the shape \(3, 3, 32, 32\), this run keeps 2 images",
        ),
        ({"pool/b/images": torch.zeros(0, 3, 32, 32)}, r"pool b has the shape \(0, 3, 32, 32\)"),
        ({"pool/b/images": torch.zeros(2, 3)}, r"pool b has the shape \(2, 3\)"),
        ({"pool/c/images": torch.zeros(1, 3, 32, 32)}, "pool c/images is not part of this model"),
        ({"pool/a/count": torch.zeros(1)}, "pool a/count is not part of this model"),
        ({"pools/a/images": torch.zeros(1)}, "tensors of the unknown kind pools"),
    ],
)
def test_pools_that_do_not_fit_are_refused(change: dict[str, Tensor | None], message: str) -> None:
    state = train("cyclegan that swaps", 3)
    saved = {key: value.clone() for key, value in state.tensors().items()} | change
    tensors = {key: value for key, value in saved.items() if value is not None}
    other, _, _ = fresh("cyclegan that swaps", seed=4)
    before = {key: value.clone() for key, value in other.tensors().items()}
    with pytest.raises(CheckpointError, match=message):
        other.load(tensors, state.metadata())
    assert_equal(before, other.tensors())


@pytest.mark.parametrize("size", [0, 1])
def test_a_smaller_pool_is_refused(size: int) -> None:
    state, (other, _, _) = train("cyclegan that swaps", 2), fresh("cyclegan that swaps", pool_size=size)
    with pytest.raises(CheckpointError, match=f"this run keeps {size} images"):
        other.load(state.tensors(), state.metadata())


@pytest.mark.parametrize(("of", "into"), [("cut", "cyclegan that swaps"), ("pix2pix of three", "cut")])
def test_a_state_of_other_networks(of: str, into: str) -> None:
    state, (other, _, _) = train(of, 1), fresh(into)
    with pytest.raises(CheckpointError, match=r"(?s)network .* is missing"):
        other.load(state.tensors(), state.metadata())
