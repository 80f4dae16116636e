"""What a dataset holds: its splits, and in each of them pairs or the single images of two domains.

Nothing here says how a dataset is found; that do `tandem.data.discover`, `tandem.data.unpaired` and
`tandem.data.shards.open`. A and B are those of the files; the direction says which of them the model's input is.
"""

import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, Self, TypeVar, get_args

import numpy as np

from tandem.config.data import Direction
from tandem.data.check_report import SizeRange
from tandem.data.formats.stored import StoredImage
from tandem.data.image_file import ImageFile
from tandem.data.images import ImageReadError, read_size, read_stored
from tandem.data.levels import BY_TYPE, Levels
from tandem.data.listing import count
from tandem.data.masks import filled_values, left_out, valid_pixels
from tandem.data.pixels import eight_bits

SplitName = Literal["train", "val", "test"]
SPLITS: tuple[SplitName, ...] = get_args(SplitName)
"""All of them, in the order in which they are listed."""
HELD_OUT_WHILE_TRAINING: tuple[SplitName, ...] = ("val", "test")
"""Which split choices are made on, the first one that is there: `test` is spared if it can be."""
HELD_OUT_AFTER_TRAINING: tuple[SplitName, ...] = ("test", "val")
"""Which split a finished model is shown and measured on, the first one that is there."""

Layout = Literal["side_by_side", "folders", "names", "manifest"]
Side = Literal["a", "b"]
Domain = Literal["ab", "a", "b"]
"""What a sequence of items holds: pairs, or the images of one side."""
Half = Literal["left", "right"]


class Item(Protocol):
    """What is read together: a pair, or a single image of a domain."""

    @property
    def name(self) -> str:
        """The stem of its files, behind their subfolders and ``/`` where they lie in such, unique in its sequence."""
        ...

    @property
    def files(self) -> tuple[ImageFile, ...]:
        """The files that it is read from."""
        ...

    def image(self, side: Side) -> "SingleImage":
        """The image of one side by itself; a single image is that of whichever side it belongs to."""
        ...

    def read(
        self,
        direction: Direction,
        *,
        channels_a: int,
        channels_b: int,
        levels_a: Levels = BY_TYPE,
        levels_b: Levels = BY_TYPE,
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Read what a model takes and, of a pair, what it should give.

        Args:
            direction: AtoB, or BtoA where the files' B is the model's input.
            channels_a: Channels of the model's input.
            channels_b: Channels of the model's output.
            levels_a: Which of its values are -1 and 1.
            levels_b: Likewise of the output.

        Returns:
            Input ``(H, W, channels_a)`` and output ``(H, W, channels_b)``, each in the type of its file, by the type
            uint8 or uint16; None for the output of a single image.

        Raises:
            ImageReadError: A file is unreadable, the two differ in size, or a side-by-side file has an odd width.
        """
        ...

    def stored(self, direction: Direction) -> tuple[StoredImage, ...]:
        """What `read` starts from: the image, or those of a pair, as their files store them.

        Raises:
            ImageReadError: As `read`, but for channels and types that cannot be had.
        """
        ...

    @property
    def mask(self) -> ImageFile | None:
        """The file that says which of its pixels are valid."""
        ...

    @property
    def all_files(self) -> tuple[ImageFile, ...]:
        """Its files, and its mask where it has one."""
        ...

    def read_masked(
        self,
        direction: Direction,
        *,
        channels_a: int,
        channels_b: int,
        levels_a: Levels = BY_TYPE,
        levels_b: Levels = BY_TYPE,
    ) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
        """`read`, and which pixels are valid, ``(H, W)``, bool: None where the levels have no fill.

        Of a pair those count that hold something in both images and are not masked. The fill stands in an image where
        it holds nothing itself, or where the mask says so.
        """
        ...

    def size(self) -> tuple[int, int]:
        """Height and width of its image or images, from the headers of the files where these are enough.

        Raises:
            ImageReadError: A file is unreadable, or the images of a pair differ in size.
        """
        ...


@dataclass(frozen=True)
class SingleImage:
    """One image of a domain.

    Attributes:
        name: The stem of its file, unique in its domain.
        file: The file.
        half: Which half of a side-by-side file it is; None where it is all of it.
        mask: Says which of its pixels are valid; None where it has none.
    """

    name: str
    file: ImageFile
    half: Half | None = None
    mask: ImageFile | None = None

    @property
    def files(self) -> tuple[ImageFile, ...]:
        """See `Item`."""
        return (self.file,)

    @property
    def all_files(self) -> tuple[ImageFile, ...]:
        """See `Item`."""
        return self.files if self.mask is None else (*self.files, self.mask)

    def image(self, side: Side) -> "SingleImage":
        """See `Item`."""
        del side
        return self

    def read(
        self,
        direction: Direction,
        *,
        channels_a: int,
        channels_b: int,
        levels_a: Levels = BY_TYPE,
        levels_b: Levels = BY_TYPE,
    ) -> tuple[np.ndarray, None]:
        """See `Item`."""
        del direction, channels_b, levels_b
        return self.read_values(channels_a, levels_a), None

    def read_image(self, channels: int, levels: Levels = BY_TYPE) -> np.ndarray:
        """Read it as a picture: ``(H, W, channels)``, uint8.

        Raises:
            ImageReadError: The file is unreadable, or a side-by-side file has an odd width.
        """
        values = self.read_values(channels, levels)
        return eight_bits(values) if levels.is_by_type else levels.picture(values)

    def read_values(self, channels: int, levels: Levels = BY_TYPE) -> np.ndarray:
        """Read it as training does: ``(H, W, channels)`` in the type of its file, by the type uint8 or uint16.

        Raises:
            ImageReadError: The file is unreadable, or a side-by-side file has an odd width.
        """
        return self.read_both(channels, levels)[0]

    def read_both(self, channels: int, levels: Levels) -> tuple[np.ndarray, np.ndarray | None]:
        """`read_values`, and which pixels are valid, ``(H, W)``, bool: None where the levels have no fill."""
        (stored,) = self.stored()
        masked = left_out(self.mask, self.file, stored, levels)
        return filled_values(stored, channels, levels, masked, self.file), valid_pixels((stored,), (levels,), masked)

    def read_masked(
        self,
        direction: Direction,
        *,
        channels_a: int,
        channels_b: int,
        levels_a: Levels = BY_TYPE,
        levels_b: Levels = BY_TYPE,
    ) -> tuple[np.ndarray, None, np.ndarray | None]:
        """See `Item`."""
        del direction, channels_b, levels_b
        values, valid = self.read_both(channels_a, levels_a)
        return values, None, valid

    def stored(self, direction: Direction = "AtoB") -> tuple[StoredImage, ...]:
        """See `Item`."""
        del direction
        if self.half is None:
            return (read_stored(self.file),)
        left, right = _halves(self.file)
        return (left if self.half == "left" else right,)

    def size(self) -> tuple[int, int]:
        """See `Item`."""
        width, height = read_size(self.file)
        return height, width if self.half is None else width // 2


@dataclass(frozen=True)
class Pair:
    """One pair of images.

    Attributes:
        name: The stem of its files, unique in its split.
        file_a: The file of A, or the file that holds both side by side.
        file_b: The file of B, or None where A is the left half and B the right half of `file_a`.
        mask: Says which pixels of both are valid; None where there is none.
    """

    name: str
    file_a: ImageFile
    file_b: ImageFile | None
    mask: ImageFile | None = None

    @property
    def files(self) -> tuple[ImageFile, ...]:
        """See `Item`."""
        return (self.file_a,) if self.file_b is None else (self.file_a, self.file_b)

    @property
    def all_files(self) -> tuple[ImageFile, ...]:
        """See `Item`."""
        return self.files if self.mask is None else (*self.files, self.mask)

    def image(self, side: Side) -> SingleImage:
        """See `Item`."""
        if self.file_b is None:
            return SingleImage(self.name, self.file_a, "left" if side == "a" else "right", self.mask)
        return SingleImage(self.name, self.file_a if side == "a" else self.file_b, mask=self.mask)

    def read(
        self,
        direction: Direction,
        *,
        channels_a: int,
        channels_b: int,
        levels_a: Levels = BY_TYPE,
        levels_b: Levels = BY_TYPE,
    ) -> tuple[np.ndarray, np.ndarray]:
        """See `Item`."""
        a, b, _ = self.read_masked(
            direction, channels_a=channels_a, channels_b=channels_b, levels_a=levels_a, levels_b=levels_b
        )
        return a, b

    def read_masked(
        self,
        direction: Direction,
        *,
        channels_a: int,
        channels_b: int,
        levels_a: Levels = BY_TYPE,
        levels_b: Levels = BY_TYPE,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """See `Item`."""
        a, b = self.stored(direction)
        file_a, file_b = (self.files[0], self.files[-1])[:: 1 if direction == "AtoB" else -1]
        masked = left_out(self.mask, self.file_a, a, levels_a)
        values_a = filled_values(a, channels_a, levels_a, masked, file_a)
        values_b = filled_values(b, channels_b, levels_b, masked, file_b)
        return values_a, values_b, valid_pixels((a, b), (levels_a, levels_b), masked)

    def stored(self, direction: Direction) -> tuple[StoredImage, ...]:
        """See `Item`."""
        if self.file_b is None:
            both = _halves(self.file_a)
        else:
            both = read_stored(self.file_a), read_stored(self.file_b)
            self._require_one_size(*(one.values.shape[1::-1] for one in both))
        return both if direction == "AtoB" else both[::-1]

    def size(self) -> tuple[int, int]:
        """See `Item`."""
        if self.file_b is None:
            return self.image("a").size()
        sizes = [read_size(file) for file in (self.file_a, self.file_b)]
        self._require_one_size(*sizes)
        width, height = sizes[0]
        return height, width

    def _require_one_size(self, size_a: tuple[int, ...], size_b: tuple[int, ...]) -> None:
        """Refuse files of A and B whose ``(width, height)`` differ."""
        if size_a != size_b:
            first, second = (" x ".join(map(str, size)) for size in (size_a, size_b))
            reason = f"is {first} pixels, but its partner {self.file_b} is {second}: resize one of them"
            raise ImageReadError(str(self.file_a), reason)


def _halves(file: ImageFile) -> tuple[StoredImage, StoredImage]:
    whole = read_stored(file)
    width = whole.values.shape[1]
    if width % 2:
        reason = f"its width {width} is odd, so it is no A | B side by side: crop it or pair it anew"
        raise ImageReadError(str(file), reason)
    return whole.columns(0, width // 2), whole.columns(width // 2, width)


@dataclass(frozen=True)
class SplitFacts:
    """What is known of a split without reading it.

    Attributes:
        fingerprint: That of the folder it was packed from, see `Split.fingerprint`.
        sizes_a: Of the images of the files' A.
        sizes_b: Of those of B.
    """

    fingerprint: str
    sizes_a: SizeRange
    sizes_b: SizeRange


@dataclass(frozen=True)
class Split(ABC):
    """One split of a dataset; its items are in natural order of their names, or in that of their shards.

    Attributes:
        root: The dataset: a folder, or the URL of shards.
        name: Which split.
        layout: How the images lie on the disk.
        num_ignored: Files that are neither hidden nor images.
        shards: Where the items lie, if in shards.
        facts: What is known without reading, where not all of it can be read before training.
        called: Which files are A and B, where they lie in one folder and their names say it, or a table does.
        note: What else is said where it is described.
        share: Which part of a split it is, where ``--val-split`` has divided one.
        paired: Whether its items are pairs; single images of two domains otherwise.
    """

    root: Path | str
    name: str
    layout: Layout
    num_ignored: int = field(default=0, kw_only=True)
    shards: str | None = field(default=None, kw_only=True)
    facts: SplitFacts | None = field(default=None, kw_only=True)
    called: str | None = field(default=None, kw_only=True)
    note: str = field(default="", kw_only=True)
    share: str = field(default="", kw_only=True)

    paired: ClassVar[bool]

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.describe()}>"

    def __len__(self) -> int:
        """The samples of an epoch: the pairs, or the images of the larger domain."""
        return max(len(items) for items in self.sequences().values())

    @abstractmethod
    def sequences(self, direction: Direction = "AtoB") -> Mapping[Domain, Sequence[Item]]:
        """All items, by what they are: pairs "ab", or the images "a" and "b".

        Args:
            direction: With BtoA "a" are the images of the files' B: a is the model's input.
        """

    @abstractmethod
    def inputs(self, direction: Direction) -> Sequence[Item]:
        """What a model translates: the pairs, or the images of the domain that it starts from."""

    @abstractmethod
    def outputs(self, direction: Direction) -> Sequence[SingleImage]:
        """The real images of the domain that a model translates to."""

    @abstractmethod
    def part(self, pick: Callable[[Sequence[Any]], Sequence[Any]]) -> Self:
        """The same split with some of its items: those that `pick` returns of each sequence."""

    @abstractmethod
    def describe(self) -> str:
        """One line that says what was found, and where."""

    def fingerprint(self) -> str:
        """Hash the names, the order and the sizes in bytes of the files.

        Raises:
            DataError: A file is not there any more.
        """
        if self.facts is not None:
            return self.facts.fingerprint
        lines = [
            f"{'' if domain == 'ab' else f'{domain}/'}{item.name}\t{[file.size for file in item.all_files]}"
            for domain, items in self.sequences().items()
            for item in items
        ]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def relative(self, file: str) -> str:
        """The path of one of its files from the root of the dataset; as it is where the file lies elsewhere."""
        path = Path(file)
        return str(path.relative_to(self.root) if path.is_relative_to(self.root) else file)

    @property
    def is_flat(self) -> bool:
        """Whether the dataset has no split folders, so that all of it is this split."""
        if self.layout == "manifest" or self.share:
            return False
        items = next(items for items in self.sequences().values() if items)
        return self.shards is None and self._is_flat(folders_of(items[0])[0])

    def _is_flat(self, folder_a: Path) -> bool:
        root = Path(self.root)
        inside = folder_a.parent == root and re.search("train|val|test", folder_a.name, re.IGNORECASE) is None
        return folder_a == root or inside

    @property
    def _of_share(self) -> str:
        return f" ({self.share})" if self.share else ""

    def _remarks(self, folder_a: Path) -> str:
        """The end of the line that describes it: whether split folders are missing, and what was ignored."""
        note = f" (no split folders: all of it is '{self.name}')" if self._is_flat(folder_a) else ""
        note = self._of_share or note
        below = {item.name.rpartition("/")[0] for items in self.sequences().values() for item in items} - {""}
        note = (f", in {count(len(below), 'subfolder')}" if below else "") + note
        return (
            note + self.note + (f"; ignored: {count(self.num_ignored, 'non-image file')}" if self.num_ignored else "")
        )


@dataclass(frozen=True, repr=False)
class PairedSplit(Split):
    """The pairs of one split."""

    pairs: Sequence[Pair]

    paired = True

    def sequences(self, direction: Direction = "AtoB") -> Mapping[Domain, Sequence[Item]]:
        """See `Split`."""
        del direction
        return {"ab": self.pairs}

    def inputs(self, direction: Direction) -> Sequence[Item]:
        """See `Split`."""
        del direction
        return self.pairs

    def outputs(self, direction: Direction) -> list[SingleImage]:
        """See `Split`."""
        return [pair.image("b" if direction == "AtoB" else "a") for pair in self.pairs]

    def part(self, pick: Callable[[Sequence[Any]], Sequence[Any]]) -> Self:
        """See `Split`."""
        return replace(self, pairs=pick(self.pairs))

    def describe(self) -> str:
        """See `Split`."""
        pairs = count(len(self.pairs), "pair")
        if self.shards is not None:
            return f"{self.name}: {pairs} in {self.shards}{self._of_share}"
        if self.layout == "manifest":
            return f"{self.name}: {pairs}, {self.called} in {self.root}{self._of_share}"
        folders = folders_of(self.pairs[0])
        where = f"side by side (A left | B right) in {folders[0]}"
        if self.called is not None:
            where = f"{self.called} in {folders[0]}"
        elif len(folders) == 2:
            where = f"A in {folders[0]} | B in {folders[1]}"
        return f"{self.name}: {pairs}, {where}{self._remarks(folders[0])}"


@dataclass(frozen=True, repr=False)
class UnpairedSplit(Split):
    """The images of the two domains of one split, which may differ in number; of a test one of them may be empty."""

    a: Sequence[SingleImage]
    b: Sequence[SingleImage]

    paired = False

    def sequences(self, direction: Direction = "AtoB") -> Mapping[Domain, Sequence[SingleImage]]:
        """See `Split`."""
        return {"a": self.inputs(direction), "b": self.outputs(direction)}

    def inputs(self, direction: Direction) -> Sequence[SingleImage]:
        """See `Split`."""
        return self.a if direction == "AtoB" else self.b

    def outputs(self, direction: Direction) -> Sequence[SingleImage]:
        """See `Split`."""
        return self.b if direction == "AtoB" else self.a

    def part(self, pick: Callable[[Sequence[Any]], Sequence[Any]]) -> Self:
        """See `Split`."""
        return replace(self, a=pick(self.a), b=pick(self.b))

    def describe(self) -> str:
        """See `Split`."""
        if not (self.a and self.b):
            return self._describe_inputs()
        images = f"{self.name}: unpaired, {count(len(self.a), 'image')} of A"
        if self.shards is not None:
            return f"{images} and {len(self.b)} of B in {self.shards}{self._of_share}"
        folder_a, folder_b = folders_of(self.a[0])[0], folders_of(self.b[0])[0]
        remarks = self._remarks(folder_a)
        if self.called is not None:
            return f"{images} and {len(self.b)} of B ({self.called}) in {folder_a}{remarks}"
        if self.layout == "side_by_side":
            return f"{images} (left halves) and {len(self.b)} of B (right halves) in {folder_a}{remarks}"
        return f"{images} in {folder_a} and {len(self.b)} of B in {folder_b}{remarks}"

    def _describe_inputs(self) -> str:
        side, items = ("A", self.a) if self.a else ("B", self.b)
        images = f"{self.name}: {count(len(items), 'image')} of {side} alone"
        if self.layout == "manifest":
            return f"{images}, {self.called} in {self.root}"
        folder = folders_of(items[0])[0]
        return f"{images}, in {folder}{self._remarks(folder)}"


def folders_of(item: Item) -> list[Path]:
    """The folders that were listed for the files of an item, which may lie in subfolders of them, or in volumes."""
    parts = (part for file in item.files for part in file.parts)
    return [Path(str(part)).parents[item.name.count("/") + part.is_slice] for part in parts]


AnySplit = TypeVar("AnySplit", bound=Split)


def first_split(splits: Mapping[str, AnySplit], order: Sequence[SplitName]) -> AnySplit | None:
    """The first split of an order that is there, such as `HELD_OUT_AFTER_TRAINING`; None if none of them is."""
    return next((splits[name] for name in order if name in splits), None)
