"""Inputs that lie in several files: folders called A1, A2 and so on, whose images are stacked into one A.

- ``DATA/trainA1``, ``trainA2``, … beside ``DATA/trainB``;
- ``DATA/train/A1``, ``A2``, … beside ``DATA/train/B``;
- ``DATA/A1/train``, ``A2/train``, … beside ``DATA/B/train``;
- ``DATA/A1``, ``A2``, … beside ``DATA/B``, which is the split 'train'.

The channels of A1 come first, all that its files have. Files of the same stem belong together.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tandem.data.image_file import DiskFile, ImageFile, StackedFile
from tandem.data.images import read_stored
from tandem.data.layouts import SPLIT_NAMES
from tandem.data.listing import contents, count, in_natural_order, list_images
from tandem.data.splits import SPLITS, Pair, PairedSplit, SingleImage, SplitName, UnpairedSplit
from tandem.errors import DataError, listed

_NUMBERED = r"[aA]([1-9][0-9]?)"


@dataclass(frozen=True)
class _Place:
    """Where a split lies: the folders of A by their number, and that of B."""

    split: SplitName
    parts: Mapping[int, Path]
    b: Path
    single: Path
    """That of an A in one piece."""


def has_stacks(root: Path) -> bool:
    """Whether a dataset has folders of files that are stacked into one A."""
    return next(_places(root), None) is not None


def stacked_pairs(root: Path) -> dict[str, PairedSplit] | None:
    """The splits of a dataset whose A is stacked; None where there are no such folders.

    Raises:
        DataError: A number or B is missing, A is there in one piece as well, or stems have no partner.
    """
    found: dict[str, PairedSplit] = {}
    problems: list[str] = []
    for place in _places(root):
        a, b = _stack(place, problems), _listed(place.b, problems)
        problems += _alone("A", place.parts[min(place.parts)], a.keys() - b.keys(), place.b)
        problems += _alone("B", place.b, b.keys() - a.keys(), place.parts[min(place.parts)])
        pairs = tuple(Pair(stem, a[stem], DiskFile(b[stem])) for stem in in_natural_order(a.keys() & b.keys()))
        found[place.split] = PairedSplit(root, place.split, "folders", pairs, note=_note(place))
    _refuse(root, problems)
    return found or None


def stacked_domains(root: Path) -> dict[str, UnpairedSplit] | None:
    """The splits of two domains of which A is stacked; None where there are no such folders.

    Raises:
        DataError: See `stacked_pairs`.
    """
    found: dict[str, UnpairedSplit] = {}
    problems: list[str] = []
    for place in _places(root):
        a, b = _stack(place, problems), _listed(place.b, problems)
        images_a = tuple(SingleImage(stem, a[stem]) for stem in in_natural_order(a))
        images_b = tuple(SingleImage(stem, DiskFile(b[stem])) for stem in in_natural_order(b))
        found[place.split] = UnpairedSplit(root, place.split, "folders", images_a, images_b, note=_note(place))
    _refuse(root, problems)
    return found or None


def stacked_files(folders: Sequence[Path]) -> dict[str, StackedFile]:
    """The images of several folders, stacked in this order, by their stems.

    Raises:
        DataError: A folder holds no images, or stems have no partner.
    """
    problems: list[str] = []
    listings = [_listed(folder, problems) for folder in folders]
    found = _stacked(folders, listings, [folder.name for folder in folders], problems)
    if problems:
        raise DataError(f"These folders cannot be stacked:\n{listed(problems)}")
    return found


def channels_of_parts(file: ImageFile) -> dict[str, int]:
    """How many channels each file of a stack has, by its label; empty of a file by itself.

    Raises:
        ImageReadError: A file cannot be read.
    """
    if not isinstance(file, StackedFile):
        return {}
    return {label: read_stored(part).values.shape[2] for label, part in zip(file.labels, file.files, strict=True)}


def _places(root: Path) -> Iterator[_Place]:
    """The splits whose A is in numbered folders."""
    flat = True
    for split in SPLITS:
        for name in SPLIT_NAMES[split]:
            inside = [(root, rf"{name}[_\-. ]?"), (next(iter(_named(root, name)), root / name), "")]
            for folder, before in inside:
                if parts := _numbered(folder, before):
                    yield _place(split, folder, before, parts)
                    flat = False
            across = {number: path for number, path in _numbered(root, "").items() if _named(path, name)}
            if across:
                inner = {number: _named(path, name)[0] for number, path in across.items()}
                b = next(iter(_named(root, "b")), root / "B")
                yield _Place(split, inner, next(iter(_named(b, name)), b / name), root / "A" / name)
                flat = False
    if flat and (parts := _numbered(root, "")):
        yield _place("train", root, "", parts)


def _place(split: SplitName, folder: Path, before: str, parts: Mapping[int, Path]) -> _Place:
    first = parts[min(parts)]
    prefix = first.name[: -len(str(min(parts))) - 1]
    sides = [next(iter(_matching(folder, before + side)), folder / f"{prefix}{side}") for side in "BA"]
    return _Place(split, parts, *sides)


def _numbered(folder: Path, before: str) -> dict[int, Path]:
    found = {}
    for path in _matching(folder, before + _NUMBERED):
        match = re.fullmatch(before + _NUMBERED, path.name, re.IGNORECASE)
        assert match is not None
        found[int(match[1])] = path
    return found


def _named(folder: Path, name: str) -> list[Path]:
    return _matching(folder, re.escape(name))


def _matching(folder: Path, pattern: str) -> list[Path]:
    try:
        folders = [path for path in folder.iterdir() if path.is_dir()]
    except OSError:
        return []
    return sorted(path for path in folders if re.fullmatch(pattern, path.name, re.IGNORECASE))


def _stack(place: _Place, problems: list[str]) -> dict[str, StackedFile]:
    numbers = sorted(place.parts)
    folders = [place.parts[number] for number in numbers]
    if numbers != list(range(1, len(numbers) + 1)) or len(numbers) < 2:
        shown = ", ".join(str(folder) for folder in folders)
        problems.append(f"{place.split}: a stacked A is in folders A1, A2 and so on, at least two; there are {shown}")
    if place.single.is_dir():
        problems.append(f"{place.split}: both {place.single} and {folders[0]} are there; keep one of them")
    listings = [_listed(folder, problems) for folder in folders]
    return _stacked(folders, listings, [f"A{number}" for number in numbers], problems)


def _stacked(
    folders: Sequence[Path], listings: Sequence[Mapping[str, Path]], labels: Sequence[str], problems: list[str]
) -> dict[str, StackedFile]:
    stems = {stem for listing in listings for stem in listing}
    for folder, listing in zip(folders, listings, strict=True):
        if listing:
            problems += _missing(folder, stems - listing.keys(), folders)
    common = set(stems).intersection(*(listing.keys() for listing in listings))
    names = tuple(labels) if len(set(labels)) == len(labels) else tuple(f"A{n + 1}" for n in range(len(labels)))
    return {
        stem: StackedFile(tuple(DiskFile(listing[stem]) for listing in listings), names)
        for stem in in_natural_order(common)
    }


def _listed(folder: Path, problems: list[str]) -> dict[str, Path]:
    if not folder.is_dir():
        problems.append(f"{folder} is not there")
        return {}
    images = list_images(folder, problems).images
    if not images:
        problems.append(f"{folder} holds no images: it holds {contents(folder)}")
    return images


def _missing(folder: Path, stems: set[str], folders: Sequence[Path]) -> Iterator[str]:
    if stems:
        others = ", ".join(one.name for one in folders if one != folder)
        names = listed(in_natural_order(stems)).replace("\n", "\n  ")
        yield f"{folder} lacks {count(len(stems), 'image')} of {others}:\n  {names}"


def _alone(side: str, folder: Path, stems: set[str], other: Path) -> Iterator[str]:
    if stems:
        names = listed(in_natural_order(stems)).replace("\n", "\n  ")
        yield f"{count(len(stems), 'image')} of {side} in {folder} without one of the same stem in {other}:\n  {names}"


def _note(place: _Place) -> str:
    rest = ", ".join(place.parts[number].name for number in sorted(place.parts)[1:])
    return f"; stacked on A: {rest}"


def _refuse(root: Path, problems: Sequence[str]) -> None:
    if problems:
        raise DataError(f"The dataset {root} cannot be used:\n{listed(problems)}")
