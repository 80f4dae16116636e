"""``tandem timeline RUN``: the fixed inputs of a run over time, as a GIF or a strip, from what was logged."""

import logging
from collections.abc import Sequence
from pathlib import Path

from tandem.commands.parser import make_parser, parse
from tandem.errors import ConfigError, DataError
from tandem.report.grid import save_image
from tandem.report.progress import TaskProgress
from tandem.report.snapshot_pictures import picture_steps
from tandem.report.timeline import choose, read_snapshots, save_timeline_gif, spread, timeline_strip
from tandem.report.training_page import read_metrics
from tandem.training.run_folder import LOCK_NAME, RunFolder

GIF_FRAMES, STRIP_FRAMES = 60, 8
FPS = 5.0
STRIP_SUFFIXES = (".png", ".webp")

log = logging.getLogger(__name__)


def main(arguments: Sequence[str]) -> int:
    """Parse the options and draw."""
    parser = make_parser("timeline", "Show the fixed inputs of a run over time, from the pictures of its gallery.")
    parser.add_argument("run", help="folder of a run, also of one that is training")
    parser.add_argument("--out", help="file: .gif moves, .png and .webp are strips; RUN/timeline.gif unless given")
    parser.add_argument("--inputs", help="which of the fixed inputs, from 0 on, e.g. 0,2; all unless given")
    parser.add_argument("--sample", type=int, help="only this sample: 1 is the column z1")
    parser.add_argument("--column", nargs="+", default=[], help="columns by their titles, such as encoded")
    parser.add_argument("--every", type=int, default=1, help="only every so many-th snapshot")
    parser.add_argument(
        "--max-frames", type=int, help=f"most snapshots; {GIF_FRAMES} in a GIF, {STRIP_FRAMES} in a strip unless given"
    )
    parser.add_argument("--fps", type=float, help=f"snapshots per second of a GIF; {FPS:g} unless given")
    args = parse(parser, arguments)
    run = RunFolder(Path(args.run))
    out = run.root / "timeline.gif" if args.out is None else Path(args.out)
    moving = _is_moving(out)
    if args.fps is not None and not moving:
        raise ConfigError(f"--fps: without effect on a strip; --out {out} would have to end in .gif.")
    if args.sample is not None and args.column:
        raise ConfigError("--sample and --column both say which columns are shown: give one of them.")
    columns = args.column or (None if args.sample is None else [f"z{args.sample}"])
    most = args.max_frames if args.max_frames is not None else (GIF_FRAMES if moving else STRIP_FRAMES)
    steps = spread(_steps(run), every=args.every, most=most)
    chosen, shown = choose(read_snapshots(run.gallery, steps), inputs=_numbers(args.inputs), columns=columns)
    with TaskProgress("drawing", len(chosen), "snapshots") as progress:
        if moving:
            fps = FPS if args.fps is None else args.fps
            save_timeline_gif(chosen, shown, out, fps=fps, on_progress=progress.callback)
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


def _is_moving(out: Path) -> bool:
    suffix = out.suffix.lower()
    if suffix not in {".gif", *STRIP_SUFFIXES}:
        raise ConfigError(f"--out {out}: the name must end in .gif (moving) or {', '.join(STRIP_SUFFIXES)} (a strip).")
    return suffix == ".gif"


def _steps(run: RunFolder) -> list[int]:
    """The steps of all pictures that belong to the run as it is: after a crash later ones may lie there still."""
    if not run.root.is_dir():
        raise DataError(f"there is no run at {run.root}: no such folder.")
    if not any((run.root / name).exists() for name in (run.config.name, LOCK_NAME)):
        raise DataError(f"{run.root} is no run: it holds no {run.config.name}. Give the folder of a run, runs/NAME.")
    logged = max((record.get("step", 0) for record in read_metrics(run.metrics)), default=0)
    steps = [step for step in picture_steps(run.gallery) if step <= logged]
    if not steps:
        raise DataError(
            f"{run.root} has no pictures yet: the first one is made at the first snapshot (--snapshot-every)."
        )
    return steps


def _numbers(text: str | None) -> list[int] | None:
    if text is None:
        return None
    try:
        return [int(word) for word in text.split(",")]
    except ValueError as error:
        raise ConfigError(f"--inputs must be numbers with commas between them, such as 0,2, not '{text}'.") from error
