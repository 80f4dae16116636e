"""From values to a page: the templates, and what several pages show alike.

Markup is in `templates/`, with one style sheet for all pages; what is computed is in Python. Every value that a
template inserts is escaped, except `tandem.report.markup.Svg`. A name without a value is an error.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from tandem.report.cells import parts_of
from tandem.report.links import Link
from tandem.report.markup import Svg, printable, url

if TYPE_CHECKING:
    from jinja2 import Environment

NoticeKind = Literal["info", "good", "warning"]


@dataclass(frozen=True)
class Notice:
    """One highlighted sentence.

    Attributes:
        text: The sentence.
        kind: How it is meant, which the page says in a word and by colour.
    """

    text: str
    kind: NoticeKind = "info"


@dataclass(frozen=True)
class ChartSection:
    """A section of a page that shows charts.

    Attributes:
        title: Its heading.
        charts: The charts, side by side where there is room.
        lead: A sentence below the heading.
        notices: What is said above the charts.
        linear: The same charts with linear axes, where some of `charts` have logarithmic ones: a reader can switch.
    """

    title: str
    charts: Sequence[Svg] = ()
    lead: str = ""
    notices: Sequence[Notice] = ()
    linear: Sequence[Svg] = ()


def render_page(
    template: str,
    content: Mapping[str, object],
    *,
    title: str,
    subtitle: str = "",
    links: Sequence[Link] = (),
    refresh_seconds: int | None = None,
) -> str:
    """Return a whole HTML document.

    Args:
        template: Name of a file in `templates/` that extends `base.html`.
        content: What it shows, by the names that it uses.
        title: Heading of the page and name of its tab.
        subtitle: A sentence below the heading.
        links: What the page leads to, at its top.
        refresh_seconds: The page renews itself after this time and keeps the reading place; `None`: never.
    """
    head = {"title": title, "subtitle": subtitle, "page_links": links, "refresh_seconds": refresh_seconds}
    return environment().get_template(template).render({**content, **head})


@lru_cache(maxsize=1)
def environment() -> "Environment":
    """Return what loads and renders the templates; it is made when the first page is."""
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415  (start-up time)

    made = Environment(
        loader=PackageLoader("tandem.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_insertable,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters["url"] = url
    made.filters["parts"] = parts_of
    return made


def _insertable(value: object) -> object:
    """Return markup as it is, and anything else as printable text, which is then escaped."""
    return value if hasattr(value, "__html__") else printable(value)
