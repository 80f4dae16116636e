"""Rows that were measured before, by the content that they were measured on: an evaluation goes on where it stopped.

A cache folder holds a folder for each measurement (named by a hash of everything it depends on) with files of rows and
their keys, named by the SHA-256 of their content. Several processes and evaluations may share it. Nothing in it is
needed: a file that is not what its name says is not even parsed, and its rows are measured anew.
"""

import contextlib
import hashlib
import io
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from tandem.files import atomic_write_bytes, atomic_write_text, remove_leftovers
from tandem.foreign import open_plain
from tandem.interrupts import raise_lost

FLUSH_SECONDS = 5.0
"""Least time between two files: a killed process loses what it measured in this time."""

_FIRST_ROWS = 256

log = logging.getLogger(__name__)


class RowCache:
    """The rows of one measurement.

    Args:
        root: The cache folder; `None` keeps rows in memory only.
        spec: Everything that a row depends on beside the content.
        clock: Seconds that never go back.

    Attributes:
        num_known: Rows that were there before.
    """

    def __init__(
        self,
        root: Path | None,
        spec: str,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._spec = spec
        self._folder = None if root is None else root / hash_of(spec)[:32]
        self._places: dict[str, int] = {}
        self._pool: np.ndarray | None = None
        self._new: list[str] = []
        self._clock, self._flushed = clock, clock()
        if self._folder is not None and self._folder.is_dir():
            remove_leftovers(self._folder)
            for file in sorted(self._folder.glob("*.npz")):
                self._read(file)
        self.num_known = len(self._places)

    def __contains__(self, key: str) -> bool:
        """Whether the row of a content is known."""
        return key in self._places

    def knows(self, keys: Sequence[str]) -> bool:
        """Whether the rows of all of these contents are known."""
        return all(key in self for key in keys)

    def rows(self, keys: Sequence[str]) -> np.ndarray:
        """The rows of contents that are known, ``(N, …)``; at least one."""
        assert self._pool is not None
        return self._pool[[self._places[key] for key in keys]]

    def put(self, keys: Sequence[str], rows: Sequence[np.ndarray]) -> None:
        """Take rows in, all of one shape and type, and write them if the last writing was some time ago."""
        pool = self._pool
        if len(rows) and pool is not None and not self._new and not _alike(rows[0], pool):
            log.warning("%s holds rows of another shape or type, which are computed anew", self._folder)
            self._pool, self._places = None, {}
        for key, row in zip(keys, rows, strict=True):
            if key not in self:
                self._append(key, row)
                self._new.append(key)
        if self._clock() - self._flushed >= FLUSH_SECONDS:
            self.flush()

    def _append(self, key: str, row: np.ndarray) -> None:
        # One large array: small ones between the buffers of a network split the heap, which then grows with each batch.
        if self._pool is None:
            self._pool = np.empty((_FIRST_ROWS, *row.shape), row.dtype)
        if not _alike(row, self._pool):
            raise ValueError(
                f"a row of {row.shape} {row.dtype} among those of {self._pool.shape[1:]} {self._pool.dtype}"
            )
        if len(self._places) == len(self._pool):
            self._pool = np.concatenate([self._pool, np.empty_like(self._pool)])
        self._pool[len(self._places)] = row
        self._places[key] = len(self._places)

    def flush(self) -> None:
        """Write what is new."""
        self._flushed = self._clock()
        new, self._new = self._new, []
        if self._folder is None or not new:
            return
        described = self._folder / "spec.json"
        if not described.is_file():
            atomic_write_text(described, self._spec + "\n")
        rows = self.rows(new)
        content = io.BytesIO()
        np.savez(content, keys=np.array(new), rows=rows)
        atomic_write_bytes(self._folder / f"{hashlib.sha256(content.getbuffer()).hexdigest()}.npz", content.getvalue())

    def _read(self, file: Path) -> None:
        try:
            keys, rows = self._parse(file)
        except FileNotFoundError:  # another process has found it damaged
            return
        except Exception as error:  # nothing in it is needed, whatever somebody has made of it
            raise_lost(error)
            log.warning("%s is damaged and will be computed anew: %s", file, error)
            with contextlib.suppress(OSError):
                file.unlink()
            return
        for key, row in zip(keys, rows, strict=True):
            if key not in self:
                self._append(key, row)

    def _parse(self, file: Path) -> tuple[list[str], np.ndarray]:
        with open_plain(file) as opened:
            content = opened.read()
        if hashlib.sha256(content).hexdigest() != file.stem:
            raise ValueError("its SHA-256 is not the one that its name says")
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            keys, rows = arrays["keys"], arrays["rows"]
        if keys.ndim != 1 or keys.dtype.kind != "U" or rows.dtype.kind not in "fiu" or rows.shape[:1] != keys.shape:
            raise ValueError("it holds other things than keys and rows")
        pool = self._pool
        if pool is not None and (rows.shape[1:], rows.dtype) != (pool.shape[1:], pool.dtype):
            raise ValueError("its rows are not like those of the other files")
        return keys.tolist(), rows


def _alike(row: np.ndarray, rows: np.ndarray) -> bool:
    """Whether a row has the shape and the type of others, its order of bytes included."""
    return (row.shape, row.dtype) == (rows.shape[1:], rows.dtype)


def hash_of(*parts: str) -> str:
    """SHA-256 of texts, as hexadecimal digits."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
