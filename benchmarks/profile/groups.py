"""Where the time of a training step goes, by groups of operators."""

import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from tandem.bench.timing import wait_for
from tandem.bench.train_step import make_step, variants_of
from tandem.config.run import RunConfig, from_flat, to_flat
from tandem.files import atomic_replace
from tandem.training.device import configure_backends

WARMUP, STEPS = 2, 3
GROUPS: Mapping[str, str] = {
    "convolutions, backward": r"convolution.*backward",
    "convolutions, forward": r"conv",
    "norms": r"batch_norm|instance_norm|group_norm|layer_norm",
    "optimisers": r"adam|addcmul|addcdiv|lerp|sqrt",
    "activations": r"relu|tanh|elu|sigmoid|threshold",
    "joining, padding, copying": r"cat|pad|copy|clone|contiguous|fill|zero|stack|index|select|slice|empty|resize",
    "pooling, interpolation": r"pool|upsample|interpolate",
    "matrix products": r"mm$|matmul|bmm|linear|dot",
}
"""By the names of operators; the first that fits counts. Everything else is arithmetic on elements and reductions."""
REST = "other arithmetic and reductions"


@dataclass(frozen=True)
class StepProfile:
    """A profile of one variant.

    Attributes:
        wall: Seconds of a step without the profiler.
        seconds: A step's time in each group, most first: on the CPU the operators' own, on a GPU that of their kernels.
        calls: Operators of a step in each group.
    """

    wall: float
    seconds: Mapping[str, float]
    calls: Mapping[str, float]


def group_of(operator: str) -> str:
    """The group of an operator such as ``aten::leaky_relu_``."""
    name = operator.lower()
    return next((group for group, pattern in GROUPS.items() if re.search(pattern, name)), REST)


def profile_step(step: Callable[[], object], device: torch.device, *, trace: Path | None = None) -> StepProfile:
    """Profile a few steps after a warm-up.

    Args:
        step: Does one step.
        device: Where.
        trace: A file for the trace of these steps, which chrome://tracing and Perfetto show.
    """
    on_cuda = device.type == "cuda"
    for _ in range(WARMUP):
        step()
    wait_for(device)
    begun = time.perf_counter()
    for _ in range(STEPS):
        step()
    wait_for(device)
    wall = (time.perf_counter() - begun) / STEPS
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_cuda else [])]
    with profile(activities=activities) as profiler:
        for _ in range(STEPS):
            step()
        wait_for(device)
    seconds: dict[str, float] = {}
    calls: dict[str, float] = {}
    for event in profiler.key_averages():
        if event.device_type != DeviceType.CPU or not event.key.startswith("aten::"):
            continue
        group = group_of(event.key.removeprefix("aten::"))
        micros = event.self_device_time_total if on_cuda else event.self_cpu_time_total
        seconds[group] = seconds.get(group, 0.0) + micros / 1e6 / STEPS
        calls[group] = calls.get(group, 0.0) + event.count / STEPS
    if trace is not None:
        atomic_replace(trace, lambda path: profiler.export_chrome_trace(os.fspath(path)))
    order = sorted(seconds, key=lambda group: -seconds[group])
    return StepProfile(wall, {group: seconds[group] for group in order}, {group: calls[group] for group in order})


def profile_table(profiles: Mapping[str, StepProfile]) -> str:
    """Profiles side by side as a Markdown table: milliseconds of a step, share, calls."""
    groups = list(dict.fromkeys(group for found in profiles.values() for group in found.seconds))
    heads = [f"{name}: ms | % | calls" for name in profiles]
    lines = [f"| Group | {' | '.join(heads)} |", "|---|" + "---|---|---|" * len(profiles)]
    totals = {name: sum(found.seconds.values()) for name, found in profiles.items()}
    for group in groups:
        cells = [
            f"{1000 * found.seconds.get(group, 0):.1f} | {100 * found.seconds.get(group, 0) / totals[name]:.1f} | "
            f"{found.calls.get(group, 0):.0f}"
            for name, found in profiles.items()
        ]
        lines.append(f"| {group} | {' | '.join(cells)} |")
    sums = [f"{1000 * totals[name]:.1f} | 100 | {sum(found.calls.values()):.0f}" for name, found in profiles.items()]
    lines.append(f"| all | {' | '.join(sums)} |")
    walls = [f"{1000 * found.wall:.1f} | | " for found in profiles.values()]
    return "\n".join([*lines, f"| a step without profiler | {' | '.join(walls)} |"]) + "\n"


def profile_variants(config: RunConfig, device: torch.device, *, trace: Path | None = None) -> dict[str, StepProfile]:
    """Profile the published order, where there is a baseline, and Tandem, whose trace goes to `trace`.

    Kernel by kernel, because a captured step is one operator.
    """
    config = from_flat(to_flat(config) | {"acceleration": "none"})
    profiles: dict[str, StepProfile] = {}
    for variant in variants_of(config):
        # On a CPU the published order comes first, while the process is as PyTorch starts it.
        if variant == "tandem" or device.type == "cuda":
            configure_backends(device, deterministic=False)
        own = trace if variant == "tandem" else None
        profiles[variant] = profile_step(make_step(variant, config, device), device, trace=own)
    return profiles
