"""What runs a model's networks. Around it everything is NumPy, so that another runtime can take PyTorch's place."""

from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from tandem.checkpoint.manifest import Manifest
from tandem.errors import ConfigError
from tandem.inference.runtime import OnTile, Runtime
from tandem.threads import choose_threads


class Engine(Protocol):
    """Runs the networks of a model on batches of float32 arrays."""

    @property
    def device(self) -> str:
        """The kind of device that computes: ``cpu``, ``cuda`` or ``mps``."""
        ...

    @property
    def batch_limit(self) -> int:
        """How many samples at once still make each of them faster."""
        ...

    def generate(self, generator: str, a: np.ndarray, z: np.ndarray, seed: int | None) -> np.ndarray:
        """Translate.

        Args:
            generator: The network's name.
            a: Inputs, ``(N, C, H, W)``, [-1, 1].
            z: Latents, ``(N, latent_dim)``; the dimension is 0 for networks without a latent.
            seed: Decides the dropout of models that sample with noise; None for the others.

        Returns:
            Outputs, ``(N, C, H, W)``, [-1, 1].
        """
        ...

    def encode(self, b: np.ndarray, a: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Encode images of the output domain.

        Args:
            b: ``(N, C, H, W)``, [-1, 1].
            a: Their inputs, likewise, for encoders that see these too; None where they are not known.

        Returns:
            mu and logvar, ``(N, latent_dim)``.
        """
        ...


@runtime_checkable
class TilingEngine(Engine, Protocol):
    """An engine that also takes images that are too large for one forward."""

    def generate_tiled(
        self,
        generator: str,
        a: np.ndarray,
        z: np.ndarray,
        seed: int | None,
        *,
        tile: int | None,
        budget_bytes: int,
        on_tile: OnTile | None,
    ) -> np.ndarray:
        """Translate one image of any size in bounded memory; the result is that of `generate`, but for rounding.

        Args:
            generator: The network's name.
            a: The input, ``(C, H, W)``, [-1, 1].
            z: The latent, ``(latent_dim,)``.
            seed: As for `generate`.
            tile: Side of the tiles in pixels of the image; None: as large as the budget allows.
            budget_bytes: For tiles and maps; maps that find no room in it become temporary files.
            on_tile: Called with the tiles done and those in all.

        Returns:
            The output, ``(C, H, W)``, [-1, 1].

        Raises:
            ConfigError: The budget is too small.
            DataError: There is no room for a temporary file.
        """
        ...


def load_engine(path: Path, *, device: str, runtime: Runtime) -> tuple[Manifest, Engine]:
    """Load the bundle at `path` onto `device` (``auto``, ``cpu``, ``cuda``, ``cuda:N``, ``mps``).

    Raises:
        BundleError: There is no model, or it is damaged.
        ConfigError: This machine does not have the device, or the runtime does not work with it.
    """
    from tandem.checkpoint.bundle import load_bundle  # noqa: PLC0415  (imports torch)
    from tandem.inference.torch_engine import TorchEngine  # noqa: PLC0415  (imports torch)
    from tandem.networks.device import choose_device  # noqa: PLC0415  (imports torch)

    choose_threads(runtime.threads)
    if runtime.engine == "onnx":
        from tandem.inference.onnx_engine import OnnxEngine  # noqa: PLC0415  (imports torch)

        manifest, networks = load_bundle(path)
        return manifest, OnnxEngine(manifest.networks, networks, device=device, noise=manifest.samples_with_noise)
    chosen = choose_device(device)
    manifest, networks = load_bundle(path, device=chosen)
    if runtime.compile and manifest.samples_with_noise:
        raise ConfigError(
            "compile: this model samples in the state of training, and compiled code would draw other random numbers "
            "for its dropout: run it without compile."
        )
    engine = TorchEngine(
        networks, chosen, noise=manifest.samples_with_noise, precision=runtime.precision, compiled=runtime.compile
    )
    return manifest, engine
