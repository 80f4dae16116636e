"""The eight modes: named colours in named materials, with the probabilities that they are drawn with.

The colours lie at least 37 apart in L*a*b* (CIE76), 37 from white and from the soles, and 28 from their own
average, so that the mode of a picture can be told from its colour alone, and a mixture of all is no mode.
A mixture of a few may still fall on one: of the 247 weighted averages of two or more of these colours (in
sRGB), 46 lie within `CLASSIFY_THRESHOLD` of a mode, mostly of chestnut, which is what mixed paints tend to.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from tandem.data.synthetic.color import to_lab
from tandem.errors import DataError

Rgb = tuple[int, int, int]
Texture = Literal["grain", "nap", "weave", "knit", "flakes", "plain"]

CLASSIFY_THRESHOLD = 20.0
"""Largest distance in L*a*b* (CIE76) at which a colour still counts as a mode."""


@dataclass(frozen=True)
class Material:
    """How a surface answers the light.

    Args:
        name: For people.
        gloss: Strength of the highlight.
        shininess: Exponent of the highlight: the larger, the smaller and sharper it is.
        contrast: How far light and shade are apart; 1 is matte cloth.
        sheen: Brightening of surfaces that turn away, as on velvet.
        tinted: The highlight has the colour of the surface (metal) rather than of the light.
        texture: The pattern.
        strength: Contrast of the pattern.
    """

    name: str
    gloss: float
    shininess: float
    contrast: float
    sheen: float
    tinted: bool
    texture: Texture
    strength: float


@dataclass(frozen=True)
class Mode:
    """One of the looks that an object may have.

    Args:
        name: Colour and material, e.g. "navy suede".
        weight: The probability that it is drawn with.
        rgb: The colour of the body, sRGB in [0, 255].
        trim: The colour of straps, ribbons and patches.
        metal: The colour of buckles.
        material: How the body answers the light.
    """

    name: str
    weight: float
    rgb: Rgb
    trim: Rgb
    metal: Rgb
    material: Material


_GOLD: Rgb = (214, 174, 92)
_SILVER: Rgb = (186, 192, 200)

LEATHER = Material("leather", 0.16, 18.0, 1.15, 0.0, False, "grain", 0.07)
SUEDE = Material("suede", 0.0, 1.0, 0.85, 0.25, False, "nap", 0.13)
CANVAS = Material("canvas", 0.0, 1.0, 0.9, 0.0, False, "weave", 0.22)
KNIT = Material("knit", 0.0, 1.0, 0.9, 0.1, False, "knit", 0.34)
PATENT = Material("patent leather", 0.75, 60.0, 1.3, 0.0, False, "plain", 0.0)
METALLIC = Material("metallic leather", 0.8, 14.0, 1.4, 0.0, True, "flakes", 0.10)
SATIN = Material("satin", 0.28, 7.0, 1.15, 0.1, False, "plain", 0.0)
VELVET = Material("velvet", 0.0, 1.0, 1.0, 0.9, False, "nap", 0.08)

MODES: tuple[Mode, ...] = (
    Mode("chestnut leather", 0.18, (142, 80, 46), (74, 46, 34), _GOLD, LEATHER),
    Mode("navy suede", 0.16, (30, 54, 112), (164, 108, 66), _GOLD, SUEDE),
    Mode("forest canvas", 0.14, (46, 106, 66), (142, 96, 58), _SILVER, CANVAS),
    Mode("mustard knit", 0.13, (230, 174, 40), (84, 76, 80), _SILVER, KNIT),
    Mode("cherry patent", 0.12, (200, 24, 50), (44, 32, 38), _GOLD, PATENT),
    Mode("turquoise metallic", 0.10, (28, 170, 176), (36, 58, 88), _SILVER, METALLIC),
    Mode("blush satin", 0.09, (240, 156, 176), (132, 62, 84), _GOLD, SATIN),
    Mode("violet velvet", 0.08, (132, 66, 176), (62, 38, 88), _SILVER, VELVET),
)


def mode_weights() -> np.ndarray:
    """The probabilities of the modes, ``(K,)`` float64, summing to 1."""
    return np.array([mode.weight for mode in MODES])


def body_color(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The colour of an object's body: the median of L*, a* and b* where ``mask > 0.5``, ``(3,)``.

    Args:
        image: ``(H, W, 3)`` uint8 sRGB.
        mask: ``(H, W)`` in [0, 1], as in `Drawing.mask`.

    Raises:
        DataError: If the shapes or the type are others, or the mask is zero everywhere.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or mask.shape != image.shape[:2]:
        raise DataError(
            f"Expected a uint8 image (H, W, 3) and a mask (H, W); got {image.dtype} {image.shape} and "
            f"{mask.shape}. Convert the image to 8-bit RGB and make the mask at the size of the image."
        )
    # In very small pictures lines touch every pixel of the body: then those that they touch least.
    inside = mask > min(0.5, float(mask.max()) / 2)
    if not inside.any():
        raise DataError("The mask is zero everywhere: there is no body whose colour could be measured.")
    return np.median(to_lab(image[inside]), axis=0)


def classify_mode(image: np.ndarray, mask: np.ndarray) -> int:
    """Tell which mode an image shows, from the median colour of the body.

    Args:
        image: ``(H, W, 3)`` uint8 sRGB.
        mask: ``(H, W)`` in [0, 1], as in `Drawing.mask`.

    Returns:
        The index in `MODES` of the nearest colour in L*a*b* (CIE76), or -1 if none is within
        `CLASSIFY_THRESHOLD`: an average of all modes and the drawing itself are no mode.

    Raises:
        DataError: See `body_color`.
    """
    centres = to_lab(np.array([mode.rgb for mode in MODES]) / 255.0)
    distance = np.linalg.norm(centres - body_color(image, mask), axis=1)
    nearest = int(distance.argmin())
    return nearest if distance[nearest] <= CLASSIFY_THRESHOLD else -1
