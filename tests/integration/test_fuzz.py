"""Some inputs for every reader of foreign bytes; `make fuzz` goes on with them by the million."""

import io
import random
import tarfile
import zipfile
from pathlib import Path

import pytest

from tandem.errors import DataError
from tools.faults.fuzz import mutate
from tools.faults.fuzz.readers import ALL_READERS, Reader
from tools.faults.fuzz.watch import make_input, try_inputs
from tools.faults.ground import Ground

INPUTS, TRIED = 12, 30


@pytest.mark.parametrize("reader", ALL_READERS, ids=lambda reader: reader.name)
def test_a_reader_refuses_or_takes(ground: Ground, reader: Reader) -> None:
    batch = try_inputs(ground, reader, range(INPUTS), seed=1)
    assert batch.tried == INPUTS
    assert batch.found == ()


def test_genuine_files_are_taken(ground: Ground, tmp_path: Path) -> None:
    """Else the changed ones would be refused for nothing."""
    for reader in ALL_READERS:
        folder = tmp_path / reader.name
        folder.mkdir()
        read = reader.prepare(ground, folder)
        whole = reader.seeds(ground)
        for content in whole if reader.name != "onnx" else whole[:1]:
            read(content)


def test_what_no_input_may_do_is_found(ground: Ground, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    actions = [
        lambda: None,
        lambda: (_ for _ in ()).throw(DataError("fine")),
        lambda: (_ for _ in ()).throw(KeyError("bug")),
        lambda: outside.write_bytes(b""),
        lambda: bytearray(3 << 30),
        lambda: __import__("os")._exit(3),
    ]
    reader = Reader(
        "bad",
        lambda _: [b"0" * 8],
        lambda _, __: lambda content: actions[int(content)](),
        lambda _, draws: str(int(draws.random() * 6)).encode(),
    )
    wanted = [int(make_input(reader, [b"0"], number, 0)) for number in range(TRIED)]
    assert set(wanted) == set(range(6))
    batch = try_inputs(ground, reader, range(TRIED), seed=0)
    assert (batch.tried, batch.taken) == (TRIED, wanted.count(0))
    assert {one.number for one in batch.found} == {number for number, kind in enumerate(wanted) if kind >= 2}
    told = {wanted[one.number]: one.wrong for one in batch.found}
    assert "KeyError: " in told[2]
    assert f"it writes outside: open {outside}" in told[3]
    assert "MemoryError" in told[4]
    assert "the process ended with 3" in told[5]


def test_changed_formats_have_right_sums() -> None:
    """So readers get beyond them."""
    draws = random.Random(0)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a", b"a" * 100)
    packed = [mutate.of_zip(buffer.getvalue(), draws) for _ in range(100)]
    assert sum(whole_zip(content) for content in packed) > 50
    assert len(set(packed)) > 70
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("a"), io.BytesIO())
    headers = [mutate.of_tar(buffer.getvalue(), draws)[:512] for _ in range(100)]
    assert sum(whole_header(header) for header in headers) > 50


def whole_header(header: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(header, "utf-8", "replace")
    except tarfile.HeaderError:
        return False
    return True


def whole_zip(content: bytes) -> bool:
    try:
        return zipfile.ZipFile(io.BytesIO(content)).testzip() is None
    except Exception:
        return False
