"""Volumes whose slices are images: NIfTI, DICOM files of several frames, and the folders of Zarr images.

Slices have paths below that of their file, ``scan.nii.gz/scan-037.npy``: whoever lists, opens and names image files
goes on without knowing of volumes. What is read there is an NPY file of the slice. That of a Zarr image without t and z
is called like it, ``cells.ome.zarr/cells.npy``.
"""

import io
import os
import re
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tandem.data.formats.carried import Carried
from tandem.data.formats.dicom import count_frames
from tandem.data.formats.numpy_files import npy_bytes
from tandem.data.formats.others import Volume, open_volume
from tandem.data.formats.stored import StoredImage, UnreadableError
from tandem.data.formats.zarr_files import SUFFIXES, ZarrVolume, is_zarr, open_zarr, zarr_stem
from tandem.errors import TandemError
from tandem.foreign import open_plain, reason_of
from tandem.interrupts import raise_lost

NIFTI_SUFFIXES = (".nii", ".nii.gz")
DICOM_SUFFIXES = (".dcm",)
_SLICE = re.compile(r".*-(\d{3,6})\.npy")


@dataclass(frozen=True)
class Slice:
    """A slice of a volume.

    Attributes:
        file: The volume.
        index: Which slice, from 0.
    """

    file: Path
    index: int


def is_volume_name(name: str) -> bool:
    """Whether a file of this name may hold several slices, or is a folder that is an image."""
    return name.lower().endswith((*NIFTI_SUFFIXES, *DICOM_SUFFIXES, *SUFFIXES))


def slice_of(path: Path) -> Slice | None:
    """The slice that a path means; None of the path of a file."""
    file, found = path.parent, _SLICE.fullmatch(path.name)
    if not path.name.endswith(".npy") or not is_volume_name(file.name) or not (file.is_file() or is_zarr(file)):
        return None
    if is_zarr(file) and path.stem == zarr_stem(file.name):
        return Slice(file, 0)
    return None if found is None else Slice(file, int(found[1]))


def image_paths(path: Path) -> list[Path]:
    """The images of a file: itself, or the slices of a volume of several.

    Raises:
        UnreadableError: A volume is damaged, or of a kind that is not read.
        OSError: It cannot be read.
        MissingExtraError: What reads it is not installed.
    """
    if not is_volume_name(path.name):
        return [path]
    if is_zarr(path):
        with _parsing():
            number = open_zarr(path).num_slices
        stem = zarr_stem(path.name)
        return [path / f"{stem}.npy"] if number == 1 else _slices(path, stem, number)
    if path.name.lower().endswith(DICOM_SUFFIXES):  # of which folders hold many
        with open_plain(path) as stream, _parsing():
            number = count_frames(stream)
    else:
        with _opened(path) as volume:
            number = volume.num_slices
    if number == 1:
        return [path]
    return _slices(path, path.name[: path.name.lower().index(".", 1)], number)


def _slices(path: Path, stem: str, number: int) -> list[Path]:
    digits = max(3, len(str(number - 1)))
    return [path / f"{stem}-{index:0{digits}d}.npy" for index in range(number)]


def slice_stamp(one: Slice) -> tuple[int, int]:
    """Bytes of what a slice lies in, and the time of its last change in nanoseconds: of the file, or of its chunks.

    Raises:
        UnreadableError: The metadata of a Zarr image are damaged.
        OSError: It is not there.
    """
    if not is_zarr(one.file):
        status = one.file.stat()
        return status.st_size, status.st_mtime_ns
    with _opened(one.file) as volume:
        assert isinstance(volume, ZarrVolume)
        return volume.stamp(one.index)


def read_slice(one: Slice) -> StoredImage:
    """The image of a slice.

    Raises:
        UnreadableError: Its volume is damaged, or of a kind that is not read.
        OSError: It cannot be read.
        MissingExtraError: What reads it is not installed.
    """
    with _opened(one.file) as volume:
        if one.index >= volume.num_slices:
            raise UnreadableError(f"has {volume.num_slices} slices, none of the number {one.index}")
        return volume.read(one.index)


def slice_carried(one: Slice) -> Carried:
    """What its volume says of a slice beside its pixels; raises as `read_slice`."""
    with _opened(one.file) as volume:
        return volume.carried(one.index)


def open_slice(one: Slice) -> BinaryIO:
    """An NPY file of a slice; raises as `read_slice`."""
    return io.BytesIO(npy_bytes(read_slice(one).values))


_lock = threading.RLock()
_last: tuple[tuple[object, ...], ExitStack, Volume] | None = None
"""The volume that was read last, with what closes its file: slices are mostly asked for one after the other, and of an
archive what lies before one must be unpacked. Processes do not share the position in it."""


@contextmanager
def _opened(path: Path) -> Iterator[Volume]:
    """The volume of a file, which is opened anew after a failure."""
    global _last  # noqa: PLW0603
    if is_zarr(path):  # whose metadata are small
        with _parsing():
            yield open_zarr(path)
        return
    with _lock:
        status = path.stat()
        key = (os.getpid(), str(path), status.st_size, status.st_mtime_ns)
        if _last is None or _last[0] != key:
            _forget()
            with ExitStack() as closing, _parsing():
                volume = open_volume(closing.enter_context(open_plain(path)))
                _last = (key, closing.pop_all(), volume)
        try:
            with _parsing():
                yield _last[2]
        except BaseException:
            _forget()
            raise


def _forget() -> None:
    global _last  # noqa: PLW0603
    if _last is not None:
        _last[1].close()
    _last = None


@contextmanager
def _parsing() -> Iterator[None]:
    """Whatever a parser raises says that the volume is damaged."""
    try:
        yield
    except (UnreadableError, TandemError, OSError, MemoryError):
        raise
    except Exception as error:
        raise_lost(error)
        raise UnreadableError(f"damaged or truncated ({reason_of(error)})") from error
