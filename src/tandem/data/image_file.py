"""The files that images are read from, alike whether they lie on the disk by themselves or in a shard."""

import hashlib
import stat
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import BinaryIO, Protocol

from tandem.data.formats.stored import UnreadableError
from tandem.data.volumes import Slice, open_slice, slice_of, slice_stamp
from tandem.errors import DataError


class Container(Protocol):
    """A file that holds image files and whose hash is known."""

    def __hash__(self) -> int:
        """Equal ones are the same file."""
        ...

    def problem(self) -> str | None:
        """Say what is wrong with its content, which is read for it."""
        ...


class ImageFile(ABC):
    """An image file; its text names it in messages."""

    __slots__ = ()

    @property
    @abstractmethod
    def name(self) -> str:
        """Its name, without folders."""

    @property
    def suffix(self) -> str:
        """The ending of its name, e.g. ``.png``."""
        return PurePath(self.name).suffix

    @property
    @abstractmethod
    def size(self) -> int:
        """In bytes.

        Raises:
            DataError: It is not there.
        """

    @property
    @abstractmethod
    def place(self) -> str:
        """Where it lies, the same text from whichever folder it is asked for."""

    @abstractmethod
    def open(self) -> BinaryIO:
        """Open it for reading.

        Raises:
            OSError: It cannot be opened.
            DataError: The shard that it lies in cannot be had.
        """

    @abstractmethod
    def stamp(self) -> tuple[int, ...]:
        """Numbers that change when it does; the last one is the time of its last change, in nanoseconds."""

    @property
    def parts(self) -> "tuple[ImageFile, ...]":
        """The files whose channels it stacks; of all others it is itself the only one."""
        return (self,)

    @property
    def is_slice(self) -> bool:
        """Whether it is a part of a volume, below which its path lies."""
        return False

    @property
    def container(self) -> "Container | None":
        """The file that it is a part of, where a hash of that is known."""
        return None

    def read_bytes(self) -> bytes:
        """Its whole content.

        Raises:
            DataError: It cannot be read.
        """
        try:
            with self.open() as file:
                return file.read()
        except OSError as error:
            raise DataError(f"{self}: {error.strerror}", file=str(self)) from error

    def sha256(self) -> str:
        """The hash of its content, as hexadecimal digits.

        Raises:
            DataError: It cannot be read.
        """
        try:
            with self.open() as file:
                return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
        except OSError as error:
            raise DataError(f"{self}: {error.strerror}", file=str(self)) from error

    def describe(self) -> str:
        """Its place and the hash of its content.

        Raises:
            DataError: It cannot be read.
        """
        return f"{self.place} sha256:{self.sha256()}"


@dataclass(frozen=True, slots=True)
class DiskFile(ImageFile):
    """An image file that lies on the disk by itself, or a slice of a volume, whose path is below that of its file."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    @property
    def is_slice(self) -> bool:
        """See `ImageFile`."""
        return self.slice is not None

    @property
    def slice(self) -> Slice | None:
        """Which slice of a volume it is, by its path; None of a file."""
        return slice_of(self.path)

    @property
    def name(self) -> str:
        """See `ImageFile`."""
        return self.path.name

    @property
    def size(self) -> int:
        """See `ImageFile`."""
        try:
            return self.path.stat().st_size if self.slice is None else slice_stamp(self.slice)[0]
        except (OSError, UnreadableError) as error:
            raise DataError(f"{self}: {getattr(error, 'strerror', None) or error}", file=str(self)) from error

    @property
    def place(self) -> str:
        """The full path, without links."""
        return str(self.path.parent.resolve() / self.name) if self.slice else str(self.path.resolve())

    def open(self) -> BinaryIO:
        """See `ImageFile`; a pipe or a device, which would be waited for, is refused."""
        if self.slice is not None:
            try:
                return open_slice(self.slice)
            except UnreadableError as error:
                raise DataError(f"{self}: {error}", file=str(self)) from error
        if not stat.S_ISREG(self.path.stat().st_mode):
            raise DataError(f"{self}: is no plain file", file=str(self))
        return self.path.open("rb")

    def stamp(self) -> tuple[int, int]:
        """Its size and the time of its last change; -1 both where it is not there, as reading it will say."""
        try:
            if self.slice is not None:
                return slice_stamp(self.slice)
            status = self.path.stat()
        except (OSError, UnreadableError):
            return -1, -1
        return status.st_size, status.st_mtime_ns


@dataclass(frozen=True, slots=True)
class StackedFile(ImageFile):
    """Several image files whose channels are those of one image, in this order; it has no bytes of its own.

    Attributes:
        files: The files, at least two.
        labels: What each of them is called, e.g. ``A1`` and ``A2``.
    """

    files: tuple[ImageFile, ...]
    labels: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.files[0]} (+{len(self.files) - 1})"

    @property
    def parts(self) -> tuple[ImageFile, ...]:
        """See `ImageFile`."""
        return self.files

    @property
    def name(self) -> str:
        """That of the first."""
        return self.files[0].name

    @property
    def size(self) -> int:
        """Of all, in bytes."""
        return sum(file.size for file in self.files)

    @property
    def place(self) -> str:
        """Those of all."""
        return " + ".join(file.place for file in self.files)

    @property
    def container(self) -> "Container | None":
        """That of the first; a sample lies in one shard."""
        return self.files[0].container

    def open(self) -> BinaryIO:
        """Refused."""
        raise DataError(f"{self}: is a stack of {len(self.files)} files, which cannot be copied as one", file=str(self))

    def stamp(self) -> tuple[int, ...]:
        """See `ImageFile`: all numbers of all files, the latest time last."""
        stamps = [file.stamp() for file in self.files]
        return (*(number for stamp in stamps for number in stamp), max(stamp[-1] for stamp in stamps))

    def sha256(self) -> str:
        """The hash of the hashes of its files; see `ImageFile`."""
        return hashlib.sha256("\n".join(file.sha256() for file in self.files).encode()).hexdigest()
