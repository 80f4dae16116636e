"""Finding the mask of every image of a dataset: files of the same stems in a folder beside those of A and B.

The folder is called M, mask or masks, where that of A is called A: ``trainM``, ``train_mask``, ``train/mask``,
``mask/train``, or ``mask`` beside folders of a dataset without splits. Of two domains each has masks of its own, in
folders with its letter: ``trainMA`` and ``trainMB``, ``train/mask_a`` and ``train/mask_b``. In shards a mask is a
member beside its images (``KEY.mask.png``), and a manifest has a column ``mask``; there an empty cell, and a sample
without a member, is an image all of whose pixels are valid.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from tandem.config.data import Mask
from tandem.data.image_file import DiskFile
from tandem.data.layouts import SPLIT_NAMES
from tandem.data.listing import count, in_natural_order, list_tree
from tandem.data.splits import Pair, PairedSplit, SingleImage, Split, UnpairedSplit, folders_of
from tandem.errors import DataError, listed

_MASK = r"(?:m|masks?)"

Kind = TypeVar("Kind", Pair, SingleImage)


def with_masks(splits: Mapping[str, Split], mask: Mask, *, required: bool = True) -> Mapping[str, Split]:
    """The splits with the masks that ``--mask`` asks for.

    Args:
        splits: As they were found.
        mask: With ``files`` the masks are looked for, otherwise a manifest that names some is refused.
        required: Whether there must be masks; otherwise splits without any stay as they are.

    Raises:
        DataError: There are no masks, or images without any; or a manifest names masks, and nobody asks for them.
    """
    if mask != "files":
        for split in splits.values():
            if split.layout == "manifest" and _has_masks(split):
                raise DataError(
                    f"{split.root} names masks {split.called}, and --mask {mask} does not look at them: pixels would "
                    "count that should not. Add --mask files, or leave out the column mask to train on whole images."
                )
        return splits
    problems: list[str] = []
    found = {name: _with_files(split, problems, required=required) for name, split in splits.items()}
    if problems:
        raise DataError(f"--mask files: the masks cannot be used:\n{listed(problems)}")
    return found


def without_masks(split: Split) -> Split:
    """The same without the masks of its images."""
    if isinstance(split, PairedSplit):
        return replace(split, pairs=tuple(replace(pair, mask=None) for pair in split.pairs))
    assert isinstance(split, UnpairedSplit)
    a, b = (tuple(replace(image, mask=None) for image in images) for images in (split.a, split.b))
    return replace(split, a=a, b=b)


def _has_masks(split: Split) -> bool:
    """Whether any item has a mask; of shards, which are read for it, the first one of each domain is asked."""
    return any(
        item.mask is not None
        for items in split.sequences().values()
        for item in (items if split.shards is None else items[:1])
    )


def _with_files(split: Split, problems: list[str], *, required: bool) -> Split:
    if _has_masks(split) or split.shards is not None or split.layout == "manifest":
        if required and not _has_masks(split):
            problems.append(f"{split.describe()}: there are no masks in it")
        return split
    if isinstance(split, PairedSplit):
        pairs, folder = _attached(split, split.pairs, "", problems, required=required)
        if folder is None:
            return split
        return replace(split, pairs=pairs, note=f"{split.note}; masks in {folder}")
    assert isinstance(split, UnpairedSplit)
    a, folder_a = _attached(split, split.a, "a", problems, required=required)
    b, folder_b = _attached(split, split.b, "b", problems, required=required)
    if folder_a is None or folder_b is None:
        return split
    return replace(split, a=a, b=b, note=f"{split.note}; masks in {folder_a} and {folder_b}")


def _attached(
    split: Split, items: Sequence[Kind], letter: str, problems: list[str], *, required: bool
) -> tuple[tuple[Kind, ...], Path | None]:
    """The items with their masks, and the folder of these; what is missing is appended to `problems`."""
    images = {folder for item in items for folder in folders_of(item)}
    first = folders_of(items[0])[0]
    folders = sorted({*_folders(split.name, first, letter)} - images)
    if not folders and not required:
        return tuple(items), None
    if len(folders) != 1:
        name = f"{split.name}M{letter.upper()}"
        wanted = f"one folder of masks beside {first}, such as {first.parent / name}"
        problems.append(
            f"{split.name}: there is no {wanted}"
            if not folders
            else f"{split.name}: masks lie in {' and in '.join(map(str, folders))}; keep {wanted}"
        )
        return tuple(items), None
    (folder,) = folders
    masks = list_tree(folder, problems).images
    alone = in_natural_order(item.name for item in items if item.name not in masks)
    if alone:
        problems.append(f"{count(len(alone), 'image')} without a mask of the same stem in {folder}:\n  {listed(alone)}")
        return tuple(items), folder
    return tuple(replace(item, mask=DiskFile(masks[item.name])) for item in items), folder


def _folders(split: str, images: Path, letter: str) -> Iterator[Path]:
    """Folders that are called like those of the masks of a split, by the folder of its images."""
    of_side = rf"{_MASK}[_\-. ]?{letter}" if letter else _MASK
    splits = "|".join(SPLIT_NAMES[split])
    parent, inside = images.parent, images.name.lower() in SPLIT_NAMES[split]
    joined = re.match(splits, images.name, re.IGNORECASE) or re.search(rf"(?:{splits})$", images.name, re.IGNORECASE)
    called = rf"(?:{splits})[_\-. ]?{of_side}|{of_side}[_\-. ](?:{splits})" if joined else of_side
    yield from (folder for folder in _folders_in(parent) if re.fullmatch(called, folder.name, re.IGNORECASE))
    for folder in _folders_in(parent.parent) if inside else ():
        named = [one for one in _folders_in(folder) if one.name.lower() in SPLIT_NAMES[split]]
        if re.fullmatch(of_side, folder.name, re.IGNORECASE):
            yield from named
    for folder in _folders_in(images):  # of files whose names say which is which, or side by side
        if re.fullmatch(of_side, folder.name, re.IGNORECASE):
            yield folder


def _folders_in(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.is_dir()]
    except OSError:
        return []
