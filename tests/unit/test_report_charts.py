import math
import re
import xml.etree.ElementTree as ET
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tandem.report.chart_axes import Scale, linear_domain, linear_ticks, log_domain, log_ticks, tick_labels
from tandem.report.chart_lines import thin
from tandem.report.charts import bar_chart, line_chart

SVG = "{http://www.w3.org/2000/svg}"
TICK_TEXT_DROP = 3.8  # the baseline of a y label is this far below its line


def draw(series, **options) -> ET.Element:
    given_options = {"title": "t", "x_label": "x", "y_label": "y"} | options
    return ET.fromstring(line_chart(series, **given_options))


def tick_value(text: str) -> float:
    units = {"k": 1e3, "M": 1e6}
    return float(text[:-1]) * units[text[-1]] if text[-1] in units else float(text)


def axis(svg: ET.Element, kind: str, log: bool = False):
    """Read the map value → coordinate from the first and last label of an axis, as a person would."""
    ticks = []
    for text in svg.iter(f"{SVG}text"):
        if text.get("class") == kind:
            place = float(text.get("x")) if kind == "x-tick" else float(text.get("y")) - TICK_TEXT_DROP
            ticks.append((tick_value(text.text), place))
    (v0, p0), (v1, p1) = ticks[0], ticks[-1]
    f = math.log if log else float
    return lambda value: p0 + (p1 - p0) * (f(value) - f(v0)) / (f(v1) - f(v0))


def polylines(svg: ET.Element) -> list[list[tuple[float, float]]]:
    return [
        [tuple(map(float, pair.split(","))) for pair in line.get("points").split()]
        for line in svg.iter(f"{SVG}polyline")
    ]


def test_a_scale_fills_its_room():
    for log, middle in ((False, 50.5), (True, 10.0)):
        scale = Scale(1.0, 100.0, 200.0, 40.0, log)
        assert [scale(1.0), scale(middle), scale(100.0)] == pytest.approx([200.0, 120.0, 40.0])


@pytest.mark.parametrize("log", [False, True])
def test_points_stand_where_the_axes_say(log):
    points = [(1000.0 * i, 0.03 * 1.4**i) for i in range(21)]
    svg = draw({"loss": points}, log_y=log)
    to_x, to_y = axis(svg, "x-tick"), axis(svg, "y-tick", log)
    (line,) = polylines(svg)
    assert len(line) == len(points)
    for (x, y), (left, top) in zip(points, line, strict=True):
        assert left == pytest.approx(to_x(x), abs=0.02)
        assert top == pytest.approx(to_y(y), abs=0.02)
    _, _, width, height = map(float, svg.get("viewBox").split())
    assert all(0 <= left <= width and 0 <= top <= height for left, top in line)


def test_long_series_become_bucket_means_with_their_range():
    rng = np.random.default_rng(0)
    y = rng.normal(5, 1, 100_000)
    svg = draw({"loss": list(enumerate(y))})
    to_x, to_y = axis(svg, "x-tick"), axis(svg, "y-tick")
    (line,) = polylines(svg)
    buckets = y.reshape(400, 250)
    assert len(line) == 400
    for index in (0, 17, 399):
        assert line[index][0] == pytest.approx(to_x(250 * index + 124.5), abs=0.02)
        assert line[index][1] == pytest.approx(to_y(buckets[index].mean()), abs=0.02)
    (band,) = [element.get("points") for element in svg.iter(f"{SVG}polygon")]
    heights = [float(pair.split(",")[1]) for pair in band.split()]
    assert heights[17] == pytest.approx(to_y(buckets[17].max()), abs=0.02)
    assert heights[-1 - 17] == pytest.approx(to_y(buckets[17].min()), abs=0.02)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite_break_the_line(bad):
    points = [(float(i), bad if i in (3, 7) else float(i)) for i in range(9)]
    svg = draw({"loss": points})
    assert [len(line) for line in polylines(svg)] == [3, 3]
    assert len(list(svg.iter(f"{SVG}circle"))) == 1  # the single point after the second gap


def test_breaks_stay_visible_in_long_series():
    values = [1.0] * 4000
    values[2005] = math.nan
    segments = thin(list(enumerate(values)))
    assert [len(segment.x) for segment in segments] == [201, 199]
    alternating = [(i, math.nan if i % 2 else 1.0) for i in range(100_000)]
    assert sum(len(segment.x) for segment in thin(alternating)) <= 400


def test_logarithmic_axis_leaves_out_what_it_cannot_show():
    svg = draw({"kl": [(0, 1.0), (1, 0.0), (2, 10.0), (3, 100.0)]}, log_y=True)
    assert [len(line) for line in polylines(svg)] == [2]
    assert len(list(svg.iter(f"{SVG}circle"))) == 1


@pytest.mark.parametrize("series", [{}, {"loss": []}, {"loss": [(0, math.nan)]}])
def test_no_data_is_said_quietly(series):
    svg = draw(series)
    assert "no data yet" in "".join(svg.itertext())
    assert polylines(svg) == []


def test_one_point_and_a_flat_line_can_be_drawn():
    assert len(list(draw({"a": [(5, 2.0)]}).iter(f"{SVG}circle"))) == 1
    (line,) = polylines(draw({"a": [(0, 0.0), (1, 0.0)]}))
    assert line[0][1] == line[1][1]


def test_reference_lines_are_named_and_in_view():
    svg = draw({"ratio": [(0, 0.1), (10, 0.3)]}, reference={"real data": 1.0})
    (level,) = [path.get("d") for path in svg.iter(f"{SVG}path") if path.get("class") == "reference"]
    height = float(re.fullmatch(r"M\S+ (\S+)H\S+", level).group(1))
    assert height == pytest.approx(axis(svg, "y-tick")(1.0), abs=0.02)
    assert "real data" in [text.text for text in svg.iter(f"{SVG}text") if text.get("class") == "end"]


@pytest.mark.parametrize("end", [0.0, 0.5, 1.0])
def test_names_at_the_ends_do_not_overlap_and_stay_inside(end):
    svg = draw({f"term_{i}": [(0, i / 7), (1, end)] for i in range(8)})
    heights = sorted(float(text.get("y")) for text in svg.iter(f"{SVG}text") if text.get("class") == "end")
    assert len(heights) == 8
    assert all(lower - upper >= 12.98 for upper, lower in pairwise(heights))
    assert axis(svg, "y-tick")(1.0) <= heights[0]
    assert heights[-1] <= axis(svg, "y-tick")(0.0) + TICK_TEXT_DROP + 0.01


def test_hostile_names_are_only_text():
    name = '</svg><script>alert("1")</script>&\x00'
    svg = draw({name: [(0, 1), (1, 2)], "b": [(0, 1), (1, 2)]}, title=name, y_label=name)
    assert {element.tag for element in svg.iter()} <= {
        f"{SVG}{tag}" for tag in ("svg", "text", "g", "path", "polyline")
    }
    assert svg.get("aria-label").startswith('</svg><script>alert("1")</script>&\ufffd')
    ET.fromstring(bar_chart({name: {name: 1.0}}, title=name))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_bars_have_the_heights_of_their_values(bad):
    values = {"true": {"red": 0.5, "blue": 0.25}, "model": {"red": 0.4, "blue": bad}}
    svg = ET.fromstring(bar_chart(values, title="modes"))
    bars = [rect for rect in svg.iter(f"{SVG}rect") if rect.get("class") == "value"]
    heights = {bar.find(f"{SVG}title").text: float(bar.get("height")) for bar in bars}
    assert set(heights) == {"true, red: 0.5", "true, blue: 0.25", "model, red: 0.4"}
    to_y = axis(svg, "y-tick")
    for text, height in heights.items():
        assert height == pytest.approx(to_y(0) - to_y(float(text.split(": ")[1])), abs=0.02)
    edges = sorted((float(bar.get("x")), float(bar.get("x")) + float(bar.get("width"))) for bar in bars)
    assert all(right < left for (_, right), (left, _) in pairwise(edges))


def test_single_bars_and_negative_values():
    svg = ET.fromstring(bar_chart({"1": 0.5, "2": -0.25}, title="KL"))
    up, down = [rect for rect in svg.iter(f"{SVG}rect") if rect.get("class") == "value"]
    assert float(up.get("y")) + float(up.get("height")) == pytest.approx(float(down.get("y")), abs=0.02)
    assert float(up.get("height")) == pytest.approx(2 * float(down.get("height")), abs=0.02)
    assert "no data yet" in bar_chart({}, title="KL")


@settings(max_examples=150, deadline=None)
@given(st.lists(st.floats(-1e12, 1e12, allow_subnormal=False), min_size=1, max_size=5))
def test_linear_axis_is_round_and_holds_the_values(values):
    low, high = linear_domain(values)
    slack = 1e-6 * (high - low)
    assert low - slack <= min(values)
    assert max(values) <= high + slack
    ticks = linear_ticks(low, high)
    assert 2 <= len(ticks) <= 8
    mantissas = {f"{(b - a):.0e}"[0] for a, b in pairwise(ticks)}
    assert mantissas <= {"1", "2", "5"}
    assert len(set(tick_labels(ticks))) == len(ticks) or high - low < 1e-6 * abs(high)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.floats(1e-12, 1e12), min_size=1, max_size=5))
def test_logarithmic_axis_holds_the_values(values):
    low, high = log_domain(values)
    assert low * (1 - 1e-6) <= min(values)
    assert max(values) <= high * (1 + 1e-6)
    ticks = log_ticks(low, high)
    assert 2 <= len(ticks) <= 9
    assert {f"{tick:.0e}"[0] for tick in ticks} <= {"1", "2", "5"}


def test_zero_is_on_the_axis_only_where_it_is_near():
    assert linear_domain([0.2, 1.0]) == (0.0, 1.0)
    assert linear_domain([980.0, 1000.0])[0] == pytest.approx(980.0)
