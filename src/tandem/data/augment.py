"""Resizing, cropping and flipping images, those of a pair by the same draw.

The modes are those of the official pix2pix and CycleGAN code (arXiv 1611.07004, 1703.10593), by name:

- ``resize_and_crop``: resize to the load size whatever the aspect, crop at random (published: 286, then 256);
- ``crop``: crop at random at native size;
- ``scale_width``: scale to a width, aspect kept, but to a height not below the training size;
- ``scale_width_and_crop``: likewise, then crop at random;
- ``none``: native size.

One difference: where nothing is cropped, sides are brought to the nearest multiple of what the generator takes
(officially a multiple of 4 with ``none``, anything with ``scale_width``). Sizes are ``(height, width)``. Images are
arrays ``(H, W, C)`` of any integer type and any number of channels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tandem.data.check_report import SizeRange
from tandem.data.masks import resize_valid
from tandem.data.pixels import ResizeMethod, resize
from tandem.errors import ConfigError, DataError


class CropWindow(NamedTuple):
    """What is cut out of an image that has been brought to size, and whether it is then flipped left to right."""

    top: int
    left: int
    height: int
    width: int
    flipped: bool

    def cut(self, planes: np.ndarray) -> np.ndarray:
        """A view of it in an image ``(C, H, W)``: ``(C, height, width)``."""
        part = planes[:, self.top : self.top + self.height, self.left : self.left + self.width]
        return part[:, :, :: -1 if self.flipped else 1]


@dataclass(frozen=True)
class TrainTransform:
    """Bring images to size, then flip them at random; all images of one call by the same draw.

    Attributes:
        size: The size of the crop; without one the least size that may come out.
        flip: Flip left to right with probability one half.
        load_size: Images are resized to this before the crop.
        load_width: Images are scaled to this width instead, aspect kept. With neither they keep their size.
        crop: Cut out `size` at random.
        multiple: Without a crop, sides are brought to the nearest multiple of this.

    Raises:
        ConfigError: A size is not positive, or the crop is larger than what it is cut from.
    """

    size: tuple[int, int]
    flip: bool
    load_size: tuple[int, int] | None = None
    load_width: int | None = None
    crop: bool = True
    multiple: int = 1

    def __post_init__(self) -> None:
        if min(self.size) < 1:
            raise ConfigError(f"The crop size is {_text(self.size)}; it must be at least 1 x 1.")
        load = self.load_size or (self.size[0], self.load_width or self.size[1])
        if self.crop and not _fits(self.size, load):
            raise ConfigError(
                f"The crop size {_text(self.size)} (height x width) is larger than the load size {_text(load)}: "
                "make the crop smaller or the load size larger."
            )

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """The size that an image of `height` x `width` is resized to, before the crop."""
        if self.load_size is not None:
            return self.load_size
        if self.load_width is None:
            return (
                (height, width)
                if self.crop
                else (nearest_multiple(height, self.multiple), nearest_multiple(width, self.multiple))
            )
        if self.crop:
            return max(self.load_width * height // width, self.size[0]), self.load_width
        return self._scaled_height(width / height), nearest_multiple(self.load_width, self.multiple)

    def _scaled_height(self, aspect: float) -> int:
        """The height of an image of an aspect (width / height) that is scaled to a width and not cropped."""
        assert self.load_width is not None
        return nearest_multiple(max(self.load_width / aspect, self.size[0]), self.multiple)

    def output(self, height: int, width: int) -> tuple[int, int]:
        """The size that comes out for an image of `height` x `width`."""
        return self.size if self.crop else self.resized(height, width)

    def gives_one_size(self, sizes: SizeRange) -> bool:
        """Whether images of these sizes all come out in the same size."""
        if self.crop or self.load_size is not None:
            return True
        if self.load_width is not None:
            return self._scaled_height(sizes.min_aspect) == self._scaled_height(sizes.max_aspect)
        smallest, largest = (sizes.min_height, sizes.min_width), (sizes.max_height, sizes.max_width)
        return self.resized(*smallest) == self.resized(*largest)

    def check_fits(self, height: int, width: int) -> None:
        """Check that an image of a size can be used.

        Raises:
            DataError: It is smaller than the crop, or comes out smaller than the networks are laid out for.
        """
        resized = self.resized(height, width)
        if _fits(self.size, resized):
            return
        if self.crop:
            raise DataError(
                f"its size {_text((height, width))} (height x width) is smaller than the crop {_text(self.size)}: "
                "lower --size, or choose a --preprocess that resizes"
            )
        raise DataError(
            f"its size {_text((height, width))} (height x width) comes out as {_text(resized)}, smaller than the "
            f"{_text(self.size)} that the networks are laid out for: lower --size"
        )

    def load(self, images: Sequence[np.ndarray], methods: Sequence[ResizeMethod] = ()) -> list[np.ndarray]:
        """Bring images ``(H, W, C)`` of one size to the size that windows are cut from, without any draw.

        Args:
            images: They.
            methods: By which each of them is resized; all bicubic without.

        Raises:
            DataError: See `check_fits`.
        """
        height, width = images[0].shape[:2]
        self.check_fits(height, width)
        size = self.resized(height, width)
        return [
            resize(image, *size, method=method)
            for image, method in zip(images, methods or ("bicubic",) * len(images), strict=True)
        ]

    def load_valid(self, valid: np.ndarray) -> np.ndarray:
        """Bring the mask ``(H, W)``, bool, of images to their size, likewise: see `resize_valid`."""
        return resize_valid(valid, *self.resized(*valid.shape))

    def draw(self, height: int, width: int, generator: np.random.Generator) -> CropWindow:
        """Draw what is cut out of images of a size that `load` gave."""
        top, left, size = 0, 0, (height, width)
        if self.crop:
            size = self.size
            top = int(generator.integers(height - size[0] + 1))
            left = int(generator.integers(width - size[1] + 1))
        return CropWindow(top, left, *size, flipped=self.flip and generator.random() < 0.5)

    def __call__(self, images: Sequence[np.ndarray], generator: np.random.Generator) -> list[np.ndarray]:
        """Transform images ``(H, W, C)`` of one size by draws of `generator`: `load`, `draw`, and cut.

        Raises:
            DataError: See `check_fits`.
        """
        loaded = self.load(images)
        height, width = loaded[0].shape[:2]
        window = self.draw(height, width, generator)
        return [np.ascontiguousarray(np.moveaxis(window.cut(np.moveaxis(x, 2, 0)), 0, 2)) for x in loaded]


def nearest_multiple(side: float, multiple: int) -> int:
    """The multiple that is nearest to a side, at least one."""
    return max(1, round(side / multiple)) * multiple


def _fits(inner: tuple[int, int], outer: tuple[int, int]) -> bool:
    return inner[0] <= outer[0] and inner[1] <= outer[1]


def _text(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"
