"""``tandem data demo OUT`` and ``tandem data check DATA``; ``data download`` has a module of its own."""

import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from tandem.commands import data_download
from tandem.commands.parser import make_parser, nearest, parse
from tandem.data.check import check_pairs
from tandem.data.discover import find_splits
from tandem.data.synthetic import write_dataset
from tandem.errors import ConfigError
from tandem.report.progress import TaskProgress

log = logging.getLogger(__name__)

USAGE = "usage: tandem data demo OUT | data check DATA | data download NAME [options] (--help says more)"


def main(arguments: Sequence[str]) -> int:
    """Dispatch to `demo`, `check` or `download`."""
    actions = {"demo": _demo, "check": _check, "download": data_download.main}
    if not arguments or arguments[0] in {"-h", "--help"}:
        sys.stdout.write(USAGE + "\n")
        return 0 if arguments else 2
    if arguments[0] not in actions:
        raise ConfigError(f"there is no 'tandem data {arguments[0]}'.{nearest(arguments[0], list(actions))} {USAGE}")
    return actions[arguments[0]](arguments[1:])


def _demo(arguments: Sequence[str]) -> int:
    parser = make_parser("data demo", "Draw the demo dataset: objects as line drawings and as coloured renderings.")
    parser.add_argument("out", help="folder of the dataset")
    parser.add_argument("--size", type=int, default=64, help="side of the images in pixels")
    parser.add_argument("--seed", type=int, default=0, help="everything that is drawn follows from it")
    parser.add_argument("--num-train", type=int, default=2000, help="training pairs")
    parser.add_argument("--num-val", type=int, default=50, help="validation pairs")
    parser.add_argument("--num-test", type=int, default=50, help="test pairs")
    parser.add_argument(
        "--layout",
        type=Literal["side_by_side", "folders"],
        default="side_by_side",
        help="one file a pair (A left, B right), or folders trainA, trainB, …",
    )
    args = parse(parser, arguments)
    with TaskProgress("drawing", None, "pairs") as progress:
        out = write_dataset(
            Path(args.out),
            size=args.size,
            seed=args.seed,
            num_train=args.num_train,
            num_val=args.num_val,
            num_test=args.num_test,
            layout=args.layout,
            on_progress=progress.callback,
        )
    log.info("dataset: %s", out)
    return 0


def _check(arguments: Sequence[str]) -> int:
    parser = make_parser("data check", "Read every image of a dataset and say what is there, or what is wrong.")
    parser.add_argument("data", help="dataset folder")
    parser.add_argument("--input-channels", type=int, default=3, help="channels of the input images")
    parser.add_argument("--output-channels", type=int, default=3, help="channels of the output images")
    args = parse(parser, arguments)
    splits = find_splits(Path(args.data))
    for folder in splits.values():
        log.info("%s", folder.describe())
    with TaskProgress("checking", None, "pairs") as progress:
        report = check_pairs(
            list(splits.values()),
            channels_a=args.input_channels,
            channels_b=args.output_channels,
            on_progress=progress.callback,
        )
    log.info(
        "%d pairs, all readable; widths %d to %d px, heights %d to %d px; mean distance of two B images %.3f (of 2)",
        report.num_pairs,
        report.min_width,
        report.max_width,
        report.min_height,
        report.max_height,
        report.spread_b,
    )
    return 0
