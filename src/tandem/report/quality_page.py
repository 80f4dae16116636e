"""The page of a bench of quality, and its table in Markdown."""

from collections.abc import Callable, Sequence

from tandem.report.charts import point_chart
from tandem.report.comparison_page import ARROWS, comparison_warnings, legend_of, markdown_table, marked
from tandem.report.links import Link
from tandem.report.markup import Svg
from tandem.report.quality import EXCESS, QualityNumber, QualityReport, QualityRow, QualityRun
from tandem.report.rendering import render_page
from tandem.report.side_by_side import LEGEND_HEADER, SideBySide
from tandem.report.text import count, memory, number

CHARTED = ("frechet", "fid", "kid", "crps", "energy-score", "l1-best", "l1-diversity", "modes")
"""The numbers that are drawn against minutes, as far as there are any."""
MOST_CHARTS = 6
_LEAD = (
    "Every run is measured at its last step, never at a better one. Mean ± standard deviation over the runs; in "
    "brackets the 95 % interval of the mean, by Student's t, or of a single run that over images."
)
_EXCESS = (
    " “{name}” is how much more a number is than that of as many real training images, measured against the same "
    "held-out ones: 0 is as near as real images are."
)
_COSTS = ("Row", "Runs", "Steps", "Minutes", "Memory of training", "Milliseconds of a sample", "Memory of sampling")


def quality_page(report: QualityReport, *, pictures: SideBySide | None, links: Sequence[Link] = ()) -> str:
    """Return the HTML of the page.

    Args:
        report: What was found.
        pictures: What the models made of the same inputs; None if nothing was translated.
        links: To the pages of runs and evaluations.
    """
    compared = [report.compared(name) for name in report.numbers]
    header, rows = headline_table(report, marks=("★ ", ""))
    runs = [
        (row.name, ("Number", *(run.name for run in row.runs)), _values(row))
        for row in report.rows
        if len(row.runs) > 1 and row.numbers
    ]
    values = {
        "pictures": pictures,
        "legend_header": LEGEND_HEADER,
        "warnings": [*report.warnings, *comparison_warnings(compared)],
        "drawings": _charts(report),
        "chart_lead": (
            f"Each point is a run at its last step; minutes are those of the {'GPU' if report.on_gpu else 'CPU'}, with "
            "everything that training does."
        ),
        "table_lead": _lead(report) + " " + legend_of("★", compared, line="column"),
        "header": header,
        "rows": rows,
        "cost_lead": "Means over the runs. Memory is the most that a process held.",
        "cost_header": _COSTS,
        "costs": cost_rows(report),
        "all_header": ("Number", *(row.name for row in report.rows)),
        "all_rows": [
            (f"{name} {ARROWS[report.compared(name).better]}".strip(), *_cells(report, name, marks=("★ ", "")))
            for name in report.numbers
        ],
        "runs": runs,
        "facts": [(name, _in_words(value)) for name, value in {**report.conditions, **report.machine}.items()],
    }
    settings = sum(row.kind == "setting" for row in report.rows)
    subtitle = f"{settings} setting{'' if settings == 1 else 's'} on the same data."
    return render_page("quality.html", values, title="Quality", subtitle=subtitle, links=links)


def quality_markdown(report: QualityReport) -> str:
    """Return the table of headlines and that of costs in Markdown."""
    compared = [report.compared(name) for name in report.headlines]
    header, rows = headline_table(report, marks=("**", "**"))
    parts = [markdown_table(header, rows), _lead(report) + " " + legend_of("Bold type", compared, line="column") + "\n"]
    if found := [*report.warnings, *comparison_warnings(compared)]:
        parts.append("".join(f"- {text}\n" for text in found))
    parts.append(markdown_table(_COSTS, cost_rows(report)))
    return "\n".join(parts)


def headline_table(report: QualityReport, *, marks: tuple[str, str]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Header and rows: a row of the bench in each, its minutes, and the numbers that matter most."""
    names = report.headlines
    header = [f"{name} {ARROWS[report.compared(name).better]}".strip() for name in names]
    columns = [_cells(report, name, marks=marks) for name in names]
    minutes = [_mean(row, report.minutes, number) for row in report.rows]
    rows = [(row.name, minutes[index], *(column[index] for column in columns)) for index, row in enumerate(report.rows)]
    return ("Row", "Minutes", *header), rows


def cost_rows(report: QualityReport) -> list[tuple[str, ...]]:
    """What each row costs; real images cost nothing and are left out."""

    def sample_ms(run: QualityRun) -> float | None:
        seconds = run.sample_seconds if report.on_gpu else run.sample_cpu_seconds
        return None if seconds is None else 1000 * seconds

    return [
        (
            row.name,
            str(len(row.runs)),
            "–" if row.steps is None else count(row.steps),
            _mean(row, report.minutes, number),
            _mean(row, lambda run: run.memory_mb, memory),
            _mean(row, sample_ms, number),
            _mean(row, lambda run: run.sample_memory_mb, memory),
        )
        for row in report.rows
        if row.kind != "real"
    ]


def number_text(one: QualityNumber) -> str:
    """``1.23 ± 0.04 (1.13 to 1.33)``."""
    text = number(one.mean) + ("" if one.deviation is None else f" ± {number(one.deviation)}")
    return text if one.low is None or one.high is None else f"{text} ({number(one.low)} to {number(one.high)})"


def _lead(report: QualityReport) -> str:
    names = [name for name in report.numbers if name.endswith(EXCESS)]
    return _LEAD + (_EXCESS.format(name=names[0]) if names else "")


def _cells(report: QualityReport, name: str, *, marks: tuple[str, str]) -> list[str]:
    """A number of each row, in their order."""
    compared = report.compared(name)
    return [
        "–" if (one := row.find(name)) is None else marked(compared, row.name, number_text(one), marks=marks)
        for row in report.rows
    ]


def _mean(row: QualityRow, of: Callable[[QualityRun], float | None], text: Callable[[float], str]) -> str:
    known = [value for run in row.runs if (value := of(run)) is not None]
    return text(sum(known) / len(known)) if known else "–"


def _values(row: QualityRow) -> list[tuple[str, ...]]:
    return [
        (one.name, *(number(one.values[run.name]) if run.name in one.values else "–" for run in row.runs))
        for one in row.numbers
    ]


def _charts(report: QualityReport) -> list[Svg]:
    drawings = []
    for name in [name for name in CHARTED if name in report.numbers][:MOST_CHARTS]:
        points: dict[str, list[tuple[float, float]]] = {}
        for row in report.rows:
            one = row.find(name)
            found = [] if one is None else [(report.minutes(run), one.values.get(run.name)) for run in row.runs]
            if row.kind != "real":  # a row without points keeps the colours of the others
                points[row.name] = [(x, y) for x, y in found if x is not None and y is not None]
        if not any(points.values()):
            continue
        levels = {row.name: one.mean for row in report.rows if row.kind == "real" and (one := row.find(name))}
        better = report.compared(name).better
        drawings.append(
            point_chart(
                points,
                title=name,
                x_label=f"{'GPU' if report.on_gpu else 'CPU'} minutes of training",
                y_label="" if better == "neither" else f"{better} is better",
                reference=levels,
            )
        )
    return drawings


def _in_words(value: object) -> str:
    return "–" if value is None else str(value)
