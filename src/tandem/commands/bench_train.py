"""``tandem bench train``: the training step and its memory on this machine."""

import json
import sys
from collections.abc import Sequence
from typing import Any, Literal

from jsonargparse import Namespace

from tandem.bench.options import STEP_OPTIONS
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
    add_fields(parser, TrainingConfig, {}, only=STEP_OPTIONS)
    args = parse(parser, arguments)
    options = {name: getattr(args, name) for name in STEP_OPTIONS}
    if args.rounds < 1:
        raise ConfigError(f"--rounds must be at least 1, not {args.rounds}.")
    return _measure(args, options)


def _config(args: Namespace, options: dict[str, Any]) -> RunConfig:
    from tandem.bench.train_step import bench_config  # noqa: PLC0415  (start-up time)

    if args.preset is None:
        return bench_config(args.method, size=args.size, filters=args.filters, batch_size=args.batch_size, **options)
    return from_flat(preset_options(find_preset(args.preset).name) | options)


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
