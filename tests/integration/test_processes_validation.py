"""Validation in a run of two processes: one measures while the other waits, and both stop at its errors."""

from pathlib import Path

from process_groups import forked, run_forked
from support import assert_same_run, tiny, wait_for
from validated import COMPETING, validations_of

from tandem.checkpoint.store import CheckpointStore

OPTIONS = {"batch_size": 4, "validate_every": 3, "validate_images": 2, **COMPETING}


def test_resuming_gives_the_same_validations(data: Path, tmp_path: Path) -> None:
    """Off the turn of the snapshots, at the end, and with the best checkpoint kept."""
    for out, steps in (("whole", 8), ("parts", 5), ("parts", 8)):
        run_forked("train", data, "--out", tmp_path / out, *tiny(steps=steps, **OPTIONS), logs=tmp_path / "logs")
    assert_same_run(tmp_path / "whole", tmp_path / "parts")
    assert [line["step"] for line in validations_of(tmp_path / "whole")] == [3, 6, 8]
    whole, parts = (CheckpointStore(tmp_path / run / "checkpoints").best() for run in ("whole", "parts"))
    assert whole == parts
    assert whole is not None


def test_what_validation_refuses_ends_all(data: Path, tmp_path: Path) -> None:
    options = tiny(steps=8, keep_best="smoothness", **OPTIONS)
    pids = forked("train", data, "--out", tmp_path / "run", *options, logs=tmp_path / "logs")
    assert 0 not in [wait_for(pid) for pid in pids]
    told = "".join(path.read_text() for path in (tmp_path / "logs").iterdir())
    assert "--keep-best smoothness: no number is called so" in told
