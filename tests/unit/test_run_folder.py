"""The folder of a run: whose it is, who may write there, what is cleaned up."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from tandem.errors import CheckpointError, ConfigError
from tandem.locks import LOCK_NAME
from tandem.training.run_folder import RunFolder


def test_paths_lie_inside(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "name")
    paths = [run.config, run.metrics, run.page, run.gallery, run.checkpoints, run.model, run.samples]
    paths += [run.tensorboard, run.csv, run.wandb, run.cache]
    assert len(set(paths)) == len(paths)
    assert {path.parent for path in paths} == {run.root}
    assert not run.root.exists()


def test_the_name_is_the_folder_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shoes").mkdir()
    monkeypatch.chdir(tmp_path / "shoes")
    assert RunFolder(Path()).name == "shoes"
    assert RunFolder(tmp_path / "bags").name == "bags"


def test_entering_makes_and_locks(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "a" / "b") as run:
        assert run.root.is_dir()
        run.write_config("steps: 1\n")
    assert run.config.read_text() == "steps: 1\n"
    with RunFolder(tmp_path / "a" / "b"):
        pass


@pytest.mark.parametrize("name", [LOCK_NAME, "config.yaml"])
def test_either_mark_makes_a_folder_ours(tmp_path: Path, name: str) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(ConfigError, match="holds other files"), RunFolder(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    (tmp_path / name).write_text("")
    with RunFolder(tmp_path):
        pass


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="is a file: give a folder"), RunFolder(tmp_path / "file"):
        pass


def test_leftovers_are_removed_once_the_folder_is_locked(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in (".", "gallery", "model", "cache")]
    (tmp_path / "config.yaml").write_text("")
    for folder in folders:
        folder.mkdir(exist_ok=True)
        (folder / ".x.1.tmp").write_text("half")
        (folder / "x.tmp").write_text("whole")
    with RunFolder(tmp_path):
        pass
    assert [(folder / ".x.1.tmp").exists() for folder in folders] == [False] * 4
    assert [(folder / "x.tmp").exists() for folder in folders] == [True] * 4


def in_child(folder: Path, *, grandchild: bool = False) -> tuple[int, int]:
    """A process that holds the folder until it is killed, and a child of it that lives on; both as numbers."""
    ready, told = os.pipe()
    pid = os.fork()
    if pid == 0:
        with RunFolder(folder):
            child = os.fork() if grandchild else 0
            if not grandchild or child:
                os.write(told, f"{child}\n".encode())
            while True:
                signal.pause()
    child = int(os.read(ready, 20))
    os.close(ready)
    os.close(told)
    return pid, child


def test_another_process_is_refused_until_it_is_gone(tmp_path: Path) -> None:
    pid, _ = in_child(tmp_path)
    try:
        (tmp_path / ".x.1.tmp").write_text("being written")
        with pytest.raises(CheckpointError, match="another process is training in"), RunFolder(tmp_path):
            pass
        assert (tmp_path / ".x.1.tmp").exists()
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    with RunFolder(tmp_path):
        pass


def test_children_of_a_killed_process_do_not_hold_the_lock(tmp_path: Path) -> None:
    pid, child = in_child(tmp_path, grandchild=True)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    try:
        os.kill(child, 0)  # it is still there
        with RunFolder(tmp_path):
            pass
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_process_that_is_started_again_waits_for_its_forerunner(tmp_path: Path) -> None:
    pid, _ = in_child(tmp_path)
    timer = threading.Timer(0.5, os.kill, (pid, signal.SIGKILL))
    timer.start()
    begun = time.monotonic()
    with RunFolder(tmp_path, patience_seconds=20):
        assert 0.4 < time.monotonic() - begun < 10
    os.waitpid(pid, 0)


def test_patience_ends(tmp_path: Path) -> None:
    pid, _ = in_child(tmp_path)
    try:
        with (
            pytest.raises(CheckpointError, match="another process is training in"),
            RunFolder(tmp_path, patience_seconds=0.3),
        ):
            pass
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def refuse_in(root: Path, *files: str) -> None:
    """Enter a run, write some files and raise, as training does that is refused."""
    with RunFolder(root) as run:
        for file in files:
            (run.root / file).parent.mkdir(parents=True, exist_ok=True)
            (run.root / file).write_text("")
        raise ZeroDivisionError


def test_a_refused_run_leaves_nothing(tmp_path: Path) -> None:
    """What entering made goes, up to the folders above it; a run that has begun stays."""
    with pytest.raises(ZeroDivisionError):
        refuse_in(tmp_path / "a" / "b", "cache/data-check-0123456789abcdef.json", "metrics.jsonl")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ZeroDivisionError):
        refuse_in(tmp_path / "a" / "b", "config.yaml")
    assert (tmp_path / "a" / "b" / "config.yaml").is_file()


def test_a_refused_run_leaves_what_is_not_its_own(tmp_path: Path) -> None:
    """A folder that was there before, shards that were fetched, a run of another call."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(ZeroDivisionError):
        refuse_in(tmp_path / "empty")
    assert list(tmp_path.rglob("*")) == [tmp_path / "empty"]
    with pytest.raises(ZeroDivisionError):
        refuse_in(tmp_path / "new", "cache/shards/train-00000.tar")
    assert sorted(path.name for path in (tmp_path / "new").rglob("*")) == ["cache", "shards", "train-00000.tar"]
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / LOCK_NAME).touch()
    with pytest.raises(ZeroDivisionError):
        refuse_in(tmp_path / "old")
    assert (tmp_path / "old" / LOCK_NAME).is_file()


def test_a_link_that_leads_nowhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to(tmp_path / "volume")
    with pytest.raises(ConfigError, match="which is not there"), RunFolder(tmp_path / "out"):
        pass
    assert not (tmp_path / "volume").exists()
