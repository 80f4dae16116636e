"""``python -m benchmarks.loading [DATA]``: how fast images reach the training step, and how long it waits for them."""

import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.command import METHODS, at_least, make_parser, reporting, write
from tandem.config.presets import preset_options
from tandem.config.run import RunConfig, from_flat
from tandem.data.shards.open import as_location


@reporting
def main(arguments: Sequence[str]) -> None:
    """Parse the options, measure, print."""
    parser = make_parser(
        "loading",
        "Measure the loader: pairs a second from the files, from decoded images in memory and on the device, in turn, "
        "beside what the training step needs; and for which share of the time steps wait for batches.",
    )
    parser.add_argument("data", nargs="?", help="dataset, or folder of domain A; without one pictures are generated")
    parser.add_argument("data_b", nargs="?", help="folder of domain B")
    parser.add_argument("--method", choices=METHODS, default="bicyclegan", help="what is trained")
    parser.add_argument("--preset", help="take the options of this preset instead of those of the method")
    parser.add_argument("--size", type=at_least(1), default=256, help="side of the training images; not with --preset")
    parser.add_argument(
        "--batch-size", type=at_least(1), help="images per step; that of the method or preset if not given"
    )
    parser.add_argument("--filters", type=at_least(1), default=64, help="width of all networks; not with --preset")
    parser.add_argument(
        "--num-workers", type=at_least(0), help="processes that load images; as in training if not given"
    )
    parser.add_argument("--rounds", type=at_least(1), default=5, help="rounds that count")
    parser.add_argument(
        "--steps", type=at_least(0), default=4, help="training steps of a round; 0 measures the loader alone"
    )
    args = parser.parse_args(arguments)
    from benchmarks.loading.report import loading_text, measure_loading  # noqa: PLC0415  (--help without torch)
    from tandem.networks.device import choose_device  # noqa: PLC0415

    report = measure_loading(
        _config(args),
        None if args.data is None else as_location(args.data),
        None if args.data_b is None else Path(args.data_b),
        rounds=args.rounds,
        steps=args.steps,
        device=choose_device(args.device),
    )
    write(report, loading_text(report), as_json=args.json)


def _config(args: Namespace) -> RunConfig:
    from tandem.bench.train_step import bench_config  # noqa: PLC0415  (--help without torch)

    given = {"num_workers": args.num_workers, "batch_size": args.batch_size}
    changes = {name: value for name, value in given.items() if value is not None}
    if args.preset is not None:
        return from_flat(preset_options(args.preset) | changes)
    config = bench_config(method=args.method, size=args.size, filters=args.filters, batch_size=args.batch_size)
    return replace(config, training=replace(config.training, **changes))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
