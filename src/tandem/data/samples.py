"""Samples by position: cut out of loaded images, which may stay decoded."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, TypedDict

import numpy as np

from tandem.data.augment import CropWindow, TrainTransform
from tandem.data.decoded import DecodedImages, planes_of
from tandem.data.image_file import ImageFile
from tandem.data.images import ResizeMethod
from tandem.data.levels import BY_TYPE, Levels
from tandem.data.warp import Augmentation
from tandem.errors import DataError
from tandem.rng import numpy_generator

if TYPE_CHECKING:
    import torch


class Sample(TypedDict):
    """What the model gets: `a` of its input's domain, `b` of its output's, ``(C, H, W)``, float32, [-1, 1]."""

    a: "torch.Tensor"
    b: "torch.Tensor"
    name: str
    position: int


class SampleDataset(ABC):
    """What both kinds of data share: samples are cut out of loaded images, which may stay decoded.

    A *slot* is the number of an item, a pair or a single image of a domain, which is read and loaded together. Its
    images are planes ``(C, H, W)``, each in the type of its file, as `transform.load` gives them; cut, flipped and made
    floats is what comes out.

    Attributes:
        transform: What is done to images.
        seed: The seed of the run.
        channels_a: Channels of the model's input.
        levels: Which values are -1 and 1 in the model's input and in its output.
        augmentation: What is done beyond crop and flip, by draws of their own from (seed, position); None is nothing.
        decoded: Where slots stay decoded; None reads the files again each time.
    """

    def __init__(
        self,
        transform: TrainTransform,
        *,
        seed: int,
        channels_a: int,
        channels_b: int,
        levels: tuple[Levels, Levels] = (BY_TYPE, BY_TYPE),
        augmentation: Augmentation | None = None,
    ) -> None:
        self.augmentation = augmentation
        self.transform = transform
        self.seed = seed
        self.channels_a = channels_a
        self.channels_b = channels_b
        self.levels = levels
        self.decoded: DecodedImages | None = None

    def __repr__(self) -> str:
        kept = "decoded once" if self.decoded is not None else "read each time"
        return f"<{type(self).__name__}: {len(self)} samples an epoch, {kept}; {self.transform}>"

    @abstractmethod
    def __len__(self) -> int:
        """The number of positions in an epoch."""

    @abstractmethod
    def files_at(self, position: int) -> list[str]:
        """The files that the sample at a position is read from."""

    @property
    @abstractmethod
    def num_slots(self) -> int:
        """How many slots there are."""

    @abstractmethod
    def slots_at(self, position: int) -> tuple[int, ...]:
        """The slot of the pair, or those of the two domains' images, at a position."""

    @abstractmethod
    def windows_at(self, position: int, sizes: Sequence[tuple[int, int]]) -> list[CropWindow]:
        """What is cut out of the slots at a position, whose ``(height, width)`` are `sizes`."""

    @abstractmethod
    def name_of(self, slots: Sequence[int]) -> str:
        """The name of the sample that is made of these slots."""

    @abstractmethod
    def read_slot(self, slot: int) -> tuple[list[np.ndarray], ImageFile]:
        """The images ``(H, W, C)`` of a slot at native size, and the file that is named where they are too small."""

    @abstractmethod
    def sides_of(self, slot: int) -> tuple[int, ...]:
        """Which images a slot holds: 0 for that of the model's input, 1 for that of its output."""

    def _methods(self, slot: int) -> list[ResizeMethod]:
        """By which the images of a slot are resized."""
        return [self.levels[side].resampling for side in self.sides_of(slot)]

    def loaded(self, slot: int) -> list[np.ndarray]:
        """The planes of each image of a slot, decoded already or read now.

        Raises:
            DataError: A file cannot be read or is too small for the crop.
        """
        planes = None if self.decoded is None else self.decoded.get(slot)
        if planes is None:
            images, file = self.read_slot(slot)
            try:
                planes = [planes_of(image) for image in self.transform.load(images, self._methods(slot))]
            except DataError as error:
                raise DataError(f"{file}: {error}") from error
            if self.decoded is not None:
                self.decoded.put(slot, *planes)
        return planes

    def _keep(self, slot: int, images: Sequence[np.ndarray]) -> None:
        if self.decoded is not None and not self.decoded.full:
            self.decoded.put(slot, *map(planes_of, self.transform.load(images, self._methods(slot))))

    def __getitem__(self, position: int) -> Sample:
        """The sample at a position in the run, from 0 without end.

        Raises:
            DataError: A file cannot be read or is too small for the crop.
        """
        slots = self.slots_at(position)
        loaded = [self.loaded(slot) for slot in slots]
        windows = self.windows_at(position, [(images[0].shape[1], images[0].shape[2]) for images in loaded])
        if self.augmentation is None or not self.augmentation.moves:
            cut = [window.cut(image) for images, window in zip(loaded, windows, strict=True) for image in images]
        else:
            cut = self._warped(self.augmentation, loaded, windows, position)
        sample = self._sample([np.moveaxis(planes, 0, 2) for planes in cut], self.name_of(slots), position)
        if self.augmentation is not None and self.augmentation.colour:
            self._recolour(self.augmentation, sample)
        return sample

    def _warped(
        self,
        augmentation: Augmentation,
        loaded: Sequence[Sequence[np.ndarray]],
        windows: Sequence[CropWindow],
        position: int,
    ) -> list[np.ndarray]:
        """Both images, moved: those of one slot by the same draw."""
        cut: list[np.ndarray] = []
        for number, (images, window) in enumerate(zip(loaded, windows, strict=True)):
            generator = numpy_generator(self.seed, f"warp/{number}", position=position)
            warp = augmentation.draw(window.height, window.width, generator)
            for image in images:
                side = len(cut)
                nearest = augmentation.is_nearest(side) or self.levels[side].classes is not None
                cut.append(warp.cut(image, window, nearest=nearest))
        return cut

    def _recolour(self, augmentation: Augmentation, sample: Sample) -> None:
        import torch  # noqa: PLC0415  (reading alone must not load torch)

        side: Literal["a", "b"] = "a" if augmentation.colour_of == "input" else "b"
        generator = numpy_generator(self.seed, "colour", position=sample["position"])
        sample[side] = torch.from_numpy(augmentation.recolour(sample[side].numpy(), generator))

    def _sample(self, images: Sequence[np.ndarray], name: str, position: int) -> Sample:
        """A sample of the two images ``(H, W, C)`` in the types of their files."""
        import torch  # noqa: PLC0415  (reading alone must not load torch)

        a, b = (torch.from_numpy(levels.to_floats(image)) for levels, image in zip(self.levels, images, strict=True))
        return Sample(a=a, b=b, name=name, position=position)
