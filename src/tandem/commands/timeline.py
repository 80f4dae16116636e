"""``tandem timeline RUN``: the fixed inputs of a run over time, as a GIF or a strip, from what was logged."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tandem.commands.parser import Command
from tandem.config.options import REQUIRED, Options, option
from tandem.errors import ConfigError, DataError, Problem
from tandem.files import remove_leftovers_of
from tandem.locks import LOCK_NAME
from tandem.report.grid import save_image
from tandem.report.progress import TaskProgress
from tandem.report.records import read_metrics
from tandem.report.snapshot_pictures import picture_steps
from tandem.report.timeline import choose, read_snapshots, sample_title, save_timeline_gif, spread, timeline_strip
from tandem.targets import file_problems
from tandem.training.run_folder import RunFolder

GIF_FRAMES, STRIP_FRAMES = 60, 8
FPS = 5.0
STRIP_SUFFIXES = (".png", ".webp")

log = logging.getLogger(__name__)


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(word) for word in text.split(","))
    except ValueError as error:
        problem = Problem(
            f"--inputs must be numbers with commas between them, such as 0,2, not '{text}'", "--inputs", text
        )
        raise ConfigError(problems=[problem]) from error


@dataclass(frozen=True, kw_only=True)
class TimelineOptions(Options):
    """What of a run is shown over time, and how."""

    run: Path = option(REQUIRED, "folder of a run, also of one that is training", positional=True)
    out: Path | None = option(None, "file: .gif moves, .png and .webp are strips; RUN/timeline.gif unless given")
    inputs: tuple[int, ...] | None = option(
        None, "which of the fixed inputs, from 0 on, e.g. 0,2; all unless given", read=_numbers
    )
    sample: int | None = option(None, "only this sample: 1 is the column z1, or 'sample 1' of dropout")
    column: tuple[str, ...] = option((), "columns by their titles, such as encoded")
    every: int = option(1, "only every so many-th snapshot", at_least=1)
    max_frames: int | None = option(
        None,
        f"most snapshots; {GIF_FRAMES} in a GIF, {STRIP_FRAMES} in a strip unless given",
        at_least=2,
    )
    fps: float | None = option(None, f"snapshots per second of a GIF; {FPS:g} unless given", at_least=0.1, at_most=50)

    @property
    def target(self) -> Path:
        """The file that is written."""
        return self.run / "timeline.gif" if self.out is None else self.out

    @property
    def is_moving(self) -> bool:
        """Whether that is a GIF, not a strip."""
        return self.target.suffix.lower() == ".gif"

    def problems(self) -> Iterator[Problem | str]:
        """Say what does not fit together."""
        found = [] if self.out is None else list(file_problems(self.out, "a timeline", example="timeline.gif"))
        yield from found
        if found:
            return
        if self.target.suffix.lower() not in {".gif", *STRIP_SUFFIXES}:
            strips = ", ".join(STRIP_SUFFIXES)
            yield f"--out {self.target}: the name must end in .gif (moving) or {strips} (a strip)"
        elif self.fps is not None and not self.is_moving:
            yield f"--fps: without effect on a strip; --out {self.target} would have to end in .gif"
        if self.sample is not None and self.column:
            yield "--sample and --column both say which columns are shown: give one of them"


COMMAND = Command(
    "timeline", "Show the fixed inputs of a run over time, from the pictures of its gallery.", {"": TimelineOptions}
)


def main(arguments: Sequence[str]) -> int:
    """Parse the options and draw."""
    (options,) = COMMAND.parse(arguments)
    run, out = RunFolder(options.run), options.target
    most = options.max_frames or (GIF_FRAMES if options.is_moving else STRIP_FRAMES)
    steps = spread(_steps(run), every=options.every, most=most)
    snapshots = read_snapshots(run.gallery, steps)
    columns = options.column or (None if options.sample is None else [sample_title(snapshots, options.sample)])
    chosen, shown = choose(snapshots, inputs=options.inputs, columns=columns)
    remove_leftovers_of(out)
    with TaskProgress("drawing", len(chosen), "snapshots") as progress:
        if options.is_moving:
            save_timeline_gif(chosen, shown, out, fps=options.fps or FPS, on_progress=progress.callback)
        else:
            save_image(timeline_strip(chosen, shown, on_progress=progress.callback), out)
    left_out = len(steps) - len(chosen)
    log.info(
        "timeline: %s (%d snapshots, steps %d to %d; columns %s)%s",
        out,
        len(chosen),
        chosen[0].step,
        chosen[-1].step,
        ", ".join((*shown.context, *shown.columns)),
        f"; {left_out} left out that do not show these" if left_out else "",
    )
    return 0


def _steps(run: RunFolder) -> list[int]:
    """The steps of all pictures that belong to the run as it is: after a crash later ones may lie there still."""
    if not run.root.is_dir():
        raise DataError(f"there is no run at {run.root}: no such folder.")
    if not any((run.root / name).exists() for name in (run.config.name, LOCK_NAME)):
        raise DataError(f"{run.root} is no run: it holds no {run.config.name}. Give the folder of a run, runs/NAME.")
    logged = max((record.step for record in read_metrics(run.metrics)), default=0)
    steps = [step for step in picture_steps(run.gallery) if step <= logged]
    if not steps:
        raise DataError(
            f"{run.root} has no pictures yet: the first one is made at the first snapshot (--snapshot-every)."
        )
    return steps
