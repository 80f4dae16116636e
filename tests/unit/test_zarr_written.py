"""OME-Zarr images that are written, beside what the library itself reads; folders that are not replaced."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr

import tandem
from tandem.data.array_files import save_array
from tandem.data.formats.carried import Carried, Microscopy
from tandem.data.metadata import read_carried
from tandem.errors import DataError, MissingExtraError
from tandem.files import atomic_write_folder, remove_leftovers

SIZES = {
    "PhysicalSizeX": "325.0",
    "PhysicalSizeXUnit": "nm",
    "PhysicalSizeY": "0.33",
    "PhysicalSizeYUnit": "µm",
}


def noise(*shape: int, dtype: str) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 120, shape).astype(dtype)


def attributes(path: Path) -> dict[str, Any]:
    return json.loads((path / ".zattrs").read_text())


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize(
    ("dtype", "channels"),
    [
        *((dtype, 3) for dtype in ("uint8", "int8", "uint16", "int16", "uint32", "int32")),
        *((dtype, 1) for dtype in ("float16", "float32", "float64", ">u2", ">f8")),
        ("uint16", 64),
    ],
)
def test_values_come_back(tmp_path: Path, dtype: str, channels: int) -> None:
    values, path = noise(31, 42, channels, dtype=dtype), tmp_path / "x.ome.zarr"
    tandem.write_image(path, values)
    group = zarr.open_group(path, mode="r")
    found = group["0"]
    assert isinstance(found, zarr.Array)
    assert (found.metadata.zarr_format, found.dtype) == (2, np.dtype(dtype).newbyteorder("<"))
    assert np.array_equal(np.moveaxis(np.asarray(found[:]), 0, 2), values)
    again = tandem.read_image(path)
    assert again.dtype == np.dtype(dtype).newbyteorder("=")
    assert np.array_equal(again, values)
    (image,) = attributes(path)["multiscales"]
    assert image["version"] == "0.4"
    assert [axis["name"] for axis in image["axes"]] == ["c", "y", "x"]
    assert image["datasets"] == [
        {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1.0, 1.0, 1.0]}]}
    ]
    assert [one.name for one in tmp_path.iterdir()] == ["x.ome.zarr"]


def test_every_bit_comes_back_in_chunks_of_a_channel(tmp_path: Path) -> None:
    """A zero below zero, infinities, numbers that are none; a side of several chunks."""
    values = np.zeros((1500, 3, 2), np.float32)
    values[:, :, 0] = -0.0
    values[:4, 0, 1] = [np.nan, np.inf, -np.inf, 5e-45]
    tandem.write_image(tmp_path / "X.OME.ZARR", values)
    assert tandem.read_image(tmp_path / "X.OME.ZARR").tobytes() == values.tobytes()
    folder = tmp_path / "X.OME.ZARR" / "0"
    assert sorted(path.relative_to(folder).as_posix() for path in folder.glob("*/*/*")) == [
        f"{channel}/{row}/0" for channel in (0, 1) for row in (0, 1)
    ]


def test_what_is_beside_the_pixels(tmp_path: Path) -> None:
    """From Zarr to Zarr, and by way of an OME-TIFF."""
    facts = Microscopy(SIZES, ("DAPI", "é & <x>"), ("0000FF", "FF8000"))
    values, first = noise(9, 8, 2, dtype="uint16"), tmp_path / "a.ome.zarr"
    save_array(first, values, Carried(microscopy=facts))
    (image,) = attributes(first)["multiscales"]
    assert image["axes"][1:] == [
        {"name": "y", "type": "space", "unit": "micrometer"},
        {"name": "x", "type": "space", "unit": "nanometer"},
    ]
    assert image["datasets"][0]["coordinateTransformations"] == [{"type": "scale", "scale": [1.0, 0.33, 325.0]}]
    shown = attributes(first)["omero"]["channels"]
    assert [(one["label"], one["color"]) for one in shown] == [("DAPI", "0000FF"), ("é & <x>", "FF8000")]
    assert shown[1]["window"] == {"min": 0, "max": 65535, "start": values[..., 1].min(), "end": values[..., 1].max()}
    assert read_carried(first / "a.npy").microscopy == facts
    tandem.write_image(tmp_path / "b.ome.tif", values, like=first)
    tandem.write_image(tmp_path / "c.ome.zarr", values, like=tmp_path / "b.ome.tif")
    assert read_carried(tmp_path / "c.ome.zarr" / "c.npy").microscopy == facts
    with tifffile.TiffFile(tmp_path / "b.ome.tif") as tif:
        pixels = tifffile.xml2dict(tif.ome_metadata or "")["OME"]["Image"]["Pixels"]
    assert [one["Color"] & 0xFFFFFFFF for one in pixels["Channel"]] == [0x0000FFFF, 0xFF8000FF]
    tandem.write_image(tmp_path / "d.ome.zarr", values[:, :, :1], like=first)
    assert "omero" not in attributes(tmp_path / "d.ome.zarr")  # names of other channels


def test_the_size_that_imagej_says(tmp_path: Path) -> None:
    told = {"axes": "YX", "unit": "um"}
    values = noise(9, 8, dtype="uint16")
    tifffile.imwrite(tmp_path / "a.tif", values, imagej=True, resolution=(4, 5), metadata=told)
    tandem.write_image(tmp_path / "b.ome.zarr", values, like=tmp_path / "a.tif")
    facts = read_carried(tmp_path / "b.ome.zarr" / "b.npy").microscopy
    assert facts is not None
    assert facts.sizes == {
        "PhysicalSizeY": "0.2",
        "PhysicalSizeYUnit": "µm",
        "PhysicalSizeX": "0.25",
        "PhysicalSizeXUnit": "µm",
    }


@pytest.mark.parametrize(
    ("size", "unit"), [("0", "µm"), ("-1", "µm"), ("inf", "µm"), ("nan", "µm"), ("1_0", "µm"), ("1", "furlong")]
)
def test_sizes_that_say_nothing(tmp_path: Path, size: str, unit: str) -> None:
    facts = Microscopy({"PhysicalSizeX": size, "PhysicalSizeXUnit": unit}, ())
    save_array(tmp_path / "a.ome.zarr", noise(9, 8, 1, dtype="uint8"), Carried(microscopy=facts))
    (image,) = attributes(tmp_path / "a.ome.zarr")["multiscales"]
    assert image["datasets"][0]["coordinateTransformations"][0]["scale"] == [1.0, 1.0, 1.0]
    assert "unit" not in image["axes"][2]


def foreign(path: Path, kind: str) -> None:
    if kind == "notes":
        path.mkdir()
        (path / "notes.txt").write_text("mine")
    elif kind == "file":
        path.write_text("mine")
    elif kind == "empty":
        path.mkdir()
    elif kind == "other":
        zarr.open_group(path, mode="w", zarr_format=2, attributes={"_creator": {"name": "else"}})
    elif kind == "link":
        tandem.write_image(path.with_name("real.ome.zarr"), noise(9, 8, dtype="uint8"))
        path.symlink_to(path.with_name("real.ome.zarr"))
    else:
        tandem.write_image(path, noise(9, 8, dtype="uint8"))
        zarr.open_group(path / "labels", mode="w", zarr_format=2)


@pytest.mark.parametrize("kind", ["notes", "file", "empty", "other", "link", "labels"])
def test_what_is_not_replaced(tmp_path: Path, kind: str) -> None:
    foreign(tmp_path / "x.ome.zarr", kind)
    before = content(tmp_path)
    with pytest.raises(DataError, match=r"x\.ome\.zarr is there, and it is no Zarr image that Tandem has written"):
        tandem.write_image(tmp_path / "x.ome.zarr", noise(9, 8, dtype="uint8") + 1)
    assert content(tmp_path) == before
    assert not list(tmp_path.glob(".*"))


def test_an_own_one_is_replaced_as_a_whole(tmp_path: Path) -> None:
    tandem.write_image(tmp_path / "x.ome.zarr", noise(9, 8, 7, dtype="uint8"))
    values = noise(5, 6, 1, dtype="int16")
    tandem.write_image(tmp_path / "x.ome.zarr", values)
    tandem.write_image(tmp_path / "y.ome.zarr", values)
    assert np.array_equal(tandem.read_image(tmp_path / "x.ome.zarr"), values)
    assert list(content(tmp_path / "x.ome.zarr")) == list(content(tmp_path / "y.ome.zarr"))
    assert sorted(one.name for one in tmp_path.iterdir()) == ["x.ome.zarr", "y.ome.zarr"]


def test_a_killed_writer(tmp_path: Path) -> None:
    """A kill after some of the files: the old image stays, and what is left is removed; other folders are not."""
    code = (
        "import os, pathlib, signal, sys\n"
        "import tandem.files\n"
        "class Files(dict):\n"
        "    def items(self):\n"
        "        yield '0/0', b'half'\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "tandem.files.atomic_write_folder(pathlib.Path(sys.argv[1]), Files(), lambda path: None)\n"
    )
    path = tmp_path / "x.ome.zarr"
    tandem.write_image(path, noise(9, 8, dtype="uint8"))
    before = content(path)
    (tmp_path / ".mine.tmp").mkdir()
    result = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert result.returncode == -signal.SIGKILL
    assert content(path) == before
    assert len(os.listdir(tmp_path)) == 3  # noqa: PTH208
    remove_leftovers(tmp_path)
    assert sorted(one.name for one in tmp_path.iterdir()) == [".mine.tmp", "x.ome.zarr"]


def test_what_is_being_written_is_no_leftover(tmp_path: Path) -> None:
    seen: list[int] = []

    def look(path: Path) -> None:
        if list(tmp_path.glob(".*")):  # the second time, before the old one is set aside
            remove_leftovers(tmp_path)
            seen.append(len(list(tmp_path.glob(".*"))))
        assert path == tmp_path / "x"

    atomic_write_folder(tmp_path / "x", {"a": b"1"}, look)
    atomic_write_folder(tmp_path / "x", {"a/b": b"2"}, look)
    assert seen == [1]
    assert content(tmp_path) == {"x/a/b": b"2"}


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not int64"):
        save_array(tmp_path / "x.ome.zarr", noise(9, 8, 1, dtype="int64"))
    with pytest.raises(TypeError):
        atomic_write_folder(tmp_path / "x", {"a": b"1", "b": "text"}, lambda _: None)  # type: ignore[dict-item]
    assert not list(tmp_path.iterdir())


def test_a_folder_of_several_images_has_no_one(tmp_path: Path) -> None:
    zarr.create_array(tmp_path / "x.zarr", data=noise(3, 9, 8, dtype="uint8"), dimension_names=("z", "y", "x"))
    with pytest.raises(DataError, match=r"holds 3 images: name one of them, e\.g\. .*x-000\.npy"):
        tandem.read_image(tmp_path / "x.zarr")


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(MissingExtraError, match=r"Writing Zarr images.*pip install 'tandem-gan\[zarr\]'"):
        tandem.write_image(tmp_path / "x.ome.zarr", noise(9, 8, dtype="uint8"))
    assert not list(tmp_path.iterdir())
