"""Computes maps tile by tile, keeps some of them, and measures mean and variance over all of their tiles."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tandem.inference.streaming.nodes import Combined, Node, Pointwise, Stored
from tandem.inference.streaming.stores import Storage
from tandem.inference.streaming.window import Window, count_tiles, tiles, whole

SMALLEST_TILE = 16


@dataclass(frozen=True)
class Moments:
    """Mean and variance of every channel over a whole map.

    Attributes:
        mean: ``(1, C, 1, 1)``, float32.
        variance: Likewise, with division by the number of pixels.
    """

    mean: Tensor
    variance: Tensor


class Streamer:
    """Runs over maps tile by tile.

    Args:
        storage: Where maps are kept.
        tile: Side of a tile of a map with `filters` channels; maps with more channels have smaller ones.
        filters: See `tile`.
        on_tile: Called after every tile.
        dry: Only count tiles.

    Attributes:
        num_tiles: Tiles so far.
    """

    def __init__(
        self,
        storage: Storage,
        *,
        tile: int,
        filters: int,
        on_tile: Callable[[], None] | None = None,
        dry: bool = False,
    ) -> None:
        self.storage, self.dry = storage, dry
        self.num_tiles = 0
        self._tile, self._filters = tile, filters
        self._on_tile = on_tile

    def store(self, node: Node) -> Stored:
        """Compute a map and keep it."""
        store = self.storage.make(node.shape)
        self.run(node, store.write)
        return Stored(store)

    def normed(self, node: Node, norm: nn.Module | None, *, keep: bool = True) -> Node:
        """A map and the norm behind it.

        Args:
            node: The map.
            norm: Instance norm, batch norm or none.
            keep: Whether the map is kept. Otherwise it is computed again when it is read, which costs time and spares
                memory.
        """
        if norm is None:
            return self.store(node) if keep else node
        if isinstance(norm, nn.BatchNorm2d) and not norm.training:
            source = self.store(node) if keep else node
            assert norm.running_mean is not None
            assert norm.running_var is not None
            moments = Moments(norm.running_mean.view(1, -1, 1, 1), norm.running_var.view(1, -1, 1, 1))
            return _normalised(source, norm, moments)
        meter = MomentsMeter()
        store = self.storage.make(node.shape) if keep else None

        def take(window: Window, values: Tensor) -> None:
            meter.add(values)
            if store is not None:
                store.write(window, values)

        self.run(node, take)
        source = node if store is None else Stored(store)
        return source if self.dry else _normalised(source, norm, meter.result())

    def dropped(self, node: Node, dropout: nn.Module | None) -> Node:
        """A map and the dropout behind it; the mask is the one that a whole forward draws."""
        if dropout is None or not dropout.training:
            return node
        assert isinstance(dropout, nn.Dropout)
        mask = self.storage.make(node.shape)
        if not self.dry:
            ones = torch.ones((1, *node.shape), device=self.storage.device)
            mask.write(whole(*node.shape[1:]), F.dropout(ones, dropout.p))
        return Combined(node, Stored(mask), torch.Tensor.mul_)

    def run(self, node: Node, take: Callable[[Window, Tensor], None]) -> None:
        """Compute a map and hand over its tiles."""
        channels, height, width = node.shape
        side = tile_side(self._tile, self._filters, channels)
        if self.dry:
            self.num_tiles += count_tiles(height, width, side)
            return
        for window in tiles(height, width, side):
            take(window, node.compute(window))
            self.num_tiles += 1
            if self._on_tile is not None:
                self._on_tile()


class MomentsMeter:
    """Joins mean and variance of tiles (Chan et al., 1983), in float64."""

    def __init__(self) -> None:
        self._parts: list[tuple[int, Tensor, Tensor]] = []

    def add(self, values: Tensor) -> None:
        """Take note of a tile ``(1, C, h, w)``."""
        variance, mean = torch.var_mean(values.float(), dim=(0, 2, 3), correction=0)
        self._parts.append((values.shape[2] * values.shape[3], mean, variance))

    def result(self) -> Moments:
        """Over all tiles."""
        device = self._parts[0][1].device
        counts = torch.tensor([count for count, _, _ in self._parts], dtype=torch.float64)[:, None]
        means = torch.stack([mean for _, mean, _ in self._parts]).cpu().double()
        variances = torch.stack([variance for _, _, variance in self._parts]).cpu().double()
        shares = counts / counts.sum()
        mean = (shares * means).sum(0)
        variance = (shares * (variances + (means - mean).square())).sum(0)
        return Moments(*(value.float().to(device).view(1, -1, 1, 1) for value in (mean, variance)))


def tile_side(tile: int, filters: int, channels: int) -> int:
    """The side of tiles of a map: all of them hold about as many numbers as one of `filters` channels."""
    return max(SMALLEST_TILE, round(tile * math.sqrt(filters / max(filters, channels))))


def _normalised(source: Node, norm: nn.Module, moments: Moments) -> Pointwise:
    assert isinstance(norm, nn.InstanceNorm2d | nn.BatchNorm2d)
    scale = torch.rsqrt(moments.variance + norm.eps)
    weight, bias = (None if value is None else value.view(1, -1, 1, 1) for value in (norm.weight, norm.bias))

    def apply(x: Tensor) -> Tensor:
        x = x.float().sub_(moments.mean).mul_(scale)
        return x if weight is None or bias is None else x.mul_(weight).add_(bias)

    return Pointwise(source, apply)
