"""``tandem compare REPORT…``: evaluations side by side, as a page and as a table in Markdown."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tandem.commands.parser import Command
from tandem.config.options import REQUIRED, Options, option
from tandem.files import atomic_write_text
from tandem.report.comparison_page import comparison_markdown, comparison_page

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class CompareOptions(Options):
    """What is compared, and where the comparison goes."""

    reports: tuple[Path, ...] = option(
        REQUIRED, "folders that tandem evaluate wrote, runs with one, or report.json", positional=True
    )
    out: Path = option(Path("comparison"), "folder for comparison.html and comparison.md")

    def problems(self) -> Iterator[str]:
        """Say what does not fit together."""
        if len(self.reports) < 2:
            yield "a comparison needs at least two reports"
        if self.out.exists() and not self.out.is_dir():
            yield f"--out {self.out} is a file: give a folder"


COMMAND = Command(
    "compare",
    "Put evaluations side by side; numbers that must not be compared are named.",
    {"": CompareOptions},
)


def main(arguments: Sequence[str]) -> int:
    """Parse the options, compare, write the page and the table, and print the table."""
    (options,) = COMMAND.parse(arguments)
    out = options.out
    from tandem.evaluation.compare import compare_reports, names_of  # noqa: PLC0415  (imports torch)
    from tandem.evaluation.folder import REPORT_NAME, read_reports  # noqa: PLC0415

    paths = []
    for path in options.reports:
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
