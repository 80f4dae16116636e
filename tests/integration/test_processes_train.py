"""Runs of two processes: the same as of one, resumed bit for bit, stopped and refused together."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from process_groups import forked, run_forked
from support import (
    assert_same_run,
    assert_same_state,
    first_weights_of,
    log_of,
    num_log_lines,
    state_of,
    tandem,
    tiny,
    train,
    until,
    wait_for,
)

from tandem.data.synthetic import write_dataset

OPTIONS = {"steps": 10, "batch_size": 4, "keep_last": 9}
CYCLE = {
    "method": "cyclegan",
    "generator_blocks": 1,
    "pool_size": 3,
    "encoder_filters": None,
    "latent_dim": None,
    **OPTIONS,
}
TANDEM = OPTIONS | {"method": "tandem", "gan_from": 0.0, "lr_schedule": "constant"}
"""Half a run then has the learning rate of the whole one."""


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pair")
    run_forked("train", data, "--out", folder / "run", *tiny(**OPTIONS), logs=folder)
    return folder / "run"


def moved_apart(first: Path, second: Path) -> float:
    """How far the networks of two runs lie apart, as a share of how far training has moved them."""
    start, (one, _), (other, _) = first_weights_of(first), state_of(first), state_of(second)
    names = [name for name in one if name.startswith("network/") and name.endswith("weight")]
    apart = sum(float((one[name] - other[name]).abs().sum()) for name in names)
    return apart / sum(float((one[name] - start[name]).abs().sum()) for name in names)


def test_two_processes_make_the_run_of_one(data: Path, whole: Path, tmp_path: Path) -> None:
    """The same positions, terms, weights and log, up to rounding; and everything is written once."""
    train(data, tmp_path / "one", **OPTIONS)
    assert moved_apart(tmp_path / "one", whole) < 0.01
    logs = log_of(tmp_path / "one"), log_of(whole)
    assert [(r["kind"], r["step"]) for r in logs[0]] == [(r["kind"], r["step"]) for r in logs[1]]
    for one, two in zip(*logs, strict=True):
        if one["kind"] == "train":
            assert one["losses"].keys() == two["losses"].keys()
            np.testing.assert_allclose(list(one["losses"].values()), list(two["losses"].values()), rtol=2e-3, atol=1e-6)
    assert state_of(whole)[0].keys() == state_of(tmp_path / "one")[0].keys()


def test_discriminators_of_tandem_join_two_processes_as_they_join_one(data: Path, tmp_path: Path) -> None:
    """By the losses of the whole batch, at the same step; the same run up to rounding, and the same state in both."""
    options = OPTIONS | {"method": "tandem", "log_every": 1}
    run_forked("train", data, "--out", tmp_path / "two", *tiny(**options), logs=tmp_path / "logs")
    train(data, tmp_path / "one", **options)
    (_, one), (_, two) = (state_of(tmp_path / name) for name in ("one", "two"))
    assert one["joining"]["joined_at"] == two["joining"]["joined_at"] is not None
    np.testing.assert_allclose(one["joining"]["means"], two["joining"]["means"], rtol=1e-3)
    assert moved_apart(tmp_path / "one", tmp_path / "two") < 0.02


def test_gradients_sent_early_make_the_same_run(data: Path, whole: Path, tmp_path: Path) -> None:
    """Bit by bit, checkpoints and all."""
    options = tiny(**OPTIONS, overlap="on")
    run_forked("train", data, "--out", tmp_path / "run", *options, logs=tmp_path / "logs")
    assert_same_state(whole, tmp_path / "run")


@pytest.mark.parametrize("options", [OPTIONS, CYCLE, TANDEM], ids=["bicyclegan", "cyclegan with pools", "tandem"])
def test_resuming_is_bit_exact(data: Path, tmp_path: Path, options: dict[str, object]) -> None:
    """Five steps and five more are ten."""
    for out, steps in (("whole", 10), ("parts", 5), ("parts", 10)):
        run_forked("train", data, "--out", tmp_path / out, *tiny(**options | {"steps": steps}), logs=tmp_path / "logs")
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_another_number_of_processes_goes_on(data: Path, tmp_path: Path) -> None:
    """From two to one and from one to four: the same run, up to rounding."""
    out = tmp_path / "run"
    options = CYCLE | {"batch_size": 4}
    run_forked("train", data, "--out", out, *tiny(**options | {"steps": 4}), logs=tmp_path / "logs")
    train(data, out, **options | {"steps": 7})
    run_forked("train", data, "--out", out, *tiny(**options), logs=tmp_path / "logs", size=4)
    train(data, tmp_path / "one", **options)
    assert moved_apart(tmp_path / "one", out) < 0.02
    records = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert {record["speed"]["world_size"] for record in records if record["kind"] == "train"} == {1, 2, 4}


@pytest.mark.parametrize(("rank", "kind"), [(1, signal.SIGTERM), (0, signal.SIGINT)])
def test_a_signal_to_one_stops_all(data: Path, tmp_path: Path, rank: int, kind: signal.Signals) -> None:
    out = tmp_path / "run"
    options = tiny(batch_size=4, steps=400, log_every=1, num_workers=1)
    pids = forked("train", data, "--out", out, *options, logs=tmp_path)
    until(lambda: num_log_lines(out) >= 5, pids[0])
    os.kill(pids[rank], kind)
    os.kill(pids[rank], kind)  # launchers repeat it
    assert [wait_for(pid) for pid in pids] == [128 + kind] * 2
    step = state_of(out)[1]["step"]
    assert 0 < step < 400
    assert f"Stopped by {kind.name}" in (out / "index.html").read_text()
    options = tiny(batch_size=4, steps=step + 3, log_every=1)
    run_forked("train", data, "--out", out, *options, logs=tmp_path)
    run_forked("train", data, "--out", tmp_path / "whole", *options, logs=tmp_path)
    assert_same_state(tmp_path / "whole", out)


def test_a_file_that_breaks_while_training_stops_all(data: Path, tmp_path: Path) -> None:
    """One process meets it; the page, which another one writes, says so."""
    broken = write_dataset(tmp_path / "data", size=32, num_train=8, num_val=2, num_test=1)
    out = tmp_path / "run"
    options = tiny(batch_size=4, steps=400, log_every=1)
    pids = forked("train", broken, "--out", out, *options, logs=tmp_path / "logs")
    until(lambda: num_log_lines(out) >= 3, pids[0])
    victim = sorted((broken / "train").iterdir())[3]
    victim.write_bytes(victim.read_bytes()[:50])
    assert [wait_for(pid) for pid in pids] == [1, 1]
    logs = [(tmp_path / "logs" / f"{rank}.txt").read_text() for rank in range(2)]
    assert any(victim.name in text and "has ended" not in text for text in logs)
    assert "failed" in (out / "index.html").read_text().lower()
    assert all("Traceback" not in text for text in logs)


def test_values_that_are_not_finite_stop_all_with_one_verdict(data: Path, tmp_path: Path) -> None:
    options = tiny(batch_size=4, steps=50, learning_rate=1e10)
    pids = forked("train", data, "--out", tmp_path / "run", *options, logs=tmp_path / "logs")
    assert [wait_for(pid) for pid in pids] == [1, 1]
    first, second = ((tmp_path / "logs" / f"{rank}.txt").read_text() for rank in range(2))
    message = first[first.index("tandem train: step") :]
    assert "not finite" in message
    assert message.count(".png") == 4  # the files of the whole batch
    assert "[rank 1] " + message in second


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        ({"batch_size": 6}, 2, "--batch-size 6 cannot be split equally: 2 process(es)"),
        ({"size": 33}, 2, "33"),
        ({"device": "cuda:1"}, 2, "2 processes cannot share one GPU"),
    ],
)
def test_refused_in_all(data: Path, tmp_path: Path, options: dict[str, object], status: int, message: str) -> None:
    pids = forked("train", data, "--out", tmp_path / "run", *tiny(**options), logs=tmp_path / "logs")
    assert [wait_for(pid) for pid in pids] == [status] * 2
    for rank, prefix in enumerate(("", "[rank 1] ")):
        text = (tmp_path / "logs" / f"{rank}.txt").read_text()
        assert f"{prefix}tandem train: " in text
        assert message in text


def test_a_folder_in_use_is_refused(data: Path, whole: Path, tmp_path: Path) -> None:
    """The main process says so at once, and the other one with it."""
    out = tmp_path / "run"
    holder = forked("train", data, "--out", out, *tiny(batch_size=4, steps=4000, log_every=1), logs=tmp_path / "a")
    until(lambda: num_log_lines(out) >= 1, holder[0])
    finished = tandem("train", data, "--out", out, *tiny(batch_size=4, steps=4000))
    assert finished.status == 1
    assert "another process is training" in finished.err
    os.kill(holder[0], signal.SIGTERM)
    assert [wait_for(pid) for pid in holder] == [143, 143]
