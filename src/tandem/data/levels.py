"""Which values of the files of a domain the networks see as -1 and 1, and how outputs become such values again."""

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, get_args

import numpy as np

from tandem.config.classes import Colour, LabelClasses
from tandem.config.data import DataConfig
from tandem.data.formats.carried import empty_pixels
from tandem.data.formats.stored import StoredImage
from tandem.data.images import ImageReadError, by_type
from tandem.data.label_maps import coloured, dtype_of, from_planes, palette_of, read_labels, to_planes
from tandem.data.pixels import ResizeMethod, from_floats, row_blocks, to_floats
from tandem.errors import ConfigError, DataError

SampleType = Literal["uint8", "uint16", "uint32", "int8", "int16", "int32", "float16", "float32", "float64"]


@dataclass(frozen=True)
class Levels:
    """The levels of a domain, or its classes where files are label maps (`tandem.data.label_maps`).

    Attributes:
        type: Of the files' samples, and so of outputs.
        low: The value that is -1, one for all channels or one for each; none: by the type, whose ends are -1 and 1.
        high: Likewise that of 1.
        classes: Of label maps, which have no black and white; None of pictures.
        fill: What pixels that hold nothing become, in [-1, 1]; None: they are taken as any others.
        nodata: A value of pixels that hold nothing, beside what files say.

    Raises:
        ValueError: The numbers don't fit each other, or the type has no ends of its own and there are none.
    """

    type: SampleType = "uint8"
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    classes: LabelClasses | None = None
    fill: float | None = None
    nodata: float | None = None

    def __post_init__(self) -> None:
        if self.classes is not None and (self.low or self.type != dtype_of(self.classes)):
            raise ValueError(f"classes have the type {dtype_of(self.classes)} and no levels")
        if self.type not in get_args(SampleType):
            raise ValueError(f"no type of samples: {self.type!r:.40}")
        fit = len(self.low) == len(self.high) and all(math.isfinite(end) for end in self.low + self.high)
        if not fit or any(low >= high for low, high in zip(self.low, self.high, strict=True)):
            raise ValueError(f"levels must be finite and the lower one first, not {self.low} and {self.high}")
        if not self.low and self.type not in ("uint8", "uint16"):
            raise ValueError(f"{self.type} has no levels of its own")
        if self.fill is not None and not -1 <= self.fill <= 1:
            raise ValueError(f"fill must be from -1 to 1, not {self.fill}")
        if self.nodata is not None and (self.fill is None or not math.isfinite(self.nodata)):
            raise ValueError(f"nodata must be finite and go with a fill, not {self.nodata}")

    @property
    def is_by_type(self) -> bool:
        """Whether black and white are those of the type."""
        return not self.low and self.classes is None

    @property
    def is_eight_bit(self) -> bool:
        """Whether files have 8 bits with black and white at their ends."""
        return self.is_by_type and self.type == "uint8"

    def describe(self) -> str:
        """In words: the type, and the values between which numbers of it are counted as 0 to 1."""
        if self.classes is not None:
            return f"{self.classes.describe()}, a plane of 0 to 1 for each"
        if self.is_by_type:
            return f"{self.type}, 0 to {np.iinfo(self.type).max}"
        ends = [f"{low:g} to {high:g}" for low, high in zip(self.low, self.high, strict=True)]
        return f"{self.type}, {'; '.join(ends)}"

    def values_of(self, stored: StoredImage, channels: int, name: str) -> np.ndarray:
        """The values of an image that `to_floats` takes: ``(H, W, channels)``; of a label map ``(H, W, 1)``.

        With a fill, pixels that hold nothing get it (see `empty`), before anything mixes them with others.

        Raises:
            ImageReadError: Its channels are others, or it holds what is no class; by the type: see `by_type`. `name` is
                the file.
        """
        if self.classes is not None:
            values = read_labels(self.classes, stored, name)
        else:
            values = self._values_of(stored, channels, name)
        return self.filled(values, self.empty(stored))

    def empty(self, stored: StoredImage) -> np.ndarray | None:
        """Where an image holds nothing, ``(H, W)``, bool: see `empty_pixels`; None if nowhere, or without a fill.

        A stack does where any of its images does.
        """
        if self.fill is None:
            return None
        if stored.parts:
            found = [empty for part in stored.parts if (empty := self.empty(part)) is not None]
            return np.logical_or.reduce(found) if found else None
        return empty_pixels(stored.values, *(one for one in (stored.nodata, self.nodata) if one is not None), nan=True)

    def filled(self, array: np.ndarray, empty: np.ndarray | None) -> np.ndarray:
        """An image ``(H, W, C)`` of any type with the fill in its `empty` pixels ``(H, W)``.

        Those of a label map get the class that is ignored, and stay as they are where there is none.
        """
        if empty is None or self.fill is None:
            return array
        if self.classes is not None:
            ignored = self.classes.ignored
            return array if ignored is None else np.where(empty[:, :, None], np.array(ignored, array.dtype), array)
        colour = np.full((array.shape[2], 1, 1), self.fill)
        return np.where(empty[:, :, None], self.of_type(str(array.dtype)).from_floats(colour), array)

    def _values_of(self, stored: StoredImage, channels: int, name: str) -> np.ndarray:
        if self.is_by_type:
            return by_type(stored, channels, name)
        values = stored.values
        if values.shape[2] != channels and stored.num_colours:
            values = values[:, :, : stored.num_colours]
            values = np.repeat(values, channels, axis=2) if (stored.num_colours, channels) == (1, 3) else values
        if values.shape[2] != channels:
            raise ImageReadError(
                name,
                f"has {stored.values.shape[2]} channels ({stored.kind}), and {channels} were asked for: with a value "
                "range only all of them can be taken",
            )
        return values

    def to_floats(self, array: np.ndarray) -> np.ndarray:
        """Convert ``(H, W, C)`` to ``(C, H, W)``, float32, in [-1, 1]; values beyond the levels are cut off.

        What is no number is the fill, and without one -1, as most values are by which files say that a pixel holds
        nothing. Of a label map come the planes of its classes.
        """
        if self.classes is not None:
            return to_planes(self.classes, array)
        if self.is_by_type:
            return to_floats(array)
        height, width, channels = array.shape
        low, high = self._ends(channels)
        floats = np.empty((channels, height, width), np.float32)
        if array.dtype in (np.uint8, np.uint16):
            ends = zip(np.broadcast_to(low, channels), np.broadcast_to(high, channels), strict=True)
            for channel, (black, white) in enumerate(ends):
                table = _table(array.dtype.itemsize, float(black), float(white))
                for rows in row_blocks(height, width, _LOOKED_UP_AT_ONCE):
                    np.take(table, array[rows, :, channel], out=floats[channel, rows], mode="clip")  # "raise" copies
            return floats
        nothing = -1 if self.fill is None else self.fill
        for rows in row_blocks(height, width * channels):
            floats[:, rows] = np.moveaxis(_scaled(array[rows], low, high, nothing), 2, 0)
        return floats

    def from_floats(self, values: np.ndarray) -> np.ndarray:
        """Convert ``(..., C, H, W)`` in [-1, 1] to ``(..., H, W, C)`` of the type, rounded and within its ends.

        Of planes of classes comes a label map, ``(..., H, W, 1)``.

        Raises:
            DataError: A value is not finite.
        """
        if self.classes is not None:
            return from_planes(self.classes, values)
        if self.is_by_type:
            return from_floats(values, self.type)
        channels, height, width = values.shape[-3:]
        low, high = self._ends(channels)
        found = np.empty((*values.shape[:-3], height, width, channels), self.type)
        for rows in row_blocks(height, values.size // max(1, height)):
            part = values[..., rows, :]
            if not np.isfinite(part).all():
                raise DataError(f"An image of shape {tuple(values.shape)} holds values that are not finite.")
            unit = (np.moveaxis(np.clip(part, -1, 1), -3, -1).astype(np.float64) + 1) / 2
            stored = low + unit * (high - low)
            if found.dtype.kind in "ui":
                info = np.iinfo(found.dtype)
                stored = np.rint(stored).clip(info.min, info.max)
            found[..., rows, :, :] = stored
        return found

    def picture(self, array: np.ndarray) -> np.ndarray:
        """The same image ``(H, W, C)`` to look at: uint8; of a label map its colours."""
        if self.classes is not None:
            return coloured(self.classes, array)
        return array if array.dtype == np.uint8 and self.is_by_type else from_floats(self.to_floats(array))

    def pictures(self, values: np.ndarray) -> np.ndarray:
        """``(..., C, H, W)`` in [-1, 1], as the networks see it, to look at: ``(..., H, W, C)``, uint8."""
        return (
            from_floats(values) if self.classes is None else coloured(self.classes, from_planes(self.classes, values))
        )

    @property
    def resampling(self) -> ResizeMethod:
        """By which images are resized: classes must not mix."""
        return "bicubic" if self.classes is None else "nearest"

    @property
    def palette(self) -> dict[int, Colour] | None:
        """The colours of a label map's indices, where its classes have some and the indices 8 bits."""
        classes = self.classes
        return palette_of(classes) if classes is not None and classes.has_colours and self.type == "uint8" else None

    def outside(self, array: np.ndarray) -> float:
        """The share of the values of ``(H, W, C)`` that are cut off."""
        if not self.low:
            return 0.0
        low, high = self._ends(array.shape[2])
        return float(((array < low) | (array > high)).mean())

    def of_part(self, channels: slice) -> "Levels":
        """Those of some of the channels."""
        return replace(self, low=self.low[channels], high=self.high[channels]) if len(self.low) > 1 else self

    def of_type(self, dtype: str) -> "Levels":
        """The same levels for another type of files; classes say theirs themselves."""
        return self if self.classes is not None else replace(self, type=dtype)

    def _ends(self, channels: int) -> tuple[np.ndarray, np.ndarray]:
        if len(self.low) not in (1, channels):
            raise ConfigError(f"a value range for {len(self.low)} channels does not go with images of {channels}.")
        return np.array(self.low), np.array(self.high)


def _scaled(values: np.ndarray, low: np.ndarray | float, high: np.ndarray | float, nothing: float = -1) -> np.ndarray:
    scaled = (values.astype(np.float64) - low) / ((high - low) / 2) - 1
    if values.dtype.kind == "f":
        np.nan_to_num(scaled, copy=False, nan=nothing, posinf=1, neginf=-1)
    return scaled.clip(-1, 1)


_LOOKED_UP_AT_ONCE = 8192
"""NumPy makes indices of 8 bytes of the values: few enough to stay in the cache."""


@lru_cache(maxsize=256)
def _table(num_bytes: int, low: float, high: float) -> np.ndarray:
    """What each unsigned value of one or two bytes is on [-1, 1]: looking up is several times as fast as computing."""
    return _scaled(np.arange(256**num_bytes), low, high).astype(np.float32)


def levels_of_classes(classes: LabelClasses) -> Levels:
    """Those of label maps."""
    return Levels(str(dtype_of(classes)), classes=classes)  # type: ignore[arg-type]


BY_TYPE = Levels()
"""The levels of files whose type says what is black and white."""


def levels_of_run(data: DataConfig) -> tuple[Levels, Levels]:
    """Those of the model's input and output, after the direction.

    Raises:
        ConfigError: A range is none, or has another number of channels.
    """
    channels = (data.input_channels, data.output_channels)
    sides = (("--range-a", data.range_a), ("--range-b", data.range_b))[:: 1 if data.direction == "AtoB" else -1]
    found = []
    for (flag, text), number, classes in zip(sides, channels, data.label_maps, strict=True):
        if classes is not None:
            found.append(levels_of_classes(classes))
            continue
        levels = levels_of(text, flag)
        if len(levels.low) not in (0, 1, number):
            raise ConfigError(
                f"{flag} '{text}' is for {len(levels.low)} channels, but there are {number}.", option=flag
            )
        found.append(levels if data.fill is None else replace(levels, fill=data.fill, nodata=data.nodata))
    return found[0], found[1]


def levels_of(text: str | None, flag: str) -> Levels:
    """The levels that an option says: ``LO,HI``, or several with ``;`` between them, one for each channel.

    The type of the files is not known yet; float64 stands for it, which holds all values.

    Raises:
        ConfigError: It says something else.
    """
    if text is None:
        return BY_TYPE
    if "%" in text:
        raise ConfigError(
            f"{flag} {text} is about the training images, whose values have not been read here: give two numbers.",
            option=flag,
        )
    try:
        ends = [tuple(float(number) for number in part.split(",")) for part in text.split(";")]
        low, high = zip(*[(low, high) for low, high in ends], strict=True)
        return Levels("float64", low, high)
    except ValueError as error:
        raise ConfigError(
            f"{flag} must be two numbers, the value that is black and a larger one that is white, e.g. -1000,3000 (for "
            f"each channel by itself: 0,255;0,4095), not '{text}'.",
            option=flag,
        ) from error
