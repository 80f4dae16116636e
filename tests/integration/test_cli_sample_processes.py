"""``tandem sample`` by several processes: the files of one, also where one of them was killed."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from process_groups import forked, run_forked
from support import files_of, finish, start, tandem, until, wait_for

from processes import place
from tandem.inference.onnx.export import export_onnx
from tandem.training import heartbeat
from tandem_bundle import make_tandem

COUNT = 12


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs") / "in"
    folder.mkdir()
    for index in range(COUNT):
        values = np.random.default_rng(index).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(values).save(folder / f"x{index:02d}.png")
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    export_onnx(make_tandem(folder / "tandem", depth=2), folder / "m.onnx")
    return folder / "m.onnx"


def words(model: Path, inputs: Path, out: Path) -> list[str | Path]:
    return ["sample", model, inputs, "--out", out, "--num-samples", "2", "--device", "cpu"]


@pytest.fixture(scope="module")
def alone(model: Path, inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("alone") / "out"
    assert tandem(*words(model, inputs, out)).status == 0
    return files_of(out)


def children_of(pid: int) -> list[int]:
    """Those that are Python with a pipe to it, without the one that multiprocessing keeps for its own tidiness."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(one) for one in text if b"spawn_main" in Path(f"/proc/{one}/cmdline").read_bytes()]


def lines_in(out: Path) -> int:
    record = out / "samples.jsonl"
    return record.read_text().count("\n") if record.exists() else 0


def test_processes_write_the_files_of_one_also_after_one_was_killed(
    model: Path, inputs: Path, alone: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    process = start(*words(model, inputs, out), "--processes", "2")
    until(lambda: lines_in(out) >= 3, process.pid)
    os.kill(children_of(process.pid)[0], signal.SIGKILL)
    stopped = finish(process)
    assert stopped.status == 1
    assert "a process that samples has ended (status -9" in stopped.out
    assert 3 <= lines_in(out) <= COUNT
    assert not (out / "index.html").exists()
    again = tandem(*words(model, inputs, out), "--processes", "2")
    assert again.status == 0, again.err
    assert files_of(out) == alone


def test_a_group_writes_the_files_of_one_also_after_one_was_killed(
    model: Path, inputs: Path, alone: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.1)
    monkeypatch.setattr(heartbeat, "SILENCE_SECONDS", 5.0)  # of the other, which has been killed
    out = tmp_path / "out"
    pids = forked(*words(model, inputs, out), logs=tmp_path)
    until(lambda: lines_in(out) >= 3, pids[0])
    os.kill(pids[1], signal.SIGKILL)
    assert wait_for(pids[1]) == -signal.SIGKILL
    assert wait_for(pids[0]) == 1
    assert "process 1" in (tmp_path / "0.txt").read_text()
    run_forked(*words(model, inputs, out), logs=tmp_path / "again")
    assert files_of(out) == alone


def test_inputs_that_cannot_be_read_are_told_once_and_in_order(model: Path, inputs: Path, tmp_path: Path) -> None:
    given = tmp_path / "in"
    given.mkdir()
    for index, name in enumerate(("a", "b", "c", "d")):
        (given / f"{name}.png").write_bytes((inputs / f"x{index:02d}.png").read_bytes())
    for name in "bd":
        (given / f"{name}.png").write_bytes(b"no image")
    one = tandem(*words(model, given, tmp_path / "one"))
    two = tandem(*words(model, given, tmp_path / "two"), "--processes", "2")
    assert (one.status, two.status) == (1, 1)
    told = [text.partition("2 of 4 inputs cannot be used")[2] for text in (one.err, two.err)]
    assert "b.png" in told[0]
    assert told[0] == told[1]
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")


def test_one_picture_is_made_by_one_process(
    model: Path, inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ["sample", model, inputs / "x00.png", "--out", tmp_path / "y.png"]
    refused = tandem(*asked, "--processes", "2")
    assert refused.status == 2
    assert "--processes share many inputs: one picture is made by one process" in refused.err
    for name, value in place(0, 2, 1).items():
        monkeypatch.setenv(name, value)
    refused = tandem(*asked)
    assert refused.status == 2
    assert "y.png is one picture, and 2 processes were started (torchrun, srun)" in refused.err
