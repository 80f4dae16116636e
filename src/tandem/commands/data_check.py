"""``tandem data check DATA [DATA_B]``: read every image of a dataset, of pairs or of two domains."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tandem.commands.parser import Command
from tandem.config.data import DataConfig, LayoutChoice, Mask
from tandem.config.options import REQUIRED, Options, option, refuse, same
from tandem.data.check import check_data
from tandem.data.check_remarks import in_subfolders, remarks_of
from tandem.data.check_report import CheckReport
from tandem.data.discover import find_splits
from tandem.data.levels import BY_TYPE, Levels, levels_of_run
from tandem.data.manifest import pairs_of, read_manifest
from tandem.data.mask_files import with_masks
from tandem.data.percentiles import find_percentiles, wanted_percentiles, with_numbers
from tandem.data.shards.open import CacheOptions, as_location, is_shards, is_url, open_shards, read_shards
from tandem.data.splits import Split, UnpairedSplit
from tandem.data.unpaired import find_inputs, find_unpaired, looks_unpaired
from tandem.errors import DataError
from tandem.files import scratch_folder
from tandem.report.progress import TaskProgress, unpacking_progress

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class CheckOptions(Options):
    """What is checked."""

    data: str = option(
        REQUIRED, "dataset folder, or the folder of domain A; or shards, a folder or URL", positional=True
    )
    data_b: Path | None = option(None, "folder of domain B, for unpaired data in any two folders", positional=True)
    unpaired: bool = option(False, "take A and B as two domains even where names match", one_way=True)
    layout: LayoutChoice = same(DataConfig, "layout")
    input_channels: int = same(DataConfig, "input_channels")
    output_channels: int = same(DataConfig, "output_channels")
    range_a: str | None = same(DataConfig, "range_a")
    range_b: str | None = same(DataConfig, "range_b")
    classes_a: int | str | None = same(DataConfig, "classes_a")
    classes_b: int | str | None = same(DataConfig, "classes_b")
    mask: Mask = same(DataConfig, "mask")
    nodata: float | None = same(DataConfig, "nodata")

    def problems(self) -> Iterator[str]:
        """Say what has no effect."""
        if self.nodata is not None and self.mask == "none":
            yield "--nodata has no effect without --mask nodata or files"


COMMAND = Command(
    "data check",
    "Read every image of a dataset and say what is there, or what would stop a training, which does the same before "
    "its first step. 'tandem doctor' takes longer, and finds what would spoil one: shifted pairs, duplicates, …",
    {"": CheckOptions},
)


def main(arguments: Sequence[str]) -> int:
    """Check a dataset and say what is there."""
    (options,) = COMMAND.parse(arguments)
    data = as_location(options.data)
    ranges_of = DataConfig(
        input_channels=options.input_channels,
        output_channels=options.output_channels,
        range_a=options.range_a,
        range_b=options.range_b,
        classes_a=options.classes_a,
        classes_b=options.classes_b,
        mask=options.mask,
        nodata=options.nodata,
    )
    refuse(ranges_of.problems())
    channels = (ranges_of.input_channels, ranges_of.output_channels)
    wanted = wanted_percentiles(ranges_of)
    with scratch_folder() as cache:
        splits, alone = _found(data, options, cache)
        splits = with_masks(splits, options.mask)
        for split in (*splits.values(), *alone.values()):
            log.info("%s", split.describe())
        if wanted:
            with TaskProgress("finding the value range", None, "images") as progress:
                measured = splits.get("train") or next(iter(splits.values()))
                found = find_percentiles(measured, wanted, on_progress=progress.callback)
            ranges_of = with_numbers(ranges_of, found)
            log.info("the value range: %s", "; ".join(f"{side.upper()} {ends}" for side, ends in found.items()))
        levels = levels_of_run(ranges_of)
        report = look(list(splits.values()), channels=channels, levels=levels)
    log.info(
        "%s, all readable; widths %d to %d px, heights %d to %d px; mean distance of two B images %.3f (of 2)",
        _total(splits, report.num_pairs),
        report.min_width,
        report.max_width,
        report.min_height,
        report.max_height,
        report.spread_b,
    )
    ranges = [side for side, one in zip("AB", levels, strict=True) if not one.is_by_type]
    for remark in (*remarks_of(report, ranges=ranges), *in_subfolders(splits.values())):
        log.warning("%s", remark)
    return 0


def look(
    splits: Sequence[Split], *, channels: tuple[int, int], levels: tuple[Levels, Levels] = (BY_TYPE, BY_TYPE)
) -> CheckReport:
    """Read every image, with a progress bar."""
    with TaskProgress("checking", None, "images") as progress:
        return check_data(
            splits, channels_a=channels[0], channels_b=channels[1], levels=levels, on_progress=progress.callback
        )


def find(data: Path, data_b: Path | None, *, unpaired: bool, layout: LayoutChoice) -> Mapping[str, Split]:
    """Find the splits of folders of images, and say where they look unpaired."""
    if unpaired or data_b is not None:
        return find_unpaired(data, data_b, layout=layout)
    if looks_unpaired(data):
        log.info("unpaired data: the names in the folders of A and B differ")
        return find_unpaired(data, layout=layout)
    return find_splits(data, layout=layout)


def _found(
    data: Path | str, options: CheckOptions, cache: Path
) -> tuple[Mapping[str, Split], Mapping[str, UnpairedSplit]]:
    """The splits, and that of inputs alone; a table is read once for both."""
    data_b, unpaired = options.data_b, options.unpaired
    if is_shards(data) and data_b is None:
        return _find_shards(data, cache, unpaired=unpaired), {}
    root = Path(data)
    if not unpaired and data_b is None and options.layout == "auto" and not looks_unpaired(root):
        table = read_manifest(root)
        if table is not None:
            return pairs_of(table, root), table.inputs
    found = find(root, data_b, unpaired=unpaired, layout=options.layout)
    return found, {} if data_b is not None else find_inputs(root)


def _find_shards(data: Path | str, cache: Path, *, unpaired: bool) -> Mapping[str, Split]:
    options = CacheOptions(cache, DataConfig().cache_bytes)
    if is_url(data):
        with TaskProgress("fetching", None, "bytes") as progress:
            shards = read_shards(data, options, progress.callback)
    else:
        with unpacking_progress() as unpacking:
            shards = read_shards(data, options, unpacking)
    if shards.streamed:
        raise DataError(
            f"{data} holds more than the {options.max_bytes / 1e9:g} GB that are fetched for a check: it was checked "
            "when it was packed, and every shard is held against its hash when it is fetched."
        )
    return open_shards(shards, paired=not unpaired and all(shard.domain == "ab" for shard in shards.shards))


def _total(splits: Mapping[str, Split], num_pairs: int) -> str:
    if all(split.paired for split in splits.values()):
        return f"{num_pairs} pairs"
    return f"{sum(len(items) for split in splits.values() for items in split.sequences().values())} images"
