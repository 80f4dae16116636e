"""``tandem bench``: training step, memory and sampling latency on this machine."""

import json
import logging
import platform
import sys
from collections.abc import Sequence
from typing import Any

from tandem.commands.parser import make_parser, parse
from tandem.commands.presets import num_images
from tandem.config.preset_tables import Preset
from tandem.config.presets import find_preset, preset_options
from tandem.config.run import from_flat
from tandem.report.text import count, duration
from tandem.version import __version__

log = logging.getLogger(__name__)


def main(arguments: Sequence[str]) -> int:
    """Parse the options, measure, print."""
    parser = make_parser(
        "bench",
        "Measure the training step against the published order (separate forwards, two backwards, one Adam each), the "
        "peak memory of both, and sampling. Variants run in turn in one process; medians are printed.",
    )
    parser.add_argument("--size", type=int, default=256, help="side of the images")
    parser.add_argument("--batch-size", type=int, default=2, help="pairs per step")
    parser.add_argument("--filters", type=int, default=64, help="width of all networks; 64 is the published one")
    parser.add_argument("--preset", help="measure the training step of this preset instead, and say how long it takes")
    parser.add_argument("--rounds", type=int, default=7, help="rounds that count")
    parser.add_argument("--device", type=str, default="auto", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument("--json", action="store_true", help="print JSON to standard output")
    args = parse(parser, arguments)
    if args.preset is not None:
        report = _measure_preset(find_preset(args.preset), rounds=args.rounds, device_name=args.device)
        sys.stdout.write(json.dumps(report, indent=2) + "\n" if args.json else _preset_text(report))
        return 0
    report = _measure(
        size=args.size, batch_size=args.batch_size, filters=args.filters, rounds=args.rounds, device_name=args.device
    )
    if args.json:
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
    else:
        sys.stdout.write(_text(report))
    return 0


def _measure(*, size: int, batch_size: int, filters: int, rounds: int, device_name: str) -> dict[str, Any]:
    import torch  # noqa: PLC0415  (start-up time)

    from tandem.bench.measure import median_ratio, peak_memory_of, time_in_turn  # noqa: PLC0415
    from tandem.bench.sampling import make_samplers  # noqa: PLC0415
    from tandem.bench.train_step import bench_config, make_step  # noqa: PLC0415
    from tandem.networks.device import choose_device  # noqa: PLC0415
    from tandem.report.progress import TaskProgress  # noqa: PLC0415

    device = choose_device(device_name)
    config = bench_config(size=size, batch_size=batch_size, filters=filters)
    with TaskProgress("training step", None, "rounds") as progress:
        steps = {"published": make_step("published", config, device), "tandem": make_step("tandem", config, device)}
        timed = time_in_turn(steps, rounds=rounds, warmup=2, device=device, on_round=progress.callback)
    with TaskProgress("sampling", None, "rounds") as progress:
        samplers = make_samplers(config, device)
        sampled = time_in_turn(samplers, rounds=rounds, warmup=2, device=device, on_round=progress.callback)
    numbers = [str(device), str(size), str(batch_size), str(filters)]
    return {
        "tandem": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "device": str(device),
        "threads": torch.get_num_threads(),
        "size": size,
        "batch_size": batch_size,
        "filters": filters,
        "rounds": rounds,
        "train_step_seconds": {name: timing.median for name, timing in timed.items()},
        "train_step_all_seconds": {name: list(timing.seconds) for name, timing in timed.items()},
        "train_step_speedup": median_ratio(timed["published"], timed["tandem"]),
        "peak_memory_mb": {name: peak_memory_of([name, *numbers]) for name in timed},
        "sampling_seconds_per_image": {
            name: timing.median / int(name.removeprefix("batch_")) for name, timing in sampled.items()
        },
    }


def _measure_preset(preset: Preset, *, rounds: int, device_name: str) -> dict[str, Any]:
    import torch  # noqa: PLC0415  (start-up time)

    from tandem.bench.measure import time_in_turn  # noqa: PLC0415
    from tandem.bench.train_step import make_step  # noqa: PLC0415
    from tandem.networks.device import choose_device  # noqa: PLC0415
    from tandem.report.progress import TaskProgress  # noqa: PLC0415

    device = choose_device(device_name)
    config = from_flat(preset_options(preset.name))
    with TaskProgress("training step", None, "rounds") as progress:
        steps = {preset.name: make_step("tandem", config, device)}
        timed = time_in_turn(steps, rounds=rounds, warmup=2, device=device, on_round=progress.callback)
    seconds = timed[preset.name].median
    images = num_images(preset)
    total = None if images is None or not preset.options.get("lr_decay_epochs") else config.total_steps(images)
    return {
        "tandem": __version__,
        "torch": torch.__version__,
        "device": str(device),
        "threads": torch.get_num_threads(),
        "preset": preset.name,
        "rounds": rounds,
        "train_step_seconds": seconds,
        "steps": total,
        "total_seconds": None if total is None else total * seconds,
    }


def _preset_text(report: dict[str, Any]) -> str:
    where = f"{report['device']} ({report['threads']} threads), torch {report['torch']}"
    line = f"{report['preset']}: {report['train_step_seconds']:.3f} s a step on {where}, median of {report['rounds']}"
    if report["steps"] is None:
        return line + "\n"
    return f"{line}; the whole recipe, {count(report['steps'])} steps: {duration(report['total_seconds'])}\n"


def _text(report: dict[str, Any]) -> str:
    step, memory = report["train_step_seconds"], report["peak_memory_mb"]
    lines = [
        f"{report['size']} px, batch {report['batch_size']}, {report['filters']} filters, {report['device']} "
        f"({report['threads']} threads), torch {report['torch']}, medians of {report['rounds']} rounds in turn",
        f"training step   published order {step['published']:.3f} s, Tandem {step['tandem']:.3f} s: "
        f"{report['train_step_speedup']:.2f} times faster (median of the ratios)",
        f"peak memory     published order {memory['published']:.0f} MB, Tandem {memory['tandem']:.0f} MB",
    ]
    for name, seconds in report["sampling_seconds_per_image"].items():
        lines.append(f"sampling        {name.replace('_', ' of ')}: {1000 * seconds:.1f} ms per image")
    return "\n".join(lines) + "\n"
