"""Listing the images of folders, with words for what is wrong; see `tandem.data.discover` for datasets.

A folder that holds no images itself is listed with the folders below it: an image is called by its path there,
``city1/x``. One that holds images is listed alone, so that what somebody has put beside them (masks, thumbnails, images
that were sorted out) is never taken for data. See `list_tree` for what is refused below a folder.
"""

import difflib
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tandem.data.formats.stored import UnreadableError
from tandem.data.formats.zarr_files import is_zarr
from tandem.data.images import image_stem, image_suffix
from tandem.data.layouts import SPLIT_NAMES, pairs_among
from tandem.data.volumes import image_paths
from tandem.errors import DataError
from tandem.names import is_text

MAX_DEPTH = 16
"""Folders below each other that are listed."""
PASSED_OVER = frozenset({"thumb", "thumbs", "thumbnail", "thumbnails", "preview", "previews", "@eadir", "__macosx"})
"""Folders of small copies of images, and of what systems put beside them; in lower case."""


@dataclass(frozen=True)
class Listing:
    """The images of a folder by their stem; of those in subfolders by the path in the folder, without the ending."""

    folder: Path
    images: dict[str, Path]
    num_ignored: int
    """Files that are neither hidden nor images."""

    def shown(self, stem: str) -> str:
        """The name of an image's file, with its subfolders."""
        return str(PurePosixPath(stem).parent / self.images[stem].name)


def list_images(folder: Path, problems: list[str]) -> Listing:
    """List the images of a folder by stem; append broken links, odd names and double stems to `problems`."""
    images: dict[str, Path] = {}
    num_ignored = 0
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        problems.append(f"{folder} cannot be listed: {error.strerror}")
        return Listing(folder, {}, 0)
    for path in entries:
        if path.name.startswith(".") or (path.is_dir() and not is_zarr(path)):
            continue
        if not is_zarr(path) and image_suffix(path.name) is None:
            num_ignored += 1
        elif not (path.is_file() or is_zarr(path)):
            problems.append(f"{path} is no file, or a link to a file that is not there")
        elif not is_text(path.name):
            problems.append(f"{os.fsencode(path)!r} is not valid Unicode; rename it")
        else:
            for stem, image in images_of(path, problems):
                if stem in images:
                    problems.append(f"{path} and {images[stem].name} have the same stem; rename or remove one")
                else:
                    images[stem] = image
    return Listing(folder, images, num_ignored)


def list_tree(folder: Path, problems: list[str]) -> Listing:
    """List the images of a folder, or, where it holds none itself, those of the folders below it.

    Hidden folders and those of thumbnails are passed over. Appended to `problems` are, beside those of `list_images`:
    folders with images that are called like splits, or like A and B, since what they hold does not belong together; and
    links that lead back.
    """
    own = list_images(folder, problems)
    if own.images:
        return own
    images: dict[str, Path] = {}
    num_ignored = own.num_ignored
    waiting = [(folder, "", frozenset({_identity(folder)}))]
    while waiting:
        above, prefix, way = waiting.pop()
        for below in _subfolders(above):
            if _identity(below) in way or len(way) > MAX_DEPTH:
                problems.append(f"{below} leads back to a folder above it, or lies below {MAX_DEPTH} others")
                continue
            listing = list_images(below, problems)
            inside = f"{prefix}{below.name}/"
            num_ignored += listing.num_ignored
            images |= {inside + stem: path for stem, path in listing.images.items()}
            waiting.append((below, inside, way | {_identity(below)}))
    problems += _foreign(folder, images)
    return Listing(folder, images, num_ignored)


def _identity(folder: Path) -> tuple[int, int]:
    """What a folder is, by whichever links it is reached."""
    try:
        status = folder.stat()
    except OSError:
        return -1, -1
    return status.st_dev, status.st_ino


def _foreign(folder: Path, stems: Iterable[str]) -> Iterator[str]:
    """Sentences on folders below one another whose images do not belong together, by what they are called."""
    below: dict[str, set[str]] = {}
    for stem in stems:
        *parts, _ = stem.split("/")
        for index, part in enumerate(parts):
            below.setdefault("/".join(parts[:index]), set()).add(part)
    splits = {name for names in SPLIT_NAMES.values() for name in names}
    for prefix, names in below.items():
        for name in sorted(name for name in names if name.lower() in splits):
            yield f"{folder / prefix / name} is called like a split: name that folder itself, or the dataset above it"
        for a, b in pairs_among(names):
            yield (
                f"{folder / prefix} holds the folders {a}/ and {b}/, which are called like A and B: keep one of them "
                "there, or name them as A and B of the dataset"
            )


def _subfolders(folder: Path) -> list[Path]:
    try:
        found = sorted(path for path in folder.iterdir() if path.is_dir() and not is_zarr(path))
    except OSError:  # which listing it has said
        return []
    return [path for path in found if not path.name.startswith(".") and path.name.lower() not in PASSED_OVER]


def images_of(path: Path, problems: list[str]) -> list[tuple[str, Path]]:
    """The images of a file, the slices of a volume each by itself, with their stems; append what is wrong."""
    try:
        return [(image_stem(one.name), one) for one in image_paths(path)]
    except (UnreadableError, OSError) as error:
        problems.append(f"{path}: {getattr(error, 'strerror', None) or error}")
        return []


def require_folder(root: Path, layouts: str) -> None:
    """Check that a dataset folder is there.

    Args:
        root: The folder.
        layouts: What a dataset may look like, for the message.

    Raises:
        DataError: It is a file, or does not exist; a folder of a similar name is named.
    """
    if root.is_dir():
        return
    if root.exists():
        raise DataError(f"{root} is a file; the dataset must be a folder.\n{layouts}")
    parent = root.parent
    siblings = [path.name for path in parent.iterdir() if path.is_dir()] if parent.is_dir() else []
    near = difflib.get_close_matches(root.name, siblings, n=1, cutoff=0.5)
    hint = f" Did you mean {parent / near[0]}?" if near else ""
    reason = "" if parent.is_dir() else f" Its parent folder {parent} does not exist either."
    raise DataError(f"The dataset folder {root} does not exist.{hint}{reason}")


def contents(folder: Path) -> str:
    """Say in a few words what a folder holds, hidden entries aside."""
    try:
        entries = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        return f"nothing that can be listed ({error.strerror})"
    folders = [f"{path.name}/" for path in entries if path.is_dir()]
    suffixes = Counter(path.suffix.lower() or "no suffix" for path in entries if not path.is_dir())
    files = [f"{count(number, 'file')} ({suffix})" for suffix, number in suffixes.most_common(3)]
    more = ["…"] if len(folders) > 5 or len(suffixes) > 3 else []
    return ", ".join([*folders[:5], *files, *more]) or "nothing"


def in_natural_order(stems: Iterable[str]) -> list[str]:
    """Sort as people do, '9' before '10'; equal keys ('1' and '01') fall back on the text."""

    def key(stem: str) -> tuple[list[str | int], str]:
        parts = re.split(r"([0-9]+)", stem.casefold())
        return [int(part) if index % 2 else part for index, part in enumerate(parts)], stem

    return sorted(stems, key=key)


def count(number: int, noun: str) -> str:
    """A number with its noun: "1 file", "2 files"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
