"""What the numbers of an array mean: which of them is black and which is white.

A picture file says it; an array does not. What can be read in one way only is read, anything else is refused with the
argument that says it, `value_range`: a guess that is wrong gives a plausible picture of the wrong brightness.

- bool: False is black, True is white. uint8: 0 and 255.
- uint16: 0 and 65535; refused where its values end at 255, since they may be those of uint8.
- Wider integers: 0 and 255, the levels of uint8 in another type; refused where one is beyond these, or none above 1,
  since they may be labels.
- Floats: -1 and 1 where one is below -0.25. Refused where none is, since [0, 1] is usual too, and resizing leaves such
  an image with values a little below 0.
"""

from collections.abc import Sequence

import numpy as np

from tandem.errors import ConfigError, DataError

TOLERANCE = 0.001
"""How far beyond its range a value may lie, as a share of the range: what rounding leaves."""
SURELY_SIGNED = -0.25
"""Floats with a value below this are in [-1, 1]."""
_HOW = "say which values are black and white, e.g. value_range=(0, 1), (-1, 1) or (0, 255)"


def to_signed(array: np.ndarray, value_range: Sequence[float] | None) -> np.ndarray:
    """Bring an array of any shape and type to float32 in [-1, 1].

    Args:
        array: Bool, integers or floats.
        value_range: The values of black and white; None: by the rules of this file's head.

    Raises:
        DataError: The type or the values don't say what they mean, or lie outside their range.
        ConfigError: `value_range` is not two different numbers, the lower one first.
    """
    low, high = _range_of(array) if value_range is None else _checked(value_range)
    slack = TOLERANCE * (high - low)
    least, most = (float(array.min()), float(array.max())) if array.size else (low, high)
    if not (low - slack <= least and most <= high + slack):  # NaN is in no range
        raise DataError(
            f"the values of the image must be in [{low:g}, {high:g}], but they go from {least:g} to {most:g}: clip or "
            f"scale them, or {_HOW}."
        )
    if (low, high) == (-1, 1):
        return np.asarray(array, dtype=np.float32).clip(-1, 1)
    values = array.astype(np.float32)
    values -= np.float32(low)
    values /= np.float32((high - low) / 2)
    values -= 1
    return values.clip(-1, 1)


def _checked(value_range: Sequence[float]) -> tuple[float, float]:
    try:
        low, high = (float(value) for value in value_range)
        fits = bool(np.isfinite([low, high]).all()) and low < high
    except (TypeError, ValueError):
        fits, low, high = False, 0.0, 0.0
    if not fits:
        raise ConfigError(
            f"value_range must be two numbers, that of black and a larger one of white, not {value_range!r:.60}."
        )
    return low, high


def _range_of(array: np.ndarray) -> tuple[float, float]:
    """The values of black and white of an array that says so itself."""
    kind = array.dtype
    if kind == np.bool_:
        return 0, 1
    if kind == np.uint8:
        return 0, 255
    if not (np.issubdtype(kind, np.integer) or np.issubdtype(kind, np.floating)):
        raise DataError(f"an image must hold integers or floats, not {kind}.")
    least, most = float(array.min()), float(array.max())
    if kind == np.uint16:
        if 0 < most <= 255:
            raise DataError(
                f"uint16 goes up to 65535, but the largest value is {most:g}, as if they were those of uint8: {_HOW}."
            )
        return 0, 65535
    if np.issubdtype(kind, np.integer):
        if least < 0 or most > 255 or most <= 1:
            raise DataError(
                f"{kind} values from {least:g} to {most:g} don't say which is white; from 0 to 255 with one above 1 "
                f"they are read as uint8: {_HOW}."
            )
        return 0, 255
    if not (least >= -1 - 2 * TOLERANCE and most <= 1 + 2 * TOLERANCE):
        raise DataError(
            f"floats are read in [-1, 1], but these go from {least:g} to {most:g}: scale the image, give it as uint8, "
            f"or {_HOW}."
        )
    if least >= SURELY_SIGNED:
        raise DataError(
            f"floats from {least:g} to {most:g} may be in [0, 1] or in [-1, 1], which are different pictures: {_HOW}."
        )
    return -1, 1
