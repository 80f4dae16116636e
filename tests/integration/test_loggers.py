"""Where else numbers and pictures go: CSV files and Weights & Biases, with the real library and without a network."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from loggers import assert_tables_are_the_log
from PIL import Image
from support import files_of, log_of, tandem, tiny, train

from tandem.config.run import from_flat
from tandem.errors import ConfigError
from tandem.report.records import parse_record
from tandem.training.loggers import CsvFiles


def test_tables_go_on_with_the_run(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train(data, out, steps=6)
    train(data, out, steps=6, log="csv")  # what was logged before is there too
    assert_tables_are_the_log(out)
    train(data, out, steps=10, log="csv", validate_every=4, validate_images=2)
    assert {line["kind"] for line in log_of(out)} == {"train", "health", "validation"}
    assert_tables_are_the_log(out)


def test_a_number_without_a_column_gets_one(tmp_path: Path) -> None:
    def line(step: int, **numbers: float | None) -> Any:
        place = {"kind": "validation", "step": step, "images": step, "conditions": {}}
        return parse_record(place | {"numbers": numbers, "speed": {"seconds": 1.0, "share": 0.5}})

    files = CsvFiles(tmp_path, [line(1, ssim=0.5)])
    files.write(line(2, ssim=None))
    table = tmp_path / "validation.csv"
    assert table.read_text() == "step,images,ssim\n1,1,0.5\n2,2,\n"
    files.write(line(3, l1=0.25, ssim=1.0))
    files.write(line(4, l1=0.125))
    files.close()
    assert table.read_text() == "step,images,ssim,l1\n1,1,0.5,\n2,2,,\n3,3,1.0,0.25\n4,4,,0.125\n"
    CsvFiles(tmp_path, []).close()
    assert not table.exists()


@pytest.mark.parametrize("given", ["csv,tensorbord", "wandb,", "tensorboard, comet"])
def test_unknown_names_are_refused_before_work(data: Path, tmp_path: Path, given: str) -> None:
    refused = tandem("train", data, "--out", tmp_path / "run", *tiny(steps=2, log=given))
    assert refused.status == 2
    assert "--log must be among tensorboard, wandb, csv, not '" in refused.err
    assert files_of(tmp_path) == {}


def test_names_in_files_and_from_python(tmp_path: Path) -> None:
    assert from_flat({"log": ["csv", "wandb"]}).training.log == ("csv", "wandb")
    with pytest.raises(ConfigError, match="--log must be"):
        from_flat({"log": ["comet"]})
    for text, expected in (("csv, wandb", '["csv", "wandb"]'), ("[csv]", '["csv"]'), ("[]", "[]")):
        (tmp_path / "run.yaml").write_text(f"log: {text}\n")
        shown = tandem("train", "--config", tmp_path / "run.yaml", "--print-config")
        assert f"\nlog: {expected}  #" in shown.out


def entries_of(file: Path) -> Iterator[bytes]:
    """The entries of a file of Weights & Biases: a log as LevelDB writes it, behind a header of seven bytes."""
    content, place, parts = file.read_bytes(), 7, b""
    while place + 7 <= len(content):
        left = 32768 - place % 32768
        if left < 7:
            place += left
            continue
        length, kind = struct.unpack("<HB", content[place + 4 : place + 7])
        parts += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in {1, 4}:  # whole, or the last part
            yield parts
            parts = b""


def test_weights_and_biases_goes_on_with_its_run(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    from wandb.proto import wandb_internal_pb2  # noqa: PLC0415  (large)

    monkeypatch.setenv("WANDB_MODE", "offline")
    out = tmp_path / "run"
    for steps in (4, 8):
        train(data, out, steps=steps, log="wandb")
    folders = sorted((out / "wandb").glob("offline-run-*"))
    (known,) = {folder.name.rpartition("-")[2] for folder in folders}
    assert (len(folders), known) == (2, (out / "wandb" / "run-id").read_text())
    rows: dict[int, dict[str, Any]] = {}
    for folder in folders:
        for entry in entries_of(folder / f"run-{known}.wandb"):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(entry)
            if record.WhichOneof("record_type") == "run":
                assert record.run.run_id == known
                assert record.run.display_name == "run"
            if record.WhichOneof("record_type") == "history":
                row = {
                    (item.key or "/".join(item.nested_key)): json.loads(item.value_json) for item in record.history.item
                }
                rows.setdefault(row["_step"], {}).update(row)
    for line in log_of(out):
        numbers = {f"loss/{name}": value for name, value in line.get("losses", {}).items()}
        numbers |= {f"health/{name}": line[name] for name in ("diversity", "real_spread") if name in line}
        assert {name: rows[line["step"]][name] for name in numbers} == pytest.approx(numbers)
    pictures = {step: row["samples/path"] for step, row in rows.items() if "samples/path" in row}
    assert pictures.keys() == {line["step"] for line in log_of(out) if line["kind"] == "health"}
    for step, picture in pictures.items():
        (file,) = (out / "wandb").glob(f"offline-run-*/files/{picture}")
        shown = np.asarray(Image.open(file).convert("RGB")).astype(int)
        drawn = np.asarray(Image.open(out / "gallery" / f"step-{step:08d}.jpg").convert("RGB"))
        assert np.abs(shown - drawn).mean() < 2, "not the picture of the gallery"
