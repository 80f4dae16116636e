import math
import re
import xml.etree.ElementTree as ET
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tandem.report import charts
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


# How people with protanopia, deuteranopia and tritanopia see linear RGB (Machado, Oliveira, Fernandes 2009), and all.
SIGHT = {
    "all cones": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]]
    ),
}
# Oklab (Ottosson 2020): a distance of 0.02 is about what can just be noticed side by side.
TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
TO_LAB = np.array(
    [
        [0.2104542553, 0.793617785, -0.0040720468],
        [1.9779984951, -2.428592205, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.808675766],
    ]
)


def linear_rgb(colour: str) -> np.ndarray:
    digits = colour.removeprefix("#")
    pairs = [digit * 2 for digit in digits] if len(digits) == 3 else [digits[i : i + 2] for i in (0, 2, 4)]
    values = np.array([int(pair, 16) for pair in pairs]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    low, high = sorted(float(linear_rgb(colour) @ [0.2126, 0.7152, 0.0722]) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


def themes() -> dict[str, dict[str, str]]:
    """The colours of the style sheet by their names, in light and in dark."""
    sheet = (Path(charts.__file__).parent / "templates" / "style.css").read_text(encoding="utf-8")
    light, dark = (dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6});", part)) for part in sheet.split("@media")[:2])
    return {"light": light, "dark": light | dark}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_lines_can_be_seen_and_told_apart_by_all(theme):
    colours = themes()[theme]
    series = [colours[f"series-{i}"] for i in range(1, len(charts.PALETTE) + 1)]
    assert min(contrast(one, colours["card"]) for one in series) >= 3
    for sight, matrix in SIGHT.items():
        seen = np.stack([np.clip(matrix @ linear_rgb(one), 0, 1) for one in series])
        lab = np.cbrt(seen @ TO_CONES.T) @ TO_LAB.T
        distances = [float(np.linalg.norm(a - b)) for a, b in combinations(lab, 2)]
        assert min(distances) >= 0.08, sight


def test_a_chart_by_itself_has_the_colours_of_the_light_theme():
    colours = themes()["light"]
    assert tuple(colours[f"series-{i}"] for i in range(1, len(charts.PALETTE) + 1)) == charts.PALETTE


def test_bars_of_nothing_stand_on_zero():
    svg = ET.fromstring(bar_chart({"a": 0.0, "b": 0.0}, title="modes"))
    ticks = [text.text for text in svg.iter(f"{SVG}text") if text.get("class") == "y-tick"]
    assert float(ticks[0]) == 0


@pytest.mark.parametrize(("count", "named"), [(11, 11), (34, 34), (101, 34)])
def test_of_many_bars_as_many_are_named_as_have_room(count, named):
    svg = ET.fromstring(bar_chart({str(rank): 1 / count for rank in range(count)}, title="ranks"))
    assert len([rect for rect in svg.iter(f"{SVG}rect") if rect.get("class") == "value"]) == count
    labels = [text for text in svg.iter(f"{SVG}text") if text.get("class") == "category"]
    assert len(labels) == named
    assert labels[0].text == "0"
    places = [float(text.get("x")) for text in labels]
    assert min(after - before for before, after in pairwise(places)) >= 12
