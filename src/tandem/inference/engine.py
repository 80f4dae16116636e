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

    def generate(self, generator: str, a: np.ndarray, z: np.ndarray, seed: int | None) -> np.ndarray:
        """Translate.

        Args:
            generator: The network's name.
            a: Inputs, ``(N, C, H, W)``, [-1, 1].
            z: Codes, ``(N, latent_dim)``; the dimension is 0 for networks without a code.
            seed: Decides the dropout of models that sample with noise; None for the others.

        Returns:
            Outputs, ``(N, C, H, W)``, [-1, 1].
        """
        ...

    def encode(self, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """From images of the output domain ``(N, C, H, W)`` in [-1, 1] to mu and logvar ``(N, latent_dim)``."""
        ...


class TorchEngine:
    """Runs the networks with PyTorch."""

    def __init__(self, networks: "Mapping[str, nn.Module]", device: "torch.device", *, noise: bool) -> None:
        self._networks = networks
        self._device = device
        if noise:
            from tandem.networks.layers import sample_as_in_training  # noqa: PLC0415  (imports torch)

            for network in networks.values():
                sample_as_in_training(network)

    def generate(self, generator: str, a: np.ndarray, z: np.ndarray, seed: int | None) -> np.ndarray:
        """See `Engine`."""
        import torch  # noqa: PLC0415

        devices = [self._device] if self._device.type == "cuda" else []
        with torch.inference_mode(), torch.random.fork_rng(devices, enabled=seed is not None):
            if seed is not None:
                torch.manual_seed(seed)
            image = self._networks[generator](self._to_device(a), self._to_device(z))
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
    return manifest, TorchEngine(networks, chosen, noise=manifest.samples_with_noise)
