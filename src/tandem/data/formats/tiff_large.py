"""TIFFs of any size, read window by window: their samples are unpacked once, into a file without a name."""

import mmap
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, BinaryIO

import numpy as np

from tandem.config.data import MAX_CHANNELS
from tandem.data.formats.signatures import HEAD_BYTES
from tandem.data.formats.stored import MAX_PIXELS, MAX_VALUES, StoredImage, UnreadableError
from tandem.data.formats.tiff import (
    are_channels,
    colours_of,
    describe_samples,
    main_pages,
    require_readable,
    white_turned,
)
from tandem.data.formats.tiff_pixels import dtype_of, read_blocks
from tandem.data.formats.tiff_tags import TiffPage, is_tiff
from tandem.foreign import open_plain

_MOST_PIXELS = 2**33
_WHITE_IS_ZERO = 0
_SMALLEST_BITS = 8


@dataclass(frozen=True)
class UnpackedTiff:
    """The samples of a TIFF, ``(H, W, C)``, in a file.

    Attributes:
        shape: Height, width and channels.
        like: What its image is, with no values.
    """

    shape: tuple[int, int, int]
    like: StoredImage
    _file: IO[bytes]

    def read(self, rows: slice, columns: slice) -> StoredImage:
        """A part of the image."""
        return self.like.with_values(self._mapped()[rows, columns].copy())

    def _mapped(self) -> np.ndarray:
        mapping = mmap.mmap(self._file.fileno(), 0)  # anew, so that none of it counts as memory in between
        return np.frombuffer(mapping, self.like.values.dtype).reshape(self.shape)


def is_large_tiff(path: Path) -> bool:
    """Whether a file is a TIFF with more pixels or values than are read at once.

    Raises:
        UnreadableError: It is a damaged TIFF.
    """
    try:
        with open_plain(path) as stream:
            head = stream.read(HEAD_BYTES)
            if not is_tiff(head):
                return False
            pages = main_pages(stream)
    except (OSError, ValueError):
        return False
    first = pages[0]
    pixels, channels = first.width * first.height, first.samples * (len(pages) if are_channels(pages) else 1)
    return pixels > MAX_PIXELS or pixels * channels > MAX_VALUES


@contextmanager
def unpacked_tiff(stream: BinaryIO) -> Iterator[UnpackedTiff]:
    """Unpack the image of a TIFF.

    Raises:
        UnreadableError: It is damaged, of a kind that is not read, or has no room among the temporary files.
    """
    pages = main_pages(stream)
    pages = pages if are_channels(pages) else pages[:1]
    first = pages[0]
    _require_plain(first, len(pages))
    dtype, channels = dtype_of(first), first.samples * len(pages)
    assert dtype is not None
    shape, size = (first.height, first.width, channels), first.height * first.width * channels * dtype.itemsize
    colours, alpha = (0, False) if len(pages) > 1 else colours_of(first)
    kind = f"{describe_samples(first)} TIFF"
    like = StoredImage(np.empty((0, 0, channels), dtype), first.bits, colours, alpha, kind=kind)
    with tempfile.TemporaryFile() as file:
        try:
            os.posix_fallocate(file.fileno(), 0, size) if hasattr(os, "posix_fallocate") else file.truncate(size)
        except OSError as error:
            raise UnreadableError(
                f"its {size / 2**30:.1f} GiB have no room in {tempfile.gettempdir()} ({error.strerror}): name a folder "
                "on a larger disk in the environment variable TMPDIR"
            ) from error
        image = UnpackedTiff(shape, like, file)
        for number, page in enumerate(pages):
            require_readable(page)
            for block in read_blocks(stream, page):
                turned = replace(block, channel=block.channel + number, values=white_turned(block.values, page))
                turned.put(image._mapped())
        yield image


def _require_plain(page: TiffPage, pages: int) -> None:
    require_readable(page)
    pixels = page.width * page.height
    if not 0 < pixels <= _MOST_PIXELS:
        raise UnreadableError(f"too large: {page.width} x {page.height} pixels, at most {_MOST_PIXELS} are translated")
    if page.samples * pages > MAX_CHANNELS:
        raise UnreadableError(f"has {page.samples * pages} channels, at most {MAX_CHANNELS} are read")
    separate = page.separate and page.photometric == _WHITE_IS_ZERO
    if page.bits < _SMALLEST_BITS or page.orientation != 1 or page.extra[:1] == (1,) or separate:
        raise UnreadableError(
            "a large TIFF of less than 8 bits, turned, with premultiplied colours, or of separate planes whose zero is "
            "white, which is translated only whole: save it upright and plainly"
        )
