"""What folders and files of a dataset are called by people, and what the size of a file says of it.

Folders of A and B, or files of A and B in one folder, are known by pairs of names (`NAMES_OF_PAIRS`); the first one is
A. A file that holds A and B side by side is wider than high: see `look_at_sizes`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tandem.data.image_file import DiskFile
from tandem.data.images import ImageReadError, read_size

SPLIT_NAMES: Mapping[str, tuple[str, ...]] = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
"""What the folder of a split may be called, in upper or lower case."""

NAMES_OF_PAIRS: tuple[tuple[str, str], ...] = (
    ("A", "B"),
    ("real_A", "real_B"),
    ("domainA", "domainB"),
    ("domain_A", "domain_B"),
    ("input", "target"),
    ("inputs", "targets"),
    ("input", "output"),
    ("inputs", "outputs"),
    ("input", "gt"),
    ("input", "groundtruth"),
    ("input", "ground_truth"),
    ("source", "target"),
    ("sources", "targets"),
    ("src", "tgt"),
    ("src", "dst"),
    ("src", "target"),
    ("image", "label"),
    ("images", "labels"),
    ("image", "mask"),
    ("images", "masks"),
    ("img", "label"),
    ("img", "mask"),
    ("images", "annotations"),
    ("images", "targets"),
    ("edge", "photo"),
    ("edges", "photos"),
    ("edge", "image"),
    ("edges", "images"),
    ("edge", "shoe"),
    ("edges", "shoes"),
    ("edges", "handbags"),
    ("sketch", "photo"),
    ("sketches", "photos"),
    ("sketch", "image"),
    ("sketches", "images"),
    ("label", "photo"),
    ("labels", "photos"),
    ("map", "satellite"),
    ("maps", "satellite"),
    ("day", "night"),
    ("before", "after"),
    ("noisy", "clean"),
    ("blur", "sharp"),
    ("low", "high"),
    ("lr", "hr"),
    ("gray", "color"),
    ("grey", "colour"),
)
"""What A and B are called, in upper or lower case."""

MOST_LOOKED_AT = 16
"""Files of a folder whose sizes say whether they are side by side, spread evenly over it."""


def pairs_among(names: Iterable[str]) -> list[tuple[str, str]]:
    """Every known pair of names of which both are there, as they are written there."""
    written = {name.lower(): name for name in names}
    found = [(written.get(a.lower()), written.get(b.lower())) for a, b in NAMES_OF_PAIRS]
    return [(a, b) for a, b in found if a is not None and b is not None]


@dataclass(frozen=True)
class NamedPairs:
    """Files of A and B in one folder, known by the ends of their names.

    Attributes:
        ends: How the names of A and of B end, as they are written, with what stands before: ``_edge``, ``_photo``.
        a: The files of A by what is left of their names.
        b: Those of B.
        rest: Files whose names end in another way.
    """

    ends: tuple[str, str]
    a: Mapping[str, Path]
    b: Mapping[str, Path]
    rest: tuple[Path, ...]

    @property
    def described(self) -> str:
        """Which files are A and which are B."""
        return f"A *{self.ends[0]}, B *{self.ends[1]}"


def named_pairs(images: Mapping[str, Path]) -> list[NamedPairs]:
    """How the files of a folder are pairs by their names: every way that fits most of them.

    A way fits if more than half of the files end in one of its two names, with ``_``, ``-``, ``.`` or a blank before
    it, and at least one name is there with both ends.

    Args:
        images: The files by their stems.

    Returns:
        One way for most folders of such files; none if they are no such files; several if it is not clear.
    """
    found = []
    by_end = _by_end(images)
    for a, b in NAMES_OF_PAIRS:
        for separator in "_-. ":
            ends = separator + a, separator + b
            of_a, of_b = by_end.get(ends[0].lower(), {}), by_end.get(ends[1].lower(), {})
            if not of_a.keys() & of_b.keys() or 2 * (len(of_a) + len(of_b)) <= len(images):
                continue
            taken = {*of_a.values(), *of_b.values()}
            rest = tuple(path for path in images.values() if path not in taken)
            found.append(NamedPairs((_written(of_a, ends[0]), _written(of_b, ends[1])), of_a, of_b, rest))
    best = max((len(way.a) + len(way.b) for way in found), default=0)
    # "_real_A" ends in "_A" too; what says more of the name is meant.
    best_ways = [way for way in found if len(way.a) + len(way.b) == best]
    longest = max((len(way.ends[0]) for way in best_ways), default=0)
    return [way for way in best_ways if len(way.ends[0]) == longest]


def _by_end(images: Mapping[str, Path]) -> dict[str, dict[str, Path]]:
    """The files by every known end that their names have, then by what stands before it."""
    ends = {separator + name.lower() for pair in NAMES_OF_PAIRS for name in pair for separator in "_-. "}
    found: dict[str, dict[str, Path]] = {}
    for stem, path in images.items():
        for match in re.finditer(r"[_\-. ]", stem):
            end = stem[match.start() :].lower()
            if match.start() and end in ends:
                found.setdefault(end, {})[stem[: match.start()]] = path
    return found


def _written(files: Mapping[str, Path], end: str) -> str:
    """The end of the names as the first file has it."""
    return next(iter(files.values())).stem[-len(end) :]


@dataclass(frozen=True)
class Sizes:
    """What the sizes of some files of a folder say of it.

    Attributes:
        first: A file as most of them are.
        width: Its width in pixels.
        height: Its height.
        are_single: Whether most of them are no wider than high, so that they are no pairs side by side.
    """

    first: Path
    width: int
    height: int
    are_single: bool

    @property
    def are_doubled(self) -> bool:
        """Whether it is twice as wide as high."""
        return self.width == 2 * self.height


def look_at_sizes(files: Sequence[Path]) -> Sizes | None:
    """Read the sizes of some files; None where no file could be read, which the check of the data says.

    Args:
        files: The files of a folder, in their order.
    """
    step = max(1, len(files) / MOST_LOOKED_AT)
    seen = []
    for index in range(min(len(files), MOST_LOOKED_AT)):
        path = files[int(index * step)]
        try:
            seen.append((path, *read_size(DiskFile(path))))
        except ImageReadError:
            continue
    single = [one for one in seen if one[1] <= one[2]]
    wide = [one for one in seen if one[1] > one[2]]
    if not seen:
        return None
    are_single = len(single) > len(wide)
    first, width, height = (single if are_single else wide)[0]
    return Sizes(first, width, height, are_single)
