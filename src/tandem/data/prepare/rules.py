"""Rules that make the input of a pair from a photo, which is the output.

=======  =====================================================================================================
edges    black lines on white, by Canny's detector (`tandem.data.prepare.edges`), grey
grey     luma (ITU-R 601), grey
lowres   shrunk to one `factor`-th of its sides and enlarged again, both bicubic
blur     convolved with a Gaussian
holes    rectangles cut out, until they take their share; transparent, and white for models of three channels
=======  =====================================================================================================

A rule of one's own is a Python function ``MODULE:FUNCTION`` of the photo ``(H, W, 3)``, uint8, and a NumPy generator
that follows from the seed and the photo. It returns the input, ``(H, W)`` or ``(H, W, C)``, uint8 or uint16 with up to
four channels, or both: input and output. With ``--native`` rules get what `tandem.read_image` gives and may return
images of any type and up to 64 channels; those that need a photo's colours are refused.
"""

import importlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from tandem.config.data import MAX_CHANNELS
from tandem.config.options import REQUIRED, Options, option
from tandem.data.array_files import to_type
from tandem.data.pixels import convert_channels, resize
from tandem.data.prepare.edges import canny
from tandem.data.prepare.smoothing import gaussian
from tandem.errors import ConfigError, DataError, Problem, nearest

KnownRule = Literal["edges", "grey", "lowres", "blur", "holes"]
RULES: tuple[KnownRule, ...] = get_args(KnownRule)
OF_COLOURS: tuple[KnownRule, ...] = ("edges", "grey", "holes")
"""Rules that need the 8-bit colours of a photo."""
Rule = Callable[[np.ndarray, np.random.Generator], Any]

DEFAULTS = {"edges": {"sigma": 2.0, "threshold": 0.03}, "blur": {"sigma": 3.0}, "lowres": {"factor": 4}}
DEFAULTS |= {"holes": {"share": 0.25}}
"""Settings of each rule that has some."""
_HOLE_SIDES = (0.1, 0.35)  # of those of the image
_MOST_HOLES = 1000


@dataclass(frozen=True, kw_only=True)
class RuleOptions(Options):
    """Which rule, and its settings."""

    rule: str = option(
        REQUIRED,
        "edges, grey, lowres, blur or holes; or a function of your own, MODULE:FUNCTION",
        metavar="RULE",
    )
    sigma: float | None = option(
        None, "edges, blur: standard deviation of the Gaussian in px; by default 2 and 3", above=0, at_most=100
    )
    threshold: float | None = option(
        None,
        "edges: change from pixel to pixel that begins a line, as a share of white; by default 0.03",
        above=0,
        at_most=1,
    )
    factor: int | None = option(None, "lowres: how many times fewer pixels a side; by default 4", at_least=2)
    share: float | None = option(None, "holes: share of the image that is cut out; by default 0.25", above=0, below=1)

    def problems(self) -> Iterator[Problem]:
        """Say which settings have no effect, and which rule there is not."""
        if self.rule not in RULES and not re.fullmatch(r"[\w.]+:\w+", self.rule):
            known = ", ".join(RULES)
            text = f"--rule must be {known} or MODULE:FUNCTION, not '{self.rule}'.{nearest(self.rule, RULES)}"
            yield Problem(text, "--rule", self.rule)
            return
        own = DEFAULTS.get(self.rule, {})
        for name in ("sigma", "threshold", "factor", "share"):
            if getattr(self, name) is not None and name not in own:
                yield Problem(f"--{name} has no effect with --rule {self.rule}: leave it out", f"--{name}")

    @property
    def settings(self) -> dict[str, Any]:
        """The rule's name and its settings."""
        own = DEFAULTS.get(self.rule, {})
        return {"rule": self.rule} | {name: getattr(self, name) or default for name, default in own.items()}

    def load(self) -> Rule:
        """The rule as a function.

        Raises:
            ConfigError: A function of one's own cannot be had.
        """
        settings = self.settings
        match self.rule:
            case "edges":
                return lambda photo, _: edges(photo, sigma=settings["sigma"], threshold=settings["threshold"])
            case "grey":
                return lambda photo, _: convert_channels(photo, 1)
            case "lowres":
                return lambda photo, _: low_resolution(photo, factor=settings["factor"])
            case "blur":
                return lambda photo, _: blurred(photo, sigma=settings["sigma"])
            case "holes":
                return lambda photo, generator: with_holes(photo, generator, share=settings["share"])
        return _own_rule(self.rule)


def edges(photo: np.ndarray, *, sigma: float, threshold: float) -> np.ndarray:
    """Draw the edges of a photo ``(H, W, 3)`` black on white: ``(H, W, 1)``, uint8."""
    luma = convert_channels(photo, 1)[:, :, 0]
    lines = canny(luma, sigma=sigma, threshold=255 * threshold)
    return np.where(lines, 0, 255).astype(np.uint8)[:, :, None]


def low_resolution(photo: np.ndarray, *, factor: int) -> np.ndarray:
    """Shrink an image ``(H, W, C)`` of any type and enlarge it again."""
    height, width = photo.shape[:2]
    small = resize(photo, max(1, round(height / factor)), max(1, round(width / factor)))
    return resize(small, height, width)


def blurred(photo: np.ndarray, *, sigma: float) -> np.ndarray:
    """Blur an image ``(H, W, C)`` of any type; integers are rounded."""
    smooth = gaussian(photo.astype(np.float64 if photo.dtype.itemsize > 2 else np.float32), sigma)
    return to_type(smooth, photo.dtype)[0]


def with_holes(photo: np.ndarray, generator: np.random.Generator, *, share: float) -> np.ndarray:
    """Cut rectangles out of a photo ``(H, W, 3)``, uint8, until at least a share of it is gone: ``(H, W, 4)``.

    Holes have an alpha of 0 and the colour white, so that nothing of the photo is left in them.
    """
    height, width = photo.shape[:2]
    gone = np.zeros((height, width), bool)
    for _ in range(_MOST_HOLES):
        if gone.mean() >= share:
            break
        rows, columns = (
            max(1, round(side * part))
            for side, part in zip((height, width), generator.uniform(*_HOLE_SIDES, 2), strict=True)
        )
        top, left = int(generator.integers(height - rows + 1)), int(generator.integers(width - columns + 1))
        gone[top : top + rows, left : left + columns] = True
    alpha = np.where(gone, 0, 255).astype(np.uint8)[:, :, None]
    return np.concatenate([np.where(gone[:, :, None], np.uint8(255), photo), alpha], axis=2)


def apply_rule(
    rule: Rule, photo: np.ndarray, generator: np.random.Generator, *, native: bool = False
) -> tuple[np.ndarray, np.ndarray | None]:
    """Make the input of a photo ``(H, W, C)``, and the output where the rule gives one too: ``(H, W, C)`` each.

    Args:
        rule: The function.
        photo: An image.
        generator: Of what the rule draws at random.
        native: Whether the rule may give images of any type and number of channels.

    Raises:
        DataError: The rule fails, or gives something else; the message says what, without the name of the photo.
    """
    try:
        given = rule(photo.copy(), generator)
    except Exception as error:
        raise DataError(f"the rule failed with {type(error).__name__}: {error}") from error
    a, b = given if isinstance(given, tuple) and len(given) == 2 else (given, None)
    a, b = _checked(a, native=native), None if b is None else _checked(b, native=native)
    size = photo.shape[:2] if b is None else b.shape[:2]
    if a.shape[:2] != size:
        (height, width), (rows, columns) = size, a.shape[:2]
        raise DataError(f"the rule gave an input of {columns} x {rows} pixels for an output of {width} x {height}")
    return a, b


def _checked(image: object, *, native: bool) -> np.ndarray:
    types = "integers of up to 32 bits or floating point" if native else "uint8 or uint16"
    if not isinstance(image, np.ndarray) or not _is_taken(image.dtype, native=native) or image.ndim not in (2, 3):
        shown = f"{image.dtype} of shape {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise DataError(f"the rule gave {shown}; expected is an array (H, W) or (H, W, C), {types}")
    image = image[:, :, None] if image.ndim == 2 else image
    most = MAX_CHANNELS if native else 4
    if 0 in image.shape or image.shape[2] > most:
        raise DataError(f"the rule gave an array of shape {image.shape}; expected are up to {most} channels")
    return image


def _is_taken(dtype: np.dtype, *, native: bool) -> bool:
    if native:
        return dtype.kind == "f" or (dtype.kind in "ui" and dtype.itemsize <= 4)
    return dtype in (np.uint8, np.uint16)


def _own_rule(name: str) -> Rule:
    module, _, function = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), function)
    except ImportError as error:
        raise ConfigError(
            f"--rule {name}: {error}. The module is looked for in the current folder and where Python finds packages.",
            option="--rule",
        ) from error
    except AttributeError as error:
        raise ConfigError(f"--rule {name}: there is no '{function}' in {module}.", option="--rule") from error
    if not callable(found):
        raise ConfigError(f"--rule {name} is no function.", option="--rule")
    return found
