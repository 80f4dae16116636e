"""Finding the pairs of a dataset folder, or saying everything that is wrong with it at once.

Accepted layouts, for each of the splits train, val and test:

- ``DATA/train/*.jpg``: side by side, A in the left half and B in the right half of each file;
- ``DATA/trainA/*`` and ``DATA/trainB/*``: two folders, files of a pair share their stem;
- ``DATA/train/A/*`` and ``DATA/train/B/*``, or ``DATA/A/train/*`` and ``DATA/B/train/*``: likewise;
- ``DATA/train/*_A.png`` and ``*_B.png``: one folder, files of a pair share their names but for the ends.

Each of these folders may hold subfolders with the images in the place of images, to any depth: the path in the folder
is the name of an image, so that ``trainA/city1/x.png`` and ``trainB/city1/x.png`` are a pair (`list_tree`).

A and B may have any of the names of `tandem.data.layouts`: input and target, images and labels, edge and photo. A
folder that holds such files or folders itself is taken as the split 'train'.

Files that are no pairs by their names are side by side if most of them are wider than high. Others are refused as
single images, unless ``--layout side_by_side`` says what they are.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from tandem.config.data import LayoutChoice
from tandem.data.formats.zarr_files import is_zarr
from tandem.data.image_file import DiskFile
from tandem.data.layouts import SPLIT_NAMES, NamedPairs, look_at_sizes, named_pairs, pairs_among
from tandem.data.listing import Listing, contents, count, in_natural_order, list_images, list_tree, require_folder
from tandem.data.manifest import find_manifest
from tandem.data.splits import SPLITS, Pair, PairedSplit
from tandem.data.stacks import stacked_pairs
from tandem.errors import DataError, listed

_LAYOUTS = """Accepted are, for the splits train, val and test:
  DATA/train/*            side by side: A is the left half, B the right half of each file
  DATA/trainA/*, trainB/* two folders: the files of a pair have the same stem
  DATA/train/A/*, B/*     likewise, and so are DATA/A/train/*, DATA/B/train/*
  DATA/train/*_A, *_B     one folder: the files of a pair have the same name but for the end
  DATA/trainA1, trainA2, … several folders, whose channels are stacked into one A
  any of them with subfolders in the place of images: trainA/city1/* and trainB/city1/*
  pairs.csv, .tsv, .jsonl a table with columns a (or a1, a2, …) and b, and may be split
A and B may be called input and target, source and target, images and labels, edges and photos, or the like."""


def find_splits(root: Path, *, layout: LayoutChoice = "auto") -> dict[str, PairedSplit]:
    """Find the splits of a dataset; see the module for the layouts.

    Args:
        root: The dataset; or a table that names its pairs, see `tandem.data.manifest`.
        layout: ``side_by_side`` takes files as pairs side by side whatever their names and sizes are.

    Returns:
        The splits that are there, of train, val and test, in this order; each has at least one pair.

    Raises:
        DataError: Everything that is wrong with the folder: no such path, no or mixed layouts, an empty
            folder, one of A and B missing, stems without partner, a stem that occurs twice.
    """
    named = find_manifest(root)
    if named is not None:
        return named
    require_folder(root, _LAYOUTS)
    if (stacks := stacked_pairs(root)) is not None:
        return stacks
    problems: list[str] = []
    splits: dict[str, PairedSplit] = {}
    for place in with_partners(locate_splits(root, problems)):
        split = _pair_folders(root, place, problems) if place.b else _one_folder(root, place, problems, layout)
        if split is not None:
            splits[place.split] = split
    refuse_dataset(root, problems, found=bool(splits), layouts=_LAYOUTS)
    return splits


def find_paired_folders(a: Path, b: Path) -> dict[str, PairedSplit]:
    """Find pairs in two folders of any names: files of the same stem are a pair.

    Args:
        a: The folder of A; it may hold one folder for each split, if `b` does so too.
        b: The folder of B.

    Raises:
        DataError: Everything that is wrong: no such path, the same folder twice, stems without partner, and so on.
    """
    for folder in (a, b):
        require_folder(folder, _LAYOUTS)
    if a.resolve() == b.resolve():
        raise DataError(f"A and B are the same folder, {a}: give a folder of A and another one of B.")
    problems: list[str] = []
    both = [(split, name) for split in SPLITS for name in _names_of(split, a, b)]
    places = [Place(split, a / name, b / name) for split, name in both] or [Place("train", a, b)]
    found = {place.split: _pair_folders(a, place, problems) for place in places}
    if problems:
        raise DataError(f"The two folders {a} and {b} cannot be used as pairs:\n{listed(problems)}")
    return {name: split for name, split in found.items() if split is not None}


@dataclass(frozen=True)
class Place:
    """Where a split lies.

    Attributes:
        split: Its name.
        a: The folder of A, or of the side-by-side files.
        b: The folder of B; None where A and B lie side by side.
    """

    split: str
    a: Path
    b: Path | None

    @property
    def is_alone(self) -> bool:
        """Whether it is a test of which one side alone is there: inputs to translate, without what should come out."""
        return self.split == "test" and self.b is not None and self.a.is_dir() != self.b.is_dir()

    def list_one(self, problems: list[str]) -> Listing | None:
        """List the folder of the side-by-side files; None, and the reason in `problems`, where it holds no images."""
        listing = list_tree(self.a, problems)
        if not listing.images:
            problems.append(f"{self.a} holds no images: it holds {contents(self.a)}")
            return None
        return listing

    def listed_by_name(self, listing: Listing, problems: list[str], layout: LayoutChoice) -> NamedPairs | None:
        """How the files of the one folder are A and B by their names; None where they are not, or it isn't clear."""
        ways = [] if layout == "side_by_side" else named_pairs(listing.images)
        if len(ways) > 1:
            found = "; ".join(way.described for way in ways)
            problems.append(f"{self.a}: the names of the files say in several ways which are A and B ({found})")
        if len(ways) != 1:
            return None
        (way,) = ways
        if way.rest:
            names = listed([path.name for path in way.rest]).replace("\n", "\n  ")
            files = count(len(way.rest), "file")
            problems.append(f"{self.a}: {way.described}, and {files} with another end:\n  {names}")
        return way

    def refuse_single(self, listing: Listing, problems: list[str], layout: LayoutChoice) -> str:
        """Append to `problems` that the files are no pairs side by side; else what there is to say of their size."""
        if layout == "auto" and (two := _two_alike(listing)):
            problems.append(
                f"{self.a} holds two folders with images of the same names, {two[0]}/ and {two[1]}/: if these are A "
                f"and B, call them A and B; if every file holds A and B side by side, add --layout side_by_side"
            )
            return ""
        files = [listing.images[stem] for stem in in_natural_order(listing.images)]
        sizes = None if layout == "side_by_side" else look_at_sizes(files)
        if sizes is None or sizes.are_doubled:
            return ""
        shown = f"{sizes.first.name} is {sizes.width} x {sizes.height} pixels"
        if sizes.are_single:
            problems.append(
                f"{self.a} holds single images, not pairs side by side: {shown}, and a file that holds A and B side by "
                "side is wider than high (twice, of square images). Put images of A and of B into two folders, such as "
                "trainA and trainB; if these are pairs side by side all the same, add --layout side_by_side "
                "('tandem sample': --pairs)"
            )
        return f"; {shown}: halves of {sizes.width // 2} x {sizes.height}, put single images into two folders"

    def list_both(self, problems: list[str]) -> tuple[Listing, Listing] | None:
        """List the two folders; None, and the reason in `problems`, where one is missing, empty or has odd files."""
        assert self.b is not None
        for present, missing in ((self.b, self.a), (self.a, self.b)):
            if not missing.is_dir():
                problems.append(f"{present} is there, but its partner {missing} is not")
                return None
        before = len(problems)
        a, b = list_tree(self.a, problems), list_tree(self.b, problems)
        problems += [f"{x.folder} holds no images: it holds {contents(x.folder)}" for x in (a, b) if not x.images]
        return (a, b) if len(problems) == before else None


def _two_alike(listing: Listing) -> tuple[str, str] | None:
    """The two folders that images lie in, where most of the images of one have a namesake in the other."""
    parts: dict[str, set[str]] = {}
    for stem in listing.images:
        first, slash, rest = stem.partition("/")
        parts.setdefault(first if slash else "", set()).add(rest or first)
    if len(parts) != 2:
        return None
    (one, names), (other, others) = parts.items()
    return (one, other) if 2 * len(names & others) > min(len(names), len(others)) else None


def locate_splits(root: Path, problems: list[str]) -> list[Place]:
    """Find where the splits of a dataset lie, in the order of `SPLITS`; append mixed layouts to `problems`."""
    before = len(problems)
    places = [place for split in SPLITS if (place := _locate_split(root, split, problems)) is not None]
    flat = _locate_flat(root, problems, allowed=not places and len(problems) == before)
    return places if flat is None else [flat]


def with_partners(places: Sequence[Place]) -> list[Place]:
    """Those that train and measure, if there are any; inputs alone are for `tandem.data.unpaired.find_inputs`."""
    return [place for place in places if not place.is_alone] or [*places]


def refuse_dataset(root: Path, problems: list[str], *, found: bool, layouts: str) -> None:
    """Raise one `DataError` with all problems, or one that says that nothing was found; else do nothing."""
    if problems:
        raise DataError(f"The dataset {root} cannot be used:\n{listed(problems)}")
    if not found:
        raise DataError(f"No images were found in {root}: it holds {contents(root)}.{_two_folders(root)}\n{layouts}")


def _two_folders(root: Path) -> str:
    """What to do with exactly two folders of images of other names."""
    folders = [root / name for name in _folders_in(root)]
    if len(folders) != 2 or not all(list_tree(folder, []).images for folder in folders):
        return ""
    a, b = folders
    return (
        f" If {a.name}/ and {b.name}/ hold A and B, call them A and B; a method for unpaired data takes both as they "
        f"are: DATA {a} and DATA_B {b}."
    )


def _locate_split(root: Path, split: str, problems: list[str]) -> Place | None:
    """Find the folder of a split, or its folders of A and B: joined names, inside, or the other way round."""
    folders = _folders_in(root)
    names = [name for name in folders if name.lower() in SPLIT_NAMES[split]]
    if len(names) > 1:
        problems.append(f"{split}: both {root / names[0]} and {names[1]} are there; keep one of them")
        return None
    inside = root / (names[0] if names else split)
    joined = [_with_official(root, f"{split}A", f"{split}B"), *_joined(root, split, folders)]
    nested = [_with_official(inside, "A", "B"), *_known(inside)]
    across = [(a / name, b / name) for a, b in _known(root) for name in _names_of(split, a, b) if (a / name).is_dir()]
    found = list(dict.fromkeys(pair for pair in (*joined, *nested, *across) if pair is not None))
    if len(found) > 1:
        shown = "; ".join(f"{a.relative_to(root)} and {b.relative_to(root)}" for a, b in found)
        problems.append(f"{split}: folders of A and B are there in several ways ({shown}); keep one of them")
        return None
    if found and found[0] not in nested and names:
        a, b = found[0]
        problems.append(
            f"{split}: both {inside} and {a.relative_to(root)}/{b.relative_to(root)} are there; keep one of them"
        )
        return None
    if found and found[0] in nested and list_images(inside, []).images:
        a, b = found[0]
        problems.append(f"{split}: {inside} holds both images and folders {a.name}/{b.name}; keep one of them")
        return None
    if found:
        return Place(split, *found[0])
    return Place(split, inside, None) if names else None


def _folders_in(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir() if path.is_dir() and not is_zarr(path))
    except OSError:
        return []


def _with_official(folder: Path, a: str, b: str) -> tuple[Path, Path] | None:
    """The folders of the official names, where at least one of them is there: the other one is missed."""
    pair = folder / a, folder / b
    return pair if any(path.is_dir() for path in pair) else None


def _known(folder: Path) -> list[tuple[Path, Path]]:
    """Folders in `folder` that are called like A and B."""
    return [(folder / a, folder / b) for a, b in pairs_among(_folders_in(folder))]


def _joined(root: Path, split: str, folders: Sequence[str]) -> Iterator[tuple[Path, Path]]:
    """Folders called like a split and A or B: ``trainA``, ``train_input``, ``input_train``."""
    for name in SPLIT_NAMES[split]:
        for pattern in (rf"{name}[_\-. ]?(.+)", rf"(.+)[_\-. ]{name}"):
            matches = {folder: re.fullmatch(pattern, folder, re.IGNORECASE) for folder in folders}
            rest = {match[1].lower(): folder for folder, match in matches.items() if match is not None}
            for a, b in pairs_among(rest):
                yield root / rest[a], root / rest[b]


def _names_of(split: str, a: Path, b: Path) -> list[str]:
    """What the split is called in two folders that hold splits."""
    both = {*_folders_in(a)} & {*_folders_in(b)}
    return [name for name in sorted(both) if name.lower() in SPLIT_NAMES[split]]


def _locate_flat(root: Path, problems: list[str], *, allowed: bool) -> Place | None:
    """Find a dataset without split folders, whose images or folders of A and B lie in `root` itself."""
    official = _with_official(root, "A", "B")
    found = list(dict.fromkeys(pair for pair in (official, *_known(root)) if pair is not None))
    if not allowed:
        if official is not None and not any(name in _all_split_names() for name in _folders_in(root / "A")):
            problems.append(f"{root} holds split folders and folders A/B; move A/B to trainA/trainB or away")
        return None
    if len(found) > 1:
        shown = "; ".join(f"{a.name} and {b.name}" for a, b in found)
        problems.append(f"{root} holds folders of A and B in several ways ({shown}); keep one of them")
        return None
    has_files = bool(list_images(root, []).images)
    if found and has_files:
        a, b = found[0]
        problems.append(f"{root} holds both images and folders {a.name}/{b.name}; keep one of them")
        return None
    if found:
        return Place("train", *found[0])
    return Place("train", root, None) if has_files else None


def _all_split_names() -> set[str]:
    return {name for names in SPLIT_NAMES.values() for name in names}


def _one_folder(root: Path, place: Place, problems: list[str], layout: LayoutChoice) -> PairedSplit | None:
    """The pairs of one folder: by their names, or side by side."""
    listing = place.list_one(problems)
    if listing is None:
        return None
    before = len(problems)
    named = place.listed_by_name(listing, problems, layout)
    if named is not None:
        problems += [*_alone(place.a, named, "a"), *_alone(place.a, named, "b")]
        stems = in_natural_order(named.a.keys() & named.b.keys())
        pairs = tuple(Pair(stem, DiskFile(named.a[stem]), DiskFile(named.b[stem])) for stem in stems)
        number = listing.num_ignored
        return PairedSplit(root, place.split, "names", pairs, num_ignored=number, called=named.described)
    if len(problems) > before:
        return None
    note = place.refuse_single(listing, problems, layout)
    return None if len(problems) > before else _side_by_side(root, place, listing, note)


def _alone(folder: Path, named: NamedPairs, side: Literal["a", "b"]) -> list[str]:
    mine, other = (named.a, named.b) if side == "a" else (named.b, named.a)
    stems = in_natural_order(mine.keys() - other.keys())
    if not stems:
        return []
    names = listed([str(PurePosixPath(stem).parent / mine[stem].name) for stem in stems]).replace("\n", "\n  ")
    end = named.ends[1 if side == "a" else 0]
    return [f"{count(len(stems), 'file')} of {folder} without a file of the same name that ends in {end}:\n  {names}"]


def _side_by_side(root: Path, place: Place, listing: Listing, note: str) -> PairedSplit:
    files = listing.images
    pairs = tuple(Pair(stem, DiskFile(files[stem]), None) for stem in in_natural_order(files))
    return PairedSplit(root, place.split, "side_by_side", pairs, num_ignored=listing.num_ignored, note=note)


def _pair_folders(root: Path, place: Place, problems: list[str]) -> PairedSplit | None:
    both = place.list_both(problems)
    if both is None:
        return None
    a, b = both
    lonely = [*_without_partner(a, b), *_without_partner(b, a)]
    if lonely:
        problems += lonely
        return None
    stems = in_natural_order(a.images)
    pairs = tuple(Pair(stem, DiskFile(a.images[stem]), DiskFile(b.images[stem])) for stem in stems)
    return PairedSplit(root, place.split, "folders", pairs, num_ignored=a.num_ignored + b.num_ignored)


def _without_partner(side: Listing, other: Listing) -> list[str]:
    stems = in_natural_order(side.images.keys() - other.images.keys())
    if not stems:
        return []
    names = listed([side.shown(stem) for stem in stems]).replace("\n", "\n  ")
    files, what = count(len(stems), "file"), "path" if any("/" in stem for stem in stems) else "stem"
    return [f"{files} of {side.folder} without a file of the same {what} in {other.folder.name}:\n  {names}"]
