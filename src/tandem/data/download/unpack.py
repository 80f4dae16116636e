"""From an archive to a folder of images: only images are written, each into its split or domain."""

import errno
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tandem.data.download.archive import ArchiveLimits, ArchiveMember, members
from tandem.data.download.catalogue import Kind
from tandem.data.images import IMAGE_SUFFIXES
from tandem.data.splits import SPLITS
from tandem.errors import DataError

_CHUNK = 1 << 18
_PAIRED, _UNPAIRED = frozenset(SPLITS), frozenset(f"{split}{domain}" for split in SPLITS for domain in "AB")


@dataclass(frozen=True)
class Unpacked:
    """What an archive held.

    Attributes:
        num_images: Images that were written.
        num_left_out: Other files, and images of folders that this kind of dataset does not use.
    """

    num_images: int
    num_left_out: int


def unpack(
    archive: Path,
    folder: Path,
    kind: Kind,
    *,
    limits: ArchiveLimits | None = None,
    on_image: Callable[[int], None] = lambda _count: None,
) -> Unpacked:
    """Write the images of `archive` into `folder`, which is made and must not exist.

    An image keeps its name and the folder that it lies in; folders above that are dropped. Of pairs only the folders
    train, val and test are taken, of unpaired images only trainA, trainB and so on: some archives hold both.

    Args:
        archive: A zip or tar.gz archive.
        folder: Where the images go.
        kind: What the dataset is made of.
        limits: How much the archive may hold.
        on_image: Called with the number of images so far.

    Raises:
        DataError: The archive is damaged or holds what is not allowed. What was written stays: `folder` should be a
            temporary one.
    """
    folder.mkdir(parents=True)
    num_images, num_left_out = 0, 0
    targets: set[str] = set()
    try:
        for member in members(archive, limits or ArchiveLimits()):
            target = _target(member.parts, kind)
            if target is None:
                num_left_out += 1
                continue
            if target.casefold() in targets:
                raise DataError(f"two files would become {target}")
            targets.add(target.casefold())
            _write(member, folder / target)
            num_images += 1
            on_image(num_images)
    except DataError as error:
        raise DataError(f"{archive.name} is not unpacked: {error}.") from error
    except MemoryError:
        raise
    except Exception as error:
        # Of bzip2 and of a local header before the archive, the readers say so in an error of the system's kind.
        if isinstance(error, OSError) and error.errno not in {None, errno.EINVAL}:
            raise
        raise DataError(f"{archive.name} is damaged or cut off ({type(error).__name__}: {error}).") from error
    return Unpacked(num_images, num_left_out)


def count_images(folder: Path) -> dict[str, int]:
    """The number of images in each folder inside `folder`, and in itself as `.`; empty ones are left out."""
    counts = {}
    for place in [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]:
        with os.scandir(place) as entries:
            number = sum(_is_image(entry.name) and entry.is_file() for entry in entries)
        if number:
            counts[place.name if place != folder else "."] = number
    return counts


def describe_counts(counts: Mapping[str, int | None]) -> str:
    """`train 400 · val ? · test 106`: a question mark is a number that nobody has verified."""
    texts = [f"{name} {'?' if number is None else f'{number:,}'}" for name, number in counts.items()]
    return " · ".join(texts) or "?"


def _target(parts: tuple[str, ...], kind: Kind) -> str | None:
    """Where an image goes, or None for a file that is left out."""
    *folders, name = parts
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in parts)
    if hidden or not _is_image(name):
        return None
    inner = folders[-1] if folders else ""
    if inner in _PAIRED | _UNPAIRED:
        used = {"paired": _PAIRED, "unpaired": _UNPAIRED, "single": _PAIRED | _UNPAIRED}[kind]
        return f"{inner}/{name}" if inner in used else None
    if kind != "single":
        return None
    return f"{inner}/{name}" if len(folders) > 1 else name


def _is_image(name: str) -> bool:
    return Path(name).suffix.lower() in IMAGE_SUFFIXES and not name.startswith(".")


def _write(member: ArchiveMember, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    written = 0
    with path.open("xb") as file:
        while chunk := member.read(_CHUNK):
            written += len(chunk)
            if written > member.size:
                raise DataError(f"{path.name} is longer than announced")
            file.write(chunk)
    if written != member.size:
        raise EOFError(f"{path.name} has {written:,} of {member.size:,} bytes")
