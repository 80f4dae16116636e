"""Who owns a folder, and whose file is being written, in one process and in several, until the owner ends."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tandem import locks
from tandem.errors import CheckpointError, ConfigError
from tandem.files import (
    _remove_leftovers_once,
    atomic_replace,
    belongs_to_others,
    owned,
    remove_leftovers,
    scratch_folder,
)
from tandem.locks import BUSY_NAME, LOCK_NAME, FileLock, being_written, folder_being_written, left_behind
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


def test_a_folder_that_was_left_unfinished_is_known_again(tmp_path: Path) -> None:
    out, others = tmp_path / "out", tmp_path / "others"
    others.mkdir()
    (others / "x").touch()

    def interrupted(folder: Path) -> None:
        with owned(folder, "writing to"):
            (folder / "y").touch()
            raise KeyboardInterrupt

    for folder in (out, out, others):
        with pytest.raises(KeyboardInterrupt):
            interrupted(folder)
    assert not belongs_to_others(out, "model.json")
    assert belongs_to_others(others, "model.json"), "what was there before is somebody's"
    with owned(out, "writing to"):
        pass
    assert [path.name for path in out.iterdir()] == ["y"]


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


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with a name")
def test_cleaning_does_not_wait_for_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / ".x.1-00000000.tmp"
    os.mkfifo(pipe)
    thread = threading.Thread(target=remove_leftovers, args=[tmp_path], daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    assert not pipe.exists()


@pytest.mark.parametrize("writing", [being_written, folder_being_written])
def test_what_was_taken_for_a_leftover_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writing: Callable[[Path], AbstractContextManager[object]]
) -> None:
    """Somebody cleans up between the making of a file and its lock."""
    path = tmp_path / ".x.1-00000000.tmp"
    lock, cleaned = locks.lock_handle, []

    def lock_too_late(handle: int) -> bool:
        if not cleaned:
            cleaned.append(True)
            remove_leftovers(tmp_path)
            assert not path.exists()
        return lock(handle)

    monkeypatch.setattr(locks, "lock_handle", lock_too_late)
    with writing(path):
        assert path.exists()
        remove_leftovers(tmp_path)
        assert path.exists()
    assert cleaned


@pytest.mark.parametrize("writing", [being_written, folder_being_written])
def test_somebody_is_removing_it(tmp_path: Path, writing: Callable[[Path], AbstractContextManager[object]]) -> None:
    """He holds its lock until it is gone."""
    path = tmp_path / ".x.1-00000000.tmp"
    path.touch() if writing is being_written else path.mkdir()
    remove = path.unlink if writing is being_written else path.rmdir
    with left_behind(path) as is_free:
        assert is_free
        threading.Timer(0.1, remove).start()
        with writing(path):
            assert path.exists()


def test_scratch_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a killed process has left among the temporary files of the system goes; all else there stays."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    code = (
        "import os, signal, sys, tempfile\nfrom tandem.files import scratch_folder\ntempfile.tempdir = sys.argv[1]\n"
        "with scratch_folder() as folder:\n"
        "    (folder / 'x').touch()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    (left,) = tmp_path.iterdir()
    assert (left / "x").exists()
    (tmp_path / "tandem-of-somebody").mkdir()
    _remove_leftovers_once.cache_clear()
    with scratch_folder() as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert not left.exists()
        with scratch_folder() as other:
            assert other != folder
        _remove_leftovers_once.cache_clear()
        with scratch_folder():
            assert folder.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["tandem-of-somebody"]
    _remove_leftovers_once.cache_clear()
