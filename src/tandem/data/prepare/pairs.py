"""Pairs in two folders as files side by side, and back, without loss of a pixel."""

from collections.abc import Mapping, Sequence

import numpy as np

from tandem.data.array_files import encoded
from tandem.data.formats.stored import StoredImage
from tandem.data.images import by_type
from tandem.data.prepare.work import Progress, Task, digests_of
from tandem.data.splits import Pair, PairedSplit
from tandem.errors import DataError

_EXACT = frozenset({".tif", ".tiff", ".npy", ".npz"})
"""Endings of files that may hold what a PNG does not."""


def plan_combined(
    splits: Mapping[str, PairedSplit], on_progress: Progress | None = None
) -> dict[str, tuple[Task, Pair]]:
    """The file side by side that each pair of two files becomes, by its key."""
    return _plan(splits, on_progress, ("",))


def plan_separated(
    splits: Mapping[str, PairedSplit], on_progress: Progress | None = None
) -> dict[str, tuple[Task, Pair]]:
    """The two files that each file side by side becomes, by its key."""
    return _plan(splits, on_progress, ("A", "B"))


def combine(pair: Pair, ending: str) -> list[bytes]:
    """The file side by side of a pair: A left, B right.

    Images of different kinds get the kind that holds both: grey beside colour is written as colour, 8 bits beside 16
    as 16, with every value where it was between black and white.

    Raises:
        DataError: A file cannot be read, or the two have no kind in common.
    """
    a, b = pair.stored("AtoB")
    left, right = _alike(a, b, pair)
    return [_encoded(np.concatenate([left, right], axis=1), ending, pair)]


def separate(pair: Pair, ending: str) -> list[bytes]:
    """The files of A and of B of a file side by side.

    Raises:
        DataError: It cannot be read, or its width is odd.
    """
    return [_encoded(_plain(one, pair), ending, pair) for one in pair.stored("AtoB")]


def _plan(
    splits: Mapping[str, PairedSplit], on_progress: Progress | None, sides: Sequence[str]
) -> dict[str, tuple[Task, Pair]]:
    pairs = [(split, pair) for split, found in splits.items() for pair in found.pairs]
    digests = digests_of([pair.files for _, pair in pairs], on_progress)
    planned = {}
    for (split, pair), digest in zip(pairs, digests, strict=True):
        exact = any(file.suffix.lower() in _EXACT for file in pair.files)
        targets = tuple(f"{split}{side}/{pair.name}{'.tif' if exact else '.png'}" for side in sides)
        key = f"{split}/{pair.name}"
        planned[key] = Task(key, pair.files, digest, targets), pair
    return planned


def _alike(a: StoredImage, b: StoredImage, pair: Pair) -> tuple[np.ndarray, np.ndarray]:
    """The values of both in one type and with the same channels."""
    if (a.values.dtype, a.values.shape[2], a.white) == (b.values.dtype, b.values.shape[2], b.white):
        return _plain(a, pair), _plain(b, pair)
    if not (a.num_colours and b.num_colours):
        raise DataError(f"{pair.files[0]}: {a.kind} and {pair.files[-1]}: {b.kind} have no kind in common")
    colours = max(a.num_colours, b.num_colours)
    channels = colours + (a.has_alpha or b.has_alpha)
    left, right = (by_type(one, channels, str(file)) for one, file in zip((a, b), pair.files, strict=True))
    if left.dtype != right.dtype:
        left, right = (one.astype(np.uint16) * 257 if one.dtype == np.uint8 else one for one in (left, right))
    return left, right


def _plain(stored: StoredImage, pair: Pair) -> np.ndarray:
    """The values as a file of whole bytes holds them: 10 to 14 bits are spread over 16."""
    values = stored.values
    if stored.white is None or stored.white == np.iinfo(values.dtype).max:
        return values
    return by_type(stored, values.shape[2], str(pair.file_a))


def _encoded(values: np.ndarray, ending: str, pair: Pair) -> bytes:
    try:
        return encoded(np.ascontiguousarray(values), ending)
    except DataError as error:
        raise DataError(f"{pair.file_a}: {error}") from error
