"""Finding the pairs of a dataset folder, or saying everything that is wrong with it at once.

Accepted layouts, for each of the splits train, val and test:

- ``DATA/train/*.jpg``: side by side, A in the left half and B in the right half of each file;
- ``DATA/trainA/*`` and ``DATA/trainB/*``: two folders, files of a pair share their stem;
- ``DATA/train/A/*`` and ``DATA/train/B/*``: likewise.

A folder that holds side-by-side files itself, or folders A and B, is taken as the split 'train'.
"""

import difflib
import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tandem.data.images import IMAGE_SUFFIXES
from tandem.errors import DataError, listed

SPLITS = ("train", "val", "test")
Layout = Literal["side_by_side", "folders"]

_LAYOUTS = """Accepted are, for the splits train, val and test:
  DATA/train/*            side by side: A is the left half, B the right half of each file
  DATA/trainA/*, trainB/* two folders: the files of a pair have the same stem
  DATA/train/A/*, B/*     likewise"""


@dataclass(frozen=True)
class Pair:
    """One pair of images.

    Attributes:
        name: The stem of its files, unique in its split.
        path_a: The file of A, or the file that holds both side by side.
        path_b: The file of B, or None where A is the left half and B the right half of `path_a`.
    """

    name: str
    path_a: Path
    path_b: Path | None


@dataclass(frozen=True)
class PairedFolder:
    """The pairs of one split, in natural order of their names."""

    root: Path
    split: str
    layout: Layout
    pairs: tuple[Pair, ...]
    num_ignored: int = 0
    """Files that are neither hidden nor images."""

    def describe(self) -> str:
        """One line that says what was found, and where."""
        first = self.pairs[0]
        if first.path_b is None:
            where = f"side by side (A left | B right) in {first.path_a.parent}"
        else:
            where = f"A in {first.path_a.parent} | B in {first.path_b.parent}"
        flat = first.path_a.parent in (self.root, self.root / "A")
        note = f" (no split folders: all of it is '{self.split}')" if flat else ""
        ignored = f"; ignored: {_count(self.num_ignored, 'non-image file')}" if self.num_ignored else ""
        return f"{self.split}: {_count(len(self.pairs), 'pair')}, {where}{note}{ignored}"


@dataclass(frozen=True)
class _Listing:
    folder: Path
    images: dict[str, Path]
    num_ignored: int


def find_splits(root: Path) -> dict[str, PairedFolder]:
    """Find the splits of a dataset; see the module for the layouts.

    Returns:
        The splits that are there, of train, val and test, in this order; each has at least one pair.

    Raises:
        DataError: Everything that is wrong with the folder: no such path, no or mixed layouts, an empty
            folder, one of A and B missing, stems without partner, a stem that occurs twice.
    """
    _require_folder(root)
    problems: list[str] = []
    found = [_find_split(root, split, problems) for split in SPLITS]
    flat = _find_flat(root, problems, allowed=not problems and not any(found))
    if problems:
        raise DataError(f"The dataset {root} cannot be used:\n{listed(problems)}")
    folders = {folder.split: folder for folder in (*found, flat) if folder is not None}
    if not folders:
        raise DataError(f"No images were found in {root}: it holds {_contents(root)}.\n{_LAYOUTS}")
    return folders


def _find_split(root: Path, split: str, problems: list[str]) -> PairedFolder | None:
    """Read one split in whichever layout it has; append to `problems` what is wrong with it."""
    inside = root / split
    joined = (root / f"{split}A", root / f"{split}B")
    nested = (inside / "A", inside / "B")
    has_joined, has_nested = (any(folder.is_dir() for folder in pair) for pair in (joined, nested))
    if has_joined and inside.is_dir():
        problems.append(f"{split}: both {inside} and {split}A/{split}B are there; keep one of them")
        return None
    if has_nested and _list_images(inside, []).images:
        problems.append(f"{split}: {inside} holds both images and folders A/B; keep one of them")
        return None
    if has_joined or has_nested:
        return _pair_folders(root, split, *(joined if has_joined else nested), problems)
    return _side_by_side(root, split, inside, problems) if inside.is_dir() else None


def _find_flat(root: Path, problems: list[str], *, allowed: bool) -> PairedFolder | None:
    """Read a dataset without split folders, whose images or folders A and B lie in `root` itself."""
    folders = (root / "A", root / "B")
    has_folders = any(folder.is_dir() for folder in folders)
    if not allowed:
        if has_folders:
            problems.append(f"{root} holds split folders and folders A/B; move A/B to trainA/trainB or away")
        return None
    has_files = bool(_list_images(root, []).images)
    if has_folders and has_files:
        problems.append(f"{root} holds both images and folders A/B; keep one of them")
        return None
    if has_folders:
        return _pair_folders(root, "train", *folders, problems)
    return _side_by_side(root, "train", root, problems) if has_files else None


def _side_by_side(root: Path, split: str, folder: Path, problems: list[str]) -> PairedFolder | None:
    listing = _list_images(folder, problems)
    if not listing.images:
        problems.append(f"{folder} holds no images: it holds {_contents(folder)}")
        return None
    pairs = tuple(Pair(stem, listing.images[stem], None) for stem in _natural(listing.images))
    return PairedFolder(root, split, "side_by_side", pairs, listing.num_ignored)


def _pair_folders(root: Path, split: str, folder_a: Path, folder_b: Path, problems: list[str]) -> PairedFolder | None:
    for present, missing in ((folder_b, folder_a), (folder_a, folder_b)):
        if not missing.is_dir():
            problems.append(f"{present} is there, but its partner {missing} is not")
            return None
    before = len(problems)
    a, b = _list_images(folder_a, problems), _list_images(folder_b, problems)
    problems += [f"{x.folder} holds no images: it holds {_contents(x.folder)}" for x in (a, b) if not x.images]
    if len(problems) == before:
        problems += [*_without_partner(a, b), *_without_partner(b, a)]
    if len(problems) > before:
        return None
    pairs = tuple(Pair(stem, a.images[stem], b.images[stem]) for stem in _natural(a.images))
    return PairedFolder(root, split, "folders", pairs, a.num_ignored + b.num_ignored)


def _without_partner(side: _Listing, other: _Listing) -> list[str]:
    stems = _natural(side.images.keys() - other.images.keys())
    if not stems:
        return []
    names = listed([side.images[stem].name for stem in stems]).replace("\n", "\n  ")
    files = _count(len(stems), "file")
    return [f"{files} of {side.folder} without a file of the same stem in {other.folder.name}:\n  {names}"]


def _list_images(folder: Path, problems: list[str]) -> _Listing:
    """List the images of a folder by stem; append broken links, odd names and double stems to `problems`."""
    images: dict[str, Path] = {}
    num_ignored = 0
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        problems.append(f"{folder} cannot be listed: {error.strerror}")
        return _Listing(folder, {}, 0)
    for path in entries:
        if path.name.startswith(".") or path.is_dir():
            continue
        if path.suffix.lower() not in IMAGE_SUFFIXES:
            num_ignored += 1
        elif not path.is_file():
            problems.append(f"{path} is no file, or a link to a file that is not there")
        elif not _is_unicode(path.name):
            problems.append(f"{os.fsencode(path)!r} is not valid Unicode; rename it")
        elif path.stem in images:
            problems.append(f"{path} and {images[path.stem].name} have the same stem; rename or remove one")
        else:
            images[path.stem] = path
    return _Listing(folder, images, num_ignored)


def _require_folder(root: Path) -> None:
    if root.is_dir():
        return
    if root.exists():
        raise DataError(f"{root} is a file; the dataset must be a folder.\n{_LAYOUTS}")
    parent = root.parent
    siblings = [path.name for path in parent.iterdir() if path.is_dir()] if parent.is_dir() else []
    near = difflib.get_close_matches(root.name, siblings, n=1, cutoff=0.5)
    hint = f" Did you mean {parent / near[0]}?" if near else ""
    reason = "" if parent.is_dir() else f" Its parent folder {parent} does not exist either."
    raise DataError(f"The dataset folder {root} does not exist.{hint}{reason}")


def _contents(folder: Path) -> str:
    """Say in a few words what a folder holds, hidden entries aside."""
    try:
        entries = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        return f"nothing that can be listed ({error.strerror})"
    folders = [f"{path.name}/" for path in entries if path.is_dir()]
    suffixes = Counter(path.suffix.lower() or "no suffix" for path in entries if not path.is_dir())
    files = [f"{_count(count, 'file')} ({suffix})" for suffix, count in suffixes.most_common(3)]
    more = ["…"] if len(folders) > 5 or len(suffixes) > 3 else []
    return ", ".join([*folders[:5], *files, *more]) or "nothing"


def _natural(stems: set[str] | dict[str, Path]) -> list[str]:
    """Sort as people do, '9' before '10'; equal keys ('1' and '01') fall back on the text."""

    def key(stem: str) -> tuple[list[str | int], str]:
        parts = re.split(r"([0-9]+)", stem.casefold())
        return [int(part) if index % 2 else part for index, part in enumerate(parts)], stem

    return sorted(stems, key=key)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _is_unicode(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
