"""What a run writes for people: metrics.jsonl, the gallery, the page, TensorBoard.

A resumed run first cuts the log back to its checkpoint, so that the lines of the steps that were lost with the old
process appear once: no gaps, no repeats. Lines marked ``final`` belong to the end of a run; they go when it goes on.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from tandem.errors import ConfigError, MissingExtraError
from tandem.files import atomic_write_text
from tandem.names import is_text
from tandem.report.grid import grid_layout, image_grid, save_image
from tandem.report.records import HealthRecord, Record, TrainRecord, ValidationRecord, read_metrics
from tandem.report.snapshot_pictures import note_of, picture_path, picture_steps
from tandem.report.training_page import RunView, Snapshot, write_training_page
from tandem.training.run_folder import RunFolder

MAX_SCALE = 2
"""Larger pixels would show squares, not the picture."""


class Recorder:
    """Writes the records of one run.

    Args:
        run: The run's folder.
        resume_step: The step that the run goes on from; later records are dropped.
        goes_on: Whether steps follow; records of the end of a run are dropped then.
        tensorboard: Also write TensorBoard's event files.

    Raises:
        MissingExtraError: TensorBoard is wanted but not installed.
        ConfigError: TensorBoard is wanted and does not take the path of the run.
    """

    def __init__(self, run: RunFolder, *, resume_step: int, goes_on: bool, tensorboard: bool) -> None:
        self.run = run
        self.records: list[Record] = [
            record
            for record in read_metrics(run.metrics)
            if record.step <= resume_step and not (goes_on and record.final)
        ]
        atomic_write_text(run.metrics, "".join(json.dumps(record.as_json()) + "\n" for record in self.records))
        self._log = run.metrics.open("a", encoding="utf-8")
        self._board = _summary_writer(run, resume_step) if tensorboard else None

    def write(self, record: Record) -> None:
        """Add one line to the log (and to TensorBoard)."""
        self.records.append(record)
        self._log.write(json.dumps(record.as_json()) + "\n")
        self._log.flush()
        if self._board is not None:
            for name, value in _scalars(record).items():
                self._board.add_scalar(name, value, record.step)

    def picture(self, step: int, rows: Sequence[Sequence[np.ndarray]], titles: Sequence[str]) -> None:
        """Save the samples for the fixed inputs, one row an input, arrays ``(H, W, C)`` uint8."""
        scale = min(MAX_SCALE, max(1, 96 // rows[0][0].shape[0]))
        grid = image_grid(rows, column_titles=titles, scale=scale)
        note = note_of(rows, titles, grid_layout(rows, column_titles=titles, scale=scale))
        save_image(grid, picture_path(self.run.gallery, step), comment=note.as_text())
        if self._board is not None:
            self._board.add_image("samples", np.asarray(grid.convert("RGB")), step, dataformats="HWC")
            self._board.flush()

    def snapshots(self, step: int, batch_size: int) -> list[Snapshot]:
        """The pictures up to `step`, oldest first."""
        folder = self.run.gallery
        steps = [s for s in picture_steps(folder) if s <= step]
        return [Snapshot(s, s * batch_size, f"{folder.name}/{picture_path(folder, s).name}") for s in steps]

    def page(self, view: RunView) -> None:
        """Renew the page."""
        write_training_page(self.run.page, view)

    def sync(self) -> None:
        """Force the log to the disk: a checkpoint must not be newer than the lines before it."""
        self._log.flush()
        os.fsync(self._log.fileno())

    def close(self) -> None:
        """Close all files."""
        self._log.close()
        if self._board is not None:
            self._board.close()


def _scalars(record: Record) -> dict[str, float]:
    match record:
        case HealthRecord():
            measured = record.measured.as_json()
            return {f"health/{name}": value for name, value in measured.items() if isinstance(value, float)}
        case ValidationRecord():
            return {f"validation/{name}": value for name, value in record.numbers.items() if value is not None}
        case TrainRecord():
            losses = {f"loss/{name}": value for name, value in record.losses.items()}
            speed = {f"speed/{name}": value for name, value in asdict(record.speed).items() if value is not None}
            return losses | {"learning_rate": record.learning_rate} | speed
    return {}


def _summary_writer(run: RunFolder, resume_step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415  (optional)
    except ImportError as error:
        raise MissingExtraError("tensorboard", "tensorboard", "--tensorboard") from error
    if not is_text(str(run.tensorboard)):
        raise ConfigError(
            f"--tensorboard: TensorBoard takes no path but UTF-8, and --out {run.root} is none: give another one.",
            option="--tensorboard",
        )
    return SummaryWriter(str(run.tensorboard), purge_step=resume_step + 1)
