"""A share of training held out as the split val, by what the images show, without another copy of the data.

Which items these are follows from the content of their files alone, by the rule of ``tandem data split``: pictures that
are nearly the same stay on one side, and other images that are added or removed move none of them.
"""

import hashlib
import json
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from tandem.data.by_content import SplitShares
from tandem.data.listing import count
from tandem.data.prepare.splitting import deciding_hashes
from tandem.data.prepare.work import Progress
from tandem.data.splits import Domain, PairedSplit, Split, UnpairedSplit
from tandem.errors import ConfigError, DataError
from tandem.files import atomic_write_text
from tandem.foreign import load_json

FORMAT_VERSION = 1
"""To be raised when other items would be held out."""
_MAX_CACHE_BYTES = 1 << 32
_DIGEST = re.compile(r"[0-9a-f]{64}")

log = logging.getLogger(__name__)

Kind = TypeVar("Kind")
Showing = Callable[[], AbstractContextManager[tuple[Progress, Progress]]]


def hold_out(
    splits: Mapping[str, Split],
    val_split: float,
    *,
    cache: Path | None = None,
    progress: Showing | None = None,
) -> dict[str, Split]:
    """The splits with a part of train as val.

    Args:
        splits: Of one kind, paired or not, without val.
        val_split: A share of train below 1, or how many pairs, or images of each domain; as many of them as whole
            groups of nearly equal pictures make.
        cache: A folder that remembers what was read for it.
        progress: Opens what is called with (done, all) while images are compared, and while files are hashed; not
            called where all of it is remembered.

    Raises:
        DataError: A file cannot be read, or nothing would be left on one of the sides.
        ConfigError: There is a split val, or the data is not all on the disk.
    """
    shown = f"--val-split {val_split:g}"
    if "val" in splits:
        raise ConfigError(
            f"{shown} has no effect: {splits['val'].root} has a split val of its own. Leave the option out.",
            option="--val-split",
        )
    train = splits["train"]
    if train.facts is not None:
        raise ConfigError(
            f"{shown} looks at every image, and these shards are not all on the disk: raise --cache-gb, or pack a "
            "split val.",
            option="--val-split",
        )
    hashes = _hashes(train, cache, progress)
    held: dict[Domain, list[int]] = {domain: _held(digests, val_split) for domain, digests in hashes.items()}
    for domain, chosen in held.items():
        if not 0 < len(chosen) < len(hashes[domain]):
            what = "pairs" if domain == "ab" else f"images of {domain.upper()}"
            raise DataError(
                f"{shown} of {len(hashes[domain])} {what} would hold out {len(chosen)}, and both val and train need at "
                "least one: give a number, e.g. --val-split 1, or put images into a split val."
            )
    number = " and ".join(
        count(len(chosen), "pair") if domain == "ab" else f"{len(chosen)} of {domain.upper()}"
        for domain, chosen in held.items()
    )
    rest: dict[Domain, list[int]] = {
        domain: sorted({*range(len(digests))} - {*held[domain]}) for domain, digests in hashes.items()
    }
    parts = {
        "train": _part(train, "train", rest, f"without {number} that {shown} holds out"),
        "val": _part(train, "val", held, f"held out of train by {shown}"),
    }
    return {**parts, **{name: split for name, split in splits.items() if name != "train"}}


def _held(digests: Sequence[str], val_split: float) -> list[int]:
    """The places of what is held out: of a share as `SplitShares` says, of a number the groups of the least hashes."""
    if val_split < 1:
        shares = SplitShares(val_split=val_split, test_split=0)
        return [index for index, digest in enumerate(digests) if shares.of(digest) == "val"]
    groups: dict[str, list[int]] = {}
    for index, digest in enumerate(digests):
        groups.setdefault(digest, []).append(index)
    chosen: list[int] = []
    for digest in sorted(groups):
        if len(chosen) + len(groups[digest]) <= val_split:
            chosen += groups[digest]
    return sorted(chosen)


def _part(split: Split, name: str, places: Mapping[Domain, Sequence[int]], share: str) -> Split:
    def of(items: Sequence[Kind], domain: Domain) -> tuple[Kind, ...]:
        return tuple(items[index] for index in places[domain])

    match split:
        case PairedSplit():
            return replace(split, name=name, pairs=of(split.pairs, "ab"), share=share)
        case UnpairedSplit():
            return replace(split, name=name, a=of(split.a, "a"), b=of(split.b, "b"), share=share)
    raise TypeError(f"{type(split).__name__} is no kind of split that a part is taken of")


def _hashes(train: Split, cache: Path | None, progress: Showing | None) -> dict[Domain, list[str]]:
    """The hash by which each item of a split is held out, or not."""
    key = _key(train)
    path = None if cache is None else cache / f"val-split-{key[:16]}.json"
    found = None if path is None else _remembered(path, key, train)
    if found is None:
        with nullcontext((None, None)) if progress is None else progress() as (on_look, on_read):
            found, _ = deciding_hashes({"train": train}, on_look=on_look, on_read=on_read)
        if path is not None:
            try:
                atomic_write_text(path, json.dumps({"key": key, "hashes": found}))
            except OSError as error:
                log.warning("What --val-split has read could not be kept in %s: %s", path, error)
    return found


def _remembered(path: Path, key: str, train: Split) -> dict[Domain, list[str]] | None:
    try:
        stored = load_json(path, _MAX_CACHE_BYTES)
        hashes = stored["hashes"]
        numbers = {domain: len(items) for domain, items in train.sequences().items()}
        if stored["key"] != key or {domain: len(digests) for domain, digests in hashes.items()} != numbers:
            raise ValueError("it is of other data")
        if not all(_DIGEST.fullmatch(digest) for digests in hashes.values() for digest in digests):
            raise ValueError("it holds no hashes")
    except FileNotFoundError:
        return None
    except MemoryError:
        raise
    except Exception as error:
        log.warning("%s is damaged (%s); the images are compared anew.", path, error)
        return None
    return hashes


def _key(train: Split) -> str:
    digest = hashlib.sha256(json.dumps(FORMAT_VERSION).encode())
    for domain, items in train.sequences().items():
        for item in items:
            stamps = [[train.relative(str(file)), *file.stamp()] for file in item.files]
            digest.update(json.dumps([domain, item.name, stamps]).encode())
    return digest.hexdigest()
