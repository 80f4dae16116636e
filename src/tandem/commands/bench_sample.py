"""``tandem bench sample``: how long a sample takes on this machine."""

import json
import sys
from collections.abc import Sequence
from typing import Any

from tandem.commands.parser import make_parser, parse


def main(arguments: Sequence[str]) -> int:
    """Parse the options, measure, print."""
    parser = make_parser("bench sample", "Measure the generator of BicycleGAN as inference runs it.")
    parser.add_argument("--size", type=int, default=256, help="side of the images")
    parser.add_argument("--filters", type=int, default=64, help="width of all networks; 64 is the published one")
    parser.add_argument("--rounds", type=int, default=7, help="rounds that count")
    parser.add_argument("--device", type=str, default="auto", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument("--json", action="store_true", help="print JSON to standard output")
    args = parse(parser, arguments)
    report = _measure(size=args.size, filters=args.filters, rounds=args.rounds, device_name=args.device)
    sys.stdout.write(json.dumps(report, indent=2) + "\n" if args.json else _text(report))
    return 0


def _measure(*, size: int, filters: int, rounds: int, device_name: str) -> dict[str, Any]:
    from tandem.bench.header import make_header, spread  # noqa: PLC0415  (start-up time)
    from tandem.bench.measure import time_in_turn  # noqa: PLC0415
    from tandem.bench.sampling import make_samplers  # noqa: PLC0415
    from tandem.bench.train_step import bench_config  # noqa: PLC0415
    from tandem.networks.device import choose_device  # noqa: PLC0415
    from tandem.report.progress import TaskProgress  # noqa: PLC0415

    device = choose_device(device_name)
    with TaskProgress("sampling", None, "rounds") as progress:
        samplers = make_samplers(bench_config(size=size, filters=filters), device)
        timed = time_in_turn(samplers, rounds=rounds, warmup=2, device=device, on_round=progress.callback)
    return {
        "header": make_header(device),
        "size": size,
        "filters": filters,
        "rounds": rounds,
        "batch_seconds": {name: spread(timing) for name, timing in timed.items()},
        "seconds_per_image": {name: timing.median / int(name.removeprefix("batch_")) for name, timing in timed.items()},
    }


def _text(report: dict[str, Any]) -> str:
    from tandem.bench.header import header_line, spread_text  # noqa: PLC0415  (start-up time)

    lines = [header_line(report["header"]), f"{report['size']} px, {report['filters']} filters"]
    for name, seconds in report["seconds_per_image"].items():
        lines.append(
            f"{name.replace('_', ' of '):<12} {1000 * seconds:.1f} ms per image; "
            f"the batch {spread_text(report['batch_seconds'][name])}"
        )
    return "\n".join(lines) + "\n"
