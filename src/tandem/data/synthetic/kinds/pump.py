"""Court shoes on heels, seen from the side: heel at x = 0, toe at x = 1, sole on y = 0."""

import numpy as np

from tandem.data.synthetic.geometry import Outline, Sketch, along, band, corner, curve, ellipse, offset, part


def pump(rng: np.random.Generator) -> Outline:
    """A court shoe on a stiletto, kitten or block heel, some with a strap around the ankle."""
    u, sketch = rng.uniform, Sketch("pump")
    heel = u(0.2, 0.42)
    counter, toe, tip = u(0.2, 0.25), u(0.185, 0.225), u(0.98, 1.06)
    vamp = u(0.62, 0.72)
    plate = u(0.04, 0.07) if heel > 0.32 and rng.random() < 0.5 else 0.0
    ball = 0.012 + plate
    seat = [
        (0.03, heel),
        (0.2, heel * 0.93 + ball * 0.4),
        (0.42, heel * 0.5 + ball),
        (0.6, heel * 0.1 + ball),
        (0.72, ball),
    ]
    ground = [(0.86, ball + 0.002), corner(tip, ball + 0.03)]
    rim = curve(
        [
            (-0.005, heel + counter),
            (0.09, heel + 0.125),
            (0.24, heel * 0.83 + 0.11),
            (0.45, heel * 0.42 + 0.12),
            (vamp, toe + ball + 0.02),
        ]
    )
    arch = np.sin(np.linspace(0, np.pi, len(rim)))
    far = rim + np.outer(arch, [0.02, 0.055])
    sketch.shape(np.vstack([rim - [0, 0.03], far[::-1]]), "lining")
    _pump_heel(sketch, rng, heel=heel)
    under = curve([*seat, *ground])
    if plate:
        _platform(sketch, under=under, tip=tip)
    top = curve(
        [
            (vamp, toe + ball + 0.02),
            (vamp + 0.1, toe + ball - 0.012),
            (0.9, ball + 0.11),
            corner(tip, ball + 0.03),
        ]
    )
    back = curve([(0.03, heel), (-0.012, heel + 0.07), (-0.005, heel + counter)])
    body = sketch.shape(np.vstack([back[:-1], rim, top[1:], under[-2:0:-1]]), "body")
    sketch.shape(np.vstack([under, (under - [0, 0.02])[::-1]]), "sole", layer=1)
    sketch.line(offset(part(rim, 0.02, 0.98), -0.022), body, "stitch")
    _pump_detail(sketch, rng, body=body, heel=heel, ball=ball, vamp=vamp, crest=toe + ball)
    if rng.random() < 0.45:
        _ankle_strap(sketch, rng, heel=heel, counter=counter)
    return sketch.finish((0.02, 0.95))


def _pump_detail(
    sketch: Sketch,
    rng: np.random.Generator,
    *,
    body: int,
    heel: float,
    ball: float,
    vamp: float,
    crest: float,
) -> None:
    match int(rng.integers(3)):
        case 0:
            cap = rng.uniform(0.8, 0.86)
            sketch.shape(
                [
                    corner(cap, ball - 0.1),
                    (cap - 0.015, ball + 0.06),
                    (cap + 0.03, 0.2),
                    corner(cap + 0.1, 0.4),
                    corner(1.2, 0.4),
                    corner(1.2, ball - 0.1),
                ],
                "panel",
                within=body,
                lift=0.6,
                tone=0.85,
            )
        case 1:
            x, y = vamp + 0.055, crest + 0.005
            for side in (-1, 1):
                loop = [
                    corner(x, y),
                    (x + side * 0.06, y + 0.05),
                    (x + side * 0.085, y),
                    (x + side * 0.055, y - 0.035),
                ]
                sketch.shape(loop, "panel", layer=2, lift=1.0, tone=0.95)
            sketch.shape(ellipse(x, y, 0.02, 0.026, count=16), "panel", layer=2, lift=1.5, tone=0.85)
        case _:
            sketch.line([(0.33, heel * 0.7 + 0.3), (0.36, heel * 0.6 + 0.05), (0.34, 0.0)], body)


def _pump_heel(sketch: Sketch, rng: np.random.Generator, *, heel: float) -> None:
    u = rng.uniform
    block = rng.random() < 0.4
    foot = u(0.11, 0.16) if block else u(0.022, 0.035)
    x = u(0.02, 0.05) if block else u(0.03, 0.08)
    wide = u(0.19, 0.23)
    waist = 0.55 * wide + 0.45 * foot if block else 0.3 * wide + 0.7 * foot
    knots = [
        corner(0.01, heel + 0.03),
        (0.012, heel * 0.8),
        (x * 0.8, heel * 0.45),
        corner(x, 0.0),
        corner(x + foot, 0.0),
    ]
    knots += [(x * 0.8 + waist, heel * 0.5), (wide - 0.02, heel * 0.82), corner(wide + 0.04, heel + 0.03)]
    index = sketch.shape(knots, "heel" if block else "panel", layer=1, tone=0.8)
    sketch.shape(
        np.array([[x - 0.1, -0.1], [x + 0.3, -0.1], [x + 0.3, 0.022], [x - 0.1, 0.022]]),
        "edge",
        within=index,
        layer=1,
    )


def _platform(sketch: Sketch, *, under: np.ndarray, tip: float) -> None:
    above = under[under[:, 0] > 0.6] + [0.0, 0.01]
    below = curve([(tip - 0.01, above[-1, 1] - 0.02), (tip - 0.05, 0.012), (0.88, 0.0), (0.72, 0.0), (0.6, 0.02)])
    sketch.shape(np.vstack([above, below]), "panel", layer=1, tone=0.8)


def _ankle_strap(sketch: Sketch, rng: np.random.Generator, *, heel: float, counter: float) -> None:
    y = heel + counter + rng.uniform(0.06, 0.1)
    loop = curve([(0.0, y), (0.09, y - 0.035), (0.2, y - 0.01), (0.235, y + 0.035)])
    back = curve([(0.235, y + 0.035), (0.14, y + 0.055), (0.03, y + 0.045), (0.0, y)])
    sketch.shape(band(back, 0.03), "panel", layer=2, tone=0.7)
    post = np.array([[0.005, heel + counter - 0.04], [0.0, y + 0.01]])
    sketch.shape(band(post, 0.045), "panel", layer=2, tone=0.95)
    sketch.shape(band(loop, 0.034), "panel", layer=2, lift=0.8)
    x, y = along(loop, 0.5)
    sketch.shape(ellipse(x, y, 0.026, 0.028, count=20), "metal", layer=2, lift=1.0)
