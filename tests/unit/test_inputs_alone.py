"""A split test of which one side alone is there: it is sampled, not trained on, and not measured."""

from collections.abc import Callable
from pathlib import Path

import pytest
from test_data_manifest import write
from test_subfolders import picture

from tandem.cli import main
from tandem.data.discover import find_splits
from tandem.data.unpaired import find_inputs, find_unpaired
from tandem.errors import DataError
from tandem.evaluation.options import EvaluationOptions
from tandem.evaluation.subject import model_subject
from tandem.inference.jobs import find_jobs, splits_of
from tandem.inference.translator import load

MakeBundle = Callable[..., Path]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name in ("trainA/1.png", "trainB/1.png", "testA/2.png", "testA/3.png"):
        picture(tmp_path / "data" / name)
    return tmp_path / "data"


def test_it_is_found_apart(data: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert list(find_splits(data)) == list(find_unpaired(data)) == ["train"]
    (alone,) = find_inputs(data).values()
    assert alone.describe() == f"test: 2 images of A alone, in {data / 'testA'}, without testB"
    assert not alone.is_flat
    assert list(splits_of(data)) == ["train", "test"]
    caplog.set_level("INFO")
    assert main(["data", "check", str(data)]) == 0
    assert alone.describe() in caplog.text
    (data / "valA").mkdir()
    with pytest.raises(DataError, match=r"its partner .*valB is not"):
        find_splits(data)


def test_either_side_is_translated_where_the_model_starts_from_it(data: Path) -> None:
    assert [job.name for job in find_jobs([data], directions=["AtoB"])] == ["2", "3"]
    assert [job.name for job in find_jobs([data], directions=["AtoB", "BtoA"])] == ["2", "3"]
    with pytest.raises(DataError, match="nothing to translate BtoA; the images that are there are of the other side"):
        find_jobs([data], directions=["BtoA"])
    (data / "testA").rename(data / "testB")
    assert [job.name for job in find_jobs([data], directions=["BtoA"])] == ["2", "3"]
    (data / "trainA" / "1.png").unlink()
    (data / "trainA").rmdir()
    with pytest.raises(DataError, match="trainB is there, but its partner"):
        find_jobs([data], directions=["BtoA"])
    (data / "trainB" / "1.png").unlink()
    (data / "trainB").rmdir()
    assert [job.name for job in find_jobs([data], directions=["BtoA"])] == ["2", "3"]


def test_an_evaluation_says_what_is_missing(make_bundle: MakeBundle, data: Path) -> None:
    model = make_bundle()
    with pytest.raises(DataError, match="the split test holds images of one side alone, and every metric compares"):
        model_subject(load(model, device="cpu"), model, data, EvaluationOptions())


def test_rows_without_b(data: Path) -> None:
    rows = [
        {"a": "trainA/1.png", "b": "trainB/1.png", "split": "train"},
        {"a": "testA/2.png", "b": "", "split": "test"},
        {"a": "testA/3.png", "b": "", "split": "test"},
    ]
    table = write(data / "pairs.csv", rows)
    assert list(find_splits(table)) == ["train"]
    (alone,) = find_inputs(table).values()
    assert alone.describe() == f"test: 2 images of A alone, by pairs.csv in {data}"
    assert [job.name for job in find_jobs([table], directions=["AtoB"])] == ["2", "3"]
    assert [job.name for job in find_jobs([table], split="train", directions=["AtoB"])] == ["1"]
    with pytest.raises(DataError, match=r"row 2, b names no file"):
        find_splits(write(table, [*rows[:2], rows[2] | {"b": "trainB/1.png"}]))
    with pytest.raises(DataError, match=r"row 1, b names no file"):
        find_splits(write(table, [rows[0] | {"b": ""}]))
    with pytest.raises(DataError, match="names no pairs, only inputs of the split test"):
        find_splits(write(table, rows[1:]))
    assert len(find_jobs([table], directions=["AtoB"])) == 2
