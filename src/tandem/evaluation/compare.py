"""Putting evaluations side by side, and finding out which of their numbers can be compared."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tandem.errors import ConfigError
from tandem.evaluation.folder import REPORT_NAME
from tandem.report.comparison_page import ComparedScore
from tandem.report.scores import EvaluationReport, Measured

_OUTCOMES = frozenset({"r_squared", "frequencies", "class_accuracies", "class_ious", "pixels", "seed"})
"""What is said beside a number but is not a condition of it. Other seeds give other samples of the same kind."""


def compare_reports(reports: Mapping[str, EvaluationReport]) -> list[ComparedScore]:
    """All numbers of several evaluations.

    Args:
        reports: By the name of the evaluation.
    """
    found: dict[str, ComparedScore] = {}
    for report in reports.values():
        for score in report.scores:
            if score.name not in found:
                found[score.name] = _compared(score.name, reports)
    return list(found.values())


def names_of(paths: Sequence[Path]) -> list[str]:
    """Short names of reports that differ: the folder, or as much of the path as it takes.

    Raises:
        ConfigError: One report is given twice.
    """
    folders = [(path.parent if path.name == REPORT_NAME else path).resolve() for path in paths]
    if len(set(folders)) < len(folders):
        raise ConfigError("one report is given twice: give different ones.")
    for depth in range(1, max(len(folder.parts) for folder in folders) + 1):
        names = ["/".join(_telling(folder)[-depth:]) for folder in folders]
        if len(set(names)) == len(names):
            return names
    return [str(folder) for folder in folders]


def _telling(folder: Path) -> tuple[str, ...]:
    """The parts of a path without the usual last one, which all share."""
    return folder.parts[:-1] if folder.name == "evaluation" else folder.parts


def _compared(name: str, reports: Mapping[str, EvaluationReport]) -> ComparedScore:
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
    return ComparedScore(name, first.better, {title: score for title, (_, _, score) in holding.items()}, differing)


def _conditions(report: EvaluationReport, result: Measured) -> dict[str, Any]:
    conditions = {key: value for key, value in result.depends_on.items() if key not in _OUTCOMES}
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
