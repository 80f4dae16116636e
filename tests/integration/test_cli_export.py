"""``tandem export``: the model that training wrote at a step, and what cannot be exported."""

import json
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
