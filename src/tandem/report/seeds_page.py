"""The page of runs of one setting with several seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tandem.report.rendering import render_page
from tandem.report.text import number


@dataclass(frozen=True)
class SeedRow:
    """One number over the seeds.

    Attributes:
        name: The number.
        better: Which way is better, in words; empty where neither is.
        mean: Its mean.
        deviation: Its standard deviation; None for a single run.
        interval: The interval of the mean; None for a single run.
        values: By run.
    """

    name: str
    better: str
    mean: float
    deviation: float | None
    interval: tuple[float, float] | None
    values: Mapping[str, float]


def mean_text(row: SeedRow) -> str:
    """``0.123 ± 0.004``: mean and standard deviation."""
    return number(row.mean) + ("" if row.deviation is None else f" ± {number(row.deviation)}")


def interval_text(row: SeedRow) -> str:
    """``0.11 to 0.13``; a dash for a single run."""
    return "–" if row.interval is None else " to ".join(map(number, row.interval))


@dataclass(frozen=True)
class SeedTable:
    """A table with a column for each setting, and each setting's runs by themselves.

    Attributes:
        title: Its heading.
        lead: A sentence below it.
        header: Names of the columns.
        rows: Their cells.
        runs: By setting, header and rows of the values of each run.
    """

    title: str
    lead: str
    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    runs: Mapping[str, tuple[tuple[str, ...], Sequence[tuple[str, ...]]]]


def seed_table(title: str, lead: str, settings: Mapping[str, Sequence[SeedRow]]) -> SeedTable:
    """Put the rows of several settings beside each other; a setting without a number has a dash there."""
    by_number = {name: {row.name: row for row in rows} for name, rows in settings.items()}
    labels = {row.name: _labelled(row) for rows in settings.values() for row in rows}
    counts = {name: max((len(row.values) for row in rows), default=0) for name, rows in settings.items()}
    header = ("Number", *(f"{name} ({count} seed{'' if count == 1 else 's'})" for name, count in counts.items()))
    rows = [(label, *(_cell(rows.get(number)) for rows in by_number.values())) for number, label in labels.items()]
    runs = {}
    for name, own in settings.items():
        names = list(dict.fromkeys(run for row in own for run in row.values))
        if len(names) > 1:
            cells = [(_labelled(row), *(_value(row, run) for run in names)) for row in own]
            runs[name] = (("Number", *names), cells)
    return SeedTable(title, lead, header, rows, runs)


def _cell(row: SeedRow | None) -> str:
    if row is None:
        return "–"
    return mean_text(row) + ("" if row.interval is None else f" ({interval_text(row)})")


def _value(row: SeedRow, run: str) -> str:
    return number(row.values[run]) if run in row.values else "–"


def _labelled(row: SeedRow) -> str:
    return f"{row.name}{' ' + row.better if row.better else ''}"


def seeds_page(
    title: str,
    runs: Sequence[tuple[str, str, str]],
    tables: Mapping[str, tuple[str, Sequence[SeedRow]]],
    *,
    missing: int,
) -> str:
    """Return the HTML of the page.

    Args:
        title: The name of all the runs.
        runs: Name, page and a few words about each run, the page as a path from this one.
        tables: Rows by heading, with a sentence below it.
        missing: How many runs have yet to be trained.
    """
    names = [name for name, _, _ in runs]
    content = {
        "runs": runs,
        "missing": missing,
        "tables": [
            (
                heading,
                lead,
                ("Number", "Mean ± sd", "95 % interval", *names),
                [
                    (
                        _labelled(row),
                        mean_text(row),
                        interval_text(row),
                        *(_value(row, name) for name in names),
                    )
                    for row in rows
                ],
            )
            for heading, (lead, rows) in tables.items()
            if rows
        ],
    }
    subtitle = f"{len(runs)} run{'' if len(runs) == 1 else 's'} of one setting that differ in their seed."
    return render_page("seeds.html", content, title=title, subtitle=subtitle)
