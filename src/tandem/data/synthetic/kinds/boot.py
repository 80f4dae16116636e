"""Boots, seen from the side: heel at x = 0, toe at x = 1, sole on y = 0."""

import numpy as np

from tandem.data.synthetic.geometry import Outline, Sketch, along, band, corner, curve, ellipse, offset, part


def boot(rng: np.random.Generator) -> Outline:
    """An ankle or tall boot: laced, with elastic sides, or plain with a strap."""
    u, sketch = rng.uniform, Sketch("boot")
    tall = rng.random() < 0.35
    heel, welt = u(0.07, 0.13), u(0.03, 0.05)
    top = u(1.05, 1.3) if tall else u(0.64, 0.84)
    front = u(0.40, 0.45)
    toe, slant = u(0.165, 0.21), u(-0.02, 0.05)
    base = heel + welt
    ankle = base + (u(0.25, 0.31) if tall else (top - base) * u(0.38, 0.46))
    neck = ankle + 0.4 * (top - ankle)
    seat = [
        (0.02, base - 0.005),
        (0.24, base - 0.02),
        (0.45, welt + 0.045),
        (0.66, welt + 0.015),
        (0.99, welt + 0.025),
    ]
    shaft = [corner(0.035, base - 0.03), (0.0, base + 0.07), (0.02, ankle - 0.07), (0.05, ankle + 0.02)]
    shaft += [(0.03, neck + 0.05), corner(0.03 if not tall else 0.0, top)]
    mouth = [(front * 0.5, top - 0.02 + slant * 0.4), corner(front, top + slant)]
    instep = [(front + 0.015, neck), (front + 0.06, ankle + 0.02), (0.6, base + 0.16), (0.74, toe + 0.06)]
    nose = [(0.88, toe), (0.97, toe * 0.66), corner(0.99, welt)]
    fall = [(0.66, welt - 0.01), (0.45, welt + 0.01), (0.24, base - 0.05)]
    rim = curve([(shaft[-1][0], top), *mouth])
    far = rim + np.outer(np.sin(np.linspace(0, np.pi, len(rim))), [0.0, 0.055])
    sketch.shape(np.vstack([rim - [0, 0.03], far[::-1]]), "lining")
    style = ("laced", "elastic", "strap")[int(rng.integers(3))]
    face = curve([mouth[-1], *instep])
    if style == "laced":
        tab = along(face, 0.0)
        tongue = [
            (tab[0] - 0.12, tab[1] - 0.05),
            (tab[0] - 0.09, tab[1] + 0.05),
            (tab[0] + 0.03, tab[1] + 0.06),
        ]
        rest = [tuple(p) for p in offset(part(face, 0.12, 0.7, count=5), 0.028)]
        sketch.shape([*tongue, *rest], "panel", tone=0.85)
    body = sketch.shape([*shaft, *mouth, *instep, *nose, *fall], "body")
    match style:
        case "laced":
            _boot_laces(sketch, rng, body=body, face=face, base=base, toe=toe)
        case "elastic":
            _boot_elastic(sketch, rng, body=body, top=top, ankle=ankle, front=front)
        case _:
            _boot_strap(sketch, rng, body=body, top=top, ankle=ankle, front=front, toe=toe)
    if rng.random() < 0.5:
        tab = [
            corner(0.0, top - 0.07),
            corner(0.0, top + 0.05),
            (0.02, top + 0.06),
            corner(0.05, top + 0.05),
            corner(0.055, top - 0.08),
        ]
        sketch.shape(tab, "trim", layer=2, lift=0.5)
    _block_sole(sketch, rng, seat=curve(seat), heel=heel, welt=welt)
    return sketch.finish((0.02, 0.9))


def _block_sole(sketch: Sketch, rng: np.random.Generator, *, seat: np.ndarray, heel: float, welt: float) -> None:
    width, rake = rng.uniform(0.23, 0.3), rng.uniform(0.0, 0.04)
    sketch.shape(
        [
            corner(0.0, heel + 0.02),
            corner(0.01 + rake, 0.0),
            corner(width - 0.01, 0.0),
            corner(width + 0.02, heel + 0.01),
        ],
        "heel",
        layer=1,
    )
    lower = seat[::-1] - [0.0, welt]
    lower[:, 1] = np.maximum(lower[:, 1], 0.0)
    strip = sketch.shape(
        np.vstack([seat * [1.025, 1.0] - [0.012, 0.0], lower * [1.02, 1.0] - [0.012, 0.0]]),
        "sole",
        layer=1,
        lift=1.0,
    )
    sketch.line((seat + lower[::-1]) / 2 + [0, 0.004], strip, "stitch")


def _boot_laces(
    sketch: Sketch, rng: np.random.Generator, *, body: int, face: np.ndarray, base: float, toe: float
) -> None:
    cap = rng.uniform(0.74, 0.8)
    sketch.shape(
        [
            corner(cap, 0.0),
            (cap - 0.01, toe * 0.6),
            (cap + 0.04, toe + 0.04),
            corner(cap + 0.08, 0.4),
            corner(1.1, 0.3),
            corner(1.1, 0.0),
        ],
        "panel",
        within=body,
        lift=0.7,
        tone=0.92,
    )
    sketch.shape(
        [
            corner(-0.1, 0.0),
            corner(0.24, 0.0),
            (0.22, base + 0.08),
            (0.13, base + 0.2),
            corner(-0.1, base + 0.22),
        ],
        "panel",
        within=body,
        lift=0.7,
        tone=0.9,
    )
    lacing = part(face, 0.0, 0.78)
    facing = np.vstack([offset(lacing, 0.05), offset(lacing, -0.085)[::-1]])
    front = sketch.shape(facing, "panel", within=body, lift=0.7, tone=0.95)
    sketch.line(offset(lacing, -0.066), front, "stitch")
    inner, outer = offset(lacing, -0.05), offset(lacing, 0.022)
    for share in np.linspace(0.06, 0.93, int(rng.integers(6, 9))):
        sketch.line(np.array([along(inner, share), along(outer, min(share + 0.03, 1.0))]), front, "lace", clip=False)


def _boot_elastic(
    sketch: Sketch, rng: np.random.Generator, *, body: int, top: float, ankle: float, front: float
) -> None:
    left, right = rng.uniform(0.12, 0.15), rng.uniform(0.29, 0.32)
    foot = ankle - rng.uniform(0.0, 0.08)
    gore = [
        corner(left, top + 0.1),
        (left + 0.01, (top + foot) / 2),
        (left + 0.05, foot + 0.02),
        ((left + right) / 2 + 0.01, foot),
    ]
    gore += [(right - 0.02, foot + 0.02), (right + 0.005, (top + foot) / 2), corner(right + 0.01, top + 0.1)]
    elastic = sketch.shape(gore, "trim", within=body, lift=-0.4)
    for share in np.linspace(0.0, 1.0, 7)[1:-1]:
        x = left + (right - left) * share
        sketch.line(np.array([[x, top + 0.1], [x * 0.6 + 0.4 * (left + right) / 2 + 0.005, foot]]), elastic, "cord")
    sketch.line([(0.24, foot), (0.27, foot - 0.12), (0.30, 0.0)], body)
    sketch.line([(right, foot + 0.03), (front + 0.06, foot - 0.05), (0.62, foot - 0.13)], body, "stitch")


def _boot_strap(
    sketch: Sketch, rng: np.random.Generator, *, body: int, top: float, ankle: float, front: float, toe: float
) -> None:
    sketch.line([(0.0, top - 0.06), (front * 0.5, top - 0.075), (front + 0.1, top - 0.05)], body, "stitch")
    sketch.line([(0.5, toe + 0.3), (0.44, ankle - 0.03), (0.34, 0.2), (0.33, 0.0)], body)
    lean = rng.uniform(-0.02, 0.06)
    strap = curve([(-0.05, ankle + 0.02 + lean), (0.25, ankle - 0.02), (front + 0.2, ankle + 0.03 - lean)])
    index = sketch.shape(band(strap, 0.075), "panel", within=body, lift=1.0, tone=0.85)
    sketch.line(offset(strap, 0.024), index, "stitch")
    sketch.line(offset(strap, -0.024), index, "stitch")
    x, y = along(strap, rng.uniform(0.38, 0.5))
    ring = ellipse(x, y, 0.05, 0.055)
    sketch.shape(ring, "metal", layer=2, lift=1.0)
    sketch.shape(ellipse(x, y, 0.026, 0.03), "panel", layer=2, tone=0.85)
