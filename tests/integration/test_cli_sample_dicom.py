"""``tandem sample`` from a series of DICOM slices to series of DICOM slices, as pydicom reads them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support import files_of, sample
from support import tandem as run

import tandem
from tandem.config.classes import read_classes
from tandem.data.levels import Levels, levels_of_classes

pydicom: Any = pytest.importorskip("pydicom", reason="the extra dicom")

HOUNSFIELD = Levels("int16", (-1000.0,), (3000.0,))


@pytest.fixture
def slices(tmp_path: Path) -> Path:
    """Three slices of one series: a CT that a scanner made, cut to 16 × 16 px."""
    (tmp_path / "in").mkdir()
    dataset = pydicom.dcmread(pydicom.data.get_testdata_file("CT_small.dcm", download=False))
    dataset.set_pixel_data(dataset.pixel_array[:16, :16].copy(), "MONOCHROME2", 16)
    for index in range(3):
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.{index}"
        dataset.InstanceNumber, dataset.ImagePositionPatient = index + 1, [0, 0, 5 * index]
        dataset.save_as(tmp_path / "in" / f"{index}.dcm")
    return tmp_path / "in"


@pytest.fixture
def model(make_bundle: Callable[..., Path]) -> Path:
    return make_bundle(channels=(1, 1), input_levels=HOUNSFIELD, output_levels=HOUNSFIELD)


def test_a_series_becomes_a_series_for_each_sample(model: Path, slices: Path, tmp_path: Path) -> None:
    words = (model, slices, "--format", "dcm", "--only", "outputs", "--num-samples", "2")
    sample(*words, out=tmp_path / "out")
    made = {path.stem: pydicom.dcmread(path) for path in sorted((tmp_path / "out").glob("*.dcm"))}
    assert sorted(made) == ["0_01", "0_02", "1_01", "1_02", "2_01", "2_02"]
    translator = tandem.load(model, device="cpu")
    for name, dataset in made.items():
        source = slices / f"{name[0]}.dcm"
        expected = translator(source, 2, output="values")[int(name[-1]) - 1]
        assert np.array_equal(pydicom.pixels.apply_modality_lut(dataset.pixel_array, dataset), expected[:, :, 0])
        before = pydicom.dcmread(source)
        for keyword in (
            "StudyInstanceUID",
            "FrameOfReferenceUID",
            "ImagePositionPatient",
            "InstanceNumber",
            "PatientID",
        ):
            assert dataset[keyword].value == before[keyword].value
        assert dataset.SourceImageSequence[0].ReferencedSOPInstanceUID == before.SOPInstanceUID
        assert (dataset.SyntheticData, dataset.ImageType[:2]) == ("YES", ["DERIVED", "SECONDARY"])
        shown = pydicom.pixels.apply_voi_lut(np.array([-1000, 3000]), dataset)
        assert (shown.min(), shown.max()) == (-32768, 32767)  # black and white are the ends of the model's range
    series = [{made[f"{index}_{sample}"].SeriesInstanceUID for index in range(3)} for sample in ("01", "02")]
    assert [len(one) for one in series] == [1, 1]
    assert len(series[0] | series[1] | {pydicom.dcmread(slices / "0.dcm").SeriesInstanceUID}) == 3
    assert len({dataset.SOPInstanceUID for dataset in made.values()}) == 6
    assert made["0_02"].SeriesDescription.endswith("[Tandem random 2]")
    sample(*words, out=tmp_path / "again")
    assert files_of(tmp_path / "again") == files_of(tmp_path / "out")
    sample(*words, "--seed", "1", out=tmp_path / "other")
    assert pydicom.dcmread(tmp_path / "other" / "0_01.dcm").SeriesInstanceUID not in series[0]


def test_one_and_a_page(model: Path, slices: Path, tmp_path: Path) -> None:
    sample(model, slices / "1.dcm", out=tmp_path / "x.dcm")
    expected = tandem.load(model, device="cpu")(slices / "1.dcm", 1, output="values")[0]
    assert np.array_equal(tandem.read_image(tmp_path / "x.dcm"), expected)
    sample(model, slices, "--format", "dcm", "--num-samples", "1", out=tmp_path / "page")
    (kept, *_) = sorted((tmp_path / "page").rglob("*values*.dcm"))
    assert np.array_equal(
        tandem.read_image(kept), tandem.load(model, device="cpu")(slices / "0.dcm", 1, output="values")[0]
    )
    again = run("sample", model, slices / "1.dcm", "--out", slices / "1.dcm", "--device", "cpu")
    assert again.status != 0
    assert "an input itself" in again.err


def test_eight_bits_of_colour(make_bundle: Callable[..., Path], slices: Path, tmp_path: Path) -> None:
    model = make_bundle("colours", channels=(1, 3), input_levels=HOUNSFIELD)
    sample(model, slices, "--format", "dcm", "--only", "outputs", out=tmp_path / "out")
    dataset = pydicom.dcmread(tmp_path / "out" / "2.dcm")
    assert np.array_equal(dataset.pixel_array, tandem.load(model, device="cpu")(slices / "2.dcm", 1, output="array")[0])
    assert (dataset.PhotometricInterpretation, dataset.SOPClassUID.name) == ("RGB", "Secondary Capture Image Storage")


def test_what_is_refused(make_bundle: Callable[..., Path], model: Path, slices: Path, tmp_path: Path) -> None:
    Image.new("L", (16, 16)).save(slices / "x.png")
    words = ("--format", "dcm", "--only", "outputs", "--device", "cpu")
    mixed = run("sample", model, slices, "--out", tmp_path / "out", *words)
    assert mixed.status != 0
    assert "1 of 4 inputs cannot be used" in mixed.err
    assert "x.png is no DICOM file" in mixed.err
    assert len(list((tmp_path / "out").glob("*.dcm"))) == 3
    labels = make_bundle("labels", channels=(1, 3), output_levels=levels_of_classes(read_classes("3", "--classes-b")))
    many = make_bundle("many", channels=(1, 4))
    for one, reason in ((labels, "label maps"), (many, "images of 4 channels")):
        for out, more in (("no", words), ("no.dcm", words[-2:])):
            refused = run("sample", one, slices / "0.dcm", "--out", tmp_path / out, *more)
            assert (refused.status != 0, reason in refused.err) == (True, True), refused.err
            assert not (tmp_path / out).exists()
