"""Pairs, or images of two domains, as samples that are numbered without end from the start of the run."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from tandem.data.augment import CropWindow, EvalTransform, TrainTransform
from tandem.data.discover import Pair, PairedFolder
from tandem.data.images import ImageReadError, convert_channels, read_native, to_tensor
from tandem.data.order import GlobalOrder, Order
from tandem.data.samples import Sample, SampleDataset
from tandem.data.shards.member import ImageFile
from tandem.data.unpaired import Single, UnpairedFolder
from tandem.rng import numpy_generator

Direction = Literal["AtoB", "BtoA"]


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
    if pair.path_b is None:
        first, second = _halves(pair.path_a)
    else:
        first, second = read_native(pair.path_a), read_native(pair.path_b)
        if first.shape[:2] != second.shape[:2]:
            sizes = [f"{array.shape[1]} x {array.shape[0]}" for array in (first, second)]
            reason = f"is {sizes[0]} pixels, but its partner {pair.path_b} is {sizes[1]}: resize one of them"
            raise ImageReadError(str(pair.path_a), reason)
    a, b = (first, second) if direction == "AtoB" else (second, first)
    return convert_channels(a, channels_a), convert_channels(b, channels_b)


def read_single(single: Single, *, channels: int) -> np.ndarray:
    """Read one image of a domain: ``(H, W, channels)``, uint8.

    Raises:
        ImageReadError: The file is unreadable, or a side-by-side file has an odd width.
    """
    if single.half is None:
        return convert_channels(read_native(single.path), channels)
    left, right = _halves(single.path)
    return convert_channels(left if single.half == "left" else right, channels)


def _halves(path: ImageFile) -> tuple[np.ndarray, np.ndarray]:
    whole = read_native(path)
    width = whole.shape[1]
    if width % 2:
        reason = f"its width {width} is odd, so it is no A | B side by side: crop it or pair it anew"
        raise ImageReadError(str(path), reason)
    return whole[:, : width // 2], whole[:, width // 2 :]


class PairedDataset(SampleDataset):
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
        order: In which the pairs come; by default shuffled anew in each epoch.
    """

    def __init__(
        self,
        folder: PairedFolder,
        *,
        transform: TrainTransform | EvalTransform,
        direction: Direction,
        channels_a: int,
        channels_b: int,
        seed: int,
        order: Order | None = None,
    ) -> None:
        super().__init__(transform, seed=seed, channels_a=channels_a, channels_b=channels_b)
        self.folder = folder
        self.direction: Direction = direction
        self._order = order or GlobalOrder(seed, len(folder.pairs))

    def __len__(self) -> int:
        """The number of pairs."""
        return len(self.folder.pairs)

    @property
    def num_slots(self) -> int:
        """The number of pairs."""
        return len(self)

    def slots_at(self, position: int) -> tuple[int, ...]:
        """See `SampleDataset`."""
        return (self.index_at(position),)

    def windows_at(self, position: int, sizes: Sequence[tuple[int, int]]) -> list[CropWindow]:
        """See `SampleDataset`; both images of the pair by the same draw."""
        return [self.transform.draw(*sizes[0], numpy_generator(self.seed, "augment", position=position))]

    def name_of(self, slots: Sequence[int]) -> str:
        """The name of the pair."""
        return self.folder.pairs[slots[0]].name

    def keep(self, index: int, images: Mapping[str, np.ndarray]) -> None:
        """Keep pair `index` decoded, where anything is: `images` are "a" and "b" ``(H, W, C)`` at native size."""
        self._keep(index, [images["a"], images["b"]])

    def index_at(self, position: int) -> int:
        """The index in `folder.pairs` of the sample at a position."""
        return self._order.index(*divmod(position, len(self)))

    def files_at(self, position: int) -> list[str]:
        """The files that the sample at a position is read from."""
        pair = self.folder.pairs[self.index_at(position)]
        return [str(path) for path in (pair.path_a, pair.path_b) if path is not None]

    def pair_at(self, index: int, number: int | None = None) -> Sample:
        """Pair `index` of `number` evenly spaced ones (by default of all), of the size of the samples, not flipped.

        It is resized without a crop; its `position` is `index`.
        """
        pair = self.folder.pairs[index * len(self) // (number or len(self))]
        a, b = EvalTransform(self.transform.size)(self._read(pair))
        return Sample(a=to_tensor(a), b=to_tensor(b), name=pair.name, position=index)

    def _read_slot(self, slot: int) -> tuple[list[np.ndarray], ImageFile]:
        pair = self.folder.pairs[slot]
        return list(self._read(pair)), pair.path_a

    def _read(self, pair: Pair) -> tuple[np.ndarray, np.ndarray]:
        return read_pair(pair, direction=self.direction, channels_a=self.channels_a, channels_b=self.channels_b)


class UnpairedDataset(SampleDataset):
    """Samples of two domains by their position in the run.

    An epoch has as many positions as the larger domain has images. In each, the images of the model's input domain
    come in an order drawn from (seed, epoch), again and again: all of them before one is repeated. The image of the
    other domain is drawn from (seed, position), as in the CycleGAN paper (arXiv 1703.10593). Crops and flips are drawn
    from (seed, position) for each domain by itself. So a sample depends on its position alone, whoever reads it.

    Args:
        folder: The split.
        transform: What is done to each image.
        direction: AtoB, or BtoA where the files' domain B is the model's input.
        channels_a: Channels of the model's input, after `direction`.
        channels_b: Channels of the model's output, after `direction`.
        seed: The seed of the run.
        orders: In which the images of the two domains of the model come; by default shuffled anew in each epoch.
    """

    def __init__(
        self,
        folder: UnpairedFolder,
        *,
        transform: TrainTransform | EvalTransform,
        direction: Direction,
        channels_a: int,
        channels_b: int,
        seed: int,
        orders: tuple[Order, Order] | None = None,
    ) -> None:
        super().__init__(transform, seed=seed, channels_a=channels_a, channels_b=channels_b)
        self.folder = folder
        self.a, self.b = (folder.a, folder.b) if direction == "AtoB" else (folder.b, folder.a)
        self._orders = orders or (GlobalOrder(seed, len(self.a)), GlobalOrder(seed, len(self.b)))

    def __len__(self) -> int:
        """The number of samples in an epoch: the images of the larger domain."""
        return max(len(self.a), len(self.b))

    @property
    def num_slots(self) -> int:
        """The images of both domains: those of the model's input come first."""
        return len(self.a) + len(self.b)

    def slots_at(self, position: int) -> tuple[int, ...]:
        """See `SampleDataset`."""
        epoch, offset = divmod(position, len(self))
        draw = numpy_generator(self.seed, "unpaired", position=position)
        order_a, order_b = self._orders
        index_b = order_b.draw(epoch, offset / len(self), draw)
        return order_a.index(epoch, offset % len(self.a)), len(self.a) + index_b

    def windows_at(self, position: int, sizes: Sequence[tuple[int, int]]) -> list[CropWindow]:
        """See `SampleDataset`; a draw for each domain."""
        draws = [numpy_generator(self.seed, f"augment/{side}", position=position) for side in "ab"]
        return [self.transform.draw(*size, draw) for size, draw in zip(sizes, draws, strict=True)]

    def name_of(self, slots: Sequence[int]) -> str:
        """The names of both images."""
        return " | ".join(self._single(slot).name for slot in slots)

    def keep(self, index: int, images: Mapping[str, np.ndarray]) -> None:
        """Keep image `index` of a domain decoded, where anything is: `images` has it as "a" or "b" at native size."""
        for side, image in images.items():
            self._keep(index if side == "a" else len(self.a) + index, [image])

    def singles_at(self, position: int) -> tuple[Single, Single]:
        """The images of the model's input and output domain at a position."""
        a, b = self.slots_at(position)
        return self._single(a), self._single(b)

    def files_at(self, position: int) -> list[str]:
        """The files that the sample at a position is read from."""
        return [str(single.path) for single in self.singles_at(position)]

    def pair_at(self, index: int, number: int | None = None) -> Sample:
        """Images `index` of `number` evenly spaced ones of each domain (by default ``len(self)``), not flipped.

        They are resized to the size of the samples without a crop; their `position` is `index`.
        """
        a, b = (domain[index * len(domain) // (number or len(self))] for domain in (self.a, self.b))
        images = read_single(a, channels=self.channels_a), read_single(b, channels=self.channels_b)
        a_image, b_image = EvalTransform(self.transform.size)(images)
        return Sample(a=to_tensor(a_image), b=to_tensor(b_image), name=f"{a.name} | {b.name}", position=index)

    def _single(self, slot: int) -> Single:
        return self.a[slot] if slot < len(self.a) else self.b[slot - len(self.a)]

    def _read_slot(self, slot: int) -> tuple[list[np.ndarray], ImageFile]:
        single, channels = self._single(slot), self.channels_a if slot < len(self.a) else self.channels_b
        return [read_single(single, channels=channels)], single.path
