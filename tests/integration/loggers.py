"""What the tests of loggers share: the CSV files of a run held against its log."""

import csv
import json
from pathlib import Path

import pytest


def assert_tables_are_the_log(run: Path) -> None:
    """Each line of the log is a row of the table of its kind, with all of its numbers, and there are no others."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    kinds = {line["kind"] for line in lines}
    assert {path.name for path in (run / "csv").iterdir()} == {f"{kind}.csv" for kind in kinds}
    for kind in kinds:
        with (run / "csv" / f"{kind}.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        of_kind = [line for line in lines if line["kind"] == kind]
        assert [int(row["step"]) for row in rows] == [line["step"] for line in of_kind]
        for row, line in zip(rows, of_kind, strict=True):
            numbers = line | line.get("numbers", {}) | {f"loss/{name}": v for name, v in line.get("losses", {}).items()}
            expected = {name: value for name, value in numbers.items() if isinstance(value, float) and name in row}
            assert {name: float(row[name]) for name in expected} == pytest.approx(expected)
            assert len(expected) >= 2
