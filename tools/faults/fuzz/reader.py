"""What a reader of foreign bytes is to the fuzzer."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tools.faults.fuzz import mutate
from tools.faults.ground import Ground

Read = Callable[[bytes], object]


@dataclass(frozen=True)
class Reader:
    """A reader of foreign bytes.

    Attributes:
        name: What the log and the options call it.
        seeds: Genuine files.
        prepare: Puts what lies beside the file into a folder, and gives what reads bytes there.
        change: How files are changed.
    """

    name: str
    seeds: Callable[[Ground], list[bytes]]
    prepare: Callable[[Ground, Path], Read]
    change: mutate.Mutator


def in_a_file(name: str, read: Callable[[Path], object]) -> Callable[[Ground, Path], Read]:
    """The way of most readers: the bytes are a file in an empty folder."""

    def prepare(_: Ground, folder: Path) -> Read:
        path = folder / name

        def reading(content: bytes) -> object:
            path.write_bytes(content)
            return read(path)

        return reading

    return prepare


def npz(**arrays: np.ndarray) -> bytes:
    """A file of NumPy's with some arrays."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # pyright: ignore[reportArgumentType]
    return buffer.getvalue()
