"""What runs a model's networks. Around it everything is NumPy, so that another runtime can take PyTorch's place."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from tandem.checkpoint.manifest import Manifest
from tandem.errors import BundleError

if TYPE_CHECKING:
    import torch
    from torch import nn


class Engine(Protocol):
    """Runs the networks of a model on batches of float32 arrays."""

    def generate(self, a: np.ndarray, z: np.ndarray) -> np.ndarray:
        """From inputs ``(N, C, H, W)`` in [-1, 1] and codes ``(N, latent_dim)`` to outputs ``(N, C, H, W)``."""
        ...

    def encode(self, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """From images of the output domain ``(N, C, H, W)`` in [-1, 1] to mu and logvar ``(N, latent_dim)``."""
        ...


class TorchEngine:
    """Runs the networks with PyTorch."""

    def __init__(self, networks: "Mapping[str, nn.Module]", device: "torch.device") -> None:
        self._networks = networks
        self._device = device

    def generate(self, a: np.ndarray, z: np.ndarray) -> np.ndarray:
        """See `Engine`."""
        import torch  # noqa: PLC0415

        with torch.inference_mode():
            code = self._to_device(z) if z.shape[1] else None
            image = self._networks["generator"](self._to_device(a), code)
            return image.float().cpu().numpy()

    def encode(self, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Engine`."""
        import torch  # noqa: PLC0415

        if "encoder" not in self._networks:
            raise BundleError("this model has no encoder: it was trained without one, so images cannot be encoded.")
        with torch.inference_mode():
            mu, logvar = self._networks["encoder"](self._to_device(b))
            return mu.float().cpu().numpy(), logvar.float().cpu().numpy()

    def _to_device(self, array: np.ndarray) -> "torch.Tensor":
        import torch  # noqa: PLC0415

        return torch.from_numpy(np.array(array, order="C")).to(self._device)


def load_engine(path: Path, *, device: str) -> tuple[Manifest, TorchEngine]:
    """Load the bundle at `path` onto `device` (``auto``, ``cpu``, ``cuda``, ``cuda:N``, ``mps``)."""
    from tandem.checkpoint.bundle import load_bundle  # noqa: PLC0415  (imports torch)
    from tandem.networks.device import choose_device  # noqa: PLC0415  (imports torch)

    chosen = choose_device(device)
    manifest, networks = load_bundle(path, device=chosen)
    return manifest, TorchEngine(networks, chosen)
