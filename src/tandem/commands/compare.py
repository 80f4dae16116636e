"""``tandem compare REPORT…``: evaluations side by side, as a page and as a table in Markdown."""

import logging
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tandem.checkpoint.manifest import MANIFEST_NAME
from tandem.commands.parser import Command
from tandem.config.options import REQUIRED, Options, option
from tandem.errors import DataError, Problem, listed
from tandem.files import atomic_write_text
from tandem.report.comparison_page import comparison_markdown, comparison_page
from tandem.report.links import links_of
from tandem.report.scores import REPORT_NAME
from tandem.targets import folder_problems

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class CompareOptions(Options):
    """What is compared, and where the comparison goes."""

    reports: tuple[Path, ...] = option(
        REQUIRED, "folders that tandem evaluate wrote, runs with one, or report.json", positional=True
    )
    out: Path = option(Path("comparison"), "folder for comparison.html and comparison.md")

    def problems(self) -> Iterator[Problem | str]:
        """Say what does not fit together."""
        if len(self.reports) < 2:
            how = f". {_how_to_measure(missing)}" if (missing := _unmeasured(self.reports)) else ""
            yield f"a comparison needs at least two evaluations, and one is given: add another run or report{how}"
        yield from folder_problems(
            self.out, "the comparison", instead="comparison.html and comparison.md are written into it"
        )


COMMAND = Command(
    "compare",
    "Put evaluations side by side; numbers that must not be compared are named.",
    {"": CompareOptions},
)


def main(arguments: Sequence[str]) -> int:
    """Parse the options, compare, write the page and the table, and print the table."""
    (options,) = COMMAND.parse(arguments)
    out = options.out
    if missing := _unmeasured(options.reports):
        raise DataError(_how_to_measure(missing), file=missing[0])
    from tandem.evaluation.compare import compare_reports, names_of  # noqa: PLC0415  (imports torch)
    from tandem.evaluation.folder import PAGE_NAME, read_reports  # noqa: PLC0415

    paths = [_report_of(path) for path in options.reports]
    names = names_of(paths)
    compared = compare_reports({name: read_reports(path) for name, path in zip(names, paths, strict=True)})
    table = comparison_markdown(names, compared)
    page = out / "comparison.html"
    folders = [path if path.is_dir() else path.parent for path in paths]
    links = links_of(page, {name: folder / PAGE_NAME for name, folder in zip(names, folders, strict=True)})
    atomic_write_text(page, comparison_page(names, compared, links=links))
    atomic_write_text(out / "comparison.md", table)
    for line in table.splitlines():
        log.info("%s", line)
    log.info("page: %s", page)
    return 0


def _report_of(path: Path) -> Path:
    """Where the report of a run lies; anything else is a report itself."""
    inner = path / "evaluation"
    return inner if not (path / REPORT_NAME).is_file() and (inner / REPORT_NAME).is_file() else path


def _unmeasured(paths: Sequence[Path]) -> list[Path]:
    """The runs and models among some paths that have no report."""
    return [
        path
        for path in paths
        if not (_report_of(path) / REPORT_NAME).is_file()
        and any((path / name).is_file() for name in ("config.yaml", MANIFEST_NAME, f"model/{MANIFEST_NAME}"))
    ]


def _how_to_measure(paths: Sequence[Path]) -> str:
    commands = listed([shlex.join(["tandem", "evaluate", str(path), "DATA"]) for path in paths])
    return f"these have not been measured, DATA being the dataset to measure them on:\n{commands}"
