"""Files that are read here from the first byte to the last, told by their first bytes: NPY, NPZ and Netpbm."""

from collections.abc import Callable
from typing import BinaryIO, NamedTuple

from tandem.data.formats.netpbm import is_netpbm, read_netpbm, read_netpbm_shape
from tandem.data.formats.numpy_files import is_npy, is_zip, read_npy, read_npy_shape, read_npz, read_npz_shape
from tandem.data.formats.stored import StoredImage


class OwnFormat(NamedTuple):
    """How a file of a format is read from where a stream is; both raise `UnreadableError`."""

    read: Callable[[BinaryIO], StoredImage]
    read_shape: Callable[[BinaryIO], tuple[int, int, int]]
    """``(height, width, channels)``, from the header alone."""


_NPY, _NPZ = OwnFormat(read_npy, read_npy_shape), OwnFormat(read_npz, read_npz_shape)
_NETPBM = OwnFormat(read_netpbm, read_netpbm_shape)


def own_format(head: bytes) -> OwnFormat | None:
    """The format of a file that begins so with 8 bytes; None of others."""
    if is_npy(head):
        return _NPY
    if is_zip(head):
        return _NPZ
    return _NETPBM if is_netpbm(head) else None
