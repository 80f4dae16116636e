"""Where maps wait for the next layer: in memory while there is room, else in a temporary file.

A file is mapped anew for every window that is read or written, so that none of it counts as memory of the process in
between. It lies in the folder for temporary files (``TMPDIR``) and is gone with the process, even if that is killed.
"""

import mmap
import os
import tempfile
import weakref
from typing import Protocol

import torch
from torch import Tensor

from tandem.errors import DataError
from tandem.inference.streaming.window import Window


class Store(Protocol):
    """One map."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width."""
        ...

    def read(self, window: Window) -> Tensor:
        """A copy of a window, ``(1, C, h, w)``, on the device that computes."""
        ...

    def write(self, window: Window, values: Tensor) -> None:
        """Fill a window with ``(1, C, h, w)``."""
        ...


class Storage:
    """Makes stores within a budget.

    Args:
        budget_bytes: What all stores together may hold in memory; the others become files.
        device: Where windows are computed.
        dtype: Of the maps.
        dry: Only count: nothing is held, and nothing can be read.

    Attributes:
        peak_bytes: The most that all stores held together, in memory or in files.
    """

    def __init__(self, budget_bytes: int, *, device: torch.device, dtype: torch.dtype, dry: bool = False) -> None:
        self.device, self.dtype = device, dtype
        self.peak_bytes = 0
        self._left = budget_bytes
        self._held = 0
        self._dry = dry

    def make(self, shape: tuple[int, int, int]) -> Store:
        """An empty store for a map ``(C, H, W)``.

        Raises:
            DataError: There is no room for it in the folder for temporary files.
        """
        size = shape[0] * shape[1] * shape[2] * self.dtype.itemsize
        self._held += size
        self.peak_bytes = max(self.peak_bytes, self._held)
        in_memory = size <= self._left
        if self._dry:
            store: Store = _Nothing(shape)
        elif in_memory:
            store = _InMemory(shape, self.device, self.dtype)
        else:
            store = _InFile(shape, self.device, self.dtype)
        self._left -= size if in_memory else 0
        weakref.finalize(store, self._release, size, in_memory)
        return store

    def _release(self, size: int, in_memory: bool) -> None:
        self._held -= size
        self._left += size if in_memory else 0


class _Nothing:
    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.shape = shape

    def read(self, window: Window) -> Tensor:
        raise AssertionError(f"a plan holds no values (window {window})")

    def write(self, window: Window, values: Tensor) -> None:
        raise AssertionError(f"a plan holds no values (window {window}, {tuple(values.shape)})")


class _InMemory:
    def __init__(self, shape: tuple[int, int, int], device: torch.device, dtype: torch.dtype) -> None:
        self.shape = shape
        self._map = torch.empty(shape, device=device, dtype=dtype)

    def read(self, window: Window) -> Tensor:
        rows, columns = window.slices()
        return self._map[:, rows, columns].clone(memory_format=torch.contiguous_format)[None]

    def write(self, window: Window, values: Tensor) -> None:
        rows, columns = window.slices()
        self._map[:, rows, columns] = values[0]


class _InFile:
    def __init__(self, shape: tuple[int, int, int], device: torch.device, dtype: torch.dtype) -> None:
        self.shape = shape
        self._device, self._dtype = device, dtype
        self._count = shape[0] * shape[1] * shape[2]
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  (lives as long as the store)
        size = self._count * dtype.itemsize
        try:
            _reserve(self._file.fileno(), size)
        except OSError as error:
            raise DataError(
                f"a layer of {size / 2**20:.0f} MiB has no room in {tempfile.gettempdir()} ({error.strerror}): allow "
                "more memory (memory_gb, --memory-gb), or name a folder on a larger disk in the environment variable "
                "TMPDIR."
            ) from error

    def read(self, window: Window) -> Tensor:
        rows, columns = window.slices()
        copy = self._mapped()[:, rows, columns].clone(memory_format=torch.contiguous_format)
        return copy[None].to(self._device)

    def write(self, window: Window, values: Tensor) -> None:
        rows, columns = window.slices()
        self._mapped()[:, rows, columns] = values[0].cpu()

    def _mapped(self) -> Tensor:
        mapping = mmap.mmap(self._file.fileno(), 0)  # goes with the last tensor that reads it
        return torch.frombuffer(mapping, dtype=self._dtype, count=self._count).view(self.shape)


def _reserve(descriptor: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):  # a full disk is an error here, not a fault when the mapping is written
        os.posix_fallocate(descriptor, 0, size)
    else:
        os.ftruncate(descriptor, size)
