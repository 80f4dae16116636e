"""Image files as arrays in their own type, for programs: what training reads, and what sampling writes."""

import io
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePath

import numpy as np

from tandem.config.data import MAX_CHANNELS
from tandem.data.formats.carried import NOTHING, Carried
from tandem.data.formats.dicom_writer import derived_here, dicom_bytes
from tandem.data.formats.exr import exr_bytes
from tandem.data.formats.nifti import nifti_bytes, packed
from tandem.data.formats.numpy_files import npy_bytes, npz_bytes
from tandem.data.formats.png import png_bytes
from tandem.data.formats.stored import kind_of_samples
from tandem.data.formats.tiff_carried import tiff_tags
from tandem.data.formats.tiff_writer import tiff_bytes
from tandem.data.formats.zarr_files import is_zarr
from tandem.data.formats.zarr_writer import SUFFIX as _ZARR
from tandem.data.formats.zarr_writer import require_own_zarr, zarr_members
from tandem.data.images import ImageReadError, decoding, image_suffix, read_native, read_stored
from tandem.data.metadata import pillow_options, read_carried
from tandem.data.pixels import pil_from_array, pil_from_indices
from tandem.data.volumes import image_paths
from tandem.errors import ConfigError, DataError
from tandem.files import atomic_write_bytes, atomic_write_folder

_EIGHT_BIT = {".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".bmp": "BMP"}
_ANY_TYPE = (".tif", ".tiff", ".npy", ".npz")
_NIFTI = (".nii", ".nii.gz")
_DICOM = ".dcm"
WRITTEN_SUFFIXES = (".png", *_ANY_TYPE, *_EIGHT_BIT, *_NIFTI, _DICOM, ".exr", _ZARR)
"""Endings of the files and folders that `write_image` writes."""

_PNG_CHANNELS = 4

log = logging.getLogger(__name__)


def read_image(path: str | Path) -> np.ndarray:
    """Read an image file as training does, before any scaling.

    Grey that counts from white is turned, palettes and transparent colours are expanded, EXIF orientation is applied;
    pages of one channel each are the channels of the image. 1, 2 and 4 bits are spread over 8; packed samples of more
    are the integers that the file holds: 0 to 4095 of 12 bits.

    Args:
        path: PNG, TIFF, NPY, NPZ, JPEG, WebP, BMP, GIF, PNM or JPEG 2000; with their extras NIfTI, DICOM and OpenEXR. A
            slice of a NIfTI volume or of a DICOM file of several frames has a path below that of its file:
            ``scan.nii.gz/scan-037.npy``; likewise of an OME-Zarr (with its extra) that holds several images.

    Returns:
        ``(H, W, C)``, in the file's own type and the byte order of the machine.

    Raises:
        ImageReadError: The file is missing, damaged, too large, or of a kind that is not read.

    Example:
        >>> import tempfile, numpy as np
        >>> heights = np.array([[[0], [1500]], [[2999], [4095]]], np.uint16)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_image(f"{folder}/x.tif", heights)
        ...     read_image(f"{folder}/x.tif").tolist() == heights.tolist()
        0
        True
    """
    return read_native(_image_at(Path(path)))


def write_image(path: str | Path, array: np.ndarray, *, like: str | Path | None = None) -> int:
    """Write an array as an image file, exactly.

    Args:
        path: Where to; the ending says the format. PNG takes 8 and 16 bits of one to four channels, TIFF, NPY and NPZ
            any type and up to 64 channels, JPEG, WebP and BMP 8 bits; with their extras ``.nii`` and ``.nii.gz`` any
            type, ``.exr`` floating point, ``.ome.zarr`` any type, as a folder, and ``.dcm``, of an image that is
            `like` a DICOM file, grey and RGB: floating point is rounded there to 65,536 levels between its least and
            its greatest value.
        array: ``(H, W)`` or ``(H, W, C)``. Of unsigned integers one channel is grey, two are grey with alpha, three
            RGB, four RGBA.
        like: An image file whose type the array is brought to: rounded to whole numbers where that holds integers, and
            cut off where its bits end. Without it the array keeps its own type. What that file says beside its pixels
            is written too, where the array has its height and width and the format holds it: resolution, ICC profile,
            a GeoTIFF's place and nodata, a NIfTI's affine, OME's size of a pixel and names of channels, a DICOM file's
            patient, study and place. What one program writes to one folder is one series of DICOM.

    Returns:
        How many values were cut off; a warning says so.

    Raises:
        DataError: The format does not hold such an array, or a value is not finite; or a folder is there that was not
            written here.
        ConfigError: The ending is none of a format that is written.
    """
    path, array = Path(path), np.asarray(array)
    array = array[:, :, None] if array.ndim == 2 else array
    if array.ndim != 3 or 0 in array.shape or array.shape[2] > MAX_CHANNELS:
        raise DataError(f"An image is (H, W) or (H, W, C) with C up to {MAX_CHANNELS}, not of shape {array.shape}.")
    clipped, carried = 0, NOTHING
    if like is not None:
        source = _image_at(Path(like))
        model = read_stored(source)
        carried = read_carried(source) if model.values.shape[:2] == array.shape[:2] else NOTHING
        white = model.white
        here = derived_here(str(path.absolute().parent), model.bits if white else None)
        carried = replace(carried, derivation=here)
        array, clipped = to_type(array, model.values.dtype, low=0 if white else None, high=white)
    if clipped:
        log.warning("%s: %d of %d values were cut off to fit into %s", path, clipped, array.size, array.dtype)
    save_array(path, array, carried)
    return clipped


def save_array(path: Path, array: np.ndarray, carried: Carried = NOTHING) -> list[Path]:
    """Write an array ``(H, W, C)`` to `path`, whose ending says the format, with what it says beside its pixels.

    Returns:
        The file; of a folder all files in it.

    Raises:
        DataError: The format does not hold such an array, or a folder is there that was not written here.
        ConfigError: The ending is none of a format that is written.
    """
    suffix = written_suffix(path.name)
    if suffix != _ZARR:
        atomic_write_bytes(path, encoded(array, suffix, carried))
        return [path]
    _require_type(array.dtype)
    members = zarr_members(array, carried.for_image(array), path.name[: -len(_ZARR)])
    atomic_write_folder(path, members, require_own_zarr)
    return [path / name for name in members]


def written_suffix(name: str) -> str:
    """The ending of a file or folder that says in which format it is written, in lower case."""
    return _ZARR if name.lower().endswith(_ZARR) else image_suffix(name) or PurePath(name).suffix.lower()


def _image_at(path: Path) -> Path:
    """The image of a path, which may be the folder of a single one."""
    if not is_zarr(path):
        return path
    with decoding(str(path)):
        images = image_paths(path)
    if len(images) > 1:
        raise ImageReadError(str(path), f"holds {len(images)} images: name one of them, e.g. {images[0]}")
    return images[0]


def to_type(
    array: np.ndarray, dtype: np.dtype, *, low: float | None = None, high: float | None = None
) -> tuple[np.ndarray, int]:
    """Bring values to a type: rounded to the nearest, ties to even, and cut off at its ends.

    Args:
        array: Of any shape.
        dtype: An integer or floating-point type.
        low: Cut off below this; by default the least value of an integer type.
        high: Likewise above.

    Returns:
        The array, and how many values were cut off.

    Raises:
        DataError: A value is not finite, where integers are wanted.
    """
    if array.dtype == dtype and low is None and high is None:
        return array, 0
    if dtype.kind == "f":
        low, high = (None, None) if low is None and high is None else (low, high)
        ends = (np.finfo(dtype).min if low is None else low, np.finfo(dtype).max if high is None else high)
        finite = np.isfinite(array)
        outside = int(((array < ends[0]) | (array > ends[1]))[finite].sum())
        return np.where(finite, np.clip(array, *ends), array).astype(dtype), outside
    if not np.isfinite(array).all():
        raise DataError(f"The array holds values that are not finite, which {dtype} cannot say.")
    info = np.iinfo(dtype)
    ends = (info.min if low is None else int(low), info.max if high is None else int(high))
    whole = np.rint(array) if array.dtype.kind == "f" else array.astype(np.int64)
    outside = int(((whole < ends[0]) | (whole > ends[1])).sum())
    return np.clip(whole, *ends).astype(dtype), outside


def encoded(array: np.ndarray, suffix: str, carried: Carried = NOTHING) -> bytes:
    """The file of an array ``(H, W, C)``, whose ending is `suffix`, with what it says beside its pixels.

    Raises:
        DataError: The format does not hold such an array.
        ConfigError: The ending is none of a format that is written.
    """
    dtype, channels = array.dtype, array.shape[2]
    this = f"{channels} x {kind_of_samples(dtype, 8 * dtype.itemsize)}"
    _require_type(dtype)
    if suffix in (".npy", ".npz"):
        return npy_bytes(array) if suffix == ".npy" else npz_bytes(array)
    carried = carried.for_image(array)
    if suffix in (".tif", ".tiff"):
        tags, pages = tiff_tags(carried, (array.shape[0], array.shape[1], channels), dtype)
        return tiff_bytes(array, tags=tags, pages=pages)
    if suffix in _NIFTI:
        return packed(nifti_bytes(array, carried)) if suffix == ".nii.gz" else nifti_bytes(array, carried)
    if suffix in (_DICOM, ".exr"):
        return dicom_bytes(array, carried) if suffix == _DICOM else exr_bytes(array)
    if suffix not in WRITTEN_SUFFIXES:
        raise ConfigError(f"No image is written to a file that ends in '{suffix}': use {_joined(WRITTEN_SUFFIXES)}.")
    allowed: Sequence[np.dtype] = [np.dtype(np.uint8)]
    if suffix == ".png":
        allowed = [np.dtype(np.uint8), np.dtype(np.uint16)]
    has_alpha = channels in (2, 4)
    if dtype not in allowed or channels > _PNG_CHANNELS or (suffix in (".jpg", ".jpeg", ".bmp") and has_alpha):
        raise DataError(f"A {suffix} file does not hold {this} channels: write {_joined(_ANY_TYPE)}.")
    if dtype == np.uint16:
        return png_bytes(array, carried)
    stream = io.BytesIO()
    options = {".webp": {"lossless": True, "exact": True}, ".jpg": {"quality": 92}, ".jpeg": {"quality": 92}}
    name = _EIGHT_BIT.get(suffix, "PNG")
    has_palette = name == "PNG" and carried.palette is not None
    picture = pil_from_indices(array, carried.palette) if has_palette else pil_from_array(array)  # type: ignore[arg-type]
    picture.save(stream, name, **options.get(suffix, {}), **pillow_options(carried, name))
    return stream.getvalue()


def _require_type(dtype: np.dtype) -> None:
    if dtype.kind not in "uif" or (dtype.kind != "f" and dtype.itemsize > 4) or dtype.itemsize > 8:
        raise DataError(f"Images hold integers of 8, 16 or 32 bits or floating point, not {dtype}.")


def fits_png(array: np.ndarray) -> bool:
    """Whether a PNG holds an array ``(H, W, C)`` as it is."""
    return array.dtype in (np.uint8, np.uint16) and array.shape[2] <= _PNG_CHANNELS


def _joined(endings: Sequence[str]) -> str:
    return f"{', '.join(endings[:-1])} or {endings[-1]}"
