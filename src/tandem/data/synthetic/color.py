"""sRGB (IEC 61966-2-1), linear light and CIE L*a*b* under D65."""

import numpy as np

_RGB_TO_XYZ = np.array(
    [
        [0.4123907993, 0.3575843394, 0.1804807884],
        [0.2126390059, 0.7151686788, 0.0721923154],
        [0.0193308187, 0.1191947798, 0.9505321522],
    ]
)
"""Primaries and white of sRGB; the rows sum to the white point, so that white is exactly (100, 0, 0)."""

_WHITE = _RGB_TO_XYZ.sum(axis=1)


def to_linear(srgb: np.ndarray) -> np.ndarray:
    """Decode sRGB values in [0, 1] to linear light in [0, 1]."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def from_linear(linear: np.ndarray) -> np.ndarray:
    """Encode linear light, clipped to [0, 1], as sRGB values in [0, 1]."""
    light = np.clip(linear, 0.0, 1.0)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def to_lab(srgb: np.ndarray) -> np.ndarray:
    """Convert ``(…, 3)`` sRGB, uint8 or float in [0, 1], to L* in [0, 100], a* and b* (float64)."""
    values = srgb / 255.0 if srgb.dtype == np.uint8 else np.asarray(srgb, dtype=np.float64)
    ratio = to_linear(values) @ _RGB_TO_XYZ.T / _WHITE
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = np.moveaxis(f, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def from_lab(lab: np.ndarray) -> np.ndarray:
    """Convert ``(…, 3)`` L*a*b* to sRGB floats, clipped to [0, 1] where out of gamut."""
    lightness, a, b = np.moveaxis(np.asarray(lab, dtype=np.float64), -1, 0)
    y = (lightness + 16) / 116
    f = np.stack([y + a / 500, y, y - b / 200], axis=-1)
    ratio = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29))
    return from_linear(ratio * _WHITE @ np.linalg.inv(_RGB_TO_XYZ).T)
