"""``tandem compare REPORT…``: evaluations side by side, as a page and as a table in Markdown."""

import logging
from collections.abc import Sequence
from pathlib import Path

from tandem.commands.parser import make_parser, parse
from tandem.errors import ConfigError
from tandem.files import atomic_write_text
from tandem.report.comparison_page import comparison_markdown, comparison_page

log = logging.getLogger(__name__)


def main(arguments: Sequence[str]) -> int:
    """Parse the options, compare, write the page and the table, and print the table."""
    parser = make_parser("compare", "Put evaluations side by side; numbers that must not be compared are named.")
    parser.add_argument("reports", nargs="+", help="folders that tandem evaluate wrote, runs with one, or report.json")
    parser.add_argument("--out", type=str, default="comparison", help="folder for comparison.html and comparison.md")
    args = parse(parser, arguments)
    out = Path(args.out)
    if len(args.reports) < 2:
        raise ConfigError("a comparison needs at least two reports.")
    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out {out} is a file: give a folder.")
    from tandem.evaluation.compare import compare_reports, names_of  # noqa: PLC0415  (imports torch)
    from tandem.evaluation.folder import REPORT_NAME, read_reports  # noqa: PLC0415

    paths = []
    for text in args.reports:
        path = Path(text)
        inner = path / "evaluation"
        paths.append(inner if not (path / REPORT_NAME).is_file() and (inner / REPORT_NAME).is_file() else path)
    names = names_of(paths)
    compared = compare_reports({name: read_reports(path) for name, path in zip(names, paths, strict=True)})
    table = comparison_markdown(names, compared)
    atomic_write_text(out / "comparison.html", comparison_page(names, compared))
    atomic_write_text(out / "comparison.md", table)
    for line in table.splitlines():
        log.info("%s", line)
    log.info("page: %s", out / "comparison.html")
    return 0
