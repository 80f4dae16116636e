"""``tandem bench``: its benchmarks, their JSON and their text."""

import json
import statistics

import pytest
from support import tandem

from tandem.commands.bench import BENCHMARKS

TINY = ["--size", "64", "--filters", "4", "--device", "cpu", "--rounds", "2"]


def test_alone_it_lists_the_benchmarks() -> None:
    shown = tandem("bench", "--help")
    assert shown.status == 0
    assert all(f"\n  {name} " in shown.out for name in BENCHMARKS)
    alone = tandem("bench")
    assert (alone.status, alone.out) == (2, shown.out)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_has_help_with_json_and_device(name: str) -> None:
    shown = tandem("bench", name, "--help")
    assert shown.status == 0
    assert f"tandem bench {name}" in shown.out
    assert "--json" in shown.out
    assert "--device" in shown.out


def test_an_unknown_benchmark() -> None:
    refused = tandem("bench", "trian")
    assert refused.status == 2
    assert "there is no 'tandem bench trian'. Did you mean train?" in refused.err


def test_the_header_says_what_was_measured_where() -> None:
    report = json.loads(tandem("bench", "sample", *TINY, "--json").out)
    header = report["header"]
    assert header["device"] == "cpu"
    assert header["threads"] == 1
    assert header["torch"].startswith("2.")
    assert {"tandem", "python", "cuda", "cudnn", "date", "cpu", "float32_matmul"} <= header.keys()


@pytest.mark.parametrize("method", ["bicyclegan", "cyclegan", "pix2pix"])
def test_a_training_step_is_measured(method: str) -> None:
    measured = tandem("bench", "train", "--method", method, *TINY, "--json")
    assert measured.status == 0, measured.err
    report = json.loads(measured.out)
    assert report["method"] == method
    assert report["batch_size"] == (2 if method == "bicyclegan" else 1)
    for seconds in report["train_step_seconds"].values():
        assert len(seconds["all"]) == 2
        assert seconds["median"] == statistics.median(seconds["all"]) > 0
        assert min(seconds["all"]) <= seconds["quartiles"][0] <= seconds["median"] <= seconds["quartiles"][1]
    assert all(megabytes > 50 for megabytes in report["peak_memory_mb"].values())
    if method == "bicyclegan":
        assert report["train_step_seconds"].keys() == {"published", "tandem"}
        assert report["train_step_speedup"] > 0


def test_the_text_has_the_medians() -> None:
    measured = tandem("bench", "train", *TINY)
    assert measured.status == 0
    assert "published order" in measured.out
    assert "times faster" in measured.out


def test_sampling_is_measured_per_image() -> None:
    report = json.loads(tandem("bench", "sample", *TINY, "--json").out)
    assert report["seconds_per_image"]["batch_10"] == pytest.approx(report["batch_seconds"]["batch_10"]["median"] / 10)
    assert "ms per image" in tandem("bench", "sample", *TINY).out
