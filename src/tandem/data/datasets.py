"""The pairs of a split as samples, numbered without end from the start of the run."""

from typing import TYPE_CHECKING, Literal, TypedDict

import numpy as np

from tandem.data.augment import EvalTransform, PairTransform
from tandem.data.discover import Pair, PairedFolder
from tandem.data.images import ImageReadError, convert_channels, read_native, to_tensor
from tandem.errors import DataError
from tandem.rng import numpy_generator

if TYPE_CHECKING:
    import torch

Direction = Literal["AtoB", "BtoA"]


class Sample(TypedDict):
    """One pair for the model: `a` its input, `b` its output, ``(C, H, W)``, float32, [-1, 1]."""

    a: "torch.Tensor"
    b: "torch.Tensor"
    name: str
    position: int


def read_pair(pair: Pair, *, direction: Direction, channels_a: int, channels_b: int) -> tuple[np.ndarray, np.ndarray]:
    """Read the input and the output of a model from files.

    Args:
        pair: The files.
        direction: AtoB, or BtoA where the files' B (the right half) is the model's input.
        channels_a: Channels of the model's input, 1 to 4.
        channels_b: Channels of the model's output, 1 to 4.

    Returns:
        Input ``(H, W, channels_a)`` and output ``(H, W, channels_b)``, uint8.

    Raises:
        ImageReadError: A file is unreadable, the two differ in size, or a side-by-side file has an odd width.
    """
    first = read_native(pair.path_a)
    if pair.path_b is None:
        width = first.shape[1]
        if width % 2:
            reason = f"its width {width} is odd, so it is no A | B side by side: crop it or pair it anew"
            raise ImageReadError(str(pair.path_a), reason)
        first, second = first[:, : width // 2], first[:, width // 2 :]
    else:
        second = read_native(pair.path_b)
        if first.shape[:2] != second.shape[:2]:
            sizes = [f"{array.shape[1]} x {array.shape[0]}" for array in (first, second)]
            reason = f"is {sizes[0]} pixels, but its partner {pair.path_b} is {sizes[1]}: resize one of them"
            raise ImageReadError(str(pair.path_a), reason)
    a, b = (first, second) if direction == "AtoB" else (second, first)
    return convert_channels(a, channels_a), convert_channels(b, channels_b)


class PairedDataset:
    """Samples of a split by their position in the run.

    Position p lies in epoch ``p // len(self)``; each epoch shows every pair once, in an order drawn from
    (seed, epoch). The crop and flip of a sample are drawn from (seed, position). So a sample depends on its
    position alone, whoever reads it.

    Args:
        folder: The split.
        transform: What is done to both images of a pair.
        direction: AtoB, or BtoA where the files' B (the right half) is the model's input.
        channels_a: Channels of the model's input, after `direction`.
        channels_b: Channels of the model's output, after `direction`.
        seed: The seed of the run.
        shuffle: False keeps the order of the folder in every epoch.
    """

    def __init__(
        self,
        folder: PairedFolder,
        *,
        transform: PairTransform | EvalTransform,
        direction: Direction,
        channels_a: int,
        channels_b: int,
        seed: int,
        shuffle: bool = True,
    ) -> None:
        self.folder = folder
        self.transform = transform
        self.direction: Direction = direction
        self.channels_a = channels_a
        self.channels_b = channels_b
        self.seed = seed
        self.shuffle = shuffle
        self._order: tuple[int, np.ndarray] | None = None

    def __len__(self) -> int:
        """The number of pairs."""
        return len(self.folder.pairs)

    def __getitem__(self, position: int) -> Sample:
        """The sample at a position in the run, from 0 without end.

        Raises:
            DataError: A file cannot be read or is too small for the crop.
        """
        pair = self.folder.pairs[self.index_at(position)]
        a, b = self._read(pair)
        match self.transform:
            case PairTransform() as transform:
                generator = numpy_generator(self.seed, "augment", position=position)
                try:
                    a, b = transform(a, b, generator)
                except DataError as error:
                    raise DataError(f"{pair.path_a}: {error}") from error
            case EvalTransform() as transform:
                a, b = transform(a, b)
        return Sample(a=to_tensor(a), b=to_tensor(b), name=pair.name, position=position)

    def index_at(self, position: int) -> int:
        """The index in `folder.pairs` of the sample at a position."""
        epoch, offset = divmod(position, len(self))
        if not self.shuffle:
            return offset
        if self._order is None or self._order[0] != epoch:
            order = numpy_generator(self.seed, "order", position=epoch).permutation(len(self))
            self._order = epoch, order
        return int(self._order[1][offset])

    def pair_at(self, index: int) -> Sample:
        """Pair number `index` of the folder, resized to the size of the samples, without crop or flip.

        Its `position` is `index`.
        """
        transform = self.transform
        if isinstance(transform, PairTransform):
            transform = EvalTransform(transform.crop_size)
        pair = self.folder.pairs[index]
        a, b = transform(*self._read(pair))
        return Sample(a=to_tensor(a), b=to_tensor(b), name=pair.name, position=index)

    def _read(self, pair: Pair) -> tuple[np.ndarray, np.ndarray]:
        return read_pair(pair, direction=self.direction, channels_a=self.channels_a, channels_b=self.channels_b)
