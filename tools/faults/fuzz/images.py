"""The readers of single images, by kind of file."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

from tandem.data.array_files import encoded, read_image
from tandem.data.images import read_size
from tools.faults.fuzz import mutate
from tools.faults.fuzz.reader import Reader, in_a_file, npz
from tools.faults.ground import Ground


def _pictures(kind: str, *modes: str) -> Callable[[Ground], list[bytes]]:
    def seeds(_: Ground) -> list[bytes]:
        found = []
        for number, mode in enumerate(modes):
            noise = np.random.default_rng(number).integers(0, 256, (12, 9, 3), dtype=np.uint8)
            buffer = io.BytesIO()
            Image.fromarray(noise).convert(mode.partition(" ")[0]).save(buffer, kind)
            found.append(buffer.getvalue())
        return found

    return seeds


def _arrays(suffix: str) -> Callable[[Ground], list[bytes]]:
    def seeds(_: Ground) -> list[bytes]:
        draws = np.random.default_rng(0)
        kinds = [(np.uint8, 3), (np.uint16, 1), (np.uint16, 3)] + ([] if suffix == ".png" else [(np.float32, 5)])
        return [encoded((draws.random((11, 8, depth)) * 200).astype(kind), suffix) for kind, depth in kinds]

    return seeds


def _floats(_: Ground) -> list[bytes]:
    draws = np.random.default_rng(0)
    kinds = [(np.float16, 3), (np.float32, 1), (np.float32, 4), (np.uint32, 2)]
    return [encoded((draws.random((11, 8, depth)) * 200).astype(kind), ".exr") for kind, depth in kinds]


def _look(path: Path) -> None:
    read_size(path)
    read_image(path)


def _image(name: str, suffix: str, seeds: Callable[[Ground], list[bytes]], change: mutate.Mutator) -> Reader:
    return Reader(f"image-{name}", seeds, in_a_file(f"x{suffix}", _look), change)


IMAGE_READERS = (
    _image("png", ".png", lambda g: _arrays(".png")(g) + _pictures("PNG", "P", "1", "LA", "RGBA")(g), mutate.of_png),
    _image("tiff", ".tif", lambda g: _arrays(".tif")(g) + _pictures("TIFF", "RGB", "1", "CMYK")(g), mutate.of_bytes),
    _image("npy", ".npy", _arrays(".npy"), mutate.of_bytes),
    _image("npz", ".npz", lambda _: [npz(image=np.ones((5, 6, 2), np.uint16))], mutate.of_zip),
    _image("jpeg", ".jpg", _pictures("JPEG", "RGB", "L", "CMYK"), mutate.of_bytes),
    _image("bmp", ".bmp", _pictures("BMP", "RGB", "P", "1"), mutate.of_bytes),
    _image("gif", ".gif", _pictures("GIF", "P", "L"), mutate.of_bytes),
    _image("ppm", ".ppm", lambda g: _netpbm() + _pictures("PPM", "RGB", "L", "1")(g), mutate.of_bytes),
    _image("webp", ".webp", _pictures("WEBP", "RGB", "RGBA"), mutate.of_bytes),
    _image("jpeg2000", ".jp2", lambda g: _deep_jpeg2000() + _pictures("JPEG2000", "RGB", "L")(g), mutate.of_bytes),
    _image("nifti", ".nii", _arrays(".nii"), mutate.of_bytes),
    _image("nifti-gz", ".nii.gz", _arrays(".nii.gz"), mutate.of_bytes),
    _image("exr", ".exr", _floats, mutate.of_bytes),
    _image("dicom", ".dcm", lambda _: [_dicom()], mutate.of_bytes),
)


def _netpbm() -> list[bytes]:
    return [
        b"P2 # plain\n3 2\n1000\n0 1 2\n3 999 1000\n",
        b"P1\n4 2\n0110\n1 0 0 1\n",
        b"P6\n3 2\n65535\n" + bytes(range(36)),
        b"P7\nWIDTH 2\nHEIGHT 3\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n" + bytes(range(24)),
        b"PF\n2 2\n-1.0\n" + np.arange(12, dtype="<f4").tobytes(),
    ]


def _deep_jpeg2000() -> list[bytes]:
    from openjpeg.utils import encode_array  # noqa: PLC0415  (an extra)

    noise = np.random.default_rng(0).integers(0, 4096, (64, 64, 3), dtype=np.uint16)
    return [encode_array(noise, bits_stored=12), encode_array(noise[:, :, 0].astype(np.int16) - 2048)]


def _dicom() -> bytes:
    values = np.arange(30, dtype=np.uint16).reshape(5, 6)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, UID("1.2.3")
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = Dataset()
    dataset.file_meta = meta
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, "1.2.3"
    dataset.Rows, dataset.Columns = values.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.RescaleSlope, dataset.RescaleIntercept = "1", "-1024"
    dataset.PixelData = values.tobytes()
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
