"""Where shards lie: in a folder, or behind a URL with a bounded cache of whole shards on the disk."""

import contextlib
import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tandem.data.shards.fetch import FetchOptions, fetch_file
from tandem.data.shards.index import Shard
from tandem.errors import DataError

if sys.platform != "win32":
    import fcntl

_TOUCH_SECONDS = 30.0


class ShardStore(Protocol):
    """Gives shards as files on the disk."""

    @property
    def where(self) -> str:
        """The folder or URL, for messages."""
        ...

    def path(self, shard: Shard) -> Path:
        """The whole file of a shard; raises `DataError` where it is not to be had."""
        ...


@dataclass(frozen=True)
class FolderStore:
    """Shards in a folder on the disk."""

    root: Path

    @property
    def where(self) -> str:
        """The folder."""
        return str(self.root)

    def path(self, shard: Shard) -> Path:
        """The file of a shard.

        Raises:
            DataError: It is not there, or has another size than the index says.
        """
        path = self.root / shard.name
        try:
            size = path.stat().st_size
        except OSError as error:
            raise DataError(f"{path}: {error.strerror}, but the index names it") from error
        if size != shard.size:
            raise DataError(f"{path} has {size} bytes, but its index says {shard.size}: it is cut off or another file")
        return path


@dataclass(frozen=True)
class CachedStore:
    """Shards behind a URL, fetched whole into a folder when they are asked for.

    Several processes may share the folder: a shard is fetched by one of them, under a lock. When room is needed those
    that have not been used for longest are removed.

    Attributes:
        url: The folder of the shards.
        cache: The folder on the disk, which belongs to this URL alone.
        max_bytes: Most that lies in it.
        options: Time-outs and tries.
        on_bytes: Called with a shard and the bytes of it that are there.
    """

    url: str
    cache: Path
    max_bytes: int
    options: FetchOptions = field(default_factory=FetchOptions)
    on_bytes: Callable[[Shard, int], None] | None = None

    @property
    def where(self) -> str:
        """The URL."""
        return self.url

    def path(self, shard: Shard) -> Path:
        """The file of a shard, fetched and held against its hash unless it is there.

        Raises:
            DataError: It cannot be fetched, or is not what the index says.
        """
        path = self.cache / shard.name
        if not self._is_there(path, shard):
            self.cache.mkdir(parents=True, exist_ok=True)
            with _locked(self.cache / f".{shard.name}.lock"):
                if not self._is_there(path, shard):
                    self._fetch(path, shard)
        return path

    def _is_there(self, path: Path, shard: Shard) -> bool:
        try:
            status = path.stat()
        except FileNotFoundError:
            return False
        if status.st_size != shard.size:
            return False
        if time.time() - status.st_atime > _TOUCH_SECONDS:  # the time of change stays: the check before training asks
            with contextlib.suppress(FileNotFoundError):
                os.utime(path, ns=(time.time_ns(), status.st_mtime_ns))
        return True

    def _fetch(self, path: Path, shard: Shard) -> None:
        part = path.with_name(f"{shard.name}.part")
        with _locked(self.cache / ".lock"):
            part.touch()  # claims its room
            self._make_room(shard)
        address = f"{self.url}/{shard.name}"
        report = self.on_bytes
        fetch_file(address, part, shard.size, self.options, lambda done: report(shard, done) if report else None)
        with part.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != shard.sha256:
            part.unlink()
            raise DataError(
                f"{address} is not the shard that its index describes (SHA-256 {digest[:16]}…, expected "
                f"{shard.sha256[:16]}…). If the dataset was packed anew, its index must be renewed too."
            )
        part.replace(path)

    def _make_room(self, shard: Shard) -> None:
        """Remove whole shards, the one first that was used last long ago; parts count as the largest shard."""
        whole: list[tuple[float, int, Path]] = []
        taken = 0
        for path in self.cache.iterdir():
            with contextlib.suppress(FileNotFoundError):
                status = path.stat()
                if path.suffix == ".tar":
                    whole.append((status.st_atime, status.st_size, path))
                    taken += status.st_size
                elif path.suffix == ".part":
                    taken += max(status.st_size, shard.size)
        for _, size, path in sorted(whole):
            if taken <= self.max_bytes:
                return
            path.unlink(missing_ok=True)
            taken -= size


def fetch_all(store: CachedStore, shards: Sequence[Shard], on_progress: Callable[[int, int], None] | None) -> None:
    """Fetch what is missing of all `shards`, calling `on_progress` with bytes done and of all.

    Raises:
        DataError: One cannot be fetched; those that have arrived stay.
    """
    total, done = sum(shard.size for shard in shards), 0
    for shard in shards:
        before = done

        def report(_: Shard, count: int, before: int = before) -> None:
            if on_progress is not None:
                on_progress(before + count, total)

        CachedStore(store.url, store.cache, store.max_bytes, store.options, report).path(shard)
        done += shard.size
        if on_progress is not None:
            on_progress(done, total)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as file:
        if sys.platform != "win32":
            fcntl.flock(file, fcntl.LOCK_EX)  # dropped with the file, also where the process is killed
        yield
