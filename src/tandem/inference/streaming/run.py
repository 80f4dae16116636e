"""One image through a generator, tile by tile."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from tandem.config.specifications import GeneratorSpec
from tandem.errors import ConfigError
from tandem.inference.memory import forward_bytes, tile_bytes
from tandem.inference.streaming.generators import stream
from tandem.inference.streaming.nodes import Stored
from tandem.inference.streaming.source import ArraySource, Source
from tandem.inference.streaming.stores import Storage
from tandem.inference.streaming.streamer import Streamer
from tandem.inference.streaming.window import Window
from tandem.networks.residual_unet import ResidualUNet
from tandem.networks.resnet import ResNet
from tandem.networks.unet import UNet

TILES = (1024, 512, 256, 128, 64)
"""Sides that are tried; larger ones are not faster."""


@dataclass(frozen=True)
class Plan:
    """What translating one image takes.

    Attributes:
        tile: Side of a tile, at the resolution of the image.
        num_tiles: Over all layers.
        tile_bytes: What computing one of them takes.
        store_bytes: The most that kept maps take together, in memory or in files.
    """

    tile: int
    num_tiles: int
    tile_bytes: int
    store_bytes: int


def make_plan(
    network: nn.Module, shape: tuple[int, int, int], *, tile: int | None, budget_bytes: int, dtype: torch.dtype
) -> Plan:
    """Decide how an image is translated.

    Args:
        network: The generator.
        shape: Channels, height and width of the input.
        tile: Side of a tile, or None for the largest one that takes at most half of the budget.
        budget_bytes: For tiles and kept maps.
        dtype: Of kept maps.

    Raises:
        ConfigError: The budget holds not even the smallest tile, or this generator needs whole maps.
    """
    if isinstance(network, ResidualUNet):
        _, height, width = shape
        raise ConfigError(
            "this generator (a residual U-Net) does not translate in tiles, since its norms need whole maps. "
            f"{width} x {height} px at once take about {forward_bytes(network.spec, height, width) / 2**30:.2g} GiB: "
            "allow as much (memory_gb, --memory-gb), leave out the tile, or translate a smaller image."
        )
    spec = _spec(network)
    fitting = [side for side in TILES if tile_bytes(spec, side) <= budget_bytes / 2]
    if tile is None and not fitting:
        least = 2 * tile_bytes(spec, TILES[-1]) / 2**30
        raise ConfigError(
            f"memory_gb is {budget_bytes / 2**30:.3g}, but this generator needs {least:.2g} for tiles of "
            f"{TILES[-1]} px: allow more (memory_gb, --memory-gb), or name a smaller tile (tile, --tile)."
        )
    side = fitting[0] if tile is None else tile
    storage = Storage(budget_bytes, device=torch.device("meta"), dtype=dtype, dry=True)
    streamer = Streamer(storage, tile=side, filters=spec.filters, dry=True)
    image = Stored(_Image(ArraySource(np.empty((shape[0], 0, 0), np.float32)), shape, torch.device("meta")))
    streamer.run(stream(network, image, None, streamer), _refuse)
    return Plan(side, streamer.num_tiles, tile_bytes(spec, side), storage.peak_bytes)


def run_plan(
    network: nn.Module,
    a: np.ndarray,
    z: Tensor | None,
    plan: Plan,
    *,
    budget_bytes: int,
    device: torch.device,
    dtype: torch.dtype,
    on_progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Translate one image that is in memory; see `stream_plan`.

    Args:
        network: The generator, on `device`.
        a: ``(C, H, W)``, float32, [-1, 1].
        z: ``(1, latent_dim)`` on `device`, or None.
        plan: See `make_plan`.
        budget_bytes: As for `stream_plan`, like all that follows.
        device: Where tiles are computed, and maps kept.
        dtype: Of kept maps.
        on_progress: Called with the tiles done and those in all.

    Returns:
        ``(C, H, W)``, float32, [-1, 1].

    Raises:
        DataError: There is no room for a file.
    """
    result = np.empty((_spec(network).out_channels, *a.shape[1:]), np.float32)

    def take(window: Window, values: np.ndarray) -> None:
        rows, columns = window.slices()
        result[:, rows, columns] = values

    stream_plan(
        network,
        ArraySource(a),
        z,
        plan,
        take,
        budget_bytes=budget_bytes,
        device=device,
        dtype=dtype,
        on_progress=on_progress,
    )
    return result


def stream_plan(
    network: nn.Module,
    image: Source,
    z: Tensor | None,
    plan: Plan,
    take: Callable[[Window, np.ndarray], None],
    *,
    budget_bytes: int,
    device: torch.device,
    dtype: torch.dtype,
    on_progress: Callable[[int, int], None] | None = None,
) -> None:
    """Translate one image, without gradients and under the autocast of the caller.

    Args:
        network: The generator, on `device`.
        image: The input.
        z: ``(1, latent_dim)`` on `device`, or None.
        plan: See `make_plan`.
        take: Called with the windows of the output, row by row, and their values ``(C, h, w)``, float32, [-1, 1].
        budget_bytes: For tiles and kept maps; maps for which there is no room become files.
        device: Where tiles are computed, and maps kept.
        dtype: Of kept maps.
        on_progress: Called with the tiles done and those in all.

    Raises:
        DataError: There is no room for a file.
    """
    done = 0

    def on_tile() -> None:
        nonlocal done
        done += 1
        if on_progress is not None:
            on_progress(done, plan.num_tiles)

    storage = Storage(max(budget_bytes - plan.tile_bytes, 0), device=device, dtype=dtype)
    streamer = Streamer(storage, tile=plan.tile, filters=_spec(network).filters, on_tile=on_tile)
    output = stream(network, Stored(_Image(image, image.shape, device)), z, streamer)
    streamer.run(output, lambda window, values: take(window, values[0].float().cpu().numpy()))


class _Image:
    """The input as a store that is only read."""

    def __init__(self, source: Source, shape: tuple[int, int, int], device: torch.device) -> None:
        self.shape = shape
        self._source, self._device = source, device

    def read(self, window: Window) -> Tensor:
        return torch.from_numpy(self._source.read(*window.slices()))[None].to(self._device)

    def write(self, window: Window, values: Tensor) -> None:
        raise AssertionError(f"the input is not written (window {window}, {tuple(values.shape)})")


def _spec(network: nn.Module) -> GeneratorSpec:
    assert isinstance(network, UNet | ResNet)
    return network.spec


def _refuse(window: Window, values: Tensor) -> None:
    raise AssertionError(f"a plan computes nothing (window {window}, {tuple(values.shape)})")
