"""``tandem data pack DATA OUT``: write a dataset as shards."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from tandem.commands.data_check import CheckOptions, find, look
from tandem.commands.parser import Command
from tandem.config.data import DataConfig, LayoutChoice
from tandem.config.options import REQUIRED, Options, option, same
from tandem.data.levels import BY_TYPE, Levels
from tandem.data.mask_files import with_masks
from tandem.data.shards.open import is_shards
from tandem.data.shards.pack import pack
from tandem.data.splits import Item, Side, Split, SplitFacts
from tandem.errors import ConfigError, DataError, Problem
from tandem.report.progress import TaskProgress
from tandem.targets import folder_problems

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class PackOptions(Options):
    """What is packed, and where to."""

    data: Path = option(REQUIRED, "dataset folder", positional=True)
    out: Path = option(REQUIRED, "folder of the shards", positional=True)
    shard_size: int = option(256, "size of a shard in MB (10**6 bytes)", at_least=1)
    split: tuple[str, ...] | None = option(None, "only these splits, e.g. train test; by default all that are there")
    unpaired: bool = same(CheckOptions, "unpaired")
    layout: LayoutChoice = same(CheckOptions, "layout")
    mask: Literal["none", "files"] = option("none", "files packs the masks of the images beside them")

    def problems(self) -> Iterator[Problem]:
        """Say why there can be no such folder."""
        instead = f"give a folder, e.g. {self.out.with_suffix('')}; the shards (.tar) are written into it"
        yield from folder_problems(self.out, "the packed dataset", option="OUT", instead=instead)


COMMAND = Command(
    "data pack", "Write a dataset into tar shards, which train from the disk or from a URL.", {"": PackOptions}
)


def main(arguments: Sequence[str]) -> int:
    """Check a dataset and pack it."""
    (options,) = COMMAND.parse(arguments)
    data, out = options.data, options.out
    if is_shards(data):
        raise DataError(f"{data} holds shards already.", file=data)
    if out.resolve().is_relative_to(data.resolve()):
        raise ConfigError(f"{out} lies in the dataset {data}: choose a folder outside.", option="OUT")
    found = find(data, None, unpaired=options.unpaired, layout=options.layout)
    splits = _chosen(with_masks(found, options.mask), options.split)
    facts = {name: _facts(split, masked=options.mask == "files") for name, split in splits.items()}
    with TaskProgress("packing", None, "samples") as progress:
        index = pack(splits, facts, out, shard_bytes=options.shard_size * 10**6, on_progress=progress.callback)
    size = sum(shard.size for shard in index.shards)
    log.info("%s: %d shards, %.1f MB", out, len(index.shards), size / 1e6)
    return 0


def _chosen(splits: Mapping[str, Split], names: Sequence[str] | None) -> Mapping[str, Split]:
    missing = [name for name in names or () if name not in splits]
    if missing:
        raise ConfigError(f"--split {' '.join(missing)}: the dataset has only {', '.join(splits)}.")
    return {name: split for name, split in splits.items() if names is None or name in names}


def _facts(split: Split, *, masked: bool) -> SplitFacts:
    """Read every image of a split, and its masks."""
    items = split.sequences()
    (channels_a, levels_a), (channels_b, levels_b) = (
        _as_they_are(items.get("ab") or items[side], side) for side in get_args(Side)
    )
    fill = DataConfig.mask_fill if masked else None
    levels = replace(levels_a, fill=fill), replace(levels_b, fill=fill)
    report = look([split], channels=(channels_a, channels_b), levels=levels)
    return SplitFacts(split.fingerprint(), report.sizes_a, report.sizes_b)


def _as_they_are(items: Sequence[Item], side: Side) -> tuple[int, Levels]:
    """With which channels and levels all images of a side can be read, by the first: pictures as RGB, others whole."""
    try:
        (stored,) = items[0].image(side).stored()
    except DataError:  # said of all at once
        return 3, BY_TYPE
    if stored.num_colours and stored.white is not None and stored.bits <= 16:
        return 3, BY_TYPE
    return stored.values.shape[2], Levels("float64", (0.0,), (1.0,))
