"""From a folder or URL of shards to the splits of a dataset."""

import hashlib
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tandem.data.discover import locate_splits
from tandem.data.layouts import SPLIT_NAMES
from tandem.data.listing import count, in_natural_order
from tandem.data.shards.gzip_files import GZIP_ENDINGS, OTHER_ENDINGS
from tandem.data.shards.index import (
    FORMAT,
    INDEX_NAME,
    MAX_INDEX_BYTES,
    PARTIAL_NAME,
    Shard,
    parse_index,
)
from tandem.data.shards.items import ShardItems, images_of, pairs_of, survey
from tandem.data.shards.store import SHARD_POLICY, CachedStore, FolderStore, ShardStore, fetch_all, not_fetched
from tandem.data.shards.unpacked import Unpacked, UnpackedStore, gzipped, unpack_all
from tandem.data.splits import SPLITS, PairedSplit, Side, SplitFacts, SplitName, UnpairedSplit
from tandem.errors import ConfigError, DataError, listed
from tandem.fetch.errors import FetchError
from tandem.fetch.policy import FetchPolicy
from tandem.fetch.transfer import fetch_bytes

KEPT_LISTS = 64
"""Shards whose headers are remembered where not all of the data is on the disk."""

_URL = re.compile(r"[a-z][a-z0-9+.-]*(::[a-z][a-z0-9+.-]*)*://", re.IGNORECASE)


@dataclass(frozen=True)
class CacheOptions:
    """Where shards from a URL go, and compressed ones when they are unpacked.

    Attributes:
        folder: On the disk; each URL, or folder of compressed shards, gets a folder in it.
        max_bytes: Most that is kept of one of them.
        policy: Limits, tries and rules of fetching.
    """

    folder: Path
    max_bytes: int
    policy: FetchPolicy = SHARD_POLICY


@dataclass(frozen=True)
class ShardedData:
    """Shards whose index has been read.

    Attributes:
        store: Gives the shards.
        shards: In the order of their samples.
        facts: Of each split, from the index; empty without one.
        streamed: Not all of it is on the disk at a time.
    """

    store: ShardStore
    shards: Sequence[Shard]
    facts: dict[str, SplitFacts]
    streamed: bool


def is_url(location: str | Path) -> bool:
    """Whether a location is a URL and no path."""
    return isinstance(location, str) and _URL.match(location) is not None


def as_location(location: str | Path) -> str | Path:
    """A URL as it is, anything else as a path."""
    return location if is_url(location) else Path(location)


def is_shards(location: str | Path) -> bool:
    """Whether a location holds shards: any URL, or a folder with their index or with tar files and no images."""
    if is_url(location):
        return True
    root = Path(location)
    if not root.is_dir():
        return False
    index = root / INDEX_NAME
    if index.is_file() and index.stat().st_size <= MAX_INDEX_BYTES and f'"{FORMAT}"'.encode() in index.read_bytes():
        return True
    return _holds(root, (".tar", *GZIP_ENDINGS, *OTHER_ENDINGS)) and not locate_splits(root, [])


def needs_cache(location: str | Path) -> bool:
    """Whether shards are fetched or unpacked into a cache before they are read."""
    if is_url(location):
        return True
    return is_shards(location) and _holds(Path(location), GZIP_ENDINGS)


def _holds(folder: Path, endings: tuple[str, ...]) -> bool:
    """Whether a folder holds files of some endings; it is listed once, since it may be one of many images."""
    with os.scandir(folder) as entries:
        return any(entry.name.endswith(endings) for entry in entries)


def read_shards(
    location: str | Path, cache: CacheOptions | None = None, on_fetch: Callable[[int, int], None] | None = None
) -> ShardedData:
    """Read the index of shards; from a URL fetch all of them where they fit into the cache; unpack compressed ones.

    Args:
        location: A folder, or a URL that fsspec knows.
        cache: For URLs and compressed shards.
        on_fetch: Called with the bytes that are there and those of all shards, while they are fetched or unpacked.

    Raises:
        DataError: There are none, they cannot be fetched, or are damaged.
        ConfigError: The cache is too small.
    """
    if not is_url(location):
        return _read_folder(Path(location), cache, on_fetch)
    assert cache is not None
    url = str(location).removesuffix(INDEX_NAME).rstrip("/")
    if "?" in url or "#" in url:
        raise ConfigError(f"{location}: the URL of shards is that of their folder, without ? or #.")
    address = f"{url}/{INDEX_NAME}"
    try:
        text = fetch_bytes(address, replace(cache.policy, max_bytes=MAX_INDEX_BYTES))
    except FetchError as error:
        raise not_fetched(address, error) from error
    index = parse_index(text, address)
    folder = cache.folder / hashlib.sha256(url.encode()).hexdigest()[:16]
    remote = CachedStore(url, folder, cache.max_bytes, cache.policy)
    if sum(shard.size for shard in index.shards) > cache.max_bytes:
        return ShardedData(remote, index.shards, dict(index.splits), streamed=True)
    fetch_all(remote, index.shards, on_fetch)
    return ShardedData(FolderStore(folder), index.shards, dict(index.splits), streamed=False)


def _read_folder(root: Path, cache: CacheOptions | None, on_unpack: Callable[[int, int], None] | None) -> ShardedData:
    index_path = root / INDEX_NAME
    if (root / PARTIAL_NAME).is_file():
        raise DataError(f"{root} is packed in part only: run the same 'tandem data pack' again to complete it.")
    if not index_path.is_file():
        plain = {path.name: path for path in root.glob("*.tar") if not path.name.startswith(".")}
        packed = gzipped(root)
        if twice := sorted(plain.keys() & packed.keys()):
            raise DataError(
                f"{root} holds {twice[0]} and {packed[twice[0]].name}, which are one shard: remove one of them"
            )
        store, unpacked = _unpacked(root, packed, cache, on_unpack)
        return ShardedData(store, _without_index(store, {**plain, **packed}, unpacked), {}, streamed=False)
    index = parse_index(index_path.read_bytes(), str(index_path))
    missing = {shard.name for shard in index.shards if not (root / shard.name).exists()}
    packed = {name: path for name, path in gzipped(root).items() if name in missing} if missing else {}
    store, unpacked = _unpacked(root, packed, cache, on_unpack)
    for shard in index.shards:
        one = unpacked.get(shard.name)
        if one is not None and (one.size, one.sha256) != (shard.size, shard.sha256):
            raise DataError(
                f"{packed[shard.name]} does not unpack to the {shard.name} of its index: it is damaged or another "
                "file; pack or copy it anew"
            )
    return ShardedData(store, index.shards, dict(index.splits), streamed=False)


def _unpacked(
    root: Path,
    packed: Mapping[str, Path],
    cache: CacheOptions | None,
    on_unpack: Callable[[int, int], None] | None,
) -> tuple[FolderStore, Mapping[str, Unpacked]]:
    """The store of a folder, with its compressed shards unpacked."""
    if not packed:
        return FolderStore(root), {}
    if cache is None:
        raise DataError(
            f"{root} holds compressed shards, {next(iter(packed.values())).name} and so on. They are unpacked into the "
            f"cache of a run, and here is none: unpack them yourself (gunzip {root}/*gz); images hardly get larger by "
            "it."
        )
    folder = cache.folder / hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:16]
    unpacked = unpack_all(packed, folder, cache.max_bytes, on_unpack)
    return UnpackedStore(folder, root, frozenset(packed)), unpacked


def open_shards(data: ShardedData, *, paired: bool) -> dict[str, PairedSplit] | dict[str, UnpairedSplit]:
    """The splits of shards, of train, val and test, as pairs or as two domains.

    Raises:
        DataError: They hold domains where pairs are asked for, or are damaged; where all of it is on the disk the
            headers of all shards are read.
    """
    names: list[SplitName] = [name for name in SPLITS if any(shard.split == name for shard in data.shards)]
    if paired:
        return {name: _paired(data, name) for name in names}
    return {name: _unpaired(data, name) for name in names}


def _paired(data: ShardedData, split: SplitName) -> PairedSplit:
    shards = [shard for shard in data.shards if shard.split == split]
    if any(shard.domain != "ab" for shard in shards):
        raise DataError(
            f"{data.store.where} holds unpaired data, and the method trains on pairs: pack pairs, or choose a method "
            "for unpaired data."
        )
    pairs = pairs_of(data.store, shards, keep=_keep(data))
    if not data.streamed:
        _refuse_doubles(pairs, split)
    root, where = as_location(data.store.where), _where(data, shards)
    return PairedSplit(root, split, "folders", pairs, shards=where, facts=_facts(data, split))


def _unpaired(data: ShardedData, split: SplitName) -> UnpairedSplit:
    domains = []
    side: Side
    for side in ("a", "b"):
        shards = [shard for shard in data.shards if shard.split == split and shard.domain in {side, "ab"}]
        if not shards:
            raise DataError(f"{data.store.where} has no shards of domain {side.upper()} in its split '{split}'.")
        domains.append(images_of(data.store, shards, side, keep=_keep(data)))
        if not data.streamed:
            _refuse_doubles(domains[-1], split)
    where = _where(data, list(dict.fromkeys([*domains[0].shards, *domains[1].shards])))
    root = as_location(data.store.where)
    return UnpairedSplit(root, split, "folders", *domains, shards=where, facts=_facts(data, split))


def _keep(data: ShardedData) -> int | None:
    return KEPT_LISTS if data.streamed else None


def _facts(data: ShardedData, split: SplitName) -> SplitFacts | None:
    return data.facts[split] if data.streamed else None


def _where(data: ShardedData, shards: Sequence[Shard]) -> str:
    size = sum(shard.size for shard in shards) / 1e6
    return f"{count(len(shards), 'shard')} ({size:,.1f} MB) of {data.store.where}"


def _refuse_doubles(items: ShardItems, split: SplitName) -> None:
    """Read the headers of all shards; names are those of outputs, so they must be unique."""
    names: dict[str, int] = {}
    for item in items:
        names[item.name] = names.get(item.name, 0) + 1
    doubles = [name for name, number in names.items() if number > 1]
    if doubles:
        raise DataError(
            f"{items.store.where}: in the shards of split '{split}' these keys occur more than once:\n{listed(doubles)}"
        )


def _split_of(path: Path) -> SplitName:
    """The split that the name of a shard says: ``train-00000.tar``, ``shoes-val-000000.tar``; train where it says none.

    Raises:
        DataError: It says several, none of them first.
    """
    words = re.split(r"[-_.]+", path.stem.lower())
    named: list[SplitName] = [split for word in words for split in SPLITS if word in SPLIT_NAMES[split]]
    if len({*named}) > 1 and words[0] not in SPLIT_NAMES[named[0]]:
        raise DataError(f"{path} is called like several splits: {', '.join(dict.fromkeys(named))}; rename it")
    return named[0] if named else "train"


def _without_index(store: FolderStore, files: Mapping[str, Path], unpacked: Mapping[str, Unpacked]) -> list[Shard]:
    """Make up the index of a folder of tar files from their names and headers.

    Args:
        store: Gives them.
        files: As they lie in the folder, by the names of the tar files.
        unpacked: Those that were compressed.
    """
    names = {name.removesuffix(".tar"): name for name in files}
    shards = []
    problems: list[str] = []
    for stem in in_natural_order(names):
        name = names[stem]
        one = unpacked.get(name)
        size, sha256 = (files[name].stat().st_size, "") if one is None else (one.size, one.sha256)
        try:
            split = _split_of(files[name])
            domain, number = survey(store, Shard(name, split, "ab", 1, size, sha256))
        except DataError as error:
            problems.append(str(error))
            continue
        shards.append(Shard(name, split, domain, number, size, sha256))
    if problems:
        raise DataError(f"{len(problems)} of {len(files)} shards cannot be used:\n{listed(problems)}")
    return shards
