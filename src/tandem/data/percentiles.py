"""Value ranges as percentiles of the training images, for each channel by itself, found exactly in bounded memory.

Values are ordered as float32, which says all integers of 16 bits exactly. Its 32 bits, made to count upwards, are
counted in two passes over the images: the upper 16 bits of all values, then the lower ones of those among which the
wanted value is. Values that are not finite, pixels that hold nothing (GDAL's nodata) and masked ones are left out.
"""

import hashlib
import json
import logging
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tandem.config.data import DataConfig
from tandem.data.formats.carried import empty_pixels
from tandem.data.formats.stored import StoredImage
from tandem.data.in_parallel import in_parallel
from tandem.data.levels import Levels
from tandem.data.masks import left_out
from tandem.data.splits import Item, Side, Split
from tandem.errors import ConfigError
from tandem.files import atomic_write_text
from tandem.foreign import load_json

_log = logging.getLogger(__name__)

_BINS = 2**16
_SIGN = np.uint32(2**31)
_VERSION = 1
_MAX_CACHE_BYTES = 2**20
_WHOLE = Levels("float64", (0.0,), (1.0,))
_PERCENT = re.compile(r"\s*([0-9.]+)\s*%\s*,\s*([0-9.]+)\s*%\s*")

Range = tuple[tuple[float, float], ...]
"""Low and high of each channel."""


@dataclass(frozen=True)
class Wanted:
    """What is asked for of a domain.

    Attributes:
        flag: The option.
        shares: The lower and the upper percentile, as shares.
        channels: Of its images.
        levels: Which pixels are masked.
    """

    flag: str
    shares: tuple[float, float]
    channels: int
    levels: Levels = _WHOLE

    def told(self) -> list[Any]:
        """What the numbers depend on, as JSON."""
        masked = [] if self.levels.fill is None else [True, self.levels.nodata]
        return [self.shares, self.channels, *masked]


def wanted_percentiles(data: DataConfig) -> dict[Side, Wanted]:
    """The domains whose range the options say as percentiles.

    Raises:
        ConfigError: An option says percentiles that are none.
    """
    channels = (data.input_channels, data.output_channels)[:: 1 if data.direction == "AtoB" else -1]
    found: dict[Side, Wanted] = {}
    sides: tuple[tuple[Side, str | None, int], ...] = (
        ("a", data.range_a, channels[0]),
        ("b", data.range_b, channels[1]),
    )
    for side, text, number in sides:
        if text is not None and "%" in text:
            flag = f"--range-{side}"
            found[side] = Wanted(flag, _shares(text, flag), number, replace(_WHOLE, fill=data.fill, nodata=data.nodata))
    return found


def with_numbers(data: DataConfig, found: Mapping[Side, Range]) -> DataConfig:
    """The options with numbers in the place of percentiles."""
    texts = {f"range_{side}": ";".join(f"{low!r},{high!r}" for low, high in ends) for side, ends in found.items()}
    return replace(data, **texts)


def find_percentiles(
    split: Split,
    wanted: Mapping[Side, Wanted],
    *,
    cache: Path | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[Side, Range]:
    """The percentiles of the values of a split.

    Args:
        split: The training images.
        wanted: What is asked for of each domain.
        cache: A folder that remembers the numbers, so that a run that goes on has the same ones.
        on_progress: Called with the images done and those in all, both passes together.

    Raises:
        DataError: An image cannot be read.
        ConfigError: A channel has one value nearly everywhere.
    """
    told = [_VERSION, split.fingerprint(), {side: one.told() for side, one in wanted.items()}]
    key = hashlib.sha256(json.dumps(told).encode()).hexdigest()
    path = None if cache is None else cache / f"percentiles-{key[:16]}.json"
    known = None if path is None else _remembered(path, key, wanted)
    if known is not None:
        return known
    items = [(domain, item) for domain, items in split.sequences().items() for item in items]
    items = [(domain, item) for domain, item in items if any(side in domain for side in wanted)]
    total, done = 2 * len(items), 0

    def counts(count: Callable[[Side, Sequence[np.ndarray]], np.ndarray]) -> dict[Side, np.ndarray]:
        nonlocal done
        sums: dict[Side, np.ndarray] = {}
        for parts in in_parallel(lambda one: {s: count(s, keys) for s, keys in _keys(*one, wanted).items()}, items):
            for side, part in parts.items():
                sums[side] = sums[side] + part if side in sums else part
            done += 1
            if on_progress is not None:
                on_progress(done, total)
        return sums

    upper = counts(lambda _, keys: np.stack([np.bincount(one >> 16, minlength=_BINS) for one in keys]))
    places = {side: [_places(channel, wanted[side].shares) for channel in sums] for side, sums in upper.items()}
    lower = counts(lambda side, keys: np.stack([_lower(one, at) for one, at in zip(keys, places[side], strict=True)]))
    found: dict[Side, Range] = {
        side: tuple(
            _ends(at, sums, wanted[side], channel)
            for channel, (at, sums) in enumerate(zip(places[side], lower[side], strict=True))
        )
        for side in wanted
    }
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write_text(path, json.dumps({"key": key, "ranges": found}))
    return found


def _shares(text: str, flag: str) -> tuple[float, float]:
    found = _PERCENT.fullmatch(text)
    try:
        low, high = (float(part) / 100 for part in found.groups()) if found else (1.0, 0.0)
    except ValueError:
        low, high = 1.0, 0.0
    if not 0 <= low < high <= 1:
        raise ConfigError(
            f"{flag} with percentiles is two of them from 0 to 100 %, the lower one first, e.g. 0.1%,99.9%, not "
            f"'{text}'.",
            option=flag,
        )
    return low, high


def _keys(domain: str, item: Item, wanted: Mapping[Side, Wanted]) -> dict[Side, list[np.ndarray]]:
    """Of each wanted side the values of an item, channel by channel, as numbers of 32 bits in their order."""
    images: dict[str, StoredImage] = dict(zip(domain, item.stored("AtoB"), strict=True))
    found: dict[Side, list[np.ndarray]] = {}
    for side, one in wanted.items():
        if side not in images:
            continue
        stored = images[side]
        values = _WHOLE.values_of(stored, one.channels, str(item.files[-1 if side == "b" else 0]))
        empty = _left_out(item, stored, one.levels)
        pixels = values.reshape(-1, one.channels) if empty is None else values[~empty]
        with np.errstate(over="ignore"):
            floats = pixels.astype(np.float32)
        found[side] = [_ordered(floats[:, channel]) for channel in range(one.channels)]
    return found


def _left_out(item: Item, stored: StoredImage, levels: Levels) -> np.ndarray | None:
    """The pixels that hold nothing or are masked, ``(H, W)``; None where there are none."""
    found = [left_out(item.mask, item.files[0], stored, levels)]
    if levels.fill is None:
        found += [empty_pixels(one.values, one.nodata) for one in stored.parts or (stored,)]
    else:
        found.append(levels.empty(stored))
    parts = [one for one in found if one is not None]
    return np.logical_or.reduce(parts) if parts else None


def _ordered(values: np.ndarray) -> np.ndarray:
    values = np.ascontiguousarray(values[np.isfinite(values)]) + np.float32(0)  # one zero, not two
    bits = values.view(np.uint32)
    return np.where(bits & _SIGN, ~bits, bits | _SIGN)


def _value(key: int) -> float:
    bits = np.uint32(key)
    bits = bits & ~_SIGN if bits & _SIGN else ~bits
    return float(bits.view(np.float32))


@dataclass(frozen=True)
class _Place:
    """Where a wanted value is: the upper half of its bits, and its rank among the values that share them."""

    upper: int
    rank: int


def _places(counts: np.ndarray, shares: tuple[float, float]) -> tuple[_Place, _Place] | None:
    """Those of both percentiles; None of a channel without any value."""
    total = int(counts.sum())
    if not total:
        return None
    sums = np.cumsum(counts)
    places = []
    for share in shares:
        rank = min(max(math.ceil(share * total), 1), total)
        upper = int(np.searchsorted(sums, rank))
        places.append(_Place(upper, rank - int(sums[upper] - counts[upper])))
    return places[0], places[1]


def _lower(keys: np.ndarray, places: tuple[_Place, _Place] | None) -> np.ndarray:
    counts = np.zeros((2, _BINS), np.int64)
    for row, place in zip(counts, places or (), strict=False):
        row[:] = np.bincount(keys[keys >> 16 == place.upper] & 0xFFFF, minlength=_BINS)
    return counts


def _ends(
    places: tuple[_Place, _Place] | None, counts: np.ndarray, wanted: Wanted, channel: int
) -> tuple[float, float]:
    shown = ", ".join(f"{100 * share:g} %" for share in wanted.shares)
    if places is None:
        raise ConfigError(f"{wanted.flag} {shown}: channel {channel + 1} has no values.", option=wanted.flag)
    low, high = (
        _value(place.upper << 16 | int(np.searchsorted(np.cumsum(row), place.rank)))
        for place, row in zip(places, counts, strict=True)
    )
    if low >= high:
        raise ConfigError(
            f"{wanted.flag} {shown}: both are {low:g} in channel {channel + 1}, which has one value nearly everywhere: "
            f"give wider percentiles, or two numbers.",
            option=wanted.flag,
        )
    return low, high


def _remembered(path: Path, key: str, wanted: Mapping[Side, Wanted]) -> dict[Side, Range] | None:
    """Ranges that were found before; None if there are none or anything about them is not as it was written."""
    try:
        kept = load_json(path, _MAX_CACHE_BYTES)
        if kept["key"] != key:
            return None
        found: dict[Side, Range] = {
            side: tuple((float(low), float(high)) for low, high in kept["ranges"][side]) for side in wanted
        }
        if any(len(found[side]) != one.channels for side, one in wanted.items()):
            raise ValueError("there is not one range for each channel")
        if not all(-math.inf < low < high < math.inf for one in found.values() for low, high in one):
            raise ValueError("a range has no width")
        return found
    except FileNotFoundError:
        return None
    except MemoryError:
        raise
    except Exception as error:
        _log.warning("The remembered value ranges %s are damaged (%s); they are found anew.", path, error)
        return None
