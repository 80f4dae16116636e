"""``python -m benchmarks.cost``: what a training step costs against image size and batch size."""

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.command import METHODS, add_training_options, at_least, make_parser, reporting, training_options, write

log = logging.getLogger(__name__)

SIZES = (64, 128, 256, 512)
BATCHES = (1, 2, 4, 8, 16, 32)


@reporting
def main(arguments: Sequence[str]) -> None:
    """Parse the options, measure, print the table or JSON, and write the files."""
    parser = make_parser(
        "cost",
        "Measure a training step for all of --sizes with all of --batches: time, arithmetic, bytes, share of peak, "
        "memory. What does not fit the memory is said in its row.",
    )
    parser.add_argument("--method", choices=METHODS, default="bicyclegan", help="what is trained")
    parser.add_argument("--sizes", type=at_least(1), nargs="+", default=list(SIZES), help="sides of the images")
    parser.add_argument(
        "--batches",
        type=at_least(1),
        nargs="+",
        help="images per step; all of 1, 2, 4, … 32 that the method takes if not given",
    )
    parser.add_argument(
        "--filters", type=at_least(1), default=64, help="width of all networks; 64 is the published one"
    )
    parser.add_argument("--rounds", type=at_least(1), default=7, help="rounds that count, at most")
    parser.add_argument(
        "--cell-seconds", type=float, default=20.0, help="no further round of a size and batch begins after this time"
    )
    parser.add_argument("--out", type=Path, help="folder for cost.md, cost.svg and cost.json")
    add_training_options(parser)
    args = parser.parse_args(arguments)
    from benchmarks.cost.cells import smallest_batch  # noqa: PLC0415
    from benchmarks.cost.table import CostTable  # noqa: PLC0415  (--help without torch)
    from tandem.networks.device import choose_device  # noqa: PLC0415
    from tandem.report.progress import TaskProgress  # noqa: PLC0415

    batches = args.batches or [batch for batch in BATCHES if batch % smallest_batch(args.method) == 0]
    device = choose_device(args.device)
    with TaskProgress("cost of a step", len(args.sizes) * len(batches), "cells") as progress:
        table = CostTable.measure(
            args.method,
            sizes=sorted(args.sizes),
            batches=sorted(batches),
            options={"filters": args.filters} | training_options(args),
            device=device,
            rounds=args.rounds,
            limit_seconds=args.cell_seconds,
            on_cell=progress.callback,
        )
    if args.out is not None:
        for path in table.write(args.out):
            log.info("wrote %s", path)
    write(table.as_json(), table.as_markdown(), as_json=args.json)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
