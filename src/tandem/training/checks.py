"""What is checked before the first step: that data and options go together, and that every image can be used."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tandem.config.run import RunConfig
from tandem.data.augment import TrainTransform
from tandem.data.check import check_data
from tandem.data.check_report import CheckReport
from tandem.data.levels import levels_of_run
from tandem.data.listing import count
from tandem.data.order import WINDOW_SHARDS
from tandem.data.shards.items import ShardItems
from tandem.data.shards.open import needs_cache
from tandem.data.splits import Item, Split
from tandem.data.warp import Augmentation
from tandem.errors import ConfigError, DataError

MIN_DOMAIN = 2
STREAMED_SAMPLE = 500
"""Images of each side that are looked at where the data does not fit on the disk."""


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


def make_augmentation(config: RunConfig) -> Augmentation | None:
    """What training does to images beyond crop and flip; None where that is nothing."""
    data = config.data
    if not data.augments:
        return None
    return Augmentation(
        turns=data.augment_turns,
        rotate=data.augment_rotate,
        scale=data.augment_scale,
        elastic=data.augment_elastic,
        colour=data.augment_colour,
        colour_of=data.augment_colour_of,
        nearest=data.augment_nearest,
    )


def require_sense(config: RunConfig, location: Path | str, train: Split) -> None:
    """Refuse options without effect, a cache that is too small, and domains that are too small.

    Raises:
        ConfigError: The options do not go with the data.
        DataError: A domain is one image, or does not fill a batch; a single pair can be learnt by heart.
    """
    data = config.data
    if data.shuffle == "shards" and train.shards is None:
        raise ConfigError(f"--shuffle shards is for shards; {location} is a folder of images: leave it out.")
    if data.cache_gb is not None and not needs_cache(location):
        raise ConfigError(
            f"--cache-gb is for shards from a URL and for compressed ones; {location} is on the disk: leave it out."
        )
    if train.facts is not None:
        _require_cache(config, train)
    if train.paired:
        return
    if data.mask != "none" and not data.crops:
        raise ConfigError(
            f"--mask {data.mask} with two domains needs images of one size, since discriminators see what is valid in "
            f"those of both: choose a --preprocess that crops, not {data.preprocess}."
        )
    batch_size = config.training.batch_size
    least = max(MIN_DOMAIN, batch_size)
    domains = train.sequences()
    few = [f"{count(len(x), 'image')} of {side.upper()}" for side, x in domains.items() if len(x) < least]
    if few:
        why = f"--batch-size {batch_size}" if least == batch_size else f"the {MIN_DOMAIN} that make a domain"
        raise DataError(
            f"{train.root} is too small: its split '{train.name}' has {' and '.join(few)}, fewer than {why}. "
            f"Add images{', or lower --batch-size' if least > MIN_DOMAIN else ''}."
        )


def _require_cache(config: RunConfig, train: Split) -> None:
    """Refuse to stream in an order, or through a cache, that would fetch the same shards again and again."""
    given = f"{config.data.cache_bytes / 1e9:g} GB of --cache-gb"
    if config.data.shuffle == "all":
        raise ConfigError(
            f"{train.describe()} do not fit into the {given}: raise it, or use --shuffle shards, which reads them one "
            "after the other."
        )
    sequences = train.sequences().values()
    largest = [max(shard.size for shard in items.shards) for items in sequences if isinstance(items, ShardItems)]
    needed = 2 * WINDOW_SHARDS * sum(largest)
    if needed > config.data.cache_bytes:
        raise ConfigError(
            f"the {given} are too little to read these shards in turn: at least {needed / 1e9:.3g} GB are needed, "
            f"{2 * WINDOW_SHARDS} shards of each domain. Raise it, or pack with a smaller --shard-size."
        )


def require_one_size(config: RunConfig, transform: TrainTransform, report: CheckReport) -> None:
    """Refuse batches of images that come out in different sizes.

    Raises:
        ConfigError: The images differ, and the batch is larger than one.
    """
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


def check_splits(
    config: RunConfig,
    splits: Mapping[str, Split],
    transform: TrainTransform,
    *,
    cache: Path | None,
    on_check: Callable[[int, int], None] | None,
    on_images: Callable[[int, dict[str, np.ndarray]], None] | None = None,
) -> CheckReport:
    """Check all images; where the data is larger than the disk, the first shard of each split, and the index.

    `on_check` and `on_images` are `check_data`'s.

    Raises:
        DataError: See `check_data`.
    """
    streamed = any(split.facts is not None for split in splits.values())
    report = check_data(
        [split.part(_first_of_shard) for split in splits.values()] if streamed else list(splits.values()),
        channels_a=config.data.input_channels,
        channels_b=config.data.output_channels,
        levels=levels_of_run(config.data),
        direction=config.data.direction,
        transform=transform,
        cache=cache,
        on_progress=on_check,
        on_images=on_images,
    )
    return _with_facts(config, splits, transform, report) if streamed else report


def _first_of_shard(items: Sequence[Item]) -> Sequence[Item]:
    """The items of the first shard, which is all that is fetched for the check of data that is streamed."""
    assert isinstance(items, ShardItems)
    return items[: min(items.counts[0], STREAMED_SAMPLE)]


def _with_facts(
    config: RunConfig, splits: Mapping[str, Split], transform: TrainTransform, report: CheckReport
) -> CheckReport:
    """Complete the report on the first shards by what the index says of all of them."""
    facts = splits["train"].facts
    assert facts is not None
    known = [sizes for split in splits.values() if (f := split.facts) for sizes in (f.sizes_a, f.sizes_b)]
    sizes_a, sizes_b = facts.sizes_a, facts.sizes_b
    if config.data.direction == "BtoA":
        sizes_a, sizes_b = sizes_b, sizes_a
    for sizes in (sizes_a, sizes_b) if transform.load_width is None else ():
        try:
            transform.check_fits(sizes.min_height, sizes.min_width)
        except DataError as error:
            raise DataError(f"{splits['train'].describe()}: of the smallest image {error}") from error
    return replace(
        report,
        num_pairs=sum(len(split) for split in splits.values()),
        min_width=min(sizes.min_width for sizes in known),
        max_width=max(sizes.max_width for sizes in known),
        min_height=min(sizes.min_height for sizes in known),
        max_height=max(sizes.max_height for sizes in known),
        sizes_a=sizes_a,
        sizes_b=sizes_b,
    )
