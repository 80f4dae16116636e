"""Which device networks run on."""

import torch

from tandem.errors import ConfigError


def choose_device(name: str) -> torch.device:
    """The device that `name` stands for; ``auto`` is CUDA, else MPS, else the CPU.

    Raises:
        ConfigError: This machine has no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    kind, _, index = name.partition(":")
    valid_index = not index or (kind == "cuda" and index.isdigit())
    available = {
        "cpu": True,
        "cuda": torch.cuda.is_available() and valid_index and int(index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not (valid_index and available.get(kind, False)):
        there = [device for device, ok in available.items() if ok]
        raise ConfigError(f"--device {name}: this machine does not have it. Available: auto, {', '.join(there)}.")
    return torch.device(name)
