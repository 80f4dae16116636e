"""Backpacks, seen from the front: one unit wide, standing on y = 0."""

import numpy as np

from tandem.data.synthetic.geometry import Knot, Outline, Sketch, along, band, corner, curve, offset, rounded


def backpack(rng: np.random.Generator) -> Outline:
    """A rounded rucksack with a front pocket and a zip or a buckled flap."""
    u, sketch = rng.uniform, Sketch("backpack")
    height, waist = u(1.12, 1.3), u(0.0, 0.05)
    crown = u(0.2, 0.3)
    loop = curve(
        [
            (0.38, height - 0.04),
            (0.4, height + 0.09),
            (0.5, height + 0.12),
            (0.6, height + 0.09),
            (0.62, height - 0.04),
        ]
    )
    sketch.shape(band(loop, 0.042), "trim", layer=2, lift=0.5)
    _pack_sides(sketch, rng, height=height)
    shell: list[Knot] = [
        (0.055 + waist, height - crown),
        (0.2, height - 0.05),
        (0.5, height),
        (0.8, height - 0.05),
        (0.945 - waist, height - crown),
    ]
    shell += [
        (0.99, height * 0.35),
        (0.955, 0.05),
        (0.85, 0.005),
        (0.5, 0.0),
        (0.15, 0.005),
        (0.045, 0.05),
        (0.01, height * 0.35),
    ]
    body = sketch.shape(shell, "body")
    flap = rng.random() < 0.5
    mouth = height * (u(0.56, 0.62) if flap else u(0.46, 0.54))
    _pack_pocket(sketch, rng, body=body, top=mouth - 0.03 if flap else mouth)
    if flap:
        _pack_flap(sketch, rng, body=body, height=height, mouth=mouth)
    else:
        _pack_zip(sketch, rng, body=body, height=height)
    return sketch.finish((0.06, 0.94))


def _pack_sides(sketch: Sketch, rng: np.random.Generator, *, height: float) -> None:
    for side in (-1, 1):
        strap = curve(
            [
                (0.5 + side * 0.36, height * 0.86),
                (0.5 + side * 0.55, height * 0.6),
                (0.5 + side * 0.56, height * 0.3),
                (0.5 + side * 0.44, 0.07),
            ]
        )
        sketch.shape(band(strap, np.linspace(0.09, 0.045, len(strap))), "trim", layer=2, tone=0.8)
        pouch = [
            (0.5 + side * 0.4, 0.06),
            (0.5 + side * 0.55, 0.08),
            (0.5 + side * 0.57, height * 0.3),
            (0.5 + side * 0.4, height * 0.36),
        ]
        if rng.random() < 0.8:
            sketch.shape(pouch, "panel", layer=1, tone=0.85)


def _pack_zip(sketch: Sketch, rng: np.random.Generator, *, body: int, height: float) -> None:
    arc = curve(
        [
            (-0.05, height * 0.56),
            (0.12, height * 0.78),
            (0.5, height * 0.88),
            (0.88, height * 0.78),
            (1.05, height * 0.56),
        ]
    )
    sketch.line(arc, body)
    sketch.line(offset(arc, -0.035), body, "stitch")
    x, y = along(arc, rng.uniform(0.55, 0.75))
    pull = [corner(x - 0.012, y), corner(x + 0.012, y), (x + 0.024, y - 0.1), (x - 0.024, y - 0.1)]
    sketch.shape(pull, "metal", layer=2, lift=1.0)
    sketch.shape(rounded(0.41, height * 0.64, 0.59, height * 0.72, 0.02), "trim", within=body, lift=0.8)


def _pack_pocket(sketch: Sketch, rng: np.random.Generator, *, body: int, top: float) -> None:
    side = rng.uniform(0.12, 0.18)
    box: list[Knot] = [
        (side, top - 0.06),
        (side + 0.07, top),
        (0.5, top + 0.015),
        (0.93 - side, top),
        (1 - side, top - 0.06),
    ]
    box += [(1.01 - side, 0.2), (0.96 - side, 0.09), (0.5, 0.075), (side + 0.04, 0.09), (side - 0.01, 0.2)]
    pocket = sketch.shape(box, "panel", within=body, lift=1.2, tone=0.94)
    zip_ = curve([(0.0, top - 0.12), (0.5, top - 0.075), (1.0, top - 0.12)])
    sketch.line(zip_, pocket)
    sketch.line(offset(zip_, -0.03), pocket, "stitch")


def _pack_flap(sketch: Sketch, rng: np.random.Generator, *, body: int, height: float, mouth: float) -> None:
    knots: list[Knot] = [
        corner(-0.2, height + 0.2),
        corner(-0.1, mouth + 0.2),
        (0.08, mouth + 0.03),
        (0.2, mouth),
        (0.5, mouth - 0.02),
        (0.8, mouth),
        (0.92, mouth + 0.03),
    ]
    knots += [corner(1.1, mouth + 0.2), corner(1.2, height + 0.2)]
    flap = sketch.shape(knots, "panel", within=body, lift=1.2)
    sketch.line(offset(curve(knots[2:7]), 0.035), flap, "stitch")
    x = rng.uniform(0.26, 0.34)
    for centre in (x, 1 - x):
        sketch.shape(
            rounded(centre - 0.036, mouth * 0.5, centre + 0.036, height * 0.82, 0.03),
            "trim",
            within=body,
            lift=0.8,
        )
        y = mouth - 0.09
        sketch.shape(rounded(centre - 0.056, y - 0.045, centre + 0.056, y + 0.045, 0.015), "metal", layer=2, lift=1.0)
        sketch.shape(rounded(centre - 0.03, y - 0.02, centre + 0.03, y + 0.02, 0.008), "trim", layer=2, tone=0.9)
