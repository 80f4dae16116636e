"""DICOM files of images that come of DICOM files, read by pydicom: values, what is kept, left out or refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tandem
from tandem.data.metadata import read_carried
from tandem.errors import DataError

pydicom: Any = pytest.importorskip("pydicom", reason="the extra dicom")

CT, MR, PET, MAMMOGRAPHY = (f"1.2.840.10008.5.1.4.1.1.{one}" for one in ("2", "4", "128", "1.2"))
SECONDARY = "1.2.840.10008.5.1.4.1.1.7"
VALUES = np.random.default_rng(0).integers(-1000, 3000, (6, 9, 1)).astype(np.int16)


def packaged(name: str) -> Path:
    """A file that a scanner made, which pydicom brings."""
    return Path(pydicom.data.get_testdata_file(name, download=False))


def dicom_file(path: Path, stored: np.ndarray, **more: Any) -> Path:
    """A CT of unsigned samples of 12 bits, unless `more` says otherwise."""
    dataset = pydicom.Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = CT, "1.2.3.4"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.FrameOfReferenceUID = "1.2.3", "1.2.3.1", "1.2.3.9"
    dataset.PatientName, dataset.PatientID, dataset.Modality = "Yamada^Tarou=山田^太郎", "7", "CT"
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SeriesNumber, dataset.InstanceNumber, dataset.ImageType = 3, 12, ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.ImagePositionPatient, dataset.ImageOrientationPatient = [-100, -90, 30], [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing, dataset.SliceThickness = [0.75, 0.5], 2
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    bits = more.pop("bits", 12 if stored.dtype.itemsize == 2 else 8)
    kind = more.pop("kind", "RGB" if stored.shape[-1] == 3 else "MONOCHROME2")
    dataset.set_pixel_data(stored, kind, bits, generate_instance_uid=False)
    for name, value in more.items():
        setattr(dataset, name, value)
    dataset.save_as(path, enforce_file_format=True)
    return path


def values_of(dataset: Any) -> np.ndarray:
    """What pydicom makes of a grey file."""
    return pydicom.pixels.apply_modality_lut(dataset.pixel_array, dataset)


def all_of(dataset: Any) -> list[Any]:
    """Its elements, at all depths, each held to the rules of its type."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pydicom.config.settings, "reading_validation_mode", pydicom.config.RAISE)
        found = list(dataset.iterall())
        for element in found:
            if element.VR != "SQ" and not isinstance(element.value, bytes):
                pydicom.DataElement(element.tag, element.VR, element.value)
    return found


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm", "MR_small_bigendian.dcm", "MR_small_implicit.dcm"])
def test_patient_study_and_place_are_kept(tmp_path: Path, name: str) -> None:
    source = packaged(name)
    given = tandem.read_image(source)
    made = (given + np.arange(given.size).reshape(given.shape) % 7).astype(given.dtype)
    assert tandem.write_image(tmp_path / "x.dcm", made, like=source) == 0
    before, after = pydicom.dcmread(source), pydicom.dcmread(tmp_path / "x.dcm")
    assert np.array_equal(values_of(after), made[:, :, 0])
    assert np.array_equal(tandem.read_image(tmp_path / "x.dcm"), made)
    for keyword in (
        *("PatientName", "PatientID", "PatientSex", "StudyInstanceUID", "StudyDate", "StudyID", "AccessionNumber"),
        *("FrameOfReferenceUID", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"),
        *("SliceLocation", "InstanceNumber", "Modality", "SOPClassUID", "PatientPosition", "Rows", "Columns"),
    ):
        assert keyword in before
        assert after[keyword].value == before[keyword].value, keyword
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID"):
        assert after[keyword].value != before[keyword].value
        assert pydicom.uid.UID(after[keyword].value).is_valid
    assert after.ImageType == ["DERIVED", "SECONDARY", *before.ImageType[2:]]
    assert after.SourceImageSequence[0].ReferencedSOPInstanceUID == before.SOPInstanceUID
    assert after.ContributingEquipmentSequence[0].Manufacturer == before.Manufacturer
    assert (after.Manufacturer, "Tandem" in after.DerivationDescription) == ("Tandem", True)
    elements = all_of(after)
    assert not any(element.tag.is_private for element in elements)
    assert any(element.tag.is_private for element in before) or name != "CT_small.dcm"


@pytest.mark.parametrize(
    ("stored", "more", "array", "facts"),
    [
        ("u2", {"RescaleSlope": 1, "RescaleIntercept": -1024}, VALUES, (CT, 16, 16, 1)),
        ("u2", {}, (VALUES // 16 + 100).astype(np.uint16), (CT, 16, 12, 0)),
        ("u2", {"SOPClassUID": MR}, (VALUES // 16 + 100).astype(np.uint16), (MR, 16, 12, 0)),
        ("u2", {"RescaleSlope": 2, "RescaleIntercept": 0}, VALUES.astype(np.int32) * 7, (CT, 16, 16, 1)),
        ("u2", {"RescaleSlope": 30, "RescaleIntercept": 0}, VALUES.astype(np.int32) + 10**6, (CT, 16, 16, 0)),
        ("u2", {"RescaleSlope": 0.3, "RescaleIntercept": 0}, VALUES.astype(np.float32), (CT, 16, 16, 1)),
        ("u1", {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.6.1"}, VALUES.astype(np.uint8), (f"{CT[:-1]}6.1", 8, 8, 0)),
        ("u1", {}, VALUES.astype(np.uint8), (CT, 16, 8, 0)),
        ("u2", {"SOPClassUID": MAMMOGRAPHY, "bits": 16}, (VALUES + 9000).astype(np.uint16), (MAMMOGRAPHY, 16, 16, 0)),
        ("i2", {"SOPClassUID": MAMMOGRAPHY, "bits": 16}, VALUES, (SECONDARY, 16, 16, 1)),
        (
            "u2",
            {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.481.2"},
            VALUES.astype(np.uint16) % 4096,
            (SECONDARY, 16, 12, 0),
        ),
    ],
)
def test_values_come_back(
    tmp_path: Path, stored: str, more: dict[str, Any], array: np.ndarray, facts: tuple[str, int, int, int]
) -> None:
    """As whole numbers, in the class of the input if it holds them."""
    source = dicom_file(tmp_path / "a.dcm", np.zeros((6, 9), stored), **more)
    assert tandem.write_image(tmp_path / "b.dcm", array, like=source) == 0
    made = pydicom.dcmread(tmp_path / "b.dcm")
    assert np.array_equal(values_of(made), array[:, :, 0])
    found = (made.SOPClassUID, made.BitsAllocated, made.BitsStored, made.PixelRepresentation)
    assert found == facts
    assert ("RescaleSlope" in made) == (made.SOPClassUID == CT)
    assert ("ConversionType" in made) == (made.SOPClassUID == SECONDARY)
    assert np.array_equal(tandem.read_image(tmp_path / "b.dcm"), array)


@pytest.mark.parametrize(
    ("low", "high"), [(-1e-3, 1e-3), (0, 1), (1e6, 1e6 + 1), (-3e38, 3e38), (0.1, 0.1), (1e-30, 2e-30)]
)
@pytest.mark.parametrize("klass", [CT, PET])
def test_floating_point_is_off_by_half_a_step(tmp_path: Path, low: float, high: float, klass: str) -> None:
    """65,536 levels between the least and the greatest value; a PET has no intercept."""
    array = np.random.default_rng(0).uniform(low, high, (40, 50, 1)).astype(np.float32)
    more = {"RescaleSlope": 0.3, "RescaleIntercept": 0, "SOPClassUID": klass}
    source = dicom_file(tmp_path / "a.dcm", np.zeros((40, 50), np.uint16), **more)
    tandem.write_image(tmp_path / "b.dcm", array, like=source)
    made, exact = pydicom.dcmread(tmp_path / "b.dcm"), array[:, :, 0].astype(np.float64)
    ends = (float(exact.min()), float(exact.max()))
    step = (ends[1] - ends[0]) / 65535 if klass == CT else max(map(abs, ends)) / (32767 if low < 0 else 65535)
    off = np.abs(values_of(made) - exact).max()
    assert off <= 0.5 * step * (1 + 1e-6) + 2e-9 * max(map(abs, ends)) * (klass == CT)
    assert made.RescaleIntercept == 0 or klass == CT
    all_of(made)


def test_colours(tmp_path: Path) -> None:
    """A CT has none: a secondary capture says where it lies all the same, and an ultrasound stays one."""
    colours = np.random.default_rng(0).integers(0, 256, (6, 9, 3)).astype(np.uint8)
    source = dicom_file(tmp_path / "a.dcm", np.zeros((6, 9), np.uint8), KVP=120, PresentationLUTShape="IDENTITY")
    tandem.write_image(tmp_path / "b.dcm", colours, like=source)
    made = pydicom.dcmread(tmp_path / "b.dcm")
    assert np.array_equal(made.pixel_array, colours)
    assert (made.SOPClassUID, made.PhotometricInterpretation, made.PlanarConfiguration) == (SECONDARY, "RGB", 0)
    assert (list(made.ImagePositionPatient), "KVP" in made) == ([-100, -90, 30], False)
    assert made.ImageType == ["DERIVED", "SECONDARY"]
    source = packaged("examples_rgb_color.dcm")
    tandem.write_image(tmp_path / "c.dcm", tandem.read_image(source)[::-1], like=source)
    made, before = pydicom.dcmread(tmp_path / "c.dcm"), pydicom.dcmread(source)
    assert made.SOPClassUID == before.SOPClassUID != SECONDARY
    assert np.array_equal(made.pixel_array, before.pixel_array[::-1])


def test_a_white_zero(tmp_path: Path) -> None:
    """What is turned when it is read is written as it was read; values of a modality are not turned."""
    stored = np.arange(54, dtype=np.uint16).reshape(6, 9)
    more = {"SOPClassUID": MAMMOGRAPHY, "PresentationLUTShape": "INVERSE", "PixelIntensityRelationshipSign": -1}
    source = dicom_file(tmp_path / "a.dcm", stored, kind="MONOCHROME1", **more)
    tandem.write_image(tmp_path / "b.dcm", tandem.read_image(source), like=source)
    made = pydicom.dcmread(tmp_path / "b.dcm")
    assert (made.PhotometricInterpretation, made.PresentationLUTShape) == ("MONOCHROME2", "IDENTITY")
    assert made.PixelIntensityRelationshipSign == 1
    assert np.array_equal(made.pixel_array, 4095 - stored)
    assert (made.WindowCenter, made.WindowWidth) == (4095 - 53 / 2 + 0.5, 54)  # which this class must have
    source = dicom_file(tmp_path / "c.dcm", stored, kind="MONOCHROME1", RescaleSlope=1, RescaleIntercept=-10)
    tandem.write_image(tmp_path / "d.dcm", tandem.read_image(source), like=source)
    made = pydicom.dcmread(tmp_path / "d.dcm")
    assert made.PhotometricInterpretation == "MONOCHROME1"
    assert np.array_equal(pydicom.pixels.apply_modality_lut(made.pixel_array, made), stored.astype(int) - 10)
    assert np.array_equal(tandem.read_image(tmp_path / "d.dcm"), tandem.read_image(source))
    shifted = tandem.read_image(source) + 10  # from 0 on
    tandem.write_image(tmp_path / "e.dcm", shifted, like=source)
    assert np.array_equal(tandem.read_image(tmp_path / "e.dcm"), shifted)


def item(**values: Any) -> Any:
    made = pydicom.Dataset()
    for name, value in values.items():
        setattr(made, name, value)
    return made


def test_frames_of_an_enhanced_file(tmp_path: Path) -> None:
    """Each has its place, its slope and its intercept, which pydicom takes from the groups when it is shown where."""
    stored = np.random.default_rng(0).integers(0, 4096, (3, 6, 9)).astype(np.uint16)
    groups = [
        item(
            PlanePositionSequence=[item(ImagePositionPatient=[-100, -90, 30 + 2.5 * index])],
            PixelValueTransformationSequence=[item(RescaleSlope=index + 1, RescaleIntercept=-1000, RescaleType="HU")],
        )
        for index in range(3)
    ]
    shared = item(
        PlaneOrientationSequence=[item(ImageOrientationPatient=[0, 1, 0, 0, 0, -1])],
        PixelMeasuresSequence=[item(PixelSpacing=[0.7, 0.6], SliceThickness=2.5)],
    )
    source = dicom_file(
        tmp_path / "a.dcm",
        stored,
        SOPClassUID="1.2.840.10008.5.1.4.1.1.2.1",
        NumberOfFrames=3,
        PerFrameFunctionalGroupsSequence=groups,
        SharedFunctionalGroupsSequence=[shared],
    )
    frame = source / "a-002.npy"
    found = tandem.read_image(frame)
    assert np.array_equal(
        found[:, :, 0], pydicom.pixels.apply_modality_lut(stored[2], groups[2].PixelValueTransformationSequence[0])
    )
    affine = read_carried(frame).affine
    assert affine is not None
    assert np.allclose(np.array(affine) @ [8, 5, 0, 1], [100, 90 - 8 * 0.6, 35 - 5 * 0.7, 1])  # of LPS RAS is made
    tandem.write_image(tmp_path / "b.dcm", found, like=frame)
    made = pydicom.dcmread(tmp_path / "b.dcm")
    assert np.array_equal(values_of(made), found[:, :, 0])
    assert (list(made.ImagePositionPatient), list(made.PixelSpacing)) == ([-100, -90, 35], [0.7, 0.6])
    assert (made.SOPClassUID, made.InstanceNumber, made.RescaleType) == (SECONDARY, 3, "HU")
    assert made.SourceImageSequence[0].ReferencedFrameNumber == 3
    assert not any(name in made for name in ("NumberOfFrames", "SharedFunctionalGroupsSequence"))


def test_what_no_longer_holds_is_left_out(tmp_path: Path) -> None:
    nested = item(PatientID="8")
    nested.private_block(0x11, "ACME", create=True).add_new(1, "LO", "secret")
    left = {
        "WindowCenter": 40, "WindowWidth": 400, "SmallestImagePixelValue": 0, "PixelPaddingValue": 63536,
        "InstanceCreationDate": "20200101", "ContentTime": "101010", "ImageComments": "as it was",
        "IconImageSequence": [item(Rows=1)], "RealWorldValueMappingSequence": [item(LUTLabel="x")],
        "DigitalSignaturesSequence": [item(MACIDNumber=1)],
    }  # fmt: skip
    source = dicom_file(
        tmp_path / "a.dcm",
        np.zeros((6, 9), np.uint16),
        **left,
        BurnedInAnnotation="YES",
        LossyImageCompression="01",
        OtherPatientIDsSequence=[nested],
        ProtocolName="x" * 70,  # longer than allowed: as it came
    )
    dataset = pydicom.dcmread(source)
    dataset.add_new(0x60003000, "OW", bytes(8))
    dataset.add_new(0x00189FFE, "UN", b"secret")  # of which nobody knows what is in it
    dataset.private_block(0x9, "ACME", create=True).add_new(1, "LO", "secret")
    dataset.save_as(source)
    tandem.write_image(tmp_path / "b.dcm", VALUES, like=source)
    made = pydicom.dcmread(tmp_path / "b.dcm")
    assert not [name for name in left if name in made]
    assert made.OtherPatientIDsSequence[0].PatientID == "8"
    assert b"secret" not in (tmp_path / "b.dcm").read_bytes()
    assert (made.BurnedInAnnotation, made.LossyImageCompression, 0x60003000 in made) == ("YES", "01", False)
    assert (made.PatientName, made.ProtocolName) == ("Yamada^Tarou=山田^太郎", "x" * 70)


def test_a_series_is_what_goes_to_one_folder(tmp_path: Path) -> None:
    sources = [
        dicom_file(tmp_path / f"{index}.dcm", np.zeros((6, 9), np.uint16), SOPInstanceUID=f"1.2.{index}")
        for index in (1, 2)
    ]
    made = []
    for folder, source, array in (("x", 0, VALUES), ("x", 1, VALUES), ("y", 0, VALUES), ("x", 0, VALUES + 1)):
        (tmp_path / folder).mkdir(exist_ok=True)
        tandem.write_image(tmp_path / folder / "b.dcm", np.abs(array) % 4096, like=sources[source])
        made.append(pydicom.dcmread(tmp_path / folder / "b.dcm"))
    first, second, other, changed = made
    assert first.SeriesInstanceUID == second.SeriesInstanceUID == changed.SeriesInstanceUID != other.SeriesInstanceUID
    assert len({one.SOPInstanceUID for one in made}) == 4
    assert {one.SeriesNumber for one in made} == {301}


def test_what_cannot_be_held_is_refused(tmp_path: Path) -> None:
    source = dicom_file(tmp_path / "a.dcm", np.zeros((6, 9), np.uint16), RescaleSlope=0.3, RescaleIntercept=0)
    whole = dicom_file(tmp_path / "b.dcm", np.zeros((6, 9), np.uint16), RescaleSlope=99, RescaleIntercept=0)
    unnamed = dicom_file(tmp_path / "c.dcm", np.zeros((6, 9), np.uint16), StudyInstanceUID=None)
    tandem.write_image(tmp_path / "x.png", np.zeros((6, 9), np.uint8))
    wide = np.zeros((6, 9), np.int64)
    wide[0, 0] = 70000
    for array, like, reason in (
        (VALUES, None, "comes of one"),
        (VALUES, tmp_path / "x.png", "comes of one"),
        (VALUES[:5], source, "another size"),
        (np.zeros((6, 9, 6)), source, "not 6 x 32-bit floating-point"),
        (np.zeros((6, 9, 3)), source, "not 3 x 32-bit floating-point"),
        (np.full((6, 9), np.nan), source, "not finite"),
        (wide, whole, "from 0 to 70000, and a DICOM file at most 65536"),
        (VALUES, unnamed, "names no study"),
    ):
        with pytest.raises(DataError, match=reason):
            tandem.write_image(tmp_path / "no.dcm", array, like=like)
        assert not (tmp_path / "no.dcm").exists()


def test_a_damaged_element_is_left_out(tmp_path: Path) -> None:
    source = dicom_file(tmp_path / "a.dcm", np.zeros((6, 9), np.uint16), KVP=120)
    data = source.read_bytes()
    (tmp_path / "a.dcm").write_bytes(data.replace(b"DS\x06\x00120.0 ", b"DK\x06\x00120.0 "))  # there is no such type
    tandem.write_image(tmp_path / "b.dcm", VALUES, like=source)
    made = pydicom.dcmread(tmp_path / "b.dcm")
    assert (made.PatientID, "KVP" in made) == ("7", False)
