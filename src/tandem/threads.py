"""CPU threads: how they wait for each other, how many there are, and how busy the machine is.

OpenMP's threads spin while they wait: each keeps its core busy for milliseconds after its part of an operator is done.
Beside other work the threads that wait take the cores from those that are waited for, and a step can take thirty times
as long. So Tandem has them sleep, after a moment of spinning that is long enough for a machine of one's own. OpenMP
reads its settings once, when it is loaded, which `import torch` does: hence `wait_passively` is the first thing that
``import tandem`` does.

Nothing is imported here that takes time.
"""

import math
import os
import sys
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

WAIT_SETTINGS = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
"""How OpenMP, GNU's and LLVM's implementation of it, can be told how to wait; what a user has set prevails."""

SPINS = "4000"
"""Turns of waiting before a thread sleeps, in GNU's OpenMP, which PyTorch uses on Linux.

`benchmarks.threads` compares numbers: without any spinning steps of a small model take a sixth longer on a quiet
machine; with 20,000 they are slowed down beside other work. LLVM's OpenMP counts in milliseconds: there a thread sleeps
at once.
"""

BUSY_LOAD = 0.5
"""Running processes per core from which the log says that the machine is busy."""

_QUOTAS = (  # of a container: versions 2 and 1
    ("cpu.max",),
    ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"),
)


def wait_passively(environment: MutableMapping[str, str] | None = None) -> bool:
    """Have OpenMP's threads sleep when they wait for long, in this process and in those that it starts.

    Returns:
        Whether it takes effect here: not if PyTorch was loaded before, which has read its settings already, or if the
        environment says how to wait.
    """
    settings = os.environ if environment is None else environment
    if any(name in settings for name in WAIT_SETTINGS):
        return False
    settings.update({"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": SPINS})
    return "torch" not in sys.modules


def usable_cores(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Cores that this process may use: those that it is bound to, and no more than its container's quota pays for."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for names in _QUOTAS:
        try:
            quota, period = " ".join((cgroup / name).read_text() for name in names).split()
            if int(quota) > 0:  # -1 is none
                cores = min(cores, math.ceil(int(quota) / int(period)))
        except (OSError, ValueError, ZeroDivisionError):  # no such group, or "max"
            continue
    return max(1, cores)


def choose_threads(asked: int | None, *, environment: Mapping[str, str] | None = None) -> int:
    """Set how many threads PyTorch computes with on the CPU.

    Args:
        asked: So many; None leaves PyTorch's own choice, but no more than `usable_cores`, unless the environment says
            how many (``OMP_NUM_THREADS``, which torchrun sets).
        environment: The environment; by default that of this process.

    Returns:
        The number.
    """
    import torch  # noqa: PLC0415  (start-up time)

    settings = os.environ if environment is None else environment
    if asked is not None:
        torch.set_num_threads(asked)
    elif "OMP_NUM_THREADS" not in settings and (most := usable_cores()) < torch.get_num_threads():
        torch.set_num_threads(most)
    return torch.get_num_threads()


def session_threads(asked: int | None = None, *, environment: Mapping[str, str] | None = None) -> int:
    """How many threads a session of ONNX Runtime computes with.

    Args:
        asked: So many; None: as PyTorch has where it is loaded, else as the environment says (``OMP_NUM_THREADS``),
            else `usable_cores`.
        environment: The environment; by default that of this process.
    """
    settings = os.environ if environment is None else environment
    said = settings.get("OMP_NUM_THREADS", "")
    if asked is not None:
        return asked
    torch = sys.modules.get("torch")
    if torch is not None:
        return torch.get_num_threads()
    return int(said) if said.isdigit() and int(said) > 0 else usable_cores()


def session_options(onnxruntime: Any, threads: int | None = None) -> Any:
    """Options of a session of ONNX Runtime: `session_threads`, which sleep while they wait."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = session_threads(threads)
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def describe_load() -> str:
    """How busy the machine has been in the last minute, in words, with a hint where that may cost time."""
    if not hasattr(os, "getloadavg"):
        return "load unknown"
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    busy = ": other programs may slow this one down" if load >= BUSY_LOAD * cores else ""
    return f"load {load:.1f} on {cores} core{'s' if cores > 1 else ''}{busy}"
