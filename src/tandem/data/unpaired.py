"""Finding the two domains of unpaired data: images of A and images of B that belong together in no way.

Accepted are any two folders, or for each of the splits train, val and test:

- ``DATA/trainA/*`` and ``DATA/trainB/*``, or ``DATA/train/A/*`` and ``DATA/train/B/*``;
- ``DATA/train/*``, side by side: the left halves are A and the right halves are B.

The domains may differ in their numbers of images and in sizes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tandem.data.discover import Layout, Place, locate_splits, refuse_dataset, remarks_on
from tandem.data.listing import Listing, count, in_natural_order, require_folder
from tandem.data.shards.index import SplitFacts
from tandem.data.shards.member import ImageFile
from tandem.errors import DataError, listed

Half = Literal["left", "right"]

_LAYOUTS = """Accepted are two folders of images, or one with, for the splits train, val and test:
  DATA/trainA/*, trainB/* the images of domain A and of domain B, with any names
  DATA/train/A/*, B/*     likewise
  DATA/train/*            side by side: the left halves are A, the right halves B"""


@dataclass(frozen=True)
class Single:
    """One image of a domain.

    Attributes:
        name: The stem of its file, unique in its domain.
        path: The file.
        half: Which half of a side-by-side file it is; None where it is all of it.
    """

    name: str
    path: ImageFile
    half: Half | None = None


@dataclass(frozen=True)
class UnpairedFolder:
    """The two domains of one split, each in natural order of its names; the rest is as in `PairedFolder`."""

    root: Path
    split: str
    layout: Layout
    a: Sequence[Single]
    b: Sequence[Single]
    num_ignored: int = 0
    shards: str | None = None
    facts: SplitFacts | None = None

    def describe(self) -> str:
        """One line that says what was found, and where."""
        images = f"{self.split}: unpaired, {count(len(self.a), 'image')} of A"
        if self.shards is not None:
            return f"{images} and {len(self.b)} of B in {self.shards}"
        path_a, path_b = self.a[0].path, self.b[0].path
        assert isinstance(path_a, Path)
        assert isinstance(path_b, Path)
        folder_a, folder_b = path_a.parent, path_b.parent
        remarks = remarks_on(self.root, self.split, folder_a, self.num_ignored)
        if self.layout == "side_by_side":
            return f"{images} (left halves) and {len(self.b)} of B (right halves) in {folder_a}{remarks}"
        return f"{images} in {folder_a} and {len(self.b)} of B in {folder_b}{remarks}"


def find_unpaired(root: Path, root_b: Path | None = None) -> dict[str, UnpairedFolder]:
    """Find the domains of unpaired data; see the module for the layouts.

    Args:
        root: The dataset, or the folder of domain A.
        root_b: The folder of domain B; the two are the split 'train' then.

    Returns:
        The splits that are there, of train, val and test, in this order; each domain has at least one image.

    Raises:
        DataError: Everything that is wrong: no such path, the same folder twice, no or mixed layouts, a domain
            without images or without its folder, a stem that occurs twice in a domain.
    """
    for folder in (root,) if root_b is None else (root, root_b):
        require_folder(folder, _LAYOUTS)
    problems: list[str] = []
    if root_b is None:
        places = locate_splits(root, problems)
    elif root.resolve() == root_b.resolve():
        raise DataError(f"Both domains are the same folder, {root}: give a folder of A and another one of B.")
    else:
        places = [Place("train", root, root_b)]
    found = {place.split: _domains(root, place, problems) for place in places}
    folders = {split: folder for split, folder in found.items() if folder is not None}
    if root_b is not None and problems:
        raise DataError(f"The two folders {root} and {root_b} cannot be used:\n{listed(problems)}")
    refuse_dataset(root, problems, found=bool(folders), layouts=_LAYOUTS)
    return folders


def looks_unpaired(root: Path) -> bool:
    """Whether a dataset has two folders in a split of which fewer than half of the names have a partner.

    Anything else is taken as pairs, so that one file without a partner is a mistake and not another kind of data.
    Problems of the folder are not reported here.
    """
    for place in locate_splits(root, []) if root.is_dir() else []:
        both = place.list_both([]) if place.b is not None else None
        if both is not None:
            a, b = (listing.images.keys() for listing in both)
            return 2 * len(a & b) < min(len(a), len(b))
    return False


def _domains(root: Path, place: Place, problems: list[str]) -> UnpairedFolder | None:
    if place.b is None:
        listing = place.list_one(problems)
        if listing is None:
            return None
        a, b = _singles(listing, "left"), _singles(listing, "right")
        return UnpairedFolder(root, place.split, "side_by_side", a, b, listing.num_ignored)
    both = place.list_both(problems)
    if both is None:
        return None
    num_ignored = sum(listing.num_ignored for listing in both)
    return UnpairedFolder(root, place.split, "folders", _singles(both[0]), _singles(both[1]), num_ignored)


def _singles(listing: Listing, half: Half | None = None) -> tuple[Single, ...]:
    return tuple(Single(stem, listing.images[stem], half) for stem in in_natural_order(listing.images))
