"""The data of a run: splits, the check before training, datasets, fixed previews."""

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from tandem import rng
from tandem.config.data import DEFAULT_CACHE_GB, LayoutChoice, Mask
from tandem.config.run import RunConfig, to_flat
from tandem.data.check_report import CheckReport
from tandem.data.datasets import PairedDataset, UnpairedDataset
from tandem.data.decoded import DecodedImages
from tandem.data.discover import find_paired_folders, find_splits
from tandem.data.fit import FitRule
from tandem.data.hold_out import hold_out
from tandem.data.levels import levels_of_run
from tandem.data.mask_files import with_masks
from tandem.data.order import GlobalOrder, Order, ShardOrder
from tandem.data.percentiles import find_percentiles, wanted_percentiles, with_numbers
from tandem.data.resident import ResidentDataset
from tandem.data.shards.items import ShardItems
from tandem.data.shards.open import CacheOptions, is_shards, is_url, open_shards, read_shards
from tandem.data.splits import (
    HELD_OUT_WHILE_TRAINING,
    Item,
    PairedSplit,
    Side,
    Split,
    SplitName,
    UnpairedSplit,
)
from tandem.data.stacks import channels_of_parts
from tandem.data.unpaired import find_unpaired, looks_unpaired
from tandem.errors import ConfigError, DataError
from tandem.report.progress import TaskProgress, comparing_progress, unpacking_progress
from tandem.training.checks import check_splits, make_augmentation, make_transform, require_one_size, require_sense
from tandem.version import __version__

log = logging.getLogger(__name__)

DEFAULT_CACHE_BYTES = round(DEFAULT_CACHE_GB * 1e9)
PREVIEW_ORDER: tuple[SplitName, ...] = (*HELD_OUT_WHILE_TRAINING, "train")
MAX_HEALTH_INPUTS = 16


@dataclass(frozen=True)
class Inputs:
    """The data of a run.

    Attributes:
        splits: The splits that were found.
        report: What the check before training measured.
        train: Training samples by their position in the run; if they stay decoded, the check has begun with it.
        previews_split: The split of the fixed inputs: val, else test, else train.
        previews: Name of each fixed pair, and the pairs ``a``, ``b`` ``(N, C, H, W)`` in [-1, 1]. Of unpaired data
            `a` and `b` have nothing to do with each other.
        z: Fixed codes ``(M, latent_dim)``.
        fingerprint: Hash of the names, the order and the file sizes of the training images.
        input_parts: Channels of each image that is stacked into an input, by its name; empty where that is one image.
    """

    splits: Mapping[str, Split]
    report: CheckReport
    train: PairedDataset | UnpairedDataset | ResidentDataset
    previews_split: SplitName
    previews: tuple[list[str], Tensor, Tensor]
    z: Tensor
    fingerprint: str
    input_parts: Mapping[str, int] = field(default_factory=dict)


def with_ranges(config: RunConfig, data: Path | str, data_b: Path | None = None, *, cache: Path) -> RunConfig:
    """The options with numbers in the place of value ranges that are percentiles of the training images.

    Args:
        config: All options.
        data: See `open_inputs`.
        data_b: Likewise.
        cache: A folder that remembers the numbers.

    Raises:
        DataError: An image cannot be read, or something is wrong with the data.
        ConfigError: The percentiles are none, or a channel has one value nearly everywhere.
    """
    wanted = wanted_percentiles(config.data)
    if not wanted:
        return config
    splits = _training_data(config, data, data_b, cache)
    with TaskProgress("finding the value range", None, "images") as progress:
        found = find_percentiles(splits["train"], wanted, cache=cache, on_progress=progress.callback)
    settled = with_numbers(config.data, found)
    for one in wanted.values():
        log.info("%s: %s", one.flag, getattr(settled, one.flag.removeprefix("--").replace("-", "_")))
    return replace(config, data=settled)


def open_inputs(
    config: RunConfig,
    data: Path | str,
    data_b: Path | None = None,
    *,
    cache: Path,
    decoded_bytes: int = 0,
    on_check: Callable[[int, int], None] | None = None,
) -> Inputs:
    """Find and check the data of a run: pairs, or two domains where the method trains on these.

    Args:
        config: All options.
        data: The dataset, or the folder of domain A; or the folder or URL of shards.
        data_b: The folder of domain B.
        cache: A folder that remembers the check, and holds shards that are fetched or unpacked.
        decoded_bytes: Memory in which the training images stay decoded, if all of them fit.
        on_check: Called with (done, all) while images are checked.

    Raises:
        DataError: Anything is wrong with the data; all problems are named.
        ConfigError: The options do not go with the data.
    """
    splits = _training_data(config, data, data_b, cache)
    require_sense(config, data, splits["train"])
    transform = make_transform(config)
    train = make_dataset(config, splits["train"])
    if decoded_bytes and splits["train"].facts is None:
        train.decoded = DecodedImages(train.num_slots, decoded_bytes)
    report = check_splits(config, splits, transform, cache=cache, on_check=on_check, on_images=train.keep)
    require_one_size(config, transform, report)
    shown: SplitName = next(name for name in PREVIEW_ORDER if splits.get(name) is not None)
    fixed = make_dataset(config, splits[shown])
    number = min(len(fixed), max(config.training.num_previews, MAX_HEALTH_INPUTS))
    samples = [fixed.preview_at(index, number, rule=FitRule.of(config.data)) for index in range(number)]
    return Inputs(
        splits=splits,
        report=report,
        train=train,
        previews_split=shown,
        previews=(
            [sample["name"] for sample in samples],
            torch.stack([sample["a"] for sample in samples]),
            torch.stack([sample["b"] for sample in samples]),
        ),
        z=rng.normal(
            config.training.seed,
            "preview",
            range(config.training.num_preview_samples),
            (config.objective.latent_dim,),
        ),
        fingerprint=splits["train"].fingerprint(),
        input_parts=_parts_of(splits["train"], config),
    )


def _parts_of(train: Split, config: RunConfig) -> Mapping[str, int]:
    """The channels of the images that are stacked into an input, of the first one."""
    side: Side = "a" if config.data.direction == "AtoB" else "b"
    return channels_of_parts(train.inputs(config.data.direction)[0].image(side).file)


def _training_data(config: RunConfig, data: Path | str, data_b: Path | None, cache: Path) -> Mapping[str, Split]:
    """The splits that the options ask for, with one to train on."""
    splits = find_run_data(config, data, data_b, cache=cache)
    if "train" not in splits:
        raise DataError(f"{data} has no split 'train', only {', '.join(splits)}: there is nothing to train on.")
    return splits


def find_run_data(
    config: RunConfig,
    data: Path | str,
    data_b: Path | None = None,
    *,
    cache: Path | None = None,
    paired: bool | None = None,
) -> Mapping[str, Split]:
    """`find_data` as the options of a run ask for it; `paired` is by default what its method wants."""
    options = config.data
    return find_data(
        data,
        data_b,
        paired=config.objective.paired if paired is None else paired,
        cache=cache,
        cache_bytes=options.cache_bytes,
        layout=options.layout,
        mask=options.mask,
        val_split=options.val_split,
    )


def find_data(
    data: Path | str,
    data_b: Path | None = None,
    *,
    paired: bool,
    cache: Path | None = None,
    cache_bytes: int = DEFAULT_CACHE_BYTES,
    layout: LayoutChoice = "auto",
    mask: Mask = "none",
    val_split: float | None = None,
) -> Mapping[str, Split]:
    """Find the splits of pairs or of two domains, in folders or in shards.

    Args:
        data: A folder, or the URL of shards.
        data_b: The folder of domain B; of pairs the folder of B.
        paired: Whether pairs are wanted.
        cache: A folder for shards from a URL, and for compressed ones when they are unpacked.
        cache_bytes: Most that is kept there.
        layout: How A and B lie in folders; see `tandem.data.discover`.
        mask: Whether masks are looked for; see `tandem.data.mask_files`.
        val_split: How much of the split train is held out as val; see `tandem.data.hold_out`.

    Raises:
        DataError: Anything is wrong with the folders or shards; all problems are named.
        ConfigError: A second folder beside shards, or a split val beside `val_split`.
    """
    found = with_masks(_found(data, data_b, paired=paired, cache=cache, cache_bytes=cache_bytes, layout=layout), mask)
    if val_split is None or "train" not in found:
        return found
    return hold_out(found, val_split, cache=cache, progress=comparing_progress)


def _found(
    data: Path | str,
    data_b: Path | None,
    *,
    paired: bool,
    cache: Path | None,
    cache_bytes: int,
    layout: LayoutChoice,
) -> Mapping[str, Split]:
    """The splits as they lie."""
    if data_b is not None and (is_shards(data) or is_shards(data_b)):
        raise ConfigError(
            f"a second folder, {data_b}, does not go with shards, which hold both sides: give two folders of images."
        )
    if is_shards(data):
        options = None if cache is None else CacheOptions(cache / "shards", cache_bytes)
        with unpacking_progress() as unpacking:
            shards = read_shards(data, options, None if is_url(data) else unpacking)
        return open_shards(shards, paired=paired)
    if not paired:
        return find_unpaired(Path(data), data_b, layout=layout)
    try:
        if data_b is not None:
            return find_paired_folders(Path(data), data_b)
        return find_splits(Path(data), layout=layout)
    except DataError as error:
        if data_b is None and not looks_unpaired(Path(data)):
            raise
        raise DataError(
            f"{error}\nIf these are two domains whose images do not belong together, choose a method for unpaired "
            "data: --method cyclegan, cut or fastcut."
        ) from error


def fetch_data(config: RunConfig, data: Path | str, *, cache: Path) -> None:
    """Fetch shards from a URL, with a progress bar, where all of them fit into the cache; else do nothing.

    Raises:
        DataError: They cannot be fetched.
    """
    if is_url(data):
        with TaskProgress("fetching", None, "bytes") as progress:
            options = CacheOptions(cache / "shards", config.data.cache_bytes)
            read_shards(data, options, progress.callback)


def make_dataset(config: RunConfig, split: Split) -> PairedDataset | UnpairedDataset:
    """The samples of one split, augmented as the options say."""
    data, transform, seed = config.data, make_transform(config), config.training.seed
    match split:
        case PairedSplit():
            return PairedDataset(
                split,
                transform=transform,
                direction=data.direction,
                channels_a=data.input_channels,
                channels_b=data.output_channels,
                levels=levels_of_run(data),
                augmentation=make_augmentation(config),
                seed=seed,
                order=_order(config, split.pairs),
            )
        case UnpairedSplit():
            inputs, outputs = split.inputs(data.direction), split.outputs(data.direction)
            return UnpairedDataset(
                split,
                transform=transform,
                direction=data.direction,
                channels_a=data.input_channels,
                channels_b=data.output_channels,
                levels=levels_of_run(data),
                augmentation=make_augmentation(config),
                seed=seed,
                orders=(_order(config, inputs, "/a"), _order(config, outputs, "/b")),
            )
    raise TypeError(f"{type(split).__name__} is no kind of split that there are samples of")


def _order(config: RunConfig, items: Sequence[Item], stream: str = "") -> Order:
    if config.data.shuffle == "shards" and isinstance(items, ShardItems):
        return ShardOrder(config.training.seed, items.counts, stream=stream)
    return GlobalOrder(config.training.seed, len(items))


def digest_of(config: RunConfig, inputs: Inputs) -> str:
    """Hash what processes that train together must agree on: the version, the options and the training data."""
    told = [__version__, to_flat(config), inputs.fingerprint, len(inputs.train)]
    return hashlib.sha256(json.dumps(told, default=str).encode()).hexdigest()[:16]
