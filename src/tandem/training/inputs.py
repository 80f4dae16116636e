"""The data of a run: splits, the check before training, datasets, fixed previews."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from tandem import rng
from tandem.config.run import RunConfig
from tandem.data.augment import TrainTransform
from tandem.data.check import CheckReport, Folder, check_data
from tandem.data.datasets import PairedDataset, UnpairedDataset
from tandem.data.discover import PairedFolder, find_splits
from tandem.data.listing import count
from tandem.data.unpaired import find_unpaired
from tandem.errors import ConfigError, DataError

PREVIEW_ORDER = ("val", "test", "train")
MAX_HEALTH_INPUTS = 16
MIN_DOMAIN = 2


@dataclass(frozen=True)
class Inputs:
    """The data of a run.

    Attributes:
        splits: The splits that were found.
        report: What the check before training measured.
        train: Training samples by their position in the run.
        previews: Name of each fixed pair, and the pairs ``a``, ``b`` ``(N, C, H, W)`` in [-1, 1]. Of unpaired data
            `a` and `b` have nothing to do with each other.
        z: Fixed codes ``(M, latent_dim)``.
        fingerprint: Hash of the names, the order and the file sizes of the training images.
    """

    splits: Mapping[str, Folder]
    report: CheckReport
    train: PairedDataset | UnpairedDataset
    previews: tuple[list[str], Tensor, Tensor]
    z: Tensor
    fingerprint: str


def open_inputs(
    config: RunConfig,
    data_dir: Path,
    data_b: Path | None = None,
    *,
    cache: Path,
    on_check: Callable[[int, int], None] | None = None,
) -> Inputs:
    """Find and check the data of a run: pairs, or two domains where the method trains on these.

    Args:
        config: All options.
        data_dir: The dataset, or the folder of domain A.
        data_b: The folder of domain B.
        cache: A folder that remembers the check.
        on_check: Called with (done, all) while images are checked.

    Raises:
        DataError: Anything is wrong with the data; all problems are named.
        ConfigError: The options do not go with the data.
    """
    splits = find_data(data_dir, data_b, paired=config.objective.paired)
    if "train" not in splits:
        raise DataError(f"{data_dir} has no split 'train', only {', '.join(splits)}: there is nothing to train on.")
    _require_enough(splits["train"], config.training.batch_size)
    report = check_data(
        list(splits.values()),
        channels_a=config.data.input_channels,
        channels_b=config.data.output_channels,
        direction=config.data.direction,
        transform=make_transform(config),
        cache=cache,
        on_progress=on_check,
    )
    _require_one_size(config, report)
    train = make_dataset(config, splits["train"])
    preview_split = next(splits[name] for name in PREVIEW_ORDER if name in splits)
    fixed = make_dataset(config, preview_split)
    number = min(len(fixed), max(config.training.num_previews, MAX_HEALTH_INPUTS))
    pairs = [fixed.pair_at(index * len(fixed) // number) for index in range(number)]
    return Inputs(
        splits=splits,
        report=report,
        train=train,
        previews=(
            [pair["name"] for pair in pairs],
            torch.stack([pair["a"] for pair in pairs]),
            torch.stack([pair["b"] for pair in pairs]),
        ),
        z=rng.normal(
            config.training.seed,
            "preview",
            range(config.training.num_preview_samples),
            (config.objective.latent_dim,),
        ),
        fingerprint=_fingerprint(splits["train"]),
    )


def find_data(data_dir: Path, data_b: Path | None = None, *, paired: bool) -> Mapping[str, Folder]:
    """Find the splits of pairs, or of two domains.

    Raises:
        DataError: Anything is wrong with the folders; all problems are named.
        ConfigError: A second folder where the method trains on pairs.
    """
    if not paired:
        return find_unpaired(data_dir, data_b)
    if data_b is not None:
        raise ConfigError(
            f"a second folder, {data_b}, is for methods that train on unpaired data; pairs are one dataset: put "
            "the two folders into it as trainA and trainB, with the same names."
        )
    return find_splits(data_dir)


def make_dataset(config: RunConfig, folder: Folder) -> PairedDataset | UnpairedDataset:
    """The samples of one split, augmented as the options say."""
    data, transform = config.data, make_transform(config)
    if isinstance(folder, PairedFolder):
        return PairedDataset(
            folder,
            transform=transform,
            direction=data.direction,
            channels_a=data.input_channels,
            channels_b=data.output_channels,
            seed=config.training.seed,
        )
    return UnpairedDataset(
        folder,
        transform=transform,
        direction=data.direction,
        channels_a=data.input_channels,
        channels_b=data.output_channels,
        seed=config.training.seed,
    )


def make_transform(config: RunConfig) -> TrainTransform:
    """What training does to images."""
    data = config.data
    return TrainTransform(
        data.crop_size,
        data.flip,
        load_size=data.resize_size,
        load_width=data.scaled_width,
        crop=data.crops,
        multiple=config.objective.size_multiple(data),
    )


def _require_enough(folder: Folder, batch_size: int) -> None:
    """Refuse a domain that is one image, or does not fill a batch; a single pair can be learnt by heart."""
    if isinstance(folder, PairedFolder):
        return
    least = max(MIN_DOMAIN, batch_size)
    few = [f"{count(len(x), 'image')} of {side}" for side, x in (("A", folder.a), ("B", folder.b)) if len(x) < least]
    if few:
        why = f"--batch-size {batch_size}" if least == batch_size else f"the {MIN_DOMAIN} that make a domain"
        raise DataError(
            f"{folder.root} is too small: its split '{folder.split}' has {' and '.join(few)}, fewer than {why}. "
            f"Add images{', or lower --batch-size' if least > MIN_DOMAIN else ''}."
        )


def _require_one_size(config: RunConfig, report: CheckReport) -> None:
    """Refuse batches of images that come out in different sizes."""
    transform = make_transform(config)
    if transform.crop or config.training.batch_size == 1:
        return
    for side, sizes in (("input", report.sizes_a), ("output", report.sizes_b)):
        if not transform.gives_one_size(sizes):
            raise ConfigError(
                f"--preprocess {config.data.preprocess} keeps the sizes of images, but those of the {side} differ: "
                f"widths from {sizes.min_width} to {sizes.max_width} px, heights from {sizes.min_height} to "
                f"{sizes.max_height} px. They cannot share a batch: choose a --preprocess that crops, or "
                "--batch-size 1 if the method allows it."
            )


def _fingerprint(folder: Folder) -> str:
    if isinstance(folder, PairedFolder):
        images = [(pair.name, [pair.path_a, *([pair.path_b] if pair.path_b else [])]) for pair in folder.pairs]
    else:
        domains = (("a", folder.a), ("b", folder.b))
        images = [(f"{side}/{single.name}", [single.path]) for side, domain in domains for single in domain]
    lines = [f"{name}\t{[path.stat().st_size for path in paths]}" for name, paths in images]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
