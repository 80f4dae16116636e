"""Strict parsing of plain JSON: what does not fit is a ValueError that names the place, never another exception."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tandem.config.parse import parse_dataclass
from tandem.config.values import MAX_INTEGER, MAX_TEXT


@dataclass(frozen=True, kw_only=True)
class Circle:
    kind: Literal["circle"] = "circle"
    radius: float


@dataclass(frozen=True, kw_only=True)
class Square:
    kind: Literal["square"] = "square"
    side: int


@dataclass(frozen=True, kw_only=True)
class Drawing:
    title: str
    shapes: Mapping[str, Circle | Square]
    size: tuple[int, int]
    weights: tuple[float, ...] = ()
    mode: Literal["fast", "good"] = "good"
    visible: bool = True
    depth: int | None = None
    extra: Mapping[str, Any] | None = None


GOOD = {"title": "t", "shapes": {"a": {"kind": "circle", "radius": 2}}, "size": [3, 4]}


def parse(**changes: Any) -> Drawing:
    return parse_dataclass(Drawing, GOOD | changes, "file")


def test_builds_what_is_given() -> None:
    drawing = parse(weights=[1, 2.5], depth=7, extra={"any": [1, None, {"x": "y"}]}, visible=False, mode="fast")
    assert drawing == Drawing(
        title="t",
        shapes={"a": Circle(radius=2.0)},
        size=(3, 4),
        weights=(1.0, 2.5),
        mode="fast",
        visible=False,
        depth=7,
        extra={"any": [1, None, {"x": "y"}]},
    )
    assert isinstance(drawing.weights[0], float)
    assert parse(shapes={"b": {"kind": "square", "side": 5}}).shapes == {"b": Square(side=5)}
    assert parse(depth=None).depth is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"title": 5}, "file.title must be str, not 5"),
        ({"title": "x" * (MAX_TEXT + 1)}, "file.title must be str"),
        ({"title": None}, "file.title"),
        ({"size": [3]}, "file.size must have 2 entries, not 1"),
        ({"size": "34"}, "file.size must be a list"),
        ({"size": [3, 4.0]}, r"file.size\[1\] must be int, not 4.0"),
        ({"size": [True, 4]}, r"file.size\[0\] must be int, not True"),
        ({"size": [MAX_INTEGER + 1, 4]}, r"file.size\[0\] must be at most"),
        ({"weights": [float("nan")]}, r"file.weights\[0\] must be float, not nan"),
        ({"weights": [float("inf")]}, "file.weights"),
        ({"weights": [10**400]}, "file.weights"),
        ({"mode": "slow"}, "file.mode must be one of fast, good, not 'slow'"),
        ({"mode": ["fast"]}, "file.mode"),
        ({"visible": 1}, "file.visible must be bool, not 1"),
        ({"visible": "true"}, "file.visible"),
        ({"depth": "7"}, "file.depth has a value of a wrong type: '7'"),
        ({"shapes": []}, "file.shapes must be a JSON object"),
        ({"shapes": {"a": 5}}, "file.shapes.a has a value of a wrong type: 5"),
        ({"shapes": {"a": {"radius": 1.0}}}, "file.shapes.a.kind must be one of circle, square, not None"),
        ({"shapes": {"a": {"kind": "line"}}}, "file.shapes.a.kind must be one of circle, square, not 'line'"),
        ({"shapes": {"a": {"kind": ["circle"]}}}, "file.shapes.a.kind must be one of circle, square"),
        ({"shapes": {"a": {"kind": {}}}}, "file.shapes.a.kind must be one of circle, square"),
        ({"shapes": {"a": {"kind": "circle"}}}, "file.shapes.a.radius is missing"),
        ({"shapes": {"a": {"kind": "circle", "radius": 1, "side": 2}}}, "file.shapes.a has unknown entries: side"),
        ({"other": 1, "more": 2}, "file has unknown entries: other, more"),
        ({"extra": 3}, "file.extra"),
    ],
)
def test_says_where_and_what(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(**changes)


@pytest.mark.parametrize("value", [[], "x", None, 5, [["title", "t"]]])
def test_must_be_an_object(value: object) -> None:
    with pytest.raises(ValueError, match="file must be a JSON object"):
        parse_dataclass(Drawing, value, "file")


def test_missing_entries_are_named() -> None:
    with pytest.raises(ValueError, match=r"file\.title is missing"):
        parse_dataclass(Drawing, {"shapes": {}, "size": [1, 2]}, "file")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["kind", "side", "a"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(
    name=st.sampled_from(["title", "shapes", "size", "weights", "mode", "visible", "depth", "extra"]), value=json_values
)
def test_no_value_raises_anything_else(name: str, value: Any) -> None:
    with contextlib.suppress(ValueError):
        parse(**{name: value})


def test_messages_stay_short() -> None:
    with pytest.raises(ValueError, match=r"file\.mode") as caught:
        parse(mode="x" * 10**6)
    assert len(str(caught.value)) < 300
