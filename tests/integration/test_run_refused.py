"""What doesn't fit is refused with a message that says what differs, and leaves everything as it was."""

import json
import os
import shutil
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
from support import (
    assert_same_run,
    files_of,
    fork,
    num_log_lines,
    state_of,
    tandem,
    tiny,
    tiny_config,
    train,
    until,
    wait_for,
    write_pairs,
)

from tandem.checkpoint.store import CheckpointStore
from tandem.training.trainer import train as train_run


@pytest.fixture
def run(finished_run: Path, tmp_path: Path) -> Path:
    """A copy of the finished run, to be changed."""
    return Path(shutil.copytree(finished_run, tmp_path / "run"))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"lambda_kl": 0.02}, ["lambda_kl: was 0.01, is 0.02"]),
        ({"size": 64}, ["size: was 32, is 64"]),
        ({"seed": 1, "batch_size": 4}, ["seed: was 0, is 1", "batch_size: was 2, is 4"]),
        ({"precision": "bf16"}, ["precision: was fp32, is bf16"]),
        ({"ema_halflife_images": 0}, ["ema_halflife_images: was 10000, is 0"]),
        ({"direction": "BtoA"}, ["direction: was AtoB, is BtoA"]),
    ],
)
def test_another_configuration(data: Path, run: Path, options: dict[str, Any], says: list[str]) -> None:
    before = files_of(run)
    refused = tandem("train", data, "--out", run, *tiny(steps=20, **options))
    assert refused.status == 1
    assert "holds a run with other settings" in refused.err
    assert all(words in refused.err for words in says)
    assert refused.err.count(": was ") == len(says)
    assert f"--config {run / 'config.yaml'}" in refused.err
    after = files_of(run)
    assert {name for name in before if before[name] != after[name]} == set()
    assert all(name.startswith("cache/") for name in after.keys() - before.keys())


def test_the_advice_of_the_refusal_works(data: Path, run: Path) -> None:
    finished = tandem("train", data, "--out", run, "--config", run / "config.yaml", "--steps", "11")
    assert finished.status == 0, finished.err
    assert state_of(run)[1]["step"] == 11


def test_other_data(data: Path, run: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(data, tmp_path / "other"))
    shutil.copy(other / "train" / "00001.png", other / "train" / "00008.png")
    refused = tandem("train", other, "--out", run, *tiny(steps=20))
    assert refused.status == 1
    assert "the training data: other pairs or other names" in refused.err


def test_the_same_data_elsewhere(data: Path, run: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(data, tmp_path / "moved"))
    train(moved, run, steps=11)
    train(data, tmp_path / "whole", steps=11)
    assert_same_run(tmp_path / "whole", run)


def test_a_moved_run_goes_on(data: Path, run: Path, tmp_path: Path) -> None:
    """Also one that was copied without its hidden files."""
    (run / ".tandem.lock").unlink()
    moved = run.rename(tmp_path / "moved")
    train(data, moved, steps=11)
    assert state_of(moved)[1]["step"] == 11


def test_a_second_process_is_refused(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    pid = fork("train", data, "--out", out, *tiny(steps=10_000))
    try:
        until(lambda: num_log_lines(out) >= 1, pid)
        refused = tandem("train", data, "--out", out, *tiny(steps=10_000))
        assert refused.status == 1
        assert f"another process is training in {out}" in refused.err
        lines = num_log_lines(out)
        until(lambda: num_log_lines(out) > lines, pid)
    finally:
        os.kill(pid, signal.SIGTERM)
    assert wait_for(pid) == 143


@pytest.mark.parametrize("kind", ["file", "other files", "a dataset"])
def test_an_out_that_is_something_else(data: Path, tmp_path: Path, kind: str) -> None:
    out = tmp_path / "out"
    if kind == "file":
        out.write_text("mine")
    elif kind == "other files":
        out.mkdir()
        (out / "thesis.tex").write_text("mine")
    else:
        out = write_pairs(tmp_path / "out" / "train", 1).parent
    before = files_of(tmp_path)
    refused = tandem("train", data, "--out", out, *tiny(steps=2))
    assert refused.status == 2
    assert f"--out {out} {'is a file' if kind == 'file' else 'holds other files'}" in refused.err
    assert files_of(tmp_path) == before


def test_an_empty_folder_is_fine(data: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    train(data, tmp_path / "out", steps=1)


def test_a_folder_that_cannot_be_made(data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refused = tandem("train", data, "--out", tmp_path / "file" / "run", *tiny(steps=2))
    assert refused.status == 2
    assert f"{tmp_path / 'file'} is a file, so that nothing can lie in it" in refused.err


@pytest.mark.parametrize("options", [{"lr_schedule": "linear", "lr_decay_epochs": 1}, {"device": "cuda:99"}])
def test_a_refused_start_does_not_block_the_next(data: Path, tmp_path: Path, options: dict[str, Any]) -> None:
    """Contradictions that show only with the data at hand leave a folder that another try can use."""
    out = tmp_path / "run"
    refused = tandem("train", data, "--out", out, *tiny(steps=30, **options))
    assert refused.status == 2
    assert "--lr-decay-epochs" in refused.err or "--device cuda:99" in refused.err
    train(data, out, steps=1)


@pytest.mark.parametrize("damage", ["truncated", "noise", "foreign", "one bit"])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(
    data: Path, finished_run: Path, run: Path, damage: str
) -> None:
    newest = run / "checkpoints" / "step-00000010.safetensors"
    content = newest.read_bytes()
    foreign = json.dumps({"__metadata__": {}}).encode()
    newest.write_bytes(
        {
            "truncated": content[: len(content) // 2],
            "noise": os.urandom(1000),
            "foreign": len(foreign).to_bytes(8, "little") + foreign,
            "one bit": content[:-5000] + bytes([content[-5000] ^ 1]) + content[-4999:],
        }[damage]
    )
    continued = train(data, run, steps=10)
    aside = newest.with_name(newest.name + ".damaged")
    assert f"the checkpoint {newest} cannot be used" in continued.err
    assert f"It is kept as {aside.name}, and the run goes on from step 8." in continued.err
    assert "continuing at step 8 of 10" in continued.err
    aside.unlink()
    assert_same_run(finished_run, run)


def test_no_checkpoint_that_is_whole(data: Path, run: Path) -> None:
    for file in (run / "checkpoints").iterdir():
        file.write_bytes(file.read_bytes()[:-1])
    refused = tandem("train", data, "--out", run, *tiny(steps=10))
    assert refused.status == 1
    assert "There is no other one that is whole" in refused.err


def test_the_last_checkpoints_and_the_best_are_kept(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train(data, out, steps=12, snapshot_every=1, log_every=100, keep_last=2, init_gain=1.0)
    store = CheckpointStore(out / "checkpoints")
    measured = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    scores = {line["step"]: line["fixed_l1"] for line in measured if line["kind"] == "health"}
    assert sorted(scores) == list(range(1, 13))
    best = min(scores, key=lambda step: scores[step])
    assert store.steps() == sorted({best, 11, 12})
    assert store.best_step() == best


def test_training_in_a_thread(data: Path, tmp_path: Path) -> None:
    """Only the main thread may handle signals; training elsewhere works without."""
    results = []
    worker = threading.Thread(target=lambda: results.append(train_run(tiny_config(steps=2), data, tmp_path / "run")))
    worker.start()
    worker.join()
    assert [(result.step, result.stopped_by) for result in results] == [(2, None)]
