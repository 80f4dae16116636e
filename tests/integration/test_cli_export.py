"""``tandem export``: the model that training wrote at a step, and what cannot be exported."""

import json
import os
import sys
from pathlib import Path

import pytest
from support import (
    tandem,
    train,
)


def test_the_exported_checkpoint_is_what_training_wrote(held_out: dict[str, Path], tmp_path: Path) -> None:
    """A run that ends at step 8 wrote that bundle; one of ten steps still has the checkpoint."""
    for steps, name in ((8, "short"), (10, "long")):
        train(held_out["pairs"], tmp_path / name, steps=steps, keep_last=9)
    finished = tandem("export", tmp_path / "long", "--checkpoint", "8", "--out", tmp_path / "model")
    assert finished.status == 0, finished.err
    names = sorted(path.name for path in (tmp_path / "model").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "short" / "model").iterdir())
    written, exported = (
        json.loads((folder / "model.json").read_text()) for folder in (tmp_path / "short" / "model", tmp_path / "model")
    )
    assert written["training"]["options"].pop("steps") == 8
    assert exported["training"]["options"].pop("steps") == 10
    assert written == exported
    weights = written["weights"]["file"]
    assert (tmp_path / "model" / weights).read_bytes() == (tmp_path / "short" / "model" / weights).read_bytes()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--checkpoint", "7"], "there is no checkpoint of step 7"),
        (["--checkpoint", "worst"], "--checkpoint must be auto, best, last or a step, not 'worst'"),
        (["--out", "RUN/model"], "belongs to training: give another folder"),
        (["--out", "RUN/checkpoints"], "holds other files and no model"),
        (["--out", "RUN/config.yaml"], "is a file: give a folder"),
    ],
)
def test_what_cannot_be_exported(finished_run: Path, words: list[str], message: str) -> None:
    refused = tandem("export", finished_run, *(word.replace("RUN", str(finished_run)) for word in words))
    assert refused.status in {1, 2}
    assert message in refused.err


def test_only_runs_are_exported(tmp_path: Path) -> None:
    refused = tandem("export", tmp_path)
    assert refused.status == 1
    assert "holds no checkpoints: give the folder of a run" in refused.err


def test_a_small_bundle_of_a_run_is_sampled_and_shared(finished_run: Path, data: Path, tmp_path: Path) -> None:
    for words in (["--out", tmp_path / "small"], ["--to", "hub", "--out", tmp_path / "shared"]):
        finished = tandem("export", finished_run, "--weights", "int8", *words)
        assert finished.status == 0, finished.err
        folder, image = Path(words[-1]), sorted((data / "test").iterdir())[0]
        assert tandem("sample", folder, image, "--pairs", "--out", folder.with_suffix(".png")).status == 0
    manifest = json.loads((tmp_path / "shared" / "config.json").read_text())
    assert manifest["weights"]["stored"] == "int8"
    assert "| Weights stored as | int8 |" in (tmp_path / "shared" / "README.md").read_text()
    assert (tmp_path / "small.png").read_bytes() == (tmp_path / "shared.png").read_bytes()
    again = tandem("export", tmp_path / "small", "--to", "hub", "--weights", "fp16", "--out", tmp_path / "other")
    assert "is a model already, whose weights are shared as they are" in again.err


@pytest.mark.skipif(sys.platform != "linux", reason="names that are no text")
def test_other_programs_open_no_path_that_is_no_text(finished_run: Path, tmp_path: Path) -> None:
    """Tandem's own models do have such names."""
    out = tmp_path / os.fsdecode(b"b\xff")
    for words in (["onnx", "--out", f"{out}.onnx"], ["hub", "--out", out], ["bioimageio", "--out", out]):
        refused = tandem("export", finished_run, "--to", *words)
        assert refused.status == 2
        assert "holds bytes that are no text (UTF-8), and other programs open no such path" in refused.err
    assert list(tmp_path.iterdir()) == []
    assert tandem("export", finished_run, "--out", out).status == 0
    good = tmp_path / "good.onnx"
    assert tandem("export", out, "--to", "onnx", "--out", good).status == 0
    good.rename(out.with_suffix(".onnx"))
    sampled = tandem("sample", out.with_suffix(".onnx"), finished_run, "--out", tmp_path / "samples")
    assert sampled.status == 1
    assert "ONNX Runtime opens no path with bytes that are no text" in sampled.err
