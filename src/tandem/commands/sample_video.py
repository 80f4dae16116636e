"""``tandem sample MODEL CLIP --out FILE``: translate a video or an animated GIF."""

import logging
import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from jsonargparse import ArgumentParser, Namespace

from tandem.commands.runtime_options import load_translator, show_tiles
from tandem.config.options import flag
from tandem.errors import ConfigError
from tandem.files import atomic_replace, remove_leftovers_of
from tandem.inference.translator import Translator
from tandem.inference.video.flicker import FlickerReport
from tandem.inference.video.frames import VIDEO_SUFFIXES
from tandem.inference.video.latent_walk import VideoLatents
from tandem.inference.video.translate import VideoTranslator, is_video, open_video, open_writer
from tandem.inference.video.writing import check_suffix
from tandem.report.progress import TaskProgress

BATCH_SIZE = 1
WALK_LATENTS = 4
VIDEO_OPTIONS = ("walk", "walk_latents", "batch_size")
"""Options that only videos have."""
IMAGE_OPTIONS = ("num_samples", "pairs", "split", "format", "cycle", "max_batch")
"""Options that videos do not have."""

log = logging.getLogger(__name__)


def add_video_options(parser: ArgumentParser) -> None:
    """Add the options of videos to those of images."""
    group = parser.add_argument_group("videos (the input is one video or animated GIF)")
    group.add_argument(
        "--walk", type=float, help="seconds of a round trip through several latents; else the latent stays"
    )
    group.add_argument(
        "--walk-latents", type=int, help=f"latents of the walk, drawn by --seed; {WALK_LATENTS} unless given"
    )
    group.add_argument(
        "--batch-size", type=int, help=f"frames that go through the network at once; {BATCH_SIZE} unless given"
    )


def find_video(inputs: Sequence[str]) -> Path | None:
    """The input, if it is a video.

    Raises:
        ConfigError: There are other inputs beside a video.
        DataError: A GIF is damaged.
    """
    paths = [Path(text) for text in inputs]
    if len(paths) == 1:
        return paths[0] if is_video(paths[0]) else None
    videos = [path for path in paths if path.suffix.lower() in VIDEO_SUFFIXES]
    if videos:
        raise ConfigError(f"{videos[0]} is a video: videos are translated one at a time, into one --out each.")
    return None


def refuse_video_options(args: Namespace) -> None:
    """Refuse options of videos where the inputs are images.

    Raises:
        ConfigError: There are some.
    """
    given = [flag(name) for name in VIDEO_OPTIONS if getattr(args, name) is not None]
    if given:
        raise ConfigError(f"{', '.join(given)}: only for a video (one video or animated GIF), and the input is none.")


def sample_video(parser: ArgumentParser, args: Namespace, video_path: Path, z: np.ndarray | None) -> int:
    """Translate one video.

    Args:
        parser: The options with their defaults.
        args: The options as given.
        video_path: The video.
        z: What ``--z`` holds, ``(K, latent_dim)``.

    Returns:
        The exit status.

    Raises:
        TandemError: An option has no effect on a video, or the video, the model or the target cannot be used.
    """
    out = Path(args.out)
    _check(parser, args, video_path, out)
    suffix = out.suffix.lower()
    with open_video(video_path, target_suffix=suffix) as video:
        translator = load_translator(args)
        batch_size = BATCH_SIZE if args.batch_size is None else args.batch_size
        latents = _latents(args, translator, z)
        translator.abilities.generator(args.direction)
        work = VideoTranslator(
            translator, latents, seed=args.seed, fit=args.fit, direction=args.direction, batch_size=batch_size
        )
        remove_leftovers_of(out)
        summary: dict[str, Any] = {}

        def write(temporary: Path) -> None:
            with open_writer(temporary, suffix, video) as writer:
                _say_what_is_left_out(writer.left_out)
                with TaskProgress("translating", video.info.num_frames, "frames") as progress:
                    show_tiles(translator, progress)
                    report = work.run(video, writer, on_progress=progress.callback)
                summary.update(report=report, format=writer.description, left_out=writer.left_out)

        atomic_replace(out, write)
    _say(out, summary, sounds=video.info.sounds)
    return 0


def _check(parser: ArgumentParser, args: Namespace, video_path: Path, out: Path) -> None:
    check_suffix(out)
    problems = [
        f"{flag(name)} has no effect" for name in IMAGE_OPTIONS if getattr(args, name) != parser.get_default(name)
    ]
    if args.mode not in {"random", "reference"}:
        problems.append(f"there is no --mode {args.mode}")
    if args.direction == "both":
        problems.append("there is no --direction both")
    if args.mode == "reference" and not args.reference:
        problems.append("--mode reference needs --reference IMAGE")
    if problems:
        raise ConfigError(f"{video_path} is a video, for which {'; '.join(problems)}.")
    if out.is_dir():
        raise ConfigError(f"--out {out} is a folder; the translation of a video is one file: give its name.")
    if out.exists() and out.samefile(video_path):
        raise ConfigError(f"--out {out} is the input itself: give another name.")
    if args.walk is not None and not (math.isfinite(args.walk) and args.walk > 0):
        raise ConfigError(f"--walk must be a number of seconds above 0, not {args.walk}.")
    if args.walk_latents is not None and (args.walk is None or args.z is not None or args.reference):
        raise ConfigError("--walk-latents goes with --walk, and not with --z or --reference, which give the latents.")
    if args.walk_latents is not None and args.walk_latents < 2:
        raise ConfigError(f"--walk-latents must be at least 2, not {args.walk_latents}.")
    if args.z is not None and args.reference:
        raise ConfigError("--z and --reference both give the latent: choose one of them.")


def _latents(args: Namespace, translator: Translator, z: np.ndarray | None) -> VideoLatents:
    if not translator.latent_dim:
        given: Mapping[str, bool] = {
            "--seed": args.seed != 0 and not translator.is_stochastic,
            "--z": z is not None,
            "--reference": bool(args.reference),
            "--walk": args.walk is not None,
        }
        if any(given.values()):
            names = ", ".join(name for name, is_given in given.items() if is_given)
            raise ConfigError(f"{names}: without effect, for this model has no latent.")
    period = None if args.walk is None else Fraction(args.walk)
    if args.reference:
        z, _ = translator.encode([str(path) for path in args.reference])
    if z is None:
        number = 1 if period is None else (args.walk_latents or WALK_LATENTS)
        z = translator.sample_z(number, seed=args.seed)
    return VideoLatents(z, period)


def _say_what_is_left_out(left_out: Sequence[str]) -> None:
    for what in left_out:
        log.warning("left out: %s", what)


def _say(out: Path, summary: Mapping[str, Any], *, sounds: Sequence[str]) -> None:
    report: FlickerReport = summary["report"]
    dropped = [what for what in summary["left_out"] if what.startswith("the sound")]
    sound = f"sound copied ({', '.join(sounds)})" if sounds else "no sound"
    if dropped:
        sound = f"WITHOUT {'; '.join(dropped)}"
    log.info("video: %s (%d frames, %s; %s)", out, report.num_frames, summary["format"], sound)
    log.info("%s", report.describe())
