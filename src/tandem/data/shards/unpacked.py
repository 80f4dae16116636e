"""Shards that are compressed as a whole, which are unpacked once into a bounded folder on the disk.

Members of such a file cannot be read one by one. Nothing that it says of its own size is believed: the bytes are
counted while they are unpacked.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from tandem.config.parse import parse_dataclass
from tandem.data.shards.gzip_files import GZIP_ENDINGS, OTHER_ENDINGS, unpacked_chunks
from tandem.data.shards.index import Shard
from tandem.data.shards.store import FolderStore, locked
from tandem.errors import ConfigError, DataError, listed
from tandem.files import atomic_replace, atomic_write_text, remove_leftovers
from tandem.foreign import load_json

_MAX_MEMO_BYTES = 4096


@dataclass(frozen=True)
class Unpacked:
    """What is remembered of a shard that was unpacked; it is used again until one of the two files has changed.

    Attributes:
        source: Size and time of change of the compressed file.
        target: Likewise of the tar file.
        size: Bytes of the tar file.
        sha256: Of the tar file.
    """

    source: str
    target: str
    size: int
    sha256: str


@dataclass(frozen=True)
class UnpackedStore(FolderStore):
    """Shards in a folder on the disk, some of them compressed.

    Attributes:
        source: The folder that was named.
        compressed: Names that these have as tar files; they lie in `root`, the others in `source`.
    """

    source: Path
    compressed: frozenset[str]

    @property
    def where(self) -> str:
        """The folder that was named."""
        return str(self.source)

    def path(self, shard: Shard) -> Path:
        """See `FolderStore`."""
        folder = self.root if shard.name in self.compressed else self.source
        return FolderStore(folder).path(shard)

    def mismatch(self, shard: Shard) -> str:
        """See `FolderStore`."""
        if shard.name not in self.compressed:
            return super().mismatch(shard)
        return "it is damaged since it was unpacked: remove it, and the same command unpacks it anew"


def gzipped(root: Path) -> dict[str, Path]:
    """The shards in a folder that are compressed, by the names that they have as tar files.

    Raises:
        DataError: Some are compressed in other ways, or two files are one shard.
    """
    paths = [path for path in sorted(root.iterdir()) if not path.name.startswith(".") and path.is_file()]
    others = [path.name for path in paths if path.name.endswith(OTHER_ENDINGS)]
    if others:
        raise DataError(
            f"{root} holds shards that are compressed as a whole, {others[0]} and so on, and of these .tar.gz alone "
            "is read: unpack them once; images hardly get larger by it."
        )
    found: dict[str, Path] = {}
    for path in paths:
        ending = next((ending for ending in GZIP_ENDINGS if path.name.endswith(ending)), None)
        if ending is None:
            continue
        name = f"{path.name.removesuffix(ending)}.tar"
        if name in found:
            raise DataError(f"{root} holds {found[name].name} and {path.name}, which are one shard: remove one of them")
        found[name] = path
    return found


def unpack_all(
    files: Mapping[str, Path], folder: Path, max_bytes: int, on_progress: Callable[[int, int], None] | None = None
) -> dict[str, Unpacked]:
    """Unpack what is missing of some compressed shards into a folder, one process at a time.

    Args:
        files: By the names of the tar files.
        folder: On the disk, which belongs to these files alone: other tar files in it are removed.
        max_bytes: Most that lies in it.
        on_progress: Called with the bytes that are read and those of all files that are unpacked, if there are any.

    Raises:
        DataError: Some are damaged or cannot be read; the others are unpacked and stay.
        ConfigError: They take more than `max_bytes`; those that were unpacked stay.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / ".lock"):
        remove_leftovers(folder)
        found = {name: one for name, path in files.items() if (one := _remembered(path, folder / name)) is not None}
        for path in (*folder.glob("*.tar"), *folder.glob("*.json")):
            if path.name.removesuffix(".json") not in found:
                path.unlink()
        missing = {name: path for name, path in files.items() if name not in found}
        total, done = sum(path.stat().st_size for path in missing.values()), 0
        problems: list[str] = []
        for name, path in missing.items():
            room = max_bytes - sum(one.size for one in found.values())

            def report(read: int, done: int = done) -> None:
                if on_progress is not None:
                    on_progress(done + read, total)

            report(0)
            try:
                found[name] = _unpack(path, folder / name, room, max_bytes, report)
            except DataError as error:
                problems.append(str(error))
            done += path.stat().st_size
    if problems:
        raise DataError(f"{len(problems)} of {len(files)} compressed shards cannot be used:\n{listed(problems)}")
    return found


def _memo(target: Path) -> Path:
    return target.with_name(f"{target.name}.json")


def _remembered(path: Path, target: Path) -> Unpacked | None:
    """What is remembered of a shard; None where it is not there, or either file has changed."""
    try:
        memo = parse_dataclass(Unpacked, load_json(_memo(target), _MAX_MEMO_BYTES), "memo")
        same = (memo.source, memo.target) == (_stamp(path), _stamp(target)) and memo.size == target.stat().st_size
    except (OSError, ValueError):
        return None
    return memo if same else None


def _stamp(path: Path) -> str:
    status = path.stat()
    return f"{status.st_size} {status.st_mtime_ns}"


def _unpack(path: Path, target: Path, room: int, max_bytes: int, report: Callable[[int], None]) -> Unpacked:
    source, digest = _stamp(path), hashlib.sha256()

    def write(temporary: Path) -> None:
        size = 0
        with temporary.open("wb") as file:
            for chunk in unpacked_chunks(path, report):
                size += len(chunk)
                if size > room:
                    raise ConfigError(
                        f"{path.parent}: its compressed shards unpack to more than {max_bytes / 1e9:g} GB, the most "
                        f"that is kept (at {path.name}): raise --cache-gb, where the command has it, or unpack them "
                        f"yourself (gunzip {path.parent}/*gz).",
                        option="--cache-gb",
                    )
                digest.update(chunk)
                file.write(chunk)

    atomic_replace(target, write)
    memo = Unpacked(source, _stamp(target), target.stat().st_size, digest.hexdigest())
    atomic_write_text(_memo(target), json.dumps(asdict(memo)))
    return memo
