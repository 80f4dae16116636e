"""An image file inside a shard."""

import hashlib
import io
from dataclasses import dataclass
from typing import BinaryIO

from tandem.data.image_file import ImageFile
from tandem.data.shards.index import Shard
from tandem.data.shards.store import FolderStore, ShardStore
from tandem.data.shards.tar import TarMember
from tandem.errors import DataError


@dataclass(frozen=True, slots=True)
class ShardOnDisk:
    """A shard in a folder whose hash is known; see `tandem.data.image_file.Container`."""

    store: FolderStore
    shard: Shard

    def problem(self) -> str | None:
        """Hold its content against the hash of the index."""
        path = self.store.path(self.shard)
        try:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            return f"{path}: {error.strerror}"
        if found == self.shard.sha256:
            return None
        return f"{path}: {self.store.mismatch(self.shard)}"


@dataclass(frozen=True, slots=True)
class ShardMember(ImageFile):
    """A member of a shard.

    Attributes:
        store: Gives the shard.
        shard: The tar file.
        member: Its name, e.g. ``00001.a.png``, with folders if it has any, and where its bytes lie.
    """

    store: ShardStore
    shard: Shard
    member: TarMember

    def __str__(self) -> str:
        return self.place

    @property
    def name(self) -> str:
        """See `ImageFile`."""
        return self.member.name.rpartition("/")[2]

    @property
    def size(self) -> int:
        """See `ImageFile`; known without the shard."""
        return self.member.size

    @property
    def place(self) -> str:
        """The folder or URL, the shard and the member."""
        return f"{self.store.where}/{self.shard.name}:{self.member.name}"

    @property
    def container(self) -> "ShardOnDisk | None":
        """The shard, where its hash is known, by an index or since it was unpacked.

        Those behind a URL are held against it when they are fetched.
        """
        return (
            ShardOnDisk(self.store, self.shard) if isinstance(self.store, FolderStore) and self.shard.sha256 else None
        )

    def open(self) -> BinaryIO:
        """Open the content, which is read at once.

        Raises:
            DataError: The shard cannot be had, or has changed since its headers were read.
        """
        for _ in range(3):  # a cached shard may be removed by another process before it is opened
            try:
                with self.store.path(self.shard).open("rb") as file:
                    file.seek(self.member.offset)
                    content = file.read(self.size)
                break
            except FileNotFoundError:
                continue
            except OSError as error:
                raise DataError(f"{self}: {error.strerror}", file=str(self)) from error
        else:
            raise DataError(f"{self}: the shard vanished again and again: raise --cache-gb", file=str(self))
        if len(content) < self.size:
            raise DataError(f"{self}: the shard is cut off", file=str(self))
        return io.BytesIO(content)

    def stamp(self) -> tuple[int, int, int]:
        """Its offset and size, and the time of the shard's last change."""
        return self.member.offset, self.size, self.store.path(self.shard).stat().st_mtime_ns
