"""The lines of charts: points by name, and long ones made short without hiding what is in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

# Beyond these the difference of two values can overflow, or a power of ten below one vanish.
_LARGEST_VALUE = 1e300
_SMALLEST_POSITIVE = 1e-300

ChartLines = Mapping[str, Sequence[tuple[float, float]]]
"""Points (x, y) in the order of x, by the name of their line."""


@dataclass(frozen=True)
class Segment:
    """Neighbouring points without a gap: x, y and the lowest and highest y that each point stands for."""

    x: list[float]
    y: list[float]
    low: list[float]
    high: list[float]


def thin(points: Sequence[tuple[float, float]], *, limit: int = 400, positive: bool = False) -> list[Segment]:
    """Return at most `limit` points, as segments that are interrupted wherever a value is not finite.

    Up to `limit` points are kept as they are. More are put into buckets of equal counts; each gives the mean
    of its finite points and their range, and ends its segment if it held a value that is not finite.

    Args:
        points: (x, y) in the order of x.
        limit: Largest number of points left, over all segments.
        positive: Treat y <= 0 like a value that is not finite, for a logarithmic axis.
    """
    if not points:
        return []
    table = np.asarray(points, dtype=np.float64).reshape(-1, 2)
    usable = np.all(np.abs(table) < _LARGEST_VALUE, axis=1)  # false for nan and inf too
    if positive:
        usable &= table[:, 1] > _SMALLEST_POSITIVE
    size = -(-len(table) // limit)
    segments: list[Segment] = []
    broken = True
    for first in range(0, len(table), size):
        chosen = usable[first : first + size]
        part = table[first : first + size][chosen]
        if len(part):
            if broken:
                segments.append(Segment([], [], [], []))
            segment = segments[-1]
            segment.x.append(float(part[:, 0].mean()))
            segment.y.append(float(part[:, 1].mean()))
            segment.low.append(float(part[:, 1].min()))
            segment.high.append(float(part[:, 1].max()))
        broken = not chosen.all()
    return segments
