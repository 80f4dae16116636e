"""Who owns a folder, and whose file is being written, in one process and in several, until the owner ends."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tandem.errors import CheckpointError, ConfigError
from tandem.files import atomic_replace, owned, remove_leftovers
from tandem.locks import BUSY_NAME, LOCK_NAME, FileLock
from tandem.training.run_folder import RunFolder


def taken_elsewhere(path: Path) -> bool:
    """Whether another process finds the lock taken."""
    code = "import sys, pathlib, tandem.locks as l; sys.exit(l.FileLock(pathlib.Path(sys.argv[1])).acquire())"
    return subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == 0


def test_one_process_gets_a_lock_once(tmp_path: Path) -> None:
    one, other = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert one.acquire()
    assert not other.acquire()
    (tmp_path / "lock").read_bytes()  # with POSIX record locks that would let go of it
    shutil.copytree(tmp_path, tmp_path.with_name("copy"))
    assert taken_elsewhere(tmp_path / "lock")
    one.release()
    one.release()
    assert other.acquire()
    other.release(remove=True)
    assert not (tmp_path / "lock").exists()


def test_a_run_in_one_process(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run") as run:
        with pytest.raises(CheckpointError, match="another process is training in"), RunFolder(tmp_path / "run"):
            pass
        assert taken_elsewhere(tmp_path / "run" / LOCK_NAME)
        (tmp_path / "run").rename(tmp_path / "moved")
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / LOCK_NAME).touch()
        with pytest.raises(CheckpointError, match="has been removed, moved or replaced while it was trained"):
            run.require_there()


def test_a_lock_whose_file_was_removed_is_not_held(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock")
    assert lock.acquire()
    assert lock.is_held()
    (tmp_path / "lock").unlink()
    assert not lock.is_held()
    lock.release(remove=True)
    assert not lock.is_held()


def test_an_owned_folder(tmp_path: Path) -> None:
    out = tmp_path / "a" / "out"
    with owned(out, "writing to"):
        with (
            pytest.raises(ConfigError, match=f"another process is writing to {out}: wait for it, stop it"),
            owned(out, "writing to"),
        ):
            pass
        (out / "x").touch()
    assert [path.name for path in out.iterdir()] == ["x"]
    with pytest.raises(ZeroDivisionError), owned(tmp_path / "b" / "new", "writing to"):
        raise ZeroDivisionError
    assert not (tmp_path / "b").exists()


def test_patience(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / BUSY_NAME)
    assert lock.acquire()
    threading.Timer(0.3, lock.release).start()
    with owned(tmp_path, "writing to", patience_seconds=20):
        pass


def test_a_killed_owner_owns_nothing(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, sys\nfrom tandem.files import atomic_replace, owned\n"
        "def write(path):\n"
        "    path.write_bytes(b'half')\n"
        "    os.write(1, b'%d\\n' % os.fork())\n"  # the child says 0 once it has let go of its copy of the lock
        "    import signal; signal.pause()\n"
        "with owned(pathlib.Path(sys.argv[1]), 'writing to'):\n"
        "    atomic_replace(pathlib.Path(sys.argv[1]) / 'x', write)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    children = {int(process.stdout.readline()) for _ in range(2)} - {0}
    try:
        remove_leftovers(tmp_path)
        assert len(list(tmp_path.glob(".x.*.tmp"))) == 1  # its writer lives
        with pytest.raises(ConfigError), owned(tmp_path, "writing to"):
            pass
        process.kill()
        process.wait()
        with owned(tmp_path, "writing to"):
            assert list(tmp_path.glob(".x.*.tmp")) == []
        assert list(tmp_path.iterdir()) == []
    finally:
        process.stdout.close()
        for child in children:
            os.kill(child, signal.SIGKILL)


def test_cleaning_leaves_what_this_process_writes(tmp_path: Path) -> None:
    def write(temporary: Path) -> None:
        temporary.write_bytes(b"whole")
        remove_leftovers(tmp_path)

    atomic_replace(tmp_path / "x", write)
    assert (tmp_path / "x").read_bytes() == b"whole"
