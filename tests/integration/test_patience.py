"""Runs that end when validations find nothing better: at which step, across interruptions, and when more is wanted."""

import math
from pathlib import Path
from typing import Any

from support import assert_same_run, page_text, tandem, tiny, train
from validated import validations_of

from tandem.data.contrast import LEAST_CONTRAST, LEAST_DETAIL
from tandem.report.records import Record
from tandem.training.trainer import train as train_run

OPTIONS: dict[str, Any] = {
    "steps": 40,
    "validate_every": 2,
    "validate_images": 2,
    "validate_samples": 2,
    "validate_metrics": "l1",
    "learning_rate": 0.05,
    "log_every": 1,
    "snapshot_every": 100,
    "ema_halflife_images": 0,
}


def step_of_the_end(values: list[float], patience: int) -> int:
    """By the definition: the first validation that so many others lie behind the lowest one so far.

    What must not become the best is infinite; before the first that may, nothing is waited for.
    """
    first = next(index for index, value in enumerate(values) if value < math.inf)
    for index in range(first, len(values)):
        so_far = values[: index + 1]
        if index - so_far.index(min(so_far)) == patience:
            return OPTIONS["validate_every"] * (index + 1)
    raise AssertionError("the run never stands still: choose another rate")


def test_a_run_ends_by_patience_and_says_so(held_out: dict[str, Path], tmp_path: Path) -> None:
    pairs, out = held_out["pairs"], tmp_path / "run"
    first = train(pairs, out, patience=2, keep_best="l1", **OPTIONS)
    numbers = [line["numbers"] for line in validations_of(out)]
    flat = [one.get("contrast", 1.0) < LEAST_CONTRAST or one.get("detail", 1.0) < LEAST_DETAIL for one in numbers]
    values = [math.inf if is_flat else one["l1"] for one, is_flat in zip(numbers, flat, strict=True)]
    end = step_of_the_end(values, 2)
    assert (len(values) * 2, end < 40) == (end, True)
    best = 2 * (values.index(min(values)) + 1)
    said = f"ended by patience at step {end}: 2 validations without a better l1 than that of step {best}"
    assert said in first.err
    assert "Ended by patience: 2 validations" in page_text(out / "index.html")
    again = train(pairs, out, patience=2, keep_best="l1", **OPTIONS)
    assert said in again.err
    assert "finished already" not in again.err
    assert [line["step"] for line in validations_of(out)] == list(range(2, end + 1, 2))

    # An interruption between the validations that count, and more patience later: the same runs.
    stopped = tmp_path / "stopped"
    words = tiny(patience=2, keep_best="l1", **OPTIONS)
    assert interrupted(pairs, stopped, end - 1) == end - 1
    assert tandem("train", pairs, "--out", stopped, *words).status == 0
    assert_same_run(stopped, out)
    train(pairs, out, **(OPTIONS | {"steps": end + 3}), patience=30, keep_best="l1")
    whole = tmp_path / "whole"
    train(pairs, whole, **(OPTIONS | {"steps": end + 3}), patience=30, keep_best="l1")
    assert_same_run(out, whole)


def interrupted(pairs: Path, out: Path, step: int) -> int:
    from support import tiny_config  # noqa: PLC0415

    from tandem.evaluation.validation import make_validator  # noqa: PLC0415  (imports much)

    config = tiny_config(patience=2, keep_best="l1", **OPTIONS)

    def stop(record: Record) -> bool:
        return record.step == step

    return train_run(config, pairs, out, make_validator=make_validator, callback=stop, quiet=True).step


def test_what_patience_needs(held_out: dict[str, Path], tmp_path: Path) -> None:
    refused = tandem("train", held_out["pairs"], "--out", tmp_path / "run", *tiny(steps=2, patience=3))
    assert (refused.status, "--patience: no effect without validation" in refused.err) == (2, True)
    only = {"validate_every": 1, "validate_images": 2, "validate_metrics": "l1-diversity", "patience": 2}
    refused = tandem("train", held_out["pairs"], "--out", tmp_path / "run", *tiny(steps=2, **only))
    assert (refused.status, "--patience 2 waits for a better number, but none of" in refused.err) == (2, True)
