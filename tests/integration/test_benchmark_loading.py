"""``python -m benchmarks.loading``: the loader's ways beside the step, on data that is given or generated."""

import json
from pathlib import Path

import pytest
from support import benchmark, write_pairs

TINY = ["--size", "32", "--filters", "4", "--device", "cpu", "--rounds", "2"]
ROUTES = ["files", "memory", "memory, no workers", "device"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_pairs(tmp_path / "data" / "train", 5)
    return tmp_path / "data"


def test_all_is_measured_and_goes_together(data: Path) -> None:
    measured = benchmark("loading", data, *TINY, "--num-workers", "1", "--steps", "2", "--json")
    assert measured.status == 0, measured.err
    report = json.loads(measured.out)
    assert report["header"]["device"] == "cpu"
    assert (report["images"], report["batch_size"], report["num_workers"]) == (5, 2, 1)
    assert report["decoded_mb"] == 5 * 2 * 3 * 36 * 36 / 1e6
    for name in ("pair_seconds", "pair_processor_seconds", "train_step_seconds_with_loading", "waiting"):
        assert list(report[name]) == ROUTES
        for seconds in report[name].values():
            assert len(seconds["all"]) == 2
            assert min(seconds["all"]) > 0
    assert all(share < 1 for seconds in report["waiting"].values() for share in seconds["all"])
    cost = {name: seconds["median"] for name, seconds in report["pair_processor_seconds"].items()}
    assert cost["memory"] < cost["files"]


def test_the_text_says_what_was_measured(data: Path) -> None:
    measured = benchmark("loading", data, *TINY, "--num-workers", "0", "--steps", "1", "--batch-size", "4")
    assert measured.status == 0, measured.err
    header, what, how, alone, *routes = measured.out.splitlines()
    assert "torch 2." in header
    assert what == f"{data}: 5 pairs, decoded 0 MB"
    assert how.startswith("bicyclegan, 32 px, batch 4, 0 workers")
    assert alone.startswith("the step alone")
    assert [line.split("  ")[0] for line in routes] == ["files", "memory", "device"]
    assert all("times the need; steps wait" in line for line in routes)


def test_without_data_pictures_are_drawn_also_for_unpaired_methods() -> None:
    measured = benchmark("loading", "--method", "cyclegan", *TINY, "--num-workers", "0", "--steps", "0")
    assert measured.status == 0, measured.err
    assert "generated pictures: 64 pairs" in measured.out
    assert "step" not in measured.out.splitlines()[-1]


def test_data_that_does_not_fit_is_refused(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tandem.data.budget.free_memory", lambda: 1000)
    refused = benchmark("loading", data, *TINY)
    assert refused.status != 0
    assert "more than a quarter of the free memory" in refused.err
