"""Rows that were measured before, by the content that they were measured on: an evaluation goes on where it stopped.

A cache folder holds a folder for each measurement (named by a hash of everything it depends on) with files of rows and
their keys. Several processes and evaluations may share it. Nothing in it is needed: a damaged file is measured anew.
"""

import hashlib
import logging
import time
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from tandem.files import atomic_replace, atomic_write_text, remove_leftovers

FLUSH_SECONDS = 5.0
"""Least time between two files: a killed process loses what it measured in this time."""

_DAMAGES = (ValueError, OSError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)

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
        self._rows: dict[str, np.ndarray] = {}
        self._new: list[str] = []
        self._clock, self._flushed = clock, clock()
        if self._folder is not None and self._folder.is_dir():
            remove_leftovers(self._folder)
            for file in sorted(self._folder.glob("*.npz")):
                self._read(file)
        self.num_known = len(self._rows)

    def get(self, key: str) -> np.ndarray | None:
        """The row of a content, if it is known."""
        return self._rows.get(key)

    def put(self, keys: Sequence[str], rows: Sequence[np.ndarray]) -> None:
        """Take rows in, all of one shape and type, and write them if the last writing was some time ago."""
        for key, row in zip(keys, rows, strict=True):
            if key not in self._rows:
                self._new.append(key)
                self._rows[key] = row
        if self._clock() - self._flushed >= FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what is new."""
        self._flushed = self._clock()
        new, self._new = self._new, []
        if self._folder is None or not new:
            return
        described = self._folder / "spec.json"
        if not described.is_file():
            atomic_write_text(described, self._spec + "\n")
        rows = np.stack([self._rows[key] for key in new])

        def write(temporary: Path) -> None:
            with temporary.open("wb") as file:
                np.savez(file, keys=np.array(new), rows=rows)

        atomic_replace(self._folder / f"{hash_of(*new)[:32]}.npz", write)

    def _read(self, file: Path) -> None:
        try:
            with np.load(file, allow_pickle=False) as arrays:
                keys, rows = arrays["keys"].tolist(), arrays["rows"]
            if len(keys) != len(rows) or not all(isinstance(key, str) for key in keys):
                raise ValueError("keys and rows do not belong together")
        except _DAMAGES as error:
            log.warning("%s is damaged and will be computed anew: %s", file, error)
            file.unlink(missing_ok=True)
            return
        self._rows.update(zip(keys, rows, strict=True))


def hash_of(*parts: str) -> str:
    """SHA-256 of texts, as hexadecimal digits."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
