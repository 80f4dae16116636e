"""Writing a dataset as shards; interrupted at any moment, and continued by the same call.

Which file goes into which shard follows from the sizes of the files alone, and the headers hold no times or owners: the
same dataset gives the same bytes. While the work goes on, ``index.partial.json`` says what it is going to be and which
shards are done; ``index.json`` comes last.
"""

import hashlib
import json
import tarfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from tandem.config.parse import parse_dataclass
from tandem.data.image_file import ImageFile
from tandem.data.shards.index import (
    FORMAT,
    INDEX_NAME,
    MAX_INDEX_BYTES,
    PARTIAL_NAME,
    VERSION,
    Shard,
    ShardIndex,
    ShardLayout,
    parse_index,
)
from tandem.data.shards.items import MemberPart, member_name
from tandem.data.splits import Domain, Item, Split, SplitFacts
from tandem.errors import ConfigError, DataError, listed
from tandem.files import atomic_replace, atomic_write_text, is_leftover, owned
from tandem.foreign import load_json

_BLOCK = 512
_END = 2 * _BLOCK


@dataclass(frozen=True)
class _File:
    """A member to be: its name in the shard, the image file, and how large it is."""

    name: str
    source: ImageFile
    size: int


@dataclass(frozen=True)
class _Plan:
    """A shard to be: its name and its samples."""

    name: str
    split: str
    domain: Domain
    samples: tuple[tuple[_File, ...], ...]


@dataclass(frozen=True)
class _Partial:
    """What ``index.partial.json`` holds: a hash of the plan, and the shards that are done."""

    format: str
    plan: str
    shards: tuple[Shard, ...]


def pack(
    splits: Mapping[str, Split],
    facts: Mapping[str, SplitFacts],
    out: Path,
    *,
    shard_bytes: int,
    on_progress: Callable[[int, int], None] | None = None,
) -> ShardIndex:
    """Write the splits of a dataset into tar shards, or complete what an interrupted call began.

    Args:
        splits: Of one kind and layout; their files have been checked.
        facts: Of each split.
        out: The folder; made if it does not exist.
        shard_bytes: A shard is closed before it exceeds this; a sample that is larger gets one of its own.
        on_progress: Called with the samples that are written, and all.

    Returns:
        What ``index.json`` holds.

    Raises:
        DataError: `out` holds something else, or a file has changed since it was checked.
        ConfigError: The splits have different layouts.
    """
    layout = _layout(splits.values())
    plans = [plan for split in splits.values() for plan in _plan(split, shard_bytes)]
    digest = _digest(plans, layout)
    with owned(out, "packing to"):
        return _pack(plans, layout, digest, facts, out, on_progress=on_progress)


def _pack(
    plans: Sequence[_Plan],
    layout: ShardLayout,
    digest: str,
    facts: Mapping[str, SplitFacts],
    out: Path,
    *,
    on_progress: Callable[[int, int], None] | None,
) -> ShardIndex:
    done = _claim(out, plans, digest, facts)
    total = sum(len(plan.samples) for plan in plans)
    written = sum(shard.count for shard in done.values())
    for plan in plans:
        if on_progress is not None:
            on_progress(written, total)
        if plan.name in done:
            continue
        base = written

        def report(count: int, base: int = base) -> None:
            if on_progress is not None:
                on_progress(base + count, total)

        done[plan.name] = _write(out / plan.name, plan, report)
        written += len(plan.samples)
        shards = tuple(done[p.name] for p in plans if p.name in done)
        atomic_write_text(out / PARTIAL_NAME, json.dumps(asdict(_Partial(FORMAT, digest, shards))) + "\n")
    if on_progress is not None:
        on_progress(written, total)
    index = ShardIndex(FORMAT, VERSION, layout, tuple(done[plan.name] for plan in plans), dict(facts))
    atomic_write_text(out / INDEX_NAME, index.as_json())
    (out / PARTIAL_NAME).unlink(missing_ok=True)
    return index


def _layout(splits: Collection[Split]) -> ShardLayout:
    layouts: set[ShardLayout] = {_layout_of(split) if split.paired else "unpaired" for split in splits}
    if len(layouts) != 1:
        raise ConfigError(
            f"the splits have different layouts ({', '.join(sorted(layouts))}): pack them into folders of their own "
            "with --split."
        )
    (layout,) = layouts
    if any(split.layout == "side_by_side" for split in splits) and layout == "unpaired":
        raise ConfigError("side-by-side files are packed as pairs (methods for unpaired data take their halves).")
    return layout


def _layout_of(split: Split) -> ShardLayout:
    """That of its pairs: files of A and B are two files in a shard, whichever folders they come from."""
    return "side_by_side" if split.layout == "side_by_side" else "folders"


def _plan(split: Split, shard_bytes: int) -> Iterator[_Plan]:
    for domain, items in split.sequences().items():
        samples = [_members(item, domain) for item in items]
        prefix = split.name if domain == "ab" else f"{split.name}-{domain}"
        yield from _cut(split.name, domain, prefix, samples, shard_bytes)


def _members(item: Item, domain: Domain) -> tuple[_File, ...]:
    parts: Sequence[MemberPart] = (domain,) if len(item.files) == 1 else ("a", "b")
    parts = parts if item.mask is None else (*parts, "mask")
    named = [
        (f"{part}{number}" if len(file.parts) > 1 else part, one)
        for part, file in zip(parts, item.all_files, strict=True)
        for number, one in enumerate(file.parts, 1)
    ]
    return tuple(_File(member_name(item.name, part, file.suffix), file, file.size) for part, file in named)


def _cut(
    split: str, domain: Domain, prefix: str, samples: Sequence[tuple[_File, ...]], shard_bytes: int
) -> Iterator[_Plan]:
    """Deal out samples to shards in their order."""
    shards: list[list[tuple[_File, ...]]] = []
    filled = 0
    for sample in samples:
        size = sum(_taken(file) for file in sample)
        if not shards or filled + size > shard_bytes:
            shards.append([])
            filled = _END
        shards[-1].append(sample)
        filled += size
    for number, members in enumerate(shards):
        yield _Plan(f"{prefix}-{number:05d}.tar", split, domain, tuple(members))


def _taken(file: _File) -> int:
    return len(_header(file)) + -(-file.size // _BLOCK) * _BLOCK


def _header(file: _File) -> bytes:
    """The header of a member: plain where the name allows it, with pax where it does not; no time, no owner."""
    info = tarfile.TarInfo(file.name)
    info.size, info.mode, info.mtime = file.size, 0o644, 0
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _digest(plans: Sequence[_Plan], layout: ShardLayout) -> str:
    digest = hashlib.sha256(layout.encode())
    for plan in plans:
        members = [[file.name, file.size, file.source.stamp()[-1]] for sample in plan.samples for file in sample]
        digest.update(json.dumps([plan.name, members]).encode())
    return digest.hexdigest()


def _claim(out: Path, plans: Sequence[_Plan], digest: str, facts: Mapping[str, SplitFacts]) -> dict[str, Shard]:
    """Make sure that the folder is ours and meant for this; return the shards that are done."""
    partial, complete = out / PARTIAL_NAME, out / INDEX_NAME
    names = {plan.name: plan for plan in plans}
    if complete.exists():
        index = parse_index(complete.read_bytes(), str(complete))
        shards = index.shards
        same = {shard.name: shard.count for shard in shards} == {plan.name: len(plan.samples) for plan in plans}
        if not same or dict(index.splits) != dict(facts):
            raise DataError(
                f"{out} holds another packed dataset, of other files or with other options: choose another folder, or "
                "remove it."
            )
    elif partial.exists():
        shards = _read_partial(partial, digest)
    else:
        others = sorted(path.name for path in out.iterdir() if not is_leftover(path))
        if others:
            raise DataError(f"{out} is not empty:\n{listed(others)}\nChoose a new or an empty folder.")
        atomic_write_text(partial, json.dumps(asdict(_Partial(FORMAT, digest, ()))) + "\n")
        shards = ()
    return {shard.name: shard for shard in shards if shard.name in names and _is_whole(out / shard.name, shard)}


def _read_partial(path: Path, digest: str) -> tuple[Shard, ...]:
    try:
        if path.stat().st_size > MAX_INDEX_BYTES:
            raise ValueError("it is too large")
        partial = parse_dataclass(_Partial, load_json(path, MAX_INDEX_BYTES), path.name)
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} is damaged ({error}): remove the folder and pack anew.") from error
    if partial.plan != digest:
        raise DataError(
            f"{path.parent} holds the beginning of another pack, of other files or with other options: choose another "
            "folder, or remove it."
        )
    return partial.shards


def _is_whole(path: Path, shard: Shard) -> bool:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == shard.sha256
    except OSError:
        return False


def _write(path: Path, plan: _Plan, report: Callable[[int], None]) -> Shard:
    digest = hashlib.sha256()

    def fill(temporary: Path) -> None:
        with temporary.open("wb") as out:
            for number, sample in enumerate(plan.samples):
                for file in sample:
                    _append(out, digest.update, file)
                report(number + 1)
            _put(out, digest.update, bytes(_END))

    atomic_replace(path, fill)
    return Shard(
        path.name,
        plan.split,  # type: ignore[arg-type]
        plan.domain,
        len(plan.samples),
        path.stat().st_size,
        digest.hexdigest(),
    )


def _append(out: BinaryIO, update: Callable[[bytes], None], file: _File) -> None:
    data = file.source.read_bytes()
    if len(data) != file.size:
        raise DataError(f"{file.source} has changed while the dataset was packed: start again with another folder.")
    _put(out, update, _header(file))
    _put(out, update, data + bytes(-len(data) % _BLOCK))


def _put(out: BinaryIO, update: Callable[[bytes], None], data: bytes) -> None:
    out.write(data)
    update(data)
