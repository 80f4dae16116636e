"""The data of a run: splits, the check before training, datasets, fixed previews."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from tandem import rng
from tandem.config.run import RunConfig
from tandem.data.augment import PairTransform
from tandem.data.check import CheckReport, check_pairs
from tandem.data.datasets import PairedDataset
from tandem.data.discover import PairedFolder, find_splits
from tandem.errors import DataError

PREVIEW_ORDER = ("val", "test", "train")
MAX_HEALTH_INPUTS = 16


@dataclass(frozen=True)
class Inputs:
    """The data of a run.

    Attributes:
        splits: The splits that were found.
        report: What the check before training measured.
        train: Training samples by their position in the run.
        previews: Name of each fixed pair, and the pairs ``a``, ``b`` ``(N, C, H, W)`` in [-1, 1].
        z: Fixed codes ``(M, latent_dim)``.
        fingerprint: Hash of the names, the order and the file sizes of the training pairs.
    """

    splits: Mapping[str, PairedFolder]
    report: CheckReport
    train: PairedDataset
    previews: tuple[list[str], Tensor, Tensor]
    z: Tensor
    fingerprint: str


def open_inputs(
    config: RunConfig, data_dir: Path, *, cache: Path, on_check: Callable[[int, int], None] | None = None
) -> Inputs:
    """Find and check the data of a run.

    Raises:
        DataError: Anything is wrong with the data; all problems are named.
    """
    splits = find_splits(data_dir)
    if "train" not in splits:
        raise DataError(f"{data_dir} has no split 'train', only {', '.join(splits)}: there is nothing to train on.")
    report = check_pairs(
        list(splits.values()),
        channels_a=config.data.input_channels,
        channels_b=config.data.output_channels,
        direction=config.data.direction,
        cache=cache,
        on_progress=on_check,
    )
    train = make_dataset(config, splits["train"])
    preview_split = next(splits[name] for name in PREVIEW_ORDER if name in splits)
    fixed = make_dataset(config, preview_split)
    count = min(len(fixed), max(config.training.num_previews, MAX_HEALTH_INPUTS))
    pairs = [fixed.pair_at(index * len(fixed) // count) for index in range(count)]
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


def _fingerprint(folder: PairedFolder) -> str:
    sizes = [[path.stat().st_size for path in (pair.path_a, pair.path_b) if path is not None] for pair in folder.pairs]
    lines = [f"{pair.name}\t{size}" for pair, size in zip(folder.pairs, sizes, strict=True)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def make_dataset(config: RunConfig, folder: PairedFolder) -> PairedDataset:
    """The samples of one split, augmented as the options say."""
    data = config.data
    return PairedDataset(
        folder,
        transform=PairTransform(load_size=data.resize_size, crop_size=data.crop_size, flip=data.flip),
        direction=data.direction,
        channels_a=data.input_channels,
        channels_b=data.output_channels,
        seed=config.training.seed,
    )
