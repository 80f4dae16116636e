"""From whatever a user has (path, bytes, PIL image, array, tensor) to the network's input, and back to its size."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from PIL import Image

from tandem.data.fit import FitPlan, pad_mirrored
from tandem.data.formats.stored import StoredImage
from tandem.data.image_file import DiskFile, StackedFile
from tandem.data.images import ImageSource, array_from_pil, name_of_pil, read_stored, stored_from_pil
from tandem.data.label_maps import from_picture
from tandem.data.levels import BY_TYPE, Levels
from tandem.data.masks import mask_of
from tandem.data.pixels import ResizeMethod, convert_channels, from_floats, resize, to_floats
from tandem.errors import ConfigError, DataError
from tandem.inference.levels import to_signed


def to_input(
    image: Any,
    *,
    channels: int,
    value_range: Sequence[float] | None = None,
    levels: Levels = BY_TYPE,
    parts: Mapping[str, int] = MappingProxyType({}),
) -> np.ndarray:
    """Bring one image to ``(C, H, W)``, float32, [-1, 1]; of a label map come the planes of its classes.

    Of a label map an array or tensor of integers holds indices in one channel, or colours in three or four; one of
    floats, or with a value range, the planes themselves.

    Args:
        image: A path, the bytes of an image file or an open one, a PIL image, an array ``(H, W)`` or ``(H, W, C)``, a
            tensor ``(C, H, W)``.
        channels: What the network takes; see `tandem.data.images` for the conversions.
        value_range: The values of black and white in an array or tensor; see `tandem.inference.levels` for what is read
            without it.
        levels: Which values of files are black and white, and of arrays of the files' type where it has no black and
            white of its own.
        parts: Channels of each of the images that are stacked into an input, which come as a tuple.

    Raises:
        DataError: It cannot be read, has an impossible shape, or numbers that don't say what they mean.
        ConfigError: A value range for what is no array, or one that is none.
    """
    if isinstance(image, tuple):
        return _stacked(image, channels, value_range, levels, parts)
    if levels.classes is not None and value_range is None:
        labels = _labels_of(image, levels)
        if labels is not None:
            return labels
    return _pixels_of(image, channels, value_range, levels)


def _labels_of(image: Any, levels: Levels) -> np.ndarray | None:
    """The planes of a label map that a Pillow image or an array or tensor of integers holds; None of others."""
    if isinstance(image, Image.Image):
        return levels.to_floats(levels.values_of(stored_from_pil(image), 1, name_of_pil(image)))
    array = image
    if _is_tensor(image) and not image.is_floating_point() and image.ndim == 3:
        array = np.moveaxis(image.detach().cpu().numpy(), 0, -1)
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "uib":
        return None
    array = array[:, :, None] if array.ndim == 2 else array
    if array.ndim != 3 or 0 in array.shape or array.shape[2] not in (1, 3, 4):
        raise DataError(f"a label map must be (H, W) of indices or (H, W, 3) of colours, not of shape {array.shape}.")
    if array.shape[2] == 1:
        return levels.to_floats(array.astype(np.int64))
    if array.dtype != np.uint8:
        raise DataError(f"a label map in colours must be uint8, not {array.dtype}.")
    assert levels.classes is not None, "asked of label maps"
    return levels.to_floats(from_picture(levels.classes, array[:, :, :3]))


def _pixels_of(image: Any, channels: int, value_range: Sequence[float] | None, levels: Levels) -> np.ndarray:
    """See `to_input`."""
    holds_numbers = _is_tensor(image) or isinstance(image, np.ndarray)
    if value_range is not None and not holds_numbers:
        raise ConfigError(
            f"value_range has no effect on a {type(image).__name__}, which says itself what is black and white: leave "
            "it out."
        )
    if isinstance(image, str | Path | bytes | bytearray | memoryview):
        return _from_file(Path(image) if isinstance(image, str | Path) else bytes(image), channels, levels)
    if isinstance(image, Image.Image):
        return to_floats(array_from_pil(image, channels=channels))
    if _is_tensor(image):
        tensor: Any = image
        array = tensor.detach().cpu()
        array = (array.float() if array.is_floating_point() else array).numpy()
        if array.ndim != 3:
            raise DataError(f"a tensor must be (C, H, W) or a batch (N, C, H, W), not of shape {array.shape}.")
        return _from_array(np.moveaxis(array, 0, -1), channels, value_range)
    if isinstance(image, np.ndarray):
        array = image[:, :, None] if image.ndim == 2 else image
        if value_range is None and not levels.is_by_type and array.dtype == levels.type and array.ndim == 3:
            if array.shape[2] != channels:
                raise DataError(f"the model takes {channels} channels, not an array of shape {array.shape}.")
            return levels.to_floats(array)
        return _from_array(array, channels, value_range)
    if hasattr(image, "read") and hasattr(image, "seek"):
        return _from_file(image, channels, levels)
    raise DataError(
        f"an image must be a path, the bytes of a file, a PIL image, an array (H, W, C) or a tensor (C, H, W), not a "
        f"{type(image).__name__}."
    )


def to_mask(mask: Any, size: tuple[int, int]) -> np.ndarray:
    """Bring the mask of an image to ``(H, W)``, bool, where pixels are valid.

    Args:
        mask: A path, the bytes of an image file or an open one, a PIL image, an array ``(H, W)`` or ``(H, W, C)``, a
            tensor ``(H, W)`` or ``(C, H, W)``; valid is what is not zero in any of its channels.
        size: Height and width of the image.

    Raises:
        DataError: It cannot be read, or has another size.
    """
    if isinstance(mask, Image.Image):
        return mask_of(stored_from_pil(mask), size, name_of_pil(mask), "the image")
    if not (_is_tensor(mask) or isinstance(mask, np.ndarray)):
        source = Path(mask) if isinstance(mask, str | Path) else mask
        return mask_of(read_stored(source), size, getattr(source, "name", None) or "the mask", "the image")
    array: Any = mask
    if _is_tensor(mask):
        tensor: Any = mask
        array = tensor.detach().cpu().numpy()
        array = np.moveaxis(array, 0, -1) if array.ndim == 3 else array
    array = array[:, :, None] if array.ndim == 2 else array
    if array.ndim != 3 or array.dtype.kind not in "biuf":
        raise DataError(f"a mask must be an array (H, W) of numbers, not {array.dtype} of shape {array.shape}.")
    return mask_of(StoredImage(array, 8, 0, has_alpha=False), size, "the mask", "the image")


def filled_input(values: np.ndarray, valid: np.ndarray, levels: Levels) -> np.ndarray:
    """An input ``(C, H, W)`` in [-1, 1] with the fill where it is not valid, as files are filled.

    A label map gets the class that is ignored there, and stays as it is where there is none.
    """
    assert levels.fill is not None, "only models that were trained with masks are given some"
    if levels.classes is None:
        hole = levels.from_floats(np.full((len(values), 1, 1), levels.fill))  # rounded as in a file of the type
    elif levels.classes.ignored is None:
        return values
    else:
        hole = np.full((1, 1, 1), levels.classes.ignored)
    return np.where(valid, values, levels.to_floats(hole))


def is_batch(images: Any, *, stacked: bool = False) -> bool:
    """Whether `images` is several images: a list, a tuple, or an array or tensor of four dimensions.

    Where inputs are `stacked`, a tuple is one, in its parts.
    """
    if isinstance(images, list | tuple):
        return isinstance(images, list) or not stacked
    return (isinstance(images, np.ndarray) or _is_tensor(images)) and images.ndim == 4


@dataclass(frozen=True)
class Fitted:
    """An image brought to a size that the network takes.

    Attributes:
        values: ``(C, H, W)``, float32, [-1, 1].
        plan: How.
        rounded: Whether outputs that are resized are rounded to 8 bits on the way.
        method: By which outputs are resized.
    """

    values: np.ndarray
    plan: FitPlan
    rounded: bool = True
    method: ResizeMethod = "bicubic"

    def restore(self, outputs: np.ndarray, *, method: ResizeMethod | None = None) -> np.ndarray:
        """Bring outputs ``(N, C, H, W)`` back to the image's own size: cut off the padding, resize.

        Args:
            outputs: They.
            method: By which they are resized, where that is not `method`: images of the input's domain.
        """
        height, width = self.plan.target
        cut = outputs[:, :, :height, :width]
        if self.plan.own == self.plan.target:
            return cut
        by = method or self.method
        return np.stack([_resized(output, self.plan.own, rounded=self.rounded, method=by) for output in cut])


def fit_image(
    values: np.ndarray,
    plan: FitPlan,
    *,
    rounded: tuple[bool, bool] = (True, True),
    methods: tuple[ResizeMethod, ResizeMethod] = ("bicubic", "bicubic"),
) -> Fitted:
    """Bring ``(C, H, W)``, float32, [-1, 1], to the size that a plan says: resized, then padded.

    Args:
        values: The image.
        plan: The sizes.
        rounded: Whether the image, and its outputs, have 8 bits, so that a resize gives whole levels as in training.
        methods: By which the image, and its outputs, are resized.
    """
    if plan.own != plan.target:
        values = _resized(values, plan.target, rounded=rounded[0], method=methods[0])
    missing = [side - own for side, own in zip(plan.padded, plan.target, strict=True)]
    return Fitted(pad_mirrored(values, (1, 2), missing), plan, rounded[1], methods[1])


def _stacked(
    images: tuple[Any, ...],
    channels: int,
    value_range: Sequence[float] | None,
    levels: Levels,
    parts: Mapping[str, int],
) -> np.ndarray:
    """The images that are stacked into an input, each of its own type and by the levels of its channels."""
    if len(images) != len(parts):
        own = f"{len(parts)} images ({', '.join(parts)})" if parts else "one image"
        raise DataError(f"an input of this model is {own}, not {len(images)}.")
    if all(isinstance(one, str | Path) for one in images):
        stack = StackedFile(tuple(DiskFile(Path(one)) for one in images), tuple(parts))
        return levels.to_floats(levels.values_of(read_stored(stack), channels, str(stack)))
    found, first = [], 0
    for image, number in zip(images, parts.values(), strict=True):
        own = levels.of_part(slice(first, first + number))
        found.append(_pixels_of(image, number, value_range, own))
        first += number
    sizes = [one.shape[1:] for one in found]
    if len(set(sizes)) > 1:
        shown = ", ".join(f"{width} x {height}" for height, width in sizes)
        raise DataError(f"the images of an input must have one size, not {shown} (width x height).")
    return np.concatenate(found)


def _resized(values: np.ndarray, size: tuple[int, int], *, rounded: bool, method: ResizeMethod) -> np.ndarray:
    if rounded:
        return to_floats(resize(from_floats(values), *size, method=method))
    return np.moveaxis(resize(np.moveaxis(values, 0, 2), *size, method=method), 2, 0).clip(-1, 1)


def _from_file(source: ImageSource, channels: int, levels: Levels) -> np.ndarray:
    name = str(source) if isinstance(source, Path) else str(getattr(source, "name", "image data"))
    return levels.to_floats(levels.values_of(read_stored(source), channels, name))


def _from_array(array: np.ndarray, channels: int, value_range: Sequence[float] | None) -> np.ndarray:
    if array.ndim != 3 or 0 in array.shape:
        raise DataError(f"an array must be (H, W) or (H, W, C), not of shape {array.shape}.")
    if array.shape[2] not in {1, 2, 3, 4, channels}:
        raise DataError(
            f"an image of shape {array.shape} has {array.shape[2]} channels: arrays are (H, W, C), tensors (C, H, W)."
        )
    values = np.ascontiguousarray(np.moveaxis(to_signed(array, value_range), -1, 0))
    if array.shape[2] != channels:
        return to_floats(convert_channels(from_floats(values), channels))
    return values


def _is_tensor(image: Any) -> bool:
    return type(image).__module__.partition(".")[0] == "torch" and hasattr(image, "detach")
