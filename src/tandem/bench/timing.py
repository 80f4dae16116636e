"""Timing of several variants in turn, so that a machine whose speed drifts is fair to all."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import torch

Name = TypeVar("Name", bound=str)


@dataclass(frozen=True)
class Timing:
    """Seconds of each counted round of one variant."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Median of the rounds."""
        return statistics.median(self.seconds)

    @property
    def quartiles(self) -> tuple[float, float]:
        """The lower and the upper quartile; of a single round that round."""
        if len(self.seconds) == 1:
            return self.seconds[0], self.seconds[0]
        low, _, high = statistics.quantiles(self.seconds, n=4, method="inclusive")
        return low, high


def time_in_turn(
    variants: Mapping[Name, Callable[[], object]],
    *,
    rounds: int,
    warmup: int,
    device: torch.device,
    on_round: Callable[[int, int], None] | None = None,
) -> dict[Name, Timing]:
    """Run all variants once per round, in turn.

    Args:
        variants: What to time, by name.
        rounds: Rounds that count.
        warmup: Rounds before them that don't.
        device: Waited for before a clock is read.
        on_round: Called with (rounds done, all rounds).
    """
    seconds: dict[Name, list[float]] = {name: [] for name in variants}
    for index in range(warmup + rounds):
        for name, run in variants.items():
            wait_for(device)
            begun = time.perf_counter()
            run()
            wait_for(device)
            if index >= warmup:
                seconds[name].append(time.perf_counter() - begun)
        if on_round is not None:
            on_round(index + 1, warmup + rounds)
    return {name: Timing(tuple(values)) for name, values in seconds.items()}


def median_ratio(slow: Timing, fast: Timing) -> float:
    """How many times faster `fast` is: the median of the ratios round by round."""
    return statistics.median(a / b for a, b in zip(slow.seconds, fast.seconds, strict=True))


def wait_for(device: torch.device) -> None:
    """Wait until `device` has done what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
