"""Reading every image before training, so that no run dies of its data hours later, and measuring the data.

Everything that is wrong is collected and said at once. The result is cached: a dataset whose files have the
same names, sizes and times is not decoded again.
"""

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from tandem.data.augment import TrainTransform
from tandem.data.check_report import ChannelStatistics, CheckReport, SizeRange, read_cache, write_cache
from tandem.data.datasets import Direction, read_pair, read_single
from tandem.data.discover import Pair, PairedFolder
from tandem.data.images import ImageReadError, half_range, resize
from tandem.data.shards.member import ImageFile, Member
from tandem.data.unpaired import Single, UnpairedFolder
from tandem.errors import DataError, listed
from tandem.rng import numpy_generator

FORMAT_VERSION = 2
"""Part of the cache's key; to be raised when the check or the report changes."""

_MAX_STATISTICS_IMAGES = 500
_MAX_SPREAD_COUPLES = 200
SPREAD_SIZE = 64

Folder = PairedFolder | UnpairedFolder


@dataclass(frozen=True)
class _Job:
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
class _Measured:
    """An image: its size and, where it takes part in that, sums of its pixels and a small copy."""

    width: int
    height: int
    moments: np.ndarray | None
    thumbnail: np.ndarray | None


@dataclass(frozen=True)
class _Reader:
    """Reads and measures the image or the images of a job."""

    direction: Direction
    channels: dict[str, int]
    transform: TrainTransform | None
    measured: Folder
    spaced: dict[str, frozenset[int]]
    compared: frozenset[int]

    def __call__(self, job: _Job) -> dict[str, _Measured] | str:
        """The images by their side, or what is wrong."""
        try:
            images = self._read(job)
        except ImageReadError as error:
            return f"{_relative(job.folder, error.file)}: {error.reason}"
        except DataError as error:  # of a shard
            return str(error)
        if self.transform is not None and job.folder.split == "train":
            try:
                self.transform.check_fits(*next(iter(images.values())).shape[:2])
            except DataError as error:
                return f"{_relative(job.folder, str(_files(job.item)[0]))}: {error}"
        return {side: self._measure(job, side, image) for side, image in images.items()}

    def _read(self, job: _Job) -> dict[str, np.ndarray]:
        if isinstance(job.item, Single):
            return {job.sides: read_single(job.item, channels=self.channels[job.sides])}
        a, b = read_pair(
            job.item, direction=self.direction, channels_a=self.channels["a"], channels_b=self.channels["b"]
        )
        return {"a": a, "b": b}

    def _measure(self, job: _Job, side: str, image: np.ndarray) -> _Measured:
        height, width, _ = image.shape
        here = job.folder is self.measured
        moments = _moments(image) if here and job.index in self.spaced[side] else None
        small = here and side == "b" and job.index in self.compared
        return _Measured(width, height, moments, resize(image, SPREAD_SIZE, SPREAD_SIZE) if small else None)


def check_data(
    folders: Sequence[Folder],
    *,
    channels_a: int,
    channels_b: int,
    direction: Direction = "AtoB",
    transform: TrainTransform | None = None,
    cache: Path | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    num_threads: int | None = None,
) -> CheckReport:
    """Decode every file of the splits and report, or raise everything that is wrong.

    Args:
        folders: The splits to check, all paired or all unpaired.
        channels_a: Channels of the model's input, after `direction`.
        channels_b: Channels of the model's output, after `direction`.
        direction: Which side is the model's input.
        transform: What training does to images: those of the split 'train' must be large enough for it.
        cache: A folder for the result, made if needed; None always decodes.
        on_progress: Called with (done, all) in the caller's thread; counts pairs, or images of unpaired data.
        num_threads: Threads that decode; by default one per processor, at most 8.

    Raises:
        DataError: Files that are unreadable, truncated, too large, too small, of odd width (side by side) or of
            another size than their partner: the first 20 by name, and how many.
    """
    jobs = [job for folder in folders for job in _jobs(folder, direction)]
    if not jobs:
        raise DataError("There are no images to check.")
    key = _cache_key(jobs, [direction, channels_a, channels_b, None if transform is None else asdict(transform)])
    path = None if cache is None else cache / f"data-check-{key[:16]}.json"
    report = None if path is None else read_cache(path, key, channels_a, channels_b)
    if report is not None:
        if on_progress is not None:
            on_progress(len(jobs), len(jobs))
        return report
    measured = next((folder for folder in folders if folder.split == "train"), folders[0])
    counts = {side: sum(side in job.sides for job in jobs if job.folder is measured) for side in "ab"}
    couples = _couples(counts["b"])
    reader = _Reader(
        direction,
        {"a": channels_a, "b": channels_b},
        transform,
        measured,
        {side: _spaced(count) for side, count in counts.items()},
        frozenset(index for couple in couples for index in couple),
    )
    outcomes: list[dict[str, _Measured] | str] = []
    executor = ThreadPoolExecutor(num_threads or min(8, os.cpu_count() or 1))
    try:
        for outcome in executor.map(reader, jobs):
            outcomes.append(outcome)
            if on_progress is not None:
                on_progress(len(outcomes), len(jobs))
    finally:  # an interrupt must not wait for thousands of files
        executor.shutdown(cancel_futures=True)
    report = _summarise(folders, jobs, outcomes, measured, couples)
    if path is not None:
        write_cache(path, key, report)
    return report


def _jobs(folder: Folder, direction: Direction) -> Iterator[_Job]:
    if isinstance(folder, PairedFolder):
        yield from (_Job(folder, pair, "ab", index) for index, pair in enumerate(folder.pairs))
        return
    domains = {"a": folder.a, "b": folder.b} if direction == "AtoB" else {"a": folder.b, "b": folder.a}
    for side, domain in domains.items():
        yield from (_Job(folder, single, side, index) for index, single in enumerate(domain))


def _spaced(count: int) -> frozenset[int]:
    numbers = np.linspace(0, count - 1, min(count, _MAX_STATISTICS_IMAGES)).round().astype(int)
    return frozenset(numbers.tolist())


def _couples(count: int) -> list[tuple[int, int]]:
    """Draw distinct couples (i, j), i < j < count, the same ones every time."""
    total = count * (count - 1) // 2
    numbers = numpy_generator(0, "spread").choice(total, size=min(total, _MAX_SPREAD_COUPLES), replace=False)
    couples = []
    for number in numbers.tolist():  # (0, 1), (0, 2), (1, 2), (0, 3), … are numbered 0, 1, 2, 3, …
        j = (1 + math.isqrt(1 + 8 * number)) // 2
        couples.append((number - j * (j - 1) // 2, j))
    return couples


def _moments(array: np.ndarray) -> np.ndarray:
    """The sums of x and x**2 over the pixels, x in [-1, 1]: ``(2, C)``, float64."""
    height, width, _ = array.shape
    scale = half_range(array.dtype)
    total = array.sum(axis=(0, 1), dtype=np.int64) / scale
    squares = np.einsum("hwc,hwc->c", array, array, dtype=np.int64) / scale**2
    return np.stack([total - height * width, squares - 2 * total + height * width])


def _summarise(
    folders: Sequence[Folder],
    jobs: Sequence[_Job],
    outcomes: Sequence[dict[str, _Measured] | str],
    measured: Folder,
    couples: Sequence[tuple[int, int]],
) -> CheckReport:
    problems = [outcome for outcome in outcomes if isinstance(outcome, str)]
    if problems:
        unpaired = isinstance(measured, UnpairedFolder)
        noun, both = ("images", "") if unpaired else ("pairs", " (of two folders, both files of the pair)")
        raise DataError(
            f"{len(problems)} of {len(outcomes)} {noun} cannot be used:\n{listed(problems)}\n"
            f"Repair or remove these files{both} and start again."
        )
    found = [(job, outcome) for job, outcome in zip(jobs, outcomes, strict=True) if not isinstance(outcome, str)]
    sides = {
        side: [outcome[side] for job, outcome in found if job.folder is measured and side in outcome] for side in "ab"
    }
    everything = [image for _, outcome in found for image in outcome.values()]
    return CheckReport(
        num_pairs=sum(_num_pairs(folder) for folder in folders),
        min_width=min(image.width for image in everything),
        max_width=max(image.width for image in everything),
        min_height=min(image.height for image in everything),
        max_height=max(image.height for image in everything),
        a=_statistics(sides["a"]),
        b=_statistics(sides["b"]),
        spread_b=_spread([(sides["b"][i].thumbnail, sides["b"][j].thumbnail) for i, j in couples]),
        sizes_a=_sizes(sides["a"]),
        sizes_b=_sizes(sides["b"]),
    )


def _num_pairs(folder: Folder) -> int:
    return len(folder.pairs) if isinstance(folder, PairedFolder) else max(len(folder.a), len(folder.b))


def _statistics(images: Sequence[_Measured]) -> ChannelStatistics:
    counted = [(image.width * image.height, image.moments) for image in images if image.moments is not None]
    num_pixels, moments = sum(pixels for pixels, _ in counted), [moments for _, moments in counted]
    mean, mean_square = np.sum(moments, axis=0) / num_pixels
    std = np.sqrt(np.maximum(mean_square - mean**2, 0))
    return ChannelStatistics(tuple(mean.tolist()), tuple(std.tolist()))


def _spread(couples: Sequence[tuple[np.ndarray | None, np.ndarray | None]]) -> float:
    distances = []
    for x, y in couples:
        assert x is not None
        assert y is not None
        distances.append(float(np.abs(x.astype(np.int64) - y).mean() / half_range(x.dtype)))
    return float(np.mean(distances)) if distances else 0.0


def _sizes(images: Sequence[_Measured]) -> SizeRange:
    widths, heights = [image.width for image in images], [image.height for image in images]
    aspects = [image.width / image.height for image in images]
    return SizeRange(min(widths), max(widths), min(heights), max(heights), min(aspects), max(aspects))


def _files(item: Pair | Single) -> list[ImageFile]:
    if isinstance(item, Single):
        return [item.path]
    return [file for file in (item.path_a, item.path_b) if file is not None]


def _relative(folder: Folder, file: str) -> str:
    path = Path(file)
    return str(path.relative_to(folder.root) if path.is_relative_to(folder.root) else file)


def _cache_key(jobs: Sequence[_Job], settings: list[object]) -> str:
    """Hash the names, sizes and times of all files, with everything else that the report depends on."""
    digest = hashlib.blake2b(json.dumps([FORMAT_VERSION, *settings]).encode(), digest_size=32)
    for job in jobs:
        stamps = [[_relative(job.folder, str(file)), *_stamp(file)] for file in _files(job.item)]
        digest.update(json.dumps([job.folder.split, job.sides, job.item.name, stamps]).encode())
    return digest.hexdigest()


def _stamp(file: ImageFile) -> tuple[int, ...]:
    if isinstance(file, Member):
        return file.stamp()
    try:
        status = file.stat()
    except OSError:  # reading it will say what is wrong
        return -1, -1
    return status.st_size, status.st_mtime_ns
