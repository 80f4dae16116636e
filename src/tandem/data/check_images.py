"""Reading and measuring the images of a dataset, one job of a thread at a time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tandem.data.augment import TrainTransform
from tandem.data.datasets import Direction, read_pair, read_single
from tandem.data.discover import Pair, PairedFolder
from tandem.data.images import ImageReadError, half_range, resize
from tandem.data.shards.member import ImageFile
from tandem.data.unpaired import Single, UnpairedFolder
from tandem.errors import DataError

SPREAD_SIZE = 64
Folder = PairedFolder | UnpairedFolder


@dataclass(frozen=True)
class ImageCheck:
    """What one thread reads at a time: a pair, or one image of a domain.

    Attributes:
        folder: The split.
        item: What is read.
        sides: Whose domain's: "ab" of a pair, else "a" or "b".
        index: In its domain.
    """

    folder: Folder
    item: Pair | Single
    sides: str
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
    """

    width: int
    height: int
    loaded_bytes: int
    moments: np.ndarray | None
    thumbnail: np.ndarray | None


@dataclass(frozen=True)
class Reader:
    """Reads and measures the image or the images of a job."""

    direction: Direction
    channels: dict[str, int]
    transform: TrainTransform | None
    measured: Folder
    spaced: dict[str, frozenset[int]]
    compared: frozenset[int]
    on_images: Callable[[int, dict[str, np.ndarray]], None] | None

    def __call__(self, job: ImageCheck) -> dict[str, ImageStatistics] | str:
        """The images by their side, or what is wrong."""
        try:
            images = self._read(job)
        except ImageReadError as error:
            return f"{relative_to_root(job.folder, error.file)}: {error.reason}"
        except DataError as error:  # of a shard
            return str(error)
        if self.transform is not None and job.folder.split == "train":
            try:
                self.transform.check_fits(*next(iter(images.values())).shape[:2])
            except DataError as error:
                return f"{relative_to_root(job.folder, str(files_of(job.item)[0]))}: {error}"
        if self.on_images is not None and job.folder.split == "train":
            self.on_images(job.index, images)
        return {side: self._measure(job, side, image) for side, image in images.items()}

    def _read(self, job: ImageCheck) -> dict[str, np.ndarray]:
        if isinstance(job.item, Single):
            return {job.sides: read_single(job.item, channels=self.channels[job.sides])}
        a, b = read_pair(
            job.item, direction=self.direction, channels_a=self.channels["a"], channels_b=self.channels["b"]
        )
        return {"a": a, "b": b}

    def _measure(self, job: ImageCheck, side: str, image: np.ndarray) -> ImageStatistics:
        height, width, channels = image.shape
        loaded = (height, width) if self.transform is None else self.transform.resized(height, width)
        here = job.folder is self.measured
        moments = _moments(image) if here and job.index in self.spaced[side] else None
        small = here and side == "b" and job.index in self.compared
        thumbnail = resize(image, SPREAD_SIZE, SPREAD_SIZE) if small else None
        return ImageStatistics(width, height, loaded[0] * loaded[1] * channels, moments, thumbnail)


def jobs_of(folder: Folder, direction: Direction) -> Iterator[ImageCheck]:
    """What is to be read of a split."""
    if isinstance(folder, PairedFolder):
        yield from (ImageCheck(folder, pair, "ab", index) for index, pair in enumerate(folder.pairs))
        return
    domains = {"a": folder.a, "b": folder.b} if direction == "AtoB" else {"a": folder.b, "b": folder.a}
    for side, domain in domains.items():
        yield from (ImageCheck(folder, single, side, index) for index, single in enumerate(domain))


def files_of(item: Pair | Single) -> list[ImageFile]:
    """The files of a pair or of an image."""
    if isinstance(item, Single):
        return [item.path]
    return [file for file in (item.path_a, item.path_b) if file is not None]


def relative_to_root(folder: Folder, file: str) -> str:
    """A file's path from the root of its dataset; as it is where it lies elsewhere."""
    path = Path(file)
    return str(path.relative_to(folder.root) if path.is_relative_to(folder.root) else file)


def _moments(array: np.ndarray) -> np.ndarray:
    """The sums of x and x**2 over the pixels, x in [-1, 1]: ``(2, C)``, float64."""
    height, width, _ = array.shape
    scale = half_range(array.dtype)
    total = array.sum(axis=(0, 1), dtype=np.int64) / scale
    squares = np.einsum("hwc,hwc->c", array, array, dtype=np.int64) / scale**2
    return np.stack([total - height * width, squares - 2 * total + height * width])
