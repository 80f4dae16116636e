"""How a run uses its device: kernels, precision, memory."""

import ctypes
import os
import platform
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch

from tandem.config.training import TrainingPrecision

MALLOC_TRIM_THRESHOLD, MALLOC_MMAP_THRESHOLD = -1, -3  # as malloc.h has them
KEPT_BYTES, LARGEST_KEPT = 2**31 - 1, 2**30


def configure_backends(device: torch.device, *, deterministic: bool) -> None:
    """Choose fast kernels, or reproducible ones where that was asked for; on a CPU keep memory for the next step."""
    if device.type == "cpu":
        _keep_freed_memory()
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = not deterministic
        torch.backends.cudnn.deterministic = deterministic
        if deterministic:  # read when the first matrix product starts cuBLAS
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.backends.cuda.matmul.allow_tf32 = True
        torch.backends.cudnn.allow_tf32 = True
    torch.use_deterministic_algorithms(deterministic, warn_only=True)


def _keep_freed_memory() -> None:
    """Have the C library keep what is freed: it is needed again in the next step.

    By default glibc gives large pieces back at once, and the system clears each page when it is asked for again, which
    takes a twelfth of a training step. Settings in the environment (``MALLOC_…``, ``GLIBC_TUNABLES``) prevail; other C
    libraries are left alone.
    """
    own = any(name == "GLIBC_TUNABLES" or (name.startswith("MALLOC_") and name.endswith("_")) for name in os.environ)
    if platform.libc_ver()[0] != "glibc" or own:
        return
    library = ctypes.CDLL(None)
    library.mallopt(MALLOC_MMAP_THRESHOLD, LARGEST_KEPT)
    library.mallopt(MALLOC_TRIM_THRESHOLD, KEPT_BYTES)


def image_layout(device: torch.device) -> torch.memory_format:
    """The memory layout of images and convolution weights that is fastest on `device`.

    Tensor cores want channels last; on the CPU the default layout is faster, by a few per cent.
    """
    return torch.channels_last if device.type == "cuda" else torch.contiguous_format


def make_autocast(device: torch.device, precision: TrainingPrecision) -> Callable[[], AbstractContextManager[None]]:
    """A maker of contexts for forwards and losses: autocast, or none."""
    if precision == "fp32":
        return nullcontext
    dtype = torch.bfloat16 if precision == "bf16" else torch.float16
    return lambda: torch.autocast(device.type, dtype=dtype)  # pyright: ignore[reportReturnType]


def make_scaler(device: torch.device, precision: TrainingPrecision) -> torch.amp.GradScaler | None:
    """The scaler of fp16's losses, whose gradients would vanish otherwise; None for the other precisions."""
    return torch.amp.GradScaler(device.type) if precision == "fp16" else None


def describe_device(device: torch.device, *, processes: int = 1) -> str:
    """The device in words, or the devices of so many processes."""
    several = f"{processes} processes, each on " if processes > 1 else ""
    if device.type == "cuda":
        which = "cuda" if several else str(device)
        return f"{several}{which} ({torch.cuda.get_device_name(device)})"
    if device.type == "cpu":
        threads = torch.get_num_threads()
        return f"{several}cpu ({threads} thread{'s' if threads > 1 else ''})"
    return f"{several}{device}"


def describe_arithmetic(device: torch.device, precision: TrainingPrecision) -> str:
    """In which numbers a run computes, in words."""
    if precision != "fp32":
        return f"{precision} networks, fp32 losses and weights"
    return "fp32 with TF32 in matrix products and convolutions" if device.type == "cuda" else "fp32"


def peak_memory_mb(device: torch.device) -> float | None:
    """The most memory this run held, in MiB: on the GPU there, otherwise of this process; None on Windows."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    status = Path("/proc/self/status")
    if status.exists():  # getrusage's peak starts with that of the parent process here
        peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(peak.split()[1]) / 2**10
    if sys.platform == "win32":
        return None
    import resource  # noqa: PLC0415  (not on Windows)

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # macOS counts bytes
