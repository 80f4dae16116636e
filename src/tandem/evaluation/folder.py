"""The folder that an evaluation writes: ``report.json``, ``report.html`` and pictures of the inputs to look at."""

import dataclasses
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tandem.config.parse import parse_dataclass
from tandem.data.images import convert_channels
from tandem.errors import DataError
from tandem.evaluation.run import Evaluation
from tandem.evaluation.situation import Situation
from tandem.evaluation.sources import ModelCase
from tandem.files import atomic_write_text, remove_leftovers
from tandem.report.evaluation_page import PictureGroup, evaluation_page
from tandem.report.grid import image_grid, save_image
from tandem.report.scores import EvaluationReport

REPORT_NAME = "report.json"
PAGE_NAME = "report.html"
MAX_REPORT_BYTES = 256 * 2**20
_NUM_SAMPLES = 6
_PICTURE = re.compile(r"input-\d{1,7}\.png")


def write_evaluation(evaluation: Evaluation, situation: Situation, out: Path) -> Path:
    """Write everything, the numbers last, and return the page.

    Raises:
        DataError: An image cannot be read any more.
    """
    text = report_to_json(evaluation.report)
    out.mkdir(parents=True, exist_ok=True)
    remove_leftovers(out)
    groups = _pictures(evaluation.ranking, situation, out)
    atomic_write_text(out / PAGE_NAME, evaluation_page(evaluation.report, groups))
    atomic_write_text(out / REPORT_NAME, text)
    return out / PAGE_NAME


def report_to_json(report: EvaluationReport) -> str:
    """The text of ``report.json``."""
    return json.dumps(dataclasses.asdict(report), indent=1, allow_nan=False) + "\n"


def read_report(path: Path) -> EvaluationReport:
    """Read a report again.

    Args:
        path: The file, or the folder that holds it.

    Raises:
        DataError: There is none, or it is damaged or of another format.
    """
    file = path / REPORT_NAME if path.is_dir() else path
    try:
        if file.stat().st_size > MAX_REPORT_BYTES:
            raise DataError(f"{file} is larger than {MAX_REPORT_BYTES} bytes: that is no report.")
        values = json.loads(file.read_text(encoding="utf-8"))
        report = parse_dataclass(EvaluationReport, values, file.name)
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, DataError):
            raise
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise DataError(f"{file} is no report of tandem evaluate: {reason}.") from error
    if report.format != 1:
        raise DataError(f"{file} has the format {report.format}; this version of Tandem reads format 1.")
    return report


def _pictures(ranking: Mapping[str, tuple[int, ...]], situation: Situation, out: Path) -> list[PictureGroup]:
    folder = out / "pictures"
    wanted = sorted({index for indices in ranking.values() for index in indices})
    for index in wanted:
        save_image(_row(situation, index), folder / f"input-{index}.png")
    names = {f"input-{index}.png" for index in wanted}
    for old in folder.glob("input-*.png"):
        if old.name not in names and _PICTURE.fullmatch(old.name):
            old.unlink(missing_ok=True)
    return [
        PictureGroup(
            title,
            tuple((situation.cases[index].name, f"pictures/input-{index}.png") for index in indices),
        )
        for title, indices in ranking.items()
    ]


def _row(situation: Situation, index: int) -> Any:
    """The input, its truth and some samples side by side."""
    case = situation.cases[index]
    loaded = case.load()
    samples = loaded.samples(min(situation.num_samples, _NUM_SAMPLES))
    cells: list[np.ndarray] = [*samples]
    titles = [f"sample {number + 1}" for number in range(len(samples))]
    if not situation.no_truth:
        cells, titles = [loaded.truth, *cells], ["truth", *titles]
    if isinstance(case, ModelCase):
        cells, titles = [loaded.input, *cells], ["input", *titles]
    return image_grid([[convert_channels(cell, 3) for cell in cells]], column_titles=titles)
