"""NIfTI volumes as images, slice by slice, and images as NIfTI files (the extra ``nifti``).

A slice of a volume ``(x, y, z)`` is the image of one z: x runs to the right and y down, nothing is turned. A fourth or
fifth axis are the channels. Values are those that slope and intercept say.
"""

import gzip
import io
import math
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from tandem.data.formats.carried import Carried
from tandem.data.formats.extras import needed
from tandem.data.formats.rescaled import rescaled
from tandem.data.formats.stored import StoredImage, UnreadableError, check_values, kind_of_samples

GZIP = b"\x1f\x8b"
MARKS = (b"n+1\0", b"ni1\0")
HEADER_BYTES = 348
_MAX_OFFSET = 2**20
_MOST_SLICES = 2**15
_READ = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4"}
_RGB = 128


@dataclass(frozen=True)
class NiftiVolume:
    """What the header of a file says.

    Attributes:
        stream: The file, unpacked.
        header: As nibabel has it.
        shape: Width, height, slices and channels.
        dtype: Of the samples, in the byte order of the file.
        rgb: Whether a sample is three bytes, which are colours.
        offset: Where the samples begin.
    """

    stream: BinaryIO
    header: Any
    shape: tuple[int, int, int, int]
    dtype: np.dtype
    rgb: bool
    offset: int

    @property
    def num_slices(self) -> int:
        """How many images it holds."""
        return self.shape[2]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.shape[:2]

    def read(self, index: int) -> StoredImage:
        """The image of a slice.

        Raises:
            UnreadableError: It is damaged or truncated.
        """
        width, height, slices, channels = self.shape
        size = width * height * self.dtype.itemsize * (3 if self.rgb else 1)
        planes = []
        for channel in range(channels):
            data = _read_at(self.stream, self.offset + (channel * slices + index) * size, size)
            planes.append(np.frombuffer(data, self.dtype).reshape(height, width, -1))
        values = np.concatenate(planes, axis=2).astype(self.dtype.newbyteorder("="))
        slope, intercept = float(self.header["scl_slope"]), float(self.header["scl_inter"])
        scaled = math.isfinite(slope) and slope != 0 and math.isfinite(intercept) and (slope, intercept) != (1, 0)
        if scaled and not self.rgb:
            values = rescaled(values, slope, intercept)
        bits = 8 * values.itemsize
        colours = 3 if self.rgb and channels == 1 else 1 if values.shape[2] == 1 else 0
        kind = f"{kind_of_samples(values.dtype, bits)} NIfTI volume"
        return StoredImage(np.ascontiguousarray(values), bits, colours, has_alpha=False, kind=kind)

    def carried(self, index: int) -> Carried:
        """What the file says of a slice beside its pixels: its affine begins there."""
        header = self.header.copy()
        affine = header.get_best_affine()
        shift = affine[:3, 2] * index
        affine[:3, 3] += shift
        for letter, row in zip("xyz", range(3), strict=True):
            header[f"srow_{letter}"][3] += shift[row]
            header[f"qoffset_{letter}"] += shift[row]
        return Carried(nifti=header.binaryblock, affine=tuple(map(tuple, affine.tolist())))


def is_nifti(head: bytes) -> bool:
    """Whether a file that begins so, unpacked, is a NIfTI file of samples behind their header."""
    return head[344:348] == MARKS[0]


def unpacked(stream: BinaryIO) -> BinaryIO:
    """The bytes of a file, of a gzip archive those that are packed in it."""
    stream.seek(0)
    packed = stream.read(2) == GZIP
    stream.seek(0)
    return gzip.GzipFile(fileobj=stream) if packed else stream  # type: ignore[return-value]


def open_nifti(stream: BinaryIO) -> NiftiVolume:
    """What the header of a file says; `stream` gives it unpacked, from its beginning.

    Raises:
        UnreadableError: It is damaged, too large, or of a kind that is not read.
        MissingExtraError: nibabel is not installed.
    """
    library = _nibabel()
    data = _read_at(stream, 0, HEADER_BYTES)
    header = library.Nifti1Header(data, check=False)
    dims = [int(one) for one in header["dim"]]
    if not 2 <= dims[0] <= 7 or any(side < 1 for side in dims[1 : dims[0] + 1]):
        raise UnreadableError(f"a NIfTI file with the dimensions {dims[1 : max(dims[0], 0) + 1]}, which is no image")
    width, height, slices, fourth, fifth, *rest = [*dims[1 : dims[0] + 1], *[1] * 7][:7]
    code = int(header["datatype"])
    if code not in (*_READ, _RGB) or math.prod(rest) > 1 or min(fourth, fifth) > 1:
        kind = library.Nifti1Header._data_type_codes.label[code] if code in library.nifti1.data_type_codes else code
        raise UnreadableError(
            f"a NIfTI file of {' x '.join(map(str, dims[1 : dims[0] + 1]))} samples of the type {kind}: read are "
            "integers of 8, 16 and 32 bits, floating point of 32 and 64, and RGB, with up to four axes"
        )
    channels = fourth * fifth
    check_values(width, height, channels * (3 if code == _RGB else 1))
    if slices > _MOST_SLICES:
        raise UnreadableError(f"has {slices} slices, at most {_MOST_SLICES} are read")
    offset = float(header["vox_offset"])
    if not HEADER_BYTES <= offset <= _MAX_OFFSET:
        raise UnreadableError(f"damaged (its samples begin at byte {offset:g})")
    dtype = np.dtype(_READ.get(code, "u1")).newbyteorder(header.endianness)
    return NiftiVolume(stream, header, (width, height, slices, channels), dtype, code == _RGB, int(offset))


def nifti_bytes(array: np.ndarray, carried: Carried, *, slices: int | None = None) -> bytes:
    """A NIfTI file of an image ``(H, W, C)``, or of the slices of a volume ``(slices, H, W, C)``.

    Raises:
        MissingExtraError: nibabel is not installed.
    """
    library = _nibabel()
    volume = array if slices is not None else array[None]
    samples = np.moveaxis(volume, (2, 1, 0, 3), (0, 1, 2, 3))
    samples = samples[..., 0] if samples.shape[3] == 1 else samples
    if samples.dtype == np.float16:
        samples = samples.astype(np.float32)
    header = _header_for(library, samples.shape, carried)
    header.set_data_dtype(samples.dtype)
    for name in ("scl_slope", "scl_inter", "cal_min", "cal_max"):
        header[name] = np.nan if name.startswith("scl") else 0
    header["vox_offset"] = 352
    body = np.asfortranarray(samples.astype(samples.dtype.newbyteorder("<"))).tobytes(order="F")
    return header.binaryblock + bytes(4) + body


def _header_for(library: Any, shape: tuple[int, ...], carried: Carried) -> Any:
    """A header for samples ``(x, y, z)`` or ``(x, y, z, channels)`` with the place that is carried."""
    if carried.nifti is not None:
        header = library.Nifti1Header(carried.nifti, check=False).as_byteswapped("<")
        zooms = [*header.get_zooms(), 1.0, 1.0, 1.0][: len(shape)]
        header.set_data_shape(shape)
        header.set_zooms(zooms)
        return header
    header = library.Nifti1Header()
    header.set_data_shape(shape)
    if carried.affine is not None:
        affine = np.array(carried.affine)
        header.set_sform(affine, "scanner")
        header.set_zooms([*np.linalg.norm(affine[:3, :3], axis=0), 1.0][: len(shape)])
        header.set_xyzt_units("mm")
    return header


def packed(data: bytes) -> bytes:
    """The same file as a gzip archive, which says nothing of the time."""
    stream = io.BytesIO()
    with gzip.GzipFile(fileobj=stream, mode="wb", mtime=0) as archive:
        archive.write(data)
    return stream.getvalue()


def _read_at(stream: BinaryIO, offset: int, size: int) -> bytes:
    try:
        stream.seek(offset)
        data = stream.read(size)
    except (EOFError, gzip.BadGzipFile) as error:
        raise UnreadableError(f"damaged or truncated ({error})") from error
    if len(data) < size:
        raise UnreadableError(f"damaged or truncated ({len(data)} of {size} bytes at {offset})")
    return data


def _nibabel() -> Any:
    return needed("nibabel", "nifti", "Reading and writing NIfTI files")
