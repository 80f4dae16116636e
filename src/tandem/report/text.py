"""Turning values into text that is safe to show: HTML, URLs, numbers, durations."""

import html
import math
import os
import re
from pathlib import PurePath
from urllib.parse import quote

# Characters that neither XML nor a reader can make sense of.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")


def escape(text: object) -> str:
    """Return `str(text)` so that HTML and XML show it as it is, in an element or a quoted attribute.

    Control characters and the bytes of a file name that are not UTF-8 become a replacement sign.
    """
    decodable = str(text).encode("utf-8", "replace").decode("utf-8")
    return html.escape(_UNPRINTABLE.sub("\ufffd", decodable), quote=True)


def url(path: str | PurePath) -> str:
    """Return the relative URL of a file, given its path relative to the page, `/` between folders.

    Any file name works: every byte that could mean something else in a URL is quoted. A path that starts
    with `/` is refused with `ValueError`, because the page would not survive being moved.
    """
    relative = path.as_posix() if isinstance(path, PurePath) else path
    if not relative or relative.startswith("/"):
        raise ValueError(f"a page needs paths relative to itself, but was given {relative!r}")
    return quote(os.fsencode(relative), safe="/")


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
