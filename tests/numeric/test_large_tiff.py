"""TIFFs that are translated from file to file, window by window: the result is that in one piece."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

import tandem
from preprocessing import preprocessing
from tandem.checkpoint.bundle import save_bundle
from tandem.checkpoint.manifest import Manifest
from tandem.config.specifications import ResNetSpec, UNetSpec
from tandem.data.formats import tiff_large
from tandem.data.levels import Levels
from tandem.errors import ConfigError
from tandem.inference.large import translate_tiff
from tandem.inference.sampling import SamplingOptions
from tandem.inference.streaming.source import ArraySource, MirroredSource
from tandem.inference.translator import Translator, load
from tandem.networks.build import build_network

RANGE = Levels("uint16", (100.0,), (50000.0,))


def model(folder: Path, kind: str, levels: Levels) -> Translator:
    torch.manual_seed(0)
    spec = (
        UNetSpec(in_channels=4, out_channels=4, latent_dim=0, filters=8, depth=3, norm="instance", injection="none")
        if kind == "unet"
        else ResNetSpec(in_channels=4, out_channels=4, filters=8, blocks=1)
    )
    manifest = Manifest(
        tandem_version="0",
        method="pix2pix" if kind == "unet" else "cut",
        networks={"generator": spec},
        preprocessing=preprocessing((64, 64), channels=(4, 4), input_levels=levels, output_levels=levels),
    )
    save_bundle(folder, manifest, {"generator": build_network(spec)})
    return load(folder, tile=64, memory_gb=0.25)


@pytest.mark.parametrize("kind", ["unet", "resnet"])
@pytest.mark.parametrize("levels", [Levels("uint16"), RANGE, Levels("uint16", fill=0.5)])
@pytest.mark.parametrize("layout", ["strips", "tiles", "pages"])
def test_from_file_to_file_is_what_comes_of_one_piece(tmp_path: Path, kind: str, levels: Levels, layout: str) -> None:
    translator = model(tmp_path / "model", kind, levels)
    values = np.random.default_rng(0).integers(0, 60000, (150, 203, 4), np.uint16)
    values[40:60, 30:70] = 9
    tags = [(42113, 2, 0, "9", True), (33550, 12, 3, (10.0, 10.0, 0.0), True)]
    plain = {"photometric": "minisblack", "metadata": None, "extratags": tags}
    if layout == "pages":
        tifffile.imwrite(tmp_path / "in.tif", np.moveaxis(values, 2, 0), compression="zlib", **plain)  # type: ignore[arg-type]
    else:
        tile = (64, 32) if layout == "tiles" else None
        tifffile.imwrite(tmp_path / "in.tif", values, planarconfig="contig", tile=tile, **plain)  # type: ignore[arg-type]
    translate_tiff(translator, tmp_path / "in.tif", [tmp_path / "out.tif"], SamplingOptions())
    whole = translator(tmp_path / "in.tif", output="values")[0]
    found = tandem.read_image(tmp_path / "out.tif")
    inside = np.ones((150, 203), bool)
    inside[40:60, 30:70] = False
    assert (found[~inside] == 9).all()
    assert np.abs(found[inside].astype(int) - whole[inside]).max() <= 1  # which may be 9 itself
    assert (found[inside] != whole[inside]).mean() < 1e-4
    at_once = translator(tmp_path / "in.tif", output="values", tile=0)[0]
    assert np.abs(found[inside].astype(int) - at_once[inside]).max() <= 65535 * 1e-4
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        assert file.pages[0].tags[33550].value == (10, 10, 0)  # type: ignore[union-attr]


def test_nan_and_given_values_are_masked_from_file_to_file(tmp_path: Path) -> None:
    levels = Levels("float32", (0.0,), (100.0,), fill=0.0, nodata=-5.0)
    translator = model(tmp_path / "model", "unet", levels)
    values = np.random.default_rng(0).uniform(0, 100, (150, 70, 4)).astype(np.float32)
    values[3:9, 5:50], values[100:103] = np.nan, -5
    tifffile.imwrite(tmp_path / "in.tif", values, photometric="minisblack", planarconfig="contig", metadata=None)
    translate_tiff(translator, tmp_path / "in.tif", [tmp_path / "out.tif"], SamplingOptions())
    empty = np.isnan(values[:, :, 0]) | (values[:, :, 0] == -5)
    found = tandem.read_image(tmp_path / "out.tif")
    assert np.array_equal((found == -5).all(axis=2), empty)
    filled = np.where(empty[:, :, None], np.float32(50), values)  # the middle of the range
    whole = translator(filled, output="values")[0]
    assert np.abs(found - whole)[~empty].max() < 1e-2
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        assert float(file.pages[0].tags[42113].value) == -5  # type: ignore[union-attr]


def test_the_command_takes_images_that_are_not_read_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tandem.commands.sample import main  # noqa: PLC0415  (after the limit)

    model(tmp_path / "model", "unet", RANGE)
    values = np.random.default_rng(0).integers(0, 60000, (70, 90, 4), np.uint16)
    tifffile.imwrite(tmp_path / "in.tif", values, photometric="minisblack", planarconfig="contig")
    monkeypatch.setattr(tiff_large, "MAX_PIXELS", 1000)
    command = [str(tmp_path / "model"), str(tmp_path / "in.tif"), "--tile", "64", "--device", "cpu"]
    assert main([*command, "--out", str(tmp_path / "out.tif")]) == 0
    whole = load(tmp_path / "model", tile=64)(tmp_path / "in.tif", output="values")[0]
    assert np.array_equal(tandem.read_image(tmp_path / "out.tif"), whole)
    with pytest.raises(ConfigError, match="give a TIFF as --out"):
        main([*command, "--out", str(tmp_path / "out.png")])
    with pytest.raises(ConfigError, match="Add --fit pad"):
        main([*command, "--out", str(tmp_path / "out.tif"), "--fit", "resize"])


def test_an_input_is_mirrored_at_its_edges() -> None:
    values = np.random.default_rng(0).normal(0, 1, (2, 5, 7)).astype(np.float32)
    source = MirroredSource(ArraySource(values), (16, 18))
    padded = np.pad(values, ((0, 0), (0, 11), (0, 11)), mode="symmetric")
    for rows in (slice(0, 16), slice(3, 9), slice(11, 16)):
        for columns in (slice(0, 18), slice(4, 5), slice(13, 18)):
            assert np.array_equal(source.read(rows, columns), padded[:, rows, columns])
