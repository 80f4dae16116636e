"""``tandem evaluate MODEL DATA`` and ``tandem evaluate --images REAL GENERATED``: metrics, with what they depend on."""

import logging
import signal
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from tandem.commands.parser import Command
from tandem.config.data import DataConfig, Direction, LayoutChoice
from tandem.config.options import Options, option, same
from tandem.config.training import TrainingConfig
from tandem.errors import ConfigError, PeerError, Problem
from tandem.evaluation.options import EvaluationOptions
from tandem.interrupts import raise_for_signal
from tandem.report.evaluation_page import direction_warnings, side_by_side, uncertainty
from tandem.report.progress import evaluation_progress
from tandem.report.scores import EvaluationReport
from tandem.report.text import number
from tandem.targets import folder_problems
from tandem.threads import choose_threads

if TYPE_CHECKING:
    from tandem.evaluation.subject import Subject

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions(Options):
    """What is measured, and where the report goes."""

    model: Path | None = option(None, "folder of a run (runs/NAME) or of its bundle (runs/NAME/model)", positional=True)
    data: Path | None = option(None, "dataset with split folders, or shards", positional=True)
    images: tuple[Path, Path] | None = option(
        None, "two folders of images instead: the real ones, the generated ones", metavar="FOLDER"
    )
    out: Path | None = option(None, "folder for the report; by default MODEL/evaluation, or evaluation")
    cache: Path | None = option(None, "folder of what was measured before; by default cache in --out")
    split: str | None = option(
        None, "split of the dataset; by default test, else val, else train", metavar="{train,val,test}"
    )
    layout: LayoutChoice = same(DataConfig, "layout")
    training_data: Path | None = option(
        None, "dataset whose split train the model was trained on; by default that of its run, else DATA"
    )
    direction: Literal[Direction, "both"] | None = option(
        None, "the direction, of models that translate in both; by default both, side by side"
    )
    device: str = same(TrainingConfig, "device")
    threads: int | None = same(TrainingConfig, "threads")

    def problems(self) -> Iterator[Problem | str]:
        """Say what does not fit together."""
        if self.images is not None:
            given = {"MODEL": self.model, "DATA": self.data, "--split": self.split, "--direction": self.direction}
            given |= {"--training-data": self.training_data}
            if extra := [name for name, value in given.items() if value is not None]:
                yield f"--images compares two folders; {', '.join(extra)} has no effect with it"
        elif self.model is None or self.data is None:
            yield "give MODEL and DATA, or --images with two folders ('tandem evaluate --help' says more)"
        yield from folder_problems(self.folder, "the report", instead="report.html and report.json are written into it")
        if self.cache is not None:
            yield from folder_problems(self.cache, "what was measured before", option="--cache")

    @property
    def folder(self) -> Path:
        """The folder of the report."""
        return self.out or (Path("evaluation") if self.model is None else self.model / "evaluation")


COMMAND = Command(
    "evaluate",
    "Measure a model on a dataset, or a folder of images against another one.",
    {"": EvaluateOptions, "what is measured, and by which networks": EvaluationOptions},
)


def main(arguments: Sequence[str]) -> int:
    """Parse the options, measure, write the report and print the table."""
    own, options = COMMAND.parse(arguments)
    out = own.folder
    from tandem.evaluation.directions import evaluate_directions  # noqa: PLC0415  (imports torch)
    from tandem.evaluation.folder import write_evaluation  # noqa: PLC0415
    from tandem.training.distributed import join  # noqa: PLC0415

    choose_threads(own.threads)
    cache = own.cache or out / "cache"
    with _ended_by_sigterm(), join(own.device) as process_group:
        subjects = process_group.main_first(lambda: _subjects(own, options, str(process_group.device)))
        with evaluation_progress() as bars:
            found = evaluate_directions(
                subjects, options, process_group=process_group, cache=cache, on_progress=bars.callback
            )

        def write() -> None:
            page = write_evaluation(found, out)
            for line in table_lines([evaluation.report for evaluation, _ in found]):
                log.info("%s", line)
            log.info("page: %s", page)

        process_group.on_main(write)
    return 0


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Have SIGTERM end the command with its rows written and a message; torchrun sends it when a process has failed."""

    def end(*_: object) -> None:
        raise_for_signal(
            PeerError(
                "ended by SIGTERM, as torchrun and clusters send it. What was measured is kept: the same command goes "
                "on."
            )
        )

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def table_lines(reports: Sequence[EvaluationReport]) -> list[str]:
    """The reports as lines for a terminal: one, or those of both directions side by side."""
    if len(reports) == 1:
        report = reports[0]
        lines = _aligned((score.name, number(score.value), uncertainty(score), score.note) for score in report.scores)
        lines += [f"left out: {one.metric} ({one.reason})" for one in report.left_out]
        return lines + [f"attention: {text}" for text in report.all_warnings]
    header = ("", *(report.direction for report in reports))
    lines = _aligned([header, *((name, *cells) for name, _, cells in side_by_side(reports))])
    left_out = [(one, report.direction) for report in reports for one in report.left_out]
    for one in dict.fromkeys(one for one, _ in left_out):
        directions = [direction for other, direction in left_out if other == one]
        where = "" if len(directions) == len(reports) else f"{directions[0]}: "
        lines.append(f"left out: {where}{one.metric} ({one.reason})")
    return lines + [f"attention: {text}" for text in direction_warnings(reports)]


def _aligned(rows: Iterable[Sequence[str]]) -> list[str]:
    """Columns of equal width; the second one, of numbers, ends evenly."""
    cells = list(rows)
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if index == 1 and len(row) == 4 else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]


def _subjects(own: EvaluateOptions, options: EvaluationOptions, device: str) -> "list[Subject]":
    from tandem.evaluation.subject import folder_subject, model_subject  # noqa: PLC0415  (imports torch)
    from tandem.inference.translator import load  # noqa: PLC0415

    if own.images is not None:
        return [folder_subject(*own.images)]
    assert own.model is not None
    assert own.data is not None
    translator = load(own.model, device=device)
    log.info("%s", translator.manifest.preprocessing.describe(options.fit))
    directions: Sequence[Direction] = translator.directions
    if own.direction == "both" and len(directions) == 1:
        raise ConfigError(
            f"--direction both: this model translates one way only, {directions[0]}; leave the option out."
        )
    if own.direction in {"AtoB", "BtoA"}:
        directions = [cast(Direction, own.direction)]
    return [
        model_subject(
            translator,
            own.model,
            own.data,
            options,
            split=own.split,
            direction=direction,
            layout=own.layout,
            training_data=own.training_data,
        )
        for direction in directions
    ]
