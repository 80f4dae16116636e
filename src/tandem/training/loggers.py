"""Where numbers and pictures of a run go beside its log and its page: CSV files, TensorBoard, Weights & Biases."""

import csv
import io
import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol, TextIO

import numpy as np

from tandem.config.training import LoggerName
from tandem.errors import ConfigError, MissingExtraError
from tandem.files import atomic_write_text
from tandem.names import is_text
from tandem.report.records import ForeignRecord, HealthRecord, Record, TrainRecord, ValidationRecord
from tandem.training.run_folder import RunFolder

WANDB_PROJECT = "tandem"
"""The project of runs where the environment names none."""


class Logger(Protocol):
    """Takes what the log takes, as it comes."""

    def write(self, record: Record) -> None:
        """Take a line of the log."""
        ...

    def picture(self, step: int, picture: np.ndarray) -> None:
        """Take the samples of a snapshot: ``(H, W, 3)``, uint8."""
        ...

    def sync(self) -> None:
        """Force what was taken to the disk."""
        ...

    def close(self) -> None:
        """Close all files."""
        ...


def require_loggers(names: Iterable[LoggerName]) -> None:
    """Refuse loggers whose packages are missing.

    Raises:
        MissingExtraError: One is not installed.
    """
    if "tensorboard" in names:
        _import_summary_writer()
    if "wandb" in names:
        _import_wandb()


def make_loggers(
    names: Iterable[LoggerName],
    run: RunFolder,
    *,
    resume_step: int,
    records: Sequence[Record],
    options: Mapping[str, Any],
) -> list[Logger]:
    """The loggers of a run, each once.

    Args:
        names: Which.
        run: The run's folder.
        resume_step: The step that the run goes on from.
        records: The lines of the log up to there.
        options: All options of the run.

    Raises:
        MissingExtraError: A package is not installed.
        ConfigError: Weights & Biases does not start.
    """
    made: list[Logger] = []
    for name in dict.fromkeys(names):
        match name:
            case "csv":
                made.append(CsvFiles(run.csv, records))
            case "tensorboard":
                made.append(TensorBoard(run.tensorboard, resume_step=resume_step))
            case "wandb":
                made.append(WeightsAndBiases(run, options))
    return made


def scalars(record: Record) -> dict[str, float]:
    """The finite numbers of a line under the names that loggers know, ``loss/l1`` for one."""
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
        case ForeignRecord():
            return {}


class CsvFiles:
    """A file for each kind of line, ``train.csv`` and so on, a column a number.

    A file is a function of the log: it is made anew from the log's lines when a run begins or goes on, and when a line
    has a number without a column; otherwise lines are appended.

    Args:
        folder: Where they are.
        records: The lines of the log so far.
    """

    def __init__(self, folder: Path, records: Sequence[Record]) -> None:
        self._folder = folder
        self._rows: dict[str, list[dict[str, Any]]] = {}
        self._columns: dict[str, list[str]] = {}
        self._files: dict[str, TextIO] = {}
        for record in records:
            self._take(record)
        for old in folder.glob("*.csv"):
            if old.stem not in self._rows:
                old.unlink()
        for kind in self._rows:
            self._rewrite(kind)

    def write(self, record: Record) -> None:
        """See `Logger`."""
        kind = self._take(record)
        if kind is None:
            return
        if kind not in self._files or set(self._rows[kind][-1]) - set(self._columns[kind]):
            self._rewrite(kind)
            return
        self._files[kind].write(_lines(self._columns[kind], self._rows[kind][-1:]))
        self._files[kind].flush()

    def picture(self, step: int, picture: np.ndarray) -> None:
        """Pictures are no numbers."""

    def sync(self) -> None:
        """See `Logger`."""
        for file in self._files.values():
            file.flush()
            os.fsync(file.fileno())

    def close(self) -> None:
        """See `Logger`."""
        for file in self._files.values():
            file.close()

    def _take(self, record: Record) -> str | None:
        if isinstance(record, ForeignRecord):
            return None
        place = {"step": record.step, "images": record.images}
        place |= {"epoch": record.epoch} if isinstance(record, TrainRecord) else {}
        numbers = {name.removeprefix(f"{record.kind}/"): value for name, value in scalars(record).items()}
        self._rows.setdefault(record.kind, []).append(place | numbers)
        return record.kind

    def _rewrite(self, kind: str) -> None:
        rows = self._rows[kind]
        self._columns[kind] = list(dict.fromkeys(name for row in rows for name in row))
        path = self._folder / f"{kind}.csv"
        if kind in self._files:
            self._files.pop(kind).close()
        header = _lines(self._columns[kind], [{name: name for name in self._columns[kind]}])
        atomic_write_text(path, header + _lines(self._columns[kind], rows))
        self._files[kind] = path.open("a", encoding="utf-8", newline="")


def _lines(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO(newline="")
    csv.DictWriter(text, columns, lineterminator="\n").writerows(rows)
    return text.getvalue()


class TensorBoard:
    """TensorBoard's event files; what lies behind the checkpoint is marked as void on resume.

    Args:
        folder: Where they are.
        resume_step: The step that the run goes on from.

    Raises:
        ConfigError: It does not take the path.
    """

    def __init__(self, folder: Path, *, resume_step: int) -> None:
        if not is_text(str(folder)):
            raise ConfigError(
                f"--log tensorboard: TensorBoard takes no path but UTF-8, and --out {folder.parent} is none: give "
                "another one.",
                option="--log",
            )
        self._board = _import_summary_writer()(str(folder), purge_step=resume_step + 1)

    def write(self, record: Record) -> None:
        """See `Logger`."""
        for name, value in scalars(record).items():
            self._board.add_scalar(name, value, record.step)

    def picture(self, step: int, picture: np.ndarray) -> None:
        """See `Logger`."""
        self._board.add_image("samples", picture, step, dataformats="HWC")
        self._board.flush()

    def sync(self) -> None:
        """See `Logger`."""
        self._board.flush()

    def close(self) -> None:
        """See `Logger`."""
        self._board.close()


class WeightsAndBiases:
    """A run of Weights & Biases, which a continued run goes on with; its id is kept in ``wandb/run-id``.

    Lines of steps that it has already are dropped there: a continued run computes the same ones again. Project, mode
    and key are those of the environment (``WANDB_PROJECT``, ``WANDB_MODE``, ``wandb login``).

    Args:
        run: The run's folder.
        options: All options of the run.

    Raises:
        ConfigError: It does not start.
    """

    def __init__(self, run: RunFolder, options: Mapping[str, Any]) -> None:
        self._wandb = wandb = _import_wandb()
        known = run.wandb / "run-id"
        if not known.exists():
            atomic_write_text(known, secrets.token_hex(4))
        try:
            self._run = wandb.init(
                dir=str(run.root),
                id=known.read_text(encoding="utf-8").strip(),
                resume="allow",
                project=os.environ.get("WANDB_PROJECT") or WANDB_PROJECT,
                name=os.environ.get("WANDB_NAME") or _name_of(run),
                config=dict(options),
                allow_val_change=True,
                settings=wandb.Settings(console="off"),
            )
        except (wandb.Error, OSError) as error:
            raise ConfigError(
                f"--log wandb: it does not start: {error}. Log in with 'wandb login', or set WANDB_MODE=offline to "
                "keep the numbers here until 'wandb sync' sends them.",
                option="--log",
            ) from error

    def write(self, record: Record) -> None:
        """See `Logger`."""
        self._run.log(scalars(record), step=record.step)

    def picture(self, step: int, picture: np.ndarray) -> None:
        """See `Logger`."""
        # Integers are shown as they are; what floats mean has changed between versions.
        assert picture.dtype == np.uint8
        self._run.log({"samples": self._wandb.Image(picture)}, step=step)

    def sync(self) -> None:
        """It writes by itself."""

    def close(self) -> None:
        """See `Logger`."""
        self._run.finish()


def _name_of(run: RunFolder) -> str:
    """The run's name; one of several seeds is named with the folder of them all."""
    return f"{run.root.resolve().parent.name}/{run.name}" if run.name.startswith("seed-") else run.name


def _import_summary_writer() -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415  (optional)
    except ImportError as error:
        raise MissingExtraError("tensorboard", "tensorboard", "--log tensorboard") from error
    return SummaryWriter


def _import_wandb() -> Any:
    try:
        import wandb  # noqa: PLC0415  (optional)  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise MissingExtraError("wandb", "wandb", "--log wandb") from error
    return wandb
