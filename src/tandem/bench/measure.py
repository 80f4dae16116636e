"""Timing of several variants in one process, in turn, so that a machine whose speed drifts is fair to all."""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Timing:
    """Seconds of each counted round of one variant."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Median of the rounds."""
        return statistics.median(self.seconds)


def time_in_turn(
    variants: Mapping[str, Callable[[], object]],
    *,
    rounds: int,
    warmup: int,
    device: torch.device,
    on_round: Callable[[int, int], None] | None = None,
) -> dict[str, Timing]:
    """Run all variants once per round, in turn.

    Args:
        variants: What to time, by name.
        rounds: Rounds that count.
        warmup: Rounds before them that don't.
        device: Waited for before a clock is read.
        on_round: Called with (rounds done, all rounds).
    """
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for index in range(warmup + rounds):
        for name, run in variants.items():
            _wait(device)
            begun = time.perf_counter()
            run()
            _wait(device)
            if index >= warmup:
                seconds[name].append(time.perf_counter() - begun)
        if on_round is not None:
            on_round(index + 1, warmup + rounds)
    return {name: Timing(tuple(values)) for name, values in seconds.items()}


def median_ratio(slow: Timing, fast: Timing) -> float:
    """How many times faster `fast` is: the median of the ratios round by round."""
    return statistics.median(a / b for a, b in zip(slow.seconds, fast.seconds, strict=True))


def peak_memory_of(arguments: Sequence[str]) -> float:
    """Peak memory in MiB of ``python -m tandem.bench.train_step ARGUMENTS``, a fresh process, as it reports it."""
    command = [sys.executable, "-m", "tandem.bench.train_step", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
