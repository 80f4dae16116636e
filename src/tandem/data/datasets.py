"""Pairs, or images of two domains, as samples that are numbered without end from the start of the run."""

from collections.abc import Mapping, Sequence

import numpy as np

from tandem.config.data import Direction
from tandem.data.augment import CropWindow, TrainTransform
from tandem.data.fit import FitRule
from tandem.data.image_file import ImageFile
from tandem.data.levels import BY_TYPE, Levels
from tandem.data.order import GlobalOrder, Order
from tandem.data.samples import Sample, SampleDataset
from tandem.data.splits import Pair, PairedSplit, SingleImage, UnpairedSplit
from tandem.data.warp import Augmentation
from tandem.rng import numpy_generator


class PairedDataset(SampleDataset):
    """Samples of a split by their position in the run.

    Position p lies in epoch ``p // len(self)``; each epoch shows every pair once, in an order drawn from
    (seed, epoch). The crop and flip of a sample are drawn from (seed, position). So a sample depends on its
    position alone, whoever reads it.

    Args:
        split: Where they come from.
        transform: What is done to both images of a pair.
        direction: AtoB, or BtoA where the files' B (the right half) is the model's input.
        channels_a: Channels of the model's input, after `direction`.
        channels_b: Channels of the model's output, after `direction`.
        seed: The seed of the run.
        levels: Which values are -1 and 1 in the model's input and in its output.
        augmentation: See `SampleDataset`.
        order: In which the pairs come; by default shuffled anew in each epoch.
    """

    def __init__(
        self,
        split: PairedSplit,
        *,
        transform: TrainTransform,
        direction: Direction,
        channels_a: int,
        channels_b: int,
        seed: int,
        levels: tuple[Levels, Levels] = (BY_TYPE, BY_TYPE),
        augmentation: Augmentation | None = None,
        order: Order | None = None,
    ) -> None:
        super().__init__(
            transform, seed=seed, channels_a=channels_a, channels_b=channels_b, levels=levels, augmentation=augmentation
        )
        self.split = split
        self.direction: Direction = direction
        self._order = order or GlobalOrder(seed, len(split.pairs))

    def __len__(self) -> int:
        """The number of pairs."""
        return len(self.split.pairs)

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
        return self.split.pairs[slots[0]].name

    def keep(self, index: int, images: Mapping[str, np.ndarray]) -> None:
        """Keep pair `index` decoded, where anything is: `images` are "a" and "b" ``(H, W, C)`` at native size.

        Where pixels are masked, "valid" is their mask ``(H, W)``.
        """
        self._keep(index, [images[side] for side in ("a", "b", "valid") if side in images])

    def index_at(self, position: int) -> int:
        """The index in `split.pairs` of the sample at a position."""
        return self._order.index(*divmod(position, len(self)))

    def files_at(self, position: int) -> list[str]:
        """The files that the sample at a position is read from."""
        return [str(file) for file in self.split.pairs[self.index_at(position)].files]

    def preview_at(self, index: int, number: int | None = None, *, rule: FitRule) -> Sample:
        """Pair `index` of `number` evenly spaced ones (by default of all), without a draw.

        It has the training size and scale, see `FitRule.fixed`; its `position` is `index`.
        """
        pair = self.split.pairs[index * len(self) // (number or len(self))]
        images = [
            rule.fixed(image, multiple=self.transform.multiple, method=levels.resampling)
            for image, levels in zip(self._read(pair)[:2], self.levels, strict=True)
        ]
        return self._sample(images, pair.name, index)

    def read_slot(self, slot: int) -> tuple[list[np.ndarray], ImageFile]:
        """See `SampleDataset`."""
        pair = self.split.pairs[slot]
        a, b, valid = self._read(pair)
        return ([a, b] if valid is None else [a, b, valid]), pair.file_a

    def sides_of(self, slot: int) -> tuple[int, ...]:
        """See `SampleDataset`."""
        del slot
        return 0, 1

    def _read(self, pair: Pair) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        levels_a, levels_b = self.levels
        return pair.read_masked(
            self.direction,
            channels_a=self.channels_a,
            channels_b=self.channels_b,
            levels_a=levels_a,
            levels_b=levels_b,
        )


class UnpairedDataset(SampleDataset):
    """Samples of two domains by their position in the run.

    An epoch has as many positions as the larger domain has images. In each, the images of the model's input domain
    come in an order drawn from (seed, epoch), again and again: all of them before one is repeated. The image of the
    other domain is drawn from (seed, position), as in the CycleGAN paper (arXiv 1703.10593). Crops and flips are drawn
    from (seed, position) for each domain by itself. So a sample depends on its position alone, whoever reads it.

    Args:
        split: Where they come from.
        transform: What is done to each image.
        direction: AtoB, or BtoA where the files' domain B is the model's input.
        channels_a: Channels of the model's input, after `direction`.
        channels_b: Channels of the model's output, after `direction`.
        seed: The seed of the run.
        levels: Which values are -1 and 1 in the model's input and in its output.
        augmentation: See `SampleDataset`.
        orders: In which the images of the two domains of the model come; by default shuffled anew in each epoch.
    """

    def __init__(
        self,
        split: UnpairedSplit,
        *,
        transform: TrainTransform,
        direction: Direction,
        channels_a: int,
        channels_b: int,
        seed: int,
        levels: tuple[Levels, Levels] = (BY_TYPE, BY_TYPE),
        augmentation: Augmentation | None = None,
        orders: tuple[Order, Order] | None = None,
    ) -> None:
        super().__init__(
            transform, seed=seed, channels_a=channels_a, channels_b=channels_b, levels=levels, augmentation=augmentation
        )
        self.split = split
        self.a, self.b = split.inputs(direction), split.outputs(direction)
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
        return " | ".join(self._image(slot).name for slot in slots)

    def keep(self, index: int, images: Mapping[str, np.ndarray]) -> None:
        """Keep image `index` of a domain decoded, where anything is: `images` has it as "a" or "b" at native size."""
        for side, image in images.items():
            if side != "valid":
                rest = [images["valid"]] if "valid" in images else []
                self._keep(index if side == "a" else len(self.a) + index, [image, *rest])

    def images_at(self, position: int) -> tuple[SingleImage, SingleImage]:
        """The images of the model's input and output domain at a position."""
        a, b = self.slots_at(position)
        return self._image(a), self._image(b)

    def files_at(self, position: int) -> list[str]:
        """The files that the sample at a position is read from."""
        return [str(image.file) for image in self.images_at(position)]

    def preview_at(self, index: int, number: int | None = None, *, rule: FitRule) -> Sample:
        """Images `index` of `number` evenly spaced ones of each domain (by default ``len(self)``), without a draw.

        They have the training size and scale, see `FitRule.fixed`; their `position` is `index`.
        """
        a, b = (domain[index * len(domain) // (number or len(self))] for domain in (self.a, self.b))
        arrays = a.read_values(self.channels_a, self.levels[0]), b.read_values(self.channels_b, self.levels[1])
        images = [
            rule.fixed(image, multiple=self.transform.multiple, method=levels.resampling)
            for image, levels in zip(arrays, self.levels, strict=True)
        ]
        return self._sample(images, f"{a.name} | {b.name}", index)

    def _image(self, slot: int) -> SingleImage:
        return self.a[slot] if slot < len(self.a) else self.b[slot - len(self.a)]

    def read_slot(self, slot: int) -> tuple[list[np.ndarray], ImageFile]:
        """See `SampleDataset`."""
        image, is_output = self._image(slot), slot >= len(self.a)
        channels = self.channels_b if is_output else self.channels_a
        values, valid = image.read_both(channels, self.levels[is_output])
        return ([values] if valid is None else [values, valid]), image.file

    def sides_of(self, slot: int) -> tuple[int, ...]:
        """See `SampleDataset`."""
        return (int(slot >= len(self.a)),)
