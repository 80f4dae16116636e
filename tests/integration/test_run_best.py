"""Which checkpoint a run keeps as the best, and what of validation is refused before the first step."""

import json
from pathlib import Path
from typing import Any

import pytest
from support import (
    page_text,
    tandem,
    tiny,
    tiny_config,
    train,
)
from validated import COMPETING, METHODS, validations_of

from tandem.checkpoint.store import CheckpointStore
from tandem.data.synthetic import write_dataset
from tandem.errors import ConfigError
from tandem.training.trainer import train as train_run


@pytest.mark.parametrize(("keep", "better"), [("ssim", max), ("l1", min), ("auto", min)])
def test_the_best_is_kept_by_the_rule(
    held_out: dict[str, Path], features: Path, tmp_path: Path, keep: str, better: Any
) -> None:
    """Also where no snapshot falls on its step; the page, the log and the exported model name it."""
    run = tmp_path / "run"
    options = {"validate_every": 1, "validate_images": 2, "validate_features": features, "keep_best": keep}
    options |= COMPETING
    finished = train(held_out["pairs"], run, steps=8, learning_rate=0.01, snapshot_every=100, keep_last=1, **options)
    number = "frechet" if keep == "auto" else keep
    values = {line["step"]: line["numbers"][number] for line in validations_of(run)}
    wanted = better(values.values())
    step = next(step for step, value in values.items() if value == wanted)
    store = CheckpointStore(run / "checkpoints")
    assert store.best_step() == step
    assert store.steps() == sorted({step, 8})
    word = "highest" if better is max else "lowest"
    assert f"the best checkpoint is that with the {word} {number}" in finished.err
    assert f"Best: step {step}, {number} " in finished.err
    page = page_text(run / "index.html")
    assert f"Best: step {step}, {number} " in page
    assert f"the {word} of 8 validations." in page
    assert tandem("export", run).status == 0
    assert json.loads((run / "model-best" / "model.json").read_text())["training"]["steps"] == step


def test_another_rule_begins_anew(held_out: dict[str, Path], tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(held_out["pairs"], run, steps=4, validate_every=2, validate_images=2, **COMPETING)
    before = CheckpointStore(run / "checkpoints").best()
    assert before is not None
    again = train(held_out["pairs"], run, steps=6, validate_every=2, validate_images=3, keep_best="l1", **COMPETING)
    assert "it is chosen anew" in again.err
    best = CheckpointStore(run / "checkpoints").best()
    assert best is not None
    assert (best.step, best.score) == (6, validations_of(run)[-1]["numbers"]["l1"])
    assert "the lowest of 1 validation." in page_text(run / "index.html")


def test_a_finished_run_can_be_validated_afterwards(held_out: dict[str, Path], tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(held_out["pairs"], run, steps=4, **COMPETING)
    assert not validations_of(run)
    for _ in range(2):
        train(held_out["pairs"], run, steps=4, validate_every=2, validate_images=2, **COMPETING)
        assert [line["step"] for line in validations_of(run)] == [4]
    best = CheckpointStore(run / "checkpoints").best()
    assert best is not None
    assert -best.score == validations_of(run)[0]["numbers"]["ssim-best"]


def test_without_a_number_that_tells_there_is_no_best(held_out: dict[str, Path], tmp_path: Path) -> None:
    kind, options = METHODS["cut"]
    plain = train(held_out[kind], tmp_path / "plain", steps=2, **options)
    assert "no checkpoint is kept as the best: without pairs and a way back" in plain.err
    assert "No best checkpoint: without pairs" in page_text(tmp_path / "plain" / "index.html")
    refused = tandem("export", tmp_path / "plain", "--checkpoint", "best")
    assert refused.status == 1
    assert "kept are the steps 2. Choose one with --checkpoint STEP" in refused.err
    only = {"validate_every": 1, "validate_images": 2, "validate_metrics": "psnr"}
    finished = train(held_out["pairs"], tmp_path / "psnr", steps=2, **only)
    assert "ssim-best, ssim, l1-best, l1 is measured; --keep-best NAME takes another number" in finished.err


def test_the_split_test_stands_in_and_train_never_does(data: Path, tmp_path: Path) -> None:
    only_train = write_dataset(tmp_path / "train", size=32, num_train=4, num_val=0, num_test=0)
    refused = tandem("train", only_train, "--out", tmp_path / "run", *tiny(steps=2, validate_every=1))
    assert refused.status == 1
    assert "neither a split val nor test: put some images of the same kind into DATA/val" in refused.err
    with_test = write_dataset(tmp_path / "test", size=32, num_train=4, num_val=0, num_test=2)
    finished = train(with_test, tmp_path / "tested", steps=2, validate_every=2)
    assert "on 2 of 2 pairs of test, 10 samples each; without a split val" in finished.err
    del data


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep_best": "ssim"}, "--keep-best: no effect without validation: give --validate-every"),
        (
            {"validate_every": 2, "keep_best": "smoothness"},
            "--keep-best smoothness: no number is called so; measured are l1, l1-best, ssim",
        ),
        ({"validate_every": 2, "validate_metrics": "ssin"}, "--validate-metrics: there is no metric 'ssin'"),
        ({"validate_every": 2, "validate_metrics": "mode-coverage"}, "cannot be had while training"),
        (
            {"validate_every": 2, "validate_metrics": "frechet"},
            "--validate-metrics frechet: it needs --validate-features",
        ),
        ({"validate_every": 2, "validate_features_size": 9}, "no effect without --validate-features FILE"),
        ({"validate_every": -1}, "--validate-every must be at least 0"),
    ],
)
def test_what_does_not_work_is_named_before_the_first_step(
    data: Path, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    refused = tandem("train", data, "--out", tmp_path / "run", *tiny(steps=2, **options))
    assert refused.status == 2
    assert message in refused.err
    assert not (tmp_path / "run" / "model").exists()


def test_a_damaged_feature_network_is_not_left_out(data: Path, tmp_path: Path) -> None:
    (tmp_path / "features.onnx").write_bytes(b"no network")
    words = tiny(steps=2, validate_every=1, validate_features=tmp_path / "features.onnx")
    refused = tandem("train", data, "--out", tmp_path / "run", *words)
    assert refused.status in {1, 2}
    assert "features.onnx" in refused.err


def test_python_callers_say_who_measures(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"give train\(\) make_validator"):
        train_run(tiny_config(steps=2, validate_every=1), data, tmp_path / "run")


def test_the_grey_of_the_first_steps_is_never_the_best(held_out: dict[str, Path], tmp_path: Path) -> None:
    """A real run whose flat outputs at step 8 have the highest SSIM of all; the page, the log and the export say so."""
    run = tmp_path / "run"
    options = {"learning_rate": 0.02, "ema_halflife_images": 0, "latent_dim": 3, "snapshot_every": 100}
    finished = train(held_out["pairs"], run, steps=12, validate_every=4, **options)
    numbers = {line["step"]: line["numbers"] for line in validations_of(run)}
    assert max(numbers, key=lambda step: numbers[step]["ssim-best"]) == 8
    assert [numbers[step]["contrast"] < 0.5 for step in (4, 8, 12)] == [True, True, False]
    assert CheckpointStore(run / "checkpoints").best_step() == 12
    left_out = "2 of 3 did not compete: the last of them has contrast"
    assert left_out in finished.err
    assert left_out in page_text(run / "index.html")
    assert "It is the first that competed" not in finished.err  # there is nothing to compare it with
    exported = tandem("export", run)
    assert f"step 12 (the best, the last, ssim-best {numbers[12]['ssim-best']:.3g}" in exported.err
    assert json.loads((run / "model-best" / "model.json").read_text())["training"]["steps"] == 12


def test_where_all_is_grey_the_last_is_exported(held_out: dict[str, Path], tmp_path: Path) -> None:
    run = tmp_path / "run"
    finished = train(held_out["pairs"], run, steps=2, validate_every=1, validate_images=2)
    assert "No best checkpoint yet. 2 of 2 did not compete: the last of them has contrast" in finished.err
    exported = tandem("export", run)
    assert "no checkpoint in" in exported.err
    assert "did not compete: contrast" in exported.err
    assert json.loads((run / "model-last" / "model.json").read_text())["training"]["steps"] == 2
    refused = tandem("export", run, "--checkpoint", "best")
    assert refused.status == 1


def test_a_best_one_that_is_the_first_is_doubted(held_out: dict[str, Path], tmp_path: Path) -> None:
    """Where the weights stay as they are all numbers are equal, and the first stays the best."""
    run = tmp_path / "run"
    options = {"validate_every": 1, "validate_images": 2, "learning_rate": 1e-12, "ema_halflife_images": 0}
    finished = train(held_out["pairs"], run, steps=2, **options, **COMPETING)
    assert "Best: step 1, ssim-best" in finished.err
    doubt = "It is the first that competed, and by ssim-best none since has been better"
    assert doubt in finished.err
    assert doubt in page_text(run / "index.html")
    exported = tandem("export", run)
    assert doubt in exported.err
    assert "taken is step 1 (the best, ssim-best" in exported.err
    assert "left: step 2 (the last, ssim-best" in exported.err
