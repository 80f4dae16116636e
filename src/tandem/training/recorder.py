"""What a run writes for people: metrics.jsonl, the gallery, the page, and what other loggers take.

A resumed run first cuts the log back to its checkpoint, so that the lines of the steps that were lost with the old
process appear once: no gaps, no repeats. Lines marked ``final`` belong to the end of a run; they go when it goes on.
"""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tandem.config.training import LoggerName
from tandem.files import atomic_write_text
from tandem.report.grid import grid_layout, image_grid, save_image
from tandem.report.records import Record, read_metrics
from tandem.report.snapshot_pictures import note_of, picture_path, picture_steps
from tandem.report.training_page import RunView, Snapshot, write_training_page
from tandem.training.loggers import make_loggers
from tandem.training.run_folder import RunFolder

MAX_SCALE = 2
"""Larger pixels would show squares, not the picture."""


class Recorder:
    """Writes the records of one run.

    Args:
        run: The run's folder.
        resume_step: The step that the run goes on from; later records are dropped.
        goes_on: Whether steps follow; records of the end of a run are dropped then.
        loggers: Where its numbers go too.
        options: All options of the run, for these.

    Raises:
        MissingExtraError: The package of a logger is not installed.
        ConfigError: A logger does not start.
    """

    def __init__(
        self,
        run: RunFolder,
        *,
        resume_step: int,
        goes_on: bool,
        loggers: Iterable[LoggerName] = (),
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.run = run
        self.records: list[Record] = [
            record
            for record in read_metrics(run.metrics)
            if record.step <= resume_step and not (goes_on and record.final)
        ]
        atomic_write_text(run.metrics, "".join(json.dumps(record.as_json()) + "\n" for record in self.records))
        self._log = run.metrics.open("a", encoding="utf-8")
        self._loggers = make_loggers(loggers, run, resume_step=resume_step, records=self.records, options=options or {})

    def write(self, record: Record) -> None:
        """Add one line to the log and to the loggers."""
        self.records.append(record)
        self._log.write(json.dumps(record.as_json()) + "\n")
        self._log.flush()
        for logger in self._loggers:
            logger.write(record)

    def picture(self, step: int, rows: Sequence[Sequence[np.ndarray]], titles: Sequence[str]) -> None:
        """Save the samples for the fixed inputs, one row an input, arrays ``(H, W, C)`` uint8."""
        scale = min(MAX_SCALE, max(1, 96 // rows[0][0].shape[0]))
        grid = image_grid(rows, column_titles=titles, scale=scale)
        note = note_of(rows, titles, grid_layout(rows, column_titles=titles, scale=scale))
        save_image(grid, picture_path(self.run.gallery, step), comment=note.as_text())
        for logger in self._loggers:
            logger.picture(step, np.asarray(grid.convert("RGB")))

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
        for logger in self._loggers:
            logger.sync()

    def close(self) -> None:
        """Close all files."""
        self._log.close()
        for logger in self._loggers:
            logger.close()
