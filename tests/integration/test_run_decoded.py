"""Runs whose images stay decoded are the runs that read their files."""

from pathlib import Path

import pytest
from support import assert_same_run, log_of, tandem, tiny, train, write_pairs

from tandem.report.records import TrainRecord, read_metrics


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_pairs(tmp_path / "data" / "train", 5)
    write_pairs(tmp_path / "data" / "test", 1, seed=1)
    return tmp_path / "data"


def test_where_images_stay_changes_nothing(data: Path, tmp_path: Path) -> None:
    plain = train(data, tmp_path / "plain", steps=8, decoded_gb=0)
    assert "the training images stay decoded" not in plain.err  # a loader that waits is told of --decoded-gb
    kept = train(data, tmp_path / "kept", steps=8, num_workers=2)
    assert "the training images stay decoded in memory" in kept.err
    assert_same_run(tmp_path / "kept", tmp_path / "plain")
    train(data, tmp_path / "resident", steps=5, decoded_place="device")
    train(data, tmp_path / "resident", steps=8, decoded_place="device", decoded_gb=0.1)
    assert_same_run(tmp_path / "resident", tmp_path / "plain")
    small = train(data, tmp_path / "small", steps=8, decoded_gb=0.00001)
    assert "they are read anew each time" in small.err
    assert log_of(tmp_path / "small") == log_of(tmp_path / "plain")


def test_waiting_is_in_the_log_and_on_the_page(data: Path, tmp_path: Path) -> None:
    train(data, tmp_path / "run", steps=9)
    records = read_metrics(tmp_path / "run" / "metrics.jsonl")
    shares = [record.speed.waiting for record in records if isinstance(record, TrainRecord)]
    assert shares[0] is None
    assert len(shares) == 4
    assert all(0 < share < 1 for share in shares[1:])
    page = (tmp_path / "run" / "index.html").read_text()
    assert "Waiting for data" in page
    assert f"{100 * shares[-1]:.1f} %" in page


def test_impossible_budgets_are_refused(data: Path, tmp_path: Path) -> None:
    refused = tandem("train", data, "--out", tmp_path / "run", *tiny(steps=1, decoded_gb=-1))
    assert refused.status != 0
    assert "--decoded-gb must be at least 0, not -1.0" in refused.err
