"""The command line under torchrun: one run of two processes; a killed one, and a restart by torchrun itself."""

import json
import os
import signal
import time
from pathlib import Path

import pytest
from process_groups import Torchrun, gone, processes_with, run_forked
from support import assert_page_is_whole, assert_same_run, leftovers, num_log_lines, state_of, tiny, until

LONG = {"batch_size": 4, "steps": 24, "log_every": 1, "snapshot_every": 7, "num_workers": 1}


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The long run, undisturbed."""
    folder = tmp_path_factory.mktemp("long")
    run_forked("train", data, "--out", folder / "run", *tiny(**LONG), logs=folder)
    return folder / "run"


def test_everything_is_said_and_written_once(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    options = tiny(batch_size=4, steps=10)
    with Torchrun("train", data, "--out", out, *options, log=tmp_path / "log") as job:
        finished = job.finish()
    assert finished.status == 0, finished.out
    lines = finished.out.splitlines()
    for text in (
        "train: 7 pairs",
        "training on 2 processes, each on cpu (1 thread)",
        "checking images: done",
        "model: ",
    ):
        assert len([line for line in lines if line.startswith(text)]) == 1, finished.out
    assert "rank" not in finished.out
    records = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [(r["kind"], r["step"]) for r in records] == [
        ("train", 1),
        ("train", 3),
        ("health", 4),
        ("train", 6),
        ("health", 8),
        ("train", 9),
        ("health", 10),
    ]
    trained = [record["speed"] for record in records if record["kind"] == "train"]
    assert [speed["world_size"] for speed in trained] == [2] * 4
    assert len(list((out / "checkpoints").iterdir())) == 2
    assert_page_is_whole(out / "index.html", least=3)
    assert_page_is_whole(out / "samples" / "index.html", least=4)
    assert leftovers(out) == []
    run_forked("train", data, "--out", tmp_path / "forked", *options, logs=tmp_path)
    assert_same_run(tmp_path / "forked", out)


@pytest.mark.parametrize("rank", [pytest.param(0, marks=pytest.mark.slow), 1])
def test_a_killed_process_ends_the_job(data: Path, whole: Path, tmp_path: Path, rank: int) -> None:
    """Within a minute, with a message and no process left; the same command goes on to the same end."""
    out = tmp_path / "run"
    with Torchrun("train", data, "--out", out, *tiny(**LONG), log=tmp_path / "log") as job:
        until(lambda: num_log_lines(out) >= 9, job.process.pid)
        os.kill(job.workers()[rank], signal.SIGKILL)
        begun = time.monotonic()
        finished = job.finish()
        assert time.monotonic() - begun < 60
    assert finished.status != 0
    assert "lost contact with another process of this command" in finished.out
    assert "The same command continues" in finished.out
    assert "[rank 1] tandem train" in finished.out if rank == 0 else "\ntandem train" in finished.out
    assert gone(str(out), 15), processes_with(str(out))
    run_forked("train", data, "--out", out, *tiny(**LONG), logs=tmp_path)
    assert_same_run(whole, out)
    assert leftovers(out) == []


@pytest.mark.slow
def test_torchrun_starts_a_failed_job_again(data: Path, whole: Path, tmp_path: Path) -> None:
    """It continues from the last checkpoint, although a lock lies on the folder of the run."""
    out = tmp_path / "run"
    words = tiny(**LONG)
    with Torchrun("train", data, "--out", out, *words, log=tmp_path / "log", options=["--max-restarts", "1"]) as job:
        until(lambda: num_log_lines(out) >= 9, job.process.pid)
        os.kill(job.workers()[0], signal.SIGKILL)
        finished = job.finish()
    assert finished.status == 0, finished.out
    assert "continuing at step 7 of 24" in finished.out
    assert_same_run(whole, out)


def test_a_signal_to_torchrun_stops_the_run(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = tiny(**LONG | {"steps": 400})
    with Torchrun("train", data, "--out", out, *words, log=tmp_path / "log") as job:
        until(lambda: num_log_lines(out) >= 9, job.process.pid)
        job.process.send_signal(signal.SIGTERM)
        finished = job.finish()
    step = state_of(out)[1]["step"]
    assert 9 <= step < 400
    assert f"SIGTERM: saved step {step}; the same command continues" in finished.out
    assert gone(str(out), 15), processes_with(str(out))
