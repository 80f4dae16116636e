"""The frame of every page, and the pieces that pages are made of.

Pages are static, need nothing from outside and work from a `file://` address. A parameter called `body` or
`*_html` is HTML already; every other text is escaped here.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

from tandem.report.style import CSS, KEEP_PLACE
from tandem.report.text import escape, url

NoticeKind = Literal["info", "good", "warning"]
FigureKind = Literal["plain", "wide", "strip"]

_NOTICE_WORDS = {"info": "Note", "good": "Good", "warning": "Attention"}


def page(title: str, body: str, *, refresh_seconds: int | None = None, subtitle: str = "") -> str:
    """Return a whole HTML document.

    Args:
        title: Heading of the page and name of its tab.
        body: HTML below the heading.
        refresh_seconds: The page renews itself after this time and keeps the reading place; `None`: never.
        subtitle: A sentence below the heading.
    """
    refresh = f'<meta http-equiv="refresh" content="{refresh_seconds:d}">\n' if refresh_seconds else ""
    script = f"<script>{KEEP_PLACE}</script>\n" if refresh_seconds else ""
    below = f"<p>{escape(subtitle)}</p>" if subtitle else ""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'{refresh}<title>{escape(title)}</title>\n<link rel="icon" href="data:,">\n<style>{CSS}</style>\n'
        f'</head>\n<body>\n<div class="wrap">\n<header><h1>{escape(title)}</h1>{below}</header>\n'
        f"<main>\n{body}\n</main>\n</div>\n{script}</body>\n</html>\n"
    )


def section(title: str, body: str, *, lead: str = "", anchor: str = "") -> str:
    """Return a section with a heading, an optional sentence below it and an optional id to link to."""
    identity = f' id="{escape(anchor)}"' if anchor else ""
    below = f'<p class="lead">{escape(lead)}</p>' if lead else ""
    return f"<section{identity}>\n<h2>{escape(title)}</h2>{below}\n{body}\n</section>\n"


def figure(path: str, alt: str, caption: str = "", *, kind: FigureKind = "plain", lazy: bool = True) -> str:
    """Return a picture that links to its file.

    Args:
        path: The file, relative to the page, `/` between folders.
        alt: What the picture shows, for those who don't see it.
        caption: Text below it.
        kind: `plain`: as large as its place asks for; `wide`: the full width; `strip`: the full width,
            scrolled sideways on a narrow screen.
        lazy: Load it only when it comes into view.
    """
    address = escape(url(path))
    loading = ' loading="lazy"' if lazy else ""
    below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    classes = "" if kind == "plain" else f' class="{kind}"'
    image = f'<img src="{address}" alt="{escape(alt)}"{loading}>'
    return f'<figure{classes}><a href="{address}">{image}</a>{below}</figure>\n'


def block(css_class: Literal["row", "tiles", "timeline", "charts"], parts_html: Iterable[str]) -> str:
    """Return pieces side by side: a `row`, small `tiles`, a `timeline` of grids, or `charts` on cards."""
    parts = [f'<div class="card">{part}</div>' if css_class == "charts" else part for part in parts_html]
    return f'<div class="{css_class}">\n{"".join(parts)}</div>\n'


def table(header: Sequence[str], rows: Iterable[Sequence[object]], *, caption: str = "") -> str:
    """Return a table whose first column names its rows."""
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in header)
    lines = []
    for first, *rest in rows:
        cells = "".join(f"<td>{escape(cell)}</td>" for cell in rest)
        lines.append(f'<tr><th scope="row">{escape(first)}</th>{cells}</tr>\n')
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    return (
        f'<div class="table"><table>{title}<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{''.join(lines)}</tbody></table></div>\n"
    )


def stats(tiles: Iterable[tuple[str, str, str]]) -> str:
    """Return tiles of (label, value, small note, which may be empty)."""
    parts = []
    for label, value, note in tiles:
        small = f"<small>{escape(note)}</small>" if note else ""
        parts.append(f"<div><dt>{escape(label)}</dt><dd>{escape(value)}{small}</dd></div>\n")
    return f'<dl class="stats">{"".join(parts)}</dl>\n'


def notice(text: str, kind: NoticeKind = "info") -> str:
    """Return one highlighted sentence, whose kind is said in a word and not by colour alone."""
    return f'<p class="notice {kind}" role="note"><b>{_NOTICE_WORDS[kind]}:</b>{escape(text)}</p>\n'


def progress_bar(share: float, label: str) -> str:
    """Return a bar that is filled to `share` (0 to 1, clipped); `label` says what it counts."""
    percent = 100 * min(1.0, max(0.0, share))
    return (
        f'<div class="meter" role="progressbar" aria-label="{escape(label)}" aria-valuemin="0" '
        f'aria-valuemax="100" aria-valuenow="{percent:.0f}"><div style="width:{percent:.2f}%"></div></div>\n'
    )


def code(text: str) -> str:
    """Return a block of commands or code."""
    return f"<pre><code>{escape(text)}</code></pre>\n"


def link(path: str, text: str) -> str:
    """Return a link to a file given relative to the page."""
    return f'<a href="{escape(url(path))}">{escape(text)}</a>'


def details(summary: str, body: str) -> str:
    """Return HTML that is folded away behind one line."""
    return f"<details><summary>{escape(summary)}</summary>\n{body}</details>\n"
