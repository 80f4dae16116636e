"""What the images are and how they are brought to size."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from tandem.config.options import option, out_of_bounds
from tandem.errors import ConfigError

Direction = Literal["AtoB", "BtoA"]
PUBLISHED_LOAD_RATIO = 286 / 256
MAX_SIDE = 4096


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Options of the data: direction, size, augmentation, channels."""

    direction: Direction = option("AtoB", "which image of a pair is the input")
    size: int | str = option(256, "side of the training images, or HEIGHTxWIDTH")
    load_size: int | str | None = option(
        None, "size to which images are resized before the random crop; by default 286/256 of --size"
    )
    flip: bool = option(True, "mirror half of the pairs, both images alike")
    input_channels: int = option(3, "channels of the input images: 1 grey, 3 RGB, 4 RGBA", at_least=1, below=5)
    output_channels: int = option(3, "channels of the output images: 1 grey, 3 RGB, 4 RGBA", at_least=1, below=5)

    @property
    def crop_size(self) -> tuple[int, int]:
        """Height and width of the training images."""
        return parse_size(self.size, "--size")

    @property
    def resize_size(self) -> tuple[int, int]:
        """Height and width to which images are resized before the crop."""
        if self.load_size is not None:
            return parse_size(self.load_size, "--load-size")
        height, width = self.crop_size
        return round(height * PUBLISHED_LOAD_RATIO), round(width * PUBLISHED_LOAD_RATIO)

    def problems(self) -> Iterator[str]:
        """Say what does not fit together."""
        yield from out_of_bounds(self)
        crop, load = self.crop_size, self.resize_size
        if load[0] < crop[0] or load[1] < crop[1]:
            yield f"--load-size {self.load_size} is smaller than --size {self.size}, which is cropped from it"
        for name, sides in (("--size", crop), ("--load-size", load)):
            if not all(1 <= side <= MAX_SIDE for side in sides):
                yield f"{name} must be from 1 to {MAX_SIDE} px, not {sides[0]}x{sides[1]}"


def parse_size(size: int | str, flag: str) -> tuple[int, int]:
    """Height and width from ``256``, ``"256"`` or ``"256x512"`` (height × width).

    Raises:
        ConfigError: `size` is none of these.
    """
    match = re.fullmatch(r"(\d{1,5})(?:[x×](\d{1,5}))?", str(size).strip())
    if match is None:
        raise ConfigError(f"{flag} must be a number of pixels or HEIGHTxWIDTH, e.g. 256 or 256x512, not '{size}'.")
    height = int(match[1])
    return height, int(match[2] or height)
