"""Images that stay decoded: in their own type, in memory that all loader workers share, each decoded once.

The memory is a file without a name (on Linux one that never was on a disk), mapped by every process that holds the
object: forked and spawned workers see the same pages, the system frees them with the last process however it ends, and
only what has been written takes space.
"""

import math
import mmap
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

from tandem.errors import ConfigError

if sys.platform != "win32":
    import fcntl
    from multiprocessing.reduction import DupFd

_ABSENT, _BEING_WRITTEN = 0, -1  # above 0: how many images a slot holds
_HEADER = np.dtype([("used", np.int64), ("full", np.int64)])
_TYPES = tuple(map(np.dtype, ("u1", "u2", "u4", "i1", "i2", "i4", "f2", "f4", "f8")))
MOST_IMAGES = 3
"""In a slot: both of a pair, and their mask."""
_PLACE = np.dtype([("start", np.int64), ("type", np.int64), ("shape", np.int64, 3)])
_RECORD = np.dtype([("state", np.int64), ("places", _PLACE, MOST_IMAGES)])


@dataclass(frozen=True)
class Place:
    """Where an image lies among the bytes of all images.

    Attributes:
        start: Its first byte, at a multiple of the size of a value.
        dtype: The type of its values.
        shape: Of its planes, ``(C, H, W)``.
    """

    start: int
    dtype: np.dtype
    shape: tuple[int, int, int]

    @property
    def end(self) -> int:
        """The byte behind it."""
        return self.start + math.prod(self.shape) * self.dtype.itemsize


class DecodedImages:
    """Numbered slots for up to three images, filled in any order by any process; nothing is ever replaced.

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
        return int(self._records["state"][slot]) > 0

    def get(self, slot: int) -> list[np.ndarray] | None:
        """The images of a slot, each ``(C, H, W)`` in its own type, views that cannot be written; None if absent."""
        if slot not in self:
            return None
        images = [self._view(place) for place in self._places(slot)]
        for planes in images:
            planes.flags.writeable = False
        return images

    def put(self, slot: int, *images: np.ndarray) -> bool:
        """Keep the images of a slot, each ``(C, H, W)``, unless it is taken.

        Returns:
            Whether the slot is taken now; otherwise there was no room.
        """
        record = self._records[slot : slot + 1]
        with self._locked():
            if record["state"][0] != _ABSENT:
                return True
            end, places = self.used, []
            for planes in images:
                start = -(-end // planes.dtype.itemsize) * planes.dtype.itemsize
                places.append(Place(start, planes.dtype, planes.shape))
                end = places[-1].end
            if end > self.capacity:
                self._header["full"] = 1
                return False
            self._header["used"] = end
            record["state"] = _BEING_WRITTEN
        for place, planes in zip(places, images, strict=True):
            self._view(place)[:] = planes
        with self._locked():  # whoever sees the state sees all the rest
            for index, place in enumerate(places):
                record["places"][0, index] = place.start, _TYPES.index(place.dtype), place.shape
            record["state"] = len(images)
        return True

    def dense(self) -> tuple[np.ndarray, list[list[Place]]]:
        """All bytes that are held, ``(used,)``, uint8, and where the images of each slot are.

        Raises:
            ConfigError: A slot is empty.
        """
        missing = int((self._records["state"] <= 0).sum())
        if missing:
            raise ConfigError(f"{missing} of {self.num_slots} images have not been decoded: fill all slots first.")
        return self._pixels[: self.used], [self._places(slot) for slot in range(self.num_slots)]

    def _places(self, slot: int) -> list[Place]:
        record = self._records[slot]
        found = record["places"][: int(record["state"])]
        return [Place(int(start), _TYPES[int(kind)], (int(c), int(h), int(w))) for start, kind, (c, h, w) in found]

    def _view(self, place: Place) -> np.ndarray:
        return self._pixels[place.start : place.end].view(place.dtype).reshape(place.shape)

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


def planes_of(image: np.ndarray) -> np.ndarray:
    """The planes of an image ``(H, W, C)``: ``(C, H, W)``, contiguous, of the same type."""
    return np.ascontiguousarray(np.moveaxis(image, 2, 0))


def _attached(handle: Any, num_slots: int, capacity: int) -> DecodedImages:
    images = DecodedImages.__new__(DecodedImages)
    images._open(os.fdopen(handle.detach(), "r+b", buffering=0), num_slots, capacity)
    return images


def _nameless_file() -> IO[bytes]:
    if hasattr(os, "memfd_create"):  # is not bound by the size of /dev/shm, which containers keep small
        return os.fdopen(os.memfd_create("tandem-decoded"), "r+b", buffering=0)
    return tempfile.TemporaryFile(buffering=0)
