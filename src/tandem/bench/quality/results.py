"""From the reports and costs of the runs of a bench to its rows: means over runs, and the excess over real images."""

import dataclasses
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tandem.bench.quality.costs import COST_NAME, Cost, SampleCost, read_costs, whole_cost
from tandem.config.parse import parse_dataclass
from tandem.errors import DataError
from tandem.evaluation.compare import compare_reports
from tandem.evaluation.estimates import student_estimate
from tandem.evaluation.folder import read_reports
from tandem.foreign import load_json
from tandem.report.comparison_page import ComparedScore
from tandem.report.quality import EXCESS, REAL, QualityNumber, QualityReport, QualityRow, QualityRun
from tandem.report.scores import EvaluationReport, Score

FORMAT = 1
MAX_BYTES = 64 * 2**20
IN_EXCESS = ("frechet", "fid")
"""Numbers that are above 0 for real images too, and the more so the fewer images there are."""


@dataclass(frozen=True, kw_only=True)
class BenchRun:
    """One run of a row, as far as it is there.

    Attributes:
        name: ``seed-0``.
        report: The folder of its evaluation.
        run: The folder of its training; None of real images, and of models that were trained elsewhere.
        sample: The file with the cost of a sample; None of real images.
    """

    name: str
    report: Path
    run: Path | None = None
    sample: Path | None = None


@dataclass(frozen=True, kw_only=True)
class BenchRow:
    """A row of the bench; see `tandem.report.quality.QualityRow`."""

    name: str
    kind: Literal["setting", "model", "real"]
    method: str
    steps: int | None
    runs: Sequence[BenchRun]


def gather_rows(rows: Sequence[BenchRow]) -> tuple[tuple[QualityRow, ...], dict[str, list[str]]]:
    """Read what there is of all rows.

    Args:
        rows: The rows; of each run the report must exist.

    Returns:
        The rows with their numbers, and for numbers that must not be compared what their models do not share.

    Raises:
        DataError: A report or a cost is damaged.
    """
    reports = {(row.name, run.name): read_reports(run.report) for row in rows for run in row.runs}
    kinds = {row.name: row.kind for row in rows}
    of_models = _compared({key: found for key, found in reports.items() if kinds[key[0]] != "real"})
    of_real = _compared({key: found for key, found in reports.items() if kinds[key[0]] == "real"})
    found = []
    for row in rows:
        compared = of_real if row.kind == "real" else of_models
        numbers = [one for each in compared if (one := _number(each, row.name)) is not None]
        runs = tuple(_run(run, row.steps) for run in row.runs)
        quality = QualityRow(
            name=row.name, kind=row.kind, method=row.method, steps=row.steps, runs=runs, numbers=tuple(numbers)
        )
        found.append(quality)
    differs_in = {one.name: list(one.differs_in) for one in of_models if one.differs_in}
    return with_excess(found), differs_in


_SEPARATOR = "\0"


def _compared(reports: Mapping[tuple[str, str], Sequence[EvaluationReport]]) -> list[ComparedScore]:
    return compare_reports({_SEPARATOR.join(key): found for key, found in reports.items()})


def _number(compared: ComparedScore, row: str) -> QualityNumber | None:
    """A number of one row: the mean over its runs, or that of its single run."""
    scores: dict[str, Score] = {}
    for key, score in compared.scores.items():
        name, run = key.split(_SEPARATOR)
        if name == row:
            scores[run] = score
    if not scores:
        return None
    values = {run: score.value for run, score in scores.items()}
    note = next((score.note for score in scores.values() if score.note), "")
    if len(scores) == 1:
        (score,) = scores.values()
        mean, deviation, low, high, method = score.value, None, score.low, score.high, score.method
    else:
        estimate = student_estimate(list(values.values()))
        mean, low, high, method = estimate.value, estimate.low, estimate.high, estimate.method
        deviation = statistics.stdev(values.values())
    return QualityNumber(
        name=compared.name,
        better=compared.better,
        mean=mean,
        deviation=deviation,
        low=low,
        high=high,
        method=method,
        note=note,
        values=values,
    )


def with_excess(rows: Sequence[QualityRow]) -> tuple[QualityRow, ...]:
    """Add to each row how much more its distances are than the mean of real images, where there is such a row."""
    real = next((row for row in rows if row.kind == "real"), None)
    if real is None:
        return tuple(rows)
    levels = {name: one.mean for name in IN_EXCESS if (one := real.find(name)) is not None}
    return tuple(dataclasses.replace(row, numbers=tuple(_with_excess(row.numbers, levels))) for row in rows)


def _with_excess(numbers: Sequence[QualityNumber], levels: Mapping[str, float]) -> list[QualityNumber]:
    found = []
    for one in numbers:
        found.append(one)
        if one.name in levels:
            level = levels[one.name]
            found.append(
                dataclasses.replace(
                    one,
                    name=one.name + EXCESS,
                    mean=one.mean - level,
                    low=None if one.low is None else one.low - level,
                    high=None if one.high is None else one.high - level,
                    note=f"more than {REAL}",
                    values={run: value - level for run, value in one.values.items()},
                )
            )
    return found


def _run(run: BenchRun, steps: int | None) -> QualityRun:
    cost: Cost | None = None
    try:
        if run.run is not None and steps is not None:
            cost = whole_cost(read_costs(run.run / COST_NAME), steps)
        sample = read_sample(run.sample)
    except (OSError, ValueError) as error:
        raise DataError(
            f"what {run.report.parent} has cost cannot be read: {error}.", file=run.report.parent
        ) from error
    return QualityRun(
        name=run.name,
        cpu_seconds=None if cost is None else cost.cpu_seconds,
        seconds=None if cost is None else cost.seconds,
        memory_mb=None if cost is None else cost.memory_mb,
        sample_cpu_seconds=None if sample is None else sample.cpu_seconds,
        sample_seconds=None if sample is None else sample.seconds,
        sample_memory_mb=None if sample is None else sample.memory_mb,
    )


def read_sample(path: Path | None) -> SampleCost | None:
    """The cost of a sample; None where it was not measured.

    Raises:
        ValueError: The file is damaged.
    """
    if path is None or not path.is_file():
        return None
    return parse_dataclass(SampleCost, json.loads(path.read_text(encoding="utf-8")), path.name)


def to_json(report: QualityReport) -> str:
    """The text of ``quality.json``."""
    return json.dumps(dataclasses.asdict(report), indent=1, allow_nan=False) + "\n"


def read_report(path: Path) -> QualityReport:
    """Read a ``quality.json``.

    Raises:
        DataError: There is none, or it is damaged or of another format.
    """
    try:
        report = parse_dataclass(QualityReport, load_json(path, MAX_BYTES), path.name)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise DataError(f"{path} is no report of tandem bench quality: {reason}.", file=path) from error
    if report.format != FORMAT:
        raise DataError(
            f"{path} has the format {report.format}; this version of Tandem reads format {FORMAT}.", file=path
        )
    return report
