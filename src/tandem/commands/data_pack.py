"""``tandem data pack DATA OUT``: write a dataset as shards."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from tandem.commands.data_check import find, look
from tandem.commands.parser import make_parser, parse
from tandem.data.check_images import Folder
from tandem.data.shards.index import SplitFacts
from tandem.data.shards.open import is_shards
from tandem.data.shards.pack import pack
from tandem.errors import ConfigError, DataError
from tandem.report.progress import TaskProgress

log = logging.getLogger(__name__)


def main(arguments: Sequence[str]) -> int:
    """Check a dataset and pack it."""
    parser = make_parser("data pack", "Write a dataset into tar shards, which train from the disk or from a URL.")
    parser.add_argument("data", help="dataset folder")
    parser.add_argument("out", help="folder of the shards")
    parser.add_argument("--shard-size", type=int, default=256, help="size of a shard in MB (10**6 bytes)")
    parser.add_argument("--split", nargs="+", help="only these splits, e.g. train test; by default all that are there")
    parser.add_argument("--unpaired", action="store_true", help="take A and B as two domains even where names match")
    args = parse(parser, arguments)
    data, out = Path(args.data), Path(args.out)
    if args.shard_size < 1:
        raise ConfigError(f"--shard-size must be at least 1 (MB), not {args.shard_size}.")
    if is_shards(data):
        raise DataError(f"{data} holds shards already.")
    if out.resolve().is_relative_to(data.resolve()):
        raise ConfigError(f"{out} lies in the dataset {data}: choose a folder outside.")
    splits = _chosen(find(data, None, unpaired=args.unpaired), args.split)
    facts = {split: _facts(folder) for split, folder in splits.items()}
    with TaskProgress("packing", None, "samples") as progress:
        index = pack(splits, facts, out, shard_bytes=args.shard_size * 10**6, on_progress=progress.callback)
    size = sum(shard.size for shard in index.shards)
    log.info("%s: %d shards, %.1f MB", out, len(index.shards), size / 1e6)
    return 0


def _chosen(splits: Mapping[str, Folder], names: Sequence[str] | None) -> Mapping[str, Folder]:
    missing = [name for name in names or () if name not in splits]
    if missing:
        raise ConfigError(f"--split {' '.join(missing)}: the dataset has only {', '.join(splits)}.")
    return {split: folder for split, folder in splits.items() if names is None or split in names}


def _facts(folder: Folder) -> SplitFacts:
    """Read every image of a split."""
    from tandem.training.inputs import fingerprint_of  # noqa: PLC0415  (imports torch)

    report = look([folder], channels=(3, 3))
    return SplitFacts(fingerprint_of(folder), report.sizes_a, report.sizes_b)
