"""``tandem sample MODEL CLIP --out FILE``: translate a video or an animated GIF."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from tandem.commands.parser import Command
from tandem.config.data import Direction
from tandem.config.options import Options, changed, option, refuse, same
from tandem.data.fit import Fit
from tandem.errors import ConfigError
from tandem.files import atomic_replace, remove_leftovers_of
from tandem.inference.runtime import OnTile
from tandem.inference.sampling import SamplingMode, SamplingOptions
from tandem.inference.translator import Translator
from tandem.inference.video.flicker import FlickerReport
from tandem.inference.video.frames import VIDEO_SUFFIXES, LeftOutTrack
from tandem.inference.video.latent_walk import VideoLatents
from tandem.inference.video.translate import VideoTranslator, is_video, open_video, open_writer
from tandem.inference.video.writing import check_suffix
from tandem.report.progress import TaskProgress
from tandem.targets import file_problems

BATCH_SIZE = 1
WALK_LATENTS = 4
IMAGE_OPTIONS = (
    *("num_samples", "pairs", "stack", "mask", "split", "image_format", "cycle", "max_batch", "processes", "only"),
    "spread",
)
"""Options that videos do not have."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class VideoOptions(Options):
    """Options that only videos have."""

    walk: float | None = option(
        None, "seconds of a round trip through several latents; else the latent stays", above=0, metavar="SECONDS"
    )
    walk_latents: int | None = option(
        None, f"latents of the walk, drawn by --seed; {WALK_LATENTS} unless given", at_least=2
    )
    batch_size: int | None = option(
        None, f"frames that go through the network at once; {BATCH_SIZE} unless given", at_least=1
    )


@dataclass(frozen=True, kw_only=True)
class VideoRequest(VideoOptions):
    """All that says how a video is translated: its own options and those that it shares with images."""

    mode: SamplingMode = same(SamplingOptions, "mode")
    seed: int = same(SamplingOptions, "seed")
    fit: Fit = same(SamplingOptions, "fit")
    references: Sequence[Path] = same(SamplingOptions, "references")
    z: np.ndarray | None = same(SamplingOptions, "z")

    def problems(self) -> Iterator[str]:
        """Say what does not fit together."""
        if self.mode not in {"random", "reference"}:
            yield f"there is no --mode {self.mode} for a video"
        if self.mode == "reference" and not self.references:
            yield "--mode reference needs --reference IMAGE"
        if self.walk_latents is not None and (self.walk is None or self.z is not None or self.references):
            yield "--walk-latents goes with --walk, and not with --z or --reference, which give the latents"
        if self.z is not None and self.references:
            yield "--z and --reference both give the latent: choose one of them"


def find_video(inputs: Sequence[Path]) -> Path | None:
    """The input, if it is a video.

    Raises:
        ConfigError: There are other inputs beside a video.
        DataError: A GIF is damaged.
    """
    if len(inputs) == 1:
        return inputs[0] if is_video(inputs[0]) else None
    videos = [path for path in inputs if path.suffix.lower() in VIDEO_SUFFIXES]
    if videos:
        raise ConfigError(f"{videos[0]} is a video: videos are translated one at a time, into one --out each.")
    return None


def refuse_video_options(options: VideoOptions) -> None:
    """Refuse options of videos where the inputs are images.

    Raises:
        ConfigError: There are some.
    """
    given = [one.flag for one in changed(options)]
    if given:
        raise ConfigError(f"{', '.join(given)}: only for a video (one video or animated GIF), and the input is none.")


def refuse_image_options(command: Command, values: Mapping[str, Any], video: Path) -> None:
    """Refuse options of images where the input is a video.

    Raises:
        ConfigError: There are some that are not as by default.
    """
    known = {one.field: one for one in command.options}
    given = [known[name].flag for name in IMAGE_OPTIONS if values.get(name, known[name].default) != known[name].default]
    problems = [f"{name} has no effect" for name in given]
    if values.get("direction") == "both":
        problems.append("there is no --direction both")
    if problems:
        raise ConfigError(f"{video} is a video, for which {'; '.join(problems)}.")


def tile_note(progress: TaskProgress) -> OnTile:
    """What says behind the numbers of `progress` which tile of a large image is at work."""
    return lambda done, total: progress.note(f"tile {done} of {total}" if done < total else "")


def sample_video(
    video_path: Path,
    out: Path,
    direction: Direction | None,
    options: VideoRequest,
    load_model: Callable[[], Translator],
) -> int:
    """Translate one video.

    Args:
        video_path: The video.
        out: The file that is written.
        direction: For models that translate in both.
        options: How.
        load_model: Loads the model; called after all that can be checked without it.

    Returns:
        The exit status.

    Raises:
        TandemError: An option has no effect on a video, or the video, the model or the target cannot be used.
    """
    _check_out(video_path, out)
    suffix = out.suffix.lower()
    with open_video(video_path, target_suffix=suffix) as video:
        translator = load_model()
        latents = _latents(options, translator)
        translator.abilities.generator(direction)
        work = VideoTranslator(
            translator,
            latents,
            seed=options.seed,
            fit=options.fit,
            direction=direction,
            batch_size=options.batch_size or BATCH_SIZE,
        )
        log.info("%s", translator.manifest.preprocessing.describe(options.fit))
        log.info("the model is run by %s", translator.run_by)
        remove_leftovers_of(out)
        summary: dict[str, Any] = {}

        def write(temporary: Path) -> None:
            with open_writer(temporary, suffix, video) as writer:
                _say_what_is_left_out(writer.left_out)
                with TaskProgress("translating", video.info.num_frames, "frames") as progress:
                    report = work.run(video, writer, on_progress=progress.callback, on_tile=tile_note(progress))
                summary.update(report=report, format=writer.description, left_out=writer.left_out)

        atomic_replace(out, write)
    _say(out, summary, sounds=video.info.sounds)
    return 0


def _check_out(video_path: Path, out: Path) -> None:
    refuse(file_problems(out, "the translation of a video", example="video.mp4"))
    check_suffix(out)
    if out.exists() and out.samefile(video_path):
        raise ConfigError(f"--out {out} is the input itself: give another name.")


def _latents(options: VideoRequest, translator: Translator) -> VideoLatents:
    z = options.z
    if not translator.latent_dim:
        given: Mapping[str, bool] = {
            "--seed": options.seed != 0 and not translator.is_stochastic,
            "--z": z is not None,
            "--reference": bool(options.references),
            "--walk": options.walk is not None,
        }
        if any(given.values()):
            names = ", ".join(name for name, is_given in given.items() if is_given)
            raise ConfigError(f"{names}: without effect, for this model has no latent.")
    period = None if options.walk is None else Fraction(options.walk)
    if options.references:
        z, _ = translator.encode([str(path) for path in options.references], fit=options.fit)
    if z is None:
        number = 1 if period is None else (options.walk_latents or WALK_LATENTS)
        z = translator.sample_z(number, seed=options.seed)
    return VideoLatents(z, period, translator.prior)


def _say_what_is_left_out(left_out: Sequence[LeftOutTrack]) -> None:
    for what in left_out:
        log.warning("left out: %s", what.text)


def _say(out: Path, summary: Mapping[str, Any], *, sounds: Sequence[str]) -> None:
    report: FlickerReport = summary["report"]
    dropped = [what.text for what in summary["left_out"] if what.is_sound]
    sound = f"sound copied ({', '.join(sounds)})" if sounds else "no sound"
    if dropped:
        sound = f"WITHOUT {'; '.join(dropped)}"
    log.info("video: %s (%d frames, %s; %s)", out, report.num_frames, summary["format"], sound)
    log.info("%s", report.describe())
