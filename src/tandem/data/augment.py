"""Resizing, cropping and flipping a pair, both images by the same draw.

As in the pix2pix and BicycleGAN papers (arXiv 1611.07004, 1711.11586): resize to 286, crop 256, flip. Sizes
are ``(height, width)``. Images are arrays ``(H, W, C)`` of any integer type and any number of channels.
"""

from dataclasses import dataclass

import numpy as np

from tandem.data.images import resize
from tandem.errors import ConfigError, DataError


@dataclass(frozen=True)
class PairTransform:
    """Resize both images of a pair, then crop and flip both at random in the same way.

    Attributes:
        load_size: Both are resized to this, bicubic; None keeps their size.
        crop_size: The size that comes out.
        flip: Mirror left to right with probability one half.

    Raises:
        ConfigError: A size is not positive, or the crop is larger than the load size.
    """

    load_size: tuple[int, int] | None
    crop_size: tuple[int, int]
    flip: bool

    def __post_init__(self) -> None:
        if min(self.crop_size) < 1:
            raise ConfigError(f"The crop size is {_text(self.crop_size)}; it must be at least 1 x 1.")
        if self.load_size is not None and not _fits(self.crop_size, self.load_size):
            raise ConfigError(
                f"The crop size {_text(self.crop_size)} (height x width) is larger than the load size "
                f"{_text(self.load_size)}: make the crop smaller or the load size larger."
            )

    def check_fits(self, height: int, width: int) -> None:
        """Check that images of a size can be cropped.

        Raises:
            DataError: They are not resized, and smaller than the crop.
        """
        if self.load_size is None and not _fits(self.crop_size, (height, width)):
            raise DataError(
                f"an image of {height} x {width} (height x width) is smaller than the crop size "
                f"{_text(self.crop_size)}, and without a load size images are not resized: "
                "set a load size or a smaller crop size"
            )

    def __call__(self, a: np.ndarray, b: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Transform ``(H, W, C_a)`` and ``(H, W, C_b)`` to the crop size by draws of `generator`."""
        if self.load_size is not None:
            a, b = resize(a, *self.load_size), resize(b, *self.load_size)
        height, width = a.shape[:2]
        self.check_fits(height, width)
        crop_height, crop_width = self.crop_size
        top = int(generator.integers(height - crop_height + 1))
        left = int(generator.integers(width - crop_width + 1))
        columns = slice(left, left + crop_width)
        step = -1 if self.flip and generator.random() < 0.5 else 1
        a, b = (image[top : top + crop_height, columns][:, ::step] for image in (a, b))
        return np.ascontiguousarray(a), np.ascontiguousarray(b)


@dataclass(frozen=True)
class EvalTransform:
    """Resize both images of a pair to one size, bicubic, without any draw."""

    size: tuple[int, int]

    def __post_init__(self) -> None:
        if min(self.size) < 1:
            raise ConfigError(f"The size is {_text(self.size)}; it must be at least 1 x 1.")

    def __call__(self, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Transform ``(H, W, C_a)`` and ``(H, W, C_b)`` to the size."""
        return resize(a, *self.size), resize(b, *self.size)


def _fits(inner: tuple[int, int], outer: tuple[int, int]) -> bool:
    return inner[0] <= outer[0] and inner[1] <= outer[1]


def _text(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"
