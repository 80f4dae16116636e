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
                        f"{row.name}{' ' + row.better if row.better else ''}",
                        mean_text(row),
                        interval_text(row),
                        *(number(row.values[name]) if name in row.values else "–" for name in names),
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
