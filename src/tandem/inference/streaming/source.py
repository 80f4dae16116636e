"""Where the windows of an input come from: an array, or whatever else gives parts of an image."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np


class Source(Protocol):
    """An input of any size, as floats in [-1, 1]."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width."""
        ...

    def read(self, rows: slice, columns: slice) -> np.ndarray:
        """A copy of a part of it, ``(C, h, w)``, float32."""
        ...


@dataclass(frozen=True)
class ArraySource:
    """An array as a source.

    Attributes:
        values: ``(C, H, W)``, float32.
    """

    values: np.ndarray

    @property
    def shape(self) -> tuple[int, int, int]:
        """See `Source`."""
        channels, height, width = self.values.shape
        return channels, height, width

    def read(self, rows: slice, columns: slice) -> np.ndarray:
        """See `Source`."""
        return self.values[:, rows, columns].copy()


@dataclass(frozen=True)
class MirroredSource:
    """A source with its mirror image at the right and lower edge, as `tandem.data.fit.pad_mirrored` adds it.

    Attributes:
        source: What is padded.
        size: Height and width with the padding.
    """

    source: Source
    size: tuple[int, int]

    @property
    def shape(self) -> tuple[int, int, int]:
        """See `Source`."""
        return self.source.shape[0], *self.size

    def read(self, rows: slice, columns: slice) -> np.ndarray:
        """See `Source`."""
        _, height, width = self.source.shape
        down, across = _mirrored(rows, height), _mirrored(columns, width)
        top, left = int(down.min()), int(across.min())
        part = self.source.read(slice(top, int(down.max()) + 1), slice(left, int(across.max()) + 1))
        return np.ascontiguousarray(part[:, down - top][:, :, across - left])


def _mirrored(span: slice, length: int) -> np.ndarray:
    """Which places of an axis a span of its mirrored continuation shows."""
    places = np.arange(span.start, span.stop) % (2 * length)
    return np.where(places < length, places, 2 * length - 1 - places)
