"""What there is to measure: a model on a split of a dataset, or two folders of images."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tandem.config.data import Direction
from tandem.data.discover import Pair, PairedFolder
from tandem.data.images import read_size
from tandem.data.listing import in_natural_order, list_images
from tandem.data.synthetic import DemoInfo, load_dataset_info
from tandem.data.synthetic.info import INFO_NAME
from tandem.data.unpaired import Single, UnpairedFolder
from tandem.errors import DataError, listed
from tandem.evaluation.cache import hash_of
from tandem.evaluation.options import EvaluationOptions
from tandem.evaluation.seen import SeenCase
from tandem.evaluation.sources import (
    FileCase,
    FileHashes,
    ModelCase,
    SampledModel,
    files_of,
)
from tandem.inference.jobs import choose_split, split_jobs
from tandem.inference.translator import Translator


@dataclass(frozen=True, kw_only=True)
class Situation:
    """What is measured, and what can be.

    Attributes:
        cases: The generated images.
        reals: The real ones.
        train: Images that the model may have seen.
        hashes: Of all files.
        num_samples: Samples of each case.
        size: Height and width of the first generated image.
        no_truth: Why samples cannot be compared with a truth; empty if they can.
        model: The model; None for folders.
        demo: What is known of the demo data, and the split.
        subject: What is measured, for the report.
        data: Against what, for the report.
        are_resized: Whether outputs were brought to another size than that of the network's output.
    """

    cases: Sequence[ModelCase] | Sequence[FileCase]
    reals: Sequence[FileCase]
    train: Sequence[FileCase]
    hashes: FileHashes
    num_samples: int
    size: tuple[int, int]
    no_truth: str
    model: SampledModel | None
    demo: tuple[DemoInfo, str] | None
    subject: dict[str, Any]
    data: dict[str, Any]
    are_resized: bool = False

    def hashes_of_content(self) -> dict[str, str]:
        """Of the content of all real images, and of all inputs or generated images; reads every file."""
        inputs = [
            self.hashes(file)
            for case in self.cases
            for file in (files_of(case.job.source) if isinstance(case, ModelCase) else [case.image.path])
        ]
        return {
            "real_sha256": hash_of(*(case.key(1) for case in self.reals)),
            "inputs_sha256": hash_of(*inputs),
        }


def model_situation(
    translator: Translator,
    model_path: Path,
    data: Path,
    options: EvaluationOptions,
    *,
    split: str | None = None,
    direction: Direction | None = None,
) -> Situation:
    """A model on a split of a dataset.

    Args:
        translator: The model.
        model_path: Where it was loaded from.
        data: The dataset.
        options: How it is sampled.
        split: By default test, else val, else train.
        direction: For models that go both ways; by default the first.

    Raises:
        DataError: There is no such dataset or split.
        ConfigError: The model does not translate in this direction.
    """
    way = direction or translator.directions[0]
    channels = translator.abilities.generator(direction).spec.out_channels
    folder = choose_split(data, split)
    situation = split_situation(translator, folder, options, direction=way)
    manifest = translator.manifest
    assert manifest.weights is not None
    return dataclasses.replace(
        situation,
        train=_train_images(data, folder, way, channels, situation.hashes),
        demo=_demo_info(data, folder.split),
        subject={
            "kind": "model",
            "path": str(model_path),
            "method": manifest.method,
            "weights_sha256": manifest.weights.sha256,
            "direction": way,
            "trained_with": manifest.tandem_version,
            "steps": manifest.training.get("steps"),
        },
        data={"path": str(data)} | situation.data,
    )


def split_situation(
    translator: Translator,
    folder: PairedFolder | UnpairedFolder,
    options: EvaluationOptions,
    *,
    direction: Direction,
    positions: Sequence[int] | None = None,
) -> Situation:
    """A model on images that were found already.

    Args:
        translator: The model.
        folder: The pairs, or the images of both domains.
        options: How it is sampled.
        direction: The way.
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
    reals = file_cases(_outputs(folder, direction), hashes, channels=channels)
    first = cases[0].load().input
    paired = isinstance(folder, PairedFolder)
    return Situation(
        cases=cases,
        reals=reals,
        train=[],
        hashes=hashes,
        num_samples=options.num_samples if translator.is_stochastic else 1,
        size=(first.shape[0], first.shape[1]),
        no_truth="" if paired else "the data is unpaired, so that outputs have no truth",
        model=model,
        demo=None,
        subject={"kind": "model", "method": translator.manifest.method, "direction": direction},
        data={
            "split": folder.split,
            "layout": folder.layout,
            "paired": paired,
            "num_inputs": len(cases),
            "num_real": len(reals),
        },
        are_resized=options.fit == "resize",
    )


def folder_situation(real: Path, generated: Path) -> Situation:
    """Two folders of images; if they have the same names, each image is compared with its namesake as well.

    Args:
        real: The reference.
        generated: What is measured.

    Raises:
        DataError: A folder cannot be used.
    """
    hashes = FileHashes()
    singles, fakes = folder_images(real), folder_images(generated)
    names = {one.name for one in singles}
    no_truth = ""
    if names != {one.name for one in fakes}:
        no_truth = "the folders hold different names, so that it is not known which image is the truth of which"
    elif any(_size(a) != _size(b) for a, b in zip(singles, fakes, strict=True)):
        no_truth = "images of the same name have different sizes"
    height_width = _size(fakes[0])[::-1]
    return Situation(
        cases=file_cases(fakes, hashes, truths=None if no_truth else singles),
        reals=file_cases(singles, hashes),
        train=[],
        hashes=hashes,
        num_samples=1,
        size=(height_width[0], height_width[1]),
        no_truth=no_truth,
        model=None,
        demo=None,
        subject={"kind": "images", "path": str(generated)},
        data={"path": str(real), "num_inputs": len(fakes), "num_real": len(singles), "paired": not no_truth},
    )


def output_of(pair: Pair, direction: Direction) -> Single:
    """The output of a pair as an image by itself."""
    if pair.path_b is None:
        return Single(pair.name, pair.path_a, "right" if direction == "AtoB" else "left")
    return Single(pair.name, pair.path_b if direction == "AtoB" else pair.path_a)


def folder_images(folder: Path) -> list[Single]:
    """The images of a folder, in natural order of their names.

    Raises:
        DataError: It does not exist, has no images, or names that cannot be used.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder of images.")
    problems: list[str] = []
    images = list_images(folder, problems).images
    if problems:
        raise DataError(f"{folder} cannot be used:\n{listed(problems)}")
    if not images:
        raise DataError(f"{folder} holds no images; they must lie in the folder itself, not in folders below it.")
    return [Single(stem, images[stem]) for stem in in_natural_order(images)]


def file_cases(
    images: Sequence[Single], hashes: FileHashes, *, channels: int = 3, truths: Sequence[Single] | None = None
) -> list[FileCase]:
    """Cases of images, with the truth of each where there are truths."""
    if truths is None:
        return [FileCase(one.name, one, hashes, channels) for one in images]
    return [FileCase(one.name, one, hashes, channels, truth) for one, truth in zip(images, truths, strict=True)]


def _size(image: Single) -> tuple[int, int]:
    assert isinstance(image.path, Path)
    return read_size(image.path)


def _outputs(folder: PairedFolder | UnpairedFolder, way: Direction) -> list[Single]:
    """The images that the model's outputs should look like."""
    if isinstance(folder, PairedFolder):
        return [output_of(pair, way) for pair in folder.pairs]
    return list(folder.b if way == "AtoB" else folder.a)


def _train_images(
    data: Path, folder: PairedFolder | UnpairedFolder, way: Direction, channels: int, hashes: FileHashes
) -> list[FileCase]:
    if folder.split == "train":
        return []
    try:
        train = choose_split(data, "train")
    except DataError:
        return []
    return [SeenCase(one.name, one, hashes, channels) for one in _outputs(train, way)]


def _demo_info(data: Path, split: str) -> tuple[DemoInfo, str] | None:
    return (load_dataset_info(data), split) if (data / INFO_NAME).is_file() else None
