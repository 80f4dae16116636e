"""How weights are stored in files: in full, or rounded to float16 or to 8 bits. They are computed with in float32.

Rounded are arrays of two axes and more: convolutions and matrices, which are nearly all of a model. Biases and what
norms hold stay in full, since together they are small, and outputs depend on them most; 8 bits leave small arrays in
full too.
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np

from tandem.errors import ConfigError

Storage = Literal["fp32", "fp16", "int8"]
INT8_LEVELS = 127
SMALL = 4096
"""Weights of fewer numbers are not rounded to 8 bits."""
SCALE = "#scale"
"""What the name of the scales of a tensor of 8 bits ends in."""


def int8_steps(array: np.ndarray, *, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Whole numbers from -127 to 127, and what each stands for along an axis: that of the output channels."""
    others = tuple(one for one in range(array.ndim) if one != axis)
    scale = (np.abs(array).max(axis=others) / np.float32(INT8_LEVELS)).astype(np.float32)
    scale = np.where(scale > 0, scale, np.float32(1))
    return np.rint(array / np.expand_dims(scale, others)).astype(np.int8), scale


def rounded(arrays: Mapping[str, np.ndarray], storage: Storage) -> dict[str, np.ndarray]:
    """Weights as they are stored.

    Args:
        arrays: By name.
        storage: As what.

    Raises:
        ConfigError: A number is larger than float16 holds.
    """
    stored: dict[str, np.ndarray] = {}
    for name, array in arrays.items():
        if array.dtype != np.float32 or array.ndim < 2 or storage == "fp32":
            stored[name] = array
        elif storage == "fp16":
            if np.abs(array).max(initial=0) > np.finfo(np.float16).max:
                raise ConfigError(
                    f"--weights fp16: {name} has numbers that float16 does not hold: take int8 or fp32.",
                    option="--weights",
                )
            stored[name] = array.astype(np.float16)
        elif array.size < SMALL:
            stored[name] = array
        else:
            stored[name], stored[f"{name}{SCALE}"] = int8_steps(array, axis=0)
    return stored


def in_full(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The inverse of `rounded`, of files that may be hostile.

    Raises:
        ValueError: The scales of a tensor are missing, or not its own.
    """
    full: dict[str, np.ndarray] = {}
    for name, array in arrays.items():
        if array.dtype == np.float16:
            full[name] = array.astype(np.float32)
        elif array.dtype == np.int8:
            scale = arrays.get(f"{name}{SCALE}")
            if scale is None or scale.dtype != np.float32 or scale.shape != array.shape[:1]:
                raise ValueError(f"{name} has 8 bits, and no scale of float32 for each of its {array.shape[:1]} rows")
            with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is refused where it is used
                full[name] = array * scale.reshape(-1, *[1] * (array.ndim - 1))
        elif not (name.endswith(SCALE) and name.removesuffix(SCALE) in arrays):
            full[name] = array
    return full
