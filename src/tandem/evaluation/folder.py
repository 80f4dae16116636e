"""The folder that an evaluation writes: ``report.json``, ``report.html`` and pictures of the inputs to look at."""

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tandem.config.parse import parse_dataclass
from tandem.data.pixels import convert_channels
from tandem.errors import DataError
from tandem.evaluation.cases import ModelCase
from tandem.evaluation.run import Evaluation
from tandem.evaluation.subject import Subject
from tandem.files import atomic_write_text, owned
from tandem.foreign import load_json
from tandem.report.evaluation_page import PictureGroup, both_directions_page, evaluation_page
from tandem.report.grid import image_grid, save_image, shown
from tandem.report.links import Link, links_of, renew_links, run_links, run_of
from tandem.report.scores import DIRECTIONS, REPORT_NAME, EvaluationReport

PAGE_NAME = "report.html"
FORMAT = 1
MAX_REPORT_BYTES = 256 * 2**20
OWNER_SECONDS = 60.0
"""How long to wait for another evaluation that writes its report to the same folder."""
_NUM_SAMPLES = 6
_PICTURE = re.compile(r"(?:(?:AtoB|BtoA)-)?input-\d{1,7}\.png")


def write_evaluation(found: Sequence[tuple[Evaluation, Subject]], out: Path) -> Path:
    """Write everything, the numbers last, and return the page.

    Args:
        found: The evaluation and what was measured; of a model that translates in both directions one for each.
        out: The folder.

    Raises:
        DataError: An image cannot be read any more.
    """
    reports = [evaluation.report for evaluation, _ in found]
    text = reports_to_json(reports)
    with owned(out, "writing its report to", patience_seconds=OWNER_SECONDS):
        return _write(found, reports, text, out)


def _write(
    found: Sequence[tuple[Evaluation, Subject]], reports: Sequence[EvaluationReport], text: str, out: Path
) -> Path:
    several = len(found) > 1
    groups = [
        _pictures(evaluation.ranking, subject, out, f"{evaluation.report.subject['direction']}-" if several else "")
        for evaluation, subject in found
    ]
    _remove_pictures(out, [path for some in groups for group in some for _, path in group.pictures])
    pairs = list(zip(reports, groups, strict=True))
    page = out / PAGE_NAME
    links = _links(reports[0], page)
    html = both_directions_page(pairs, links=links) if several else evaluation_page(*pairs[0], links=links)
    atomic_write_text(page, html)
    atomic_write_text(out / REPORT_NAME, text)
    if (run := run_of(out)) is not None:
        renew_links(run)
    return page


def _links(report: EvaluationReport, page: Path) -> list[Link]:
    """From the page to the model that was measured and the run that it comes from."""
    if report.subject.get("kind") != "model":
        return []
    model = Path(str(report.subject["path"]))
    run = run_of(model)
    numbers = Link("Numbers", REPORT_NAME)  # written after the page
    own = links_of(page, {"Model": model / "model.json"})
    return [numbers, *own, *([] if run is None else run_links(page, run))]


def reports_to_json(reports: Sequence[EvaluationReport]) -> str:
    """The text of ``report.json``: one report, or one for each direction by its name."""
    values = [dataclasses.asdict(report) for report in reports]
    whole = values[0]
    if len(values) > 1:
        whole = {
            "format": FORMAT,
            "directions": {report.subject["direction"]: one for report, one in zip(reports, values, strict=True)},
        }
    return json.dumps(whole, indent=1, allow_nan=False) + "\n"


def read_reports(path: Path) -> list[EvaluationReport]:
    """Read a report again: one, or one for each direction of a model.

    Args:
        path: The file, or the folder that holds it.

    Raises:
        DataError: There is none, or it is damaged or of another format.
    """
    file = path / REPORT_NAME if path.is_dir() else path
    try:
        if file.stat().st_size > MAX_REPORT_BYTES:
            raise DataError(f"{file} is larger than {MAX_REPORT_BYTES} bytes: that is no report.")
        values = load_json(file, MAX_REPORT_BYTES)
        parts = [values]
        if isinstance(values, dict) and isinstance(values.get("directions"), dict):
            parts = [values["directions"][direction] for direction in DIRECTIONS if direction in values["directions"]]
            if len(parts) != len(DIRECTIONS) or len(values["directions"]) != len(DIRECTIONS):
                raise ValueError(f"directions must be {' and '.join(DIRECTIONS)}")
        reports = [parse_dataclass(EvaluationReport, part, file.name) for part in parts]
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, DataError):
            raise
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise DataError(f"{file} is no report of tandem evaluate: {reason}.") from error
    for report in reports:
        if report.format != FORMAT:
            raise DataError(f"{file} has the format {report.format}; this version of Tandem reads format {FORMAT}.")
    return reports


def _pictures(ranking: Mapping[str, tuple[int, ...]], subject: Subject, out: Path, prefix: str) -> list[PictureGroup]:
    folder = out / "pictures"
    for index in sorted({index for indices in ranking.values() for index in indices}):
        save_image(_row(subject, index), folder / f"{prefix}input-{index}.png")
    return [
        PictureGroup(
            title,
            tuple((subject.cases[index].name, f"pictures/{prefix}input-{index}.png") for index in indices),
        )
        for title, indices in ranking.items()
    ]


def _remove_pictures(out: Path, kept: Sequence[str]) -> None:
    """Remove those of an earlier evaluation."""
    names = {Path(path).name for path in kept}
    for old in (out / "pictures").glob("*input-*.png"):
        if old.name not in names and _PICTURE.fullmatch(old.name):
            old.unlink(missing_ok=True)


def _row(subject: Subject, index: int) -> Any:
    """The input, its ground truth and some samples side by side."""
    case = subject.cases[index]
    loaded = case.load()
    samples = loaded.samples(min(subject.num_samples, _NUM_SAMPLES))
    cells: list[np.ndarray] = [*samples]
    one = subject.num_samples == 1
    titles = ["output"] if one else [f"sample {number + 1}" for number in range(len(samples))]
    if not subject.no_ground_truth and loaded.ground_truth.shape[:2] == samples.shape[1:3]:
        cells, titles = [loaded.ground_truth, *cells], ["ground truth", *titles]
    if isinstance(case, ModelCase):
        cells, titles = [loaded.input, *cells], ["input", *titles]
    return image_grid([[convert_channels(shown(cell), 3) for cell in cells]], column_titles=titles)
