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
    report = _measure(args)
    sys.stdout.write(json.dumps(report, indent=2) + "\n" if args.json else _text(report))
    return 0


def _measure(args: Namespace) -> dict[str, Any]:
    import numpy as np  # noqa: PLC0415  (start-up time)

    from tandem.bench.header import make_header, spread  # noqa: PLC0415
    from tandem.bench.measure import median_ratio, time_in_turn  # noqa: PLC0415
    from tandem.bench.sampling import fresh_subject, make_samplers, trained_subject  # noqa: PLC0415
    from tandem.bench.train_step import bench_config  # noqa: PLC0415
    from tandem.networks.device import choose_device  # noqa: PLC0415
    from tandem.report.progress import TaskProgress  # noqa: PLC0415

    ways = _ways(args)
    device = choose_device(args.device)
    if args.model is None:
        subject = fresh_subject(bench_config("bicyclegan", size=args.size, filters=args.filters or 64))
    else:
        subject = trained_subject(Path(args.model), args.size)
    samplers, missing = make_samplers(ways, subject, device)
    expected = samplers["baseline"](2)
    errors = {name: float(np.abs(sample(2) - expected).max()) for name, sample in samplers.items()}
    counts: dict[str, Any] = {}
    for count in args.counts:
        with TaskProgress(f"{count} samples", None, "rounds") as progress:
            timed = time_in_turn(
                {name: (lambda sample=sample, count=count: sample(count)) for name, sample in samplers.items()},
                rounds=args.rounds,
                warmup=1,
                device=device,
                on_round=progress.callback,
            )
        counts[str(count)] = {
            name: {
                "seconds": spread(timing),
                "samples_per_second": count / timing.median,
                "times_faster": median_ratio(timed["baseline"], timing),
            }
            for name, timing in timed.items()
        }
    return {
        "header": make_header(device),
        "model": args.model,
        "size": args.size,
        "filters": subject.spec.filters,
        "rounds": args.rounds,
        "counts": counts,
        "largest_difference": errors,
        "not_here": missing,
    }


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


def _text(report: dict[str, Any]) -> str:
    from tandem.bench.header import header_line, spread_text  # noqa: PLC0415  (start-up time)

    what = report["model"] or "BicycleGAN's generator, untrained"
    lines = [header_line(report["header"]), f"{what}, {report['size']} px, {report['filters']} filters"]
    for count, ways in report["counts"].items():
        lines.append(f"{count} sample{'' if count == '1' else 's'} of one input")
        for name, way in ways.items():
            lines.append(
                f"  {name:<14} {spread_text(way['seconds']):<32} {way['samples_per_second']:>8.1f}/s  "
                f"{way['times_faster']:.2f} times the baseline"
            )
    lines.append("largest difference from the baseline, images in [-1, 1]")
    lines += [f"  {name:<14} {value:.2g}" for name, value in report["largest_difference"].items() if name != "baseline"]
    lines += [f"not here: {name} ({reason})" for name, reason in report["not_here"].items()]
    return "\n".join(lines) + "\n"
