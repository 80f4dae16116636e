"""An image as its file stores it: the samples in their own type, and what its channels are."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO

import numpy as np

from tandem.config.data import MAX_CHANNELS

MAX_PIXELS = 100_000_000
"""Images with more pixels are refused before they are decoded."""
MAX_VALUES = 4 * MAX_PIXELS
"""Pixels times channels: likewise."""
_AT_ONCE = 2**24
_WIDEST_INTEGER = 4
TURNED_ORIENTATIONS = (5, 6, 7, 8)
"""Of EXIF: those that exchange width and height."""


class UnreadableError(Exception):
    """A file that is not read; its text is the reason, for `tandem.data.images.ImageReadError`."""


@dataclass(frozen=True)
class StoredImage:
    """The samples of a file, upright.

    Attributes:
        values: ``(H, W, C)``, in the file's own type and in the byte order of the machine. First come the colours, then
            alpha, then whatever else there is.
        bits: Bits of a sample that the file uses: 12 of a uint16 array where it packs 12 bits.
        num_colours: 1 of a grey picture, 3 of a coloured one (RGB); 0 where channels are no colours: bands, pages.
        has_alpha: Whether alpha follows the colours.
        num_frames: Pages or frames of the file; others than the first are in `values` only where they are channels.
        kind: What the file is, for messages: e.g. ``12-bit TIFF``.
        nodata: The value of pixels that hold nothing, where a GeoTIFF says one.
        indices: ``(H, W)``, uint8, of a file with a palette the places in it, of 1, 2 and 4 bits the greys before they
            are spread over 8: what a label map says. None where `values` say it.
        parts: What its channels were stacked from, each as its own file stores it; empty of the image of one file.
        largest: The value of white, where a file says another one than the largest of its bits.
    """

    values: np.ndarray
    bits: int
    num_colours: int
    has_alpha: bool
    num_frames: int = 1
    kind: str = ""
    nodata: float | None = None
    indices: np.ndarray | None = None
    parts: "tuple[StoredImage, ...]" = ()
    largest: int | None = None

    @property
    def white(self) -> int | None:
        """The largest value that the bits, or the header, can say; None of signed and floating-point samples."""
        if self.values.dtype.kind != "u":
            return None
        return 2**self.bits - 1 if self.largest is None else self.largest

    def with_values(self, values: np.ndarray) -> "StoredImage":
        """The same file's image with other values, such as a part of it."""
        return replace(self, values=values, indices=None)

    def columns(self, start: int, stop: int) -> "StoredImage":
        """A part of it: some columns, all rows."""
        indices = None if self.indices is None else self.indices[:, start:stop]
        return replace(self, values=self.values[:, start:stop], indices=indices)


def stacked(parts: Sequence[StoredImage]) -> StoredImage:
    """Images of one size as one, their channels in this order, in a type that holds the values of all."""
    common = np.result_type(*(part.values for part in parts))
    if common.itemsize > _WIDEST_INTEGER and common.kind != "f":
        common = np.dtype(np.float64)
    values = np.concatenate([part.values.astype(common) for part in parts], axis=2)
    check_values(values.shape[1], values.shape[0], values.shape[2])
    kind = "stack of " + ", ".join(part.kind for part in parts)
    frames = max(part.num_frames for part in parts)
    return StoredImage(
        values, max(part.bits for part in parts), 0, False, num_frames=frames, kind=kind, parts=tuple(parts)
    )


def read_what_is_there(stream: BinaryIO, num_bytes: int) -> bytes:
    """Up to so many bytes; memory is taken for those that come, where `read` takes it for all that a file claims."""
    parts, left = [], num_bytes
    while left > 0 and (part := stream.read(min(left, _AT_ONCE))):
        parts.append(part)
        left -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def kind_of_samples(dtype: np.dtype, bits: int) -> str:
    """In words, e.g. ``12-bit``, ``signed 16-bit``, ``32-bit floating-point``."""
    words = {
        "u": f"{bits}-bit",
        "i": f"signed {bits}-bit",
        "f": f"{bits}-bit floating-point",
        "c": f"{bits}-bit complex",
    }
    return words.get(dtype.kind, str(dtype))


def turned_upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """Bring stored pixels upright; the numbers are those of EXIF's Orientation, others change nothing."""
    if orientation in TURNED_ORIENTATIONS:
        array = array.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return array[::-1] if orientation in (3, 4, 7, 8) else array


def check_values(width: int, height: int, channels: int) -> None:
    """Refuse an image without pixels, or with more than are read.

    Raises:
        UnreadableError: It is one.
    """
    if width < 1 or height < 1 or channels < 1:
        raise UnreadableError(f"has no pixels ({width} x {height})")
    if width * height > MAX_PIXELS:
        raise UnreadableError(f"too large: {width} x {height} pixels, at most {MAX_PIXELS} pixels are read")
    if channels > MAX_CHANNELS:
        raise UnreadableError(f"has {channels} channels or pages, at most {MAX_CHANNELS} are read as channels")
    if width * height * channels > MAX_VALUES:
        raise UnreadableError(
            f"too large: {width} x {height} pixels of {channels} channels, at most {MAX_VALUES} values are read"
        )
