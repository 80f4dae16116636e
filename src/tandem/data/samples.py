"""Samples by position: cut out of loaded images, which may stay decoded."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NotRequired, TypedDict

import numpy as np

from tandem.data.augment import CropWindow, TrainTransform
from tandem.data.decoded import DecodedImages, planes_of
from tandem.data.image_file import ImageFile
from tandem.data.levels import BY_TYPE, Levels
from tandem.data.pixels import ResizeMethod
from tandem.data.warp import Augmentation
from tandem.errors import DataError
from tandem.rng import numpy_generator

if TYPE_CHECKING:
    import torch


class Sample(TypedDict):
    """What the model gets: `a` of its input's domain, `b` of its output's, ``(C, H, W)``, float32, [-1, 1].

    Where pixels are masked, `mask_a` and `mask_b` say with 1 which are valid and with 0 which are not, ``(1, H, W)``,
    float32; those of a pair are one.
    """

    a: "torch.Tensor"
    b: "torch.Tensor"
    mask_a: NotRequired["torch.Tensor"]
    mask_b: NotRequired["torch.Tensor"]
    name: str
    position: int


class SampleDataset(ABC):
    """What both kinds of data share: samples are cut out of loaded images, which may stay decoded.

    A *slot* is the number of an item, a pair or a single image of a domain, which is read and loaded together. Its
    images are planes ``(C, H, W)``, each in the type of its file, as `transform.load` gives them; cut, flipped and made
    floats is what comes out. Where pixels are masked, the last image of a slot is the mask of the others, 1 where a
    pixel is valid, ``(1, H, W)``, uint8.

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
        """The images ``(H, W, C)`` of a slot at native size, and the file that is named where they are too small.

        Where pixels are masked, the mask ``(H, W)``, bool, comes last.
        """

    def pictures_of(self, slot: int) -> list[np.ndarray]:
        """The images of a slot at native size, without their mask.

        Raises:
            DataError: A file cannot be read.
        """
        images, _ = self.read_slot(slot)
        return images[:-1] if self.masked else images

    @property
    def masked(self) -> bool:
        """Whether samples come with masks."""
        return self.levels[0].fill is not None

    def _planes(self, slot: int, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The planes of images and, where pixels are masked, of their mask, brought to the size for the crop."""
        methods = self._methods(slot)
        if not self.masked:
            return [planes_of(image) for image in self.transform.load(images, methods)]
        *images, valid = images
        loaded = [planes_of(image) for image in self.transform.load(images, methods)]
        return [*loaded, self.transform.load_valid(valid)[None].astype(np.uint8)]

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
                planes = self._planes(slot, images)
            except DataError as error:
                raise DataError(f"{file}: {error}") from error
            if self.decoded is not None:
                self.decoded.put(slot, *planes)
        return planes

    def _keep(self, slot: int, images: Sequence[np.ndarray]) -> None:
        if self.decoded is not None and not self.decoded.full:
            self.decoded.put(slot, *self._planes(slot, images))

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
        masks: list[np.ndarray] = []
        if self.masked:
            cut, masks = self._apart(cut, len(slots))
        sample = self._sample([np.moveaxis(planes, 0, 2) for planes in cut], self.name_of(slots), position, masks)
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
        side = 0
        for number, (images, window) in enumerate(zip(loaded, windows, strict=True)):
            generator = numpy_generator(self.seed, f"warp/{number}", position=position)
            warp = augmentation.draw(window.height, window.width, generator)
            for image in images[: len(images) - self.masked]:
                nearest = augmentation.is_nearest(side) or self.levels[side].classes is not None
                cut.append(warp.cut(image, window, nearest=nearest))
                side += 1
            if self.masked:
                cut.append(warp.cut_valid(images[-1], window))
        return cut

    @staticmethod
    def _apart(cut: Sequence[np.ndarray], num_slots: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """What was cut out of a pair, or of two slots, as the images and the masks of both sides."""
        if num_slots == 1:
            a, b, valid = cut
            return [a, b], [valid, valid]
        a, valid_a, b, valid_b = cut
        return [a, b], [valid_a, valid_b]

    def _recolour(self, augmentation: Augmentation, sample: Sample) -> None:
        import torch  # noqa: PLC0415  (reading alone must not load torch)

        side: Literal["a", "b"] = "a" if augmentation.colour_of == "input" else "b"
        generator = numpy_generator(self.seed, "colour", position=sample["position"])
        sample[side] = torch.from_numpy(augmentation.recolour(sample[side].numpy(), generator))

    def _sample(
        self, images: Sequence[np.ndarray], name: str, position: int, masks: Sequence[np.ndarray] = ()
    ) -> Sample:
        """A sample of the two images ``(H, W, C)`` in the types of their files, and of their masks ``(1, H, W)``."""
        import torch  # noqa: PLC0415  (reading alone must not load torch)

        a, b = (torch.from_numpy(levels.to_floats(image)) for levels, image in zip(self.levels, images, strict=True))
        sample = Sample(a=a, b=b, name=name, position=position)
        if masks:
            sample["mask_a"], sample["mask_b"] = (torch.from_numpy(mask.astype(np.float32)) for mask in masks)
        return sample
