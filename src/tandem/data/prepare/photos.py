"""Pairs from photos by a rule: the photo is the output, what the rule makes of it the input."""

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from tandem.config.data import MAX_SIDE
from tandem.config.options import Options, option
from tandem.data.array_files import encoded
from tandem.data.by_content import SplitShares
from tandem.data.formats.carried import NOTHING
from tandem.data.formats.stored import kind_of_samples
from tandem.data.image_file import DiskFile
from tandem.data.images import IMAGE_SUFFIXES, as_picture, image_suffix, read_stored
from tandem.data.listing import contents, in_natural_order
from tandem.data.metadata import read_carried
from tandem.data.pixels import resize
from tandem.data.prepare.rules import Rule, apply_rule
from tandem.data.prepare.work import Progress, Task, digests_of
from tandem.errors import DataError, listed
from tandem.names import file_stem, is_text
from tandem.rng import numpy_generator


@dataclass(frozen=True, kw_only=True)
class PhotoOptions(Options):
    """What is done to photos beside the rule."""

    side: int | None = option(
        None,
        "first scale photos down so that their shorter side has so many px; without it B is the photo's file itself",
        at_least=8,
        at_most=MAX_SIDE,
    )
    native: bool = option(
        False,
        "give rules the values and channels of files, as tandem.read_image does: 16 bits, bands, physical values; A "
        "becomes a TIFF, which keeps a GeoTIFF's place",
    )
    seed: int = option(0, "seed of what rules draw at random", at_least=0)

    @property
    def settings(self) -> dict[str, Any]:
        """All of them by name."""
        return {"side": self.side, "native": self.native, "seed": self.seed}


def photos_in(folder: Path) -> list[PurePosixPath]:
    """The images of a folder and of all folders in it, hidden ones and links to folders aside, in natural order.

    Raises:
        DataError: It is no folder, holds no images, or names that are no text.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder: give the folder of your photos.", file=folder)
    found: list[str] = []
    problems: list[str] = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            path = Path(place) / name
            if name.startswith(".") or path.suffix.lower() not in IMAGE_SUFFIXES:
                continue
            relative = path.relative_to(folder).as_posix()
            if is_text(relative):
                found.append(relative)
            else:
                problems.append(f"{os.fsencode(relative)!r}")
    if problems:
        raise DataError(f"These names of files are not valid Unicode; rename them:\n{listed(problems)}")
    if not found:
        raise DataError(f"No images were found in {folder}: it holds {contents(folder)}.", file=folder)
    return [PurePosixPath(name) for name in in_natural_order(found)]


def plan_photos(
    folder: Path, shares: SplitShares, options: PhotoOptions, on_progress: Progress | None = None
) -> list[Task]:
    """What is to be made of the photos of a folder: a pair each, in the split that its content says.

    Raises:
        DataError: See `photos_in`; or a file cannot be read.
    """
    photos = photos_in(folder)
    digests = digests_of([(DiskFile(folder / photo),) for photo in photos], on_progress)
    names = _names(photos)
    tasks = []
    for photo, digest in zip(photos, digests, strict=True):
        split, name = shares.of(digest), names[photo]
        made = ".tif" if options.native else ".png"
        ending = (image_suffix(photo.name) or "") if options.side is None else made
        targets = (f"{split}A/{name}{made}", f"{split}B/{name}{ending}")
        tasks.append(Task(str(photo), (DiskFile(folder / photo),), digest, targets))
    return tasks


def make_pair(task: Task, rule: Rule, options: PhotoOptions) -> tuple[bytes, bytes]:
    """The files of A and of B of a photo.

    Raises:
        DataError: It cannot be read, or the rule fails.
    """
    (file,) = task.sources
    stored = read_stored(file)
    if not options.native and (stored.white is None or stored.bits > 16 or not stored.num_colours):
        raise DataError(
            f"{task.key}: {stored.values.shape[2]} x {kind_of_samples(stored.values.dtype, stored.bits)} is no photo: "
            "give --native, so that the rule gets the values and channels of the file"
        )
    photo = stored.values if options.native else as_picture(stored, 3, str(file))
    before = photo.shape[:2]
    if options.side is not None:
        scale = options.side / min(before)
        height, width = (max(1, round(side * min(1.0, scale))) for side in before)
        photo = resize(photo, height, width)
    generator = numpy_generator(options.seed, f"prepare/{task.digest}")
    a, b = apply_rule(rule, photo, generator, native=options.native)
    said = read_carried(file) if options.native else NOTHING

    def file_of(image: np.ndarray, ending: str) -> bytes:
        return encoded(image, ending, said if image.shape[:2] == before else NOTHING)

    input_file = file_of(a, Path(task.targets[0]).suffix)
    if b is None and options.side is None:
        return input_file, file.read_bytes()
    ending = Path(task.targets[1]).suffix
    if ending not in (".png", ".tif", ".tiff"):
        raise DataError(
            f"{task.key}: the rule gives outputs of its own, which a {ending} would not keep: give --side, so that "
            f"they become {'TIFF' if options.native else 'PNG'}s"
        )
    return input_file, file_of(photo if b is None else b, ending)


def _names(photos: list[PurePosixPath]) -> dict[PurePosixPath, str]:
    """A name for each photo: its path without the ending, joined by ``_``; with the ending where two have the same."""
    plain = {photo: "_".join([*photo.parts[:-1], photo.stem]) for photo in photos}
    full = {photo: "_".join(photo.parts).replace(".", "-") for photo in photos}
    often = Counter(name.casefold() for name in plain.values())
    names = {photo: plain[photo] if often[plain[photo].casefold()] == 1 else full[photo] for photo in photos}
    names = {photo: file_stem(name) for photo, name in names.items()}
    doubles = [name for name, number in Counter(one.casefold() for one in names.values()).items() if number > 1]
    if doubles:
        raise DataError(f"Several photos would get these names; rename them:\n{listed(doubles)}")
    return names
