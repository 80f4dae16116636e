"""``tandem bench sample``: what it measures, against what, and what it refuses."""

import json
import statistics
from pathlib import Path

import pytest
from support import tandem

TINY = ["--size", "64", "--device", "cpu", "--rounds", "3"]


def test_ways_are_measured_against_the_baseline() -> None:
    words = ["--filters", "4", "--counts", "1", "5", "--ways", "batched", "bf16", "graphs"]
    measured = tandem("bench", "sample", *TINY, *words, "--json")
    assert measured.status == 0, measured.err
    report = json.loads(measured.out)
    assert report["counts"].keys() == {"1", "5"}
    for count, ways in report["counts"].items():
        assert ways.keys() == {"baseline", "batched", "bf16"}
        for way in ways.values():
            seconds = way["seconds"]["all"]
            assert len(seconds) == 3
            assert way["samples_per_second"] == pytest.approx(int(count) / statistics.median(seconds))
            ratios = [slow / fast for slow, fast in zip(ways["baseline"]["seconds"]["all"], seconds, strict=True)]
            assert way["times_faster"] == pytest.approx(statistics.median(ratios))
    assert report["largest_difference"]["baseline"] == 0
    assert report["largest_difference"]["batched"] < 1e-4
    assert 0 < report["largest_difference"]["bf16"] < 0.3
    assert report["not_here"] == {"graphs": "CUDA graphs need a CUDA device."}


def test_a_trained_model(model: Path) -> None:
    words = ["--model", str(model), "--counts", "2", "--ways", "batched"]
    shown = tandem("bench", "sample", *TINY, *words)
    assert shown.status == 0, shown.err
    assert f"{model}, 64 px, 4 filters" in shown.out
    assert "2 samples of one input" in shown.out
    assert "1.00 times the baseline" in shown.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--ways", "batchd"], "not 'batchd'. Did you mean batched?"),
        (["--counts", "0"], "--counts must be from 1 to 1024, not 0"),
        (["--rounds", "0"], "--rounds must be from 1 to 1024, not 0"),
        (["--model", "MODEL", "--filters", "8"], "--filters has no effect with --model"),
        (["--model", "MODEL", "--size", "33"], "--size 33: this model takes multiples of"),
    ],
)
def test_what_is_refused(model: Path, words: list[str], message: str) -> None:
    refused = tandem("bench", "sample", "--device", "cpu", *(word.replace("MODEL", str(model)) for word in words))
    assert refused.status == 2
    assert message in refused.err
