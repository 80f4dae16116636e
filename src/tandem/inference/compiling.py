"""`torch.compile` for sampling, with eager execution where it does not work."""

import logging

import torch
from torch import Tensor, nn

log = logging.getLogger(__name__)


class Compiled:
    """A network that is compiled at its first call; if that fails it runs as it is, and the reason is logged once.

    On CUDA the compiled code is captured as CUDA graphs (mode ``reduce-overhead``).

    Args:
        network: What is compiled.
        device: Where it runs.
    """

    def __init__(self, network: nn.Module, device: torch.device) -> None:
        self._network = network
        mode = "reduce-overhead" if device.type == "cuda" else "default"
        self._compiled = torch.compile(network, mode=mode)
        self.failed = False

    def __call__(self, a: Tensor, z: Tensor) -> Tensor:
        """As the network."""
        if not self.failed:
            try:
                return self._compiled(a, z)
            except torch.OutOfMemoryError:
                raise
            except (RuntimeError, OSError, ImportError) as error:
                self.failed = True
                log.warning("compile: not possible here, running without it: %s", _reason(error))
        return self._network(a, z)


def _reason(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"
