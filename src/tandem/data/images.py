"""Image files: the one place where they are decoded. What is done with their arrays is in `tandem.data.pixels`.

How a file becomes an array:

- EXIF rotation is applied; EXIF that cannot be parsed counts as none, as in image viewers.
- Only the first frame of an animation is read. Colour profiles are not applied.
- Palettes become RGB, or RGBA where the palette is transparent. CMYK, YCbCr, HSV and LAB become RGB by
  Pillow's rules.
- 1-bit becomes 0 and 255, 2 and 4 bits are spread over 0 to 255. A TIFF's pages of one channel each are its channels;
  see `tandem.data.formats` for what else of it Pillow does not read.
- 16-bit becomes 8-bit as round(value / 257), so that 65535 is 255; 10, 12 and 14 bits likewise by their own largest
  value. Signed and 32-bit integers and floating point are refused there: what is black and white in them is unknown.
- A PNG's transparent grey or colour (tRNS) is compared on the scale of the file's bit depth, of 16-bit colour with both
  bytes.
- Its channels become those that are asked for as in `tandem.data.pixels`.
"""

import io
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePath
from typing import BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from tandem.config.data import MAX_CHANNELS
from tandem.data.formats.by_pillow import FORMATS, opened_by_pillow, read_by_pillow, upright_size
from tandem.data.formats.jpeg2000 import is_jpeg2000, read_jpeg2000, read_jpeg2000_header
from tandem.data.formats.others import is_other, read_other, read_other_size
from tandem.data.formats.own import own_format
from tandem.data.formats.signatures import HEAD_BYTES, what_it_is
from tandem.data.formats.stored import (
    MAX_PIXELS,
    StoredImage,
    UnreadableError,
    kind_of_samples,
    stacked,
)
from tandem.data.formats.tiff import read_tiff, read_tiff_channels, read_tiff_size
from tandem.data.formats.tiff_tags import is_tiff
from tandem.data.image_file import DiskFile, ImageFile, StackedFile
from tandem.data.pixels import convert_channels, eight_bits
from tandem.data.volumes import read_slice, slice_of
from tandem.errors import DataError, NoMemoryError, TandemError
from tandem.foreign import open_plain
from tandem.interrupts import raise_lost

ImageSource = Path | bytes | BinaryIO | ImageFile

IMAGE_SUFFIXES = frozenset({".pam", ".pbm", ".pfm", ".pgm", ".pnm", ".ppm"}) | {
    *(".bmp", ".gif", ".jp2", ".jpeg", ".jpg", ".npy", ".npz", ".png", ".tif", ".tiff", ".webp"),
    *(".dcm", ".exr", ".nii", ".nii.gz"),
}
"""Lower-case endings of the files that count as images."""


class ImageReadError(DataError):
    """An image that cannot be read; `file` names it and `reason` says why."""

    file: str

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(f"{file}: {reason}", file=file)
        self.reason = reason
        self.args = (file, reason)  # what a copy of the error is made of, on its way out of another process

    def __str__(self) -> str:
        return f"{self.file}: {self.reason}"


def read_image(source: ImageSource, *, channels: int = 3) -> np.ndarray:
    """Read an image as an array of 8 bits with a given number of channels.

    Args:
        source: An image file, a path, the bytes of a file, or an open binary file (read from its beginning).
        channels: 1 luma, 2 luma + alpha, 3 RGB, 4 RGBA; see the module for the rules.

    Returns:
        ``(H, W, channels)``, uint8, upright.

    Raises:
        ImageReadError: The file is missing, damaged, truncated, too large, no image, or of a kind that is not read.
    """
    return as_picture(read_stored(source), channels, _name_of(source))


def read_native(source: ImageSource) -> np.ndarray:
    """Read an image with the channels and the type that its file has: ``(H, W, C)``, upright; see `read_stored`."""
    return read_stored(source).values


def read_stored(source: ImageSource) -> StoredImage:
    """Read an image as its file stores it.

    Raises:
        ImageReadError: The file is missing, damaged, truncated, too large, no image, or of a kind that is not read.
    """
    return _read_stack(source) if isinstance(source, StackedFile) else _read_one(source)


def _read_one(source: ImageSource) -> StoredImage:
    one = source.slice if isinstance(source, DiskFile) else slice_of(source) if isinstance(source, Path) else None
    if one is not None:
        with decoding(_name_of(source)):
            return read_slice(one)
    with image_opened(source) as (stream, name):
        head = stream.read(HEAD_BYTES)
        stream.seek(0)
        is_a_tiff = is_tiff(head)
        stored = read_tiff(stream) if is_a_tiff else _read_no_tiff(stream, head, name)
        if stored is not None:
            return stored
        try:
            with opened_by_pillow(stream, name) as image:
                return read_by_pillow(image)
        except UnidentifiedImageError:
            stored = read_tiff(stream, pillow=False) if is_a_tiff else None
            if stored is None:
                raise
            return stored


def _read_no_tiff(stream: BinaryIO, head: bytes, name: str) -> StoredImage | None:
    """A file that is not left to Pillow alone; None of others."""
    own = own_format(head)
    if own is not None:
        return own.read(stream)
    if is_other(stream):
        return read_other(stream)
    if not is_jpeg2000(head):
        return None
    header = read_jpeg2000_header(stream)
    if not header.is_left_to_pillow:
        return read_jpeg2000(stream, header)
    with opened_by_pillow(stream, name) as image:
        return header.unspread(read_by_pillow(image))


def _read_stack(source: StackedFile) -> StoredImage:
    """The images of several files as one.

    Raises:
        ImageReadError: A file cannot be read, they differ in size, or have too many channels together.
    """
    parts = [read_stored(file) for file in source.files]
    sizes = [part.values.shape[1::-1] for part in parts]
    for file, size in zip(source.files, sizes, strict=True):
        if size != sizes[0]:
            own, first = (" x ".join(map(str, one)) for one in (size, sizes[0]))
            raise ImageReadError(
                str(file), f"is {own} pixels, but {source.files[0]}, on which it is stacked, is {first}"
            )
    with decoding(str(source)):
        return stacked(parts)


def image_suffix(name: str) -> str | None:
    """The ending of a file that counts as an image by its name, in lower case; None of others."""
    lower = name.lower()
    return next(
        (end for end in (".nii.gz", PurePath(lower).suffix) if end in IMAGE_SUFFIXES and lower.endswith(end)), None
    )


def image_stem(name: str) -> str:
    """The name of an image file without its ending."""
    return name[: -len(".nii.gz")] if name.lower().endswith(".nii.gz") else PurePath(name).stem


def read_size(source: ImageSource) -> tuple[int, int]:
    """The ``(width, height)`` that `read_image` gives, from the file's header where that is enough.

    Of a PNG the pixels are passed over, behind which EXIF may follow; a TIFF that Pillow reads is decoded.

    Raises:
        ImageReadError: The file is missing, damaged, too large or no image.
    """
    with image_opened(source.files[0] if isinstance(source, StackedFile) else source) as (stream, name):
        head = stream.read(HEAD_BYTES)
        stream.seek(0)
        is_a_tiff = is_tiff(head)
        size = read_tiff_size(stream) if is_a_tiff else _size_of_no_tiff(stream, head)
        if size is not None:
            return size
        try:
            with opened_by_pillow(stream, name) as image:
                return upright_size(image)
        except UnidentifiedImageError:
            size = read_tiff_size(stream, pillow=False) if is_a_tiff else None
            if size is None:
                raise
            return size


def as_picture(stored: StoredImage, channels: int, name: str) -> np.ndarray:
    """The 8-bit picture of an image with a number of channels: ``(H, W, channels)``, uint8; see the module.

    Raises:
        ImageReadError: Its samples say nothing of black and white, or its channels are others; `name` is the file.
    """
    return eight_bits(by_type(stored, channels, name))


def by_type(stored: StoredImage, channels: int, name: str) -> np.ndarray:
    """An image whose black and white are those of its type, as training takes it.

    Returns:
        ``(H, W, channels)``, uint8, or uint16 of files with more than 8 bits; of 10 to 14 bits they are spread over 16.

    Raises:
        ImageReadError: Its samples say nothing of black and white, or its channels are others; `name` is the file.
    """
    if stored.parts:
        return _by_types(stored, channels, name)
    values = stored.values
    if stored.white is None or stored.bits > 16:
        kind = kind_of_samples(values.dtype, stored.bits)
        low, high = (f"{one:.6g}" if values.dtype.kind == "f" else str(one) for one in (values.min(), values.max()))
        raise ImageReadError(
            name,
            f"has {kind} samples ({stored.kind}) from {low} to {high}, whose black and white are not known: "
            "give them as a range (--range-a or --range-b LO,HI), or save it with 8 or 16 bits a channel",
        )
    white = np.iinfo(values.dtype).max
    if stored.white != white:
        # The product is below 2**32, and there are no ties: white is odd.
        values = ((values.astype(np.uint32) * white + stored.white // 2) // stored.white).astype(values.dtype)
    if values.shape[2] == channels:
        return values
    if not stored.num_colours:
        raise ImageReadError(
            name,
            f"has {values.shape[2]} channels ({stored.kind}) that are no colours, and {channels} were asked for: "
            "only all of them can be taken",
        )
    return convert_channels(values[:, :, : stored.num_colours + stored.has_alpha], channels)


def _by_types(stored: StoredImage, channels: int, name: str) -> np.ndarray:
    """A stack, each of its images by its own type: in uint8, or where any has more bits all in uint16."""
    parts = [by_type(part, part.values.shape[2], f"{name}, {part.kind}") for part in stored.parts]
    if any(part.dtype != np.uint8 for part in parts):
        parts = [part.astype(np.uint16) * 257 if part.dtype == np.uint8 else part for part in parts]
    values = np.concatenate(parts, axis=2)
    if values.shape[2] != channels:
        raise ImageReadError(
            name,
            f"has {values.shape[2]} channels ({stored.kind}), and {channels} were asked for: only all of them can be "
            "taken",
        )
    return values


def pixels_of(source: ImageSource) -> int:
    """How many pixels an image has, from its header; 0 where it cannot be read. Those of a stack count together."""
    if isinstance(source, StackedFile):
        return sum(map(pixels_of, source.files))
    try:
        with image_opened(source) as (stream, name):
            width, height = _size_in_header(stream, name)
    except ImageReadError:
        return 0
    return width * height


def require_pixels(source: ImageSource, at_most: int, *, max_channels: int = MAX_CHANNELS) -> int:
    """Refuse an image of more pixels or channels than that, from its header alone: nothing is decoded.

    Returns:
        Its pixels.

    Raises:
        ImageReadError: It has more, or is missing, damaged or no image.
    """
    with image_opened(source) as (stream, name):
        width, height = _size_in_header(stream, name)
        if width * height > at_most:
            raise ImageReadError(name, f"too large: {width} x {height} pixels, at most {at_most} are read here")
        channels = _channels_in_header(stream)
        if channels > max_channels:
            raise ImageReadError(name, f"has {channels} channels, at most {max_channels} are read here")
        return width * height


def _size_in_header(stream: BinaryIO, name: str) -> tuple[int, int]:
    """Width and height before any turning."""
    head = stream.read(HEAD_BYTES)
    stream.seek(0)
    size = read_tiff_size(stream, pillow=False) if is_tiff(head) else _size_of_no_tiff(stream, head)
    if size is not None:
        return size
    with opened_by_pillow(stream, name) as image:
        return image.size


def _size_of_no_tiff(stream: BinaryIO, head: bytes) -> tuple[int, int] | None:
    """Width and height of a file that is not left to Pillow alone; None of others."""
    own = own_format(head)
    if own is not None:
        height, width, _ = own.read_shape(stream)
        return width, height
    if is_other(stream):
        return read_other_size(stream)
    if not is_jpeg2000(head):
        return None
    header = read_jpeg2000_header(stream)
    return header.width, header.height


def _channels_in_header(stream: BinaryIO) -> int:
    """Channels before any conversion; pictures that Pillow reads have few, which count as none."""
    stream.seek(0)
    head = stream.read(HEAD_BYTES)
    stream.seek(0)
    own = own_format(head)
    if own is not None:
        return own.read_shape(stream)[2]
    if is_jpeg2000(head):
        return len(read_jpeg2000_header(stream).samples)
    return read_tiff_channels(stream) if is_tiff(head) else 0


def array_from_pil(image: Image.Image, *, channels: int = 3) -> np.ndarray:
    """Convert an open Pillow image by the rules of `read_image`: ``(H, W, channels)``, uint8, upright."""
    name = name_of_pil(image)
    return as_picture(stored_from_pil(image), channels, name)


def stored_from_pil(image: Image.Image) -> StoredImage:
    """An open Pillow image as `read_stored` gives that of a file."""
    name = name_of_pil(image)
    with decoding(name):
        return read_by_pillow(image)


def name_of_pil(image: Image.Image) -> str:
    """What an open Pillow image is called in messages: its file, if it has one."""
    return str(getattr(image, "filename", "") or "image")


def _name_of(source: ImageSource) -> str:
    return str(source if isinstance(source, Path | ImageFile) else getattr(source, "name", "image data"))


@contextmanager
def image_opened(source: ImageSource) -> Iterator[tuple[BinaryIO, str]]:
    """An image file, at its beginning, and its name; what goes wrong within comes out as an `ImageReadError`."""
    name = _name_of(source)
    with decoding(name), ExitStack() as closing:
        if isinstance(source, ImageFile):
            stream = closing.enter_context(source.open())
        elif isinstance(source, Path):  # a pipe would be waited for
            opening = open_plain(source) if slice_of(source) is None else DiskFile(source).open()
            stream = closing.enter_context(opening)
        else:
            stream = io.BytesIO(source) if isinstance(source, bytes) else source
        stream.seek(0)
        try:
            yield stream, name
        except UnidentifiedImageError as error:
            raise ImageReadError(name, _unidentified(stream)) from error


def _unidentified(stream: BinaryIO) -> str:
    """Why a file is refused that Pillow does not open."""
    stream.seek(0)
    head = stream.read(HEAD_BYTES)
    if not head:
        return "the file is empty (0 bytes)"
    found, formats = what_it_is(head), ", ".join((*FORMATS, "Netpbm", "NPY"))
    if found is not None:
        return f"is {found}, not an image of the formats {formats}"
    return f"not an image, or of none of the formats {formats}"


@contextmanager
def decoding(name: str) -> Iterator[None]:
    """Turn whatever a decoder raises into an `ImageReadError` with a reason that a user can act on."""
    try:
        yield
    except TandemError:
        raise
    except UnreadableError as error:
        raise ImageReadError(name, str(error)) from error
    except MemoryError as error:
        raise NoMemoryError(f"there is not enough memory to decode {name}.") from error
    except Image.DecompressionBombError as error:
        raise ImageReadError(name, f"too large, at most {MAX_PIXELS} pixels are read ({error})") from error
    except Exception as error:
        raise_lost(error)
        known = isinstance(error, OSError) and error.strerror
        raise ImageReadError(name, known or f"damaged or truncated ({error or type(error).__name__})") from error
