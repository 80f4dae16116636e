"""Files are whole or not there, whatever interrupts the writer."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tandem.files import (
    atomic_replace,
    atomic_write_bytes,
    atomic_write_text,
    belongs_to_others,
    remove_leftovers,
    remove_leftovers_of,
)
from tandem.locks import BUSY_NAME


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_writes_bytes_and_text_into_new_folders(tmp_path: Path) -> None:
    atomic_write_bytes(tmp_path / "a" / "b" / "c.bin", b"\x00\xff")
    atomic_write_text(tmp_path / "a" / "b" / "c.txt", "größer →\r\n")
    assert (tmp_path / "a" / "b" / "c.bin").read_bytes() == b"\x00\xff"
    assert (tmp_path / "a" / "b" / "c.txt").read_bytes() == "größer →\r\n".encode()
    assert names(tmp_path / "a" / "b") == ["c.bin", "c.txt"]
    atomic_write_text(tmp_path / "odd.md", os.fsdecode(b"run-\xc4"))  # a name that is no text
    assert (tmp_path / "odd.md").read_text("utf-8") == "run-\\udcc4"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, OSError])
def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "x"
    path.write_text("old")

    def write(temporary: Path) -> None:
        assert temporary.parent == tmp_path  # the same file system, or the rename would copy
        temporary.write_text("ne")
        assert path.read_text() == "old"
        raise error

    with pytest.raises(error):
        atomic_replace(path, write)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["x"]


def test_a_writer_that_writes_nothing_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("old")
    with pytest.raises(FileNotFoundError):
        atomic_replace(path, lambda _: None)
    assert path.read_text() == "old"


def test_leftovers_of_a_killed_writer_are_removed(tmp_path: Path) -> None:
    """A real kill in the middle of a write."""
    code = (
        "import os, pathlib, signal, sys\n"
        "from tandem.files import atomic_replace\n"
        "def write(p):\n"
        "    p.write_bytes(b'half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "atomic_replace(pathlib.Path(sys.argv[1]), write)\n"
    )
    path = tmp_path / "x.bin"
    path.write_bytes(b"old")
    (tmp_path / ".hidden").write_text("kept")
    (tmp_path / "other.tmp").write_text("kept")
    result = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert result.returncode == -9
    assert path.read_bytes() == b"old"
    assert len(names(tmp_path)) == 4
    remove_leftovers(tmp_path)
    assert names(tmp_path) == [".hidden", "other.tmp", "x.bin"]


def test_removing_leftovers_of_no_folder_does_nothing(tmp_path: Path) -> None:
    remove_leftovers(tmp_path / "nothing")
    assert names(tmp_path) == []


def test_leftovers_of_one_file(tmp_path: Path) -> None:
    """Of names with the signs of patterns too; everything else in the folder is somebody else's."""
    theirs = [".y.mp4.7.tmp", ".x.mp4", "x.mp4.7.tmp", ".xx.mp4.7.tmp", ".[x].mp4.1.tmp"]
    for name in [*theirs, "x.mp4", ".x.mp4.7.tmp", ".x.mp4.1234.tmp"]:
        (tmp_path / name).touch()
    remove_leftovers_of(tmp_path / "x.mp4")
    assert names(tmp_path) == sorted([*theirs, "x.mp4"])
    remove_leftovers_of(tmp_path / "[x].mp4")
    assert names(tmp_path) == sorted([*theirs[:-1], "x.mp4"])
    remove_leftovers_of(tmp_path / "none" / "x.mp4")


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_files_follow_the_umask(tmp_path: Path, umask: int, mode: int) -> None:
    """Whatever their writer does, and whatever an older file had."""

    def private(path: Path) -> None:
        path.write_bytes(b"1")
        path.chmod(0o600)

    before = os.umask(umask)
    try:
        atomic_write_bytes(tmp_path / "x", b"1")
        atomic_replace(tmp_path / "y", private)
        (tmp_path / "z").touch(0o600)
        atomic_write_bytes(tmp_path / "z", b"1")
    finally:
        os.umask(before)
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in "xyz"] == [mode] * 3


@pytest.mark.parametrize("name", ["x" * 255, "\u732b" * 85, "[" * 250])
def test_names_as_long_as_they_may_be(tmp_path: Path, name: str) -> None:
    """The temporary file of such a name has another one, and is found again."""
    path = tmp_path / name
    atomic_write_bytes(path, b"1")

    def die(temporary: Path) -> None:
        temporary.write_bytes(b"half")
        temporary.rename(tmp_path / f"{temporary.name[:-8]}0.tmp")  # as a killed process would leave it

    with pytest.raises(FileNotFoundError):
        atomic_replace(path, die)
    assert len(names(tmp_path)) == 2
    remove_leftovers_of(path)
    assert names(tmp_path) == [name]


def test_whose_a_folder_is(tmp_path: Path) -> None:
    """A mark says it, and so does the lock that a killed owner has left; what killed writers leave says nothing."""
    assert not belongs_to_others(tmp_path / "missing")
    assert not belongs_to_others(tmp_path)
    (tmp_path / ".weights.1-2.tmp").write_bytes(b"half")
    assert not belongs_to_others(tmp_path, "model.json")
    (tmp_path / "weights").write_bytes(b"whole")
    assert belongs_to_others(tmp_path, "model.json")
    (tmp_path / BUSY_NAME).touch()
    assert not belongs_to_others(tmp_path, "model.json")
    (tmp_path / BUSY_NAME).unlink()
    (tmp_path / "model.json").touch()
    assert not belongs_to_others(tmp_path, "model.json")
    assert belongs_to_others(tmp_path, "index.json")
