"""What there is to measure: a model on a split of a dataset, or two folders of images."""

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tandem.config.data import Direction, LayoutChoice
from tandem.data.image_file import DiskFile
from tandem.data.levels import BY_TYPE, Levels
from tandem.data.listing import in_natural_order, list_tree
from tandem.data.splits import SingleImage, Split
from tandem.data.synthetic.info import INFO_NAME
from tandem.errors import CheckpointError, DataError, listed
from tandem.evaluation.cases import FileCase, FileHashes, ModelCase, SampledModel, Size, TrainingImageCase
from tandem.evaluation.options import EvaluationOptions
from tandem.evaluation.rows.cache import hash_of
from tandem.inference.jobs import Trained, choose_split, split_jobs
from tandem.inference.translator import Translator
from tandem.report.links import run_of
from tandem.training.run_folder import RunFolder
from tandem.training.sources import recall_data

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is measured, and what is known of it before anything is measured.

    Attributes:
        cases: The generated images.
        reals: The real ones.
        train: Images that the model may have seen.
        hashes: Of all files.
        num_samples: Samples of each case.
        no_ground_truth: Why the samples have no ground truth; empty if they have.
        model: The model; None for folders.
        demo_folder: The demo dataset; None for other data.
        description: What is measured, for the report.
        data: Against what, for the report.
    """

    cases: Sequence[ModelCase] | Sequence[FileCase]
    reals: Sequence[FileCase]
    train: Sequence[FileCase]
    hashes: FileHashes
    num_samples: int
    no_ground_truth: str
    model: SampledModel | None
    demo_folder: Path | None
    description: dict[str, Any]
    data: dict[str, Any]

    @property
    def output_levels(self) -> Levels:
        """Which values of files are black and white in the samples."""
        return BY_TYPE if self.model is None else self.model.translator.levels(self.model.direction)[1]

    @property
    def size(self) -> Size:
        """That of the first sample.

        Raises:
            DataError: A file cannot be read.
        """
        return self.cases[0].sizes()[0]

    @property
    def sizes(self) -> list[Size]:
        """Those of the samples of each case, likewise."""
        return [size for size, _ in self._both_sizes]

    @property
    def ground_truth_sizes(self) -> list[Size | None]:
        """Those of the ground truth of each case, likewise."""
        return [size for _, size in self._both_sizes]

    @cached_property
    def _both_sizes(self) -> list[tuple[Size, Size | None]]:
        return [case.sizes() for case in self.cases]  # looks into every file

    @cached_property
    def has_ground_truth(self) -> bool:
        """Whether every case has a ground truth of the size of its samples."""
        return not self.no_ground_truth and self.sizes == self.ground_truth_sizes

    def hashes_of_content(self) -> dict[str, str]:
        """Of the content of all real images, and of all inputs or generated images; reads every file."""
        return {
            "real_sha256": hash_of(*(case.key(1) for case in self.reals)),
            "inputs_sha256": hash_of(*(self.hashes(file) for case in self.cases for file in case.files())),
        }


def model_subject(
    translator: Translator,
    model_path: Path,
    data: Path,
    options: EvaluationOptions,
    *,
    split: str | None = None,
    direction: Direction | None = None,
    layout: LayoutChoice = "auto",
    training_data: Path | None = None,
) -> Subject:
    """A model on a split of a dataset.

    Args:
        translator: The model.
        model_path: Where it was loaded from.
        data: The dataset.
        options: How it is sampled.
        split: By default test, else val, else train.
        direction: For models that translate in both directions; by default the first.
        layout: How A and B lie in folders; see `tandem.data.discover`.
        training_data: The dataset whose split train the model was trained on; by default that of its run, where it
            still is, else `data`.

    Raises:
        DataError: There is no such dataset or split.
        ConfigError: The model does not translate in this direction.
    """
    direction = direction or translator.directions[0]
    channels = translator.abilities.generator(direction).spec.out_channels
    trained = Trained.of(model_path, translator.manifest.training)
    folder = choose_split(data, split, layout=layout, masks=trained.takes_masks, trained=trained)
    log.info("%s", folder.describe())
    if not (folder.inputs(direction) and folder.outputs(direction)):
        raise DataError(
            f"{data}: the split {folder.name} holds images of one side alone, and every metric compares outputs with "
            "real images of the other: put these there (of the same names, for metrics of pairs), or choose another "
            "split with --split. 'tandem sample' translates such images."
        )
    subject = split_subject(translator, folder, options, direction=direction)
    manifest = translator.manifest
    assert manifest.weights is not None
    return dataclasses.replace(
        subject,
        train=[
            TrainingImageCase(one.name, one, subject.hashes, channels, levels=translator.levels(direction)[1])
            for one in _train_images(
                model_path, data, folder, direction, layout=layout, training_data=training_data, trained=trained
            )
        ],
        demo_folder=data if (data / INFO_NAME).is_file() else None,
        description={
            "kind": "model",
            "path": str(model_path),
            "method": manifest.method,
            "weights_sha256": manifest.weights.sha256,
            "direction": direction,
            "trained_with": manifest.tandem_version,
            "steps": manifest.training.get("steps"),
        },
        data={"path": str(data)} | subject.data,
    )


def split_subject(
    translator: Translator,
    folder: Split,
    options: EvaluationOptions,
    *,
    direction: Direction,
    positions: Sequence[int] | None = None,
) -> Subject:
    """A model on images that were found already.

    Args:
        translator: The model.
        folder: The pairs, or the images of both domains.
        options: How it is sampled.
        direction: In which it translates.
        positions: The place of each input in its split, which decides its samples; by default in `folder`.

    Raises:
        ConfigError: The model does not translate in this direction.
    """
    hashes = FileHashes()
    model = SampledModel(translator, direction, options.seed, options.fit)
    fingerprint = model.fingerprint
    jobs = split_jobs(folder, [direction])
    cases = [
        ModelCase(job.name, job, position, model, fingerprint, hashes)
        for position, job in zip(range(len(jobs)) if positions is None else positions, jobs, strict=True)
    ]
    channels = translator.abilities.generator(direction).spec.out_channels
    reals = file_cases(folder.outputs(direction), hashes, channels=channels, levels=translator.levels(direction)[1])
    paired = folder.paired
    return Subject(
        cases=cases,
        reals=reals,
        train=[],
        hashes=hashes,
        num_samples=options.num_samples if translator.is_stochastic else 1,
        no_ground_truth="" if paired else "the data is unpaired, so that outputs have no ground truth",
        model=model,
        demo_folder=None,
        description={"kind": "model", "method": translator.manifest.method, "direction": direction},
        data={
            "split": folder.name,
            "layout": folder.layout,
            "paired": paired,
            "num_inputs": len(cases),
            "num_real": len(reals),
        },
    )


def folder_subject(real: Path, generated: Path) -> Subject:
    """Two folders of images; if they have the same names, each image is compared with its namesake as well.

    Args:
        real: The reference.
        generated: What is measured.

    Raises:
        DataError: A folder cannot be used.
    """
    hashes = FileHashes()
    singles, fakes = folder_images(real), folder_images(generated)
    no_ground_truth = ""
    if {one.name for one in singles} != {one.name for one in fakes}:
        no_ground_truth = "the folders hold different names, so that no image has a ground truth"
    cases = file_cases(fakes, hashes, ground_truths=None if no_ground_truth else singles)
    data: dict[str, Any] = {"path": str(real), "num_inputs": len(fakes), "num_real": len(singles)}
    subject = Subject(
        cases=cases,
        reals=file_cases(singles, hashes),
        train=[],
        hashes=hashes,
        num_samples=1,
        no_ground_truth=no_ground_truth,
        model=None,
        demo_folder=None,
        description={"kind": "images", "path": str(generated)},
        data=data,
    )
    data["paired"] = subject.has_ground_truth
    return subject


def folder_images(folder: Path) -> list[SingleImage]:
    """The images of a folder, or of those below it where it holds none itself, in natural order of their names.

    Raises:
        DataError: It does not exist, has no images, or names that cannot be used.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder of images.")
    problems: list[str] = []
    images = list_tree(folder, problems).images
    if problems:
        raise DataError(f"{folder} cannot be used:\n{listed(problems)}")
    if not images:
        raise DataError(f"{folder} holds no images, and neither do folders below it.")
    return [SingleImage(stem, DiskFile(images[stem])) for stem in in_natural_order(images)]


def file_cases(
    images: Sequence[SingleImage],
    hashes: FileHashes,
    *,
    channels: int = 3,
    ground_truths: Sequence[SingleImage] | None = None,
    levels: Levels = BY_TYPE,
) -> list[FileCase]:
    """Cases of images, with the ground truth of each where there is one."""
    truths = [None] * len(images) if ground_truths is None else ground_truths
    return [FileCase(one.name, one, hashes, channels, two, levels) for one, two in zip(images, truths, strict=True)]


def _train_images(
    model_path: Path,
    data: Path,
    folder: Split,
    direction: Direction,
    *,
    layout: LayoutChoice,
    training_data: Path | None,
    trained: Trained,
) -> Sequence[SingleImage]:
    """The outputs that the model was trained on, where they are known and are not those that are measured."""
    for root in [*_data_of_run(model_path), data] if training_data is None else [training_data]:
        is_measured = root.resolve() == data.resolve()
        if is_measured and folder.name == "train":
            break
        try:
            train = choose_split(root, "train", layout=layout if is_measured else "auto", trained=trained)
        except DataError:
            if training_data is not None:
                raise
            continue
        return train.outputs(direction)
    return []


def _data_of_run(model_path: Path) -> list[Path]:
    """The folder that the run of a model was trained on, where it still is; none for two folders, or for a URL."""
    run = run_of(model_path)
    if run is None:
        return []
    try:
        data, data_b = recall_data(RunFolder(run))
    except CheckpointError:
        return []
    return [data] if isinstance(data, Path) and data_b is None else []
