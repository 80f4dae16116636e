"""Light on rounded surfaces, and the textures of materials.

A silhouette is blown up like a cushion: blurred at several widths, each blur rises from the border over its
own width, and their sum is a height field, steep at the border, round inside and smooth everywhere. Its slope
gives the normal, the normal the light. The sum of blurs is one convolution, done by a Fourier transform.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image

from tandem.data.synthetic.modes import Material, Texture
from tandem.data.synthetic.raster import SHADING_GRID

_WIDTHS = (0.010, 0.022, 0.045, 0.085, 0.14)
"""Standard deviations of the blurs, as shares of the picture's side."""

_STEEPNESS = 1.5
_OCCLUSION_WIDTH = 0.022
_TEXTURE_GRID = 256


@dataclass(frozen=True)
class Light:
    """A distant light; `direction` is a unit vector, x to the right, y down, z to the viewer."""

    direction: np.ndarray


@dataclass(frozen=True)
class Volume:
    """Surface of one layer at the size of the picture; arrays ``(size, size)`` float32.

    Args:
        slope_x: Rise of the surface to the right.
        slope_y: Rise of the surface downwards.
        near: The silhouette, blurred a little: how close this layer is, for the shade it casts on others.
    """

    slope_x: np.ndarray
    slope_y: np.ndarray
    near: np.ndarray


def resample(plane: np.ndarray, size: int) -> np.ndarray:
    """Resize a square float32 plane: averaging downwards, bicubic upwards."""
    if plane.shape[0] == size:
        return plane
    method = Image.Resampling.BOX if size < plane.shape[0] else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(plane).resize((size, size), method))


def inflate(mask: np.ndarray, size: int) -> Volume:
    """Blow up a silhouette.

    Args:
        mask: ``(SHADING_GRID,) * 2`` float32 in [0, 1].
        size: Side of the picture.
    """
    spectrum = np.fft.rfft2(mask)
    cushion = sum((_STEEPNESS * width * _gauss(width) for width in _WIDTHS), start=np.zeros(1))
    height = np.fft.irfft2(spectrum * cushion, s=mask.shape)
    slope_x, slope_y = slopes(height * SHADING_GRID)
    near = np.fft.irfft2(spectrum * _gauss(_OCCLUSION_WIDTH), s=mask.shape)
    return Volume(*(resample(np.asarray(plane, dtype=np.float32), size) for plane in (slope_x, slope_y, near)))


@lru_cache(maxsize=len(_WIDTHS) + 1)
def _gauss(width: float) -> np.ndarray:
    """Spectrum of a Gaussian blur of standard deviation `width` (of the picture's side)."""
    factor = -2 * (np.pi * width * SHADING_GRID) ** 2
    fy, fx = np.fft.fftfreq(SHADING_GRID), np.fft.rfftfreq(SHADING_GRID)
    return np.exp(factor * fy**2)[:, None] * np.exp(factor * fx**2)


def slopes(height: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rise per pixel of a height field to the right and downwards."""
    return np.asarray(np.gradient(height, axis=1)), np.asarray(np.gradient(height, axis=0))


def normals(slope_x: np.ndarray, slope_y: np.ndarray) -> np.ndarray:
    """Unit normals ``(3, H, W)`` of a height field."""
    length = np.sqrt(slope_x**2 + slope_y**2 + 1)
    return np.stack([-slope_x / length, -slope_y / length, 1 / length])


def diffuse(normal: np.ndarray, light: Light, material: Material) -> np.ndarray:
    """Matte light, ``(H, W)``, about 1 on a surface that faces the viewer."""
    facing = np.tensordot(light.direction, normal, axes=1)
    flat = light.direction[2]
    lit = 1 + material.contrast * 0.75 * (np.maximum(facing, -0.15) - flat)
    rim = material.sheen * 0.8 * (1 - normal[2]) ** 2
    return np.maximum(lit + rim, 0.12)


def highlight(normal: np.ndarray, light: Light, material: Material) -> np.ndarray:
    """Mirrored light, ``(H, W)``, to be added (Blinn's half vector, with a wide glow if glossy)."""
    half = light.direction + np.array([0.0, 0.0, 1.0])
    half = half / np.linalg.norm(half)
    cosine = np.clip(np.tensordot(half, normal, axes=1), 0.0, 1.0)
    glow = cosine**material.shininess
    return material.gloss * (glow + 0.12 * cosine ** (material.shininess / 4) * (material.gloss > 0.5))


def texture(kind: Texture, *, size: int, turn: np.ndarray, scale: float, rng: np.random.Generator) -> np.ndarray:
    """A pattern of mean about 0 and amplitude about 1, ``(size, size)`` float32.

    Args:
        kind: Which pattern.
        size: Side of the picture.
        turn: ``(2, 2)``, from directions of the picture to those of the object.
        scale: Size of one object unit in the picture.
        rng: For the irregular ones.
    """
    match kind:
        case "grain":
            return 0.7 * _noise(rng, 96, size) + 0.5 * _noise(rng, 40, size)
        case "nap":
            return 0.6 * _noise(rng, 128, size) + 0.8 * _noise(rng, 12, size)
        case "flakes":
            return _noise(rng, 128, size)
        case "weave" | "knit":
            grid = (np.arange(_TEXTURE_GRID, dtype=np.float32) + 0.5) / _TEXTURE_GRID - 0.5
            matrix = (turn / scale).astype(np.float32)
            u = matrix[0, 0] * grid[None, :] + matrix[0, 1] * grid[:, None]
            v = matrix[1, 0] * grid[None, :] + matrix[1, 1] * grid[:, None]
            pattern = _weave(u, v) if kind == "weave" else _knit(u, v)
            return resample(pattern.astype(np.float32), size) + 0.25 * _noise(rng, 64, size)
        case "plain":
            return np.zeros((size, size), dtype=np.float32)


def _weave(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Threads that pass over and under one another: a soft checkerboard of 40 threads a unit."""
    return np.sin(40 * np.pi * u) * np.sin(40 * np.pi * v) + 0.4 * np.sin(80 * np.pi * v)


def _knit(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Columns of V-shaped stitches, 20 a unit."""
    column = 20 * u - np.floor(20 * u)
    lean = np.abs(column - 0.5)
    return 0.75 * np.cos(2 * np.pi * (22 * v - 0.9 * lean)) + 0.8 * (4 * lean * (1 - lean) - 0.75)


def _noise(rng: np.random.Generator, cells: int, size: int) -> np.ndarray:
    return resample(rng.standard_normal((cells, cells), dtype=np.float32), size)
