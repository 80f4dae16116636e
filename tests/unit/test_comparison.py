"""What a comparison marks: the best value, those that may be as good, and nothing where numbers mislead."""

from typing import Any

import pytest
from test_report_html import Parsed

from tandem.report.comparison_page import (
    ComparedScore,
    Comparison,
    comparison_markdown,
    comparison_page,
    comparison_warnings,
)
from tandem.report.scores import Better, Score


def score(value: float, low: float | None = None, high: float | None = None, **more: Any) -> Score:
    return Score(name="s", value=value, better="lower", count=9, low=low, high=high, **more)


def compared(better: Better = "lower", differs_in: tuple[str, ...] = (), **scores: Score) -> ComparedScore:
    return ComparedScore("s", better, scores, differs_in)


@pytest.mark.parametrize(
    ("better", "best", "near"), [("lower", "a", {"b"}), ("higher", "c", set()), ("neither", None, set())]
)
def test_the_best_and_those_whose_interval_overlaps(better: Better, best: str | None, near: set[str]) -> None:
    one = compared(better, a=score(1, 0.5, 1.5), b=score(2, 1.5, 2.5), c=score(4, 3, 5), d=score(3))
    assert one.best == best
    assert one.near_best == near


def test_nothing_is_marked_where_numbers_cannot_be_compared_or_relied_on() -> None:
    for one in (
        compared(differs_in=("resizer",), a=score(1), b=score(2)),
        compared(a=score(1), b=score(2, note="unreliable: fewer images than features")),
        compared(a=score(1), b=score(1)),
        compared(a=score(1)),
    ):
        assert one.best is None
        assert one.near_best == frozenset()
        assert "**" not in comparison_markdown(Comparison(["a", "b"], [one]))


def test_marks_and_legend() -> None:
    one = compared(a=score(1, 0.5, 1.5), b=score(2, 1.4, 2.5), c=score(4, 3, 5))
    lines = comparison_markdown(Comparison(["a", "b", "c"], [one])).splitlines()
    assert lines[2] == "| s ↓ | **1** (0.5 to 1.5) | ≈ 2 (1.4 to 2.5) | 4 (3 to 5) |"
    assert lines[4].startswith("In brackets are intervals. Bold type marks the best value of a row, ≈ the values")
    page = Parsed(comparison_page(Comparison(["a", "b", "c"], [one]))).text
    assert "★ 1 (0.5 to 1.5)" in page
    assert "★ marks the best" in page


def test_numbers_that_must_not_be_compared_are_named_together() -> None:
    reasons = [("resizer",), ("inputs", "fit", "real images"), ("resizer",), ("resizer",), ()]
    scores = {"a": score(1), "b": score(2)}
    several = [ComparedScore(f"n{i}", "lower", scores, reason) for i, reason in enumerate(reasons)]
    assert comparison_warnings(several) == [
        "n0, n2 and n3 must not be compared: the evaluations differ in resizer.",
        "n1 must not be compared: the evaluations differ in inputs, fit and real images.",
    ]
    page = Parsed(comparison_page(Comparison(["a", "b"], several)))
    assert sum(attributes.get("role") == "note" for _, attributes in page.elements) == 2
    assert page.text.count("≠ 1") == 4  # each of the numbers that must not be compared is marked
    assert "| n4 ↓ | **1** | 2 |" in comparison_markdown(Comparison(["a", "b"], several))
