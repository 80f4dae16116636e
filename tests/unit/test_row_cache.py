"""The cache of rows: whatever happens to its files, rows are right or measured anew."""

import hashlib
import io
import os
import random
import threading
from pathlib import Path

import numpy as np
import pytest

from tandem.evaluation.rows.cache import RowCache

KEYS = [f"k{number}" for number in range(5)]
ROWS = [np.full(4, number, np.float32) for number in range(5)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    cache = RowCache(tmp_path, "spec")
    cache.put(KEYS, ROWS)
    cache.flush()
    (found,) = tmp_path.rglob("*.npz")
    return found


def measured(root: Path) -> int:
    """How many rows a new cache knows, which are right; it takes new ones."""
    cache = RowCache(root, "spec")
    if cache.num_known:
        assert np.array_equal(cache.rows(KEYS), np.stack(ROWS))
    cache.put(["new"], [np.zeros(4, np.float32)])
    cache.flush()
    return cache.num_known


def test_a_file_is_named_by_its_content(file: Path, tmp_path: Path) -> None:
    assert file.stem == hashlib.sha256(file.read_bytes()).hexdigest()
    assert measured(tmp_path) == 5


def test_flipped_bits_and_cuts_are_measured_anew(file: Path, tmp_path: Path) -> None:
    whole = file.read_bytes()
    generator = random.Random(0)
    flips = [generator.randrange(len(whole) * 8) for _ in range(200)]
    damaged = [whole[: bit // 8] + bytes([whole[bit // 8] ^ 1 << bit % 8]) + whole[bit // 8 + 1 :] for bit in flips]
    for content in [*damaged, *(whole[:size] for size in range(0, len(whole), 97))]:
        for other in tmp_path.rglob("*.npz"):
            other.unlink()
        file.write_bytes(content)
        assert measured(tmp_path) == 0
        assert not file.exists()


def npz(**arrays: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.savez(content, **arrays)  # type: ignore[arg-type]
    return content.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        npz(keys=np.array(["a", "b"]), rows=np.zeros((2, 3), np.float32)),
        npz(keys=np.array(["a"]), rows=np.float32(1)),  # type: ignore[arg-type]
        b"",
        b"PK\x03\x04",
    ],
)
def test_files_of_others_are_not_taken(file: Path, tmp_path: Path, content: bytes) -> None:
    file.with_name("0.npz").write_bytes(content)
    assert measured(tmp_path) == 5


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with a name")
def test_a_pipe_is_not_waited_for(file: Path, tmp_path: Path) -> None:
    file.unlink()
    os.mkfifo(file)
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(measured(tmp_path)), daemon=True)
    thread.start()
    thread.join(10)
    assert found == [0]
    assert not file.exists()


def test_a_file_that_cannot_be_read(tmp_path: Path, file: Path) -> None:
    file.unlink()
    file.mkdir()
    assert measured(tmp_path) == 0


def npz(**arrays: object) -> bytes:
    content = io.BytesIO()
    np.savez(content, **arrays)  # type: ignore[arg-type]
    return content.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"no archive",
        npz(other=np.zeros(3)),
        npz(keys=np.array(KEYS), rows=np.float32(1)),
        npz(keys=np.array(KEYS), rows=np.zeros((4, 4), np.float32)),
        npz(keys=np.array(KEYS), rows=np.array(KEYS)),
        npz(keys=np.arange(5), rows=np.zeros((5, 4), np.float32)),
        npz(keys=np.array(KEYS), rows=np.zeros((5, 4), np.float32)).replace(b"(5, 4), }", b"(5, 4  } "),
        npz(keys=np.array(KEYS), rows=np.zeros((5, 4), np.float32)).replace(b"(5, 4), }       ", b"(10000000000000}"),
    ],
)
def test_files_that_bear_their_own_hash_and_hold_something_else(tmp_path: Path, file: Path, content: bytes) -> None:
    """What others have put there is measured anew too, and what was right before stays."""
    bad = file.with_name(f"{hashlib.sha256(content).hexdigest()}.npz")
    bad.write_bytes(content)
    assert measured(tmp_path) == 5
    assert not bad.exists()


def test_a_file_with_rows_of_another_width(tmp_path: Path, file: Path) -> None:
    """Alone it is taken for what it says, until the first row is measured."""
    content = npz(keys=np.array(["a"]), rows=np.zeros((1, 3), np.float32))
    file.with_name(f"{hashlib.sha256(content).hexdigest()}.npz").write_bytes(content)
    file.unlink()
    cache = RowCache(tmp_path, "spec")
    assert cache.knows(["a"])
    cache.put(KEYS, ROWS)
    assert not cache.knows(["a"])
    assert np.array_equal(cache.rows(KEYS), np.stack(ROWS))


@pytest.mark.parametrize("kind", [">f4", "f8", "i4"])
def test_rows_of_another_type_are_measured_anew(tmp_path: Path, file: Path, kind: str) -> None:
    """Of the other order of bytes too, where all files of a folder agree on it."""
    file.unlink()
    content = npz(keys=np.array(KEYS), rows=np.stack(ROWS).astype(kind))
    file.with_name(f"{hashlib.sha256(content).hexdigest()}.npz").write_bytes(content)
    cache = RowCache(tmp_path, "spec")
    assert cache.num_known == 5
    cache.put(["new"], ROWS[:1])
    assert not cache.knows(KEYS)
    assert np.array_equal(cache.rows(["new"]), np.stack(ROWS[:1]))
