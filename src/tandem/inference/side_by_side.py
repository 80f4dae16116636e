"""The same inputs through several models, one model after the other: a folder of samples for each, and what they show.

The folders are those of `tandem.inference.sample_folder`, so that the same call goes on where an earlier one stopped.
"""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tandem.checkpoint.manifest import Manifest
from tandem.config.data import Direction
from tandem.data.fit import Fit
from tandem.data.images import read_size
from tandem.errors import BundleError, TandemError, listed
from tandem.inference.abilities import Abilities, abilities_of
from tandem.inference.engine import read_manifest_at
from tandem.inference.jobs import (
    Job,
    Trained,
    find_jobs,
    has_two_domains,
    unique_names,
    warn_of_pairs,
    with_unique_names,
)
from tandem.inference.onnx.model_file import SUFFIX
from tandem.inference.runtime import Runtime
from tandem.inference.sample_folder import PAGE_NAME, sample_to_folder, sampled_groups
from tandem.inference.sampling import SamplingOptions
from tandem.inference.translator import load_with
from tandem.names import file_stem
from tandem.report.progress import TaskProgress
from tandem.report.sample_page import SampleGroup
from tandem.report.side_by_side import ComparedInput, ModelFacts, SideBySide
from tandem.report.text import count

FOLDER = "outputs"
DEFAULT_SAMPLES = 3
Key = tuple[Direction | None, str]
"""An input: its direction, None where it is an image that every model translates its own way, and its name."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Request:
    """What is translated, and how.

    Attributes:
        inputs: Image files, folders of images, or datasets.
        num_inputs: How many of each direction, the first ones.
        num_samples: Of each input by each model that can make several; None: `DEFAULT_SAMPLES` with a latent, else 1.
        seed: Decides latents and dropout, for all models alike.
        fit: How inputs come to the size that a model takes.
        direction: That of the translation; None for what each model can.
        pairs: Whether files are side-by-side pairs.
        split: Which split of a dataset.
        device: What computes.
        runtime: How the models are run.
    """

    inputs: tuple[Path, ...]
    num_inputs: int
    num_samples: int | None = None
    seed: int = 0
    fit: Fit = "auto"
    direction: Direction | None = None
    pairs: bool = False
    split: str | None = None
    device: str = "auto"
    runtime: Runtime = field(default_factory=Runtime)


@dataclass(frozen=True)
class _Model:
    """A model and its part of the work."""

    name: str
    path: Path
    manifest: Manifest
    abilities: Abilities
    keys: Sequence[Key]
    jobs: Sequence[Job]
    folder: Path
    options: SamplingOptions


def sample_side_by_side(models: Mapping[str, Path], out: Path, request: Request) -> SideBySide:
    """Translate the same inputs with several models, each of which is loaded when its turn comes.

    Args:
        models: Runs or bundles by name.
        out: The folder of the page; samples go to a folder of each model in `outputs` there.
        request: What is translated, and how.

    Returns:
        What the page shows; of models that failed it has what is finished, and a sentence.

    Raises:
        BundleError: Some are no models, or do not translate in the direction; all are named, before any work.
        DataError: There are no inputs.
    """
    prepared = _prepare(models, out, request)
    shown: dict[str, dict[Key, SampleGroup]] = {}
    problems: list[str] = []
    for number, model in enumerate(prepared):
        log.info("--- %s (%d of %d): %s", model.name, number + 1, len(prepared), _fit_of(model))
        with TaskProgress(f"sampling {model.name}", len(model.jobs), "inputs") as progress:
            groups, problem = _sample(model, request, progress.callback)
        shown[model.name] = groups
        if problem is not None:
            problems.append(f"{model.name} ({model.path}): {problem}")
            log.warning("%s", problems[-1])
    compared = _compared(prepared, shown)
    sizes = {path: read_size(out / path) for group in compared.values() for one in group for path in one.pictures}
    return SideBySide([_facts(model) for model in prepared], compared, problems, sizes)


def sample_pages(models: Sequence[str], out: Path) -> dict[str, Path]:
    """By the name of each model, the page of its samples."""
    return {name: folder / PAGE_NAME for name, folder in _folders(models, out).items()}


def _folders(models: Sequence[str], out: Path) -> dict[str, Path]:
    stems = unique_names([name.replace("/", "-").removesuffix(SUFFIX) for name in models])
    return {name: out / FOLDER / file_stem(stem) for name, stem in zip(models, stems, strict=True)}


def _prepare(models: Mapping[str, Path], out: Path, request: Request) -> list[_Model]:
    """Read what all models say of themselves, and find their inputs: what is wrong is said before any work."""
    found: dict[str, tuple[Manifest, Abilities]] = {}
    problems: list[str] = []
    for name, path in models.items():
        try:
            manifest = read_manifest_at(path)
            abilities = abilities_of(manifest)
            abilities.generator(request.direction)
            found[name] = manifest, abilities
        except TandemError as error:
            problems.append(f"{name}: {error}")
    if problems:
        raise BundleError(f"these models cannot translate the inputs:\n{listed(problems, limit=len(problems))}")
    folders = _folders(list(models), out)
    alone: set[Direction] = {
        direction
        for _, abilities in found.values()
        if len(abilities.generators) == 1
        for direction in abilities.generators
    }
    trained = {name: Trained.of(models[name], manifest.training) for name, (manifest, _) in found.items()}
    if request.split in (None, "val") and any(path.is_dir() for path in request.inputs):
        _warn_of_held_out(trained)
    inputs = _Inputs(request, alone, list(trained.values()))
    prepared = []
    for name, (manifest, abilities) in found.items():
        keys, jobs = inputs.of(tuple(abilities.generators))
        default = DEFAULT_SAMPLES if abilities.latent_dim else 1
        number = (request.num_samples or default) if abilities.is_stochastic else 1
        options = SamplingOptions(num_samples=number, seed=request.seed, fit=request.fit)
        prepared.append(_Model(name, models[name], manifest, abilities, keys, jobs, folders[name], options))
    return prepared


def _warn_of_held_out(found: Mapping[str, Trained]) -> None:
    """Say where only some of the models held the same images out."""
    holding = {name: one.held_out for name, one in found.items() if one.val_split is not None}
    if holding:
        first = next(iter(holding))
        if others := [name for name in found if found[name].held_out != holding[first]]:
            log.warning(
                "of a dataset without a val the images are shown that %s held out (--val-split), and %s may have been "
                "trained on them",
                first,
                ", ".join(others),
            )


class _Inputs:
    """Finds the inputs of each direction once.

    Args:
        request: What is translated.
        alone: The directions of the models that have one.
        trained: How they were trained: what was held out of a dataset, and whether its masks are looked for.
    """

    def __init__(self, request: Request, alone: Collection[Direction], trained: Sequence[Trained]) -> None:
        self._request = request
        self._alone = alone
        self._masks = any(one.takes_masks for one in trained)
        self._trained = next((one for one in trained if one.val_split is not None), None)
        self._known: dict[Direction, list[Job]] = {}

    def of(self, directions: Sequence[Direction]) -> tuple[list[Key], list[Job]]:
        """The inputs of a model with these directions.

        One that has both takes both where the data is two domains; else those of the models that have one, or the
        first of its own.
        """
        request = self._request
        if request.direction is not None:
            directions = (request.direction,)
        elif len(directions) > 1 and not all(has_two_domains(path, self._trained) for path in request.inputs):
            directions = [one for one in directions if one in self._alone] or directions[:1]
        jobs: dict[Key, Job] = {}
        for direction in directions:
            for job in self._jobs(direction):
                jobs.setdefault((None if job.is_plain else direction, job.name), job)
        return list(jobs), with_unique_names(list(jobs.values()))

    def _jobs(self, direction: Direction) -> list[Job]:
        if direction not in self._known:
            request = self._request
            jobs = find_jobs(
                request.inputs,
                pairs=request.pairs,
                split=request.split,
                directions=(direction,),
                masks=self._masks,
                trained=self._trained,
            )
            if len(jobs) > request.num_inputs:
                log.info("the first %d of %d inputs (--num-inputs takes more)", request.num_inputs, len(jobs))
            warn_of_pairs(jobs)
            self._known[direction] = jobs[: request.num_inputs]
        return self._known[direction]


def _sample(
    model: _Model, request: Request, on_progress: Callable[[int, int], None]
) -> tuple[dict[Key, SampleGroup], str | None]:
    """What one model made of its inputs, and what went wrong."""
    problem = None
    try:
        translator = load_with(model.path, request.runtime, device=request.device)
    except TandemError as error:
        return {}, str(error)
    try:
        sample_to_folder(translator, model.jobs, model.folder, model.options, model=model.path, on_progress=on_progress)
    except TandemError as error:
        problem = str(error)
    groups = sampled_groups(translator, model.folder, model.options)
    named = zip(model.keys, model.jobs, strict=True)
    return {key: groups[job.name] for key, job in named if job.name in groups}, problem


def _compared(
    models: Sequence[_Model], shown: Mapping[str, Mapping[Key, SampleGroup]]
) -> dict[str, list[ComparedInput]]:
    """The inputs that somebody translated, by direction."""
    keys = dict.fromkeys(key for model in models for key in model.keys)
    groups: dict[str, list[ComparedInput]] = {}
    for direction, name in keys:
        having = [model for model in models if (direction, name) in shown[model.name]]
        if having:
            compared = _input(name, direction, having, shown)
            groups.setdefault(direction or "", []).append(compared)
    return groups


def _input(
    name: str, direction: Direction | None, models: Sequence[_Model], shown: Mapping[str, Mapping[Key, SampleGroup]]
) -> ComparedInput:
    """One input; its own pictures are those of the model that reads them with most channels."""
    groups = {model.name: shown[model.name][direction, name] for model in models}

    def place(model: _Model, file: str) -> str:
        return f"{FOLDER}/{model.folder.name}/{file}"

    reader = max(models, key=lambda model: model.abilities.generator(direction).spec.in_channels)
    teller = max(models, key=lambda model: model.abilities.generator(direction).spec.out_channels)
    ground_truth = groups[teller.name].ground_truth_picture
    return ComparedInput(
        name,
        place(reader, groups[reader.name].input_picture),
        None if ground_truth is None else place(teller, ground_truth),
        {
            model.name: [(place(model, file), caption) for file, caption in groups[model.name].samples]
            for model in models
        },
    )


def _facts(model: _Model) -> ModelFacts:
    steps = model.manifest.training.get("steps")
    height, width = model.manifest.preprocessing.size
    return ModelFacts(
        name=model.name,
        method=model.manifest.method,
        steps=count(steps) if isinstance(steps, int) else "–",
        size=f"{height}×{width} px",
        latent=_latent(model),
        directions=", ".join(model.abilities.generators),
        fit=model.manifest.preprocessing.key(model.options.fit),
    )


def _latent(model: _Model) -> str:
    prior, dim = model.manifest.prior, model.abilities.latent_dim
    if prior is None:
        return str(dim or "none")
    return f"{dim}, {'a Gaussian' if prior.components == 1 else f'a mixture of {prior.components}'} as prior"


def _fit_of(model: _Model) -> str:
    return model.manifest.preprocessing.describe(model.options.fit)
