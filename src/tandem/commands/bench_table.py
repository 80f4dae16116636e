"""``tandem bench train --table``: what a step costs against image size and batch size."""

import json
import logging
import sys
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser, Namespace

from tandem.errors import ConfigError

log = logging.getLogger(__name__)

SIZES = (64, 128, 256, 512)
BATCHES = (1, 2, 4, 8, 16, 32)


def add_options(parser: ArgumentParser) -> None:
    """Add the options of the table."""
    group = parser.add_argument_group("table of costs")
    group.add_argument(
        "--table",
        action="store_true",
        help="measure all of --sizes with all of --batches instead: time, arithmetic, bytes, share of peak, memory",
    )
    group.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), help="sides of the images")
    group.add_argument(
        "--batches",
        type=int,
        nargs="+",
        help="images per step; all of 1, 2, 4, … 32 that the method takes if not given",
    )
    group.add_argument(
        "--cell-seconds", type=float, default=20.0, help="no further round of a size and batch begins after this time"
    )
    group.add_argument("--out", help="folder for cost.md, cost.svg and cost.json")


def run(args: Namespace, options: dict[str, Any]) -> int:
    """Measure, print the table or JSON, and write the files."""
    from tandem.bench.cost_report import CostTable  # noqa: PLC0415  (start-up time)
    from tandem.networks.device import choose_device  # noqa: PLC0415
    from tandem.report.progress import TaskProgress  # noqa: PLC0415

    if args.preset is not None or args.batch_size is not None:
        raise ConfigError("--table takes --sizes and --batches; --preset and --batch-size have no effect on it.")
    batches = args.batches or [batch for batch in BATCHES if args.method != "bicyclegan" or batch % 2 == 0]
    device = choose_device(args.device)
    with TaskProgress("cost of a step", len(args.sizes) * len(batches), "cells") as progress:
        table = CostTable.measure(
            args.method,
            sizes=sorted(args.sizes),
            batches=sorted(batches),
            options={"filters": args.filters} | options,
            device=device,
            rounds=args.rounds,
            limit_seconds=args.cell_seconds,
            on_cell=progress.callback,
        )
    if args.out is not None:
        for path in table.write(Path(args.out)):
            log.info("wrote %s", path)
    sys.stdout.write(json.dumps(table.as_json(), indent=2) + "\n" if args.json else table.as_markdown())
    return 0
