"""Whole runs of every method and variant: stopped and continued they are bit for bit the undisturbed ones."""

from pathlib import Path
from typing import Any

import pytest
from support import assert_same_run, files_of, log_of, state_of, tandem, tiny, tiny_config, train

from tandem.data.synthetic import write_dataset
from tandem.training.trainer import train as train_run

HALF, WHOLE = 5, 10
NONE = {"encoder_filters": None, "latent_dim": None}
RESIDUAL: dict[str, Any] = {"generator": "residual_unet", "dropout": False, "init": "fan_in", "init_gain": 1.0}
CUT = NONE | {"discriminator_layers": 2, "nce_patches": 8, "nce_filters": 4, "generator_filters": 2}
RUNS: dict[str, tuple[str, dict[str, Any]]] = {
    "pix2pix": ("pairs", NONE | {"method": "pix2pix", "size": 64, "generator_filters": 2}),
    "cyclegan": (
        "domains",
        NONE | {"method": "cyclegan", "generator_blocks": 1, "pool_size": 3, "generator_filters": 2},
    ),
    "residual pix2pix": ("pairs", NONE | RESIDUAL | {"method": "pix2pix"}),
    "residual cyclegan": ("domains", NONE | RESIDUAL | {"method": "cyclegan", "pool_size": 3}),
    "cut": ("domains", CUT | {"method": "cut"}),
    "fastcut": ("domains", CUT | {"method": "fastcut", "batch_size": 2, "direction": "BtoA"}),
    "cvae-gan": ("pairs", {"method": "cvae-gan"}),
    "cvae-gan++": ("pairs", {"method": "cvae-gan++"}),
    "clr-gan": ("pairs", {"method": "clr-gan"}),
    "cae-gan": ("pairs", {"method": "cae-gan"}),
    "pix2pix-noise": ("pairs", {"method": "pix2pix-noise"}),
    "mode seeking": ("pairs", {"lambda_ms": 1.0}),
}

TANDEM: dict[str, dict[str, Any]] = {
    "by its losses": {"encoder_sees_input": False, "learning_rate": 0.01, "lr_warmup_steps": 0},
    "before the stop": {"gan_from": 0.3, "direction": "BtoA"},
    "at the stop": {"gan_from": 0.5, "lambda_ms": 1.0, "recompute_activations": True},
    "after the stop": {"gan_from": 0.7, "batch_size": 4, "accumulate": 2},
}
"""Runs of tandem by when their discriminators join; the length says it, so that halves have that of the whole."""


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Training data alone, so that nothing is sampled after training: seven pairs; seven images in each domain."""
    root = tmp_path_factory.mktemp("methods")
    counts = {"size": 32, "num_train": 7, "num_val": 0, "num_test": 0}
    return {
        "pairs": write_dataset(root / "pairs", **counts),
        "domains": write_dataset(root / "domains", layout="unpaired", **counts),
    }


@pytest.mark.parametrize("name", RUNS)
def test_half_and_half_is_whole(datasets: dict[str, Path], tmp_path: Path, name: str) -> None:
    """The whole run reads its data itself; the first half has two workers."""
    kind, options = RUNS[name]
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    train(datasets[kind], whole, steps=WHOLE, **options)
    train(datasets[kind], halves, steps=HALF, num_workers=2, **options)
    assert state_of(halves)[1]["step"] == HALF
    train(datasets[kind], halves, steps=WHOLE, **options)
    assert_same_run(whole, halves)
    pools = {key: len(value) for key, value in state_of(whole)[0].items() if key.startswith("pool/")}
    assert pools == ({"pool/a/images": 3, "pool/b/images": 3} if name.endswith("cyclegan") else {})
    assert {line["kind"] for line in log_of(whole)} == {"train", "health"}


@pytest.mark.parametrize("name", TANDEM)
def test_tandem_stopped_and_continued_is_whole(datasets: dict[str, Path], tmp_path: Path, name: str) -> None:
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    options: dict[str, Any] = {"method": "tandem", "batch_size": 2, "steps": WHOLE, "log_every": 1} | TANDEM[name]
    train(datasets["pairs"], whole, **options)
    train_run(
        tiny_config(**options | {"num_workers": 2}),
        datasets["pairs"],
        halves,
        callback=lambda record: record.step >= HALF,
        quiet=True,
    )
    assert state_of(halves)[1]["step"] == HALF
    joined_at = {"by its losses": 8, "before the stop": 3, "at the stop": 5, "after the stop": 7}[name]
    assert state_of(halves)[1]["joining"]["joined_at"] == (joined_at if joined_at < HALF else None)
    continued = train(datasets["pairs"], halves, **options)
    assert "another length" not in continued.err
    assert_same_run(whole, halves)
    assert state_of(whole)[1]["joining"]["joined_at"] == joined_at
    judged = [line["step"] for line in log_of(whole) if line["kind"] == "train" and "gan" in line["losses"]]
    assert judged == list(range(joined_at + 1, WHOLE + 1))


def test_what_follows_the_length_of_a_run_goes_by_a_new_one(datasets: dict[str, Path], tmp_path: Path) -> None:
    """And a longer run says so; discriminators that have joined stay."""
    options = {"method": "tandem", "batch_size": 2}
    train(datasets["pairs"], tmp_path / "run", steps=4, **options)
    joined = state_of(tmp_path / "run")[1]["joining"]["joined_at"]
    longer = train(datasets["pairs"], tmp_path / "run", steps=6, **options)
    assert "the run has another length now, which --lr-schedule half_linear goes by" in longer.err
    assert state_of(tmp_path / "run")[1]["joining"]["joined_at"] == joined == 3
    constant = {"lr_schedule": "constant"}
    train(datasets["pairs"], tmp_path / "other", steps=4, **options, **constant)
    assert "another length" not in train(datasets["pairs"], tmp_path / "other", steps=6, **options, **constant).err


def test_measuring_does_not_change_what_is_trained(datasets: dict[str, Path], tmp_path: Path) -> None:
    """pix2pix with dropout and batch norm, measured after every step or at the end alone."""
    kind, options = RUNS["pix2pix"]
    for name, every in (("often", 1), ("once", 100)):
        train(datasets[kind], tmp_path / name, steps=4, snapshot_every=every, log_every=100, **options)
    often, once = (state_of(tmp_path / name)[0] for name in ("often", "once"))
    assert often.keys() == once.keys()
    assert [key for key, value in often.items() if not value.equal(once[key])] == []
    assert [line["step"] for line in log_of(tmp_path / "often") if line["kind"] == "health"] == [1, 2, 3, 4]


def test_without_dropout_there_are_no_samples_to_compare(datasets: dict[str, Path], tmp_path: Path) -> None:
    """Batch norm's own statistics are no noise: one output, and the log says so."""
    kind, options = RUNS["pix2pix"]
    train(datasets[kind], tmp_path / "run", steps=1, **(options | {"dropout": False}))
    last = log_of(tmp_path / "run")[-1]
    assert last["verdict"] == "The model gives one output for an input: it has neither a latent nor dropout."


@pytest.mark.parametrize(
    "case",
    [
        ("cyclegan", "cyclegan", {"pool_size": 4}, "pool_size: was 3, is 4"),
        ("cut", "fastcut", {"batch_size": 1, "direction": "AtoB"}, "lambda_nce: was 1.0, is 10.0"),
        ("cyclegan", "cut", {}, "method: was cyclegan, is cut"),
        ("clr-gan", "pix2pix", {}, "method: was bicyclegan, is pix2pix"),
        ("cvae-gan", "cae-gan", {}, "lambda_kl: was 0.01, is 0.0"),
        ("cvae-gan", "cvae-gan", {"lambda_ms": 0.5}, "lambda_ms: was 0.0, is 0.5"),
    ],
)
def test_a_run_of_another_method_is_refused(
    datasets: dict[str, Path], tmp_path: Path, case: tuple[str, str, dict[str, Any], str]
) -> None:
    first, second, changes, says = case
    out = tmp_path / "run"
    train(datasets[RUNS[first][0]], out, steps=1, **RUNS[first][1])
    before = files_of(out)
    kind, options = RUNS[second]
    refused = tandem("train", datasets[kind], "--out", out, *tiny(steps=2, **(options | changes)))
    assert refused.status == 1
    assert "holds a run with other settings" in refused.err
    assert says in refused.err
    named = [line for line in refused.err.splitlines() if ": was " in line]
    assert says in (named[0] if says.startswith("method") else refused.err)
    # Options that only one of two methods has would bury what matters.
    assert len(named) < 12
    after = files_of(out)
    assert {name for name in before if before[name] != after.get(name)} == set()
    assert all(name.startswith("cache/") for name in after.keys() - before.keys())
