"""The coloured rendering: light on materials, painted over white with a soft shadow on the ground."""

from collections.abc import Mapping

import numpy as np

from tandem.data.synthetic.color import from_lab, from_linear, to_lab, to_linear
from tandem.data.synthetic.geometry import Outline, Role
from tandem.data.synthetic.modes import LEATHER, Material, Mode
from tandem.data.synthetic.raster import Planes, silhouette
from tandem.data.synthetic.shading import Light, Volume, diffuse, highlight, inflate, normals, slopes, texture

RUBBER = (238, 232, 220)
"""The sole of a sneaker."""

DARK = (58, 44, 38)
"""Every other sole, and heels."""

_LINING = (176, 146, 118)
_CREAM = (246, 241, 230)
_JITTER = (2.2, 2.0, 2.0)
"""Standard deviations of the body's L*, a* and b* within a mode, cut off at twice that."""

_SMOOTH = Material("smooth", 0.10, 20.0, 1.0, 0.0, False, "plain", 0.0)
_METAL = Material("metal", 0.8, 10.0, 1.6, 0.0, True, "plain", 0.0)
_MODE_ROLES: tuple[Role, ...] = ("body", "panel")


def body_mask(outline: Outline, planes: Planes) -> np.ndarray:
    """Where the colour of the mode shows, ``(size, size)`` float32 in [0, 1]: the body without its lines."""
    shapes = [index for index, shape in enumerate(outline.shapes) if shape.role in _MODE_ROLES]
    return planes.share(shapes) * (1 - planes.ink)


def render(outline: Outline, planes: Planes, mode: Mode, *, size: int, rng: np.random.Generator) -> np.ndarray:
    """Paint an object in a mode.

    Args:
        outline: The placed object.
        planes: The same object rasterised at `size`.
        mode: Its colours and material.
        size: Side of the picture.
        rng: For the light, the jitter of the colour and irregular textures.

    Returns:
        ``(size, size, 3)`` uint8 sRGB.
    """
    tilt = rng.normal(0.0, 0.06, size=2)
    direction = np.array([-0.42 + tilt[0], -0.58 + tilt[1], 0.70])
    light = Light(direction / np.linalg.norm(direction))
    jitter = np.clip(rng.standard_normal(3), -2, 2) * _JITTER
    base = from_lab(to_lab(np.array(mode.rgb) / 255.0) + jitter)
    pattern = texture(mode.material.texture, size=size, turn=outline.turn, scale=outline.scale, rng=rng)

    normal, shade = _surface(outline, planes, size)
    pattern = 1 + mode.material.strength * pattern
    exposure = _exposure(diffuse(normal, light, mode.material) * shade * pattern, outline, planes)
    canvas = _ground(outline, size) * planes.share([-1])[:, :, None]
    for (role, tone), indices in _groups(outline).items():
        material = _material(role, mode)
        color = to_linear(_color(role, mode, outline.kind, base))
        lit = diffuse(normal, light, material) * shade * tone
        if role in _MODE_ROLES:
            lit = lit * pattern * exposure
        gleam = highlight(normal, light, material) * shade
        tint = 0.6 * color + 0.2 if material.tinted else np.full(3, 0.8)
        surface = lit[:, :, None] * color + gleam[:, :, None] * tint
        canvas += planes.share(indices)[:, :, None] * surface
    return _finish(_lines(canvas, planes, base))


def _surface(outline: Outline, planes: Planes, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Normals ``(3, size, size)`` and the shade ``(size, size)`` that layers cast on one another."""
    layers = sorted({shape.layer for shape in outline.shapes})
    volumes: dict[int, Volume] = {layer: inflate(silhouette(outline.shapes, layer), size) for layer in layers}
    slope_x, slope_y = _relief(outline, planes, size)
    shade = np.ones((size, size), dtype=np.float32)
    for layer, volume in volumes.items():
        seen = [i for i, shape in enumerate(outline.shapes) if shape.layer == layer]
        flat = [i for i in seen if outline.shapes[i].role == "lining"]
        share = planes.share(seen)
        slope_x = slope_x + volume.slope_x * share
        slope_y = slope_y + volume.slope_y * share
        for other, caster in volumes.items():
            if other > layer:
                shade -= 0.42 * share * caster.near
        if flat:
            shade -= 0.55 * planes.share(flat) * volume.near
    return normals(slope_x, slope_y), np.maximum(shade, 0.2)


def _relief(outline: Outline, planes: Planes, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Slopes of panels that stand out and of seams that sink in, a pixel or two wide at every size."""
    height = np.zeros((size, size), dtype=np.float32)
    lifts = {shape.lift for shape in outline.shapes if shape.lift}
    for lift in sorted(lifts):
        height += lift * planes.share([i for i, shape in enumerate(outline.shapes) if shape.lift == lift])
    if "seam" in planes.strokes:
        height -= 0.8 * planes.strokes["seam"]
    if "lace" in planes.strokes:
        height += 1.0 * planes.strokes["lace"]
    return slopes(0.55 * height)


def _groups(outline: Outline) -> dict[tuple[Role, float], list[int]]:
    groups: dict[tuple[Role, float], list[int]] = {}
    for index, shape in enumerate(outline.shapes):
        groups.setdefault((shape.role, shape.tone), []).append(index)
    return groups


def _material(role: Role, mode: Mode) -> Material:
    match role:
        case "body" | "panel":
            return mode.material
        case "metal":
            return _METAL
        case "trim":
            return LEATHER
        case _:
            return _SMOOTH


def _color(role: Role, mode: Mode, kind: str, base: np.ndarray) -> np.ndarray:
    colors: Mapping[Role, tuple[int, int, int]] = {
        "sole": RUBBER if kind == "sneaker" else DARK,
        "heel": DARK,
        "edge": DARK,
        "lining": _LINING,
        "trim": mode.trim,
        "metal": mode.metal,
    }
    return base if role in _MODE_ROLES else np.array(colors[role]) / 255.0


def _exposure(lit: np.ndarray, outline: Outline, planes: Planes) -> float:
    """What brings the median light on the body to 1, so that its median colour is the mode's."""
    toned = np.zeros_like(lit)
    for (role, tone), indices in _groups(outline).items():
        if role in _MODE_ROLES:
            toned += tone * planes.share(indices)
    seen = (lit * toned)[body_mask(outline, planes) > 0.5]
    return 1 / float(np.median(seen)) if seen.size else 1.0


def _lines(canvas: np.ndarray, planes: Planes, base: np.ndarray) -> np.ndarray:
    """Darken along edges and seams; lay threads and laces on top."""
    canvas = canvas * (1 - 0.45 * planes.edges[:, :, None])
    for style, plane in planes.strokes.items():
        cover = plane[:, :, None]
        match style:
            case "seam":
                canvas = canvas * (1 - 0.5 * cover)
            case "cord":
                canvas = canvas * (1 - 0.4 * cover)
            case "stitch":
                thread = 0.6 * to_linear(base) + 0.3
                canvas = canvas * (1 - 0.6 * cover) + thread * (0.6 * cover)
            case "lace":
                canvas = canvas * (1 - cover) + to_linear(np.array(_CREAM) / 255.0) * (0.94 * cover)
    return canvas


def _ground(outline: Outline, size: int) -> np.ndarray:
    """White with a soft shadow where the object stands, ``(size, size, 3)`` linear light."""
    centre = (np.arange(size, dtype=np.float32) + 0.5) / size
    (x0, y0), (x1, y1) = outline.ground
    middle, half = (x0 + x1) / 2, abs(x1 - x0) / 2 + 0.03
    across = (centre - middle) / half
    level = y0 + (y1 - y0) * (centre - x0) / (x1 - x0)
    down = (centre[:, None] - level[None, :] - 0.004) / 0.028
    dark = 0.5 * np.exp(-(across**4))[None, :] * np.exp(-(down**2))
    return (1 - dark)[:, :, None] * np.ones(3, dtype=np.float32)


def _finish(linear: np.ndarray) -> np.ndarray:
    return np.round(from_linear(linear) * 255.0).astype(np.uint8)
