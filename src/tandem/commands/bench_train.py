"""``tandem bench train``: the training step and its memory on this machine."""

import json
import sys
from collections.abc import Sequence
from typing import Any, Literal

from tandem.commands.parser import make_parser, parse
from tandem.commands.presets import num_images
from tandem.config.preset_tables import Preset
from tandem.config.presets import find_preset, preset_options
from tandem.config.run import from_flat
from tandem.report.text import count, duration


def main(arguments: Sequence[str]) -> int:
    """Parse the options, measure, print."""
    parser = make_parser(
        "bench train",
        "Measure the training step; BicycleGAN's against the published order (separate forwards, two backwards, one "
        "Adam each), with the peak memory of both. Variants run in turn in one process.",
    )
    parser.add_argument(
        "--method", type=Literal["bicyclegan", "cyclegan", "pix2pix"], default="bicyclegan", help="what is trained"
    )
    parser.add_argument("--size", type=int, default=256, help="side of the images")
    parser.add_argument("--batch-size", type=int, help="images per step; the published number if not given")
    parser.add_argument("--filters", type=int, default=64, help="width of all networks; 64 is the published one")
    parser.add_argument("--preset", help="measure the training step of this preset instead, and say how long it takes")
    parser.add_argument("--rounds", type=int, default=7, help="rounds that count")
    parser.add_argument("--device", type=str, default="auto", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument("--json", action="store_true", help="print JSON to standard output")
    args = parse(parser, arguments)
    if args.preset is not None:
        report = _measure_preset(find_preset(args.preset), rounds=args.rounds, device_name=args.device)
        text = _preset_text
    else:
        report = _measure(
            args.method,
            size=args.size,
            batch_size=args.batch_size,
            filters=args.filters,
            rounds=args.rounds,
            device_name=args.device,
        )
        text = _text
    sys.stdout.write(json.dumps(report, indent=2) + "\n" if args.json else text(report))
    return 0


def _measure(
    method: str, *, size: int, batch_size: int | None, filters: int, rounds: int, device_name: str
) -> dict[str, Any]:
    from tandem.bench.header import make_header, spread  # noqa: PLC0415  (start-up time)
    from tandem.bench.measure import median_ratio, peak_memory_of, time_in_turn  # noqa: PLC0415
    from tandem.bench.train_step import bench_config, make_step, variants_of  # noqa: PLC0415
    from tandem.networks.device import choose_device  # noqa: PLC0415
    from tandem.report.progress import TaskProgress  # noqa: PLC0415
    from tandem.training.device import configure_backends  # noqa: PLC0415

    device = choose_device(device_name)
    configure_backends(device, deterministic=False)
    config = bench_config(method=method, size=size, batch_size=batch_size, filters=filters)
    with TaskProgress("training step", None, "rounds") as progress:
        steps = {variant: make_step(variant, config, device) for variant in variants_of(config)}
        timed = time_in_turn(steps, rounds=rounds, warmup=2, device=device, on_round=progress.callback)
    return {
        "header": make_header(device),
        "method": method,
        "size": size,
        "batch_size": config.training.batch_size,
        "filters": filters,
        "rounds": rounds,
        "train_step_seconds": {name: spread(timing) for name, timing in timed.items()},
        "train_step_speedup": median_ratio(timed["published"], timed["tandem"]) if "published" in timed else None,
        "peak_memory_mb": {name: peak_memory_of(name, config, device) for name in timed},
    }


def _measure_preset(preset: Preset, *, rounds: int, device_name: str) -> dict[str, Any]:
    from tandem.bench.header import make_header, spread  # noqa: PLC0415  (start-up time)
    from tandem.bench.measure import time_in_turn  # noqa: PLC0415
    from tandem.bench.train_step import make_step  # noqa: PLC0415
    from tandem.networks.device import choose_device  # noqa: PLC0415
    from tandem.report.progress import TaskProgress  # noqa: PLC0415
    from tandem.training.device import configure_backends  # noqa: PLC0415

    device = choose_device(device_name)
    configure_backends(device, deterministic=False)
    config = from_flat(preset_options(preset.name))
    with TaskProgress("training step", None, "rounds") as progress:
        steps = {preset.name: make_step("tandem", config, device)}
        timed = time_in_turn(steps, rounds=rounds, warmup=2, device=device, on_round=progress.callback)
    seconds = timed[preset.name].median
    images = num_images(preset)
    total = None if images is None or not preset.options.get("lr_decay_epochs") else config.total_steps(images)
    return {
        "header": make_header(device),
        "preset": preset.name,
        "rounds": rounds,
        "train_step_seconds": {"tandem": spread(timed[preset.name])},
        "steps": total,
        "total_seconds": None if total is None else total * seconds,
    }


def _preset_text(report: dict[str, Any]) -> str:
    from tandem.bench.header import header_line, spread_text  # noqa: PLC0415  (start-up time)

    seconds = report["train_step_seconds"]["tandem"]
    line = (
        f"{header_line(report['header'])}\n{report['preset']}: {spread_text(seconds)} a step, {report['rounds']} rounds"
    )
    if report["steps"] is None:
        return line + "\n"
    return f"{line}; the whole recipe, {count(report['steps'])} steps: {duration(report['total_seconds'])}\n"


def _text(report: dict[str, Any]) -> str:
    from tandem.bench.header import header_line, spread_text  # noqa: PLC0415  (start-up time)

    lines = [
        header_line(report["header"]),
        f"{report['method']}, {report['size']} px, batch {report['batch_size']}, {report['filters']} filters; "
        f"medians (and quartiles) of {report['rounds']} rounds in turn",
    ]
    names = {"published": "published order", "tandem": "Tandem"}
    for name, seconds in report["train_step_seconds"].items():
        memory = report["peak_memory_mb"][name]
        kept = "" if memory is None else f", peak memory {memory:.0f} MB"
        lines.append(f"{names[name]:<16} {spread_text(seconds)} a step, {1 / seconds['median']:.2f} steps/s{kept}")
    if report["train_step_speedup"] is not None:
        lines.append(f"{report['train_step_speedup']:.2f} times faster (median of the ratios)")
    return "\n".join(lines) + "\n"
