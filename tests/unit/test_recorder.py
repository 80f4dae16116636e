"""What a run writes for people: the log through interruptions, pictures, the list of snapshots."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tandem.errors import ConfigError, DataError
from tandem.report.records import parse_record
from tandem.training.recorder import Recorder
from tandem.training.run_folder import RunFolder


def line(step: int, *, final: bool = False) -> dict[str, Any]:
    measured = {"cycle_a": step / 3, "verdict": "It goes.", "level": "info"}
    place = {"kind": "health", "step": step, "images": 4 * step, "split": "val"}
    return place | measured | ({"final": True} if final else {})


def written(run: RunFolder) -> list[Any]:
    return [json.loads(text) for text in run.metrics.read_text().splitlines()]


def recorder(run: RunFolder, *, resume_step: int = 0, goes_on: bool = True) -> Recorder:
    return Recorder(run, resume_step=resume_step, goes_on=goes_on)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    run = RunFolder(tmp_path)
    first = recorder(run)
    for record in (line(1), line(2), line(3), line(4, final=True)):
        first.write(parse_record(record))
    first.close()
    return run


def test_lines_are_there_at_once(tmp_path: Path) -> None:
    """Whoever follows the file sees a line as soon as it is written."""
    run = RunFolder(tmp_path)
    open_recorder = recorder(run)
    open_recorder.write(parse_record(line(1)))
    assert written(run) == [line(1)]
    open_recorder.write(parse_record(line(2)))
    open_recorder.sync()
    assert written(run) == [record.as_json() for record in open_recorder.records] == [line(1), line(2)]
    open_recorder.close()


@pytest.mark.parametrize(
    ("resume_step", "goes_on", "steps"),
    [(0, True, []), (2, True, [1, 2]), (4, True, [1, 2, 3]), (4, False, [1, 2, 3, 4]), (3, False, [1, 2, 3])],
)
def test_the_log_is_cut_back_to_the_checkpoint(
    run: RunFolder, resume_step: int, goes_on: bool, steps: list[int]
) -> None:
    again = recorder(run, resume_step=resume_step, goes_on=goes_on)
    assert [record.step for record in again.records] == steps
    assert written(run) == [record.as_json() for record in again.records]
    again.write(parse_record(line(9)))
    again.close()
    assert [record["step"] for record in written(run)] == [*steps, 9]


def test_a_line_cut_off_by_a_crash_is_dropped(run: RunFolder) -> None:
    whole = run.metrics.read_text()
    run.metrics.write_text(whole + '{"kind": "tra')
    recorder(run, resume_step=9, goes_on=False).close()
    assert run.metrics.read_text() == whole


def test_a_damaged_log_is_not_thrown_away(run: RunFolder) -> None:
    damaged = "oops\n" + run.metrics.read_text()
    run.metrics.write_text(damaged)
    with pytest.raises(DataError, match="line 1 is not JSON"):
        recorder(run, resume_step=9)
    assert run.metrics.read_text() == damaged


def test_pictures_are_rows_of_inputs(run: RunFolder) -> None:
    again = recorder(run, resume_step=4)
    rows = [[np.full((8, 8, 3), 40 * column, np.uint8) for column in range(3)] for _ in range(2)]
    for step in (30, 4, 100):
        again.picture(step, rows, ["input", "truth", "z1"])
    again.close()
    snapshots = again.snapshots(99, 2)
    assert [(s.step, s.images_seen) for s in snapshots] == [(4, 8), (30, 60)]
    assert [s.picture for s in snapshots] == ["gallery/step-00000004.jpg", "gallery/step-00000030.jpg"]
    with Image.open(run.root / snapshots[0].picture) as picture:
        assert picture.width == 2 + 3 * (2 * 8 + 2)  # small images are enlarged, but never past twice


def test_tensorboard_takes_no_path_that_is_no_text(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    run = RunFolder(tmp_path / os.fsdecode(b"\xc4"))
    with pytest.raises(ConfigError, match="TensorBoard takes no path but UTF-8"):
        Recorder(run, resume_step=0, goes_on=True, loggers=["tensorboard"])
