"""Handbags, seen from the front: one unit wide, standing on y = 0."""

import numpy as np

from tandem.data.synthetic.geometry import (
    Knot,
    Outline,
    Sketch,
    band,
    corner,
    curve,
    ellipse,
    offset,
    rounded,
)


def handbag(rng: np.random.Generator) -> Outline:
    """A flap bag, a satchel with buckles, a tote or a domed bag, with one or two handles."""
    u, sketch = rng.uniform, Sketch("handbag")
    height, inset = u(0.58, 0.8), u(-0.02, 0.12)
    low, high, round_ = (0.0, 1.0), (inset, 1.0 - inset), u(0.03, 0.08)
    style = ("flap", "satchel", "tote", "dome")[int(rng.integers(4))]
    sag = u(0.0, 0.02)
    if style == "dome":
        rise = height * u(0.5, 0.62)
        top: list[Knot] = [
            (high[0] + 0.005, rise),
            (0.16 + inset, height - 0.03),
            (0.5, height),
            (0.84 - inset, height - 0.03),
            (high[1] - 0.005, rise),
        ]
    else:
        top = [
            (high[0], height - round_),
            (high[0] + round_, height),
            (0.5, height - sag),
            (high[1] - round_, height),
            (high[1], height - round_),
        ]
    base: list[Knot] = [
        (low[1] - 0.01, round_),
        (low[1] - round_, 0.0),
        (0.5, -0.004),
        (round_, 0.0),
        (0.01, round_),
    ]
    _handles(sketch, rng, style=style, height=height, inset=inset)
    if style == "tote":
        mouth = [
            corner(high[0] + 0.02, height - 0.03),
            (0.25, height + 0.04),
            (0.5, height + 0.05),
            (0.75, height + 0.04),
            corner(high[1] - 0.02, height - 0.03),
        ]
        sketch.shape(mouth, "lining")
    body = sketch.shape([*top, *base], "body")
    match style:
        case "flap":
            _flap(sketch, rng, body=body, height=height, inset=inset)
        case "satchel":
            _satchel(sketch, rng, body=body, height=height, inset=inset)
        case "tote":
            _tote(sketch, rng, body=body, height=height)
        case _:
            _dome(sketch, rng, body=body, height=height)
    return sketch.finish((0.03, 0.97))


def _handles(sketch: Sketch, rng: np.random.Generator, *, style: str, height: float, inset: float) -> None:
    u = rng.uniform
    left, rise = u(0.2, 0.3), u(0.24, 0.4)
    if style == "flap" and rng.random() < 0.5:
        left, rise = inset + 0.07, u(0.38, 0.5)
    width = u(0.035, 0.055)
    knots = [
        (left, height - 0.12),
        (left + 0.015, height + rise * 0.55),
        (0.5, height + rise),
        (1 - left - 0.015, height + rise * 0.55),
        (1 - left, height - 0.12),
    ]
    loop = curve(knots)
    if style in ("tote", "dome"):
        sketch.shape(band(loop * [0.9, 1.0] + [0.05, 0.035], width * 0.9), "trim", layer=2, tone=0.75)
    sketch.shape(band(loop, width), "trim", layer=2, lift=0.6)


def _flap(sketch: Sketch, rng: np.random.Generator, *, body: int, height: float, inset: float) -> None:
    u = rng.uniform
    drop, point = height * u(0.32, 0.5), u(0.0, 0.12)
    knots: list[Knot] = [
        corner(-0.2, height + 0.2),
        corner(inset * 0.7 - 0.04, drop + 0.12),
        (0.1, drop + 0.015),
        (0.3, drop - point * 0.3),
    ]
    knots += [
        (0.5, drop - point),
        (0.7, drop - point * 0.3),
        (0.9, drop + 0.015),
        corner(1.04 - inset * 0.7, drop + 0.12),
        corner(1.2, height + 0.2),
    ]
    flap = sketch.shape(knots, "panel", within=body, lift=1.2, tone=1.0)
    hem = curve(knots[1:-1])
    sketch.line(offset(hem, 0.035), flap, "stitch")
    if rng.random() < 0.5:
        strap = sketch.shape(rounded(0.46, drop - point - 0.1, 0.54, height + 0.1, 0.03), "trim", within=body, lift=0.8)
        sketch.line(np.array([[0.475, drop], [0.475, height]]), strap, "stitch")
        sketch.line(np.array([[0.525, drop], [0.525, height]]), strap, "stitch")
    y = drop - point + 0.03
    if rng.random() < 0.5:
        sketch.shape(rounded(0.44, y - 0.045, 0.56, y + 0.035, 0.02), "metal", layer=2, lift=1.0)
        sketch.shape(rounded(0.475, y - 0.022, 0.525, y + 0.012, 0.01), "panel", layer=2, tone=0.7)
    else:
        sketch.shape(ellipse(0.5, y, 0.055, 0.055), "metal", layer=2, lift=1.0)
        sketch.line(ellipse(0.5, y, 0.028, 0.028), len(sketch.shapes) - 1)


def _satchel(sketch: Sketch, rng: np.random.Generator, *, body: int, height: float, inset: float) -> None:
    u = rng.uniform
    drop = height * u(0.42, 0.55)
    pocket = sketch.shape(
        rounded(0.12, height * 0.08, 0.88, drop + 0.05, 0.05), "panel", within=body, lift=0.7, tone=0.95
    )
    sketch.line(
        offset(
            curve(
                [
                    (0.12, drop),
                    (0.12, 0.15),
                    corner(0.12, height * 0.08),
                    corner(0.88, height * 0.08),
                    (0.88, drop),
                ]
            ),
            0.03,
        ),
        pocket,
        "stitch",
    )
    knots: list[Knot] = [
        corner(-0.2, height + 0.2),
        corner(inset * 0.5 - 0.01, drop + 0.04),
        (0.05, drop),
        (0.5, drop - 0.012),
        (0.95, drop),
        corner(1.01 - inset * 0.5, drop + 0.04),
        corner(1.2, height + 0.2),
    ]
    flap = sketch.shape(knots, "panel", within=body, lift=1.2, tone=1.02)
    sketch.line(offset(curve(knots[1:-1]), 0.032), flap, "stitch")
    x = u(0.2, 0.28)
    for centre in (x, 1 - x):
        strap = sketch.shape(
            rounded(centre - 0.035, height * 0.2, centre + 0.035, height + 0.1, 0.03),
            "trim",
            within=body,
            lift=0.8,
        )
        y = drop - 0.05
        sketch.shape(rounded(centre - 0.055, y - 0.045, centre + 0.055, y + 0.04, 0.015), "metal", layer=2, lift=1.0)
        sketch.shape(rounded(centre - 0.03, y - 0.022, centre + 0.03, y + 0.018, 0.008), "trim", layer=2, tone=0.9)
        sketch.line(np.array([[centre, height * 0.24], [centre, y - 0.06]]), strap, "stitch")


def _tote(sketch: Sketch, rng: np.random.Generator, *, body: int, height: float) -> None:
    u = rng.uniform
    sketch.line(np.array([[-0.1, height - 0.045], [1.1, height - 0.045]]), body, "stitch")
    bottom = height * u(0.22, 0.34)
    if rng.random() < 0.6:
        curved = u(-0.03, 0.05)
        edge = curve([(-0.1, bottom + curved), (0.5, bottom - curved), (1.1, bottom + curved)])
        base = sketch.shape(np.vstack([edge, [[1.1, -0.1], [-0.1, -0.1]]]), "trim", within=body, lift=0.7)
        sketch.line(offset(edge, -0.03), base, "stitch")
    else:
        pocket = sketch.shape(
            rounded(0.26, height * 0.16, 0.74, height * 0.62, 0.04), "panel", within=body, lift=0.8, tone=0.95
        )
        sketch.line(np.array([[0.2, height * 0.62 - 0.04], [0.8, height * 0.62 - 0.04]]), pocket, "stitch")
    for x in (0.25, 0.75):
        tab = sketch.shape(
            rounded(x - 0.045, height - 0.19, x + 0.045, height + 0.06, 0.02), "trim", within=body, lift=1.0
        )
        sketch.line(ellipse(x, height - 0.13, 0.018, 0.018, count=12), tab)


def _dome(sketch: Sketch, rng: np.random.Generator, *, body: int, height: float) -> None:
    u = rng.uniform
    arc = curve(
        [
            (-0.05, height * 0.42),
            (0.17, height * 0.78),
            (0.5, height * 0.88),
            (0.83, height * 0.78),
            (1.05, height * 0.42),
        ]
    )
    sketch.line(arc, body)
    sketch.line(offset(arc, -0.035), body, "stitch")
    for side in (0.0, 1.0):
        corner_patch = ellipse(side, 0.0, u(0.2, 0.26), u(0.2, 0.26))
        patch = sketch.shape(corner_patch, "trim", within=body, lift=0.7)
        sketch.line(ellipse(side, 0.0, 0.19, 0.19), patch, "stitch")
    for x in (0.27, 0.73):
        sketch.shape(rounded(x - 0.04, height * 0.5, x + 0.04, height * 0.92, 0.035), "trim", within=body, lift=1.0)
        sketch.shape(ellipse(x, height * 0.84, 0.032, 0.032, count=20), "metal", layer=2, lift=1.0)
    if rng.random() < 0.6:
        tag = [
            corner(0.5, height * 0.88),
            (0.535, height * 0.76),
            corner(0.545, height * 0.6),
            corner(0.475, height * 0.6),
            (0.475, height * 0.76),
        ]
        sketch.shape(tag, "trim", layer=2, lift=1.0, tone=0.9)
