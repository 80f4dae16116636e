"""Putting evaluations side by side, and finding out which of their numbers can be compared."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tandem.errors import ConfigError
from tandem.report.comparison_page import ComparedScore
from tandem.report.scores import REPORT_NAME, EvaluationReport, MetricResult


def compare_reports(evaluations: Mapping[str, Sequence[EvaluationReport]]) -> list[ComparedScore]:
    """All numbers of several evaluations.

    Args:
        evaluations: By name; of a model that translates in both directions one report for each. If there are such,
            every number is named with its direction.
    """
    several = any(len(reports) > 1 for reports in evaluations.values())
    directions: dict[str, dict[str, EvaluationReport]] = {}
    for title, reports in evaluations.items():
        for report in reports:
            directions.setdefault(report.direction if several else "", {})[title] = report
    found: dict[tuple[str, str], ComparedScore] = {}
    for direction, reports_of_direction in directions.items():
        for report in reports_of_direction.values():
            for score in report.scores:
                if (score.name, direction) not in found:
                    found[score.name, direction] = _compared(score.name, reports_of_direction, direction)
    order = list(dict.fromkeys(name for name, _ in found))
    return [found[key] for key in sorted(found, key=lambda key: order.index(key[0]))]


def names_of(paths: Sequence[Path]) -> list[str]:
    """Short names of reports, runs or models that differ: the folder, or as much of the path as it takes.

    Raises:
        ConfigError: One is given twice.
    """
    folders = [(path.parent if path.name == REPORT_NAME else path).resolve() for path in paths]
    if len(set(folders)) < len(folders):
        raise ConfigError("one run, model or report is given twice: give different ones.")
    for depth in range(1, max(len(folder.parts) for folder in folders) + 1):
        names = ["/".join(_telling(folder)[-depth:]) for folder in folders]
        if len(set(names)) == len(names):
            return names
    return [str(folder) for folder in folders]


def _telling(folder: Path) -> tuple[str, ...]:
    """The parts of a path without the usual last one, which all share."""
    return folder.parts[:-1] if folder.name in {"evaluation", "model"} else folder.parts


def _compared(name: str, reports: Mapping[str, EvaluationReport], direction: str) -> ComparedScore:
    holding = {
        title: (report, result, score)
        for title, report in reports.items()
        for result in report.results
        for score in result.scores
        if score.name == name
    }
    conditions = [_conditions(report, result) for report, result, _ in holding.values()]
    keys = dict.fromkeys(key for one in conditions for key in one)
    differing = tuple(key for key in keys if len({_text(one.get(key)) for one in conditions}) > 1)
    first = next(iter(holding.values()))[2]
    titled = f"{name} ({direction})" if direction else name
    return ComparedScore(titled, first.better, {title: score for title, (_, _, score) in holding.items()}, differing)


def _conditions(report: EvaluationReport, result: MetricResult) -> dict[str, Any]:
    # Other seeds give other samples of the same kind.
    left_out = {*result.outcomes, "seed"}
    conditions = {key: value for key, value in result.depends_on.items() if key not in left_out}
    conditions["real images"] = report.data.get("real_sha256")
    if report.subject.get("kind") == "model":
        conditions["inputs"] = report.data.get("inputs_sha256")
        conditions["fit"] = report.settings.get("fit")
    return conditions


def _text(value: Any) -> str:
    """File names of weights do not count, their hashes do."""
    if isinstance(value, Mapping):
        value = {key: one for key, one in value.items() if key != "file"}
    return json.dumps(value, sort_keys=True)
