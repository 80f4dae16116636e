"""``tandem sample`` from OME-Zarr to OME-Zarr: one, a folder of outputs, a page; what is kept and what is refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zarr
from PIL import Image
from support import Finished, files_of
from support import tandem as run

import tandem
from tandem.config.classes import read_classes
from tandem.data.array_files import save_array
from tandem.data.formats.carried import Carried, Microscopy
from tandem.data.levels import levels_of_classes
from tandem.data.metadata import read_carried

SIZES = {"PhysicalSizeY": "0.5", "PhysicalSizeYUnit": "µm", "PhysicalSizeX": "0.25", "PhysicalSizeXUnit": "µm"}
FACTS = Microscopy(SIZES, ("a", "b", "c"), ("FF0000", "00FF00", "0000FF"))


@pytest.fixture
def model(make_bundle: Callable[..., Path]) -> Path:
    return make_bundle()


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    for index, name in enumerate(("a", "b")):
        values = np.random.default_rng(index).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        save_array(tmp_path / "in" / f"{name}.ome.zarr", values, Carried(microscopy=FACTS))
    return tmp_path / "in"


def sample(*words: str | Path, out: Path, status: int = 0) -> Finished:
    finished = run("sample", *words, "--out", out, "--device", "cpu")
    assert finished.status == status, finished.err
    return finished


def test_one(model: Path, inputs: Path, tmp_path: Path) -> None:
    """The pixels of a PNG, with the size of a pixel; the next call replaces it."""
    out = tmp_path / "x.ome.zarr"
    sample(model, inputs / "a.ome.zarr", out=tmp_path / "x.png")
    sample(model, inputs / "b.ome.zarr", out=out)
    leftover = tmp_path / ".x.ome.zarr.7-0123abcd.tmp"
    leftover.mkdir()
    sample(model, inputs / "a.ome.zarr", out=out)
    found = tandem.read_image(out)
    assert np.array_equal(found, tandem.read_image(tmp_path / "x.png"))
    array = zarr.open_group(out, mode="r")["0"]
    assert np.array_equal(np.moveaxis(np.asarray(array[:]), 0, 2), found)  # type: ignore[index]
    assert read_carried(out / "x.npy").microscopy == FACTS
    assert not leftover.exists()
    sample(model, inputs / "a.ome.zarr", "--num-samples", "2", out=out)
    assert sorted(path.name for path in tmp_path.glob("x*")) == [
        "x.ome.zarr",
        "x.png",
        "x_01.ome.zarr",
        "x_02.ome.zarr",
    ]


def test_outputs_alone_and_with_a_page(model: Path, inputs: Path, tmp_path: Path) -> None:
    """The record names every file of a folder, so that a sampling goes on, and another one removes it."""
    out = tmp_path / "out"
    words = (model, inputs, "--format", "ome.zarr")
    sample(*words, "--only", "outputs", out=out)
    assert sorted(path.name for path in out.iterdir()) == [".samples.jsonl", "a.ome.zarr", "b.ome.zarr"]
    line = json.loads((out / ".samples.jsonl").read_text().splitlines()[1])
    assert {*line["files"]} == {f"a.ome.zarr/{name}" for name in files_of(out / "a.ome.zarr")}
    before = files_of(out)
    shutil.rmtree(out / "b.ome.zarr" / "0" / "1")
    sample(*words, "--only", "outputs", out=out)
    assert files_of(out) == before
    assert len(run("sample", model, out, "--out", tmp_path / "again", "--only", "outputs").err) > 0
    assert len(list((tmp_path / "again").glob("*.png"))) == 2
    sample(*words, "--num-samples", "2", out=out)
    images = out / "images"
    assert not list(out.glob("*.ome.zarr"))
    values = sorted(path.name for path in images.glob("*.ome.zarr"))
    assert values == [f"{name}_random_values_0{index}.ome.zarr" for name in "ab" for index in (1, 2)]
    assert "images/a_random_01.png" in (out / "index.html").read_text()
    shown = tandem.read_image(images / "a_random_01.png")
    assert np.array_equal(tandem.read_image(images / values[0]), shown)
    sample(model, inputs, out=out)
    assert not list(out.rglob("*.zarr"))


def test_label_maps(make_bundle: Callable[..., Path], inputs: Path, tmp_path: Path) -> None:
    twelve = levels_of_classes(read_classes("12", "--classes-b"))
    model = make_bundle(channels=(3, 12), output_levels=twelve)
    sample(model, inputs / "a.ome.zarr", out=tmp_path / "x.png")
    sample(model, inputs / "a.ome.zarr", out=tmp_path / "x.ome.zarr")
    found = tandem.read_image(tmp_path / "x.ome.zarr")
    assert (found.shape, found.dtype, found.max() < 12) == ((16, 16, 1), np.uint8, True)
    assert np.array_equal(found[:, :, 0], np.asarray(Image.open(tmp_path / "x.png")))


@pytest.mark.parametrize("kind", ["input", "folder", "added", "several"])
def test_what_is_refused(model: Path, inputs: Path, tmp_path: Path, kind: str) -> None:
    out, given, says = tmp_path / "x.ome.zarr", inputs / "a.ome.zarr", "it is no Zarr image that Tandem has written"
    if kind == "input":
        out, says = inputs / "a.ome.zarr", "is an input itself"
    elif kind == "folder":
        (out / "0").mkdir(parents=True)
    elif kind == "added":
        sample(model, given, out=out)
        (out / "labels").mkdir()
    else:
        given, says = inputs, f"give a folder, e.g. --out {tmp_path / 'x'} --only outputs, which writes NAME.ome.zarr"
    before = files_of(tmp_path)
    refused = sample(model, given, out=out, status=2)
    assert says in refused.err
    assert files_of(tmp_path) == before
