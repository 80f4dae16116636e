"""Links between the pages and files of a run, its samples, its model and its evaluation.

A page is often written before what it should lead to exists: a run's page before the samples of its model, and long
before an evaluation. So the links of a page stand in a place of their own, where they can be written anew.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from tandem.files import atomic_write_text

RUN_FILES: Mapping[str, str] = MappingProxyType(
    {
        "Training": "index.html",
        "Samples": "samples/index.html",
        "Evaluation": "evaluation/report.html",
        "Model": "model/model.json",
        "Options": "config.yaml",
        "Log": "metrics.jsonl",
    }
)
"""By what a reader calls them, the files of a run that its pages lead to."""

_PLACE = re.compile("<!-- links -->.*?<!-- end of links -->", re.DOTALL)
_LARGEST_PAGE = 64 * 2**20


@dataclass(frozen=True)
class Link:
    """One link.

    Attributes:
        text: What a reader clicks on.
        path: The file, relative to the page, `/` between folders.
    """

    text: str
    path: str


def links_of(page: Path, targets: Mapping[str, Path]) -> list[Link]:
    """Links from a page to those of `targets` (by their words) that exist, the page itself left out."""
    folder = page.parent.resolve()
    found = []
    for text, target in targets.items():
        if target.is_file() and target.resolve() != page.resolve():
            try:
                found.append(Link(text, Path(os.path.relpath(target.resolve(), folder)).as_posix()))
            except ValueError:  # on another drive, where no relative path leads
                continue
    return found


def run_links(page: Path, run: Path) -> list[Link]:
    """Links from a page to what there is of a run."""
    return links_of(page, {text: run / name for text, name in RUN_FILES.items()})


def run_of(path: Path) -> Path | None:
    """The run whose folder, model or other part lies at `path`; None if there is none."""
    for folder in (path, *path.parents[:2]):
        if all((folder / RUN_FILES[name]).is_file() for name in ("Training", "Options")):
            return folder
    return None


def renew_links(run: Path) -> None:
    """Write the links of a run's pages anew; pages that have no place for them stay as they are.

    What cannot be read or written is left: a run may lie where this process has no right to write.
    """
    from tandem.report.rendering import environment  # noqa: PLC0415  (this file knows nothing of templates otherwise)

    for name in ("Training", "Samples", "Evaluation"):
        page = run / RUN_FILES[name]
        try:
            if not page.is_file() or page.stat().st_size > _LARGEST_PAGE:
                continue
            text = page.read_text(encoding="utf-8")
            links: Sequence[Link] = run_links(page, run)
            block = str(environment().get_template("pieces.html").module.links(links)).strip()  # type: ignore[attr-defined]
            renewed = _PLACE.sub(lambda _: block, text, count=1)  # noqa: B023  (called at once)
            if renewed != text:
                atomic_write_text(page, renewed)
        except (OSError, UnicodeDecodeError):
            continue
