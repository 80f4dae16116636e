"""The measurement of sampling as JSON values and as text."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from tandem.bench.header import header_line, make_header, spread, spread_text
from tandem.bench.options import Way
from tandem.bench.sampling import BenchedGenerator, make_samplers
from tandem.bench.timing import median_ratio, time_in_turn
from tandem.report.progress import TaskProgress


def measure_sampling(
    subject: BenchedGenerator, device: torch.device, *, ways: Sequence[Way], counts: Sequence[int], rounds: int
) -> dict[str, Any]:
    """Measure samples of one input by all `ways`, the baseline among them, in turn.

    Args:
        subject: What is sampled.
        device: Where.
        ways: Of sampling; those that this machine does not have are named in the report.
        counts: Numbers of samples.
        rounds: Rounds that count.
    """
    samplers, missing = make_samplers(ways, subject, device)
    expected = samplers["baseline"](2)
    errors = {name: float(np.abs(sample(2) - expected).max()) for name, sample in samplers.items()}
    measured: dict[str, Any] = {}
    for count in counts:
        with TaskProgress(f"{count} samples", None, "rounds") as progress:
            timed = time_in_turn(
                {name: partial(sample, count) for name, sample in samplers.items()},
                rounds=rounds,
                warmup=1,
                device=device,
                on_round=progress.callback,
            )
        measured[str(count)] = {
            name: {
                "seconds": spread(timing),
                "samples_per_second": count / timing.median,
                "times_faster": median_ratio(timed["baseline"], timing),
            }
            for name, timing in timed.items()
        }
    return {
        "header": make_header(device),
        "size": subject.size[0],
        "filters": subject.spec.filters,
        "rounds": rounds,
        "counts": measured,
        "largest_difference": errors,
        "not_here": missing,
    }


def sampling_text(report: Mapping[str, Any]) -> str:
    """The report for readers."""
    what = report.get("model") or "BicycleGAN's generator, untrained"
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
