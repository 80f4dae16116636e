"""``tandem sample MODEL INPUTS… --out DIR``: translate images into many outputs, or a video into one file."""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
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
    tile_note,
)
from tandem.config.data import Direction
from tandem.config.options import REQUIRED, Options, option, refuse, same
from tandem.config.training import TrainingConfig
from tandem.data.formats.zarr_writer import foreign_zarr, is_own_zarr
from tandem.data.stacks import channels_of_parts
from tandem.errors import ConfigError, Problem
from tandem.inference.jobs import (
    Job,
    Trained,
    find_jobs,
    has_two_domains,
    require_inputs,
    warn_of_pairs,
    with_given_masks,
)
from tandem.inference.runtime import Runtime
from tandem.inference.sample_folder import sample_to_folder, sampler
from tandem.inference.sample_picture import sample_to_picture
from tandem.inference.sample_shares import Processes, Sample
from tandem.inference.sampling import SamplingOptions
from tandem.inference.translator import Translator, load_with
from tandem.launch import find_launch
from tandem.report.progress import TaskProgress
from tandem.targets import PICTURE_ENDINGS, file_problems, folder_problems, is_picture_folder, is_picture_name
from tandem.threads import usable_cores

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class SampleOptions(Options):
    """What is translated by which model, and where it goes."""

    model: Path = option(REQUIRED, "folder of a run (runs/NAME) or of its bundle (runs/NAME/model)", positional=True)
    inputs: tuple[Path, ...] = option(
        REQUIRED, "image files, folders of images, dataset folders, or one video", positional=True
    )
    out: Path = option(
        REQUIRED, "folder for everything that is written; or one picture (.png, .jpg, .webp); of a video, the file"
    )
    direction: Literal[Direction, "both"] | None = option(
        None,
        "the direction, for models that translate in both; 'both' takes a dataset, or a folder of A and a folder of B",
    )
    pairs: bool = option(False, "input files are side-by-side pairs A | B", one_way=True)
    stack: bool = option(
        False,
        "inputs are parts of one: files, or folders of files of the same names, in the order of the model's channels",
        one_way=True,
    )
    mask: Path | None = option(
        None,
        "mask of the input, zero where its pixels do not count, or a folder of masks called like the inputs; for "
        "models trained with --mask",
        metavar="PATH",
    )
    split: str | None = option(
        None, "split of a dataset folder; by default test, else val, else train", metavar="{train,val,test}"
    )
    processes: int = option(
        1,
        "processes that share the inputs, each with a model in its memory; over machines: torchrun",
        at_least=1,
    )
    device: str = same(TrainingConfig, "device")

    @property
    def is_picture(self) -> bool:
        """Whether `out` is one picture; a folder may be called like one, if it is there already."""
        name = self.out.name
        return is_picture_name(name) and (is_picture_folder(name) or not os.path.isdir(self.out))  # noqa: PTH112

    def target_problems(self) -> Iterator[Problem]:
        """Say why the samples of images cannot go to `out`."""
        if self.is_picture:
            if not is_picture_folder(self.out.name) or not self.out.is_dir():
                yield from file_problems(self.out, "one picture", example="x.png")
            elif not is_own_zarr(self.out):
                yield Problem(f"--out {foreign_zarr(self.out)}", "--out", self.out)
        else:
            instead = f"give a folder, or one picture, whose name ends in {', '.join(PICTURE_ENDINGS)}"
            yield from folder_problems(self.out, "what the samples go to", instead=instead)


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
    require_inputs(own.inputs)
    refuse_video_options(video_options)
    launched = find_launch().size
    refuse(_problems(own, values, launched))
    if launched > 1:
        _sample_in_group(own, options, runtime)
        return 0
    translator = load_model(own, runtime)
    jobs = _jobs(own, translator)
    warn_of_pairs(jobs)
    log.info("%s", translator.manifest.preprocessing.describe(options.fit))
    log.info("the model is run by %s", translator.run_by)
    with TaskProgress("sampling", len(jobs), "inputs") as progress:
        on_tile = tile_note(progress)
        if own.is_picture:
            files = sample_to_picture(translator, jobs, own.out, replace(options, only="outputs"), on_tile=on_tile)
            progress.callback(1, 1)
        else:
            shares = Processes(own.processes, partial(_sampler, arguments)) if own.processes > 1 else None
            page = sample_to_folder(
                translator,
                jobs,
                own.out,
                options,
                model=own.model,
                shares=shares,
                on_progress=progress.callback,
                on_tile=on_tile,
            )
            files = [page]
    _tell(own, options, files)
    return 0


def _tell(own: SampleOptions, options: SamplingOptions, files: Sequence[Path]) -> None:
    what = "page" if not own.is_picture and options.only is None else "outputs"
    log.info("%s: %s", what, ", ".join(map(str, files)))


def _sampler(arguments: Sequence[str]) -> Sample:
    """What samples in one of several processes of this machine, which share its cores."""
    own, options, runtime, _ = COMMAND.parse(arguments)
    if runtime.threads is None and "OMP_NUM_THREADS" not in os.environ:
        runtime = replace(runtime, threads=max(1, usable_cores() // own.processes))
    translator = load_model(own, runtime)
    return sampler(translator, _jobs(own, translator), own.out, options.for_model(translator))


def _sample_in_group(own: SampleOptions, options: SamplingOptions, runtime: Runtime) -> None:
    """Sample as one of the processes that torchrun or SLURM has started."""
    from tandem.commands.sample_group import GroupShares  # noqa: PLC0415  (imports torch)
    from tandem.training.distributed import join  # noqa: PLC0415

    with join(own.device) as group:
        own = replace(own, device=str(group.device))
        translator = group.main_first(lambda: load_model(own, runtime))
        jobs = _jobs(own, translator)
        group.require_same("their inputs", [job.name for job in jobs])
        shares = GroupShares(group, sampler(translator, jobs, own.out, options.for_model(translator)))
        if not group.is_main:
            shares.help()
            return
        warn_of_pairs(jobs)
        log.info("%s", translator.manifest.preprocessing.describe(options.fit))
        log.info("the model is run by %s", translator.run_by)
        with TaskProgress("sampling", len(jobs), "inputs") as progress:
            page = sample_to_folder(
                translator, jobs, own.out, options, model=own.model, shares=shares, on_progress=progress.callback
            )
        _tell(own, options, [page])


def _jobs(own: SampleOptions, translator: Translator) -> list[Job]:
    trained = Trained.of(own.model, translator.manifest.training)
    directions = _directions(own.direction, translator, () if own.stack else own.inputs, trained)
    jobs = find_jobs(
        own.inputs,
        pairs=own.pairs,
        split=own.split,
        directions=directions,
        masks=trained.takes_masks and own.mask is None,
        stack=own.stack,
        trained=trained,
    )
    if own.stack:
        _require_parts(jobs[0], translator)
    if own.mask is None:
        return jobs
    if any(translator.levels(direction)[0].fill is None for direction in directions):
        raise ConfigError(
            f"--mask {own.mask}: this model was trained without --mask, and knows nothing to put in the place of "
            "masked pixels: leave it out.",
            option="--mask",
        )
    return with_given_masks(jobs, own.mask)


def _require_parts(job: Job, translator: Translator) -> None:
    """Refuse inputs that are stacked in another way than those of the training, by the first of them."""
    given = list(channels_of_parts(job.item.files[0]).values())
    parts = translator.parts(job.direction)
    if parts and list(parts.values()) != given:
        own = ", ".join(f"{name} with {number}" for name, number in parts.items())
        raise ConfigError(
            f"--stack: an input of this model is {own} (channels), and {job.name} is a stack of images with "
            f"{', '.join(map(str, given))}: give what the model was trained on, in its order.",
            option="--stack",
        )


def _problems(own: SampleOptions, values: Mapping[str, object], launched: int) -> Iterator[Problem]:
    yield from own.target_problems()
    if own.is_picture and own.processes > 1:
        yield Problem("--processes share many inputs: one picture is made by one process", "--processes")
    if own.stack and (own.pairs or own.split is not None):
        yield Problem("--stack takes files and folders of images, which --pairs and --split say nothing of", "--stack")
    if launched > 1 and (own.is_picture or own.processes > 1):
        given = f"--out {own.out} is one picture" if own.is_picture else f"--processes {own.processes}"
        yield Problem(f"{given}, and {launched} processes were started (torchrun, srun), which share a folder", "--out")
    if own.is_picture and "image_format" in values:
        yield Problem(f"--format has no effect: the ending of --out {own.out} says the format", "--format")


def load_model(own: SampleOptions, runtime: Runtime) -> Translator:
    """The model that is named, to be run as the options say."""
    return load_with(own.model, runtime, device=own.device)


def _directions(
    named: str | None, translator: Translator, inputs: Sequence[Path], trained: Trained
) -> Sequence[Direction]:
    """The ways to go: as named; by default both for a dataset of two domains where the model can, else its first."""
    if named == "both" or (named is None and inputs and all(has_two_domains(path, trained) for path in inputs)):
        if named == "both" and len(translator.directions) == 1:
            raise ConfigError(f"--direction both: this model translates {translator.directions[0]} only.")
        return translator.directions
    if named is not None:
        translator.abilities.generator(cast(Direction, named))
        return (cast(Direction, named),)
    return (translator.directions[0],)
