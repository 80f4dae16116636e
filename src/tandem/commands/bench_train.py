"""``tandem bench train``: the training step and its memory on this machine."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from jsonargparse import Namespace

from tandem.bench.options import STEP_OPTIONS
from tandem.commands import bench_table
from tandem.commands.parser import add_fields, make_parser, parse
from tandem.commands.presets import num_images
from tandem.config.presets import find_preset, preset_options
from tandem.config.run import RunConfig, from_flat
from tandem.config.training import TrainingConfig
from tandem.errors import ConfigError
from tandem.report.text import count, duration


def main(arguments: Sequence[str]) -> int:
    """Parse the options, measure, print."""
    parser = make_parser(
        "bench train",
        "Measure the training step; BicycleGAN's and CycleGAN's against a plain implementation of the published order, "
        "with the peak memory of both. Variants run in turn, on a CPU in a process each.",
    )
    methods = Literal["bicyclegan", "cyclegan", "pix2pix"]
    parser.add_argument("--method", type=methods, default="bicyclegan", help="what is trained")
    parser.add_argument("--size", type=int, default=256, help="side of the images")
    parser.add_argument("--batch-size", type=int, help="images per step; the published number if not given")
    parser.add_argument("--filters", type=int, default=64, help="width of all networks; 64 is the published one")
    parser.add_argument("--preset", help="measure the training step of this preset instead, and say how long it takes")
    parser.add_argument("--rounds", type=int, default=7, help="rounds that count")
    parser.add_argument("--device", type=str, default="auto", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument("--json", action="store_true", help="print JSON to standard output")
    parser.add_argument("--profile", help="profile instead: a table by groups of operators, and a trace in this file")
    bench_table.add_options(parser)
    add_fields(parser, TrainingConfig, {}, only=STEP_OPTIONS)
    args = parse(parser, arguments)
    options = {name: getattr(args, name) for name in STEP_OPTIONS}
    if args.rounds < 1:
        raise ConfigError(f"--rounds must be at least 1, not {args.rounds}.")
    if args.table and args.profile is not None:
        raise ConfigError("--table and --profile are two things: give one of them.")
    if args.table:
        return bench_table.run(args, options)
    return _profile(args, options) if args.profile is not None else _measure(args, options)


def _config(args: Namespace, options: dict[str, Any]) -> RunConfig:
    from tandem.bench.train_step import bench_config  # noqa: PLC0415  (start-up time)

    if args.preset is None:
        return bench_config(args.method, size=args.size, filters=args.filters, batch_size=args.batch_size, **options)
    return from_flat(preset_options(find_preset(args.preset).name) | options)


def _profile(args: Namespace, options: dict[str, Any]) -> int:
    from tandem.bench.header import header_line, make_header  # noqa: PLC0415  (start-up time)
    from tandem.bench.profile import profile_table, profile_variants  # noqa: PLC0415
    from tandem.networks.device import choose_device  # noqa: PLC0415

    device = choose_device(args.device)
    profiles = profile_variants(_config(args, options), device, trace=Path(args.profile))
    header = make_header(device)
    if args.json:
        found = {name: asdict(profile) for name, profile in profiles.items()}
        sys.stdout.write(json.dumps({"header": header, "profiles": found}, indent=2) + "\n")
    else:
        sys.stdout.write(f"{header_line(header)}\n\n{profile_table(profiles)}")
    return 0


def _measure(args: Namespace, options: dict[str, Any]) -> int:
    from tandem.bench.train_report import measure_training, training_text  # noqa: PLC0415  (start-up time)
    from tandem.networks.device import choose_device  # noqa: PLC0415

    device, config = choose_device(args.device), _config(args, options)
    report = measure_training(config, device, rounds=args.rounds)
    if args.preset is not None:
        report |= _length(args.preset, config, report["train_step_seconds"]["tandem"]["median"])
    sys.stdout.write(json.dumps(report, indent=2) + "\n" if args.json else training_text(report) + _length_text(report))
    return 0


def _length(name: str, config: RunConfig, seconds: float) -> dict[str, Any]:
    """How long the whole recipe of a preset is; unknown where the number of its images is."""
    preset = find_preset(name)
    images = num_images(preset)
    steps = None if images is None or not preset.options.get("lr_decay_epochs") else config.total_steps(images)
    return {"preset": preset.name, "steps": steps, "total_seconds": None if steps is None else steps * seconds}


def _length_text(report: dict[str, Any]) -> str:
    if report.get("steps") is None:
        return ""
    return f"{report['preset']}, {count(report['steps'])} steps: {duration(report['total_seconds'])}\n"
