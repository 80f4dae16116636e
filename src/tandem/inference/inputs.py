"""From whatever a user has (path, PIL image, array, tensor) to the network's input, and back to its size."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tandem.data.fit import FitPlan, pad_mirrored
from tandem.data.images import (
    array_from_pil,
    convert_channels,
    from_floats,
    half_range,
    read_image,
    resize,
    to_floats,
)
from tandem.errors import DataError


def to_input(image: Any, *, channels: int) -> np.ndarray:
    """Bring one image to ``(C, H, W)``, float32, [-1, 1].

    Args:
        image: A path, a PIL image, an array ``(H, W)`` or ``(H, W, C)``, a tensor ``(C, H, W)``. Integers fill the
            range of their type; floats are in [-1, 1].
        channels: What the network takes; see `tandem.data.images` for the conversions.

    Raises:
        DataError: It cannot be read, has an impossible shape, or floats outside [-1, 1].
    """
    if isinstance(image, str | Path):
        return to_floats(read_image(Path(image), channels=channels))
    if isinstance(image, Image.Image):
        return to_floats(array_from_pil(image, channels=channels))
    if _is_tensor(image):
        array = image.detach().cpu()
        array = (array.float() if array.is_floating_point() else array).numpy()
        if array.ndim != 3:
            raise DataError(f"a tensor must be (C, H, W) or a batch (N, C, H, W), not of shape {array.shape}.")
        array = np.moveaxis(array, 0, -1)
    elif isinstance(image, np.ndarray):
        array = image[:, :, None] if image.ndim == 2 else image
    else:
        raise DataError(
            f"an image must be a path, a PIL image, an array (H, W, C) or a tensor (C, H, W), "
            f"not a {type(image).__name__}."
        )
    return _from_array(array, channels)


def is_batch(images: Any) -> bool:
    """Whether `images` is several images: a list, a tuple, or an array or tensor of four dimensions."""
    if isinstance(images, list | tuple):
        return True
    return (isinstance(images, np.ndarray) or _is_tensor(images)) and images.ndim == 4


@dataclass(frozen=True)
class Fitted:
    """An image brought to a size that the network takes.

    Attributes:
        values: ``(C, H, W)``, float32, [-1, 1].
        plan: How.
    """

    values: np.ndarray
    plan: FitPlan

    def restore(self, outputs: np.ndarray) -> np.ndarray:
        """Bring outputs ``(N, C, H, W)`` back to the image's own size: cut off the padding, resize."""
        height, width = self.plan.target
        cut = outputs[:, :, :height, :width]
        if self.plan.own == self.plan.target:
            return cut
        return np.stack([to_floats(resize(from_floats(output), *self.plan.own)) for output in cut])


def fit_image(values: np.ndarray, plan: FitPlan) -> Fitted:
    """Bring ``(C, H, W)``, float32, [-1, 1], to the size that a plan says: resized (bicubic), then padded."""
    if plan.own != plan.target:
        values = to_floats(resize(from_floats(values), *plan.target))
    missing = [side - own for side, own in zip(plan.padded, plan.target, strict=True)]
    return Fitted(pad_mirrored(values, (1, 2), missing), plan)


def _from_array(array: np.ndarray, channels: int) -> np.ndarray:
    if array.ndim != 3 or 0 in array.shape:
        raise DataError(f"an array must be (H, W) or (H, W, C), not of shape {array.shape}.")
    if array.shape[2] not in {1, 2, 3, 4}:
        raise DataError(
            f"an image of shape {array.shape} has {array.shape[2]} channels: arrays are (H, W, C), tensors (C, H, W)."
        )
    if np.issubdtype(array.dtype, np.floating):
        largest = float(np.abs(array).max())
        if not largest <= 1.001:
            raise DataError(
                f"floats must be in [-1, 1], but the largest magnitude is {largest:g}: scale the image, or give it as "
                "uint8."
            )
        if array.shape[2] != channels:
            array = convert_channels(from_floats(np.moveaxis(array, -1, 0)), channels)
            return to_floats(array)
        return np.ascontiguousarray(np.moveaxis(array, -1, 0), dtype=np.float32).clip(-1, 1)
    half_range(array.dtype)
    if array.shape[2] != channels:
        array = convert_channels(from_floats(to_floats(array)), channels)
    return to_floats(array)


def _is_tensor(image: Any) -> bool:
    return type(image).__module__.partition(".")[0] == "torch" and hasattr(image, "detach")
