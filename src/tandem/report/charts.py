"""Line and bar charts as inline SVG, without scripts, fonts or style sheets of their own.

Colours are CSS variables (`--series-1`, `--chart-ink`, …) that the page defines for light and dark; the
fallback is the light theme, so a chart also shows by itself.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

from tandem.report.chart_axes import Scale, linear_domain, linear_ticks, log_domain, log_ticks, tick_labels
from tandem.report.chart_lines import ChartLines, Segment, thin
from tandem.report.markup import Svg, escape
from tandem.report.text import number

# Colours that people with any of the common colour blindnesses can tell apart, each with a contrast of at least 3 to
# the card; a test computes both, here and for the dark theme.
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#4d0099", "#663300", "#9980ff")
WIDTH, HEIGHT = 480, 290
"""Of a chart in its own coordinates: as wide as a card where two stand side by side."""
_DASHES = ("none", "6 3", "2 3")  # one more for each time the colours are used up
_REFERENCE = 'stroke-dasharray="4 4" style="stroke:var(--chart-muted,#6b6a66)"'
_INK = "fill:var(--chart-ink,#1f1f1d)"
_MUTED = "fill:var(--chart-muted,#6b6a66)"
_SIZE = 12  # px of the letters, in the drawing's own coordinates
_LETTER = 6.6  # mean width of a letter of that size, to reserve room without measuring fonts
_LONGEST_CATEGORY = 18  # letters


def line_chart(
    lines: ChartLines,
    *,
    title: str,
    x_label: str,
    y_label: str,
    log_y: bool = False,
    width: int = WIDTH,
    height: int = HEIGHT,
    reference: Mapping[str, float] | None = None,
) -> Svg:
    """Return one SVG element with lines.

    More than 400 points of a line are thinned to the means of equal buckets, with a band from their lowest
    to their highest value. A value that is not finite (or, with `log_y`, not positive) interrupts its line.

    Args:
        lines: Points (x, y) in the order of x, by the name of their line.
        title: Heading, also the start of the text for screen readers.
        x_label: What x counts.
        y_label: What y measures, with its unit.
        log_y: Logarithmic y axis.
        width: Width in px of the drawing's own coordinates; the page scales it.
        height: Likewise.
        reference: Named y values to draw as dashed lines across.
    """
    thinned = {name: thin(points, positive=log_y) for name, points in lines.items()}
    drawn = {name: segments for name, segments in thinned.items() if segments}
    if not drawn:
        return _empty(title, width)
    levels = {name: y for name, y in (reference or {}).items() if math.isfinite(y) and (y > 0 or not log_y)}
    values = [*levels.values()]
    for segments in drawn.values():
        values += [min(min(one.low) for one in segments), max(max(one.high) for one in segments)]
    if log_y:
        y_label += ", logarithmic"
    y_low, y_high = log_domain(values) if log_y else linear_domain(values)
    y_ticks = log_ticks(y_low, y_high) if log_y else linear_ticks(y_low, y_high)
    x_low = min(one.x[0] for segments in drawn.values() for one in segments)
    x_high = max(one.x[-1] for segments in drawn.values() for one in segments)
    if x_high <= x_low:
        x_low, x_high = x_low - 0.5, x_high + 0.5

    latest = {name: segments[-1].y[-1] for name, segments in drawn.items()}
    legend, legend_height = _legend([f"{name} {number(y)}" for name, y in latest.items()], width, "line")
    labels = tick_labels(y_ticks)
    left = 12 + _LETTER * max(len(label) for label in labels)
    names_room = min(0.34 * width, 24 + _LETTER * max(len(name) for name in [*drawn, *levels]))
    right = width - names_room
    to_x = Scale(x_low, x_high, left, right)
    to_y = Scale(y_low, y_high, height - 38, 50 + legend_height, log_y)
    parts = [
        *_heading(title, y_label, to_y.end),
        legend,
        *_grid(zip(y_ticks, labels, strict=True), to_y, left, right),
        *_x_axis(to_x, height, x_label),
    ]
    for y in levels.values():
        parts.append(f'<path class="reference" d="M{left:.2f} {to_y(y):.2f}H{right:.2f}" {_REFERENCE}/>')
    for index, segments in enumerate(drawn.values()):
        parts += _line(index, segments, to_x, to_y)
    parts += _end_labels(latest, levels, to_y, right + 6, int((names_room - 20) / _LETTER))
    ends = "; ".join(
        f"{name} from {number(segments[0].y[0])} to {number(latest[name])}" for name, segments in drawn.items()
    )
    return _svg(width, height, f"{title}, {y_label} over {x_label}: {ends}", parts)


def point_chart(
    points: ChartLines,
    *,
    title: str,
    x_label: str,
    y_label: str = "",
    width: int = WIDTH,
    height: int = HEIGHT,
    reference: Mapping[str, float] | None = None,
) -> Svg:
    """Return one SVG element with points that no line joins; each says by itself what it is.

    Args:
        points: Points (x, y) by the name of their series; those that are not finite are left out.
        title: Heading, also the start of the text for screen readers.
        x_label: What x counts.
        y_label: What y measures, with its unit.
        width: Width in px of the drawing's own coordinates; the page scales it.
        height: Likewise.
        reference: Named y values to draw as dashed lines across, their names in the legend.
    """
    drawn = {name: [(x, y) for x, y in some if math.isfinite(x) and math.isfinite(y)] for name, some in points.items()}
    if not any(drawn.values()):
        return _empty(title, width)
    levels = {name: y for name, y in (reference or {}).items() if math.isfinite(y)}
    xs = [x for some in drawn.values() for x, _ in some]
    ys = [*levels.values(), *(y for some in drawn.values() for _, y in some)]
    (x_low, x_high), (y_low, y_high) = linear_domain(xs), linear_domain(ys)
    ticks = linear_ticks(y_low, y_high)
    labels = tick_labels(ticks)
    legend, legend_height = _legend([*drawn], width, "bar")
    left, right = 12 + _LETTER * max(map(len, labels)), width - 12.0
    to_x = Scale(x_low, x_high, left, right)
    to_y = Scale(y_low, y_high, height - 38, 50 + legend_height)
    parts = [*_heading(title, y_label, to_y.end), legend]
    parts += [*_grid(zip(ticks, labels, strict=True), to_y, left, right), *_x_axis(to_x, height, x_label)]
    for name, y in levels.items():
        parts.append(
            f'<path class="reference" d="M{left:.2f} {to_y(y):.2f}H{right:.2f}" {_REFERENCE}/>'
            f'<text class="reference" x="{right:.2f}" y="{to_y(y) - 4:.2f}" text-anchor="end" style="{_MUTED}">'
            f"{escape(name)}</text>"
        )
    for index, (name, some) in enumerate(drawn.items()):
        parts += [_point(to_x(x), to_y(y), f"{name}: {number(y)} at {number(x)}", index) for x, y in some]
    spoken = "; ".join(
        f"{name} " + ", ".join(f"{number(y)} at {number(x)}" for x, y in some) for name, some in drawn.items()
    )
    return _svg(width, height, f"{title}, {y_label} over {x_label}: {spoken}", parts)


def bar_chart(
    values: Mapping[str, float] | Mapping[str, Mapping[str, float]],
    *,
    title: str,
    y_label: str = "",
    width: int = WIDTH,
    height: int = HEIGHT,
) -> Svg:
    """Return one SVG element with a bar for each value, or a group of bars for each label.

    Args:
        values: Value by label; or, for bars side by side, series name → {label: value}. A value that is
            missing or not finite leaves its place empty.
        title: Heading, also the start of the text for screen readers.
        y_label: What the bars measure, with its unit.
        width: Width in px of the drawing's own coordinates; the page scales it.
        height: Likewise.
    """
    paired = any(isinstance(group, Mapping) for group in values.values())
    series = {name: group for name, group in values.items() if isinstance(group, Mapping)}
    if not paired:
        series = {title: {label: v for label, v in values.items() if not isinstance(v, Mapping)}}
    finite = [v for group in series.values() for v in group.values() if math.isfinite(v)]
    if not finite:
        return _empty(title, width)
    labels = list(dict.fromkeys(label for group in series.values() for label in group))
    low, high = linear_domain([0.0, *finite]) if any(finite) else (0.0, 1.0)
    ticks = linear_ticks(low, high)
    texts = tick_labels(ticks)
    left = 12 + _LETTER * max(len(text) for text in texts)
    slot = (width - 8 - left) / len(labels)
    longest = min(_LONGEST_CATEGORY, max(len(label) for label in labels)) * _LETTER
    slanted = longest > slot - 4
    legend, legend_height = _legend(list(series), width, "bar") if paired else ("", 0)
    bottom = height - (26 + 0.58 * longest if slanted else 26)
    to_y = Scale(low, high, bottom, 46 + legend_height)
    parts = [*_heading(title, y_label, to_y.end), legend]
    parts += _grid(zip(ticks, texts, strict=True), to_y, left, width - 8.0)
    bar = min(34.0, slot * 0.78 / len(series))
    every = max(1, math.ceil(_SIZE / slot))  # of many bars not all can be named
    for place, label in enumerate(labels):
        centre = left + (place + 0.5) * slot
        for index, (name, group) in enumerate(series.items()):
            v = group.get(label, math.nan)
            if math.isfinite(v):
                x = centre + (index - len(series) / 2) * bar
                what = f"{name}, {label}" if paired else label
                parts.append(_bar(x, bar, to_y, v, spoken=f"{what}: {number(v)}", colour=_colour(index)))
        if place % every == 0:
            parts.append(_category(label, centre, bottom + 16, slanted))
    spoken = "; ".join(
        (f"{name}: " if paired else "") + ", ".join(f"{label} {number(v)}" for label, v in group.items())
        for name, group in series.items()
    )
    return _svg(width, height, f"{title}. {spoken}", parts)


def _colour(index: int) -> str:
    return f"var(--series-{index % len(PALETTE) + 1},{PALETTE[index % len(PALETTE)]})"


def _svg(width: int, height: int, description: str, parts: Sequence[str]) -> Svg:
    return Svg(
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape(description)}" font-size="{_SIZE}" font-family="system-ui,sans-serif" '
        # Narrower, the letters would become too small to read; the page scrolls the chart instead.
        # Wider, they would become larger than those of the page.
        f'style="min-width:{0.66 * width:.0f}px;max-width:{1.3 * width:.0f}px">' + "".join(parts) + "</svg>"
    )


def _empty(title: str, width: int) -> Svg:
    message = f'<text x="0" y="38" style="{_MUTED}">no data yet</text>'
    return _svg(width, 48, f"{title}: no data yet", [*_heading(title, "", 0), message])


def _heading(title: str, y_label: str, plot_top: float) -> list[str]:
    heading = f'<text x="0" y="15" font-size="14" font-weight="600" style="{_INK}">{escape(title)}</text>'
    unit = f'<text class="unit" x="0" y="{plot_top - 12:.2f}" style="{_MUTED}">{escape(y_label)}</text>'
    return [heading, unit] if y_label else [heading]


def _legend(names: Sequence[str], width: int, kind: str) -> tuple[str, int]:
    """Return the legend below the heading and the height that it takes; one name alone needs none."""
    if len(names) < 2:
        return "", 0
    parts, x, y = [], 0.0, 36
    for index, name in enumerate(names):
        room = 18 + _LETTER * len(name) + 14
        if x and x + room > width:
            x, y = 0.0, y + 17
        if kind == "line":
            mark = f'<path d="M{x:.2f} {y - 4}h13" {_stroke(index)}/>'
        else:
            mark = f'<rect x="{x:.2f}" y="{y - 9}" width="10" height="10" rx="2" style="fill:{_colour(index)}"/>'
        parts.append(f'{mark}<text x="{x + 18:.2f}" y="{y}" style="{_INK}">{escape(name)}</text>')
        x += room
    return f'<g class="legend">{"".join(parts)}</g>', y - 16


def _grid(ticks: zip, to_y: Scale, left: float, right: float) -> list[str]:
    parts = []
    for value, label in ticks:
        y = to_y(value)
        parts.append(
            f'<path d="M{left:.2f} {y:.2f}H{right:.2f}" style="stroke:var(--chart-line,#e4e2dc)"/>'
            f'<text class="y-tick" x="{left - 7:.2f}" y="{y + 3.8:.2f}" text-anchor="end" '
            f'style="{_MUTED}">{label}</text>'
        )
    return parts


def _x_axis(to_x: Scale, height: int, x_label: str) -> list[str]:
    ticks = linear_ticks(to_x.low, to_x.high, most=max(2, int((to_x.end - to_x.start) / 80)))
    parts = [
        f'<text class="x-tick" x="{to_x(value):.2f}" y="{height - 22}" text-anchor="middle" '
        f'style="{_MUTED}">{label}</text>'
        for value, label in zip(ticks, tick_labels(ticks), strict=True)
    ]
    middle = (to_x.start + to_x.end) / 2
    place = f'x="{middle:.2f}" y="{height - 6}" text-anchor="middle"'
    return [*parts, f'<text {place} style="{_MUTED}">{escape(x_label)}</text>']


def _stroke(index: int) -> str:
    dash = _DASHES[index // len(PALETTE) % len(_DASHES)]
    return (
        f'fill="none" stroke-width="1.8" stroke-linejoin="round" stroke-linecap="round" '
        f'stroke-dasharray="{dash}" style="stroke:{_colour(index)}"'
    )


def _line(index: int, segments: Sequence[Segment], to_x: Scale, to_y: Scale) -> list[str]:
    bands, lines = [], []
    for segment in segments:
        xs = [f"{to_x(x):.2f}" for x in segment.x]
        ys = [f"{to_y(y):.2f}" for y in segment.y]
        if segment.low != segment.high:
            upper = [f"{x},{to_y(y):.2f}" for x, y in zip(xs, segment.high, strict=True)]
            lower = [f"{x},{to_y(y):.2f}" for x, y in zip(xs, segment.low, strict=True)]
            bands.append(
                f'<polygon class="band" points="{" ".join(upper + lower[::-1])}" fill-opacity="0.16" '
                f'style="fill:{_colour(index)}"/>'
            )
        if len(xs) == 1:
            lines.append(f'<circle cx="{xs[0]}" cy="{ys[0]}" r="2.4" style="fill:{_colour(index)}"/>')
        else:
            points = " ".join(f"{x},{y}" for x, y in zip(xs, ys, strict=True))
            lines.append(f'<polyline points="{points}" {_stroke(index)}/>')
    return bands + lines


def _end_labels(
    latest: Mapping[str, float], levels: Mapping[str, float], to_y: Scale, x: float, letters: int
) -> list[str]:
    """Return the names at the right ends of the lines, moved apart where they would overlap.

    They are in the colour of text, which is easier to read than that of a line; a stroke before each says which line.
    Longer ones than `letters` are cut off; the legend has them whole.
    """
    wanted = [(to_y(y), name, _stroke(i)) for i, (name, y) in enumerate(latest.items())]
    wanted += [(to_y(y), name, _REFERENCE) for name, y in levels.items()]
    wanted.sort(key=lambda item: item[0])
    heights = [y for y, _, _ in wanted]
    for upper, lower in pairwise(range(len(heights))):
        heights[lower] = max(heights[lower], heights[upper] + 14)
    surplus = max(0.0, heights[-1] - to_y.start)
    heights[-1] -= surplus
    for lower, upper in pairwise(range(len(heights) - 1, -1, -1)):
        heights[upper] = min(heights[upper], heights[lower] - 14)
    return [
        f'<path class="end" d="M{x:.2f} {y:.2f}h10" {stroke}/>'
        f'<text class="end" x="{x + 14:.2f}" y="{y + 3.8:.2f}" style="{_INK}">'
        f"{escape(_shortened(name, letters))}</text>"
        for y, (_, name, stroke) in zip(heights, wanted, strict=True)
    ]


def _point(x: float, y: float, spoken: str, index: int) -> str:
    return (
        f'<circle class="point" cx="{x:.2f}" cy="{y:.2f}" r="4.5" fill-opacity="0.8" style="fill:{_colour(index)}">'
        f"<title>{escape(spoken)}</title></circle>"
    )


def _bar(x: float, width: float, to_y: Scale, value: float, *, spoken: str, colour: str) -> str:
    top, tall = min(to_y(0.0), to_y(value)), abs(to_y(value) - to_y(0.0))
    return (
        f'<rect class="value" x="{x + 0.75:.2f}" y="{top:.2f}" width="{max(1.0, width - 1.5):.2f}" '
        f'height="{tall:.2f}" rx="1.5" style="fill:{colour}"><title>{escape(spoken)}</title></rect>'
    )


def _category(label: str, x: float, y: float, slanted: bool) -> str:
    short = _shortened(label, _LONGEST_CATEGORY)
    place = f'text-anchor="end" transform="rotate(-35 {x:.2f} {y:.2f})"' if slanted else 'text-anchor="middle"'
    return f'<text class="category" x="{x:.2f}" y="{y:.2f}" {place} style="{_INK}">{escape(short)}</text>'


def _shortened(text: str, letters: int) -> str:
    return text if len(text) <= letters else text[: max(1, letters - 1)] + "…"
