"""Writes the tables of docs/coming-from.md from the table of option names; `--check` says whether they are those."""

import argparse
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from tandem.config.names.entry import Here, OtherName, Project
from tandem.config.names.table import other_names

PAGE = Path(__file__).parents[1] / "docs" / "coming-from.md"
MOST_SPELLINGS = 6
"""Of names that nobody looks up in a document; the command line knows all of them."""


def main() -> int:
    """Write the page, or say that it is not what would be written."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; status 1 if there is a change")
    args = parser.parse_args()
    before = PAGE.read_text(encoding="utf-8")
    after = with_tables(before)
    if args.check:
        return int(after != before)
    PAGE.write_text(after, encoding="utf-8")
    return 0


def with_tables(page: str) -> str:
    """The page with a table behind each of its marks, ``<!-- option names: pix2pix -->``."""

    def table(match: re.Match[str]) -> str:
        project: Project = match[1]  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
        return f"<!-- option names: {project} -->\n\n{table_of(project)}\n"

    return re.sub(r"<!-- option names: (\w+) -->\n\n(?:\|.*\n)*\n?", table, page)


def table_of(project: Project) -> str:
    """The names of a project as a Markdown table."""
    lines = ["| There | Here |", "|---|---|"]
    lines += [f"| {_there(one)} | {_here(one)} |" for one in other_names() if one.project == project]
    return "\n".join(lines) + "\n"


def _there(entry: OtherName) -> str:
    first, *more = [f"`{name}`" for name in entry.there[:MOST_SPELLINGS]]
    if len(entry.there) > MOST_SPELLINGS:
        more.append("…")
    names = f"{first} ({', '.join(more)})" if more and entry.here else ", ".join([first, *more])
    values = [f"`{value}`" for value in (*entry.values, *entry.examples) if value not in {"true", "false"}]
    return f"{names}: {', '.join(values)}" if values else names


def _here(entry: OtherName) -> str:
    if not entry.here and not entry.all_ways:
        return f"– ; {entry.note}" if entry.note else "–"
    words = list(dict.fromkeys(_in_general(entry)))
    renamed = [
        f"`{value}` is `{' '.join(ways[0].filled(value, {}, entry.defaults))}`"
        for value, ways in entry.values.items()
        if value not in {"true", "false"} and ways[0].words.split()[-1] != value
    ]
    note = entry.note.replace("|", "\\|")
    return "; ".join(filter(None, [" ".join(words), *renamed, note]))


def _in_general(entry: OtherName) -> Iterator[str]:
    """Each option, and where the words are for some commands alone these too."""
    for way in entry.all_ways:
        where = f" of {' and '.join(_quoted(way))}" if way.commands and "train" not in way.commands else ""
        is_whole = way in entry.here and not (way.argument or entry.values or entry.read or "{" in way.words)
        named = (way.words,) if is_whole else way.options
        for option in named:
            yield f"`{option}`{where}"


def _quoted(way: Here) -> Iterable[str]:
    return (f"`tandem {command}`" for command in way.commands)


if __name__ == "__main__":
    sys.exit(main())
