"""NIfTI, DICOM and OpenEXR files as images, beside what their own libraries made of them and read of ours."""

import gzip
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tandem
from tandem.data.check_remarks import in_subfolders
from tandem.data.discover import find_splits
from tandem.data.formats.tiff_large import is_large_tiff
from tandem.data.image_file import DiskFile
from tandem.data.images import ImageReadError, read_size, read_stored, require_pixels
from tandem.data.listing import list_images
from tandem.data.metadata import read_carried

AFFINE = np.array([[-2.0, 0, 0, 10], [0, 2, 0, -20], [0, 0, 3, 5], [0, 0, 0, 1]])


@pytest.fixture
def nifti() -> Any:
    return pytest.importorskip("nibabel", reason="the extra nifti")


@pytest.fixture
def dicom() -> Any:
    return pytest.importorskip("pydicom", reason="the extra dicom")


@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz"])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32", ">i2"])
def test_slices_of_a_volume_are_images(tmp_path: Path, nifti: Any, dtype: str, name: str) -> None:
    values = np.random.default_rng(0).integers(0, 200, (7, 5, 12)).astype(dtype)
    header = nifti.Nifti1Header(endianness=">" if dtype[0] == ">" else "<")
    header.set_data_dtype(values.dtype)
    nifti.save(nifti.Nifti1Image(values, AFFINE, header), tmp_path / name)
    problems: list[str] = []
    images = list_images(tmp_path, problems).images
    assert (problems, list(images)) == ([], [f"scan-{index:03d}" for index in range(12)])
    for index in (11, 0, 5):
        path = images[f"scan-{index:03d}"]
        found = tandem.read_image(path)
        assert found.dtype == np.dtype(dtype).newbyteorder("=")
        assert np.array_equal(found[:, :, 0], values[:, :, index].T)
        assert read_size(path) == (7, 5)
        again = np.load(DiskFile(path).open())
        assert np.array_equal(again, found)
    tandem.write_image(tmp_path / "one.nii.gz", found, like=path)
    one = nifti.load(tmp_path / "one.nii.gz")
    assert one.shape == (7, 5, 1)
    assert one.get_data_dtype().newbyteorder("=") == found.dtype
    assert np.array_equal(np.asarray(one.dataobj)[:, :, 0], values[:, :, 5])
    corner = nifti.load(tmp_path / name).affine @ [0, 0, 5, 1]
    assert np.allclose(one.affine[:, 3], corner)
    assert np.allclose(one.affine[:3, :3], AFFINE[:3, :3])


@pytest.mark.parametrize(
    ("slope", "intercept", "expected"), [(1, -1024, "int16"), (2, 0, "int32"), (0.5, 1, "float32")]
)
def test_slope_and_intercept(tmp_path: Path, nifti: Any, slope: float, intercept: float, expected: str) -> None:
    values = np.arange(12, dtype=np.int16).reshape(3, 4)
    image = nifti.Nifti1Image(values, AFFINE)
    image.header.set_slope_inter(slope, intercept)
    data = bytearray(image.to_bytes())
    data[112:120] = np.array([slope, intercept], "<f4").tobytes()  # nibabel itself resets them where it scales
    (tmp_path / "x.nii").write_bytes(data)
    found = tandem.read_image(tmp_path / "x.nii")
    assert np.allclose(found[:, :, 0], nifti.load(tmp_path / "x.nii").get_fdata().T)
    assert found.dtype == ("int32" if expected == "int16" else expected)  # of all of 16 bits, -1024 lies outside


def test_six_channels_come_back_as_nifti(tmp_path: Path, nifti: Any) -> None:
    values = np.random.default_rng(0).normal(0, 1, (6, 9, 6)).astype(np.float32)
    tandem.write_image(tmp_path / "x.nii.gz", values)
    assert np.array_equal(tandem.read_image(tmp_path / "x.nii.gz"), values)
    assert nifti.load(tmp_path / "x.nii.gz").shape == (9, 6, 1, 6)


def test_volumes_are_a_dataset(tmp_path: Path, nifti: Any) -> None:
    for side, number in (("A", 1), ("B", 2)):
        (tmp_path / f"train{side}").mkdir()
        volume = np.full((8, 8, 4), number, np.int16) * np.arange(4, dtype=np.int16)
        nifti.save(nifti.Nifti1Image(volume, AFFINE), tmp_path / f"train{side}" / "p1.nii.gz")
    split = find_splits(tmp_path)["train"]
    assert [pair.name for pair in split.pairs] == [f"p1-{index:03d}" for index in range(4)]
    a, b = split.pairs[3].stored("AtoB")
    assert (int(a.values.max()), int(b.values.max())) == (3, 6)
    assert len({file.sha256() for pair in split.pairs for file in pair.files}) > 4


def test_whatever_a_parser_raises_names_the_volume(tmp_path: Path, nifti: Any) -> None:
    """Single damaged bytes of an archive, which end in errors of zlib too: listing and reading name the file."""
    nifti.save(nifti.Nifti1Image(np.arange(768, dtype=np.int16).reshape(16, 16, 3), np.eye(4)), tmp_path / "x.nii.gz")
    whole = (tmp_path / "x.nii.gz").read_bytes()
    (slice_path,) = {path for path in list_images(tmp_path, []).images.values() if path.name.endswith("-001.npy")}
    reasons = set()
    for place in range(10, len(whole), 3):
        (tmp_path / "x.nii.gz").write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        problems: list[str] = []
        list_images(tmp_path, problems)
        reasons |= set(problems)
        for read in (read_stored, read_carried):
            try:
                read(slice_path)
            except ImageReadError as error:
                reasons.add(str(error))
    assert any("decompressing" in reason for reason in reasons)
    assert all(reason.startswith(str(tmp_path / "x.nii.gz")) for reason in reasons)
    (tmp_path / "x.nii.gz").write_bytes(whole)
    assert read_stored(slice_path).values.shape == (16, 16, 1)


def test_damaged_volumes_are_named(tmp_path: Path, nifti: Any) -> None:
    nifti.save(nifti.Nifti1Image(np.zeros((8, 8, 4), np.int16), AFFINE), tmp_path / "good.nii")
    good = (tmp_path / "good.nii").read_bytes()
    wide = bytearray(good)
    wide[42:44] = (32000).to_bytes(2, "little")
    wide[44:46] = (32000).to_bytes(2, "little")
    cases = {
        "short.nii": (good[:400], "damaged or truncated"),
        "short.nii.gz": (gzip.compress(good)[:60], "damaged or truncated"),
        "other.nii.gz": (gzip.compress(b"hello"), "neither a NIfTI nor a DICOM file"),
        "wide.nii": (bytes(wide), "too large: 32000 x 32000 pixels"),
        "type.nii": (good[:70] + (1536).to_bytes(2, "little") + good[72:], "samples of the type float128"),
        "dims.nii": (good[:40] + b"\xff\xff" + good[42:], "the dimensions"),
    }
    for name, (data, reason) in cases.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ImageReadError, match=reason):
            tandem.read_image(tmp_path / name)
    with pytest.raises(ImageReadError, match="has 4 slices, none of the number 9"):
        tandem.read_image(tmp_path / "good.nii" / "good-009.npy")


def dicom_file(path: Path, library: Any, stored: np.ndarray, **more: Any) -> None:
    meta = library.dataset.FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    meta.TransferSyntaxUID = more.pop("syntax", "1.2.840.10008.1.2.1")
    dataset = library.dataset.FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
    dataset.Rows, dataset.Columns = stored.shape[-2:]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.ImagePositionPatient, dataset.ImageOrientationPatient = [-100, -90, 30], [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing, dataset.SliceThickness = [0.75, 0.5], 2
    for name, value in more.items():
        setattr(dataset, name, value)
    dataset.PixelData = stored.astype("<u2").tobytes()
    dataset.save_as(path, enforce_file_format=True)


def test_dicom_gives_what_its_modality_says(tmp_path: Path, dicom: Any, nifti: Any) -> None:
    stored = np.random.default_rng(0).integers(0, 4096, (6, 9))
    dicom_file(tmp_path / "ct.dcm", dicom, stored, RescaleSlope=1, RescaleIntercept=-1024)
    found = tandem.read_image(tmp_path / "ct.dcm")
    assert (found.dtype, read_size(tmp_path / "ct.dcm")) == (np.int16, (9, 6))
    assert np.array_equal(found[:, :, 0], stored - 1024)
    assert tandem.write_image(tmp_path / "ct.nii.gz", found + 0.4, like=tmp_path / "ct.dcm") == 0
    made = nifti.load(tmp_path / "ct.nii.gz")
    assert np.array_equal(np.asarray(made.dataobj)[:, :, 0], (stored - 1024).T)
    assert np.allclose(made.affine @ [8, 5, 0, 1], [100 - 8 * 0.5, 90 - 5 * 0.75, 30, 1])  # of LPS RAS is made


def test_monochrome1_is_turned_and_12_bits_are_known(tmp_path: Path, dicom: Any) -> None:
    stored = np.random.default_rng(0).integers(0, 4096, (6, 9))
    dicom_file(tmp_path / "x.dcm", dicom, stored, PhotometricInterpretation="MONOCHROME1")
    found = read_stored(tmp_path / "x.dcm")
    assert np.array_equal(found.values[:, :, 0], 4095 - stored)
    assert (found.bits, found.num_colours) == (12, 1)


def test_frames_of_a_dicom_file_are_images(tmp_path: Path, dicom: Any) -> None:
    stored = np.random.default_rng(0).integers(0, 4096, (3, 6, 9))
    dicom_file(tmp_path / "x.dcm", dicom, stored, NumberOfFrames=3)
    images = list_images(tmp_path, []).images
    assert list(images) == ["x-000", "x-001", "x-002"]
    for index, path in enumerate(images.values()):
        assert np.array_equal(tandem.read_image(path)[:, :, 0], stored[index])


def test_a_dicom_file_that_begins_like_a_tiff_is_none(dicom: Any) -> None:
    """Scanners and slide readers put the header of a TIFF into the first 128 bytes, which DICOM leaves free."""
    path = Path(dicom.data.get_testdata_file("CT_small.dcm", download=False))
    assert path.read_bytes()[:4] == b"II*\0"
    assert read_carried(path).affine is not None
    assert not is_large_tiff(path)
    assert require_pixels(path, at_most=128 * 128, max_channels=1) == 128 * 128


def test_dicom_files_that_are_refused(tmp_path: Path, dicom: Any) -> None:
    stored = np.zeros((6, 9), np.uint16)
    dicom_file(tmp_path / "x.dcm", dicom, stored)
    good = (tmp_path / "x.dcm").read_bytes()
    (tmp_path / "short.dcm").write_bytes(good[:-20])
    (tmp_path / "none.dcm").write_bytes(bytes(128) + b"DICM")
    syntax = b"\x02\0\x10\0UI\x16\0" + b"1.2.840.10008.1.2.1.99"
    (tmp_path / "deflated.dcm").write_bytes(bytes(128) + b"DICM" + syntax)
    cases = (("short.dcm", "truncated"), ("none.dcm", "without an image"), ("deflated.dcm", "a deflated DICOM file"))
    for name, reason in cases:
        with pytest.raises(ImageReadError, match=reason):
            tandem.read_image(tmp_path / name)


def test_no_more_memory_is_taken_than_a_dicom_file_has_bytes(tmp_path: Path, dicom: Any) -> None:
    """An element that claims to have 4 GB: reading so many bytes would have memory taken for them."""
    dicom_file(tmp_path / "x.dcm", dicom, np.zeros((6, 9), np.uint16))
    content = (tmp_path / "x.dcm").read_bytes()
    at = content.index(b"\x28\x00\x10\x00US")  # the rows
    asked: list[int] = []

    class Noting(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            asked.append(size or 0)
            return super().read(size)

    claiming = b"\x20\x00\x00\x40OB\x00\x00" + (2**32 - 16).to_bytes(4, "little")
    with pytest.raises(ImageReadError):
        read_stored(Noting(content[:at] + claiming + content[at:]))
    assert max(asked) <= 2**16


@pytest.mark.parametrize(("channels", "colours"), [(1, 1), (3, 3), (4, 3), (6, 0)])
@pytest.mark.parametrize("dtype", ["float16", "float32", "uint32"])
def test_openexr(tmp_path: Path, dtype: str, channels: int, colours: int) -> None:
    pytest.importorskip("OpenEXR", reason="the extra exr")
    values = np.random.default_rng(0).uniform(0, 1000, (6, 9, channels)).astype(dtype)
    tandem.write_image(tmp_path / "x.exr", values)
    found = read_stored(tmp_path / "x.exr")
    assert (found.values.dtype, found.num_colours, read_size(tmp_path / "x.exr")) == (dtype, colours, (9, 6))
    assert np.array_equal(found.values, values)


def test_remarks_look_into_folders_and_not_into_volumes(tmp_path: Path, nifti: Any) -> None:
    for side in "AB":
        (tmp_path / f"train{side}" / "thumbs").mkdir(parents=True)
        volume = nifti.Nifti1Image(np.zeros((7, 5, 2), np.uint8), AFFINE)
        nifti.save(volume, tmp_path / f"train{side}" / "scan.nii.gz")
    (tmp_path / "trainA" / "thumbs" / "1.png").touch()
    train = find_splits(tmp_path)["train"]
    assert train.describe() == f"train: 2 pairs, A in {tmp_path / 'trainA'} | B in {tmp_path / 'trainB'}"
    (remark,) = in_subfolders([train])
    assert "trainA: 1 image in subfolders (thumbs) are not read" in remark
