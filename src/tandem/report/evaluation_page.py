"""The page of an evaluation: numbers with their uncertainty, what they depend on, and inputs to look at."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tandem.report.charts import bar_chart, line_chart
from tandem.report.links import Link
from tandem.report.rendering import ChartSection, render_page
from tandem.report.scores import Better, EvaluationReport, MetricResult, Score
from tandem.report.text import count, number

_ARROWS = {
    "lower": "lower\N{NO-BREAK SPACE}is\N{NO-BREAK SPACE}better",
    "higher": "higher\N{NO-BREAK SPACE}is\N{NO-BREAK SPACE}better",
    "neither": "",
}
_LISTED = 200  # characters of a value in the tables

Cells = tuple[str, ...]
"""One row of a table."""


@dataclass(frozen=True)
class PictureGroup:
    """Inputs that belong together.

    Attributes:
        title: Why they are shown.
        pictures: Name of the input and its picture, relative to the page.
    """

    title: str
    pictures: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class _ReportView:
    """The sections on one report.

    Attributes:
        prefix: What their headings begin with.
        numbers: Rows of the table of numbers.
        chart_sections: Curves and modes.
        groups: Inputs to look at.
        left_out: Rows: metrics, and why they are missing.
        dependencies: Rows: what all numbers depend on.
        dependencies_of_metrics: Titles of metrics, with the rows of what their numbers depend on.
        outputs: What comes out of what was measured: samples, or outputs.
    """

    prefix: str
    numbers: Sequence[Cells]
    chart_sections: Sequence[ChartSection]
    groups: Sequence[PictureGroup]
    left_out: Sequence[Cells]
    dependencies: Sequence[Cells]
    dependencies_of_metrics: Sequence[tuple[str, Sequence[Cells]]]
    outputs: str


def evaluation_page(report: EvaluationReport, groups: Sequence[PictureGroup], *, links: Sequence[Link] = ()) -> str:
    """Return the HTML of the page.

    Args:
        report: The numbers.
        groups: Inputs to look at.
        links: What the page leads to.
    """
    content = {
        "warnings": report.all_warnings,
        "tiles": [(score.name, number(score.value), uncertainty(score)) for score in report.scores],
        "side_by_side": None,
        "reports": [_view(report, groups)],
    }
    return render_page("evaluation.html", content, title=_title(report), subtitle=_subtitle(report), links=links)


def both_directions_page(
    found: Sequence[tuple[EvaluationReport, Sequence[PictureGroup]]], *, links: Sequence[Link] = ()
) -> str:
    """Return the HTML of one page for the directions of a model, side by side.

    Args:
        found: Of each direction the numbers and the inputs to look at.
        links: What the page leads to.
    """
    reports = [report for report, _ in found]
    content = {
        "warnings": direction_warnings(reports),
        "tiles": [],
        "side_by_side": {
            "header": ("Number", *(report.direction for report in reports), "How to read"),
            "rows": [(name, *cells, _ARROWS[better]) for name, better, cells in side_by_side(reports)],
        },
        "reports": [_view(report, groups, prefix=f"{report.direction}: ") for report, groups in found],
    }
    subtitle = " ".join(f"{report.direction}: {_subtitle(report)}" for report in reports)
    return render_page("evaluation.html", content, title=_title(reports[0]), subtitle=subtitle, links=links)


def side_by_side(reports: Sequence[EvaluationReport]) -> list[tuple[str, Better, tuple[str, ...]]]:
    """Each number of some reports: its name, which way is better, and value and interval in each; – where it lacks."""
    by_name = [{score.name: score for score in report.scores} for report in reports]
    rows = []
    for name in dict.fromkeys(name for scores in by_name for name in scores):
        having = [scores.get(name) for scores in by_name]
        cells = tuple("–" if one is None else " ".join(filter(None, _value(one))) for one in having)
        rows.append((name, next(one.better for one in having if one is not None), cells))
    return rows


def direction_warnings(reports: Sequence[EvaluationReport]) -> list[str]:
    """The warnings of reports, each once, saying which directions they are about."""
    directions: dict[str, list[str]] = {}
    for report in reports:
        for text in report.all_warnings:
            directions.setdefault(text, []).append(report.direction)
    return [f"{' and '.join(names)}: {text}" for text, names in directions.items()]


def _value(score: Score) -> tuple[str, str]:
    interval = uncertainty(score)
    return number(score.value), f"({interval})" if interval else ""


def _title(report: EvaluationReport) -> str:
    return f"Evaluation of {report.subject['path']}"


def _subtitle(report: EvaluationReport) -> str:
    data = report.data
    return f"{count(data['num_inputs'])} inputs against {count(data['num_real'])} real images of {data['path']}."


def _view(report: EvaluationReport, groups: Sequence[PictureGroup], *, prefix: str = "") -> _ReportView:
    charts = [_bias_section(result, prefix) for result in report.results if result.curve]
    charts += [_shares_section(result, prefix) for result in report.results if result.shares]
    return _ReportView(
        prefix=prefix,
        numbers=[_number_cells(score) for score in report.scores],
        chart_sections=charts,
        groups=groups,
        left_out=[(", ".join(names), reason) for reason, names in _by_reason(report).items()],
        dependencies=_dependencies(report),
        dependencies_of_metrics=[
            (result.title, _value_cells(result.depends_on)) for result in report.results if result.depends_on
        ],
        outputs="outputs" if report.settings.get("num_samples") == 1 else "samples",
    )


def _by_reason(report: EvaluationReport) -> dict[str, list[str]]:
    """The metrics that were left out, by the reason why."""
    found: dict[str, list[str]] = {}
    for one in report.left_out:
        found.setdefault(one.reason, []).append(one.metric)
    return found


def uncertainty(score: Score) -> str:
    """The interval, or the standard error, as a few words; empty if there is neither."""
    if score.low is not None and score.high is not None:
        return f"{number(score.low)} to {number(score.high)}"
    return "" if score.standard_error is None else f"± {number(score.standard_error)}"


def _number_cells(score: Score) -> Cells:
    return (
        score.name,
        number(score.value),
        "" if score.low is None else uncertainty(score),
        "" if score.low is None else f"{score.confidence:.0%}, {score.method}".replace(" ", "\N{NO-BREAK SPACE}"),
        "" if score.standard_error is None else number(score.standard_error),
        count(score.count),
        _ARROWS[score.better],
        score.note,
    )


def _bias_section(result: MetricResult, prefix: str) -> ChartSection:
    limit = [score.value for score in result.scores if score.name == result.curve_limit]
    chart = line_chart(
        {result.metric: sorted(result.curve)},
        title=f"{result.title} of fewer images",
        x_label="all images / images used",
        y_label="distance",
        reference={"at infinity": limit[0]} if limit else None,
    )
    lead = "A line through these points, at 0, is the distance of infinitely many images."
    if any(score.note for score in result.scores if score.name == result.curve_limit):
        lead += " Here there are fewer images than features, where the bias is no line: its end says little."
    return ChartSection(f"{prefix}{result.title}: bias", [chart], lead)


def _shares_section(result: MetricResult, prefix: str) -> ChartSection:
    chart = bar_chart(result.shares, title=result.shares_title, y_label="share")
    return ChartSection(f"{prefix}{result.title}", [chart])


def _dependencies(report: EvaluationReport) -> list[Cells]:
    paths = {"path": report.subject["path"], "path of the real images": report.data["path"]}
    general = {**report.versions, **report.subject, **report.data, **paths, **report.settings}
    general.pop("names", None)
    return _value_cells(general)


def _value_cells(values: Mapping[str, object]) -> list[Cells]:
    return [(key, _text(value)) for key, value in values.items()]


def _text(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LISTED else text[:_LISTED] + " …"
