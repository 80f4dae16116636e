"""What runs a model's networks. Around it everything is NumPy, so that another runtime can take PyTorch's place."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from tandem.checkpoint.arrays import arrays_below, load_arrays, prior_of
from tandem.checkpoint.manifest import RENEWALS, Manifest, read_manifest
from tandem.errors import BundleError, ConfigError
from tandem.inference.onnx.engine import OnnxEngine
from tandem.inference.onnx.load import is_onnx_file, load_onnx
from tandem.inference.runtime import OnTile, Runtime
from tandem.inference.streaming.source import Source
from tandem.inference.streaming.window import Window
from tandem.prior.distributions import Prior
from tandem.threads import choose_threads


class Engine(Protocol):
    """Runs the networks of a model on batches of float32 arrays."""

    @property
    def device(self) -> str:
        """The kind of device that computes: ``cpu``, ``cuda`` or ``mps``."""
        ...

    def batch_limit(self, pixels: int) -> int:
        """How many samples of so many pixels at once still make each of them faster."""
        ...

    def prepare(self) -> None:
        """Bring into memory what the first image would wait for."""
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

    def stream(
        self,
        generator: str,
        image: Source,
        z: np.ndarray,
        seed: int | None,
        take: Callable[[Window, np.ndarray], None],
        *,
        tile: int | None,
        budget_bytes: int,
        on_tile: OnTile | None,
    ) -> None:
        """The same of an image that is nowhere whole, neither the input nor the output.

        Args:
            generator: The network's name.
            image: The input.
            z: As for `generate_tiled`, like all but `take`.
            seed: Likewise.
            take: Called with the windows of the output, row by row, and their values ``(C, h, w)``, [-1, 1].
            tile: Likewise.
            budget_bytes: Likewise.
            on_tile: Likewise.

        Raises:
            ConfigError: The budget is too small, or this generator does not translate in tiles.
            DataError: There is no room for a temporary file.
        """
        ...


@dataclass(frozen=True)
class Loaded:
    """A model that can be run.

    Attributes:
        manifest: What it says of itself.
        engine: What runs its networks.
        prior: The learned prior, if it has one.
        runtime: How it is run, with the engine that was chosen.
    """

    manifest: Manifest
    engine: Engine
    prior: Prior | None
    runtime: Runtime


def load_model(path: Path, *, device: str, runtime: Runtime) -> Loaded:
    """Load the bundle or the ONNX file at `path` onto `device` (``auto``, ``cpu``, ``cuda``, ``cuda:N``, ``mps``).

    PyTorch is imported only where it is the engine.

    Raises:
        BundleError: There is no model, or it is damaged.
        ConfigError: This machine does not have the device, or the runtime does not work with it or with the model.
    """
    is_file = is_onnx_file(path)
    runtime = runtime.decided(is_onnx_file=is_file)
    if is_file:
        manifest, engine, prior = load_onnx(path, device=device, threads=runtime.threads)
        return Loaded(manifest, engine, prior, runtime)
    if runtime.engine == "onnx":
        manifest, arrays = load_arrays(path)
        engine = OnnxEngine.of_arrays(manifest, arrays, device=device, threads=runtime.threads)
        return Loaded(manifest, engine, prior_of(manifest.prior, arrays_below(arrays, "prior"), str(path)), runtime)
    return _load_torch(path, device=device, runtime=runtime)


def read_manifest_at(path: Path) -> Manifest:
    """What the bundle or the ONNX file at `path` says of itself.

    Raises:
        BundleError: There is no model, or it is damaged.
    """
    return load_onnx(path, device="cpu")[0] if is_onnx_file(path) else read_manifest(path)[0]


def _load_torch(path: Path, *, device: str, runtime: Runtime) -> Loaded:
    from tandem.checkpoint.bundle import load_bundle, load_prior  # noqa: PLC0415  (imports torch)
    from tandem.inference.torch_engine import TorchEngine  # noqa: PLC0415  (imports torch)
    from tandem.networks.device import choose_device  # noqa: PLC0415  (imports torch)

    choose_threads(runtime.threads)
    chosen = choose_device(device)
    left = RENEWALS
    while True:
        manifest, networks = load_bundle(path, device=chosen)
        try:
            learned = load_prior(path, manifest)
            break
        except BundleError as error:
            left -= 1
            if not left or not isinstance(error.__cause__, FileNotFoundError):  # else it was renewed meanwhile
                raise
    if runtime.compile and manifest.samples_with_noise:
        raise ConfigError(
            "compile: this model samples in the state of training, and compiled code would draw other random numbers "
            "for its dropout: run it without compile."
        )
    engine = TorchEngine(
        networks, chosen, noise=manifest.samples_with_noise, precision=runtime.precision, compiled=runtime.compile
    )
    return Loaded(manifest, engine, None if learned is None else learned.prior, runtime)
