"""Hats, seen from the front and a little above: the brim is one unit wide and touches y = 0."""

import numpy as np

from tandem.data.synthetic.geometry import (
    Knot,
    Outline,
    Sketch,
    along,
    band,
    corner,
    curve,
    ellipse,
    part,
    rounded,
)


def hat(rng: np.random.Generator) -> Outline:
    """A fedora, a bowler or a sun hat with a ribbon."""
    u, sketch = rng.uniform, Sketch("hat")
    style = ("fedora", "bowler", "sun")[int(rng.integers(3))]
    half = {"fedora": u(0.25, 0.29), "bowler": u(0.27, 0.31), "sun": u(0.22, 0.26)}[style]
    tall = {"fedora": u(0.36, 0.44), "bowler": u(0.32, 0.4), "sun": u(0.26, 0.34)}[style]
    depth = u(0.1, 0.14)
    curl = {"fedora": u(0.02, 0.06), "bowler": u(0.05, 0.08), "sun": u(-0.07, -0.02)}[style]
    y = depth + max(0.0, -curl)
    t = np.linspace(0, 2 * np.pi, 73)[:-1]
    lean = u(-0.015, 0.015)
    brim = np.stack(
        [0.5 + 0.5 * np.cos(t), y + depth * np.sin(t) + (curl + lean * np.sign(np.cos(t))) * np.cos(t) ** 4],
        axis=-1,
    )
    plate = sketch.shape(brim, "panel", layer=1, tone=0.92)
    inner = brim * [0.945, 0.9] + [0.0275, 0.1 * y]
    sketch.line(np.vstack([inner, inner[:1]]), plate, "stitch")
    seat = y + 0.02
    arc = np.linspace(np.pi, 2 * np.pi, 25)
    bottom = np.stack([0.5 + half * np.cos(arc), seat + depth * 0.52 * np.sin(arc)], axis=-1)
    crown = _crown(sketch, rng, style=style, half=half, tall=tall, seat=seat, bottom=bottom)
    _ribbon(sketch, rng, crown=crown, bottom=bottom, tall=tall)
    return sketch.finish((0.14, 0.86))


def _crown(
    sketch: Sketch,
    rng: np.random.Generator,
    *,
    style: str,
    half: float,
    tall: float,
    seat: float,
    bottom: np.ndarray,
) -> int:
    top: list[Knot] = [corner(0.5 + half, seat)]
    if style == "fedora":
        pinch, tilt = rng.uniform(0.015, 0.05), rng.uniform(-0.015, 0.015)
        top += [
            (0.5 + half * 0.94, seat + tall * 0.5),
            (0.5 + half * 0.78, seat + tall * 0.92),
            (0.5 + half * 0.5, seat + tall + tilt),
        ]
        top += [
            (0.5, seat + tall - pinch),
            (0.5 - half * 0.5, seat + tall - tilt),
            (0.5 - half * 0.78, seat + tall * 0.92),
            (0.5 - half * 0.94, seat + tall * 0.5),
        ]
    else:
        top += [
            (0.5 + half * 0.97, seat + tall * 0.45),
            (0.5 + half * 0.72, seat + tall * 0.86),
            (0.5, seat + tall),
        ]
        top += [(0.5 - half * 0.72, seat + tall * 0.86), (0.5 - half * 0.97, seat + tall * 0.45)]
    crown = sketch.shape(np.vstack([curve([*top, corner(0.5 - half, seat)])[:-1], bottom[:-1]]), "body")
    if style == "fedora":
        dent = [
            (0.5 - half * 0.42, seat + tall * 0.99),
            (0.5 - half * 0.2, seat + tall * 0.86),
            (0.5, seat + tall * 0.8),
        ]
        sketch.line([*dent, (0.5 + half * 0.2, seat + tall * 0.86), (0.5 + half * 0.42, seat + tall * 0.99)], crown)
        sketch.line([(0.5 + half * 0.45, seat + tall * 0.9), (0.5 + half * 0.62, seat + tall * 0.6)], crown)
    return crown


def _ribbon(sketch: Sketch, rng: np.random.Generator, *, crown: int, bottom: np.ndarray, tall: float) -> None:
    width = tall * rng.uniform(0.2, 0.32)
    lower = bottom * [1.1, 1.0] - [0.05, 0.0]
    index = sketch.shape(
        np.vstack([lower - [0, 0.05], (lower + np.array([0.0, width]))[::-1]]), "trim", within=crown, lift=0.8
    )
    x, y = along(bottom, rng.choice([0.24, 0.76])) + np.array([0.0, width / 2])
    match int(rng.integers(3)):
        case 0:
            for side in (-1, 1):
                wing = [
                    corner(x, y),
                    (x + side * 0.05, y + 0.045),
                    (x + side * 0.085, y + 0.01),
                    (x + side * 0.05, y - 0.04),
                ]
                sketch.shape(wing, "trim", layer=2, lift=1.0, tone=1.1)
            sketch.shape(ellipse(x, y, 0.02, 0.026, count=16), "trim", layer=2, lift=1.5)
        case 1:
            spine = curve(
                [
                    (x, y - 0.02),
                    (x + 0.06 * np.sign(x - 0.5), y + tall * 0.5),
                    (x + 0.12 * np.sign(x - 0.5), y + tall * 0.85),
                ]
            )
            share = np.linspace(0, 1, len(spine))
            feather = sketch.shape(band(spine, 0.012 + 0.075 * np.sin(np.pi * share**0.8)), "metal", layer=2, lift=1.0)
            sketch.line(part(spine, 0.05, 0.95), feather)
        case _:
            sketch.line(lower + np.array([0.0, width * 0.5]), index, "cord")
            sketch.shape(
                rounded(x - 0.035, y - width * 0.4, x + 0.035, y + width * 0.4, 0.012),
                "metal",
                layer=2,
                lift=1.0,
            )
