"""OpenEXR files as images, and images as OpenEXR files (the extra ``exr``).

Channels R, G, B and A are a colour, one channel is grey; others are bands, in the order of their names.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tandem.data.formats.extras import needed
from tandem.data.formats.stored import StoredImage, UnreadableError, check_values, kind_of_samples
from tandem.errors import DataError
from tandem.files import scratch_folder

MARK = b"v/1\x01"
_COLOURS = ("R", "G", "B", "A")
SAMPLE_TYPES = ("float16", "float32", "uint32")
_MAX_FILE_BYTES = 2**32


def read_exr(stream: BinaryIO) -> StoredImage:
    """Read a file.

    Raises:
        UnreadableError: It is damaged, too large, or of a kind that is not read.
        MissingExtraError: OpenEXR is not installed.
    """
    with _as_file(stream) as path:
        names, _ = _header(path)
        with _library().File(str(path), separate_channels=True) as file:
            planes = [file.channels()[name].pixels for name in names]
    values = np.stack([np.asarray(plane) for plane in planes], axis=2)
    if values.dtype.kind == "f" and len({plane.dtype for plane in planes}) > 1:
        values = values.astype(np.float32)
    bits = 8 * values.itemsize
    colours = {1: 1, 3: 3, 4: 3}.get(len(names), 0) if len(names) == 1 or names == _COLOURS[: len(names)] else 0
    kind = f"{kind_of_samples(values.dtype, bits)} OpenEXR image"
    return StoredImage(
        np.ascontiguousarray(values), bits, colours, has_alpha=len(names) == 4 and colours == 3, kind=kind
    )


def read_exr_size(stream: BinaryIO) -> tuple[int, int]:
    """The ``(width, height)`` of a file; raises as `read_exr`."""
    with _as_file(stream) as path:
        return _header(path)[1]


def exr_bytes(array: np.ndarray) -> bytes:
    """A file of an array ``(H, W, C)`` of float16, float32 or uint32.

    Raises:
        DataError: It is of another type.
        MissingExtraError: OpenEXR is not installed.
    """
    library, channels = _library(), array.shape[2]
    if str(array.dtype) not in SAMPLE_TYPES:
        raise DataError(f"An OpenEXR file holds {', '.join(SAMPLE_TYPES)}, not {array.dtype}: write .tif or .npy.")
    names = ("Y",) if channels == 1 else _COLOURS[:channels] if channels in (3, 4) else _numbered(channels)
    planes = {name: np.ascontiguousarray(array[:, :, index]) for index, name in enumerate(names)}
    header = {"compression": library.ZIP_COMPRESSION, "type": library.scanlineimage}
    with scratch_folder() as folder:
        path = folder / "x.exr"
        library.File(header, planes).write(str(path))
        return path.read_bytes()


def _numbered(channels: int) -> tuple[str, ...]:
    return tuple(f"channel{index:02d}" for index in range(channels))


def _header(path: Path) -> tuple[tuple[str, ...], tuple[int, int]]:
    """The names of the channels in their order, and width and height."""
    with _library().File(str(path), separate_channels=True, header_only=True) as file:
        header = file.header()
        (left, top), (right, bottom) = (tuple(map(int, end)) for end in header["dataWindow"])
        names = [channel.name for channel in header["channels"]]
        sampled = [channel for channel in header["channels"] if (channel.xSampling, channel.ySampling) != (1, 1)]
        parts = len(file.parts)
    if parts > 1 or sampled:
        raise UnreadableError("an OpenEXR image of several parts or with subsampled channels: save it plainly")
    check_values(right - left + 1, bottom - top + 1, len(names))
    colours = [name for name in _COLOURS if name in names]
    ordered = colours if sorted(colours) == sorted(names) else sorted(names)
    return tuple(ordered), (right - left + 1, bottom - top + 1)


@contextmanager
def _as_file(stream: BinaryIO) -> Iterator[Path]:
    """A file with the bytes of a stream, which OpenEXR reads by its name."""
    size = stream.seek(0, os.SEEK_END)
    if size > _MAX_FILE_BYTES:
        raise UnreadableError(f"too large: {size} bytes, at most {_MAX_FILE_BYTES} are read")
    stream.seek(0)
    with scratch_folder() as folder:
        path = folder / "x.exr"
        path.write_bytes(stream.read())
        yield path


def _library() -> Any:
    return needed("OpenEXR", "exr", "Reading and writing OpenEXR files")
