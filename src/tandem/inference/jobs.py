"""What to translate: from files, folders and datasets on the command line to named inputs."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tandem.checkpoint.manifest import Preprocessing
from tandem.data.datasets import read_pair
from tandem.data.discover import SPLITS, Pair, PairedFolder, find_splits
from tandem.data.images import IMAGE_SUFFIXES, read_image
from tandem.data.shards.member import ImageFile, Member
from tandem.errors import DataError, listed


@dataclass(frozen=True)
class Job:
    """One input: a file, or a pair of a dataset.

    Attributes:
        name: Unique among the jobs; names of files start with it.
        source: The file, or the pair.
    """

    name: str
    source: Path | Pair

    def read(self, preprocessing: Preprocessing) -> tuple[np.ndarray, np.ndarray | None]:
        """The input and, of a pair, the truth: ``(H, W, C)`` uint8.

        Raises:
            DataError: A file cannot be read.
        """
        if isinstance(self.source, Path):
            return read_image(self.source, channels=preprocessing.input_channels), None
        return read_pair(
            self.source,
            direction=preprocessing.direction,
            channels_a=preprocessing.input_channels,
            channels_b=preprocessing.output_channels,
        )

    def describe(self) -> str:
        """The files and a hash of each one's content, as text: identifies the job between runs.

        Raises:
            DataError: A file cannot be read.
        """
        files = [self.source] if isinstance(self.source, Path) else [self.source.path_a, self.source.path_b]
        return " | ".join(describe_file(path) for path in files if path is not None)


def describe_file(path: ImageFile) -> str:
    """The full path, or the place in a shard, and the SHA-256 of the content.

    Raises:
        DataError: It cannot be read.
    """
    if isinstance(path, Member):
        return f"{path} sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error
    return f"{path.resolve()} sha256:{digest}"


def find_jobs(inputs: Sequence[Path], *, pairs: bool = False, split: str | None = None) -> list[Job]:
    """Find what the command line names.

    Args:
        inputs: Image files, folders of images, or dataset folders (with split folders).
        pairs: Image files are side-by-side pairs A | B.
        split: Which split of dataset folders; by default test, else val, else train.

    Raises:
        DataError: Something does not exist or holds no images; all of them are named.
    """
    sources: list[tuple[str, Path | Pair]] = []
    problems: list[str] = []
    for path in inputs:
        try:
            sources += _sources(path, pairs=pairs, split=split)
        except DataError as error:
            problems.append(str(error))
    if problems:
        raise DataError("these inputs cannot be used:\n" + listed(problems))
    return _named(sources)


def folder_jobs(folder: PairedFolder) -> list[Job]:
    """All pairs of a split."""
    return [Job(pair.name, pair) for pair in folder.pairs]


def _named(sources: Sequence[tuple[str, Path | Pair]]) -> list[Job]:
    """Jobs with unique names, also where upper and lower case are the same: the second ``x`` becomes ``x-2``."""
    own = {name.casefold() for name, _ in sources}
    taken: set[str] = set()
    jobs = []
    for name, source in sources:
        unique, number = name, 1
        while unique.casefold() in taken or (number > 1 and unique.casefold() in own):
            number += 1
            unique = f"{name}-{number}"
        taken.add(unique.casefold())
        jobs.append(Job(unique, source))
    return jobs


def _sources(path: Path, *, pairs: bool, split: str | None) -> list[tuple[str, Path | Pair]]:
    if path.is_file():
        return [(path.stem, _as_source(path, pairs=pairs))]
    if not path.is_dir():
        raise DataError(f"{path}: there is no such file or folder")
    files = sorted(p for p in path.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith("."))
    if files:
        return [(file.stem, _as_source(file, pairs=pairs)) for file in files]
    splits = find_splits(path)
    chosen = split or next(name for name in reversed(SPLITS) if name in splits)
    if chosen not in splits:
        raise DataError(f"{path} has no split '{chosen}', only {', '.join(splits)}")
    return [(job.name, job.source) for job in folder_jobs(splits[chosen])]


def _as_source(path: Path, *, pairs: bool) -> Path | Pair:
    return Pair(path.stem, path, None) if pairs else path
