"""Several models side by side, by numbers and by pictures: a page, and tables in Markdown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from tandem.report.charts import bar_chart
from tandem.report.evaluation_page import uncertainty
from tandem.report.links import Link
from tandem.report.rendering import render_page
from tandem.report.scores import Better, Score
from tandem.report.seeds_page import SeedTable
from tandem.report.side_by_side import LEGEND_HEADER, SideBySide
from tandem.report.text import joined, number

_LEGEND = (
    "In brackets are intervals. {best} marks the best value of a {line}, ≈ the values whose interval overlaps with "
    "that of the best: they may be as good{unequal}."
)
_UNEQUAL = ", ≠ numbers that must not be compared with each other"
_WORDS = {
    "lower": "lower\N{NO-BREAK SPACE}is\N{NO-BREAK SPACE}better",
    "higher": "higher\N{NO-BREAK SPACE}is\N{NO-BREAK SPACE}better",
    "neither": "",
}


ARROWS: Mapping[Better, str] = MappingProxyType({"lower": "↓", "higher": "↑", "neither": ""})
"""Which way is better, as tables show it."""


@dataclass(frozen=True)
class ComparedScore:
    """One number of all evaluations.

    Attributes:
        name: The number.
        better: Which way is better.
        scores: By the name of the evaluation; those that did not compute it are missing.
        differs_in: What the numbers depend on and do not share: they must not be compared then.
    """

    name: str
    better: Better
    scores: Mapping[str, Score]
    differs_in: tuple[str, ...]

    @property
    def best(self) -> str | None:
        """The evaluation with the best number, if the numbers can be compared and relied on, and one is the best."""
        if self.better == "neither" or self.differs_in or len(self.scores) < 2:
            return None
        if any(score.note.startswith("unreliable") for score in self.scores.values()):
            return None
        values = {name: score.value for name, score in self.scores.items()}
        best = min(values.values()) if self.better == "lower" else max(values.values())
        winners = [name for name, value in values.items() if value == best]
        return winners[0] if len(winners) == 1 else None

    @property
    def near_best(self) -> frozenset[str]:
        """The evaluations whose interval overlaps with that of the best: they may be as good."""
        if self.best is None:
            return frozenset()
        best = self.scores[self.best]
        return frozenset(name for name, score in self.scores.items() if name != self.best and _overlap(score, best))


@dataclass(frozen=True)
class Comparison:
    """All that is compared; every part may be empty.

    Attributes:
        names: Of the evaluations, in the order of the columns.
        compared: Their numbers.
        seeds: Numbers over the seeds of a setting.
        warnings: What must not be compared in `seeds`.
        pictures: What models made of the same inputs; None if nothing was translated.
    """

    names: Sequence[str] = ()
    compared: Sequence[ComparedScore] = ()
    seeds: Sequence[SeedTable] = ()
    warnings: Sequence[str] = ()
    pictures: SideBySide | None = None

    @property
    def subtitle(self) -> str:
        """How much there is of everything."""
        parts = [f"{len(self.names)} evaluations"] if self.names else []
        if self.pictures is not None:
            number = self.pictures.num_inputs
            parts.append(f"{len(self.pictures.models)} models on {number} input{'' if number == 1 else 's'}")
        if self.seeds:
            parts.append("means over seeds")
        text = ", ".join(parts)
        return f"{text[:1].upper()}{text[1:]}."


def comparison_page(content: Comparison, *, links: Sequence[Link] = ()) -> str:
    """Return the HTML of the page.

    Args:
        content: What it shows.
        links: To the evaluations and to the samples of each model.
    """
    names, compared = content.names, content.compared
    values = {
        "pictures": content.pictures,
        "legend_header": LEGEND_HEADER,
        "seeds": content.seeds,
        "seed_warnings": content.warnings,
        "warnings": comparison_warnings(compared),
        "legend": legend_of("★", compared),
        "header": ("Number", *names, "How to read"),
        "rows": [
            (one.name, *(_cell(one, name, marks=("★ ", "")) for name in names), _WORDS[one.better]) for one in compared
        ],
        "drawings": [
            bar_chart(
                {name: score.value for name, score in one.scores.items()},
                title=one.name,
                y_label=_WORDS[one.better],
            )
            for one in compared
            if len(one.scores) > 1 and not one.differs_in
        ],
    }
    return render_page("comparison.html", values, title="Comparison", subtitle=content.subtitle, links=links)


def comparison_markdown(content: Comparison) -> str:
    """Return the tables and the warnings in Markdown."""
    parts = [_evaluations_markdown(content.names, content.compared)] if content.compared else []
    for table in content.seeds:
        parts.append(f"{table.title}. {table.lead}\n\n{markdown_table(table.header, table.rows)}")
    if content.warnings:
        parts.append("".join(f"- {_plain(text)}\n" for text in content.warnings))
    if content.pictures is not None:
        parts.append(markdown_table(LEGEND_HEADER, [model.row for model in content.pictures.models]))
    return "\n".join(parts)


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(map(_plain, line))} |\n" for line in lines)


def _evaluations_markdown(names: Sequence[str], compared: Sequence[ComparedScore]) -> str:
    lines = [
        "| | " + " | ".join(map(_plain, names)) + " |",
        "|---|" + "---|" * len(names),
    ]
    for one in compared:
        cells = [_cell(one, name, marks=("**", "**")) for name in names]
        lines.append(f"| {f'{one.name} {ARROWS[one.better]}'.strip()} | " + " | ".join(cells) + " |")
    if any(one.best or one.differs_in for one in compared):
        lines += ["", legend_of("Bold type", compared)]
    warnings = comparison_warnings(compared)
    return "\n".join(lines + ([""] if warnings else []) + [f"- {_plain(text)}" for text in warnings]) + "\n"


def comparison_warnings(compared: Sequence[ComparedScore]) -> list[str]:
    """Which numbers must not be compared, and why: a sentence for each reason, however many numbers it is about."""
    by_reason: dict[tuple[str, ...], list[str]] = {}
    for one in compared:
        if one.differs_in:
            by_reason.setdefault(one.differs_in, []).append(one.name)
    return [
        f"{joined(names)} must not be compared: the evaluations differ in {joined(reason)}."
        for reason, names in by_reason.items()
    ]


def legend_of(best: str, compared: Sequence[ComparedScore], *, line: str = "row") -> str:
    """What the marks mean; `best` says what the best value of a number has, `line` where its values stand."""
    return _LEGEND.format(best=best, line=line, unequal=_UNEQUAL if any(one.differs_in for one in compared) else "")


def _cell(one: ComparedScore, name: str, *, marks: tuple[str, str]) -> str:
    score = one.scores.get(name)
    if score is None:
        return "–"
    interval = uncertainty(score)
    text = marked(one, name, number(score.value), marks=marks)
    return text + (f" ({interval})" if interval else "")


def marked(one: ComparedScore, name: str, text: str, *, marks: tuple[str, str]) -> str:
    """The text of a number with its mark: of the best one `marks` around it, of those that may be as good ≈."""
    if name == one.best:
        return text.join(marks)
    if name in one.near_best:
        return f"≈ {text}"
    return f"≠ {text}" if one.differs_in and name in one.scores else text


def _overlap(a: Score, b: Score) -> bool:
    if a.low is None or a.high is None or b.low is None or b.high is None:
        return False
    return a.low <= b.high and b.low <= a.high


def _plain(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
