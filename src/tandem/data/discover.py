"""Finding the pairs of a dataset folder, or saying everything that is wrong with it at once.

Accepted layouts, for each of the splits train, val and test:

- ``DATA/train/*.jpg``: side by side, A in the left half and B in the right half of each file;
- ``DATA/trainA/*`` and ``DATA/trainB/*``: two folders, files of a pair share their stem;
- ``DATA/train/A/*`` and ``DATA/train/B/*``: likewise.

A folder that holds side-by-side files itself, or folders A and B, is taken as the split 'train'.
"""

from dataclasses import dataclass
from pathlib import Path

from tandem.data.image_file import DiskFile
from tandem.data.listing import Listing, contents, count, in_natural_order, list_images, require_folder
from tandem.data.splits import SPLITS, Pair, PairedSplit
from tandem.errors import DataError, listed

_LAYOUTS = """Accepted are, for the splits train, val and test:
  DATA/train/*            side by side: A is the left half, B the right half of each file
  DATA/trainA/*, trainB/* two folders: the files of a pair have the same stem
  DATA/train/A/*, B/*     likewise"""


def find_splits(root: Path) -> dict[str, PairedSplit]:
    """Find the splits of a dataset; see the module for the layouts.

    Returns:
        The splits that are there, of train, val and test, in this order; each has at least one pair.

    Raises:
        DataError: Everything that is wrong with the folder: no such path, no or mixed layouts, an empty
            folder, one of A and B missing, stems without partner, a stem that occurs twice.
    """
    require_folder(root, _LAYOUTS)
    problems: list[str] = []
    splits: dict[str, PairedSplit] = {}
    for place in locate_splits(root, problems):
        split = _pair_folders(root, place, problems) if place.b else _side_by_side(root, place, problems)
        if split is not None:
            splits[place.split] = split
    refuse_dataset(root, problems, found=bool(splits), layouts=_LAYOUTS)
    return splits


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

    def list_one(self, problems: list[str]) -> Listing | None:
        """List the folder of the side-by-side files; None, and the reason in `problems`, where it holds no images."""
        listing = list_images(self.a, problems)
        if not listing.images:
            problems.append(f"{self.a} holds no images: it holds {contents(self.a)}")
            return None
        return listing

    def list_both(self, problems: list[str]) -> tuple[Listing, Listing] | None:
        """List the two folders; None, and the reason in `problems`, where one is missing, empty or has odd files."""
        assert self.b is not None
        for present, missing in ((self.b, self.a), (self.a, self.b)):
            if not missing.is_dir():
                problems.append(f"{present} is there, but its partner {missing} is not")
                return None
        before = len(problems)
        a, b = list_images(self.a, problems), list_images(self.b, problems)
        problems += [f"{x.folder} holds no images: it holds {contents(x.folder)}" for x in (a, b) if not x.images]
        return (a, b) if len(problems) == before else None


def locate_splits(root: Path, problems: list[str]) -> list[Place]:
    """Find where the splits of a dataset lie, in the order of `SPLITS`; append mixed layouts to `problems`."""
    before = len(problems)
    places = [place for split in SPLITS if (place := _locate_split(root, split, problems)) is not None]
    flat = _locate_flat(root, problems, allowed=not places and len(problems) == before)
    return places if flat is None else [flat]


def refuse_dataset(root: Path, problems: list[str], *, found: bool, layouts: str) -> None:
    """Raise one `DataError` with all problems, or one that says that nothing was found; else do nothing."""
    if problems:
        raise DataError(f"The dataset {root} cannot be used:\n{listed(problems)}")
    if not found:
        raise DataError(f"No images were found in {root}: it holds {contents(root)}.\n{layouts}")


def _locate_split(root: Path, split: str, problems: list[str]) -> Place | None:
    inside = root / split
    joined = (root / f"{split}A", root / f"{split}B")
    nested = (inside / "A", inside / "B")
    has_joined, has_nested = (any(folder.is_dir() for folder in pair) for pair in (joined, nested))
    if has_joined and inside.is_dir():
        problems.append(f"{split}: both {inside} and {split}A/{split}B are there; keep one of them")
        return None
    if has_nested and list_images(inside, []).images:
        problems.append(f"{split}: {inside} holds both images and folders A/B; keep one of them")
        return None
    if has_joined or has_nested:
        return Place(split, *(joined if has_joined else nested))
    return Place(split, inside, None) if inside.is_dir() else None


def _locate_flat(root: Path, problems: list[str], *, allowed: bool) -> Place | None:
    """Find a dataset without split folders, whose images or folders A and B lie in `root` itself."""
    folders = (root / "A", root / "B")
    has_folders = any(folder.is_dir() for folder in folders)
    if not allowed:
        if has_folders:
            problems.append(f"{root} holds split folders and folders A/B; move A/B to trainA/trainB or away")
        return None
    has_files = bool(list_images(root, []).images)
    if has_folders and has_files:
        problems.append(f"{root} holds both images and folders A/B; keep one of them")
        return None
    if has_folders:
        return Place("train", *folders)
    return Place("train", root, None) if has_files else None


def _side_by_side(root: Path, place: Place, problems: list[str]) -> PairedSplit | None:
    listing = place.list_one(problems)
    if listing is None:
        return None
    files = listing.images
    pairs = tuple(Pair(stem, DiskFile(files[stem]), None) for stem in in_natural_order(files))
    return PairedSplit(root, place.split, "side_by_side", pairs, num_ignored=listing.num_ignored)


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
    names = listed([side.images[stem].name for stem in stems]).replace("\n", "\n  ")
    files = count(len(stems), "file")
    return [f"{files} of {side.folder} without a file of the same stem in {other.folder.name}:\n  {names}"]
