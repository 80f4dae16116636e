"""TensorBoard's event files: what is in them, also after a kill; and the message where the package is missing."""

import json
import os
import signal
import time
from pathlib import Path

import pytest
from loggers import assert_tables_are_the_log
from support import finish, fork, log_of, num_log_lines, start, state_of, tiny, train, until, wait_for
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tandem.errors import MissingExtraError

WITHOUT = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "tensorboard":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocker())
from tandem.cli import main
sys.exit(main(sys.argv[1:]))
"""


def events_of(run: Path) -> EventAccumulator:
    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0, "images": 0})
    events.Reload()
    return events


def assert_events_are_the_log(run: Path) -> None:
    """Each line of the log is there once, under its step, and so is each picture of the gallery."""
    events, lines = events_of(run), log_of(run)
    trained = [line for line in lines if line["kind"] == "train"]
    measured = [line for line in lines if line["kind"] == "health"]
    tags = events.Tags()
    assert {f"loss/{name}" for name in trained[0]["losses"]} <= set(tags["scalars"])
    for name in trained[0]["losses"]:
        found = [(event.step, event.value) for event in events.Scalars(f"loss/{name}")]
        assert [step for step, _ in found] == [line["step"] for line in trained]
        assert [value for _, value in found] == pytest.approx([line["losses"][name] for line in trained], rel=1e-6)
    for name in ("diversity_ratio", "fixed_l1"):
        assert [event.step for event in events.Scalars(f"health/{name}")] == [line["step"] for line in measured]
    assert [event.step for event in events.Scalars("learning_rate")] == [line["step"] for line in trained]
    validated = [line for line in lines if line["kind"] == "validation"]
    for name in validated[0]["numbers"] if validated else ():
        found = [(event.step, event.value) for event in events.Scalars(f"validation/{name}")]
        assert found == [(line["step"], pytest.approx(line["numbers"][name], rel=1e-6)) for line in validated]
    assert tags["images"] == ["samples"]
    pictures = events.Images("samples")
    assert [event.step for event in pictures] == [line["step"] for line in measured]
    assert pictures[0].width > pictures[0].height > 0


def test_scalars_and_images(data: Path, tmp_path: Path) -> None:
    train(data, tmp_path / "run", steps=8, log="tensorboard")
    assert_events_are_the_log(tmp_path / "run")
    train(data, tmp_path / "run", steps=8, log="tensorboard")
    assert_events_are_the_log(tmp_path / "run")
    train(data, tmp_path / "run", steps=12, log="tensorboard", validate_every=3)
    assert "validation/ssim" in events_of(tmp_path / "run").Tags()["scalars"]
    assert_events_are_the_log(tmp_path / "run")


@pytest.mark.parametrize("snapshot_every", [4, 100])
def test_no_step_twice_after_a_kill(data: Path, tmp_path: Path, snapshot_every: int) -> None:
    """With a snapshot before the kill, and without one: then the run begins anew."""
    out = tmp_path / "run"
    options = {"log": "tensorboard,csv", "log_every": 1, "snapshot_every": snapshot_every}
    pid = fork("train", data, "--out", out, *tiny(steps=100_000, **options))
    until(lambda: num_log_lines(out) >= 6, pid)
    os.kill(pid, signal.SIGKILL)
    wait_for(pid)
    time.sleep(1.1)  # TensorBoard orders its files by the second in their names
    steps = state_of(out)[1]["step"] + 12
    train(data, out, steps=steps, **options)
    assert log_of(out)[-1]["step"] == steps
    assert_events_are_the_log(out)
    assert_tables_are_the_log(out)


def test_it_changes_nothing(data: Path, finished_run: Path, tmp_path: Path) -> None:
    train(data, tmp_path / "run", steps=10, log="tensorboard")
    assert log_of(tmp_path / "run") == log_of(finished_run)


def test_the_missing_extra_is_named(data: Path, tmp_path: Path) -> None:
    """And the same folder can be used without it, or with it when it is installed."""
    out = tmp_path / "run"
    refused = finish(start("train", data, "--out", out, *tiny(steps=2, log="tensorboard"), code=WITHOUT))
    assert refused.status == 1
    expected = str(MissingExtraError("tensorboard", "tensorboard", "--log tensorboard"))
    assert refused.out.splitlines()[-1] == f"tandem train: {expected}"
    assert "pip install 'tandem-gan[tensorboard]'" in expected
    train(data, out, steps=2)
    assert json.loads((out / "model" / "model.json").read_text())["training"]["steps"] == 2
