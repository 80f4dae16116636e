"""From vectors to pixels: which shape is seen where, and where the lines are.

Everything is filled without smoothing on a grid several times finer than the picture and then averaged, so
that the share of a pixel that a shape covers is known, and the shares of all shapes sum to one: no background
shows between neighbours.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops, ImageDraw

from tandem.data.synthetic.geometry import Outline, Shape, Stroke, Style

SHADING_GRID = 128
"""Volumes are computed on a grid of this side whatever the size of the picture."""

_DASH = 0.021
_INK: dict[Style, float] = {"seam": 0.85, "stitch": 0.75, "lace": 1.0, "cord": 0.7}
_WIDTH: dict[Style, float] = {"seam": 0.9, "stitch": 0.8, "lace": 1.0, "cord": 0.75}


@dataclass(frozen=True)
class Planes:
    """What is where in one picture; arrays are float32 in [0, 1] unless stated.

    Args:
        ids: Image of mode L on the fine grid: 0 is background, k + 1 the shape with index k.
        ink: ``(size, size)``: the lines of the drawing.
        strokes: For each style the ``(size, size)`` coverage of its lines as the rendering shows them.
        edges: ``(size, size)``: the outlines between shapes, as the rendering shows them.
    """

    ids: Image.Image
    ink: np.ndarray
    strokes: dict[Style, np.ndarray]
    edges: np.ndarray

    def share(self, indices: Sequence[int]) -> np.ndarray:
        """How much of each pixel shows one of the shapes `indices` (-1: background), ``(size, size)``."""
        chosen = {index + 1 for index in indices}
        return reduce(self.ids.point([255 * (value in chosen) for value in range(256)]), self.ink.shape[0])


def oversampling(size: int) -> int:
    """Fine pixels per pixel and axis."""
    return 4 if size <= 160 else 3


def reduce(fine: Image.Image, size: int) -> np.ndarray:
    """Average an image of mode L to ``(size, size)`` float32 in [0, 1]; `size` divides its side."""
    return np.asarray(fine.reduce(fine.width // size), dtype=np.float32) / 255.0


def fill(points: np.ndarray, side: int) -> Image.Image:
    """A ``(side, side)`` image, 255 inside a closed outline given in the unit square."""
    image = Image.new("L", (side, side))
    ImageDraw.Draw(image).polygon(_pixels(points, side), fill=255)
    return image


def identify(shapes: Sequence[Shape], side: int) -> Image.Image:
    """Paint the shapes over one another: a ``(side, side)`` image of mode L, index + 1 of the one on top."""
    ids = Image.new("L", (side, side))
    draw = ImageDraw.Draw(ids)
    for index, shape in enumerate(shapes):
        if shape.within is None:
            draw.polygon(_pixels(shape.points, side), fill=index + 1)
        else:
            ids.paste(index + 1, mask=_clipped(shapes, index, side))
    return ids


def silhouette(shapes: Sequence[Shape], layer: int) -> np.ndarray:
    """The union of the shapes of one layer, hidden parts included: ``(SHADING_GRID,) * 2`` float32."""
    side = 2 * SHADING_GRID
    image = Image.new("L", (side, side))
    draw = ImageDraw.Draw(image)
    for shape in shapes:
        if shape.layer == layer and shape.within is None and shape.role != "lining":
            draw.polygon(_pixels(shape.points, side), fill=255)
    return reduce(image, SHADING_GRID)


def rasterize(outline: Outline, size: int) -> Planes:
    """Find what each pixel of a picture of `size` shows."""
    side = size * oversampling(size)
    ids = identify(outline.shapes, side)
    pen = oversampling(size) * (0.72 + size / 210)
    ink = Image.new("L", (side, side))
    for index, shape in enumerate(outline.shapes):
        layer = _draw([np.vstack([shape.points, shape.points[:1]])], side, pen)
        parent = None if shape.within is None else _clipped(outline.shapes, shape.within, side)
        ink = ImageChops.lighter(ink, _visible(layer, ids, _uncovered(outline.shapes, index), parent))
    edges = reduce(ink, size)
    strokes = {}
    for style, strength in _INK.items():
        chosen = [stroke for stroke in outline.strokes if stroke.style == style]
        if not chosen:
            continue
        fine = _stroke_plane(outline.shapes, chosen, ids, pen * _WIDTH[style])
        ink = ImageChops.lighter(ink, fine.point([round(value * strength) for value in range(256)]))
        wide = max(pen, 0.026 * outline.scale * side) if style == "lace" else pen * _WIDTH[style]
        strokes[style] = reduce(_stroke_plane(outline.shapes, chosen, ids, wide), size)
    return Planes(ids, reduce(ink, size), strokes, edges)


def _stroke_plane(shapes: Sequence[Shape], strokes: Sequence[Stroke], ids: Image.Image, width: float) -> Image.Image:
    plane = Image.new("L", ids.size)
    for on, clip in sorted({(stroke.on, stroke.clip) for stroke in strokes}):
        lines = [stroke.points for stroke in strokes if (stroke.on, stroke.clip) == (on, clip)]
        if strokes[0].style == "stitch":
            lines = [dash for line in lines for dash in _dashes(line)]
        inside = _clipped(shapes, on, ids.width) if clip else None
        layer = _draw(lines, ids.width, width)
        plane = ImageChops.lighter(plane, _visible(layer, ids, set(range(on + 2)), inside))
    return plane


def _visible(layer: Image.Image, ids: Image.Image, seen: set[int], inside: Image.Image | None) -> Image.Image:
    """Keep lines where the id on top is one of those `seen`, and, if asked, inside of a shape."""
    shown = ImageChops.darker(layer, ids.point([255 * (value in seen) for value in range(256)]))
    return shown if inside is None else ImageChops.darker(shown, inside)


def _uncovered(shapes: Sequence[Shape], index: int) -> set[int]:
    """Which ids leave the outline of a shape in sight: those below it, and the panels that lie within it."""
    seen = set(range(index + 2))
    for later, shape in enumerate(shapes):
        if shape.within is not None and shape.within >= index and shape.within + 1 in seen:
            seen.add(later + 1)
    return seen


def _clipped(shapes: Sequence[Shape], index: int, side: int) -> Image.Image:
    image = fill(shapes[index].points, side)
    parent = shapes[index].within
    if parent is None:
        return image
    clipped = Image.new("L", (side, side))
    clipped.paste(image, mask=_clipped(shapes, parent, side))
    return clipped


def _draw(lines: Sequence[np.ndarray], side: int, width: float) -> Image.Image:
    image = Image.new("L", (side, side))
    draw = ImageDraw.Draw(image)
    pen = max(1, round(width))
    for line in lines:
        draw.line(_pixels(line, side), fill=255, width=pen)
        for x, y in _bends(line) * side:
            draw.ellipse((x - pen / 2, y - pen / 2, x + pen / 2 - 1, y + pen / 2 - 1), fill=255)
    return image


def _bends(line: np.ndarray) -> np.ndarray:
    """The points where a wide line would show a notch: sharp turns, and both ends."""
    if len(line) <= 3:
        return line
    step = line[1:] - line[:-1]
    cross = step[:-1, 0] * step[1:, 1] - step[:-1, 1] * step[1:, 0]
    dot = (step[:-1] * step[1:]).sum(axis=1)
    sharp = np.abs(np.arctan2(cross, dot)) > 0.45
    return np.vstack([line[:1], line[1:-1][sharp], line[-1:]])


def _dashes(line: np.ndarray) -> list[np.ndarray]:
    length = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    count = max(1, round(length[-1] / (2 * _DASH)))
    starts = (np.arange(count) + 0.2) / count * length[-1]
    at = starts[:, None] + np.linspace(0.0, 0.55 / count * length[-1], 3)  # (count, 3)
    x, y = np.interp(at, length, line[:, 0]), np.interp(at, length, line[:, 1])
    return list(np.stack([x, y], axis=-1))


def _pixels(points: np.ndarray, side: int) -> list[float]:
    return (points * side - 0.5).ravel().tolist()
