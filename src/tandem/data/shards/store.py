"""Where shards lie: in a folder, or behind a URL with a bounded cache of whole shards on the disk."""

import contextlib
import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from tandem.data.shards.gzip_files import GZIP_ENDINGS, unpacked_chunks
from tandem.data.shards.index import MAX_SHARD_BYTES, Shard
from tandem.errors import DataError
from tandem.fetch.errors import FetchError
from tandem.fetch.policy import FetchPolicy
from tandem.fetch.transfer import fetch_file
from tandem.files import atomic_replace
from tandem.names import public_location

if sys.platform != "win32":
    import fcntl

SHARD_POLICY = FetchPolicy(
    schemes=None, max_bytes=MAX_SHARD_BYTES, stall_seconds=60.0, retry_unreachable=True, credentials=True
)
_TOUCH_SECONDS = 30.0
_GZIP_BYTES = 2**16


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

    def mismatch(self, shard: Shard) -> str:
        """What it means that the content of a shard's file has another hash."""
        del shard
        return "its SHA-256 is not the one in the index: it is damaged or another file; pack or copy it anew"


@dataclass(frozen=True)
class CachedStore:
    """Shards behind a URL, fetched whole into a folder when they are asked for.

    Several processes may share the folder: a shard is fetched by one of them, and the others wait. When room is needed
    those that have not been used for longest are removed.

    Attributes:
        url: The folder of the shards.
        cache: The folder on the disk, which belongs to this URL alone.
        max_bytes: Most that lies in it.
        policy: Limits, tries and rules.
        on_bytes: Called with a shard and the bytes of it that are there.
    """

    url: str
    cache: Path
    max_bytes: int
    policy: FetchPolicy = SHARD_POLICY
    on_bytes: Callable[[Shard, int], None] | None = None

    @property
    def where(self) -> str:
        """The URL, without a name and a password."""
        return public_location(self.url)

    def path(self, shard: Shard) -> Path:
        """The file of a shard, fetched and held against its hash unless it is there.

        Raises:
            DataError: It cannot be fetched, or is not what the index says.
        """
        path = self.cache / shard.name
        if not self._is_there(path, shard):
            self.cache.mkdir(parents=True, exist_ok=True)
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
        with locked(self.cache / ".lock"):
            if self._is_there(path, shard):  # another process was faster
                return
            self._claim(path, shard)

        def report(done: int, _: int | None) -> None:
            if self.on_bytes is not None:
                self.on_bytes(shard, done)

        address = f"{self.url}/{shard.name}"
        try:
            fetch_file(address, path, self.policy, num_bytes=shard.size, sha256=shard.sha256, on_progress=report)
        except FetchError as error:
            if error.reason == "missing" and self._fetch_compressed(path, shard):
                return
            if error.reason in {"content", "size"}:
                raise DataError(
                    f"{address} is not the shard that its index describes: {error}. If the dataset was packed anew, "
                    "its index must be renewed too."
                ) from error
            raise not_fetched(address, error) from error

    def _fetch_compressed(self, path: Path, shard: Shard) -> bool:
        """Fetch and unpack the shard as one of `GZIP_ENDINGS`; False where there is none.

        Raises:
            DataError: It cannot be fetched, or does not unpack to what the index says.
        """
        with locked(path.with_name(f".{shard.name}.lock")):
            if self._is_there(path, shard):  # another process has unpacked it
                return True
            for ending in GZIP_ENDINGS:
                packed = path.with_name(f"{path.stem}{ending}")
                address = f"{self.url}/{packed.name}"
                with locked(self.cache / ".lock"):
                    for one in (path, packed):  # there is room for both of them while it is unpacked
                        self._claim(one, shard)
                try:
                    fetch_file(address, packed, self._policy_of_compressed(shard), on_progress=self._scaled(shard))
                except FetchError as error:
                    if error.reason == "missing":
                        continue
                    raise not_fetched(address, error) from error
                try:
                    _unpack(packed, path, shard, address)
                finally:
                    packed.unlink(missing_ok=True)  # what is wrong is fetched anew
                path.with_name(f"{shard.name}.part").unlink(missing_ok=True)
                return True
        return False

    def _policy_of_compressed(self, shard: Shard) -> FetchPolicy:
        """No file that unpacks to so many bytes need be much larger than they are."""
        return replace(self.policy, max_bytes=shard.size + shard.size // 50 + _GZIP_BYTES)

    def _scaled(self, shard: Shard) -> Callable[[int, int | None], None]:
        """What reports the bytes of a compressed shard, which are fewer, as a share of the shard's."""

        def report(done: int, total: int | None) -> None:
            if self.on_bytes is not None:
                self.on_bytes(shard, shard.size * done // total if total else min(done, shard.size))

        return report

    def _claim(self, path: Path, shard: Shard) -> None:
        """Make room for a file that is going to be fetched, of about the size of a shard."""
        path.with_name(f"{path.name}.part").touch()
        self._make_room(shard)

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
                elif path.name.endswith(GZIP_ENDINGS):
                    taken += status.st_size
        for _, size, path in sorted(whole):
            if taken <= self.max_bytes:
                return
            path.unlink(missing_ok=True)
            taken -= size


def _unpack(packed: Path, path: Path, shard: Shard, address: str) -> None:
    """Unpack a shard that was fetched; no more than the index says is ever written."""
    digest = hashlib.sha256()

    def write(temporary: Path) -> None:
        size = 0
        with temporary.open("wb") as file:
            for chunk in unpacked_chunks(packed, lambda _: None):
                size += len(chunk)
                if size > shard.size:
                    break
                digest.update(chunk)
                file.write(chunk)
        if (size, digest.hexdigest()) != (shard.size, shard.sha256):
            raise DataError(
                f"{address} does not unpack to the {shard.name} of its index: it is damaged or another file. If the "
                "dataset was packed anew, its index must be renewed too."
            )

    try:
        atomic_replace(path, write)
    except DataError as error:
        if address in str(error):
            raise
        raise DataError(f"{address} is not the shard that its index describes: {error}") from error


def not_fetched(url: str, error: FetchError) -> DataError:
    """What it means that a file of a packed dataset could not be fetched, and what can be done."""
    text = f"cannot be used: {error}."
    if error.reason == "missing":
        text = "is not there (the server answers 'not found')."
    elif error.passing or error.tries > 1:
        tries = f"after {error.tries} tries in a row" if error.tries > 1 else "at the first try"
        text = f"could not be fetched {tries}: {error.detail}. What has arrived is kept; the same command continues."
    return DataError(f"{url} {text}")


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

        replace(store, on_bytes=report).path(shard)
        done += shard.size
        if on_progress is not None:
            on_progress(done, total)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a file that one process has at a time; the others wait."""
    with path.open("a") as file:
        if sys.platform != "win32":
            fcntl.flock(file, fcntl.LOCK_EX)  # dropped with the file, also where the process is killed
        yield
