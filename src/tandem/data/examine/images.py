"""What is measured of each image of a dataset, and of the two of a pair together; each file is read once."""

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np

from tandem.data.check_images import LARGE_PIXELS
from tandem.data.examine.alignment import Alignment, align, outline
from tandem.data.formats.carried import empty_pixels
from tandem.data.formats.stored import StoredImage
from tandem.data.images import as_picture, pixels_of
from tandem.data.in_parallel import in_parallel
from tandem.data.levels import BY_TYPE, Levels
from tandem.data.masks import read_mask
from tandem.data.pixels import convert_channels, resize
from tandem.data.splits import Item, Side, Split
from tandem.errors import DataError

SMALL_SIDE = 16
_HASH_SIDE = 8


@dataclass(frozen=True)
class ImageFacts:
    """An image.

    Attributes:
        split: Its split.
        side: "a" or "b", of the files.
        name: Of its item.
        width: In pixels.
        height: Likewise.
        channels: Of the file.
        kind: What the file is: e.g. ``8-bit PNG``.
        low: Its least value, of pixels that hold something.
        high: Its largest one, likewise.
        digest: Of its pixels.
        small: A small copy, ``(SMALL_SIDE, SMALL_SIDE, 3)``, uint8.
        sketch: 64 bits that say where it gets brighter from left to right, nearly the same of nearly the same images.
        looks: Numbers that tell kinds of pictures apart: means and spreads of brightness, colour and detail.
        empty: The share of pixels that hold nothing: GeoTIFF's nodata and NaN.
    """

    split: str
    side: Side
    name: str
    width: int
    height: int
    channels: int
    kind: str
    low: float
    high: float
    digest: str
    small: np.ndarray
    sketch: int
    looks: np.ndarray
    empty: float = 0.0

    @property
    def is_constant(self) -> bool:
        """Whether all of its values are the same."""
        return self.low == self.high

    @property
    def place(self) -> str:
        """Its split, name and side."""
        return f"{self.split}/{self.name} ({self.side.upper()})"


@dataclass(frozen=True)
class ItemFacts:
    """A pair or a single image.

    Attributes:
        split: Its split.
        name: Its name.
        images: Its images.
        alignment: How the images of a pair lie on each other; None where they cannot be compared.
        problem: Why it cannot be read.
        masked: The share of pixels that its mask leaves out; None where it has none.
    """

    split: str
    name: str
    images: tuple[ImageFacts, ...] = ()
    alignment: Alignment | None = None
    problem: str | None = None
    masked: float | None = None

    @property
    def place(self) -> str:
        """Its split and name."""
        return f"{self.split}/{self.name}"


def examine(
    splits: Sequence[Split],
    on_progress: Callable[[int, int], None] | None = None,
    *,
    levels: tuple[Levels, Levels] = (BY_TYPE, BY_TYPE),
) -> list[ItemFacts]:
    """Read and measure every item of some splits, in their order; those that cannot be read say why.

    Args:
        splits: They.
        on_progress: Called with (done, all).
        levels: Of the files' A and B: of label maps, what is no class cannot be read.
    """
    work = list(_items(splits))
    found: list[ItemFacts] = []
    large = threading.Lock()  # a few images of a hundred megapixels at once would take more memory than training

    def start(one: tuple[Split, tuple[Side, ...], Item]) -> ItemFacts:
        is_large = any(pixels_of(file) > LARGE_PIXELS for file in one[2].files)
        with large if is_large else nullcontext():
            return _examine(*one, levels)

    for facts in in_parallel(start, work):
        found.append(facts)
        if on_progress is not None:
            on_progress(len(found), len(work))
    return found


def _items(splits: Sequence[Split]) -> Iterator[tuple[Split, tuple[Side, ...], Item]]:
    for split in splits:
        for domain, items in split.sequences().items():
            sides: tuple[Side, ...] = ("a", "b") if domain == "ab" else (domain,)
            yield from ((split, sides, item) for item in items)


def _examine(split: Split, sides: tuple[Side, ...], item: Item, levels: tuple[Levels, Levels]) -> ItemFacts:
    try:
        stored = [item.image(side).stored("AtoB")[0] for side in sides]
        pictures = [
            _picture(one, str(item.files[-1 if side == "b" else 0]), levels[side == "b"])
            for one, side in zip(stored, sides, strict=True)
        ]
        masked = None
        if item.mask is not None:
            height, width = stored[0].values.shape[:2]
            masked = 1 - float(read_mask(item.mask, (height, width), str(item.files[0])).mean())
    except DataError as error:
        return ItemFacts(split.name, item.name, problem=split.relative(str(error)))
    images = tuple(
        _facts(split.name, side, item.name, one, picture)
        for side, one, picture in zip(sides, stored, pictures, strict=True)
    )
    alignment = None
    if len(images) == 2 and pictures[0].shape[:2] == pictures[1].shape[:2]:
        alignment = align(outline(pictures[0]), outline(pictures[1]), *pictures[0].shape[:2])
    return ItemFacts(split.name, item.name, images, alignment, masked=masked)


def _picture(stored: StoredImage, name: str, levels: Levels) -> np.ndarray:
    """Something to look at: RGB where channels are colours, else the first bands from their least to largest value."""
    if levels.classes is not None:
        return levels.picture(levels.values_of(stored, 1, name))
    if stored.num_colours and stored.white is not None and stored.bits <= 16:
        return as_picture(stored, 3, name)
    values = stored.values[:, :, :3].astype(np.float64)
    values = np.where(np.isfinite(values), values, 0)
    low, high = values.min(), values.max()
    picture = np.rint(255 * (values - low) / (high - low or 1)).astype(np.uint8)
    return picture if picture.shape[2] == 3 else convert_channels(picture[:, :, :1], 3)


def _facts(split: str, side: Side, name: str, stored: StoredImage, picture: np.ndarray) -> ImageFacts:
    values = np.ascontiguousarray(stored.values)
    height, width, channels = values.shape
    luma = convert_channels(picture, 1)
    across = resize(luma, _HASH_SIDE, _HASH_SIDE + 1).astype(np.int64)[:, :, 0]
    bits = (across[:, 1:] > across[:, :-1]).ravel()
    digest = hashlib.sha256(f"{values.dtype.str}{values.shape}".encode())
    digest.update(values.data)
    empty = empty_pixels(values, stored.nodata, nan=True)
    held = values if empty is None else values[~empty]
    low, high = (float(held.min()), float(held.max())) if held.size else (0.0, 0.0)
    return ImageFacts(
        *(split, side, name, width, height, channels, stored.kind),
        *(low, high, digest.hexdigest()),
        small=resize(picture, SMALL_SIDE, SMALL_SIDE),
        sketch=int("".join("1" if bit else "0" for bit in bits), 2),
        looks=_looks(picture, luma[:, :, 0].astype(np.float64)),
        empty=0.0 if empty is None else float(empty.mean()),
    )


def _looks(picture: np.ndarray, luma: np.ndarray) -> np.ndarray:
    """Brightness, contrast, colourfulness, detail, and the shares of black, of white and of the commonest grey."""
    colour = picture.max(2).astype(np.float64) - picture.min(2)
    detail = np.abs(np.diff(luma, axis=1)).mean() if luma.shape[1] > 1 else 0.0
    commonest = np.bincount(luma.astype(np.int64).ravel(), minlength=256).max() / luma.size
    share = [(luma < 8).mean(), (luma > 247).mean(), commonest]
    return np.array([luma.mean() / 255, luma.std() / 255, colour.mean() / 255, colour.std() / 255, detail / 64, *share])
