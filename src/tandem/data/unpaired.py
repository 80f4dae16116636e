"""Finding the two domains of unpaired data: images of A and images of B that belong together in no way.

Accepted are any two folders, or for each of the splits train, val and test:

- ``DATA/trainA/*`` and ``DATA/trainB/*``, ``DATA/train/A/*`` and ``DATA/train/B/*``, and the other folders and names of
  files of `tandem.data.discover`;
- ``DATA/train/*``, side by side: the left halves are A and the right halves are B.

The domains may differ in their numbers of images and in sizes.
"""

from collections.abc import Mapping
from pathlib import Path

from tandem.config.data import LayoutChoice
from tandem.data.discover import Place, locate_splits, refuse_dataset, with_partners
from tandem.data.image_file import DiskFile
from tandem.data.listing import contents, in_natural_order, list_tree, require_folder
from tandem.data.manifest import read_manifest
from tandem.data.splits import Half, SingleImage, UnpairedSplit
from tandem.data.stacks import has_stacks, stacked_domains
from tandem.errors import DataError, listed

_LAYOUTS = """Accepted are two folders of images, or one with, for the splits train, val and test:
  DATA/trainA/*, trainB/* the images of domain A and of domain B, with any names
  DATA/train/A/*, B/*     likewise
  DATA/train/*            side by side: the left halves are A, the right halves B"""


def find_unpaired(root: Path, root_b: Path | None = None, *, layout: LayoutChoice = "auto") -> dict[str, UnpairedSplit]:
    """Find the domains of unpaired data; see the module for the layouts.

    Args:
        root: The dataset, or the folder of domain A.
        root_b: The folder of domain B; the two are the split 'train' then.
        layout: ``side_by_side`` takes the halves of files whatever their names and sizes are.

    Returns:
        The splits that are there, of train, val and test, in this order; each domain has at least one image.

    Raises:
        DataError: Everything that is wrong: no such path, the same folder twice, no or mixed layouts, a domain
            without images or without its folder, a stem that occurs twice in a domain.
    """
    for folder in (root,) if root_b is None else (root, root_b):
        require_folder(folder, _LAYOUTS)
    if root_b is None and (stacks := stacked_domains(root)) is not None:
        return stacks
    problems: list[str] = []
    if root_b is None:
        places = with_partners(locate_splits(root, problems))
    elif root.resolve() == root_b.resolve():
        raise DataError(f"Both domains are the same folder, {root}: give a folder of A and another one of B.")
    else:
        places = [Place("train", root, root_b)]
    found = {place.split: _domains(root, place, problems, layout) for place in places}
    splits = {name: split for name, split in found.items() if split is not None}
    if root_b is not None and problems:
        raise DataError(f"The two folders {root} and {root_b} cannot be used:\n{listed(problems)}")
    refuse_dataset(root, problems, found=bool(splits), layouts=_LAYOUTS)
    return splits


def find_inputs(root: Path) -> dict[str, UnpairedSplit]:
    """The split test of a dataset of which one side alone is there: ``testA`` without ``testB``, or a table's A.

    Raises:
        DataError: Something is wrong with that folder, or with the table.
    """
    table = read_manifest(root)
    if table is not None:
        return dict(table.inputs)
    found: dict[str, UnpairedSplit] = {}
    problems: list[str] = []
    for place in locate_splits(root, []) if root.is_dir() and not has_stacks(root) else []:
        if place.is_alone and place.b is not None:
            is_a = place.a.is_dir()
            folder, other = (place.a, place.b) if is_a else (place.b, place.a)
            listing = list_tree(folder, problems)
            images = _images(listing.images)
            if not images:
                problems.append(f"{folder} holds no images: it holds {contents(folder)}")
            a, b = (images, ()) if is_a else ((), images)
            note = f", without {other.name}"
            found["test"] = UnpairedSplit(root, "test", "folders", a, b, num_ignored=listing.num_ignored, note=note)
    if problems:
        raise DataError(f"The dataset {root} cannot be used:\n{listed(problems)}")
    return found


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


def _domains(root: Path, place: Place, problems: list[str], layout: LayoutChoice) -> UnpairedSplit | None:
    if place.b is None:
        return _one_folder(root, place, problems, layout)
    both = place.list_both(problems)
    if both is None:
        return None
    a, b = (_images(listing.images) for listing in both)
    num_ignored = sum(listing.num_ignored for listing in both)
    return UnpairedSplit(root, place.split, "folders", a, b, num_ignored=num_ignored)


def _one_folder(root: Path, place: Place, problems: list[str], layout: LayoutChoice) -> UnpairedSplit | None:
    """Two domains in one folder: by the names of the files, or the halves of each."""
    listing = place.list_one(problems)
    if listing is None:
        return None
    before = len(problems)
    named = place.listed_by_name(listing, problems, layout)
    note = "" if named or len(problems) > before else place.refuse_single(listing, problems, layout)
    if len(problems) > before:
        return None
    number = listing.num_ignored
    if named is not None:
        a, b = _images(named.a), _images(named.b)
        return UnpairedSplit(root, place.split, "names", a, b, num_ignored=number, called=named.described)
    a, b = _images(listing.images, "left"), _images(listing.images, "right")
    return UnpairedSplit(root, place.split, "side_by_side", a, b, num_ignored=number, note=note)


def _images(files: Mapping[str, Path], half: Half | None = None) -> tuple[SingleImage, ...]:
    return tuple(SingleImage(stem, DiskFile(files[stem]), half) for stem in in_natural_order(files))
