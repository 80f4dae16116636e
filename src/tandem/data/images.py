"""Image files, arrays and tensors: the one place where images are decoded and values change range.

An *array* is ``(H, W, C)`` with C channels: 1 luma, 2 luma + alpha, 3 RGB, 4 RGBA, or bands that are no colours.
A *tensor* is ``(C, H, W)``, float32, [-1, 1]. How a file becomes an array:

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
- Alpha is composited over white where 1 or 3 channels are asked for; 2 and 4 channels keep it.
- Luma is ITU-R 601 of the (composited) colour; luma becomes RGB by repetition.
"""

import io
import re
import struct
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, BinaryIO, Literal

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngImageFile

from tandem.config.data import MAX_CHANNELS
from tandem.data.formats.jpeg2000 import is_jpeg2000, read_jpeg2000, read_jpeg2000_header
from tandem.data.formats.others import is_other, read_other, read_other_size
from tandem.data.formats.own import own_format
from tandem.data.formats.png import read_deep, require_data, scale_transparency
from tandem.data.formats.signatures import HEAD_BYTES, what_it_is
from tandem.data.formats.stored import (
    MAX_PIXELS,
    TURNED_ORIENTATIONS,
    StoredImage,
    UnreadableError,
    kind_of_samples,
    stacked,
    turned_upright,
)
from tandem.data.formats.tiff import read_tiff, read_tiff_channels, read_tiff_size
from tandem.data.formats.tiff_tags import is_tiff
from tandem.data.image_file import DiskFile, ImageFile, StackedFile
from tandem.data.volumes import read_slice, slice_of
from tandem.errors import ConfigError, DataError, NoMemoryError, TandemError
from tandem.foreign import open_plain

if TYPE_CHECKING:
    import torch

ImageSource = Path | bytes | BinaryIO | ImageFile
ResizeMethod = Literal["nearest", "bilinear", "bicubic", "lanczos"]

IMAGE_SUFFIXES = frozenset({".pam", ".pbm", ".pfm", ".pgm", ".pnm", ".ppm"}) | {
    *(".bmp", ".gif", ".jp2", ".jpeg", ".jpg", ".npy", ".npz", ".png", ".tif", ".tiff", ".webp"),
    *(".dcm", ".exr", ".nii", ".nii.gz"),
}
"""Lower-case endings of the files that count as images."""

_DECODING_BYTES = 12
"""For a pixel: what decoding and converting it takes at once, about."""
_HEADER_SIZE = (1024, 1024)
"""A picture that takes more memory than any header does."""
_PNG_SIGNATURE_BYTES, _PNG_CHECKSUM_BYTES = 8, 4
_MAY_BE_EXIF = frozenset({b"eXIf", b"tEXt", b"zTXt", b"iTXt"})

# Pillow's other decoders are left out on purpose: some run external programs (EPS) and few are hardened.
_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "JPEG2000")


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
                return _stored_by_pillow(image, name)
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
        return header.unspread(_stored_by_pillow(image, name))


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
                if image.format == "TIFF":  # turned by Pillow when it is loaded
                    image.load()
                width, height = image.size
                if isinstance(image, PngImageFile) and not _may_hold_exif(image):
                    return width, height
                return (height, width) if orientation_of(image) in TURNED_ORIENTATIONS else (width, height)
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


def eight_bits(array: np.ndarray) -> np.ndarray:
    """The same image as uint8; of uint16 round(value / 257)."""
    if array.dtype == np.uint8:
        return array
    half_range(array.dtype)
    return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)  # 257 is odd: there are no ties


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
        return _stored_by_pillow(image, name)


def name_of_pil(image: Image.Image) -> str:
    """What an open Pillow image is called in messages: its file, if it has one."""
    return str(getattr(image, "filename", "") or "image")


def pil_from_array(array: np.ndarray) -> Image.Image:
    """Convert ``(H, W, C)`` to a Pillow image: uint8 with 1 to 4 channels, or uint16 with one (mode I;16)."""
    channels = array.shape[2] if array.ndim == 3 else 0
    wide = array.dtype == np.uint16 and channels == 1
    if not wide and (array.dtype != np.uint8 or channels not in (1, 2, 3, 4)):
        raise DataError(
            f"An array of shape {array.shape} and type {array.dtype} has no picture form: expected "
            "(H, W, C), uint8 with C from 1 to 4, or uint16 with C = 1."
        )
    return Image.fromarray(np.ascontiguousarray(array[:, :, 0] if channels == 1 else array))


def pil_from_indices(indices: np.ndarray, palette: Mapping[int, tuple[int, int, int]]) -> Image.Image:
    """A Pillow image with a palette (mode P) of an index image ``(H, W, 1)``, uint8, and the colours of its indices."""
    image = Image.fromarray(np.ascontiguousarray(indices[:, :, 0]))
    colours = [part for index in range(max(palette) + 1) for part in palette.get(index, (0, 0, 0))]
    image.putpalette(colours)
    return image


def convert_channels(array: np.ndarray, channels: int) -> np.ndarray:
    """Convert between luma, luma + alpha, RGB and RGBA.

    Args:
        array: ``(H, W, 1 to 4)``, uint8 or uint16.
        channels: 1 to 4.

    Returns:
        ``(H, W, channels)`` of the same type.
    """
    given = array.shape[2]
    if given == channels:
        return array
    if channels not in (1, 2, 3, 4):
        raise ConfigError(f"{channels} channels were asked for; image files give 1, 2, 3 or 4.")
    if given > 4:
        raise ConfigError(f"{given} channels are no picture of {channels}: only all of them can be taken.")
    colour, alpha = (array[:, :, :-1], array[:, :, -1:]) if given in (2, 4) else (array, None)
    if alpha is not None and channels in (1, 3):
        colour = _over_white(colour, alpha)
    if colour.shape[2] == 3 and channels in (1, 2):
        colour = _luma(colour)
    if colour.shape[2] == 1 and channels in (3, 4):
        colour = np.repeat(colour, 3, axis=2)
    if channels in (1, 3):
        return colour
    opaque = np.full_like(colour[:, :, :1], np.iinfo(colour.dtype).max) if alpha is None else alpha
    return np.concatenate([colour, opaque], axis=2)


def resize(array: np.ndarray, height: int, width: int, *, method: ResizeMethod = "bicubic") -> np.ndarray:
    """Resize ``(H, W, C)`` of any type to ``(height, width, C)``, antialiased when it shrinks.

    Each channel is resized by itself: alpha does not weigh the colours. The same size returns `array` itself. Integers
    are rounded and cut off at the ends of their type; floating point is computed in float32 and may overshoot.
    """
    if array.shape[:2] == (height, width):
        return array
    resampling = Image.Resampling[method.upper()]
    if array.dtype == np.uint8:
        step = 3 if array.shape[2] == 3 else 1
        parts = [array[:, :, first : first + step] for first in range(0, array.shape[2], step)]
        images = [pil_from_array(part).resize((width, height), resampling) for part in parts]
        return np.concatenate([np.array(image).reshape(height, width, step) for image in images], axis=2)
    planes = [Image.fromarray(plane) for plane in np.moveaxis(array, 2, 0).astype(np.float32)]
    values = np.stack([np.array(plane.resize((width, height), resampling)) for plane in planes], axis=2)
    if array.dtype.kind == "f":
        return values.astype(array.dtype)
    ends = np.iinfo(array.dtype)
    return np.rint(np.clip(values.astype(np.float64), ends.min, ends.max)).astype(array.dtype)


def to_floats(array: np.ndarray) -> np.ndarray:
    """Convert ``(H, W, C)``, uint8 or uint16, to ``(C, H, W)``, float32: 0 is -1, the maximum is 1."""
    values = np.ascontiguousarray(np.moveaxis(array, 2, 0), dtype=np.float32)
    values /= half_range(array.dtype)
    values -= 1
    return values


def from_floats(values: np.ndarray, dtype: npt.DTypeLike = np.uint8) -> np.ndarray:
    """Convert ``(..., C, H, W)`` in [-1, 1] to ``(..., H, W, C)`` of `dtype` (uint8 or uint16).

    Values are clamped to [-1, 1] and rounded to nearest, so that `to_floats` is undone exactly.

    Raises:
        DataError: A value is not finite.
    """
    channels, height, width = values.shape[-3:]
    array = np.empty((*values.shape[:-3], height, width, channels), dtype)
    for rows in row_blocks(height, values.size // max(1, height)):
        part = values[..., rows, :]
        if not np.isfinite(part).all():
            raise DataError(f"An image of shape {tuple(values.shape)} holds values that are not finite.")
        array[..., rows, :, :] = np.moveaxis(np.rint((np.clip(part, -1, 1) + 1) * half_range(dtype)), -3, -1)
    return array


def row_blocks(height: int, values_a_row: int, at_most: int = 2**20) -> Iterator[slice]:
    """Blocks of rows of so many values: by default several copies in float64 are nothing beside a large image."""
    step = max(1, at_most // max(1, values_a_row))
    return (slice(first, min(height, first + step)) for first in range(0, height, step))


def to_tensor(array: np.ndarray) -> "torch.Tensor":
    """`to_floats` as a tensor."""
    import torch  # noqa: PLC0415  (decoding alone must not load torch)

    return torch.from_numpy(to_floats(array))


def to_array(tensor: "torch.Tensor", dtype: npt.DTypeLike = np.uint8) -> np.ndarray:
    """`from_floats` of a tensor of any device and floating type."""
    return from_floats(tensor.detach().cpu().float().numpy(), dtype)


def half_range(dtype: npt.DTypeLike) -> float:
    """How many steps of an array's type make one unit of [-1, 1]: 127.5 of uint8, 32767.5 of uint16."""
    if np.dtype(dtype) not in (np.uint8, np.uint16):
        raise DataError(f"Images are uint8 or uint16 arrays, not {np.dtype(dtype)}.")
    return np.iinfo(dtype).max / 2


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


@contextmanager
def opened_by_pillow(stream: BinaryIO, name: str) -> Iterator[Image.Image]:
    """The image of a file by one of the decoders that are trusted, not loaded yet."""
    try:
        opened = Image.open(stream, formats=_FORMATS)
    except MemoryError as error:  # of a header: its picture is decoded later
        raise _too_little_memory(_HEADER_SIZE, name) from error
    with opened as image:
        _check_size(image, name)
        try:
            yield image
        except MemoryError as error:
            raise _too_little_memory(image.size, name) from error


def _unidentified(stream: BinaryIO) -> str:
    """Why a file is refused that Pillow does not open."""
    stream.seek(0)
    head = stream.read(HEAD_BYTES)
    if not head:
        return "the file is empty (0 bytes)"
    found, formats = what_it_is(head), ", ".join((*_FORMATS, "Netpbm", "NPY"))
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
        known = isinstance(error, OSError) and error.strerror
        raise ImageReadError(name, known or f"damaged or truncated ({error or type(error).__name__})") from error


def _too_little_memory(size: tuple[int, int], name: str) -> Exception:
    """What it means that decoding ran out of memory: where the pixels would find room, the file asks for too much."""
    width, height = size
    try:
        bytearray(_DECODING_BYTES * width * height)
    except MemoryError:
        return NoMemoryError(f"there is not enough memory to decode {name}, {width} x {height} pixels.")
    return ImageReadError(name, "damaged (it asks for more memory than it takes)")


def _check_size(image: Image.Image, name: str) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise ImageReadError(name, f"too large: {width} x {height} pixels, at most {MAX_PIXELS} pixels are read")
    if width * height == 0:
        raise ImageReadError(name, f"has no pixels ({width} x {height})")


def _stored_by_pillow(image: Image.Image, name: str) -> StoredImage:
    _check_size(image, name)
    if isinstance(image, PngImageFile):
        require_data(image)
        scale_transparency(image)
    array = read_deep(image) if isinstance(image, PngImageFile) else None
    greys = _greys_of(image)
    image.load()
    mode, bits, indices = image.mode, 8, None
    if array is not None:
        bits = 16
    elif mode == "I" or mode.startswith("I;16"):
        array, bits = _sixteen_bits(image, name), 16
    elif mode in ("1", "L", "LA", "La"):
        array = _array_of(image, "LA" if image.has_transparency_data else "L")
        if greys < 256:
            indices = (array if array.ndim == 2 else array[:, :, 0]) // (255 // (greys - 1))
    elif mode in ("P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV", "LAB"):
        if mode in ("P", "PA"):
            indices = np.array(image)
            indices = indices if indices.ndim == 2 else indices[:, :, 0]
        array = _array_of(image, "RGBA" if image.has_transparency_data else "RGB")
    else:
        raise ImageReadError(
            name,
            f"has pixels of the kind '{mode}', whose range is not known: save it with 8 or 16 bits a channel",
        )
    array = array.reshape(*array.shape[:2], -1)
    orientation = orientation_of(image)
    upright = np.ascontiguousarray(turned_upright(array, orientation))
    if indices is not None:
        indices = np.ascontiguousarray(turned_upright(indices, orientation))
    colours, alpha = divmod(array.shape[2] - 1, 2)
    kind = f"{bits}-bit {image.format or 'image'}"
    return StoredImage(
        upright, bits, 1 + 2 * colours, bool(alpha), num_frames=_frames(image), kind=kind, indices=indices
    )


def _greys_of(image: Image.Image) -> int:
    """How many greys the file of a grey picture that is not loaded yet tells apart: 2, 4, 16, or 256 and more."""
    if image.mode == "1":
        return 2
    tiles = getattr(image, "tile", None)  # only files have some
    args = tiles[0].args if tiles else None
    raw_mode = args[0] if isinstance(args, tuple) and args else args
    match = re.match(r"L;([24])", raw_mode) if isinstance(raw_mode, str) else None
    return 2 ** int(match[1]) if match else 256


def _array_of(image: Image.Image, mode: str) -> np.ndarray:
    return np.array(image if image.mode == mode else image.convert(mode))  # to its own mode would be one more copy


def _frames(image: Image.Image) -> int:
    try:
        return int(getattr(image, "n_frames", 1))
    except Exception:  # of a later frame, which is not read
        return 1


def _sixteen_bits(image: Image.Image, name: str) -> np.ndarray:
    values = np.array(image).astype(np.int64)
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 65535:
        raise ImageReadError(name, f"has values from {low} to {high}; grayscale is read from 0 to 65535")
    return values.astype(np.uint16)


def _luma(colour: np.ndarray) -> np.ndarray:
    """ITU-R 601 luma ``(H, W, 1)`` of RGB, by the integers that Pillow computes it with."""
    if colour.dtype == np.uint8:
        return np.array(Image.fromarray(np.ascontiguousarray(colour)).convert("L"))[:, :, None]
    weighted = colour.astype(np.uint32) * np.array([19595, 38470, 7471], np.uint32)
    total = weighted.sum(axis=2, keepdims=True, dtype=np.uint64)
    return ((total + 32768) >> 16).astype(colour.dtype)


def _over_white(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    white = np.iinfo(colour.dtype).max
    wide = np.uint16 if white == 255 else np.uint32
    weight = alpha.astype(wide)
    return ((colour * weight + white * (white - weight) + white // 2) // white).astype(colour.dtype)


def orientation_of(image: Image.Image) -> int:
    """EXIF's number for how an image is turned; 1 where it says nothing that is known."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:
        return 1
    return value if value in range(1, 9) else 1


def _may_hold_exif(image: PngImageFile) -> bool:
    """Whether a PNG has a chunk of EXIF or of text (which may be EXIF too), or is not whole."""
    file = image.fp
    assert file is not None
    begin = file.tell()
    try:
        file.seek(_PNG_SIGNATURE_BYTES)
        while len(head := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", head)
            if kind == b"IEND":
                return False
            if kind in _MAY_BE_EXIF:
                return True
            file.seek(length + _PNG_CHECKSUM_BYTES, io.SEEK_CUR)
        return True
    finally:
        file.seek(begin)
