"""What Pillow reads: pictures of 8 and 16 bits and with palettes, brought upright as EXIF says."""

import io
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngImageFile

from tandem.data.formats.png import read_deep, require_data, scale_transparency
from tandem.data.formats.stored import (
    TURNED_ORIENTATIONS,
    StoredImage,
    UnreadableError,
    check_values,
    turned_upright,
)
from tandem.errors import NoMemoryError

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "JPEG2000")
"""Its other decoders are left out on purpose: some run external programs (EPS) and few are hardened."""

_DECODING_BYTES = 12
"""For a pixel: what decoding and converting it takes at once, about."""
_HEADER_SIZE = (1024, 1024)
"""A picture that takes more memory than any header does."""
_PNG_SIGNATURE_BYTES, _PNG_CHECKSUM_BYTES = 8, 4
_MAY_BE_EXIF = frozenset({b"eXIf", b"tEXt", b"zTXt", b"iTXt"})


@contextmanager
def opened_by_pillow(stream: BinaryIO, name: str) -> Iterator[Image.Image]:
    """The image of a file by one of the decoders that are trusted, not loaded yet.

    Raises:
        UnreadableError: It has too many pixels or none, or asks for more memory than it takes.
        NoMemoryError: There is too little memory; `name` is the file.
        UnidentifiedImageError: It is of none of these formats.
    """
    try:
        opened = Image.open(stream, formats=FORMATS)
    except MemoryError as error:  # of a header: its picture is decoded later
        raise _too_little_memory(_HEADER_SIZE, name) from error
    with opened as image:
        check_values(*image.size, 1)
        try:
            yield image
        except MemoryError as error:
            raise _too_little_memory(image.size, name) from error


def read_by_pillow(image: Image.Image) -> StoredImage:
    """An open image with all that its file says of its pixels.

    Raises:
        UnreadableError: Its size or the kind of its pixels is not read.
    """
    check_values(*image.size, 1)
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
        array, bits = _sixteen_bits(image), 16
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
        raise UnreadableError(
            f"has pixels of the kind '{mode}', whose range is not known: save it with 8 or 16 bits a channel"
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


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Width and height of an open image when it is upright; of a PNG its chunks are looked at, a TIFF is decoded."""
    if image.format == "TIFF":  # turned by Pillow when it is loaded
        image.load()
    width, height = image.size
    if isinstance(image, PngImageFile) and not _may_hold_exif(image):
        return width, height
    return (height, width) if orientation_of(image) in TURNED_ORIENTATIONS else (width, height)


def orientation_of(image: Image.Image) -> int:
    """EXIF's number for how an image is turned; 1 where it says nothing that is known."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:
        return 1
    return value if value in range(1, 9) else 1


def _greys_of(image: Image.Image) -> int:
    """How many greys the file of a grey picture that is not loaded yet tells apart: 2, 4, 16, or 256 and more."""
    if image.mode == "1":
        return 2
    tiles = getattr(image, "tile", None)  # only files have some
    args = tiles[0].args if tiles else None
    raw_mode = args[0] if isinstance(args, tuple) and args else args
    match = re.match(r"L;([24])", raw_mode) if isinstance(raw_mode, str) else None
    return 2 ** int(match[1]) if match else 256


def _sixteen_bits(image: Image.Image) -> np.ndarray:
    values = np.array(image).astype(np.int64)
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 65535:
        raise UnreadableError(f"has values from {low} to {high}; grayscale is read from 0 to 65535")
    return values.astype(np.uint16)


def _array_of(image: Image.Image, mode: str) -> np.ndarray:
    return np.array(image if image.mode == mode else image.convert(mode))  # to its own mode would be one more copy


def _frames(image: Image.Image) -> int:
    try:
        return int(getattr(image, "n_frames", 1))
    except Exception:  # of a later frame, which is not read
        return 1


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


def _too_little_memory(size: tuple[int, int], name: str) -> Exception:
    """What it means that decoding ran out of memory: where the pixels would find room, the file asks for too much."""
    width, height = size
    try:
        bytearray(_DECODING_BYTES * width * height)
    except MemoryError:
        return NoMemoryError(f"there is not enough memory to decode {name}, {width} x {height} pixels.")
    return UnreadableError("damaged (it asks for more memory than it takes)")
