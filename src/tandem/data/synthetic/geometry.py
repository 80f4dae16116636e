"""The vector language that the demo's objects are drawn in: smooth curves, shapes and strokes.

A kind of object draws in its own coordinates, x to the right (the toe of a shoe) and y upwards, one unit
about as large as the object. `place` then turns, scales and moves the finished sketch onto the unit square
of the picture, y downwards. Nothing here knows about pixels, so that an object is the same at every size.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Literal

import numpy as np

Role = Literal["body", "panel", "sole", "edge", "heel", "lining", "trim", "metal"]
"""What a shape is made of; ``body`` and ``panel`` carry the colour of the mode."""

Style = Literal["seam", "stitch", "lace", "cord"]
"""How a stroke looks: a groove, a dashed thread, a light lace, or a line of the trim's colour."""

Knot = tuple[float, float] | tuple[float, float, int]
"""A point that a curve goes through; a third component (see `corner`) breaks the tangent there."""

SAMPLES_PER_SPAN = 9


def corner(x: float, y: float) -> Knot:
    """A knot in which two curves meet at an angle."""
    return (x, y, 1)


def curve(knots: Sequence[Knot], *, closed: bool = False) -> np.ndarray:
    """Draw a smooth curve through `knots` (centripetal Catmull-Rom, free at its ends and at corners).

    Returns:
        ``(N, 2)`` float64; a closed curve does not repeat its first point.
    """
    points = np.array([knot[:2] for knot in knots], dtype=np.float64)
    breaks = [i for i, knot in enumerate(knots) if len(knot) == 3]
    if not closed:
        bounds = sorted({0, len(points) - 1, *breaks})
    elif breaks:
        points = np.roll(points, -breaks[0], axis=0)
        points = np.vstack([points, points[:1]])
        bounds = [i - breaks[0] for i in breaks] + [len(points) - 1]
    else:
        around = np.vstack([points[-3:], points, points[:3]])
        return _smooth_run(around)[3 * SAMPLES_PER_SPAN : -2 * SAMPLES_PER_SPAN - 1]
    runs = [_smooth_run(points[i : j + 1])[:-1] for i, j in pairwise(bounds)]
    return np.vstack(runs if closed else [*runs, points[-1:]])


def _smooth_run(points: np.ndarray) -> np.ndarray:
    if len(points) == 2:
        return points
    step = points[1:] - points[:-1]  # (n, 2)
    knot = np.sqrt(np.hypot(step[:, 0], step[:, 1]))[:, None]
    slope = step / knot
    inner = (slope[:-1] * knot[1:] + slope[1:] * knot[:-1]) / (knot[:-1] + knot[1:])
    first, last = 1.5 * slope[:1] - 0.5 * inner[:1], 1.5 * slope[-1:] - 0.5 * inner[-1:]
    tangent = np.vstack([first, inner, last])
    t = np.linspace(0.0, 1.0, SAMPLES_PER_SPAN, endpoint=False)[None, :, None]
    h01 = t * t * (3 - 2 * t)
    h10, h11 = t * (1 - t) ** 2, t * t * (t - 1)
    p0, p1 = points[:-1, None], points[1:, None]
    m0, m1 = (tangent[:-1] * knot)[:, None], (tangent[1:] * knot)[:, None]
    spans = (1 - h01) * p0 + h01 * p1 + h10 * m0 + h11 * m1
    return np.vstack([spans.reshape(-1, 2), points[-1:]])


def along(points: np.ndarray, share: float | Sequence[float] | np.ndarray) -> np.ndarray:
    """Points at the given shares (0 to 1) of a polyline's length: ``(2,)``, or ``(K, 2)`` for a sequence."""
    length = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    at = np.asarray(share) * length[-1]
    return np.stack([np.interp(at, length, points[:, 0]), np.interp(at, length, points[:, 1])], axis=-1)


def part(points: np.ndarray, start: float, stop: float, *, count: int = 24) -> np.ndarray:
    """The piece of a polyline between two shares of its length, ``(count, 2)``."""
    return along(points, np.linspace(start, stop, count))


def offset(points: np.ndarray, distance: float | np.ndarray) -> np.ndarray:
    """Shift a polyline to its left by `distance` (one for all points, or one each)."""
    tangent = np.gradient(points, axis=0)
    tangent /= np.maximum(np.hypot(tangent[:, 0], tangent[:, 1]), 1e-9)[:, None]
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], axis=-1)
    return points + normal * np.reshape(distance, (-1, 1))


def band(points: np.ndarray, width: float | np.ndarray) -> np.ndarray:
    """The outline of a strap of the given width along a polyline."""
    half = np.asarray(width) / 2
    return np.vstack([offset(points, half), offset(points, -half)[::-1]])


def ellipse(x: float, y: float, rx: float, ry: float, *, count: int = 40) -> np.ndarray:
    """An ellipse, ``(count, 2)``."""
    t = np.arange(count) * (2 * np.pi / count)
    return np.stack([x + rx * np.cos(t), y + ry * np.sin(t)], axis=-1)


def rounded(x0: float, y0: float, x1: float, y1: float, radius: float) -> np.ndarray:
    """A rectangle with round corners."""
    t = np.linspace(0, np.pi / 2, 7)
    quarter = radius * np.stack([np.cos(t), np.sin(t)], axis=-1)
    turned = [quarter, quarter[::-1] * [-1, 1], -quarter, quarter[::-1] * [1, -1]]
    centres = [(x1 - radius, y1 - radius), (x0 + radius, y1 - radius)]
    centres += [(x0 + radius, y0 + radius), (x1 - radius, y0 + radius)]
    return np.vstack([piece + centre for piece, centre in zip(turned, centres, strict=True)])


@dataclass(frozen=True)
class Shape:
    """A filled, closed outline; later shapes cover earlier ones.

    Args:
        points: ``(N, 2)``.
        role: Its material.
        within: Index of an earlier shape that clips this one, e.g. the body under a toe cap.
        layer: Shapes of one layer are rounded together, as one volume.
        lift: How far it stands out from what it lies on; a panel about 1.
        tone: Multiplies the lightness of its colour.
    """

    points: np.ndarray
    role: Role
    within: int | None = None
    layer: int = 0
    lift: float = 0.0
    tone: float = 1.0


@dataclass(frozen=True)
class Stroke:
    """An open line on shape `on`, hidden by later shapes; `clip` cuts it at the outline of that shape."""

    points: np.ndarray
    on: int
    style: Style
    clip: bool = True


@dataclass(frozen=True)
class Outline:
    """A finished object: its kind, its shapes from back to front, its strokes, and where it stands."""

    kind: str
    shapes: tuple[Shape, ...]
    strokes: tuple[Stroke, ...]
    ground: np.ndarray
    """``(2, 2)``: left and right end of the contact with the ground."""
    turn: np.ndarray = field(default_factory=lambda: np.eye(2))
    """``(2, 2)``: takes directions of the picture to those of the object, for textures."""
    scale: float = 1.0
    """Size of one object unit in the picture."""


class Sketch:
    """Collects the shapes and strokes of one object, from back to front."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.shapes: list[Shape] = []
        self.strokes: list[Stroke] = []

    def shape(
        self,
        points: np.ndarray | Sequence[Knot],
        role: Role,
        *,
        within: int | None = None,
        layer: int = 0,
        lift: float = 0.0,
        tone: float = 1.0,
    ) -> int:
        """Add a shape (points, or the knots of a closed curve); returns its index."""
        outline = points if isinstance(points, np.ndarray) else curve(points, closed=True)
        self.shapes.append(Shape(outline, role, within, layer, lift, tone))
        return len(self.shapes) - 1

    def line(self, points: np.ndarray | Sequence[Knot], on: int, style: Style = "seam", *, clip: bool = True) -> None:
        """Add a stroke (points, or the knots of a curve) on the shape with index `on`."""
        self.strokes.append(Stroke(_polyline(points), on, style, clip))

    def finish(self, ground: tuple[float, float]) -> Outline:
        """The object, standing on y = 0 from ``ground[0]`` to ``ground[1]``."""
        contact = np.array([[ground[0], 0.0], [ground[1], 0.0]])
        return Outline(self.kind, tuple(self.shapes), tuple(self.strokes), contact)


def _polyline(points: np.ndarray | Sequence[Knot]) -> np.ndarray:
    return points if isinstance(points, np.ndarray) else curve(points)


def place(outline: Outline, rng: np.random.Generator) -> Outline:
    """Turn, mirror, scale and move an object onto the picture's unit square (y downwards)."""
    angle, flip = np.deg2rad(rng.normal(0.0, 3.5)), rng.random() < 0.5
    extent, aspect = rng.uniform(0.76, 0.88), rng.uniform(0.95, 1.05)
    shift = rng.uniform(-1.0, 1.0, size=2)
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, -sin], [sin, cos]]) @ np.diag([-aspect if flip else aspect, -1.0])
    everything = np.vstack([shape.points for shape in outline.shapes]) @ turn.T
    low, high = everything.min(axis=0), everything.max(axis=0)
    scale = extent / (high - low).max()
    room = np.maximum(0.95 - scale * (high - low), 0.0) / 2
    centre = 0.5 + np.clip(shift * 0.05, -room, room)

    def onto(points: np.ndarray) -> np.ndarray:
        return (points @ turn.T - (low + high) / 2) * scale + centre

    return replace(
        outline,
        shapes=tuple(replace(shape, points=onto(shape.points)) for shape in outline.shapes),
        strokes=tuple(replace(stroke, points=onto(stroke.points)) for stroke in outline.strokes),
        ground=onto(outline.ground)[:: -1 if flip else 1],
        turn=np.linalg.inv(turn),
        scale=scale,
    )
