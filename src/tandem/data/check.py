"""Reading every image before training, so that no run dies of its data hours later, and measuring the data.

Everything that is wrong is collected and said at once. The result is cached: a dataset whose files have the
same names, sizes and times is not decoded again.
"""

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from tandem.config.data import Direction
from tandem.data.augment import TrainTransform
from tandem.data.check_images import ImageCheck, ImageChecker, ImageStatistics, checks_of
from tandem.data.check_report import (
    ChannelStatistics,
    CheckReport,
    SizeRange,
    ValueFacts,
    read_cache,
    write_cache,
)
from tandem.data.in_parallel import in_parallel
from tandem.data.levels import BY_TYPE, Levels
from tandem.data.pixels import eight_bits, half_range
from tandem.data.splits import Split
from tandem.errors import DataError, listed
from tandem.rng import numpy_generator

FORMAT_VERSION = 6
"""Part of the cache's key; to be raised when the check or the report changes."""

_MAX_STATISTICS_IMAGES = 500
_MAX_SPREAD_COUPLES = 200


def check_data(
    splits: Sequence[Split],
    *,
    channels_a: int,
    channels_b: int,
    levels: tuple[Levels, Levels] = (BY_TYPE, BY_TYPE),
    direction: Direction = "AtoB",
    transform: TrainTransform | None = None,
    cache: Path | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    on_images: Callable[[int, dict[str, np.ndarray]], None] | None = None,
    num_threads: int | None = None,
) -> CheckReport:
    """Decode every file of the splits and report, or raise everything that is wrong.

    Args:
        splits: What is checked, all paired or all unpaired.
        channels_a: Channels of the model's input, after `direction`.
        channels_b: Channels of the model's output, after `direction`.
        levels: Which values are -1 and 1 in the model's input and in its output.
        direction: Which side is the model's input.
        transform: What training does to images: those of the split 'train' must be large enough for it.
        cache: A folder for the result, made if needed; None always decodes.
        on_progress: Called with (done, all) in the caller's thread; counts pairs, or images of unpaired data.
        on_images: Called in the threads that decode, with the index and the images ``(H, W, C)`` by side ("a", "b" or
            both) of what is read of the split 'train'; not called where the result is in the cache.
        num_threads: Threads that decode; by default one per core, at most 8.

    Raises:
        DataError: Files that are unreadable, truncated, too large, too small, of odd width (side by side) or of
            another size than their partner: the first 20 by name, and how many.
    """
    checks = [check for split in splits for check in checks_of(split, direction)]
    if not checks:
        raise DataError("There are no images to check.")
    settings = [*map(asdict, levels), None if transform is None else asdict(transform)]
    key = _cache_key(checks, [direction, channels_a, channels_b, *settings])
    path = None if cache is None else cache / f"data-check-{key[:16]}.json"
    report = None if path is None else read_cache(path, key, channels_a, channels_b)
    if report is not None:
        if on_progress is not None:
            on_progress(len(checks), len(checks))
        return report
    _require_whole(checks)
    measured = next((split for split in splits if split.name == "train"), splits[0])
    counts = {side: sum(side in check.domain for check in checks if check.split is measured) for side in "ab"}
    couples = _couples(counts["b"])
    reader = ImageChecker(
        direction,
        {"a": channels_a, "b": channels_b},
        {"a": levels[0], "b": levels[1]},
        transform,
        measured,
        {side: _spaced(count) for side, count in counts.items()},
        frozenset(index for couple in couples for index in couple),
        on_images,
    )
    outcomes: list[dict[str, ImageStatistics] | str] = []
    for outcome in in_parallel(reader, checks, num_threads=num_threads):
        outcomes.append(outcome)
        if on_progress is not None:
            on_progress(len(outcomes), len(checks))
    report = _summarise(splits, checks, outcomes, measured, couples)
    if path is not None:
        write_cache(path, key, report)
    return report


def _require_whole(checks: Sequence[ImageCheck]) -> None:
    """Hold what the images lie in against known hashes: not every damage keeps an image from being decoded."""
    containers = dict.fromkeys(file.container for check in checks for file in check.item.all_files if file.container)
    problems = [problem for container in containers if container and (problem := container.problem())]
    if problems:
        raise DataError(f"{len(problems)} of {len(containers)} shards cannot be used:\n{listed(problems)}")


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


def _summarise(
    splits: Sequence[Split],
    checks: Sequence[ImageCheck],
    outcomes: Sequence[dict[str, ImageStatistics] | str],
    measured: Split,
    couples: Sequence[tuple[int, int]],
) -> CheckReport:
    problems = [outcome for outcome in outcomes if isinstance(outcome, str)]
    if problems:
        noun, both = ("pairs", " (of two folders, both files of the pair)") if measured.paired else ("images", "")
        raise DataError(
            f"{len(problems)} of {len(outcomes)} {noun} cannot be used:\n{listed(problems)}\n"
            f"Repair or remove these files{both} and start again."
        )
    found = [(check, outcome) for check, outcome in zip(checks, outcomes, strict=True) if not isinstance(outcome, str)]
    sides = {
        side: [outcome[side] for check, outcome in found if check.split is measured and side in outcome]
        for side in "ab"
    }
    for side in "ab":
        _require_alike(found, side)
    everything = [image for _, outcome in found for image in outcome.values()]
    return CheckReport(
        num_pairs=sum(len(split) for split in splits),
        min_width=min(image.width for image in everything),
        max_width=max(image.width for image in everything),
        min_height=min(image.height for image in everything),
        max_height=max(image.height for image in everything),
        a=_statistics(sides["a"]),
        b=_statistics(sides["b"]),
        spread_b=_spread([(sides["b"][i], sides["b"][j]) for i, j in couples]),
        sizes_a=_sizes(sides["a"]),
        sizes_b=_sizes(sides["b"]),
        loaded_bytes=sum(image.loaded_bytes for images in sides.values() for image in images),
        values_a=_values([outcome["a"] for _, outcome in found if "a" in outcome]),
        values_b=_values([outcome["b"] for _, outcome in found if "b" in outcome]),
    )


def _require_alike(found: Sequence[tuple[ImageCheck, dict[str, ImageStatistics]]], side: str) -> None:
    """Refuse stacks whose files have other numbers of channels than those of the first: a channel would change."""
    own = [(check, outcome[side].parts) for check, outcome in found if side in outcome]
    wrong = [(check, parts) for check, parts in own if parts != own[0][1]]
    if wrong:
        lines = [f"{check.split.name}/{check.item.name}: {' + '.join(map(str, parts))}" for check, parts in wrong]
        raise DataError(
            f"{len(wrong)} of {len(own)} stacks have other channels than the first, "
            f"{' + '.join(map(str, own[0][1])) or 'one file'}:\n{listed(lines)}\n"
            "Save the files of each folder with the same channels."
        )


def _values(images: Sequence[ImageStatistics]) -> ValueFacts:
    if not images:
        return ValueFacts()
    bits = max(image.bits for image in images)
    return ValueFacts(
        type=str(np.result_type(*{image.type for image in images})),
        bits=bits,
        white=max((image.white for image in images if image.bits == bits and image.white is not None), default=None),
        highest=max(image.highest for image in images if image.bits == bits),
        all_grey=all(image.is_grey for image in images),
        num_with_frames=sum(image.num_frames > 1 for image in images),
        most_frames=max(image.num_frames for image in images),
        outside=float(np.mean([image.outside for image in images])),
        masked=float(np.mean([image.masked for image in images])),
    )


def _statistics(images: Sequence[ImageStatistics]) -> ChannelStatistics:
    counted = [
        (round(image.width * image.height * (1 - image.masked)), image.moments)
        for image in images
        if image.moments is not None
    ]
    num_pixels, moments = sum(pixels for pixels, _ in counted), [moments for _, moments in counted]
    if not num_pixels:
        raise DataError("every pixel of the images that were looked at is masked: there is nothing to train on.")
    mean, mean_square = np.sum(moments, axis=0) / num_pixels
    std = np.sqrt(np.maximum(mean_square - mean**2, 0))
    return ChannelStatistics(tuple(mean.tolist()), tuple(std.tolist()))


def _spread(couples: Sequence[tuple[ImageStatistics, ImageStatistics]]) -> float:
    distances = []
    for first, second in couples:
        one, other = first.thumbnail, second.thumbnail
        assert one is not None
        assert other is not None
        if first.thumbnail_valid is not None and second.thumbnail_valid is not None:
            both = first.thumbnail_valid & second.thumbnail_valid
            if not both.any():
                continue
            one, other = (x[:, both] if x.dtype.kind == "f" else x[both] for x in (one, other))
        if one.dtype.kind == "f":
            distances.append(float(np.abs(one - other).mean()))
            continue
        alike = one.dtype == other.dtype  # else they are files of 8 and of 16 bits
        x, y = (one, other) if alike else (eight_bits(one), eight_bits(other))
        distances.append(float(np.abs(x.astype(np.int64) - y).mean() / half_range(x.dtype)))
    return float(np.mean(distances)) if distances else 0.0


def _sizes(images: Sequence[ImageStatistics]) -> SizeRange:
    widths, heights = [image.width for image in images], [image.height for image in images]
    aspects = [image.width / image.height for image in images]
    return SizeRange(min(widths), max(widths), min(heights), max(heights), min(aspects), max(aspects))


def _cache_key(checks: Sequence[ImageCheck], settings: list[object]) -> str:
    """Hash the names, sizes and times of all files, with everything else that the report depends on."""
    digest = hashlib.blake2b(json.dumps([FORMAT_VERSION, *settings]).encode(), digest_size=32)
    for check in checks:
        stamps = [[check.split.relative(str(file)), *file.stamp()] for file in check.item.all_files]
        digest.update(json.dumps([check.split.name, check.domain, check.item.name, stamps]).encode())
    return digest.hexdigest()
