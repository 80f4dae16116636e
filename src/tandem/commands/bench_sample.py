"""``tandem bench sample``: how long samples of one input take on this machine, by every way that there is."""

import json
import sys
from collections.abc import Sequence
from typing import Any

from tandem.bench.options import BenchSampleOptions
from tandem.commands.parser import Command
from tandem.threads import choose_threads

COMMAND = Command(
    "bench sample",
    "Measure how long samples of one input take: one by one in float32 (the baseline), in batches, in bfloat16, "
    "compiled, as CUDA graphs and with ONNX Runtime. All ways run in turn in one process.",
    {"": BenchSampleOptions},
)


def main(arguments: Sequence[str]) -> int:
    """Parse the options, measure, print."""
    (options,) = COMMAND.parse(arguments)
    from tandem.bench.sample_report import sampling_text  # noqa: PLC0415  (start-up time)

    report = _measure(options)
    sys.stdout.write(json.dumps(report, indent=2) + "\n" if options.json else sampling_text(report))
    return 0


def _measure(options: BenchSampleOptions) -> dict[str, Any]:
    from tandem.bench.sample_report import measure_sampling  # noqa: PLC0415
    from tandem.bench.sampling import fresh_subject, trained_subject  # noqa: PLC0415
    from tandem.bench.train_step import bench_config  # noqa: PLC0415
    from tandem.networks.device import choose_device  # noqa: PLC0415

    choose_threads(options.threads)
    device = choose_device(options.device)
    if options.model is None:
        subject = fresh_subject(bench_config("bicyclegan", size=options.size, filters=options.filters or 64))
    else:
        subject = trained_subject(options.model, options.size)
    measured = measure_sampling(subject, device, ways=options.measured, counts=options.counts, rounds=options.rounds)
    return measured | {"model": None if options.model is None else str(options.model)}
