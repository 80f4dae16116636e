"""Training with --val-split: the run of the same data with a folder of its own for val, to the last bit."""

import json
import shutil
from pathlib import Path

from support import assert_same_state, log_of, records_of, tandem, tiny, train, write_pairs

from tandem.data.discover import find_splits
from tandem.data.hold_out import hold_out

OPTIONS = {"method": "bicyclegan", "validate_every": 4, "seed": 3}


def test_it_is_the_run_of_folders(tmp_path: Path) -> None:
    data = write_pairs(tmp_path / "data", 12)
    for name, split in hold_out(find_splits(data), 3).items():
        for pair in split.inputs("AtoB"):
            target = tmp_path / "folders" / name / pair.files[0].name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(str(pair.files[0]), target)
    train(tmp_path / "folders", tmp_path / "expected", steps=8, **OPTIONS)
    run = tmp_path / "run"
    train(data, run, steps=4, **OPTIONS, val_split=3)
    train(data, run, steps=8, **OPTIONS, val_split=3)
    assert_same_state(tmp_path / "expected", run)
    assert log_of(tmp_path / "expected") == log_of(run)
    sampled = {path.name for path in (run / "samples" / "images").iterdir()}
    assert sampled == {path.name for path in (tmp_path / "expected" / "samples" / "images").iterdir()}

    moved = data.rename(tmp_path / "moved")
    held = sorted(path.stem for path in (tmp_path / "folders" / "val").iterdir())
    for words in (["evaluate", run, moved, "--metrics", "l1"], ["evaluate", run / "model", moved, "--metrics", "l1"]):
        finished = tandem(*words, "--out", tmp_path / "report", "--device", "cpu")
        assert finished.status == 0, finished.err
        assert "held out of train by --val-split 3" in finished.err
        report = json.loads((tmp_path / "report" / "report.json").read_text())
        assert sorted(report["data"]["names"]) == held

    refused = tandem("train", moved, "--out", run, *tiny(steps=8, **OPTIONS))
    assert refused.status != 0
    assert "val_split" in refused.err


def test_a_comparison_shows_what_was_held_out(tmp_path: Path) -> None:
    """Of a dataset that has no val; a warning names a model that has not held it out."""
    data = write_pairs(tmp_path / "data" / "train", 9).parent
    for name, val_split in (("first", 3), ("second", 3), ("third", None)):
        train(data, tmp_path / name, method="bicyclegan", steps=2, val_split=val_split)
    held = {pair.name for pair in hold_out(find_splits(data), 3)["val"].inputs("AtoB")}
    for runs, warns in ((("first", "second"), False), (("third", "first"), True)):
        words = [tmp_path / run for run in runs]
        finished = tandem("compare", *words, "--inputs", data, "--out", tmp_path / "out", "--device", "cpu")
        assert finished.status == 0, finished.err
        assert ("first held out (--val-split), and third may have been trained on them" in finished.err) == warns
        for run in runs:
            sampled = records_of(tmp_path / "out" / "outputs" / run)[1:]
            assert {record["name"] for record in sampled} == held
