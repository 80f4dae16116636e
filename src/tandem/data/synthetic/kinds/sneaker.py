"""Sneakers, seen from the side: heel at x = 0, toe at x = 1, sole on y = 0."""

import numpy as np

from tandem.data.synthetic.geometry import Outline, Sketch, along, band, corner, curve, ellipse, offset, part


def sneaker(rng: np.random.Generator) -> Outline:
    """A low or high sneaker with laces, panels and a rubber sole."""
    u, sketch = rng.uniform, Sketch("sneaker")
    high = rng.random() < 0.45
    sole, spring = u(0.085, 0.125), u(0.01, 0.035)
    top = u(0.62, 0.76) if high else u(0.43, 0.5)
    front = u(0.36, 0.40)  # x where the collar ends and the laces begin
    toe, throat = u(0.225, 0.27), u(0.63, 0.69)
    dip = u(0.02, 0.04) if high else u(0.05, 0.08)
    rim = curve([(0.035, top), (0.13, top - dip), (0.25, top - dip), (front, top + 0.005)])
    far = rim + np.outer(np.sin(np.linspace(0, np.pi, len(rim))), [0.02, 0.045])
    sketch.shape(np.vstack([rim - [0, 0.03], far[::-1]]), "lining")
    fall, run = top - toe - 0.03, throat - front
    knees = [(front + 0.27 * run, top - 0.36 * fall), (front + 0.62 * run, top - 0.75 * fall)]
    lacing = curve([(front, top), *knees, (throat, toe + 0.03)])
    tongue = [(front - 0.07, top - 0.03), (front - 0.06, top + u(0.04, 0.07)), (front + 0.02, top + 0.065)]
    sketch.shape([*tongue, *[tuple(p) for p in offset(part(lacing, 0.15, 1.0, count=5), 0.03)]], "panel", tone=0.9)
    nose = [(0.82, toe), (0.93, toe * 0.8), corner(0.985, sole * 0.6)]
    back = [corner(0.02, sole * 0.6), (0.004, sole + 0.09), (0.03, sole + 0.2), (0.025, top - 0.05)]
    upper = np.vstack([curve(back)[:-1], [[0.028, top - 0.04]], rim, lacing[1:], curve([(throat, toe + 0.03), *nose])])
    body = sketch.shape(upper, "body")
    _sneaker_panels(sketch, rng, body=body, sole=sole, top=top, toe=toe)
    _sneaker_side(sketch, rng, body=body, sole=sole, top=top, toe=toe, high=high)
    _sneaker_laces(sketch, rng, body=body, lacing=lacing, high=high)
    bottom = [corner(0.985, sole + spring + 0.01), (1.005, sole * 0.6 + spring), (0.96, 0.012 + spring * 0.6)]
    bottom += [
        (0.82, 0.0),
        (0.5, 0.0),
        (0.06, 0.0),
        (-0.012, 0.03),
        (-0.012, sole * 0.7),
        corner(0.012, sole + 0.012),
    ]
    edge = curve([(0.012, sole + 0.012), (0.3, sole - 0.01), (0.7, sole - 0.005), (0.985, sole + spring + 0.01)])
    rubber = sketch.shape(np.vstack([curve(bottom), edge[1:-1]]), "sole", layer=1, lift=1.0)
    share = u(0.35, 0.6)
    sketch.line(offset(edge, -sole * share) * [1.03, 1.0] - [0.015, 0.0], rubber)
    return sketch.finish((0.04, 0.9))


def _sneaker_panels(
    sketch: Sketch,
    rng: np.random.Generator,
    *,
    body: int,
    sole: float,
    top: float,
    toe: float,
) -> None:
    u = rng.uniform
    cap = u(0.74, 0.80)
    brow = [corner(cap - 0.03, 0.0), (cap - 0.02, sole + 0.03), (cap + 0.03, toe), corner(cap + 0.08, 0.4)]
    # Contrasting caps are told from plain ones by their stitches: nothing in B may depend on what A hides.
    contrast = rng.random() < 0.35
    front = sketch.shape(
        [*brow, corner(1.1, 0.3), corner(1.1, 0.0)],
        "trim" if contrast else "panel",
        within=body,
        lift=0.7,
        tone=1.0 if contrast else 0.93,
    )
    if contrast:
        sketch.line(offset(curve(brow), -0.03), front, "stitch")
    heel = u(0.14, 0.2)
    rise = top * u(0.5, 0.8)
    sketch.shape(
        [
            corner(-0.1, 0.0),
            corner(heel + 0.05, 0.0),
            (heel + 0.02, sole + 0.05),
            (heel * 0.6, rise - 0.02),
            corner(-0.1, rise),
        ],
        "panel",
        within=body,
        lift=0.7,
        tone=0.9,
    )


def _sneaker_side(
    sketch: Sketch,
    rng: np.random.Generator,
    *,
    body: int,
    sole: float,
    top: float,
    toe: float,
    high: bool,
) -> None:
    match int(rng.integers(4)):
        case 0:
            x, y = rng.uniform(0.4, 0.44), (sole + toe) / 2 + 0.04
            chevron = np.array([[x - 0.14, top], [x, y], [x - 0.1, 0.0]])
            sketch.shape(band(chevron, 0.045), "trim", within=body, lift=0.5)
        case 1:
            x, width = rng.uniform(0.36, 0.4), rng.uniform(0.1, 0.15)
            saddle = sketch.shape(band(np.array([[x, 0.0], [x + 0.1, top]]), width), "trim", within=body, lift=0.5)
            sketch.line(np.array([[x + 0.025 - width / 2, 0.0], [x + 0.125 - width / 2, top]]), saddle, "stitch")
        case 2 if high:
            x, y = 0.19, top - rng.uniform(0.17, 0.2)
            sketch.shape(ellipse(x, y, 0.062, 0.062), "trim", within=body, lift=0.6)
            sketch.line(ellipse(x, y, 0.035, 0.035), len(sketch.shapes) - 1)
        case _:
            sketch.line([(0.17, sole + 0.16), (0.38, sole + 0.14), (0.52, toe + 0.03), (0.58, toe + 0.1)], body)


def _sneaker_laces(sketch: Sketch, rng: np.random.Generator, *, body: int, lacing: np.ndarray, high: bool) -> None:
    stay = part(lacing, 0.0, 0.98)
    facing = np.vstack([offset(stay, 0.05), offset(stay, -np.linspace(0.075, 0.06, len(stay)))[::-1]])
    front = sketch.shape(facing, "panel", within=body, lift=0.7)
    sketch.line(offset(part(lacing, 0.0, 0.95), -0.048), front, "stitch")
    rows = int(rng.integers(6, 8)) if high else int(rng.integers(4, 6))
    inner, outer = offset(lacing, -0.035), offset(lacing, 0.022)
    for share in np.linspace(0.07, 0.9, rows):
        sketch.line(np.array([along(inner, share), along(outer, min(share + 0.05, 1.0))]), front, "lace", clip=False)
