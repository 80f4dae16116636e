"""The page of a bench of quality: points where their numbers are, marks that leave real images out, other machines."""

import dataclasses
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tandem.bench.quality.check import check_reports, summary
from tandem.bench.quality.results import read_report, to_json, with_excess
from tandem.errors import DataError
from tandem.report.charts import point_chart
from tandem.report.quality import REAL, QualityNumber, QualityReport, QualityRow, QualityRun
from tandem.report.quality_page import headline_table, quality_markdown, quality_page


def number(name: str, mean: float, reach: float | None = 1.0, **changes: object) -> QualityNumber:
    ends = (None, None) if reach is None else (mean - reach, mean + reach)
    one = QualityNumber(
        name=name,
        better="lower",
        mean=mean,
        deviation=reach,
        low=ends[0],
        high=ends[1],
        method="Student's t",
        note="",
        values={"seed-0": mean - 0.5, "seed-1": mean + 0.5},
    )
    return dataclasses.replace(one, **changes)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def row(name: str, frechet: QualityNumber, *, minutes: float = 1.0, real: bool = False) -> QualityRow:
    runs = [QualityRun(name=f"seed-{i}", cpu_seconds=60 * minutes + i, seconds=30 * minutes) for i in range(2)]
    runs = [QualityRun(name=run.name) for run in runs] if real else runs
    kind = "real" if real else "setting"
    return QualityRow(
        name=name,
        kind=kind,
        method="" if real else "m",
        steps=None if real else 7,
        runs=tuple(runs),
        numbers=(frechet,),
    )


def report(*rows: QualityRow, **changes: object) -> QualityReport:
    one = QualityReport(machine={}, conditions={"data": "x"}, rows=with_excess(rows), differs_in={}, on_gpu=False)
    return dataclasses.replace(one, **changes)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


THREE = (
    row("a", number("frechet", 10.0)),
    row("b", number("frechet", 11.5), minutes=4),
    row("c", number("frechet", 20.0)),
    row(REAL, number("frechet", 2.0, 0.25), real=True),
)


def test_real_images_are_never_the_best_and_close_rows_may_be_as_good() -> None:
    header, rows = headline_table(report(*THREE), marks=("<", ">"))
    assert header == ("Row", "Minutes", "frechet ↓", "frechet excess ↓")
    assert rows == [
        ("a", "1.01", "<10 ± 1 (9 to 11)>", "<8 ± 1 (7 to 9)>"),
        ("b", "4.01", "≈ 11.5 ± 1 (10.5 to 12.5)", "≈ 9.5 ± 1 (8.5 to 10.5)"),
        ("c", "1.01", "20 ± 1 (19 to 21)", "18 ± 1 (17 to 19)"),
        (REAL, "–", "2 ± 0.25 (1.75 to 2.25)", "0 ± 0.25 (-0.25 to 0.25)"),
    ]


def test_minutes_of_a_gpu_are_those_of_the_clock() -> None:
    _, rows = headline_table(report(*THREE, on_gpu=True), marks=("", ""))
    assert [cells[1] for cells in rows] == ["0.5", "2", "0.5", "–"]


def test_what_must_not_be_compared_is_marked_and_said() -> None:
    text = quality_markdown(report(*THREE, differs_in={"frechet": ["fit"]}, warnings=("Something is missing.",)))
    assert "| a | 1.01 | ≠ 10 ± 1 (9 to 11) |" in text
    assert "- frechet must not be compared: the evaluations differ in fit." in text
    assert "- Something is missing." in text


def test_names_cannot_leave_their_cells() -> None:
    one = row("<b>|x", number("frechet", 1.0))
    page = quality_page(report(one), pictures=None)
    assert "<b>|x" not in page
    assert "&lt;b&gt;|x" in page
    assert "| <b>\\|x |" in quality_markdown(report(one))


def test_points_lie_where_their_numbers_are() -> None:
    points = {"a": [(1.0, 10.0), (3.0, 30.0)], "b": [(2.0, 20.0), (float("nan"), 3.0)]}
    chart = ET.fromstring(str(point_chart(points, title="t", x_label="minutes", reference={"real": 15.0})))
    circles = [one for one in chart.iter() if one.tag.endswith("circle")]
    places = [(float(one.attrib["cx"]), float(one.attrib["cy"])) for one in circles]
    (first, last, middle) = places
    assert [title.text for one in circles for title in one] == ["a: 10 at 1", "a: 30 at 3", "b: 20 at 2"]
    assert middle == pytest.approx(((first[0] + last[0]) / 2, (first[1] + last[1]) / 2), abs=0.02)
    assert first[0] < last[0]
    assert first[1] > last[1]
    (line,) = [one for one in chart.iter() if one.tag.endswith("path") and one.attrib.get("class") == "reference"]
    height = float(re.findall(r"M[\d.]+ ([\d.]+)H", line.attrib["d"])[0])
    assert height == pytest.approx((first[1] + middle[1]) / 2, abs=0.02)
    assert "no data yet" in str(point_chart({"a": []}, title="t", x_label="minutes"))


def test_cells_of_two_machines() -> None:
    there = report(
        row("a", number("frechet", 10.9)),  # inside 9 to 11
        row("b", number("frechet", 13.0)),  # 12 to 14 against 10.5 to 12.5
        row("c", number("frechet", 22.5, 0.5)),  # 22 to 23 against 19 to 21
        row("d", number("frechet", 1.0)),
    )
    cells, missing = check_reports(report(*THREE[:3]), there)
    assert [one.verdict for one in cells] == ["inside", "overlaps", "apart"]
    assert missing == ["d is not in this bench"]
    assert "3 numbers: 1 of the other machine are inside" in summary(cells)
    single = report(row("a", number("frechet", 1.0, None)))
    assert [one.verdict for one in check_reports(single, there)[0]] == ["unknown"]
    assert [one.verdict for one in check_reports(single, single)[0]] == ["inside"]


def test_a_report_is_read_as_it_was_written_and_damaged_ones_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "quality.json"
    file.write_text(to_json(report(*THREE)))
    assert read_report(file) == report(*THREE)
    for text in (
        "",
        "[]",
        file.read_text().replace('"lower"', '"best"'),
        file.read_text().replace('"runs"', '"ruins"'),
    ):
        file.write_text(text)
        with pytest.raises(DataError, match="is no report of tandem bench quality"):
            read_report(file)
