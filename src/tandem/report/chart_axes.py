"""The axes of charts: from values to coordinates, and round numbers along them."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """A straight map from values `low … high` to coordinates `start … end`, over the logarithm if `log`."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Return the coordinate of a value, which must be positive when `log`."""
        if self.log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)


def linear_ticks(low: float, high: float, *, most: int = 5) -> list[float]:
    """Return the multiples of 1, 2 or 5 times a power of ten in `low … high`, at most `most` + 1 of them."""
    step = _step(low, high, most)
    return [k * step for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def linear_domain(values: Iterable[float], *, most: int = 5) -> tuple[float, float]:
    """Return round limits that hold all values; zero is one of them where it is not far away."""
    known = list(values)
    low, high = min(known), max(known)
    if 0 < low <= 0.6 * high:
        low = 0.0
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        margin = abs(high) / 2 or 0.5
        low, high = low - margin, high + margin
    step = _step(low, high, most)
    return math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step


def log_ticks(low: float, high: float, *, most: int = 6) -> list[float]:
    """Return the powers of ten in `low … high`, with twice and five times each where they are few."""
    first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
    factors = (1, 2, 5) if last - first <= 2 else (1,)
    stride = max(1, -(-(last - first) // most))
    ticks = [factor * 10.0**power for power in range(first, last + 1, stride) for factor in factors]
    return [tick for tick in ticks if low * (1 - 1e-9) <= tick <= high * (1 + 1e-9)]


def log_domain(values: Iterable[float]) -> tuple[float, float]:
    """Return the nearest 1, 2 or 5 times a power of ten below and above all (positive) values."""
    known = list(values)
    low, high = min(known), max(known)
    steps = [factor * 10.0**power for power in _powers(low, high) for factor in (1, 2, 5)]
    below = max(step for step in steps if step <= low * (1 + 1e-9))
    above = min(step for step in steps if step >= high * (1 - 1e-9) and step > below)
    return below, above


def tick_labels(ticks: Sequence[float]) -> list[str]:
    """Return the shortest texts that tell all ticks apart, in thousands or millions where that is shorter."""
    largest = max((abs(tick) for tick in ticks), default=0.0)
    if largest and (largest >= 1e9 or largest < 1e-3):
        return [f"{tick:.3g}" for tick in ticks]
    unit, suffix = (1e6, "M") if largest >= 1e6 else (1e3, "k") if largest >= 1e4 else (1.0, "")
    return [f"{round(tick / unit, 9):.10g}{suffix if tick else ''}" for tick in ticks]


def _step(low: float, high: float, most: int) -> float:
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))


def _powers(low: float, high: float) -> range:
    return range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
