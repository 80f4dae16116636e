"""PyTorch as an engine: eager or compiled, float32 or bfloat16, whole or in tiles."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext

import numpy as np
import torch
from torch import Tensor, nn

from tandem.errors import BundleError
from tandem.inference.compiling import Compiled
from tandem.inference.runtime import InferencePrecision, OnTile
from tandem.inference.streaming.run import make_plan, run_plan, stream_plan
from tandem.inference.streaming.source import Source
from tandem.inference.streaming.window import Window
from tandem.networks.layers import sample_as_in_training
from tandem.networks.pair_encoder import encode_pair

BATCH_LIMITS = {"cuda": 64, "cpu": 4}
"""By kind of device; on a CPU four samples already keep it busy, and more of them only leave its caches."""

_DRAWING = threading.RLock()
"""Held while dropout draws from the one generator of the process, which other threads would move on."""


class TorchEngine:
    """Runs the networks with PyTorch; see `tandem.inference.engine.TilingEngine`.

    Args:
        networks: By name, in eval mode, on `device`.
        device: Where they run.
        noise: Whether they sample in the state of training.
        precision: Of convolutions; under bf16 autocast casts their inputs.
        compiled: Whether generators are compiled.
    """

    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        device: torch.device,
        *,
        noise: bool,
        precision: InferencePrecision = "fp32",
        compiled: bool = False,
    ) -> None:
        self._device, self._precision = device, precision
        self._networks = dict(networks)
        for network in networks.values():
            if noise:
                sample_as_in_training(network)
            if device.type == "cuda":
                network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self._forwards: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
            name: Compiled(network, device) if compiled and name != "encoder" else network
            for name, network in networks.items()
        }

    def __repr__(self) -> str:
        return f"PyTorch on {self._device}" + (" in bf16" if self._precision == "bf16" else "")

    @property
    def device(self) -> str:
        """See `Engine`."""
        return self._device.type

    def batch_limit(self, pixels: int) -> int:
        """See `Engine`; whatever their size."""
        del pixels
        return BATCH_LIMITS.get(self._device.type, 4)

    def prepare(self) -> None:
        """See `Engine`: the networks are on their device."""

    def generate(self, generator: str, a: np.ndarray, z: np.ndarray, seed: int | None) -> np.ndarray:
        """See `Engine`."""
        with self._context(seed):
            image = self._forwards[generator](self._to_device(a), self._to_device(z))
            return image.float().cpu().numpy()

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
        """See `TilingEngine`."""
        network, dtype = self._networks[generator], self._dtype
        channels, height, width = a.shape
        plan = make_plan(network, (channels, height, width), tile=tile, budget_bytes=budget_bytes, dtype=dtype)
        with self._context(seed):
            return run_plan(
                network,
                a,
                self._to_device(z[None]) if len(z) else None,
                plan,
                budget_bytes=budget_bytes,
                device=self._device,
                dtype=dtype,
                on_progress=on_tile,
            )

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
        """See `TilingEngine`."""
        network, dtype = self._networks[generator], self._dtype
        plan = make_plan(network, image.shape, tile=tile, budget_bytes=budget_bytes, dtype=dtype)
        with self._context(seed):
            stream_plan(
                network,
                image,
                self._to_device(z[None]) if len(z) else None,
                plan,
                take,
                budget_bytes=budget_bytes,
                device=self._device,
                dtype=dtype,
                on_progress=on_tile,
            )

    def encode(self, b: np.ndarray, a: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """See `Engine`."""
        if "encoder" not in self._networks:
            raise BundleError("this model has no encoder: it was trained without one, so images cannot be encoded.")
        with torch.inference_mode():  # latents are few numbers that decide much: always in float32
            given = None if a is None else self._to_device(a)
            mu, logvar = encode_pair(self._networks["encoder"], given, self._to_device(b))
            return mu.float().cpu().numpy(), logvar.float().cpu().numpy()

    @contextmanager
    def _context(self, seed: int | None) -> Iterator[None]:
        devices = [self._device] if self._device.type == "cuda" else []
        with (
            nullcontext() if seed is None else _DRAWING,
            torch.inference_mode(),
            self._autocast(),
            torch.random.fork_rng(devices, enabled=seed is not None),
        ):
            if seed is not None:
                torch.manual_seed(seed)
            yield

    def _autocast(self) -> AbstractContextManager[object]:
        if self._precision == "fp32":
            return nullcontext()
        return torch.autocast(self._device.type, dtype=torch.bfloat16)

    def _to_device(self, array: np.ndarray) -> Tensor:
        tensor = torch.from_numpy(np.array(array, order="C")).to(self._device)
        return tensor.contiguous(memory_format=self._layout) if tensor.ndim == 4 else tensor

    @property
    def _dtype(self) -> torch.dtype:
        return torch.float32 if self._precision == "fp32" else torch.bfloat16

    @property
    def _layout(self) -> torch.memory_format:
        return torch.channels_last if self._device.type == "cuda" else torch.contiguous_format
