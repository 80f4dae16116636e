"""Reading and measuring the images of a dataset, one item of a split at a time."""

import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field

import numpy as np

from tandem.config.data import Direction
from tandem.data.augment import TrainTransform
from tandem.data.formats.stored import StoredImage
from tandem.data.images import ImageReadError, pixels_of
from tandem.data.levels import Levels
from tandem.data.masks import left_out, resize_valid, valid_pixels
from tandem.data.pixels import half_range, resize, row_blocks
from tandem.data.splits import Domain, Item, Split
from tandem.errors import DataError

LARGE_PIXELS = 16_000_000
"""Of images with more pixels one is read at a time."""

SPREAD_SIZE = 64


@dataclass(frozen=True)
class ImageCheck:
    """What one thread reads at a time.

    Attributes:
        split: The split.
        item: The pair or single image of it.
        domain: "ab" of a pair; else "a" where it is the model's input, "b" where it is its output.
        index: In its sequence.
    """

    split: Split
    item: Item
    domain: Domain
    index: int


@dataclass(frozen=True)
class ImageStatistics:
    """An image: its sizes and, where it takes part in that, sums of its pixels and a small copy.

    Attributes:
        width: In pixels.
        height: In pixels.
        loaded_bytes: Bytes of its pixels as training loads it.
        moments: Sums over its pixels.
        thumbnail: The small copy.
        thumbnail_valid: Which of its pixels are valid, ``(64, 64)``, bool; None where all are.
        type: Of its values.
        bits: Of a sample of its file.
        white: The value that its file calls white; None of signed and floating-point samples.
        highest: The largest value of its colours in the file.
        is_grey: Whether its file has one channel.
        num_frames: Pages or frames of its file, where these are not its channels.
        outside: The share of its values that are beyond the value range.
        masked: The share of its pixels that are masked.
        parts: Channels of each file of a stack.
    """

    width: int
    height: int
    loaded_bytes: int
    moments: np.ndarray | None
    thumbnail: np.ndarray | None
    type: np.dtype
    bits: int
    white: int | None
    highest: float
    is_grey: bool
    num_frames: int
    outside: float
    masked: float = 0.0
    parts: tuple[int, ...] = ()
    thumbnail_valid: np.ndarray | None = None


@dataclass(frozen=True)
class ImageChecker:
    """Reads and measures the image or the images of an item."""

    direction: Direction
    channels: dict[str, int]
    levels: dict[str, Levels]
    transform: TrainTransform | None
    measured: Split
    spaced: dict[str, frozenset[int]]
    compared: frozenset[int]
    on_images: Callable[[int, dict[str, np.ndarray]], None] | None
    large: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, check: ImageCheck) -> dict[str, ImageStatistics] | str:
        """The images by their side, or what is wrong."""
        # Eight images of a hundred megapixels at once would take more memory than training.
        is_large = any(pixels_of(file) > LARGE_PIXELS for file in check.item.files)
        with self.large if is_large else nullcontext():
            return self._check(check)

    def _check(self, check: ImageCheck) -> dict[str, ImageStatistics] | str:
        split = check.split
        try:
            images, stored, valid = self._read(check)
        except ImageReadError as error:
            return f"{split.relative(error.file)}: {error.reason}"
        except DataError as error:  # of a shard
            return str(error)
        if self.transform is not None and split.name == "train":
            try:
                self.transform.check_fits(*next(iter(images.values())).shape[:2])
            except DataError as error:
                return f"{split.relative(str(check.item.files[0]))}: {error}"
        if self.on_images is not None and split.name == "train":
            self.on_images(check.index, images if valid is None else images | {"valid": valid})
        return {side: self._measure(check, side, image, stored[side], valid) for side, image in images.items()}

    def _read(self, check: ImageCheck) -> tuple[dict[str, np.ndarray], dict[str, StoredImage], np.ndarray | None]:
        """The images by their side, as training takes them and as their files have them, and their valid pixels."""
        files = [str(file) for file in check.item.files]
        if check.domain == "ab" and self.direction == "BtoA":
            files.reverse()
        stored = dict(zip(check.domain, check.item.stored(self.direction), strict=True))
        first = next(iter(stored))
        masked = left_out(check.item.mask, check.item.files[0], stored[first], self.levels[first])
        images = {}
        for side, image in stored.items():
            file = files[-1] if side == check.domain[-1] else files[0]
            values = self.levels[side].values_of(image, self.channels[side], file)
            images[side] = self.levels[side].filled(values, masked)
        return images, stored, valid_pixels(list(stored.values()), [self.levels[side] for side in stored], masked)

    def _measure(
        self, check: ImageCheck, side: str, image: np.ndarray, stored: StoredImage, valid: np.ndarray | None
    ) -> ImageStatistics:
        height, width, channels = image.shape
        colours = stored.values[:, :, : stored.num_colours or None]
        loaded = (height, width) if self.transform is None else self.transform.resized(height, width)
        here = check.split is self.measured
        levels = self.levels[side]
        counted = image if valid is None else image[valid][:, None]
        moments = _moments(counted, levels) if here and check.index in self.spaced[side] else None
        small = here and side == "b" and check.index in self.compared
        thumbnail = resize(image, SPREAD_SIZE, SPREAD_SIZE, method=levels.resampling) if small else None
        if thumbnail is not None and not levels.is_by_type:
            thumbnail = levels.to_floats(thumbnail)
        return ImageStatistics(
            width,
            height,
            loaded[0] * loaded[1] * channels * image.itemsize,
            moments,
            thumbnail,
            type=image.dtype,
            bits=stored.bits,
            white=stored.white,
            highest=_highest(colours if valid is None else colours[valid]),
            outside=levels.outside(counted) if counted.size else 0.0,
            is_grey=stored.values.shape[2] == 1,
            num_frames=stored.num_frames if stored.num_colours else 1,
            masked=0.0 if valid is None else 1 - float(valid.mean()),
            parts=tuple(part.values.shape[2] for part in stored.parts),
            thumbnail_valid=None if valid is None else resize_valid(valid, SPREAD_SIZE, SPREAD_SIZE),
        )


def checks_of(split: Split, direction: Direction) -> Iterator[ImageCheck]:
    """What is to be read of a split."""
    for domain, items in split.sequences(direction).items():
        yield from (ImageCheck(split, item, domain, index) for index, item in enumerate(items))


def _highest(values: np.ndarray) -> float:
    """The largest number; 0 where there is none."""
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    return float(finite.max()) if finite.size else 0.0


def _moments(array: np.ndarray, levels: Levels) -> np.ndarray:
    """The sums of x and x**2 over the pixels, x in [-1, 1]: ``(2, C)``, float64."""
    height, width, _ = array.shape
    if not levels.is_by_type:
        values = levels.to_floats(array).astype(np.float64)
        return np.stack([values.sum(axis=(1, 2)), np.square(values).sum(axis=(1, 2))])
    scale, channels = half_range(array.dtype), array.shape[2]
    total, squares = np.zeros((2, channels), np.int64)
    for rows in row_blocks(height, array[0].size):
        # Of whole numbers below 2**53, which double precision adds exactly, in the order that is fast.
        planes = np.ascontiguousarray(np.moveaxis(array[rows], 2, 0), np.float64).reshape(channels, -1)
        total += planes.sum(axis=1).astype(np.int64)
        squares += np.einsum("cn,cn->c", planes, planes).astype(np.int64)
    total, squares = total / scale, squares / scale**2
    return np.stack([total - height * width, squares - 2 * total + height * width])
