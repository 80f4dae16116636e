"""The measurement of a training step as JSON values and as text: times, ratio, memory, targets."""

from typing import Any

import torch

from tandem.bench.header import header_line, make_header, spread, spread_text
from tandem.bench.options import STEP_OPTIONS
from tandem.bench.timing import median_ratio, time_in_turn
from tandem.bench.train_step import warmup_steps
from tandem.bench.worker import running_variants
from tandem.config.run import RunConfig, to_flat
from tandem.report.progress import TaskProgress

NAMES = {"published": "published order", "tandem": "Tandem"}

Report = dict[str, Any]
"""JSON values by name."""


def measure_training(config: RunConfig, device: torch.device, *, rounds: int) -> Report:
    """Measure the step of `config`, beside the published order where there is a baseline, both in turn.

    Args:
        config: Everything that the step depends on.
        device: Where.
        rounds: Rounds that count.

    Returns:
        ``train_step_seconds`` (`spread` of each variant), ``steps_per_second``, ``train_step_speedup`` (None without a
        baseline), ``peak_memory_mb``, ``targets``, and what was measured.
    """
    with running_variants(config, device) as steps:
        with TaskProgress("training step", None, "rounds") as progress:
            timed = time_in_turn(
                steps, rounds=rounds, warmup=warmup_steps(config, device), device=device, on_round=progress.callback
            )
        peaks = {name: step.peak_memory_mb() for name, step in steps.items()}
    report = {
        "header": make_header(device),
        "method": config.objective.method,
        "size": config.data.crop_size[0],
        "batch_size": config.training.batch_size,
        "filters": to_flat(config)["generator_filters"],
        "options": {name: getattr(config.training, name) for name in STEP_OPTIONS},
        "rounds": rounds,
        "train_step_seconds": {name: spread(timing) for name, timing in timed.items()},
        "steps_per_second": {name: 1 / timing.median for name, timing in timed.items()},
        "train_step_speedup": median_ratio(timed["published"], timed["tandem"]) if "published" in timed else None,
        "peak_memory_mb": peaks,
    }
    return report | {"targets": targets_of(report)}


def targets_of(report: Report) -> list[dict[str, Any]]:
    """What is aimed at on this kind of device, and whether it is met; only for the published sizes."""
    on_cuda = report["header"]["device"].startswith("cuda")
    published = (report["size"], report["filters"]) == (256, 64)
    ratios = {("bicyclegan", 2, False): 1.6, ("bicyclegan", 2, True): 6.0, ("cyclegan", 1, True): 3.0}
    least = ratios.get((report["method"], report["batch_size"], on_cuda)) if published else None
    if least is None or report["train_step_speedup"] is None:
        return []
    found = [("times the published order", least, report["train_step_speedup"])]
    if on_cuda and report["method"] == "bicyclegan":
        found.append(("steps a second", 150.0, report["steps_per_second"]["tandem"]))
    return [{"name": name, "at_least": bound, "measured": value, "met": value >= bound} for name, bound, value in found]


def training_text(report: Report) -> str:
    """The report for readers."""
    lines = [
        header_line(report["header"]),
        f"{report['method']}, {report['size']} px, batch {report['batch_size']}, {report['filters']} filters, "
        f"{_spelled(report['options'])}; medians (and quartiles) of {report['rounds']} rounds in turn",
    ]
    for name, seconds in report["train_step_seconds"].items():
        memory = report["peak_memory_mb"][name]
        kept = "" if memory is None else f", peak memory {memory:,.0f} MB"
        rate = report["steps_per_second"][name]
        lines.append(f"{NAMES[name]:<16} {spread_text(seconds)} a step, {rate:.2f} steps/s{kept}")
    if report["train_step_speedup"] is not None:
        lines.append(f"{report['train_step_speedup']:.2f} times as fast (median of the ratios)")
    for target in report["targets"]:
        state = "met" if target["met"] else "not met"
        lines.append(f"target: at least {target['at_least']:g} {target['name']}: {target['measured']:.2f}, {state}")
    return "\n".join(lines) + "\n"


def _spelled(options: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in options.items())
