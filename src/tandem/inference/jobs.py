"""What to translate: from files, folders and datasets on the command line to named inputs."""

import dataclasses
import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from tandem.config.data import DataConfig, Direction, LayoutChoice
from tandem.data.discover import find_splits, locate_splits
from tandem.data.formats.zarr_files import is_zarr
from tandem.data.hold_out import hold_out
from tandem.data.image_file import DiskFile, ImageFile, StackedFile
from tandem.data.images import image_stem, image_suffix, read_size
from tandem.data.layouts import MOST_LOOKED_AT, named_pairs
from tandem.data.listing import count, images_of, in_natural_order, list_tree
from tandem.data.manifest import has_metadata, is_manifest, read_manifest
from tandem.data.mask_files import with_masks, without_masks
from tandem.data.pixels import eight_bits
from tandem.data.shards.open import CacheOptions, ShardedData, is_shards, open_shards, read_shards
from tandem.data.splits import HELD_OUT_AFTER_TRAINING, Item, Pair, Side, SingleImage, Split, SplitName, first_split
from tandem.data.stacks import stacked_files
from tandem.data.unpaired import find_inputs, find_unpaired, looks_unpaired
from tandem.errors import ConfigError, DataError, listed
from tandem.inference.translator import Translator
from tandem.report.links import run_of
from tandem.report.progress import comparing_progress, unpacking_progress

log = logging.getLogger(__name__)

SAMPLED_ORDER: tuple[SplitName, ...] = (*HELD_OUT_AFTER_TRAINING, "train")
"""Which split of a dataset is translated unless one is named, the first one that is there."""


@dataclass(frozen=True)
class Job:
    """One input to translate.

    Attributes:
        name: Unique among the jobs; names of files start with it.
        item: A pair or a single image.
        direction: That of the translation; None for the model's own, or the first of its two.
        is_plain: Whether it is an image file that was named, or lies in a named folder of images: no pair, and no part
            of a dataset.
    """

    name: str
    item: Item
    direction: Direction | None = None
    is_plain: bool = False

    def read(self, translator: Translator) -> tuple[np.ndarray, np.ndarray | None]:
        """The input and, of a pair, the ground truth.

        Returns:
            ``(H, W, C)``, uint8, with the channels that `translator` takes and gives.

        Raises:
            DataError: A file cannot be read.
            ConfigError: The model does not translate in this direction.
        """
        a, b = self._read(translator)
        if all(levels.is_by_type for levels in translator.levels(self.direction)):
            return eight_bits(a), None if b is None else eight_bits(b)
        levels_a, levels_b = translator.levels(self.direction)
        return levels_a.picture(a), None if b is None else levels_b.picture(b)

    def read_floats(self, translator: Translator) -> tuple[np.ndarray, np.ndarray | None]:
        """The same with all the levels of their files, ``(H, W, C)``, float32, [-1, 1]."""
        a, b = self._read(translator)
        levels_a, levels_b = translator.levels(self.direction)
        floats = levels_a.to_floats(a), None if b is None else levels_b.to_floats(b)
        return np.moveaxis(floats[0], 0, 2), None if floats[1] is None else np.moveaxis(floats[1], 0, 2)

    def _read(self, translator: Translator) -> tuple[np.ndarray, np.ndarray | None]:
        return self._masked(translator)[:2]

    def _masked(self, translator: Translator) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
        spec = translator.abilities.generator(self.direction).spec
        direction = self.direction or translator.directions[0]
        levels_a, levels_b = translator.levels(self.direction)
        return self.item.read_masked(
            direction,
            channels_a=spec.in_channels,
            channels_b=spec.out_channels,
            levels_a=levels_a,
            levels_b=levels_b,
        )

    def input_file(self, translator: Translator) -> tuple[ImageFile, bool]:
        """The file of the input, and whether it is one half of it."""
        direction, files = self.direction or translator.directions[0], self.item.files
        if isinstance(self.item, SingleImage):
            return files[0], self.item.half is not None
        return files[0 if direction == "AtoB" else -1], len(files) == 1

    def input_values(self, translator: Translator) -> np.ndarray:
        """The input in the type of its file, ``(H, W, C)``; raises as `read`."""
        return self._read(translator)[0]

    def valid(self, translator: Translator) -> np.ndarray | None:
        """The pixels that count where an output is compared with its ground truth, ``(H, W)``, bool.

        None where the model masks no pixels; raises as `read`.
        """
        if translator.levels(self.direction)[0].fill is None:
            return None
        return self._masked(translator)[2]

    def valid_input(self, translator: Translator) -> np.ndarray | None:
        """The pixels of the input that hold something and are not masked, likewise."""
        levels = translator.levels(self.direction)[0]
        if levels.fill is None:
            return None
        side: Side = "a" if (self.direction or translator.directions[0]) == "AtoB" else "b"
        channels = translator.abilities.generator(self.direction).spec.in_channels
        return self.item.image(side).read_both(channels, levels)[1]

    def describe(self) -> str:
        """What is read, its files and a hash of each one's content, as text: identifies the job between runs.

        Raises:
            DataError: A file cannot be read.
        """
        return f"{' | '.join(file.describe() for file in self.item.all_files)} ({self.kind})"

    @property
    def kind(self) -> str:
        """What is read of the files: all of an image or one half, or both images of a pair."""
        if isinstance(self.item, SingleImage):
            return "image" if self.item.half is None else f"{self.item.half} half"
        return "pair"

    @property
    def is_pair(self) -> bool:
        """Whether it has a ground truth."""
        return self.kind == "pair"


@dataclass(frozen=True)
class Trained:
    """What a model says of the data that it was trained on; such as `val_split`, which divides it.

    Attributes:
        training: Of its manifest.
        cache: The folder of its run that remembers what was held out, and holds compressed shards unpacked.
    """

    training: Mapping[str, Any]
    cache: Path | None = None

    @classmethod
    def of(cls, model: Path, training: Mapping[str, Any]) -> "Trained":
        """Of a model that lies at `model`, maybe in its run."""
        run = run_of(model)
        return cls(training, None if run is None or not (run / "cache").is_dir() else run / "cache")

    @property
    def val_split(self) -> float | None:
        """What it held out of its split train; None: nothing."""
        share = self.training.get("val_split")
        return share if _is_share(share) else None

    @property
    def held_out(self) -> tuple[object, ...] | None:
        """The same for models that held the same images out of the same data; None: nothing was held out."""
        if self.val_split is None:
            return None
        return self.val_split, self.training.get("num_pairs"), self.training.get("data_fingerprint")

    @property
    def takes_masks(self) -> bool:
        """Whether it was trained with the mask files of its dataset, so that those of others are looked for."""
        options = self.training.get("options")
        return isinstance(options, Mapping) and options.get("mask") == "files"

    def divided(self, splits: Mapping[str, Split]) -> Mapping[str, Split]:
        """The splits as they were in training: with the val that it held out, if its train is in them."""
        share, number = self.val_split, self.training.get("num_pairs")
        if share is None or "val" in splits or not isinstance(number, int):
            return splits
        if "train" not in splits or len(splits["train"]) <= number:
            return splits
        divided = splits
        with suppress(DataError, ConfigError):
            divided = hold_out(splits, share, cache=self.cache, progress=comparing_progress)
        train = divided["train"]  # a fingerprint is also that of the masks, which need not be asked for here
        variants = [train] if train.facts is not None else [train, without_masks(train)]
        with suppress(DataError):
            variants += with_masks({"train": variants[-1]}, "files", required=False).values()
        known = self.training.get("data_fingerprint")
        return divided if any(one.fingerprint() == known for one in variants) else splits


def _is_share(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and value > 0 and (value < 1 or value % 1 == 0)


def find_jobs(
    inputs: Sequence[Path],
    *,
    pairs: bool = False,
    split: str | None = None,
    directions: Sequence[Direction] = (),
    masks: bool = False,
    stack: bool = False,
    trained: Trained | None = None,
) -> list[Job]:
    """Find what the command line names.

    Args:
        inputs: Image files, folders of images, or datasets (with split folders, or of shards).
        pairs: Image files are side-by-side pairs A | B, whatever their names and sizes are.
        split: Which split of dataset folders; by default test, else val, else train.
        directions: In which to translate. None: the model's own. Both: of a dataset both domains are translated,
            or there are exactly two inputs, of which the first is A and the second is B.
        masks: Whether the masks of datasets are looked for, as `Trained.takes_masks` says.
        stack: The inputs are files, or folders of files of the same stems, whose channels are those of one input.
        trained: How the model was trained, for what it has held out of these datasets.

    Raises:
        DataError: Something does not exist or holds no images; all of them are named.
        ConfigError: Both directions, but one of the domains is missing.
    """
    if stack:
        return _stacked_jobs(inputs, directions)
    found: list[Job] = []
    problems: list[str] = []
    said: set[str] = set()
    for path, direction in _with_directions(inputs, directions):
        try:
            found += _jobs(path, pairs=pairs, split=split, direction=direction, said=said, masks=masks, trained=trained)
        except DataError as error:
            problems += [str(error)] if str(error) not in problems else []
    if problems:
        raise DataError("these inputs cannot be used:\n" + listed(problems))
    if not found:
        way = " and ".join(directions) or "AtoB"
        raise DataError(
            f"{', '.join(map(str, inputs))}: there is nothing to translate {way}; the images that are there are of the "
            "other side (see --direction)."
        )
    return with_unique_names(found)


def with_given_masks(jobs: Sequence[Job], masks: Path) -> list[Job]:
    """The same jobs with other masks than their own.

    Args:
        jobs: They.
        masks: The mask of the only input, a volume with one of each, or a folder of masks of the inputs' stems.

    Raises:
        DataError: It cannot be read, or an input has none there.
    """
    problems: list[str] = []
    if _not_there(masks):
        raise DataError(f"--mask {_not_there(masks)}")
    is_folder = os.path.isdir(masks) and not is_zarr(masks)  # noqa: PTH112
    found = list_tree(masks, problems).images if is_folder else dict(images_of(masks, problems))
    if problems:
        raise DataError(f"--mask {masks} cannot be used:\n{listed(problems)}")
    if not is_folder:
        if len(found) != len(jobs):
            images, inputs = count(len(found), "image"), count(len(jobs), "input")
            raise DataError(
                f"--mask {masks} holds {images}, and there {'is' if len(jobs) == 1 else 'are'} {inputs}: give a folder "
                "of masks, each called like its input."
            )
        found = {job.item.name: path for job, path in zip(jobs, found.values(), strict=True)}
    if alone := [job.item.name for job in jobs if job.item.name not in found]:
        raise DataError(
            f"--mask {masks}: {count(len(alone), 'input')} without a mask of the same stem:\n{listed(alone)}"
        )
    return [dataclasses.replace(job, item=_masked(job.item, DiskFile(found[job.item.name]))) for job in jobs]


def _masked(item: Item, mask: ImageFile) -> Item:
    assert isinstance(item, Pair | SingleImage), "there are no others"
    return dataclasses.replace(item, mask=mask)


def _stacked_jobs(inputs: Sequence[Path], directions: Sequence[Direction]) -> list[Job]:
    """The jobs of files, or of folders, whose channels are those of one input."""
    require_inputs(inputs)
    are_files = [path.is_file() for path in inputs]
    if len(inputs) < 2 or len(set(are_files)) > 1 or len(directions) > 1:
        raise ConfigError(
            "--stack takes two files or more, or as many folders, in the order of the model's channels, and one "
            "direction.",
            option="--stack",
        )
    direction = directions[0] if directions else None
    if are_files[0]:
        labels = tuple(f"A{number}" for number in range(1, len(inputs) + 1))
        stack = StackedFile(tuple(DiskFile(path) for path in inputs), labels)
        return [Job(image_stem(inputs[0].name), SingleImage(image_stem(inputs[0].name), stack), direction)]
    return [Job(stem, SingleImage(stem, file), direction) for stem, file in stacked_files(inputs).items()]


def require_inputs(inputs: Sequence[Path]) -> None:
    """Refuse inputs that are not there, before anything else is said of them.

    Raises:
        DataError: They are not there; all of them are named.
    """
    if problems := [text for path in inputs if (text := _not_there(path))]:
        raise DataError("these inputs cannot be used:\n" + listed(problems))


def _not_there(path: Path) -> str:
    """Why there is nothing to translate; empty where there is. Names that are too long to be one raise nothing."""
    if os.path.isfile(path) or os.path.isdir(path):  # noqa: PTH112, PTH113
        return ""
    link = " (a link to something that is not there)" if os.path.islink(path) else ""  # noqa: PTH114
    return f"{path}: there is no such file or folder{link}"


def _with_directions(inputs: Sequence[Path], directions: Sequence[Direction]) -> list[tuple[Path, Direction | None]]:
    """Each path with the direction that it is translated in."""
    datasets = [_is_dataset(path) for path in inputs]
    if len(directions) < 2 or all(datasets):
        all_directions: Sequence[Direction | None] = directions or (None,)
        return [(path, direction) for path in inputs for direction in all_directions]
    if any(datasets) or len(inputs) != 2:
        raise ConfigError(
            f"both directions need a dataset folder, or a folder of A and a folder of B, not {len(inputs)} inputs: "
            "give --direction AtoB or BtoA for images of one domain."
        )
    return list(zip(inputs, directions, strict=True))


def _is_dataset(path: Path) -> bool:
    """Whether it is a folder, and none of images."""
    return os.path.isdir(path) and not (is_zarr(path) or _images_in(path) or _images_below(path))  # noqa: PTH112


def split_jobs(split: Split, directions: Sequence[Direction | None] = (None,)) -> list[Job]:
    """All pairs of a split, or the images of the domains that `directions` start from (None stands for AtoB)."""
    jobs = [Job(item.name, item, each) for each in directions for item in split.inputs(each or "AtoB")]
    return with_unique_names(jobs)


def with_unique_names(jobs: Sequence[Job]) -> list[Job]:
    """The same jobs with unique names."""
    names = unique_names([job.name for job in jobs])
    return [dataclasses.replace(job, name=name) for job, name in zip(jobs, names, strict=True)]


def unique_names(names: Sequence[str]) -> list[str]:
    """Unique names, also where upper and lower case are the same: the second ``x`` becomes ``x-2``."""
    own = {name.casefold() for name in names}
    taken: set[str] = set()
    unique = []
    for name in names:
        candidate, number = name, 1
        while candidate.casefold() in taken or (number > 1 and candidate.casefold() in own):
            number += 1
            candidate = f"{name}-{number}"
        taken.add(candidate.casefold())
        unique.append(candidate)
    return unique


def warn_of_pairs(jobs: Sequence[Job]) -> None:
    """Side-by-side pairs that are given as plain inputs would be translated as one wide image."""
    wide = []
    for job in jobs[:MOST_LOOKED_AT]:
        if job.is_plain:
            (file,) = job.item.files
            with suppress(DataError):  # an unreadable one is named when its turn comes
                width, height = read_size(file)
                wide += [file.name] if width == 2 * height else []
    if len(wide) == min(len(jobs), MOST_LOOKED_AT):
        log.warning("%s: twice as wide as high. If these are side-by-side pairs, add --pairs.", ", ".join(wide[:3]))


def _jobs(
    path: Path,
    *,
    pairs: bool,
    split: str | None,
    direction: Direction | None,
    said: set[str],
    masks: bool,
    trained: Trained | None,
) -> list[Job]:
    """The jobs of one path; how a dataset was read is said once and added to `said`."""
    if problem := _not_there(path):
        raise DataError(problem)
    if (path.is_file() and not is_manifest(path)) or is_zarr(path):
        return _plain_jobs(path, direction, pairs=pairs)
    files = _images_in(path)
    if files and (pairs or not named_pairs({file.stem: file for file in files})):
        return [job for file in files for job in _plain_jobs(file, direction, pairs=pairs)]
    if not files and (below := _images_below(path)):
        return [_plain_job(stem, image, direction, pairs=pairs) for stem, image in below.items()]
    found = _chosen(path, split, pairs=pairs, masks=masks, trained=trained)
    if found.describe() not in said:
        said.add(found.describe())
        log.info("%s", found.describe())
    return split_jobs(found, [direction])


def _chosen(path: Path, split: str | None, *, pairs: bool, masks: bool, trained: Trained | None) -> Split:
    """A split of a dataset; of single images in split folders is said how they are translated."""
    try:
        return choose_split(path, split, layout="side_by_side" if pairs else "auto", masks=masks, trained=trained)
    except DataError as error:
        plain = next((path / name for name in SAMPLED_ORDER if _images_in(path / name)), None)
        if pairs or plain is None:
            raise
        raise DataError(f"{error}\nSingle images are translated if their folder itself is named: {plain}.") from error


def choose_split(
    path: Path,
    split: str | None = None,
    *,
    layout: LayoutChoice = "auto",
    order: Sequence[SplitName] = SAMPLED_ORDER,
    masks: bool = False,
    trained: Trained | None = None,
) -> Split:
    """One split of a dataset, of folders or of shards; by default test, else val, else train.

    Args:
        path: The dataset.
        split: Which split.
        layout: How A and B lie in folders; see `tandem.data.discover`.
        order: Which split is taken unless one is named, the first one that is there.
        masks: Whether its masks are looked for; it need not have any.
        trained: See `splits_of`.

    Raises:
        DataError: There is no dataset or no such split, or some of its images have no mask.
    """
    splits = splits_of(path, layout=layout, trained=trained, masks=masks)
    chosen = splits.get(split) if split else first_split(splits, order)
    if chosen is None:
        raise DataError(f"{path} has no split '{split}', only {', '.join(splits)}")
    return chosen


def splits_of(
    path: Path, *, layout: LayoutChoice = "auto", trained: Trained | None = None, masks: bool = False
) -> Mapping[str, Split]:
    """All splits of a dataset, of pairs where it has them, else of two domains.

    Args:
        path: The dataset.
        layout: How A and B lie in folders; see `tandem.data.discover`.
        trained: How a model was trained: a val that it held out of this dataset is one of the splits.
        masks: Whether its masks are looked for; it need not have any.

    Raises:
        DataError: There is no dataset, or something is wrong with it.
    """
    found, alone = _splits_as_they_lie(path, layout, trained)
    if masks:
        found = with_masks(found, "files", required=False)
    return {**(found if trained is None else trained.divided(found)), **alone}


def _splits_as_they_lie(
    path: Path, layout: LayoutChoice, trained: Trained | None
) -> tuple[Mapping[str, Split], Mapping[str, Split]]:
    """Those with an output domain, and those with inputs alone."""
    if is_shards(path):
        shards = _read_shards(path, trained)
        return open_shards(shards, paired=not _holds_two_domains(shards)), {}
    table = read_manifest(path)
    if table is not None:
        return table.pairs, table.inputs
    alone = find_inputs(path)
    if alone and all(place.is_alone for place in locate_splits(path, [])):
        return {}, alone
    return (find_unpaired(path, layout=layout) if looks_unpaired(path) else find_splits(path, layout=layout)), alone


def has_two_domains(path: Path, trained: Trained | None = None) -> bool:
    """Whether a dataset, of folders or of shards, holds two domains and no pairs; `trained` as for `splits_of`."""
    return _holds_two_domains(_read_shards(path, trained)) if is_shards(path) else looks_unpaired(path)


def _read_shards(path: Path, trained: Trained | None) -> ShardedData:
    """Those of a folder; compressed ones are unpacked into the cache of a run, or were when it was trained."""
    cache = None if trained is None or trained.cache is None else trained.cache / "shards"
    options = None if cache is None else CacheOptions(cache, DataConfig().cache_bytes)
    with unpacking_progress() as unpacking:
        return read_shards(path, options, unpacking)


def _holds_two_domains(shards: ShardedData) -> bool:
    return all(shard.domain != "ab" for shard in shards.shards)


def _images_in(folder: Path) -> list[Path]:
    """The files of a folder that are called like images, links that lead nowhere too; folders are passed over."""
    if not os.path.isdir(folder):  # noqa: PTH112
        return []
    named = (path for path in folder.iterdir() if image_suffix(path.name) is not None or is_zarr(path))
    return sorted(path for path in named if not path.name.startswith(".") and (is_zarr(path) or not path.is_dir()))


def _images_below(folder: Path) -> dict[str, Path]:
    """The images in the subfolders of a folder that is no dataset and holds none itself, by their paths in it.

    Raises:
        DataError: See `list_tree`.
    """
    if not os.path.isdir(folder) or is_shards(folder) or locate_splits(folder, []) or has_metadata(folder):  # noqa: PTH112
        return {}
    problems: list[str] = []
    images = list_tree(folder, problems).images
    if images and problems:
        raise DataError(f"{folder} cannot be used:\n{listed(problems)}")
    return {stem: images[stem] for stem in in_natural_order(images)}


def _plain_jobs(path: Path, direction: Direction | None, *, pairs: bool) -> list[Job]:
    """A job for an image file, or for each slice of a volume."""
    problems: list[str] = []
    found = images_of(path, problems)
    if problems:
        raise DataError(listed(problems))
    return [_plain_job(stem, image, direction, pairs=pairs) for stem, image in found]


def _plain_job(stem: str, image: Path, direction: Direction | None, *, pairs: bool) -> Job:
    item = Pair(stem, DiskFile(image), None) if pairs else SingleImage(stem, DiskFile(image))
    return Job(stem, item, direction, is_plain=not pairs)
