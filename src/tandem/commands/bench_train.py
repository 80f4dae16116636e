"""``tandem bench train``: the training step and its memory on this machine."""

import json
import sys
from collections.abc import Sequence
from typing import Any

from tandem.bench.options import BenchTrainOptions
from tandem.commands.parser import Command
from tandem.commands.presets import num_images
from tandem.config.presets import find_preset, preset_options
from tandem.config.run import RunConfig, from_flat
from tandem.report.text import count, duration
from tandem.threads import choose_threads

COMMAND = Command(
    "bench train",
    "Measure the training step; BicycleGAN's and CycleGAN's against a plain implementation of the published order, "
    "with the peak memory of both. Variants run in turn, on a CPU in a process each.",
    {"": BenchTrainOptions},
)


def main(arguments: Sequence[str]) -> int:
    """Parse the options, measure, print."""
    (options,) = COMMAND.parse(arguments)
    from tandem.bench.train_report import measure_training, training_text  # noqa: PLC0415  (start-up time)
    from tandem.networks.device import choose_device  # noqa: PLC0415

    choose_threads(options.threads)
    device, config = choose_device(options.device), _config(options)
    report = measure_training(config, device, rounds=options.rounds)
    if options.preset is not None:
        report |= _length(options.preset, config, report["train_step_seconds"]["tandem"]["median"])
    text = training_text(report) + _length_text(report)
    sys.stdout.write(json.dumps(report, indent=2) + "\n" if options.json else text)
    return 0


def _config(options: BenchTrainOptions) -> RunConfig:
    from tandem.bench.train_step import bench_config, whole_step  # noqa: PLC0415  (start-up time)

    if options.preset is not None:
        preset = preset_options(find_preset(options.preset).name)
        return from_flat(preset | whole_step(str(preset["method"])) | options.of_step)
    return bench_config(
        options.method,
        size=options.size,
        filters=options.filters,
        batch_size=options.batch_size,
        **options.of_step,
    )


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
