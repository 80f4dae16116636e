"""DICOM files as images, frame by frame (the extra ``dicom``).

Values are those that the modality says (slope and intercept, or its table): Hounsfield units of CT. Where it says
nothing, MONOCHROME1, whose zero is white, is turned. Palettes become RGB, and so does YBR.
"""

from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from tandem.data.formats.carried import Carried
from tandem.data.formats.dicom_header import header_of, of_frame
from tandem.data.formats.extras import needed
from tandem.data.formats.rescaled import rescaled
from tandem.data.formats.stored import StoredImage, UnreadableError, check_values, kind_of_samples

_DEFLATED = (b"1.2.840.10008.1.2.1.99", b"1.2.840.10008.1.2.8.1")
_TRANSFER_SYNTAX = b"\x02\0\x10\0UI"
_META_BYTES = 2**16
_SCALE = ("RescaleSlope", "RescaleIntercept")
_PLACE = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")
_MOST_FRAMES = 2**15
_MAX_FILE_BYTES = 2**32


@dataclass(frozen=True)
class DicomFile:
    """An opened file.

    Attributes:
        dataset: As pydicom has it; large values are read when they are asked for.
        num_slices: Frames.
    """

    dataset: Any
    num_slices: int

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return int(self.dataset.Columns), int(self.dataset.Rows)

    def read(self, index: int) -> StoredImage:
        """The image of a frame.

        Raises:
            UnreadableError: It is damaged, or compressed by something for which there is no decoder.
        """
        dataset = self.dataset
        pixels = _pydicom().pixels
        try:
            stored = pixels.pixel_array(dataset, index=index if self.num_slices > 1 else None)
        except (RuntimeError, NotImplementedError) as error:
            syntax = dataset.file_meta.TransferSyntaxUID.name
            raise UnreadableError(f"a DICOM image compressed as {syntax}, which is not read here ({error})") from error
        bits, kind = int(dataset.BitsStored), str(dataset.PhotometricInterpretation)
        if kind == "PALETTE COLOR":
            stored = pixels.apply_color_lut(stored, dataset)
            bits = 8 * stored.itemsize
        values = stored.astype(stored.dtype.newbyteorder("="), copy=False)
        values = values.reshape(*values.shape[:2], -1)
        if values.shape[2] == 1:
            values = self._of_modality(values, bits, index)
        if values.dtype.kind != "u" or values.dtype != stored.dtype:
            bits = 8 * values.itemsize
        described = f"{kind_of_samples(values.dtype, bits)} DICOM image"
        colours = values.shape[2] if values.shape[2] in (1, 3) else 0
        return StoredImage(np.ascontiguousarray(values), bits, colours, has_alpha=False, kind=described)

    def carried(self, index: int) -> Carried:
        """What the file says of a frame beside its pixels: where it lies in the patient, and the rest of its header."""
        frame = index if self.num_slices > 1 else None
        header = header_of(self.dataset, frame, is_inverted=self._is_inverted(index))
        position, axes, spacing = (of_frame(self.dataset, name, frame) for name in _PLACE)
        if not (position and axes and spacing):
            return Carried(dicom=header)
        along_row, along_column = np.array(axes[:3], float), np.array(axes[3:], float)
        thickness = float(of_frame(self.dataset, "SliceThickness", frame) or 1)
        affine = np.eye(4)
        affine[:3, 0] = along_row * float(spacing[1])
        affine[:3, 1] = along_column * float(spacing[0])
        affine[:3, 2] = np.cross(along_row, along_column) * thickness
        affine[:3, 3] = np.array(position, float)
        affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine  # to the left and backwards there, to the right and forwards
        return Carried(affine=tuple(map(tuple, affine.tolist())), dicom=header)

    def _of_modality(self, values: np.ndarray, bits: int, index: int) -> np.ndarray:
        dataset = self.dataset
        if "ModalityLUTSequence" in dataset:
            found = _pydicom().pixels.apply_modality_lut(values[:, :, 0], dataset)[:, :, None]
            return found.astype(np.int32) if found.dtype.kind in "ui" else found.astype(np.float32)
        slope, intercept = self._scale(index)
        if slope == 0 or not np.isfinite([slope, intercept]).all():
            raise UnreadableError(f"damaged (a rescale slope of {slope:g}, an intercept of {intercept:g})")
        if (slope, intercept) != (1, 0):
            return rescaled(values, slope, intercept, bits=bits)
        if dataset.PhotometricInterpretation != "MONOCHROME1":
            return values
        white = 2**bits - 1 if values.dtype.kind == "u" else -1
        return np.array(white, values.dtype) - values

    def _scale(self, index: int) -> tuple[float, float]:
        """The slope and the intercept of a frame."""
        frame = index if self.num_slices > 1 else None
        found = [of_frame(self.dataset, name, frame) for name in _SCALE]
        slope, intercept = (
            default if one is None else float(one) for one, default in zip(found, (1.0, 0.0), strict=True)
        )
        return slope, intercept

    def _is_inverted(self, index: int) -> bool:
        """Whether zero is white in what is read: where the modality says values, they are not turned."""
        turned = "ModalityLUTSequence" not in self.dataset and self._scale(index) == (1, 0)
        return self.dataset.PhotometricInterpretation == "MONOCHROME1" and not turned


def is_dicom(head: bytes) -> bool:
    """Whether a file that begins so is a DICOM file."""
    return head[128:132] == b"DICM"


def open_dicom(stream: BinaryIO) -> DicomFile:
    """Read the header of a file, from its beginning; `stream` stays open for as long as frames are read.

    Raises:
        UnreadableError: It is damaged, too large, or holds no image.
        MissingExtraError: pydicom is not installed.
    """
    dataset = _dataset(stream)
    if any(name not in dataset for name in ("Rows", "Columns", "BitsStored", "PixelData")):
        raise UnreadableError("a DICOM file without an image")
    check_values(int(dataset.Columns), int(dataset.Rows), int(dataset.get("SamplesPerPixel", 1)))
    return DicomFile(dataset, _frames(dataset))


def count_frames(stream: BinaryIO) -> int:
    """The frames of a file, whose pixels are passed over; raises as `open_dicom`."""
    return _frames(_dataset(stream, stop_before_pixels=True, specific_tags=["NumberOfFrames"]))


def _dataset(stream: BinaryIO, **how: Any) -> Any:
    library = _pydicom()
    size = stream.seek(0, 2)
    if size > _MAX_FILE_BYTES:
        raise UnreadableError(f"too large: {size} bytes, at most {_MAX_FILE_BYTES} are read")
    stream.seek(0)
    if _transfer_syntax(stream.read(_META_BYTES)) in _DEFLATED:  # of which nobody knows how large it is unpacked
        raise UnreadableError("a deflated DICOM file, which is not read: save it uncompressed")
    stream.seek(0)
    try:
        return library.dcmread(_Sparing(stream, size), **how)
    except library.errors.InvalidDicomError as error:
        raise UnreadableError(f"damaged ({error})") from error


class _Sparing:
    """A file of which never more is asked than there is: pydicom believes lengths of 4 GB and asks for them at once.

    Args:
        stream: The file.
        size: Its bytes.
    """

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream, self._size = stream, size
        self.seek, self.tell, self.close = stream.seek, stream.tell, stream.close

    def read(self, number: int = -1) -> bytes:
        """Up to so many bytes."""
        left = max(0, self._size - self._stream.tell())
        return self._stream.read(left if number < 0 else min(number, left))


def _frames(dataset: Any) -> int:
    frames = int(dataset.get("NumberOfFrames") or 1)
    if not 1 <= frames <= _MOST_FRAMES:
        raise UnreadableError(f"has {frames} frames, at most {_MOST_FRAMES} are read")
    return frames


def _transfer_syntax(head: bytes) -> bytes:
    """How what follows the group 2 of a file is written, which is always explicit and little-endian itself."""
    at = head.find(_TRANSFER_SYNTAX)
    length = int.from_bytes(head[at + 6 : at + 8], "little")
    return head[at + 8 : at + 8 + length].strip(b"\0 ") if at >= 0 else b""


def _pydicom() -> Any:
    return needed("pydicom", "dicom", "Reading DICOM files")
