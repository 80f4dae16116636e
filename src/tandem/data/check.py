"""Reading every image before training, so that no run dies of its data hours later, and measuring the data.

Everything that is wrong is collected and said at once. The result is cached: a dataset whose files have the
same names, sizes and times is not decoded again.
"""

import hashlib
import json
import logging
import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tandem.data.datasets import Direction, read_pair
from tandem.data.discover import Pair, PairedFolder
from tandem.data.images import ImageReadError, half_range, resize
from tandem.errors import DataError, listed
from tandem.files import atomic_write_text
from tandem.rng import numpy_generator

FORMAT_VERSION = 1
"""Part of the cache's key; to be raised when the check or the report changes."""

_MAX_STATISTICS_PAIRS = 500
_MAX_SPREAD_COUPLES = 200
SPREAD_SIZE = 64
_MAX_CACHE_BYTES = 65536

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ChannelStatistics:
    """Mean and standard deviation of each channel over all pixels, in the range [-1, 1] of the model."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class CheckReport:
    """What a dataset holds; `a` is the model's input and `b` its output, after the direction.

    Attributes:
        num_pairs: Over all splits, like the sizes.
        min_width: Of an image of a pair (one half of a side-by-side file), in pixels; and so on.
        max_width: See `min_width`.
        min_height: See `min_width`.
        max_height: See `min_width`.
        a: Over up to 500 evenly spaced pairs of the split 'train' (of the first split if there is none).
        b: The same for the output.
        spread_b: Mean absolute difference, in [0, 2], of the pixels of two different outputs of that split at
            64 x 64, over up to 200 random couples: the scale against which the diversity of samples is
            measured. 0 if there is only one pair.
    """

    num_pairs: int
    min_width: int
    max_width: int
    min_height: int
    max_height: int
    a: ChannelStatistics
    b: ChannelStatistics
    spread_b: float


@dataclass(frozen=True)
class _Job:
    folder: PairedFolder
    pair: Pair
    measured: bool = False
    thumbnail: bool = False


@dataclass(frozen=True)
class _Outcome:
    problem: str | None = None
    width: int = 0
    height: int = 0
    moments: tuple[np.ndarray, np.ndarray] | None = None
    thumbnail: np.ndarray | None = None


def check_pairs(
    folders: Sequence[PairedFolder],
    *,
    channels_a: int,
    channels_b: int,
    direction: Direction = "AtoB",
    cache: Path | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    num_threads: int | None = None,
) -> CheckReport:
    """Decode every file of the splits and report, or raise everything that is wrong.

    Args:
        folders: The splits to check.
        channels_a: Channels of the model's input, after `direction`.
        channels_b: Channels of the model's output, after `direction`.
        direction: Which side is the model's input.
        cache: A folder for the result, made if needed; None always decodes.
        on_progress: Called with (pairs done, all pairs) in the caller's thread.
        num_threads: Threads that decode; by default one per processor, at most 8.

    Raises:
        DataError: Files that are unreadable, truncated, too large, of odd width (side by side) or of another
            size than their partner: the first 20 by name, and how many.
    """
    if not folders or not all(folder.pairs for folder in folders):
        raise DataError("There are no pairs to check.")
    key = _cache_key(folders, direction, channels_a, channels_b)
    path = None if cache is None else cache / f"data-check-{key[:16]}.json"
    report = None if path is None else _read_cache(path, key, channels_a, channels_b)
    if report is not None:
        if on_progress is not None:
            on_progress(report.num_pairs, report.num_pairs)
        return report

    def check(job: _Job) -> _Outcome:
        return _check(job, direction, channels_a, channels_b)

    measured = next((folder for folder in folders if folder.split == "train"), folders[0])
    couples = _couples(len(measured.pairs))
    jobs = [job for folder in folders for job in _jobs(folder, couples if folder is measured else None)]
    outcomes: list[_Outcome] = []
    executor = ThreadPoolExecutor(num_threads or min(8, os.cpu_count() or 1))
    try:
        for outcome in executor.map(check, jobs):
            outcomes.append(outcome)
            if on_progress is not None:
                on_progress(len(outcomes), len(jobs))
    finally:  # an interrupt must not wait for thousands of files
        executor.shutdown(cancel_futures=True)
    first = next(index for index, job in enumerate(jobs) if job.folder is measured)
    report = _summarise(outcomes, [(first + i, first + j) for i, j in couples])
    if path is not None:
        _write_cache(path, key, report)
    return report


def _jobs(folder: PairedFolder, couples: Sequence[tuple[int, int]] | None) -> list[_Job]:
    """List the pairs of a split; with `couples`, mark those whose pixels are measured and compared."""
    if couples is None:
        return [_Job(folder, pair) for pair in folder.pairs]
    count = len(folder.pairs)
    spaced = np.linspace(0, count - 1, min(count, _MAX_STATISTICS_PAIRS)).round().astype(int)
    measured = set(spaced.tolist())
    compared = {index for couple in couples for index in couple}
    return [_Job(folder, pair, i in measured, i in compared) for i, pair in enumerate(folder.pairs)]


def _couples(count: int) -> list[tuple[int, int]]:
    """Draw distinct couples (i, j), i < j < count, the same ones every time."""
    total = count * (count - 1) // 2
    numbers = numpy_generator(0, "spread").choice(total, size=min(total, _MAX_SPREAD_COUPLES), replace=False)
    couples = []
    for number in numbers.tolist():  # (0, 1), (0, 2), (1, 2), (0, 3), … are numbered 0, 1, 2, 3, …
        j = (1 + math.isqrt(1 + 8 * number)) // 2
        couples.append((number - j * (j - 1) // 2, j))
    return couples


def _check(job: _Job, direction: Direction, channels_a: int, channels_b: int) -> _Outcome:
    try:
        a, b = read_pair(job.pair, direction=direction, channels_a=channels_a, channels_b=channels_b)
    except ImageReadError as error:
        return _Outcome(problem=f"{_relative(job.folder, Path(error.file))}: {error.reason}")
    height, width, _ = a.shape
    moments = (_moments(a), _moments(b)) if job.measured else None
    thumbnail = resize(b, SPREAD_SIZE, SPREAD_SIZE) if job.thumbnail else None
    return _Outcome(width=width, height=height, moments=moments, thumbnail=thumbnail)


def _moments(array: np.ndarray) -> np.ndarray:
    """The sums of x and x**2 over the pixels, x in [-1, 1]: ``(2, C)``, float64."""
    height, width, _ = array.shape
    scale = half_range(array.dtype)
    total = array.sum(axis=(0, 1), dtype=np.int64) / scale
    squares = np.einsum("hwc,hwc->c", array, array, dtype=np.int64) / scale**2
    return np.stack([total - height * width, squares - 2 * total + height * width])


def _summarise(outcomes: Sequence[_Outcome], couples: Sequence[tuple[int, int]]) -> CheckReport:
    problems = [outcome.problem for outcome in outcomes if outcome.problem is not None]
    if problems:
        raise DataError(
            f"{len(problems)} of {len(outcomes)} pairs cannot be used:\n{listed(problems)}\n"
            "Repair or remove these files (of two folders, both files of the pair) and start again."
        )
    widths, heights = [o.width for o in outcomes], [o.height for o in outcomes]
    num_pixels = sum(o.width * o.height for o in outcomes if o.moments is not None)
    moments_a, moments_b = zip(*(o.moments for o in outcomes if o.moments is not None), strict=True)
    return CheckReport(
        num_pairs=len(outcomes),
        min_width=min(widths),
        max_width=max(widths),
        min_height=min(heights),
        max_height=max(heights),
        a=_statistics(moments_a, num_pixels),
        b=_statistics(moments_b, num_pixels),
        spread_b=_spread([(outcomes[i].thumbnail, outcomes[j].thumbnail) for i, j in couples]),
    )


def _statistics(moments: Sequence[np.ndarray], num_pixels: int) -> ChannelStatistics:
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


def _relative(folder: PairedFolder, path: Path) -> str:
    return str(path.relative_to(folder.root) if path.is_relative_to(folder.root) else path)


def _cache_key(folders: Sequence[PairedFolder], direction: Direction, *channels: int) -> str:
    """Hash the names, sizes and times of all files, with everything else that the report depends on."""
    digest = hashlib.blake2b(json.dumps([FORMAT_VERSION, direction, *channels]).encode(), digest_size=32)
    for folder in folders:
        for pair in folder.pairs:
            paths = [path for path in (pair.path_a, pair.path_b) if path is not None]
            stamps = [[_relative(folder, path), *_stamp(path)] for path in paths]
            digest.update(json.dumps([folder.split, pair.name, stamps]).encode())
    return digest.hexdigest()


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:  # reading it will say what is wrong
        return -1, -1
    return status.st_size, status.st_mtime_ns


def _write_cache(path: Path, key: str, report: CheckReport) -> None:
    try:
        atomic_write_text(path, json.dumps({"key": key, "report": asdict(report)}, indent=1))
    except OSError as error:
        _log.warning("The data check could not be cached in %s: %s", path, error)


def _read_cache(path: Path, key: str, channels_a: int, channels_b: int) -> CheckReport | None:
    """Read a cached report; None if there is none or anything about it is not as it was written."""
    try:
        if path.stat().st_size > _MAX_CACHE_BYTES:
            return None
        stored = json.loads(path.read_text("utf-8"))
        if stored["key"] != key:
            return None
        fields = dict(stored["report"])
        a, b = (_parse_statistics(fields.pop(name), n) for name, n in (("a", channels_a), ("b", channels_b)))
        (spread_b,) = _parse_floats([fields.pop("spread_b")], 1)
        if not all(type(value) is int and value > 0 for value in fields.values()):
            raise ValueError("a count is no positive integer")
        return CheckReport(**fields, a=a, b=b, spread_b=spread_b)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        _log.warning("The cached data check %s is damaged (%s); the data is checked anew.", path, error)
        return None


def _parse_statistics(stored: dict[str, Any], channels: int) -> ChannelStatistics:
    return ChannelStatistics(
        _parse_floats(stored["mean"], channels),
        _parse_floats(stored["std"], channels),
    )


def _parse_floats(stored: list[Any], count: int) -> tuple[float, ...]:
    if len(stored) != count or not all(type(x) is float and math.isfinite(x) for x in stored):
        raise ValueError(f"expected {count} finite numbers")
    return tuple(stored)
