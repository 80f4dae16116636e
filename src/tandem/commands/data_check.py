"""``tandem data check DATA [DATA_B]``: read every image of a dataset, of pairs or of two domains."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from tandem.commands.parser import make_parser, parse
from tandem.data.check import Folder, check_data
from tandem.data.discover import find_splits
from tandem.data.unpaired import UnpairedFolder, find_unpaired, looks_unpaired
from tandem.report.progress import TaskProgress

log = logging.getLogger(__name__)


def main(arguments: Sequence[str]) -> int:
    """Check a dataset and say what is there."""
    parser = make_parser("data check", "Read every image of a dataset and say what is there, or what is wrong.")
    parser.add_argument("data", help="dataset folder, or the folder of domain A")
    parser.add_argument("data_b", nargs="?", help="folder of domain B, for unpaired data in any two folders")
    parser.add_argument("--unpaired", action="store_true", help="take A and B as two domains even where names match")
    parser.add_argument("--input-channels", type=int, default=3, help="channels of the input images")
    parser.add_argument("--output-channels", type=int, default=3, help="channels of the output images")
    args = parse(parser, arguments)
    splits = _find(Path(args.data), None if args.data_b is None else Path(args.data_b), unpaired=args.unpaired)
    for folder in splits.values():
        log.info("%s", folder.describe())
    with TaskProgress("checking", None, "images") as progress:
        report = check_data(
            list(splits.values()),
            channels_a=args.input_channels,
            channels_b=args.output_channels,
            on_progress=progress.callback,
        )
    log.info(
        "%s, all readable; widths %d to %d px, heights %d to %d px; mean distance of two B images %.3f (of 2)",
        _total(splits, report.num_pairs),
        report.min_width,
        report.max_width,
        report.min_height,
        report.max_height,
        report.spread_b,
    )
    return 0


def _find(data: Path, data_b: Path | None, *, unpaired: bool) -> Mapping[str, Folder]:
    if unpaired or data_b is not None:
        return find_unpaired(data, data_b)
    if looks_unpaired(data):
        log.info("unpaired data: the names in the folders of A and B differ")
        return find_unpaired(data)
    return find_splits(data)


def _total(splits: Mapping[str, Folder], num_pairs: int) -> str:
    domains = [folder for folder in splits.values() if isinstance(folder, UnpairedFolder)]
    return f"{sum(len(f.a) + len(f.b) for f in domains)} images" if domains else f"{num_pairs} pairs"
