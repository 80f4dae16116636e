"""NPY and NPZ files as images: arrays ``(H, W)`` or ``(H, W, C)``; nothing in them is ever unpickled.

Integers of 64 bits, which NumPy makes unless it is told otherwise, are read as those of 32, where all values fit.
"""

import io
import math
import zipfile
from typing import BinaryIO

import numpy as np
from numpy.lib import format as npy

from tandem.config.data import MAX_CHANNELS
from tandem.data.formats.stored import StoredImage, UnreadableError, check_values, kind_of_samples, read_what_is_there

NPZ_NAME = "image"
"""The array of an NPZ that is the image, where it holds several."""
_READ = {"u": (1, 2, 4, 8), "i": (1, 2, 4, 8), "f": (2, 4, 8), "b": (1,)}
_LONG_BYTES = 8


def is_npy(head: bytes) -> bool:
    """Whether a file that begins so is an NPY."""
    return head.startswith(npy.MAGIC_PREFIX)


def is_zip(head: bytes) -> bool:
    """Whether a file that begins so is a ZIP archive, as an NPZ is."""
    return head.startswith(b"PK\x03\x04")


def read_npy(stream: BinaryIO) -> StoredImage:
    """Read an NPY file from where the stream is.

    Raises:
        UnreadableError: It is damaged, too large, or no image.
    """
    shape, turned, dtype = _header(stream)
    num_bytes = math.prod(shape) * dtype.itemsize
    data = read_what_is_there(stream, num_bytes)
    if len(data) < num_bytes:
        raise UnreadableError(f"damaged or truncated ({len(data)} of {num_bytes} bytes)")
    values = np.frombuffer(data, dtype).reshape(shape, order="F" if turned else "C")
    values = values.reshape(*shape[:2], -1)
    indices = None
    if dtype.kind == "b":
        indices = np.ascontiguousarray(values[:, :, 0], dtype=np.uint8) if values.shape[2] == 1 else None
        values = values.astype(np.uint8) * np.uint8(255)
    if dtype.kind in "ui" and dtype.itemsize == _LONG_BYTES:
        values = _shortened(values)
    native = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("="))
    bits, channels = 8 * native.itemsize, native.shape[2]
    picture = native.dtype.kind == "u" and bits <= 16 and channels <= 4
    colours = (1 if channels < 3 else 3) if picture else channels if channels in (1, 3) else 0
    return StoredImage(
        native,
        bits,
        colours,
        has_alpha=picture and channels in (2, 4),
        kind=f"{kind_of_samples(native.dtype, bits)} NumPy array",
        indices=indices,
    )


def _shortened(values: np.ndarray) -> np.ndarray:
    """Integers of 64 bits as those of 32, which hold them all.

    Raises:
        UnreadableError: They don't.
    """
    kind = np.dtype(f"{values.dtype.kind}{_LONG_BYTES // 2}")
    low, high, ends = values.min(), values.max(), np.iinfo(kind)
    if low < ends.min or high > ends.max:
        raise UnreadableError(
            f"a NumPy array of {values.dtype.newbyteorder('=')} with values from {low} to {high}: they are read where "
            f"{kind} holds them, from {ends.min} to {ends.max}"
        )
    return values.astype(kind)


def read_npz(stream: BinaryIO) -> StoredImage:
    """Read the image of an NPZ file: its only array, or the one that is called `NPZ_NAME`.

    Raises:
        UnreadableError: It is damaged, too large, or holds no image.
    """
    with _member(stream) as member:
        return read_npy(member)


def read_npy_shape(stream: BinaryIO) -> tuple[int, int, int]:
    """The ``(height, width, channels)`` of an NPY file; raises as `read_npy`."""
    shape, _, _ = _header(stream)
    return shape[0], shape[1], shape[2] if len(shape) == 3 else 1


def read_npz_shape(stream: BinaryIO) -> tuple[int, int, int]:
    """The ``(height, width, channels)`` of an NPZ file; raises as `read_npz`."""
    with _member(stream) as member:
        return read_npy_shape(member)


def npy_bytes(array: np.ndarray) -> bytes:
    """An NPY file of an array."""
    stream = io.BytesIO()
    np.save(stream, np.ascontiguousarray(array), allow_pickle=False)
    return stream.getvalue()


def npz_bytes(array: np.ndarray) -> bytes:
    """A compressed NPZ file of an array, which is called `NPZ_NAME` there."""
    stream = io.BytesIO()
    np.savez_compressed(stream, image=np.ascontiguousarray(array))  # as NPZ_NAME says
    return stream.getvalue()


def _member(stream: BinaryIO) -> BinaryIO:
    try:
        archive = zipfile.ZipFile(stream)
        names = [name for name in archive.namelist() if name.endswith(".npy")]
        if len(names) > 1:
            names = [name for name in names if name == f"{NPZ_NAME}.npy"] or names
        if len(names) != 1:
            held = ", ".join(name.removesuffix(".npy") for name in names[:5]) or "none"
            raise UnreadableError(
                f"a ZIP archive with {len(names)} arrays ({held}): an image is one, or the one called '{NPZ_NAME}'"
            )
        return archive.open(names[0])  # type: ignore[return-value]
    except zipfile.BadZipFile as error:
        raise UnreadableError(f"damaged ({error})") from error


def _header(stream: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether the first axis runs fastest, and type."""
    version = npy.read_magic(stream)
    reading = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(version)
    if reading is None:
        raise UnreadableError(f"an NPY file of version {'.'.join(map(str, version))}: save it with numpy.save")
    shape, turned, dtype = reading(stream)
    if dtype.itemsize not in _READ.get(dtype.kind, ()):
        raise UnreadableError(
            f"a NumPy array of {dtype}: read are unsigned and signed integers of 8 to 64 bits, floating point of "
            "16, 32 and 64, and bool"
        )
    if len(shape) not in (2, 3):
        raise UnreadableError(f"a NumPy array of shape {shape}: an image is (H, W) or (H, W, C)")
    channels = shape[2] if len(shape) == 3 else 1
    if channels > MAX_CHANNELS >= shape[0]:
        raise UnreadableError(
            f"a NumPy array of shape {shape}, which looks like (C, H, W): an image is (H, W, C), "
            "numpy.moveaxis(array, 0, -1)"
        )
    check_values(shape[1], shape[0], channels)
    return shape, turned, dtype
