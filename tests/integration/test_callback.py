"""A function that is called while a run trains: what it sees, how it ends the run, and what is left when it fails."""

from pathlib import Path
from typing import Any

import pytest
from support import assert_same_run, log_of, state_of, tiny_config, train

from tandem.report.records import HealthRecord, Record, TrainRecord, ValidationRecord
from tandem.training.trainer import TrainResult
from tandem.training.trainer import train as train_run


def run(data: Path, out: Path, **options: Any) -> TrainResult:
    own = {name: options.pop(name) for name in ("callback", "make_validator") if name in options}
    return train_run(tiny_config(**({"steps": 10} | options)), data, out, quiet=True, **own)


def test_it_sees_every_line_and_changes_nothing(data: Path, finished_run: Path, tmp_path: Path) -> None:
    seen: list[Record] = []
    result = run(data, tmp_path / "run", callback=seen.append)
    assert (result.ending, result.step) == ("finished", 10)
    assert_same_run(tmp_path / "run", finished_run)
    lines = [{key: value for key, value in record.as_json().items() if key != "speed"} for record in seen]
    assert lines == log_of(tmp_path / "run")
    assert {type(record) for record in seen} == {TrainRecord, HealthRecord}
    seen.clear()
    assert run(data, tmp_path / "run", callback=seen.append).already_done
    assert seen == []


def test_it_stops_a_run_that_goes_on_later(data: Path, finished_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    result = run(data, out, callback=lambda record: "stop" if record.step >= 6 else None)
    assert (result.ending, result.step, result.stopped_by) == ("callback", 6, None)
    assert "Stopped by the callback." in (out / "index.html").read_text()
    assert run(data, out, callback=lambda _: "go on").ending == "finished"
    assert_same_run(out, finished_run)


def test_an_exception_of_its_own_comes_out_when_the_state_is_saved(
    data: Path, finished_run: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"

    def failing(record: Record) -> None:
        if record.step == 6:
            raise LookupError("no such chart")

    with pytest.raises(LookupError, match="no such chart"):
        run(data, out, callback=failing)
    assert state_of(out)[1]["step"] == 6
    assert "Stopped by the callback: LookupError: no such chart" in (out / "index.html").read_text()
    run(data, out)
    assert_same_run(out, finished_run)


def test_an_exception_at_the_last_line_leaves_a_finished_run(data: Path, finished_run: Path, tmp_path: Path) -> None:
    def failing(record: Record) -> None:
        if record.step == 10:
            raise LookupError

    with pytest.raises(LookupError):
        run(data, tmp_path / "run", callback=failing)
    assert_same_run(tmp_path / "run", finished_run)


def test_it_sees_validations(held_out: dict[str, Path], tmp_path: Path) -> None:
    from tandem.evaluation.validation import make_validator  # noqa: PLC0415  (imports much)

    seen: list[Record] = []
    options = {"steps": 2, "validate_every": 2, "validate_images": 2, "validate_samples": 2}
    run(held_out["pairs"], tmp_path / "run", make_validator=make_validator, callback=seen.append, **options)
    (validation,) = (record for record in seen if isinstance(record, ValidationRecord))
    assert validation.numbers.keys() >= {"l1", "ssim"}


def test_quiet_runs_show_nothing(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(data, tmp_path / "run", steps=1)
    assert capsys.readouterr() == ("", "")
    assert "training" in train(data, tmp_path / "run", steps=2).err
