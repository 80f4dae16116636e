"""Images that stay decoded: uint8, in memory that all loader workers share, each decoded once.

The memory is a file without a name (on Linux one that never was on a disk), mapped by every process that holds the
object: forked and spawned workers see the same pages, the system frees them with the last process however it ends, and
only what has been written takes space.
"""

import mmap
import os
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any

import numpy as np

from tandem.errors import ConfigError

if sys.platform != "win32":
    import fcntl
    from multiprocessing.reduction import DupFd

_ABSENT, _BEING_WRITTEN = 0, -1
_HEADER = np.dtype([("used", np.int64), ("full", np.int64)])
_RECORD = np.dtype([("start", np.int64), ("channels", np.int64), ("height", np.int64), ("width", np.int64)])


class DecodedImages:
    """Numbered slots for groups of images of one size, filled in any order by any process; nothing is ever replaced.

    Args:
        num_slots: How many there are.
        capacity: Most bytes of pixels that are held; what does not fit is not kept.

    Raises:
        ConfigError: A number is not positive.
    """

    def __init__(self, num_slots: int, capacity: int) -> None:
        if min(num_slots, capacity) < 1:
            raise ConfigError(f"{num_slots} slots and {capacity} bytes were asked for; both must be at least 1.")
        self._open(_nameless_file(), num_slots, capacity)

    def _open(self, file: IO[bytes], num_slots: int, capacity: int) -> None:
        self.num_slots, self.capacity = num_slots, capacity
        self._file = file
        pixels = _HEADER.itemsize + num_slots * _RECORD.itemsize
        if os.fstat(file.fileno()).st_size == 0:
            os.ftruncate(file.fileno(), pixels + capacity)  # a hole: it takes space where it is written
        mapped = mmap.mmap(file.fileno(), pixels + capacity)
        self._header = np.frombuffer(mapped, _HEADER, 1)[0]
        self._records = np.frombuffer(mapped, _RECORD, num_slots, _HEADER.itemsize)
        self._pixels = np.frombuffer(mapped, np.uint8, capacity, pixels)
        self._threads = threading.Lock()

    @property
    def used(self) -> int:
        """Bytes of pixels that are held."""
        return int(self._header["used"])

    @property
    def full(self) -> bool:
        """Whether something did not fit."""
        return bool(self._header["full"])

    def __contains__(self, slot: int) -> bool:
        return int(self._records["start"][slot]) > 0

    def get(self, slot: int) -> np.ndarray | None:
        """The planes of a slot's images, ``(sum of C, H, W)``, uint8, a view that cannot be written; None if absent."""
        start, channels, height, width = map(int, self._records[slot])
        if start in (_ABSENT, _BEING_WRITTEN):
            return None
        planes = self._pixels[start - 1 : start - 1 + channels * height * width].reshape(channels, height, width)
        planes.flags.writeable = False
        return planes

    def put(self, slot: int, planes: np.ndarray) -> bool:
        """Keep planes ``(C, H, W)``, uint8, unless the slot is taken.

        Returns:
            Whether the slot is taken now; otherwise there was no room.
        """
        record, size = self._records[slot : slot + 1], planes.size
        with self._locked():
            if record["start"][0] != _ABSENT:
                return True
            begin = self.used
            if begin + size > self.capacity:
                self._header["full"] = 1
                return False
            self._header["used"] = begin + size
            record["start"] = _BEING_WRITTEN
        self._pixels[begin : begin + size].reshape(planes.shape)[:] = planes
        with self._locked():  # whoever sees the start sees all the rest
            record["channels"], record["height"], record["width"] = planes.shape
            record["start"] = begin + 1
        return True

    def dense(self) -> tuple[np.ndarray, np.ndarray]:
        """All pixels that are held, ``(used,)``, uint8, and where they are.

        Returns:
            The pixels; and ``(num_slots, 4)``, int64: start, channels, height, width of each slot.

        Raises:
            ConfigError: A slot is empty.
        """
        missing = int((self._records["start"] <= 0).sum())
        if missing:
            raise ConfigError(f"{missing} of {self.num_slots} images have not been decoded: fill all slots first.")
        places = np.stack([self._records[name] for name in _RECORD.names or ()], axis=1)
        return self._pixels[: self.used], places - np.array([1, 0, 0, 0])

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Exclude other threads and processes; the system drops a lock with its process."""
        with self._threads:
            fcntl.lockf(self._file.fileno(), fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.lockf(self._file.fileno(), fcntl.LOCK_UN)

    def __reduce__(self) -> tuple[Any, ...]:
        return _attached, (DupFd(self._file.fileno()), self.num_slots, self.capacity)


def planes_of(images: Sequence[np.ndarray]) -> np.ndarray:
    """The planes of images ``(H, W, C)`` of one size, one image after the other: ``(sum of C, H, W)``, contiguous."""
    return np.concatenate([np.moveaxis(image, 2, 0) for image in images])


def _attached(handle: Any, num_slots: int, capacity: int) -> DecodedImages:
    images = DecodedImages.__new__(DecodedImages)
    images._open(os.fdopen(handle.detach(), "r+b", buffering=0), num_slots, capacity)
    return images


def _nameless_file() -> IO[bytes]:
    if hasattr(os, "memfd_create"):  # is not bound by the size of /dev/shm, which containers keep small
        return os.fdopen(os.memfd_create("tandem-decoded"), "r+b", buffering=0)
    return tempfile.TemporaryFile(buffering=0)
