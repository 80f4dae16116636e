"""``tandem bench data [DATA]``: how fast images reach the training step, and for how long it waits for them."""

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from tandem.commands.parser import make_parser, parse
from tandem.config.presets import find_preset, preset_options
from tandem.config.run import RunConfig, from_flat
from tandem.data.shards.open import as_location


def main(arguments: Sequence[str]) -> int:
    """Parse the options, measure, print."""
    parser = make_parser(
        "bench data",
        "Measure the loader: pairs a second from the files, from decoded images in memory and on the device, in turn, "
        "beside what the training step needs; and for which share of the time steps wait for batches.",
    )
    parser.add_argument("data", nargs="?", help="dataset, or folder of domain A; without one pictures are generated")
    parser.add_argument("data_b", nargs="?", help="folder of domain B")
    parser.add_argument(
        "--method", type=Literal["bicyclegan", "cyclegan", "pix2pix"], default="bicyclegan", help="what is trained"
    )
    parser.add_argument("--preset", help="take the options of this preset instead of those of the method")
    parser.add_argument("--size", type=int, default=256, help="side of the training images; not with --preset")
    parser.add_argument("--batch-size", type=int, help="images per step; that of the method or preset if not given")
    parser.add_argument("--filters", type=int, default=64, help="width of all networks; not with --preset")
    parser.add_argument("--num-workers", type=int, help="processes that load images; as in training if not given")
    parser.add_argument("--rounds", type=int, default=5, help="rounds that count")
    parser.add_argument("--steps", type=int, default=4, help="training steps of a round; 0 measures the loader alone")
    parser.add_argument("--device", type=str, default="auto", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument("--json", action="store_true", help="print JSON to standard output")
    args = parse(parser, arguments)
    from tandem.bench.loading_report import loading_text, measure_loading  # noqa: PLC0415  (start-up time)
    from tandem.networks.device import choose_device  # noqa: PLC0415

    report = measure_loading(
        _config(args),
        None if args.data is None else as_location(args.data),
        None if args.data_b is None else Path(args.data_b),
        rounds=args.rounds,
        steps=args.steps,
        device=choose_device(args.device),
    )
    sys.stdout.write(json.dumps(report, indent=2) + "\n" if args.json else loading_text(report))
    return 0


def _config(args: Any) -> RunConfig:
    from tandem.bench.train_step import bench_config  # noqa: PLC0415  (imports torch)

    given = {"num_workers": args.num_workers, "batch_size": args.batch_size}
    changes = {name: value for name, value in given.items() if value is not None}
    if args.preset is not None:
        return from_flat(preset_options(find_preset(args.preset).name) | changes)
    config = bench_config(method=args.method, size=args.size, filters=args.filters, batch_size=args.batch_size)
    return replace(config, training=replace(config.training, **changes))
