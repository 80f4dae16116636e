"""A run that is killed at any moment, also while it writes, goes on to the same end."""

import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import (
    assert_page_is_whole,
    assert_same_run,
    finish,
    fork,
    leftovers,
    num_log_lines,
    start,
    state_of,
    tandem,
    tiny,
    train,
    until,
    wait_for,
)

FILE_EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.truncate"}


def killed_at(count: int, folder: Path) -> Callable[[], None]:
    """Makes a process kill itself just before it touches a file in `folder` for the `count`-th time."""

    def install() -> None:
        left = count

        def hook(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal left
            if event in FILE_EVENTS and str(arguments[0]).startswith(str(folder)):
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)

    return install


def assert_ends_like(reference: Path, out: Path, command: list[str | Path]) -> None:
    """What is there after a kill can be read; the same command then ends like the uninterrupted run."""
    if (out / "checkpoints").is_dir() and any((out / "checkpoints").glob("step-*")):
        state_of(out)
    finished = tandem(*command)
    assert finished.status == 0, finished.err
    assert_same_run(reference, out)
    assert leftovers(out) == []
    assert_page_is_whole(out / "index.html", least=1)
    assert_page_is_whole(out / "samples" / "index.html", least=8)


@pytest.mark.parametrize("seed", [0, 1])
def test_killed_at_random_touches_of_files(data: Path, finished_run: Path, tmp_path: Path, seed: int) -> None:
    """Again and again, each time somewhere else, until a process comes to the end."""
    out = tmp_path / "run"
    command: list[str | Path] = ["train", data, "--out", out, *tiny(steps=10)]
    moments = random.Random(seed)
    kills = 0
    while wait_for(fork(*command, before=killed_at(moments.randint(20, 80 + 20 * kills), out))) == -signal.SIGKILL:
        kills += 1
        assert kills < 50
    assert kills >= 2
    assert_ends_like(finished_run, out, command)


@pytest.mark.slow
def test_killed_at_every_touch_of_a_file(data: Path, tmp_path: Path) -> None:
    train(data, tmp_path / "whole", steps=5, snapshot_every=2)
    for count in range(1, 1000):
        out = tmp_path / f"run-{count}"
        command: list[str | Path] = ["train", data, "--out", out, *tiny(steps=5, snapshot_every=2)]
        if wait_for(fork(*command, before=killed_at(count, out))) == 0:
            assert count > 50
            return
        assert_ends_like(tmp_path / "whole", out, command)
        shutil.rmtree(out)


@pytest.mark.parametrize("options", [{}, {"method": "tandem", "batch_size": 2}], ids=["default", "tandem"])
def test_killed_after_random_times(data: Path, tmp_path: Path, options: dict[str, Any]) -> None:
    out, whole = tmp_path / "run", tmp_path / "whole"
    train(data, whole, steps=25, **options)
    command: list[str | Path] = ["train", data, "--out", out, *tiny(steps=25, **options)]
    delays = random.Random(1)
    for _ in range(4):
        pid = fork(*command)
        time.sleep(delays.uniform(0.2, 1.0))
        os.kill(pid, signal.SIGKILL)
        assert wait_for(pid) in {-signal.SIGKILL, 0}
    assert_ends_like(whole, out, command)


def test_a_killed_process_with_workers_can_be_followed_at_once(data: Path, tmp_path: Path) -> None:
    """Workers outlive a killed process by some seconds; the lock on the folder must not."""
    out, whole = tmp_path / "run", tmp_path / "whole"
    options = tiny(steps=16, num_workers=1)
    process = start("train", data, "--out", out, *options)
    until(lambda: num_log_lines(out) >= 4, process.pid)
    process.kill()
    process.wait()
    assert state_of(out)[1]["step"] < 16
    finished = tandem("train", data, "--out", out, *options)
    process.communicate()
    assert finished.status == 0, finished.err
    assert "continuing at step" in finished.err
    train(data, whole, steps=16)
    assert_same_run(whole, out)


HALF_WRITTEN = """
import os, sys, tandem.tensors as tensors
from tandem.cli import main
whole = tensors._write_file
def half(path, values, text):
    whole(path, values, text)
    if "step-00000008" in str(path):
        os.truncate(path, os.path.getsize(path) // 2)
        os.kill(os.getpid(), 9)
tensors._write_file = half
main(sys.argv[1:])
"""


def test_killed_in_the_middle_of_a_checkpoint(data: Path, finished_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    command: list[str | Path] = ["train", data, "--out", out, *tiny(steps=10)]
    assert finish(start(*command, code=HALF_WRITTEN)).status == -signal.SIGKILL
    assert [path.name for path in leftovers(out / "checkpoints")] != []
    assert state_of(out)[1]["step"] == 4
    assert_ends_like(finished_run, out, command)


def test_leftovers_anywhere_are_removed(data: Path, finished_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train(data, out, steps=5)
    for folder in (".", "checkpoints", "model", "gallery", "cache", "samples", "samples/images"):
        (out / folder / ".half.png.4711.tmp").write_bytes(b"half")
    (out / "metrics.jsonl").open("a").write('{"kind": "train", "st')
    assert_ends_like(finished_run, out, ["train", data, "--out", out, *tiny(steps=10)])
