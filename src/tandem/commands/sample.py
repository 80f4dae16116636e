"""``tandem sample MODEL INPUTS… --out DIR``: translate images into many outputs, or a video into one file."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from tandem.commands.parser import Command, build
from tandem.commands.sample_video import (
    VideoOptions,
    VideoRequest,
    find_video,
    refuse_image_options,
    refuse_video_options,
    sample_video,
    show_tiles,
)
from tandem.config.data import Direction
from tandem.config.options import REQUIRED, Options, option, same
from tandem.config.training import TrainingConfig
from tandem.data.images import read_size
from tandem.errors import ConfigError
from tandem.inference.jobs import Job, find_jobs, has_two_domains
from tandem.inference.runtime import Runtime
from tandem.inference.sample_folder import sample_to_folder
from tandem.inference.sampling import SamplingOptions
from tandem.inference.translator import Translator, load_with
from tandem.report.progress import TaskProgress

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class SampleOptions(Options):
    """What is translated by which model, and where it goes."""

    model: Path = option(REQUIRED, "folder of a run (runs/NAME) or of its bundle (runs/NAME/model)", positional=True)
    inputs: tuple[Path, ...] = option(
        REQUIRED, "image files, folders of images, dataset folders, or one video", positional=True
    )
    out: Path = option(REQUIRED, "folder for everything that is written; of a video, the file")
    direction: Literal[Direction, "both"] | None = option(
        None,
        "the direction, for models that translate in both; 'both' takes a dataset, or a folder of A and a folder of B",
    )
    pairs: bool = option(False, "input files are side-by-side pairs A | B")
    split: str | None = option(None, "split of a dataset folder; by default test, else val, else train")
    device: str = same(TrainingConfig, "device")


COMMAND = Command(
    "sample",
    "Translate images into many outputs; writes pictures, grids and a page.",
    {
        "": SampleOptions,
        "what is drawn": SamplingOptions,
        "how the model is run": Runtime,
        "videos (the input is one video or animated GIF)": VideoOptions,
    },
)


def main(arguments: Sequence[str]) -> int:
    """Parse the options and sample."""
    values = COMMAND.values(arguments)
    video = find_video(values["inputs"])
    if video is not None:
        refuse_image_options(COMMAND, values, video)
        own, runtime, video_options = build(values, SampleOptions, Runtime, VideoRequest)
        return sample_video(video, own.out, own.direction, video_options, lambda: load_model(own, runtime))
    own, options, runtime, video_options = build(values, *COMMAND.groups.values())
    refuse_video_options(video_options)
    translator = load_model(own, runtime)
    directions = _directions(own.direction, translator, own.inputs)
    jobs = find_jobs(own.inputs, pairs=own.pairs, split=own.split, directions=directions)
    _warn_of_pairs(jobs)
    log.info("%s", translator.manifest.preprocessing.describe(options.fit))
    with TaskProgress("sampling", len(jobs), "inputs") as progress:
        show_tiles(translator, progress)
        page = sample_to_folder(translator, jobs, own.out, options, on_progress=progress.callback)
    log.info("page: %s", page)
    return 0


def load_model(own: SampleOptions, runtime: Runtime) -> Translator:
    """The model that is named, to be run as the options say."""
    return load_with(own.model, runtime, device=own.device)


def _directions(named: str | None, translator: Translator, inputs: Sequence[Path]) -> Sequence[Direction]:
    """The ways to go: as named; by default both for a dataset of two domains where the model can, else its first."""
    if named == "both" or (named is None and all(has_two_domains(path) for path in inputs)):
        if named == "both" and len(translator.directions) == 1:
            raise ConfigError(f"--direction both: this model translates {translator.directions[0]} only.")
        return translator.directions
    if named is not None:
        translator.abilities.generator(cast(Direction, named))
        return (cast(Direction, named),)
    return (translator.directions[0],)


def _warn_of_pairs(jobs: Sequence[Job]) -> None:
    """Side-by-side pairs that are given as plain inputs would be translated as one wide image."""
    wide = []
    for job in jobs[:20]:
        if job.is_plain:
            (file,) = job.item.files
            width, height = read_size(file)
            wide += [file.name] if width == 2 * height else []
    if len(wide) == min(len(jobs), 20):
        log.warning("%s: twice as wide as high. If these are side-by-side pairs, add --pairs.", ", ".join(wide[:3]))
