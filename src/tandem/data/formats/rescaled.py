"""Stored samples as the values that they stand for, by a slope and an intercept."""

import numpy as np

_SIGNED = ("int16", "int32")


def rescaled(stored: np.ndarray, slope: float, intercept: float, *, bits: int | None = None) -> np.ndarray:
    """Samples times `slope` plus `intercept`: a signed integer of 16 or 32 bits where these are whole, else float32.

    Which of them follows from the type alone, so that all files of one kind come out alike.

    Args:
        stored: Integers or floating point.
        slope: Not 0.
        intercept: Likewise finite.
        bits: Of the stored samples that are used; by default all.
    """
    if stored.dtype.kind == "f" or not (float(slope).is_integer() and float(intercept).is_integer()):
        return (stored.astype(np.float64) * slope + intercept).astype(np.float32)
    info, signed = np.iinfo(stored.dtype), stored.dtype.kind == "i"
    bits = info.bits if bits is None else bits
    ends = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    low, high = sorted(end * int(slope) + int(intercept) for end in ends)
    for name in _SIGNED:
        type_ends = np.iinfo(name)
        if type_ends.min <= low and high <= type_ends.max:
            return (stored.astype(np.int64) * int(slope) + int(intercept)).astype(name)
    return (stored.astype(np.float64) * slope + intercept).astype(np.float32)
