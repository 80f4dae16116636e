"""An image file inside a shard, usable wherever a path to an image is."""

from dataclasses import dataclass
from pathlib import Path

from tandem.data.shards.index import Shard
from tandem.data.shards.store import ShardStore
from tandem.data.stored import StoredFile
from tandem.errors import DataError


@dataclass(frozen=True, slots=True)
class ShardMember(StoredFile):
    """A member of a shard: where its bytes lie.

    Attributes:
        store: Gives the shard.
        shard: The tar file.
        name: Of the member, e.g. ``00001.a.png``.
        offset: Of its first byte.
        size: In bytes.
    """

    store: ShardStore
    shard: Shard
    name: str
    offset: int
    size: int

    def __str__(self) -> str:
        return f"{self.store.where}/{self.shard.name}:{self.name}"

    def read_bytes(self) -> bytes:
        """The content of the image file.

        Raises:
            DataError: The shard cannot be had, or has changed since its headers were read.
        """
        for _ in range(3):  # a cached shard may be removed by another process before it is opened
            try:
                with self.store.path(self.shard).open("rb") as file:
                    file.seek(self.offset)
                    data = file.read(self.size)
                break
            except FileNotFoundError:
                continue
            except OSError as error:
                raise DataError(f"{self}: {error.strerror}") from error
        else:
            raise DataError(f"{self}: the shard vanished again and again: raise --cache-gb")
        if len(data) < self.size:
            raise DataError(f"{self}: the shard is cut off")
        return data

    def stamp(self) -> tuple[int, int, int]:
        """Changes when the member does: its place, and the time of the shard's last change."""
        return self.offset, self.size, self.store.path(self.shard).stat().st_mtime_ns


ImageFile = Path | ShardMember


def size_of(file: ImageFile) -> int:
    """Bytes of an image file."""
    return file.size if isinstance(file, ShardMember) else file.stat().st_size
