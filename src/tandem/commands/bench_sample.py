"""``tandem bench sample``: how long samples of one input take on this machine, by every way that there is."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from tandem.commands.parser import make_parser, parse
from tandem.errors import ConfigError, nearest

DEFAULT_COUNTS = [1, 8, 64]


def main(arguments: Sequence[str]) -> int:
    """Parse the options, measure, print."""
    parser = make_parser(
        "bench sample",
        "Measure how long samples of one input take: one by one in float32 (the baseline), in batches, in bfloat16, "
        "compiled, as CUDA graphs and with ONNX Runtime. All ways run in turn in one process.",
    )
    parser.add_argument("--model", help="folder of a run or bundle; BicycleGAN's generator, untrained, if not given")
    parser.add_argument("--size", type=int, default=256, help="side of the image")
    parser.add_argument(
        "--filters", type=int, help="width of the untrained generator; 64, the published one, if not given"
    )
    parser.add_argument("--counts", type=int, nargs="+", default=DEFAULT_COUNTS, help="numbers of samples")
    parser.add_argument("--ways", nargs="+", default=[], help="only these of the ways; the baseline is always measured")
    parser.add_argument("--rounds", type=int, default=7, help="rounds that count")
    parser.add_argument("--device", type=str, default="auto", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument("--json", action="store_true", help="print JSON to standard output")
    args = parse(parser, arguments)
    from tandem.bench.sample_report import sampling_text  # noqa: PLC0415  (start-up time)

    report = _measure(args)
    sys.stdout.write(json.dumps(report, indent=2) + "\n" if args.json else sampling_text(report))
    return 0


def _measure(args: Namespace) -> dict[str, Any]:
    from tandem.bench.sample_report import measure_sampling  # noqa: PLC0415
    from tandem.bench.sampling import fresh_subject, trained_subject  # noqa: PLC0415
    from tandem.bench.train_step import bench_config  # noqa: PLC0415
    from tandem.networks.device import choose_device  # noqa: PLC0415

    ways = _ways(args)
    device = choose_device(args.device)
    if args.model is None:
        subject = fresh_subject(bench_config("bicyclegan", size=args.size, filters=args.filters or 64))
    else:
        subject = trained_subject(Path(args.model), args.size)
    measured = measure_sampling(subject, device, ways=ways, counts=args.counts, rounds=args.rounds)
    return measured | {"model": args.model}


def _ways(args: Namespace) -> list[Any]:
    from tandem.bench.sampling import MAX_SAMPLES, WAYS  # noqa: PLC0415  (start-up time)

    for way in args.ways:
        if way not in WAYS:
            raise ConfigError(f"--ways: there is no '{way}'.{nearest(way, WAYS)} They are {', '.join(WAYS)}.")
    for name, values in (("counts", args.counts), ("rounds", [args.rounds])):
        if any(not 1 <= value <= MAX_SAMPLES for value in values):
            raise ConfigError(f"--{name} must be from 1 to {MAX_SAMPLES}.")
    if args.model is not None and args.filters is not None:
        raise ConfigError("--filters has no effect with --model, whose generator has a width.")
    return [way for way in WAYS if way == "baseline" or not args.ways or way in args.ways]
