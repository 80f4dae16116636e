"""Files of the formats for which there are extras, told by their first bytes: NIfTI, DICOM, OpenEXR."""

from dataclasses import replace
from typing import BinaryIO, Protocol

from tandem.data.formats import exr
from tandem.data.formats.carried import Carried
from tandem.data.formats.dicom import is_dicom, open_dicom
from tandem.data.formats.nifti import GZIP, is_nifti, open_nifti, unpacked
from tandem.data.formats.signatures import HEAD_BYTES
from tandem.data.formats.stored import StoredImage, UnreadableError


class Volume(Protocol):
    """An opened file of one or several slices."""

    @property
    def num_slices(self) -> int:
        """How many images it holds."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        ...

    def read(self, index: int) -> StoredImage:
        """The image of a slice.

        Raises:
            UnreadableError: It is damaged or truncated.
        """
        ...

    def carried(self, index: int) -> Carried:
        """What the file says of a slice beside its pixels."""
        ...


def is_other(stream: BinaryIO) -> bool:
    """Whether it is such a file, by its first bytes; the stream is at its beginning again then."""
    stream.seek(0)
    head = stream.read(HEAD_BYTES)
    stream.seek(0)
    return head.startswith((GZIP, exr.MARK)) or is_dicom(head) or is_nifti(head)


def read_other(stream: BinaryIO) -> StoredImage:
    """Read the image of such a file, of a volume its first slice.

    Raises:
        UnreadableError: It is damaged, too large, or of a kind that is not read.
        MissingExtraError: What reads it is not installed.
    """
    if _is_exr(stream):
        return exr.read_exr(stream)
    volume = open_volume(stream)
    return replace(volume.read(0), num_frames=volume.num_slices)


def read_other_size(stream: BinaryIO) -> tuple[int, int]:
    """The ``(width, height)`` of that image; raises as `read_other`."""
    return exr.read_exr_size(stream) if _is_exr(stream) else open_volume(stream).size


def read_other_carried(stream: BinaryIO) -> Carried:
    """What it says beside its pixels; raises as `read_other`."""
    return Carried() if _is_exr(stream) else open_volume(stream).carried(0)


def open_volume(stream: BinaryIO) -> Volume:
    """What the header of a file says; the stream stays open for as long as slices are read.

    Raises:
        UnreadableError: It is damaged, or neither NIfTI nor DICOM.
        MissingExtraError: What reads it is not installed.
    """
    opened = unpacked(stream)
    try:
        head = opened.read(HEAD_BYTES)
    except EOFError as error:
        raise UnreadableError(f"damaged or truncated ({error})") from error
    if is_nifti(head):
        return open_nifti(opened)
    if is_dicom(head):
        return open_dicom(opened)
    raise UnreadableError("is neither a NIfTI nor a DICOM file")


def _is_exr(stream: BinaryIO) -> bool:
    stream.seek(0)
    mark = stream.read(len(exr.MARK))
    stream.seek(0)
    return mark == exr.MARK
