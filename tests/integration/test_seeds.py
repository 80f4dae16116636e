"""Several seeds of one setting: runs like any others, means over them with intervals, and going on where it stopped."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from support import (
    TINY_OPTIONS,
    assert_page_is_whole,
    assert_same_run,
    fork,
    num_log_lines,
    tandem,
    tiny,
    train,
    until,
    wait_for,
)
from validated import COMPETING, validations_of

import tandem as package
from tandem.checkpoint.store import CheckpointStore
from tandem.errors import ConfigError, DataError
from tandem.evaluation.estimates import student_estimate, student_quantile
from tandem.report.text import number

OPTIONS: dict[str, Any] = COMPETING | {
    "validate_every": 2,
    "validate_images": 2,
    "validate_samples": 2,
    "keep_best": "l1",
}


def interval(values: list[float]) -> tuple[float, float]:
    """By SciPy."""
    return stats.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=stats.sem(values))


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_quantiles_are_those_of_scipy(confidence: float) -> None:
    for freedom in (*range(1, 12), 29, 100):
        assert student_quantile(confidence, freedom) == pytest.approx(stats.t.ppf(0.5 + confidence / 2, freedom))


def test_intervals_are_those_of_scipy() -> None:
    values = [0.3, 0.35, 0.28, 0.31]
    found = student_estimate(values)
    assert (found.low, found.high) == pytest.approx(interval(values))
    assert (found.value, found.standard_error) == pytest.approx((np.mean(values), stats.sem(values)))
    alone = student_estimate([2.0])
    assert (alone.value, alone.low, alone.standard_error) == (2.0, None, None)
    for wrong in ([], [1.0, float("nan")]):
        with pytest.raises(DataError):
            student_estimate(wrong)


def test_seeds_are_runs_and_go_on_where_they_stopped(held_out: dict[str, Path], tmp_path: Path) -> None:
    pairs, out = held_out["pairs"], tmp_path / "all"
    words = tiny(seeds="3,0", steps=4, **OPTIONS)
    first = out / "seed-3"
    pid = fork("train", pairs, "--out", out, *words)
    until(lambda: num_log_lines(first) >= 1, pid)
    os.kill(pid, signal.SIGTERM)
    assert wait_for(pid) in {143, -signal.SIGTERM}
    assert not (out / "seed-0").exists()
    finished = tandem("train", pairs, "--out", out, *words)
    assert finished.status == 0, finished.err
    alone = tmp_path / "seed-3"
    train(pairs, alone, steps=4, seed=3, **OPTIONS)
    assert_same_run(first, alone)

    runs = [out / f"seed-{seed}" for seed in (3, 0)]
    last = [validations_of(run)[-1]["numbers"]["l1"] for run in runs]
    low, high = interval(last)
    mean = f"{number(np.mean(last))} ± {number(np.std(last, ddof=1))}"
    assert f"l1: {mean} (95 % interval {number(low)} to {number(high)})" in finished.err
    best = []
    for run in runs:
        step = CheckpointStore(run / "checkpoints").best_step()
        best += [line["numbers"]["l1"] for line in validations_of(run) if line["step"] == step]
    page = (out / "index.html").read_text()
    assert_page_is_whole(out / "index.html", least=0)
    assert len(best) == len(runs)
    for values in (last, best):
        for text in (
            f"{number(np.mean(values))} ± {number(np.std(values, ddof=1))}",
            " to ".join(map(number, interval(values))),
        ):
            assert f'<td><span class="n">{text}</span></td>' in page
    assert_seeds_are_compared(out, alone, last, best)
    assert_evaluations_are_compared(out, runs, pairs)


def summary(values: list[float]) -> str:
    return (
        f"{number(np.mean(values))} ± {number(np.std(values, ddof=1))} ({' to '.join(map(number, interval(values)))})"
    )


def assert_evaluations_are_compared(out: Path, runs: list[Path], pairs: Path) -> None:
    """Beside their validations, where runs have them."""
    values = []
    for run in runs:
        words = ("--metrics", "l1", "--num-samples", "1", "--device", "cpu", "--out", run / "evaluation")
        assert tandem("evaluate", run, pairs, *words).status == 0
        report = json.loads((run / "evaluation" / "report.json").read_text())
        values.append(report["results"][0]["scores"][0]["value"])
    finished = tandem("compare", out, "--out", out.parent / "evaluations")
    assert finished.status == 0, finished.err
    table = (out.parent / "evaluations" / "comparison.md").read_text()
    assert table.splitlines()[0] == "| | seed-0 | seed-3 |"
    evaluated = table.partition("Over seeds: evaluation")[2].splitlines()
    assert [line for line in evaluated if line.startswith("| l1 ↓")] == [f"| l1 ↓ | {summary(values)} |"]


def assert_seeds_are_compared(out: Path, other: Path, last: list[float], best: list[float]) -> None:
    """The folder, or all that lies in it, is one setting beside another run; a copy of a run is no further seed."""
    place = out.parent / "comparison"
    several = [summary(values) for values in (last, best)]
    for words in ([out], sorted(out.iterdir()), [out, other]):
        finished = tandem("compare", *words, "--out", place)
        assert "must not be compared" not in finished.err
        assert finished.status == 0, finished.err
        table = (place / "comparison.md").read_text()
        assert all(line in finished.err for line in table.splitlines())
        rows = [line for line in table.splitlines() if line.startswith("| l1 ↓ |")]
        alone = [f" {number(value)} |" if other in words else "" for value in (last[0], best[0])]
        assert rows == [f"| l1 ↓ | {text} |{more}" for text, more in zip(several, alone, strict=True)]
        assert "all (2 seeds)" in table
        assert_page_is_whole(place / "comparison.html", least=0)
        assert "The runs of all" in (place / "comparison.html").read_text()
    refused = tandem("compare", out / "seed-3", "--out", place)
    assert (refused.status, "needs at least two runs" in refused.err) == (2, True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seeds": "0,x"}, "--seeds must be whole numbers of at least 0"),
        ({"seeds": "0,-1"}, "--seeds must be whole numbers of at least 0"),
        ({"seeds": "1,1"}, "--seeds 1,1 names a seed twice"),
        ({"seeds": "0,1", "seed": 4}, "--seed and --seeds both say"),
    ],
)
def test_seeds_that_are_none(data: Path, tmp_path: Path, options: dict[str, Any], message: str) -> None:
    refused = tandem("train", data, "--out", tmp_path / "run", *tiny(steps=2, **options))
    assert (refused.status, message in refused.err) == (2, True), refused.err
    assert not (tmp_path / "run").exists()


def test_a_folder_of_something_else_is_left_alone(data: Path, finished_run: Path) -> None:
    refused = tandem("train", data, "--out", finished_run, *tiny(steps=2, seeds="0,1"))
    assert (refused.status, "holds other things than the runs of --seeds" in refused.err) == (2, True)
    with pytest.raises(ConfigError, match="seeds has no effect here"):
        package.train(data, finished_run, seeds=(0, 1), **TINY_OPTIONS)
