"""In which order the items of an epoch come: a function of seed, epoch and position, without any state that matters."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from tandem.rng import numpy_generator

WINDOW_SHARDS = 4
"""Shards among which samples are shuffled where the order goes shard by shard."""


class Order(Protocol):
    """The order of `count` items."""

    def index(self, epoch: int, offset: int) -> int:
        """The item at an offset of an epoch, ``0 <= offset < count``; every item comes once."""
        ...

    def draw(self, epoch: int, share: float, generator: np.random.Generator) -> int:
        """A random item, when a share in [0, 1) of an epoch is over."""
        ...


class GlobalOrder:
    """A permutation of all items for each epoch."""

    def __init__(self, seed: int, count: int) -> None:
        self._seed, self._count = seed, count
        self._kept: tuple[int, np.ndarray] | None = None

    def index(self, epoch: int, offset: int) -> int:
        """See `Order`; drawn from (seed, epoch)."""
        if self._kept is None or self._kept[0] != epoch:
            self._kept = epoch, numpy_generator(self._seed, "order", position=epoch).permutation(self._count)
        return int(self._kept[1][offset])

    def draw(self, epoch: int, share: float, generator: np.random.Generator) -> int:
        """See `Order`; any item."""
        del epoch, share
        return int(generator.integers(self._count))


class ShardOrder:
    """Shards in an order drawn from (seed, epoch), and the samples of each few of them in a row shuffled together.

    So nearly everything of an epoch is read shard after shard, by all processes at about the same time.

    Args:
        seed: The seed of the run.
        counts: The items of each shard.
        stream: Tells apart the domains of unpaired data.
    """

    def __init__(self, seed: int, counts: Sequence[int], *, stream: str = "") -> None:
        self._seed, self._stream = seed, stream
        self._counts = [int(count) for count in counts]
        self._ends = np.cumsum(self._counts)
        self._epoch: tuple[int, list[list[int]], np.ndarray] | None = None
        self._window: tuple[int, int, np.ndarray] | None = None

    def index(self, epoch: int, offset: int) -> int:
        """See `Order`."""
        number, start = self._locate(epoch, offset)
        return int(self._items(epoch, number)[offset - start])

    def draw(self, epoch: int, share: float, generator: np.random.Generator) -> int:
        """See `Order`; an item of the shards whose turn it is."""
        number, _ = self._locate(epoch, min(int(share * sum(self._counts)), sum(self._counts) - 1))
        items = self._items(epoch, number)
        return int(items[generator.integers(len(items))])

    def _locate(self, epoch: int, offset: int) -> tuple[int, int]:
        """The window of an offset and the offset at which it begins."""
        _, ends = self._windows(epoch)
        number = int(np.searchsorted(ends, offset, side="right"))
        return number, int(ends[number - 1]) if number else 0

    def _windows(self, epoch: int) -> tuple[list[list[int]], np.ndarray]:
        """The shards of each window of an epoch, and at which offset it ends."""
        if self._epoch is None or self._epoch[0] != epoch:
            shards = self._generator("shards", epoch).permutation(len(self._counts)).tolist()
            windows = [shards[first : first + WINDOW_SHARDS] for first in range(0, len(shards), WINDOW_SHARDS)]
            self._epoch = (
                epoch,
                windows,
                np.cumsum([sum(self._counts[shard] for shard in window) for window in windows]),
            )
        return self._epoch[1], self._epoch[2]

    def _items(self, epoch: int, number: int) -> np.ndarray:
        """The items of a window in the order in which they come."""
        if self._window is None or self._window[:2] != (epoch, number):
            windows, _ = self._windows(epoch)
            ranges = [
                np.arange(self._ends[shard] - self._counts[shard], self._ends[shard]) for shard in windows[number]
            ]
            generator = self._generator("window", epoch * len(windows) + number)
            self._window = epoch, number, generator.permutation(np.concatenate(ranges))
        return self._window[2]

    def _generator(self, stream: str, position: int) -> np.random.Generator:
        return numpy_generator(self._seed, f"order/{stream}{self._stream}", position=position)
