"""From the bytes of an image that somebody sent to a frame that a model takes, within bounds."""

from dataclasses import dataclass

import numpy as np

from tandem.data.images import read_stored, require_pixels
from tandem.data.label_maps import from_picture
from tandem.data.levels import Levels
from tandem.data.pixels import eight_bits, resize
from tandem.errors import DataError
from tandem.serving.limits import PICTURE_CHANNELS
from tandem.serving.refused import bad_value

_NAME = "image data"


@dataclass(frozen=True)
class FrameRule:
    """What an image must be to become a frame.

    Attributes:
        channels: Of the frame.
        levels: Which values a model's files have.
        size: (height, width) that it is resized to.
        max_pixels: That it may have.
    """

    channels: int
    levels: Levels
    size: tuple[int, int] | None
    max_pixels: int

    @property
    def most_pixels(self) -> int:
        """Fewer of images with many channels: their values count as well."""
        return self.max_pixels * PICTURE_CHANNELS // max(self.channels, PICTURE_CHANNELS)

    def require(self, data: bytes) -> int:
        """Look at the header of an image file, before anything of it is unpacked.

        Returns:
            The pixels of the image, or of the size to which it is resized if these are more.

        Raises:
            ImageReadError: It is too large, damaged, or no image.
            RefusedError: It would become too large.
        """
        height, width = self.size or (0, 0)
        if height * width > self.most_pixels:
            raise bad_value(
                f"'size' must be of at most {self.most_pixels} pixels with {self.channels} channels, not "
                f"{height}x{width}."
            )
        found = require_pixels(data, self.most_pixels, max_channels=max(self.channels, PICTURE_CHANNELS))
        return max(found, height * width)

    def decode(self, data: bytes) -> np.ndarray:
        """Decode an image file that `require` has seen: ``(H, W, channels)``, of the values that `levels` takes.

        Raises:
            ImageReadError: It is damaged, or not one that the model takes.
            DataError: A value is not finite.
        """
        stored = read_stored(data)
        classes = self.levels.classes
        if classes is not None and not classes.has_colours and stored.num_colours == 3 and stored.indices is None:
            frame = from_picture(classes, eight_bits(stored.values[:, :, :3]))  # in the colours that the service gives
        else:
            frame = self.levels.values_of(stored, self.channels, _NAME)
        require_finite(frame)
        return frame if self.size is None else resize(frame, *self.size, method=self.levels.resampling)

    def checked(self, data: bytes) -> np.ndarray:
        """`require`, then `decode`."""
        self.require(data)
        return self.decode(data)


def require_finite(frame: np.ndarray) -> None:
    """Refuse what would be computed in vain.

    Raises:
        DataError: A value is not finite.
    """
    if frame.dtype.kind == "f" and not np.isfinite(frame).all():
        raise DataError("the image holds values that are not finite: replace them.")


def as_signed(frame: np.ndarray, levels: Levels) -> np.ndarray:
    """The frame as `Translator` takes it with ``value_range=(-1, 1)``: ``(H, W, C)``, float32."""
    return np.moveaxis(levels.to_floats(frame), 0, -1)
