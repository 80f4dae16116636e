"""What a dataset loses on its way to the networks, though every file can be read."""

import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from tandem.config.data import Direction
from tandem.data.check_report import CheckReport, ValueFacts
from tandem.data.formats.zarr_files import is_zarr
from tandem.data.images import image_suffix
from tandem.data.listing import count
from tandem.data.splits import Split, folders_of

FEW_LEVELS = 32
"""Greys of fewer levels are taken for the classes of a label map."""
DARK = 0.25
"""A largest value of less than this share of white is worth a word."""
_MOST_ENTRIES = 100_000


def remarks_of(report: CheckReport, direction: Direction = "AtoB", *, ranges: Collection[str] = ()) -> list[str]:
    """Sentences on the values and pages of the files; A and B are those of the files.

    Args:
        report: What was found; its a is the model's input.
        direction: With which the data was checked.
        ranges: Sides whose value range was given.
    """
    sides = (report.values_a, report.values_b) if direction == "AtoB" else (report.values_b, report.values_a)
    return [
        sentence
        for side, values in zip("AB", sides, strict=True)
        for sentence in _of_values(side, values, has_range=side in ranges)
    ]


def _of_values(side: str, values: ValueFacts, *, has_range: bool) -> Iterator[str]:
    if values.outside:
        yield (
            f"{side}: {100 * values.outside:.2g} % of the values lie beyond --range-{side.lower()} and are cut off: "
            "widen it if they mean something"
        )
    if values.masked:
        yield f"{side}: {100 * values.masked:.2g} % of the pixels are masked: they count in no loss and no metric"
    white, highest = values.white, f"{values.highest:.0f}"
    if has_range or white is None or values.type not in ("uint8", "uint16"):
        pass
    elif values.highest == 0:
        yield f"{side}: every image is black"
    elif values.bits <= 8 and values.all_grey and values.highest < FEW_LEVELS:
        yield (
            f"{side}: grey levels 0 to {highest}: a label map? To the networks its classes are nearly the same "
            f"black: --classes-{side.lower()} {int(values.highest) + 1} shows them each class for itself"
        )
    elif values.highest < DARK * white:
        levels = round(values.highest * 255 / white) + 1
        yield (
            f"{side}: {values.bits}-bit, largest value {highest} of {white}: {levels} of 256 levels are left in "
            f"pictures of 8 bits, and the networks see {100 * values.highest / white:.2g} % of the range from black to "
            f"white: --range-{side.lower()} 0,{highest} spreads them over all of it"
        )
    if values.num_with_frames:
        yield (
            f"{side}: {count(values.num_with_frames, 'file')} with up to {values.most_frames} pages or frames, of "
            "which the first is read: save the others as files of their own"
        )


def in_subfolders(splits: Iterable[Split]) -> Iterator[str]:
    """Sentences on images that lie in subfolders of the folders that are read, where nobody looks for them."""
    folders: dict[Path, set[str]] = {}  # with the subfolders that are read
    for split in splits:
        for items in split.sequences().values() if split.shards is None and split.layout != "manifest" else ():
            read = {item.name.partition("/")[0] for item in items if "/" in item.name}
            for folder in folders_of(items[0]):
                folders.setdefault(folder.resolve(), set()).update(read)
    for folder, read in folders.items():
        found = [
            one
            for one in folder.iterdir()
            if one.is_dir() and not (is_zarr(one) or one.name.startswith(".") or one in folders or one.name in read)
        ]
        number = sum(_images_in(one) for one in found)
        if number:
            names = ", ".join(sorted(one.name for one in found)[:3]) + (", …" if len(found) > 3 else "")
            yield f"{folder}: {count(number, 'image')} in subfolders ({names}) are not read: " + (
                "they have the names of thumbnails" if read else "move them up, or all images into subfolders"
            )


def _images_in(folder: Path) -> int:
    """How many images lie in a folder and below it; counting ends where there is too much."""
    seen = number = 0
    for _, _, files in os.walk(folder):
        number += sum(image_suffix(name) is not None for name in files)
        seen += 1 + len(files)
        if seen > _MOST_ENTRIES:
            break
    return number
