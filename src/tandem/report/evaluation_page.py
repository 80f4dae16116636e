"""The page of an evaluation: numbers with their uncertainty, what they depend on, and inputs to look at."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from tandem.report.charts import bar_chart, line_chart
from tandem.report.page import block, details, figure, notice, page, section, stats, table
from tandem.report.scores import Better, EvaluationReport, Measured, Score
from tandem.report.text import count, number

_ARROWS = {"lower": "lower is better", "higher": "higher is better", "neither": ""}
_LISTED = 200  # characters of a value in the tables


@dataclass(frozen=True)
class PictureGroup:
    """Inputs that belong together.

    Attributes:
        title: Why they are shown.
        pictures: Name of the input and its picture, relative to the page.
    """

    title: str
    pictures: tuple[tuple[str, str], ...]


def evaluation_page(report: EvaluationReport, groups: Sequence[PictureGroup]) -> str:
    """Return the HTML of the page.

    Args:
        report: The numbers.
        groups: Inputs to look at.
    """
    parts = [notice(text, "warning") for text in report.all_warnings]
    parts.append(stats((score.name, number(score.value), uncertainty(score)) for score in report.scores))
    return page(_title(report), "".join(parts) + _sections(report, groups), subtitle=_subtitle(report))


def both_ways_page(found: Sequence[tuple[EvaluationReport, Sequence[PictureGroup]]]) -> str:
    """Return the HTML of one page for the directions of a model, side by side.

    Args:
        found: Of each direction the numbers and the inputs to look at.
    """
    reports = [report for report, _ in found]
    warnings = dict.fromkeys(text for report in reports for text in way_warnings(report))
    parts = [notice(text, "warning") for text in warnings]
    rows = [(name, *cells, _ARROWS[better]) for name, better, cells in side_by_side(reports)]
    parts.append(section("Both ways", table(("Number", *(report.way for report in reports), ""), rows)))
    parts += [_sections(report, groups, way=report.way) for report, groups in found]
    subtitle = " ".join(f"{report.way}: {_subtitle(report)}" for report in reports)
    return page(_title(reports[0]), "".join(parts), subtitle=subtitle)


def side_by_side(reports: Sequence[EvaluationReport]) -> list[tuple[str, Better, tuple[str, ...]]]:
    """Each number of some reports: its name, which way is better, and value and interval in each; – where it lacks."""
    by_name = [{score.name: score for score in report.scores} for report in reports]
    rows = []
    for name in dict.fromkeys(name for scores in by_name for name in scores):
        having = [scores.get(name) for scores in by_name]
        cells = tuple("–" if one is None else " ".join(filter(None, _value(one))) for one in having)
        rows.append((name, next(one.better for one in having if one is not None), cells))
    return rows


def way_warnings(report: EvaluationReport) -> list[str]:
    """The warnings, saying which direction they are about."""
    return [f"{report.way}: {text}" for text in report.all_warnings]


def _value(score: Score) -> tuple[str, str]:
    interval = uncertainty(score)
    return number(score.value), f"({interval})" if interval else ""


def _title(report: EvaluationReport) -> str:
    return f"Evaluation of {report.subject['path']}"


def _subtitle(report: EvaluationReport) -> str:
    data = report.data
    return f"{count(data['num_inputs'])} inputs against {count(data['num_real'])} real images of {data['path']}."


def _sections(report: EvaluationReport, groups: Sequence[PictureGroup], *, way: str = "") -> str:
    prefix = f"{way}: " if way else ""
    parts = [section(f"{prefix}Numbers", _numbers(report))]
    parts += [_chart(result, prefix) for result in report.results if result.curve]
    if modes := _modes(report):
        parts.append(section(f"{prefix}Modes", modes))
    for group in groups:
        pictures = "".join(figure(path, f"{name} and its samples", name, kind="strip") for name, path in group.pictures)
        parts.append(section(prefix + group.title, pictures))
    if report.left_out:
        rows = [(one.metric, one.reason) for one in report.left_out]
        parts.append(section(f"{prefix}Left out", table(("Metric", "Why"), rows)))
    parts.append(section(f"{prefix}What the numbers depend on", _dependencies(report)))
    return "".join(parts)


def uncertainty(score: Score) -> str:
    """The interval, or the standard error, as a few words; empty if there is neither."""
    if score.low is not None and score.high is not None:
        return f"{number(score.low)} to {number(score.high)}"
    return "" if score.standard_error is None else f"± {number(score.standard_error)}"


def _numbers(report: EvaluationReport) -> str:
    header = ("Number", "Value", "Interval", "Standard error", "Units", "", "Note")
    rows = [
        (
            score.name,
            number(score.value),
            "" if score.low is None else f"{uncertainty(score)} ({score.confidence:.0%}, {score.method})",
            "" if score.standard_error is None else number(score.standard_error),
            count(score.count),
            _ARROWS[score.better],
            score.note,
        )
        for score in report.scores
    ]
    return table(header, rows)


def _chart(result: Measured, prefix: str) -> str:
    points = sorted(result.curve)
    limit = [score.value for score in result.scores if score.name.endswith("-infinity")]
    chart = line_chart(
        {result.metric: points},
        title=f"{result.title} of fewer images",
        x_label="all images / images used",
        y_label="distance",
        reference={"at infinity": limit[0]} if limit else None,
    )
    lead = "A line through these points, at 0, is the distance of infinitely many images."
    if any(score.note for score in result.scores if score.name.endswith("-infinity")):
        lead += " Here there are fewer images than features, where the bias is no line: its end says little."
    return section(f"{prefix}{result.title}: bias", block("charts", [chart]), lead=lead)


def _modes(report: EvaluationReport) -> str:
    for result in report.results:
        if result.metric == "mode-coverage":
            shares = {str(index + 1): float(share) for index, share in enumerate(result.depends_on["frequencies"])}
            return block("charts", [bar_chart(shares, title="Share of the samples by mode", y_label="share")])
    return ""


def _dependencies(report: EvaluationReport) -> str:
    paths = {"path": report.subject["path"], "path of the real images": report.data["path"]}
    general = {**report.versions, **report.subject, **report.data, **paths, **report.settings}
    general.pop("names", None)
    parts = [table(("What", "Value"), [(key, _text(value)) for key, value in general.items()])]
    parts += [
        details(result.title, table(("What", "Value"), [(k, _text(v)) for k, v in result.depends_on.items()]))
        for result in report.results
        if result.depends_on
    ]
    return "".join(parts)


def _text(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LISTED else text[:_LISTED] + " …"
