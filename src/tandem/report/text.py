"""Values as short text: numbers, durations, memory, lists of names."""

import math
from collections.abc import Sequence


def number(value: float) -> str:
    """Return a number in about three significant digits: `0.0123`, `4.56`, `78.9k`, `1.2e-05`."""
    if not math.isfinite(value):
        return str(value)
    size = abs(value)
    if size >= 999_500_000 or 0 < size < 0.001:
        return f"{value:.2g}"
    for limit, unit in ((999_500, 1e6), (9_995, 1e3)):
        if size >= limit:
            return f"{value / unit:.3g}{'M' if unit == 1e6 else 'k'}"
    if size >= 1000:
        return f"{value:.0f}"
    return f"{value:.3g}"


def count(value: float) -> str:
    """Return a whole number with separated thousands: `12,800`."""
    return f"{round(value):,}"


def duration(seconds: float) -> str:
    """Return a time span in its two largest units: `9 s`, `4 min 05 s`, `3 h 20 min`, `2 d 4 h`."""
    if not math.isfinite(seconds):
        return "unknown"
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def memory(megabytes: float) -> str:
    """Return an amount of memory given in MB (2**20 bytes): `812 MB`, `3.4 GB`."""
    return f"{megabytes:.0f} MB" if megabytes < 1000 else f"{megabytes / 1024:.1f} GB"


def joined(names: Sequence[str], word: str = "and") -> str:
    """Names as in a sentence: ``a``, ``a and b``, ``a, b and c``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {word} {names[-1]}"
