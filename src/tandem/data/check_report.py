"""What the check of a dataset found, and its cache on the disk."""

import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path

from tandem.config.parse import parse_dataclass
from tandem.files import atomic_write_text
from tandem.foreign import load_json

_MAX_CACHE_BYTES = 65536

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ChannelStatistics:
    """Mean and standard deviation of each channel over all pixels, in the range [-1, 1] of the model."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class SizeRange:
    """The sizes of the training images of one side, in pixels; an aspect is width / height."""

    min_width: int
    max_width: int
    min_height: int
    max_height: int
    min_aspect: float
    max_aspect: float


@dataclass(frozen=True)
class ValueFacts:
    """What the files of one side hold, as they are.

    Attributes:
        type: The type that holds the values of all of them.
        bits: Most bits of a sample.
        white: The largest value that files of that many bits call white; None of signed and floating-point samples.
        highest: The largest value of a colour among the files of that many bits.
        all_grey: Whether all have one channel.
        num_with_frames: Files with pages or frames beyond the first, which are not read.
        most_frames: Pages or frames of the file that has most.
        outside: The share of values beyond the value range, which are cut off.
        masked: The share of pixels that are masked; of a pair those of either image, which count in neither.
    """

    type: str = "uint8"
    bits: int = 8
    white: int | None = 255
    highest: float = 255
    all_grey: bool = False
    num_with_frames: int = 0
    most_frames: int = 1
    outside: float = 0.0
    masked: float = 0.0


@dataclass(frozen=True)
class CheckReport:
    """What a dataset holds; `a` is the model's input and `b` its output, after the direction.

    "ImageStatistics" is the split 'train', or the first split if there is none.

    Attributes:
        num_pairs: Over all splits, like the sizes. Of unpaired data the larger domain of each split counts.
        min_width: Of an image (one half of a side-by-side file), in pixels; and so on.
        max_width: See `min_width`.
        min_height: See `min_width`.
        max_height: See `min_width`.
        a: Over up to 500 evenly spaced images of the measured split.
        b: The same for the output.
        spread_b: Mean absolute difference, in [0, 2], of the pixels of two different outputs of the measured split
            at 64 x 64, over up to 200 random couples: the scale against which the diversity of samples is
            measured. 0 if there is only one output.
        sizes_a: Of all images of the measured split.
        sizes_b: The same for the output.
        loaded_bytes: Bytes of the pixels of all images of the measured split as training loads them, before the crop.
        values_a: What the files of all splits hold.
        values_b: The same for the output.
    """

    num_pairs: int
    min_width: int
    max_width: int
    min_height: int
    max_height: int
    a: ChannelStatistics
    b: ChannelStatistics
    spread_b: float
    sizes_a: SizeRange
    sizes_b: SizeRange
    loaded_bytes: int
    values_a: ValueFacts = ValueFacts()
    values_b: ValueFacts = ValueFacts()


def write_cache(path: Path, key: str, report: CheckReport) -> None:
    """Store a report; a warning says when that does not work."""
    try:
        atomic_write_text(path, json.dumps({"key": key, "report": asdict(report)}, indent=1))
    except OSError as error:
        _log.warning("The data check could not be cached in %s: %s", path, error)


def read_cache(path: Path, key: str, channels_a: int, channels_b: int) -> CheckReport | None:
    """Read a stored report; None if there is none or anything about it is not as it was written."""
    try:
        if path.stat().st_size > _MAX_CACHE_BYTES:
            return None
        stored = load_json(path, _MAX_CACHE_BYTES)
        if stored["key"] != key:
            return None
        report = parse_dataclass(CheckReport, stored["report"], "report")
        counts = (report.num_pairs, report.min_width, report.max_width, report.min_height, report.max_height)
        if min(counts) < 1:
            raise ValueError("a count is not positive")
        for side, channels in ((report.a, channels_a), (report.b, channels_b)):
            if (len(side.mean), len(side.std)) != (channels, channels):
                raise ValueError(f"expected statistics of {channels} channels")
        return report
    except FileNotFoundError:
        return None
    except MemoryError:
        raise
    except Exception as error:
        _log.warning("The cached data check %s is damaged (%s); the data is checked anew.", path, error)
        return None
