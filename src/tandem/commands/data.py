"""``tandem data demo OUT``; ``data check``, ``data download`` and ``data pack`` have modules of their own."""

import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from tandem.commands import data_check, data_download, data_pack
from tandem.commands.parser import make_parser, parse
from tandem.data.synthetic import write_dataset
from tandem.errors import ConfigError, nearest
from tandem.report.progress import TaskProgress

log = logging.getLogger(__name__)

USAGE = "usage: tandem data demo OUT | check DATA [DATA_B] | download NAME | pack DATA OUT [options] (--help says more)"


def main(arguments: Sequence[str]) -> int:
    """Dispatch to `demo`, `check`, `download` or `pack`."""
    actions = {"demo": _demo, "check": data_check.main, "download": data_download.main, "pack": data_pack.main}
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
    parser.add_argument("--num-train", type=int, default=2000, help="training pairs, or images of each domain")
    parser.add_argument("--num-val", type=int, default=50, help="validation pairs")
    parser.add_argument("--num-test", type=int, default=50, help="test pairs")
    parser.add_argument(
        "--layout",
        type=Literal["side_by_side", "folders", "unpaired"],
        default="side_by_side",
        help="one file a pair (A left, B right), or folders trainA, trainB, … of pairs, or of different objects",
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
