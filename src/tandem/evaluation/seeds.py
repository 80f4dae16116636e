"""Runs of one setting with several seeds: what their validations say together."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tandem.checkpoint.store import CheckpointStore
from tandem.errors import DataError
from tandem.evaluation.estimates import Estimate, student_estimate
from tandem.evaluation.metrics import STANDARD_METRICS
from tandem.report.records import HealthRecord, ValidationRecord, read_metrics
from tandem.report.scores import Better
from tandem.report.seeds_page import SeedRow
from tandem.training.run_folder import RunFolder

Which = Literal["last", "best", "evaluation"]
SEED_PREFIX = "seed-"
_ARROWS: dict[Better, str] = {"lower": "↓", "higher": "↑", "neither": ""}


def seed_folder(out: Path, seed: int) -> Path:
    """The folder of the run with a seed."""
    return out / f"{SEED_PREFIX}{seed}"


@dataclass(frozen=True)
class RunNumbers:
    """What was measured last in a run, and at its best checkpoint.

    Attributes:
        name: Of the run.
        step: Of the last measurement.
        last: Its numbers.
        best_step: Of the best checkpoint; None where there is none that was measured.
        best: The numbers there.
        is_validated: Whether they are those of validations; otherwise those of the fixed inputs of snapshots.
        conditions: What the numbers depend on beside the model.
    """

    name: str
    step: int
    last: Mapping[str, float]
    best_step: int | None
    best: Mapping[str, float]
    is_validated: bool
    conditions: Mapping[str, object]


@dataclass(frozen=True)
class SeedScore:
    """One number over the seeds.

    Attributes:
        name: The number.
        which: Of the last measurement, at the best checkpoint, or of an evaluation.
        better: Which way is better.
        values: By run; those that have not measured it are missing.
        estimate: Mean and interval over the runs.
    """

    name: str
    which: Which
    better: Better
    values: Mapping[str, float]
    estimate: Estimate

    @property
    def deviation(self) -> float | None:
        """The standard deviation over the runs; None for a single one."""
        error = self.estimate.standard_error
        return None if error is None else error * math.sqrt(self.estimate.count)

    @property
    def row(self) -> SeedRow:
        """As a page shows it."""
        low, high = self.estimate.low, self.estimate.high
        return SeedRow(
            name=self.name,
            better=_ARROWS[self.better],
            mean=self.estimate.value,
            deviation=self.deviation,
            interval=None if low is None or high is None else (low, high),
            values=self.values,
        )


def run_numbers(path: Path) -> RunNumbers:
    """Read what was measured in a run.

    Raises:
        DataError: There is no run, nothing was measured yet, or its log is damaged.
    """
    run = RunFolder(path)
    records = read_metrics(run.metrics)
    by_step: dict[int, Mapping[str, float]] = {}
    conditions: Mapping[str, object] = {}
    validations = [record for record in records if isinstance(record, ValidationRecord)]
    for record in validations:
        if record.conditions == validations[-1].conditions:
            by_step[record.step] = {name: value for name, value in record.numbers.items() if value is not None}
            conditions = record.conditions
    if not validations:
        for record in records:
            if isinstance(record, HealthRecord):
                numbers = record.measured.as_json()
                by_step[record.step] = {name: value for name, value in numbers.items() if isinstance(value, float)}
    if not by_step:
        raise DataError(f"{path} is no run in which anything was measured: train it first, or name another.", file=path)
    best_step = CheckpointStore(run.checkpoints).best_step()
    known = best_step in by_step
    return RunNumbers(
        name=run.name,
        step=max(by_step),
        last=by_step[max(by_step)],
        best_step=best_step if known else None,
        best=by_step[best_step] if best_step is not None and known else {},
        is_validated=bool(validations),
        conditions=conditions,
    )


def seed_scores(runs: Sequence[RunNumbers]) -> list[SeedScore]:
    """Mean, and interval by Student's t, of every number over some runs; the last measurements, then the best ones."""
    found: list[SeedScore] = []
    ways: Sequence[Which] = ("last", "best")
    for which in ways:
        names = dict.fromkeys(name for run in runs for name in getattr(run, which))
        for name in names:
            values = {run.name: getattr(run, which)[name] for run in runs if name in getattr(run, which)}
            found.append(SeedScore(name, which, better_of(name), values, student_estimate(list(values.values()))))
    return found


def better_of(name: str) -> Better:
    """Which way a number of a validation is better; that of one direction is that of both."""
    known: dict[str, Better] = {one.name: one.better for metric in STANDARD_METRICS for one in metric.numbers}
    return known.get(name, known.get(name.removesuffix("-AtoB").removesuffix("-BtoA"), "neither"))


def is_seed_run(path: Path) -> bool:
    """Whether a folder is one of a training with several seeds."""
    return path.name.startswith(SEED_PREFIX) and path.name.removeprefix(SEED_PREFIX).isdigit() and path.is_dir()
