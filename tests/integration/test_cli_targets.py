"""Every command that writes: a wrong kind of ``--out`` is refused before any work, and nothing is left behind."""

import os
from pathlib import Path

import pytest
from support import Finished, files_of, tandem, tiny

WRITERS: dict[str, list[str]] = {
    "train": ["train", "DATA", "--out", "OUT", *tiny(steps=1)],
    "sample": ["sample", "RUN", "DATA", "--out", "OUT"],
    "evaluate": ["evaluate", "RUN", "DATA", "--metrics", "l1", "--out", "OUT"],
    "evaluate --images": ["evaluate", "--images", "DATA/test", "DATA/test", "--metrics", "l1", "--out", "OUT"],
    "evaluate --cache": ["evaluate", "RUN", "DATA", "--metrics", "l1", "--out", "x", "--cache", "OUT"],
    "calibrate": ["calibrate", "RUN", "DATA", "--out", "OUT"],
    "calibrate --cache": ["calibrate", "RUN", "DATA", "--cache", "OUT"],
    "compare": ["compare", "RUN", "RUN/model", "--out", "OUT"],
    "export": ["export", "RUN", "--checkpoint", "last", "--out", "OUT"],
    "timeline": ["timeline", "RUN", "--out", "OUT"],
    "data demo": ["data", "demo", "OUT", "--num-train", "1"],
    "data pack": ["data", "pack", "DATA", "OUT"],
    "data download": ["data", "download", "facades", "--out", "OUT", "--archive", "none.tar.gz"],
    "demo": ["demo", "--out", "OUT", "--steps", "1"],
}
FILES = {"timeline"}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "mine").write_text("mine")
    (tmp_path / "broken").symlink_to("/nonexistent/volume")
    return tmp_path


def run(command: str, out: str, *, data: Path, finished_run: Path) -> Finished:
    places = {"DATA": str(data), "RUN": str(finished_run), "OUT": out}
    return tandem(*("/".join(places.get(part, part) for part in word.split("/")) for word in WRITERS[command]))


@pytest.mark.parametrize("command", WRITERS)
@pytest.mark.parametrize(
    ("out", "says"),
    [
        ("broken", "is a link to /nonexistent/volume, which is not there"),
        ("broken/x", "broken is a link to /nonexistent/volume, which is not there"),
        ("file/x.gif", "file is a file, so that nothing can lie in it"),
        ("a" * 300, "a name in it has 300 bytes; give one of at most 255"),
        ("KIND", ""),
    ],
)
def test_no_command_begins(place: Path, request: pytest.FixtureRequest, command: str, out: str, says: str) -> None:
    data, finished_run = request.getfixturevalue("data"), request.getfixturevalue("finished_run")
    if out == "KIND":
        out, says = ("folder", "is a folder, and") if command in FILES else ("m.onnx", "is named like a file ('.onnx')")
    before = files_of(place)
    refused = run(command, out, data=data, finished_run=finished_run)
    assert refused.status == 2, refused.err
    assert says in refused.err
    assert "Traceback" not in refused.err
    assert files_of(place) == before
    assert sorted(path.name for path in place.iterdir()) == ["broken", "file", "folder"]


def test_export_says_what_there_is(place: Path, finished_run: Path) -> None:
    for name, advice in (
        ("m.onnx", "For an ONNX file add --to onnx"),
        ("m.pt", "e.g. m; model.json and the weights"),
    ):
        refused = tandem("export", finished_run, "--checkpoint", "last", "--out", name)
        assert refused.status == 2
        assert advice in refused.err


@pytest.mark.parametrize(
    "words",
    [
        ["train", "LONG", "--out", "x"],
        ["data", "check", "LONG"],
        ["data", "pack", "LONG", "x"],
        ["evaluate", "LONG", "LONG"],
        ["evaluate", "--images", "LONG", "LONG"],
        ["sample", "LONG", "LONG", "--out", "x"],
        ["compare", "LONG", "LONG"],
        ["calibrate", "LONG", "LONG"],
        ["export", "LONG"],
        ["timeline", "LONG"],
        ["data", "check", "loop"],
        ["sample", "loop", "loop", "--out", "x"],
        ["data", "check", "shards"],
    ],
)
def test_what_is_read_has_any_name(place: Path, words: list[str]) -> None:
    """A name that no file can have, a link to itself, a shard that is not there: a message, and nothing is made."""
    (place / "loop").symlink_to("loop")
    (place / "shards").mkdir()
    (place / "shards" / "train-0.tar").symlink_to("nowhere.tar")
    refused = tandem(*(word.replace("LONG", "a" * 300) for word in words))
    assert refused.status in {1, 2}
    assert refused.err.strip()
    assert not (place / "x").exists()


def test_a_refused_training_leaves_nothing(place: Path, data: Path) -> None:
    """Nor does one whose data is wrong, whose options contradict it, or whose extra is missing."""
    (place / "empty").mkdir()
    before = sorted(place.rglob("*"))
    for words in (
        [place / "nowhere"],
        [place / "empty"],
        [place / "file"],
        [data, "--validate-every", "2", "--validate-metrics", "fid"],
        [data, "--batch-size", "3"],
        [data, "--lr-schedule", "linear", "--lr-decay-epochs", "1"],
    ):
        refused = tandem("train", *words, "--out", place / "runs" / "new", *tiny(steps=30))
        assert refused.status in {1, 2}, words
        assert sorted(place.rglob("*")) == before, words


def test_comparing_runs_without_a_report(place: Path, finished_run: Path) -> None:
    """The commands that measure them are named."""
    refused = tandem("compare", finished_run, finished_run / "model")
    assert refused.status == 1
    assert f"tandem evaluate {finished_run} DATA" in refused.err
    assert f"tandem evaluate {finished_run / 'model'} DATA" in refused.err
    refused = tandem("compare", finished_run)
    assert refused.status == 2
    assert "needs at least two runs, models or evaluations" in refused.err
    assert f"tandem evaluate {finished_run} DATA" in refused.err


def test_a_run_in_a_folder_whose_name_is_no_text(place: Path, data: Path) -> None:
    """It trains, goes on, is sampled, exported and compared; safetensors itself does not read such paths."""
    odd = place / os.fsdecode(b"\xc4\xe3")
    for steps in (1, 2):
        finished = tandem("train", data, "--out", odd / "run", *tiny(steps=steps))
        assert finished.status == 0, finished.err
    model = place / os.fsdecode(b"m\xff")
    for words in (
        ["export", odd / "run", "--checkpoint", "last", "--out", model],
        ["evaluate", model, data, "--metrics", "l1"],
        ["evaluate", odd / "run", data, "--metrics", "l1"],
        ["compare", model, odd / "run", "--out", odd / "compared"],
        ["timeline", odd / "run"],
    ):
        finished = tandem(*words)
        assert finished.status == 0, finished.err
    assert "| m\\udcff |" in (odd / "compared" / "comparison.md").read_text("utf-8")
