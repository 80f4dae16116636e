"""What every benchmark says about itself: versions, hardware, settings of the arithmetic; and how it says times."""

import datetime
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from tandem.bench.timing import Timing
from tandem.version import __version__

Header = dict[str, Any]
"""JSON values by name."""


def make_header(device: torch.device) -> Header:
    """Describe the software and the hardware that are about to be measured; call it after the backends are set up."""
    on_cuda = device.type == "cuda"
    return {
        "tandem": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "device": str(device),
        "device_name": torch.cuda.get_device_name(device) if on_cuda else cpu_name(),
        "device_memory_mb": torch.cuda.get_device_properties(device).total_memory // 2**20 if on_cuda else None,
        "cpu": cpu_name(),
        "threads": torch.get_num_threads(),
        "float32_matmul": torch.get_float32_matmul_precision(),
        "tf32_convolutions": torch.backends.cudnn.allow_tf32 if on_cuda else False,
        "cudnn_benchmark": torch.backends.cudnn.benchmark if on_cuda else False,
    }


def cpu_name() -> str:
    """The processor's name as its system gives it."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def header_line(header: Header) -> str:
    """The header in a line of text."""
    where = f"{header['device_name']} ({header['device']})"
    if header["device"] == "cpu":
        where = f"{header['cpu']} ({header['threads']} threads)"
    cuda = f", CUDA {header['cuda']}, cuDNN {header['cudnn']}" if header["cuda"] and header["device"] != "cpu" else ""
    tf32 = ", TF32 in convolutions" if header["tf32_convolutions"] else ""
    return f"{where}, torch {header['torch']}{cuda}, tandem {header['tandem']}{tf32}, {header['date']}"


def spread(timing: Timing) -> dict[str, Any]:
    """Median, quartiles and all rounds of a variant, in seconds."""
    low, high = timing.quartiles
    return {"median": timing.median, "quartiles": [low, high], "all": list(timing.seconds)}


def spread_text(seconds: Mapping[str, Any]) -> str:
    """What `spread` gave, in words: ``1.310 s (1.29 to 1.34)``."""
    low, high = seconds["quartiles"]
    if seconds["median"] < 0.1:
        return f"{1000 * seconds['median']:.2f} ms ({1000 * low:.2f} to {1000 * high:.2f})"
    return f"{seconds['median']:.3f} s ({low:.3f} to {high:.3f})"
