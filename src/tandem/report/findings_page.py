"""A page of findings: what was looked at, what is remarkable about it, and what to do; tables, charts and pictures."""

from collections.abc import Sequence
from dataclasses import dataclass

from tandem.report.links import Link
from tandem.report.markup import Svg
from tandem.report.rendering import Notice, render_page

Row = tuple[object, ...]


@dataclass(frozen=True)
class Picture:
    """A picture beside the page.

    Attributes:
        path: Its file, relative to the page.
        alt: What it shows, for those who don't see it.
        caption: A sentence below it.
    """

    path: str
    alt: str
    caption: str = ""


@dataclass(frozen=True)
class Section:
    """A part of the page; whatever is empty is left out.

    Attributes:
        title: Its heading.
        lead: A sentence below the heading.
        notices: Highlighted sentences.
        header: Names of the columns of a table.
        rows: Its rows, whose first value names them.
        charts: Drawings.
        pictures: Pictures over the full width.
    """

    title: str
    lead: str = ""
    notices: Sequence[Notice] = ()
    header: Sequence[str] = ()
    rows: Sequence[Row] = ()
    charts: Sequence[Svg] = ()
    pictures: Sequence[Picture] = ()


def findings_page(
    title: str,
    subtitle: str,
    sections: Sequence[Section],
    *,
    stats: Sequence[tuple[str, str, str]] = (),
    links: Sequence[Link] = (),
) -> str:
    """Return the HTML of the page.

    Args:
        title: Its heading.
        subtitle: A sentence below the heading.
        sections: Its parts.
        stats: (label, value, small note) of some numbers at the top.
        links: What it leads to.
    """
    content = {"sections": sections, "stats_tiles": stats}
    return render_page("findings.html", content, title=title, subtitle=subtitle, links=links)
