"""Pairs that a table names, and what a table may not name."""

import csv
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest
from PIL import Image

import tandem.data.manifest
from tandem.cli import main
from tandem.data.discover import find_splits
from tandem.data.manifest import find_manifest
from tandem.errors import DataError, MissingExtraError

ROWS = [
    {"a": "scans/1.png", "b": "stains/deep/x.jpg", "split": "train"},
    {"a": "scans/2.png", "b": "stains/deep/y.jpg", "split": "training"},
    {"a": "scans/3.png", "b": "stains/deep/x.jpg", "split": "val"},
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("scans/1.png", "scans/2.png", "scans/3.png", "stains/deep/x.jpg", "stains/deep/y.jpg"):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(path)
    return tmp_path / "data"


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), dialect="excel-tab" if path.suffix == ".tsv" else "excel")
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.mark.parametrize("name", ["pairs.csv", "pairs.tsv", "pairs.jsonl"])
def test_a_table_of_pairs(root: Path, name: str) -> None:
    splits = find_splits(write(root / name, ROWS))
    found = {
        split: [(pair.name, [str(Path(str(file)).relative_to(root)) for file in pair.files]) for pair in one.pairs]
        for split, one in splits.items()
    }
    assert found == {
        "train": [("1", ["scans/1.png", "stains/deep/x.jpg"]), ("2", ["scans/2.png", "stains/deep/y.jpg"])],
        "val": [("3", ["scans/3.png", "stains/deep/x.jpg"])],
    }
    assert splits["train"].describe() == f"train: 2 pairs, by {name} in {root}"


def test_masks_are_files_of_the_pairs(root: Path) -> None:
    """Where nobody asks for them they are refused: `test_masks`. An empty column says nothing."""
    rows = [row | {"mask": "scans/1.png" if number else ""} for number, row in enumerate(ROWS)]
    found = find_manifest(write(root / "pairs.csv", rows))
    assert found is not None
    pairs = [pair for split in found.values() for pair in split.pairs]
    assert sum(str(pair.mask) == str(root / "scans" / "1.png") for pair in pairs) == len(ROWS) - 1
    assert sum(pair.mask is None for pair in pairs) == 1
    with pytest.raises(DataError, match=r"row 1, mask names .\.\./x.png"):
        find_manifest(write(root / "pairs.csv", [ROWS[0] | {"mask": "../x.png"}]))


def test_names_stay_unique(root: Path) -> None:
    (root / "other").mkdir()
    (root / "scans" / "1.png").rename(root / "other" / "2.png")
    rows = [{"a": a, "b": "scans/3.png"} for a in ("other/2.png", "scans/2.png", "scans/3.png", "scans/3.png")]
    (split,) = find_splits(write(root / "pairs.csv", rows)).values()
    assert [pair.name for pair in split.pairs] == ["other_2", "scans_2", "scans_3-1", "scans_3-2"]


def test_metadata_of_an_imagefolder(root: Path) -> None:
    """As the `imagefolder` of Hugging Face `datasets` has it: in the folder of each split, or once for all."""
    for split in ("train", "test"):
        (root / split).mkdir()
        for name in ("sketch.png", "photo.png"):
            Image.new("RGB", (8, 8)).save(root / split / name)
        write(
            root / split / "metadata.jsonl",
            [{"file_name": "sketch.png", "text": "a shoe", "target_file_name": "photo.png"}],
        )
    splits = find_splits(root)
    assert list(splits) == ["train", "test"]
    assert [file.name for file in splits["test"].pairs[0].files] == ["sketch.png", "photo.png"]


def test_metadata_with_one_file_is_none(root: Path) -> None:
    write(root / "metadata.csv", [{"file_name": "scans/1.png", "label": "shoe"}])
    assert find_manifest(root) is None


@pytest.mark.parametrize(
    ("a", "reason"),
    [
        ("../secret.png", "named relative to the table"),
        ("scans/../../secret.png", "named relative to the table"),
        ("/etc/passwd.png", "named relative to the table"),
        ("scans\\1.png", "named relative to the table"),
        ("link.png", "a link that leads out of the folder"),
        ("scans/none.png", "which is not there"),
        ("scans", "no ending of an image"),
        ("", "names no file"),
    ],
)
def test_what_a_table_may_not_name(root: Path, a: str, reason: str) -> None:
    Image.new("RGB", (8, 8)).save(root.parent / "secret.png")
    (root / "link.png").symlink_to(root.parent / "secret.png")
    rows = [{"a": a, "b": "scans/1.png"}, {"a": "scans/1.png", "b": "scans/2.png"}]
    with pytest.raises(DataError, match=f"row 1, a .*{reason}"):
        find_splits(write(root / "pairs.csv", rows))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x,y\n1,2\n", "must have columns a and b .*, and may have split and mask; it has x, y"),
        ("a,b\n", "must have columns a and b"),
        ("a,b\nscans/1.png\n", "row 1 has another number of cells"),
        ("a,b,split\nscans/1.png,scans/2.png,dev\n", "split must be train, val or test, not 'dev'"),
        ("a,b\n\xff\xfe", "is damaged"),
    ],
)
def test_damaged_tables(root: Path, text: str, reason: str) -> None:
    (root / "pairs.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=reason):
        find_splits(root / "pairs.csv")


def test_a_damaged_line_of_json(root: Path) -> None:
    (root / "pairs.jsonl").write_text('{"a": "scans/1.png", "b": "scans/2.png"}\n[1]\n')
    with pytest.raises(DataError, match="line 2 is no JSON object"):
        find_splits(root / "pairs.jsonl")


def test_commands_take_a_table(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    table = str(write(root / "pairs.csv", ROWS))
    assert main(["data", "check", table]) == 0
    assert "3 pairs, all readable" in caplog.text
    assert "subfolders" not in caplog.text


@pytest.mark.parametrize(
    ("columns", "chosen"),
    [
        (("a", "b", "input", "target"), ("a", "b")),
        (("target", "input", "split"), ("input", "target")),
        (("id", "Sketch", "Photo"), ("Sketch", "Photo")),
        (("target_file_name", "input_file_name"), ("input_file_name", "target_file_name")),
        (("mask_file_name", "input_file_name", "target_file_name"), ("input_file_name", "target_file_name")),
        (("other_file_name", "file_name"), ("file_name", "other_file_name")),
        (("one_file_name", "two_file_name"), ("one_file_name", "two_file_name")),
    ],
)
def test_which_columns_are_a_and_b(root: Path, columns: tuple[str, ...], chosen: tuple[str, str]) -> None:
    """By their names whatever their order is; other columns are passed over."""
    row = dict.fromkeys(columns, "") | {chosen[0]: "scans/1.png", chosen[1]: "scans/2.png"}
    tables = [root / "pairs.csv"] + ([root / "metadata.csv"] if "file_name" in columns[-1] else [])
    for table in tables:
        (split,) = find_splits(write(table, [row])).values()
        assert [file.name for file in split.pairs[0].files] == ["1.png", "2.png"]
    for table in tables[1:]:
        assert find_manifest(root) == find_manifest(table) is not None


def test_columns_that_do_not_say_which(root: Path) -> None:
    row = {"one_file_name": "scans/1.png", "two_file_name": "scans/2.png", "file_name": "scans/3.png"}
    write(root / "metadata.jsonl", [row])
    with pytest.raises(DataError, match=r"several columns of file names .*call these a_file_name and b_file_name"):
        find_splits(root)
    with pytest.raises(DataError, match=r"in several ways \(input and target; edge and photo\): call them a and b"):
        find_splits(write(root / "pairs.csv", [dict.fromkeys(("edge", "photo", "input", "target"), "scans/1.png")]))


def parquet(path: Path, columns: dict[str, list[object]], **options: object) -> Path:
    pyarrow.parquet.write_table(pyarrow.table(columns), path, **options)  # type: ignore[arg-type]
    return path


def test_a_check_reads_a_table_once(
    root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Pairs, and inputs alone in the split test."""
    columns: dict[str, list[object]] = {
        "a": [row["a"] for row in ROWS],
        "b": [*(row["b"] for row in ROWS[:2]), None],
        "split": ["train", "train", "test"],
    }
    table = parquet(root / "pairs.parquet", columns)
    read, original = list[Path](), tandem.data.manifest.rows_of_parquet

    def counted(path: Path, *rest: Any, **more: Any) -> Iterator[Mapping[str, str]]:
        read.append(path)
        return original(path, *rest, **more)

    caplog.set_level("INFO", "tandem")
    monkeypatch.setattr(tandem.data.manifest, "rows_of_parquet", counted)
    assert main(["data", "check", str(table)]) == 0
    assert read == [table]
    assert "train: 2 pairs" in caplog.text
    assert "test: 1 " in caplog.text
    parquet(table, {name: values[2:] for name, values in columns.items()})
    assert main(["data", "check", str(table)]) != 0


@pytest.mark.parametrize("compression", ["none", "snappy", "zstd"])
def test_parquet(root: Path, compression: str) -> None:
    """Other columns are passed over, whatever they hold; rows are those of the CSV file."""
    columns: dict[str, list[object]] = {name: [row[name] for row in ROWS] for name in ROWS[0]}
    wide = columns | {"mask": [None] * 3, "pixels": [b"x" * 9, None, b""], "boxes": [[1, 2], [], [3]]}
    table = parquet(root / "pairs.parquet", wide, compression=compression)
    expected = find_splits(write(root / "pairs.csv", ROWS))
    assert {name: split.pairs for name, split in find_splits(table).items()} == {
        name: split.pairs for name, split in expected.items()
    }
    parquet(root / "metadata.parquet", {"file_name": columns["a"], "target_file_name": columns["b"]})
    assert len(find_splits(root)["train"]) == 3
    parquet(root / "metadata.parquet", {"file_name": columns["a"], "target_file_name": [None, *columns["b"][1:]]})
    with pytest.raises(DataError, match=r"metadata.parquet, row 1, target_file_name names no file"):
        find_splits(root)


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"a": [1], "b": ["scans/1.png"]}, "column a holds int64, expected is text"),
        ({"a": [["x.png"]], "b": ["scans/1.png"]}, "column a holds list"),
        ({"a": ["x" * 5000], "b": ["scans/1.png"]}, "column a holds texts of more than 4096 characters"),
        ({"a": ["../secret.png"], "b": ["scans/1.png"]}, "named relative to the table"),
        ({"x": ["scans/1.png"]}, "and may have split and mask; it has x"),
    ],
)
def test_parquet_that_is_refused(root: Path, columns: dict[str, list[object]], reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        find_splits(parquet(root / "pairs.parquet", columns))


def test_parquet_that_is_damaged_or_too_much(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = parquet(root / "pairs.parquet", {"a": ["scans/1.png"] * 9, "b": ["scans/2.png"] * 9})
    content = table.read_bytes()
    for damaged in (b"", b"PAR1", content[:-20], content[:40] + bytes(20) + content[60:], b"a,b\nx.png,y.png\n"):
        table.write_bytes(damaged)
        with pytest.raises(DataError, match=r"pairs\.parquet"):
            find_splits(table)
    table.write_bytes(content)
    monkeypatch.setattr(tandem.data.manifest, "MAX_ROWS", 8)
    with pytest.raises(DataError, match="it has 9 rows, at most 8 are read"):
        find_splits(table)


def test_parquet_whose_reader_ends_is_damaged(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As that of pyarrow does at some files, by an exception that nothing catches."""
    table = parquet(root / "pairs.parquet", {"a": ["scans/1.png"], "b": ["scans/2.png"]})
    ending = tmp_path / "ending.sh"
    ending.write_text("#!/bin/sh\necho no more >&2\nkill -ABRT $$\n")
    ending.chmod(0o755)
    monkeypatch.setattr("tandem.data.parquet.sys.executable", str(ending))
    with pytest.raises(DataError, match=r"pairs\.parquet is damaged: what reads it ended with SIGABRT \(no more\)"):
        find_splits(table)


def test_parquet_without_its_extra(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = parquet(root / "pairs.parquet", {"a": ["scans/1.png"], "b": ["scans/2.png"]})
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'tandem-gan\[parquet\]'"):
        find_splits(table)
