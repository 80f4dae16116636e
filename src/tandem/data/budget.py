"""How much memory decoded images may take on this machine."""

import os
import sys
from pathlib import Path

DEFAULT_SHARE = 0.25
DEFAULT_MOST = 32_000_000_000
LARGEST_SHARE = 0.9

_CGROUPS = (  # limit, in use, and the statistics with what the system could give up at once: versions 2 and 1
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file"),
)


def decoded_budget(asked_gb: float | None, *, processes: int = 1) -> int:
    """Bytes of memory that each process of a machine may use for decoded images.

    Args:
        asked_gb: What all of them may use together (10**9 bytes), at most `LARGEST_SHARE` of what is free; None is
            `DEFAULT_SHARE` of what is free, at most `DEFAULT_MOST`.
        processes: How many train on this machine; each keeps images of its own.

    Returns:
        The budget; 0 keeps nothing.
    """
    if sys.platform == "win32" or asked_gb == 0:  # there is no memory without a name to share there
        return 0
    free = free_memory()
    most = round(LARGEST_SHARE * free)
    total = min(round(DEFAULT_SHARE * free), DEFAULT_MOST) if asked_gb is None else min(round(asked_gb * 1e9), most)
    return total // processes


def free_memory(proc: Path = Path("/proc"), cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Bytes that programs could still use, within the limit of a container; half of the memory on other systems."""
    try:
        lines = (proc / "meminfo").read_text().splitlines()
        free = 1024 * int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1])
    except (OSError, StopIteration):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    for limit, current, statistics, name in _CGROUPS:
        try:
            most, used = int((cgroup / limit).read_text()), int((cgroup / current).read_text())
            words = (cgroup / statistics).read_text().split()
        except (OSError, ValueError):  # no such group, or "max"
            continue
        reclaimable = int(words[words.index(name) + 1]) if name in words else 0
        free = min(free, max(0, most - used + reclaimable))
    return free
