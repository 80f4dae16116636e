"""What files say beside their pixels comes back, read by tifffile, Pillow and rasterio."""

import io
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import tifffile
from PIL import Image, ImageCms
from rasterio.transform import from_origin

import tandem
from tandem.data.formats.carried import Carried, Resolution, empty_pixels, holds, with_nodata
from tandem.data.formats.png import png_bytes
from tandem.data.metadata import read_carried

VALUES = np.random.default_rng(0).integers(0, 60000, (30, 40, 6), np.uint16)
PLAIN = {"photometric": "minisblack", "planarconfig": "contig", "metadata": None}
GEOGRAPHY: list[Any] = [
    (33550, 12, 3, (10.0, 10.0, 0.0), True),
    (33922, 12, 6, (0.0, 0.0, 0.0, 500000.25, 5e6, 0.0), True),
    (34735, 3, 12, (1, 1, 0, 2, 1024, 0, 1, 1, 3072, 0, 1, 32633), True),
    (34737, 2, 0, "WGS 84 / UTM zone 33N|", True),
    (42112, 2, 0, '<GDALMetadata><Item name="S">x</Item><Item name="w" sample="0">443</Item></GDALMetadata>', True),
    (42113, 2, 0, "7", True),
]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_the_place_of_a_geotiff_comes_back(tmp_path: Path, order: str, big: bool) -> None:
    source, made = tmp_path / "a.tif", tmp_path / "b.tif"
    tifffile.imwrite(source, VALUES, extratags=GEOGRAPHY, byteorder=order, bigtiff=big, **PLAIN)  # type: ignore[arg-type]
    tandem.write_image(made, VALUES[:, :, :2] // 2, like=source)
    with tifffile.TiffFile(source) as before, tifffile.TiffFile(made) as after:
        for number in (33550, 33922, 34735, 34737, 42113):
            assert after.pages[0].tags[number].value == before.pages[0].tags[number].value  # type: ignore[union-attr]
        items = after.pages[0].tags[42112].value  # type: ignore[union-attr]
        assert "x" in items
        assert "443" not in items  # is about a band of the input
        assert np.array_equal(after.asarray(), VALUES[:, :, :2] // 2)


def test_rasterio_reads_the_same_place(tmp_path: Path) -> None:
    how = {"driver": "GTiff", "width": 40, "height": 30, "count": 6, "dtype": "uint16", "nodata": 7}
    transform = from_origin(500000.5, 5e6, 10, 20)
    with rasterio.open(tmp_path / "a.tif", "w", crs="EPSG:32633", transform=transform, tiled=True, **how) as file:
        file.write(np.moveaxis(VALUES, 2, 0))
        file.update_tags(SENSOR="S2")
    tandem.write_image(tmp_path / "b.tif", VALUES, like=tmp_path / "a.tif")
    with rasterio.open(tmp_path / "a.tif") as a, rasterio.open(tmp_path / "b.tif") as b:
        assert (a.crs, a.transform, a.nodata, a.tags()) == (b.crs, b.transform, b.nodata, b.tags())
        assert np.array_equal(a.read(), b.read())


def test_names_and_sizes_of_ome_come_back(tmp_path: Path) -> None:
    facts = {"axes": "CYX", "PhysicalSizeX": 325.0, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.3}
    planes = np.moveaxis(VALUES, 2, 0)
    names = [f"<dye & {index}>" for index in range(6)]
    tifffile.imwrite(tmp_path / "a.ome.tif", planes, metadata=facts | {"Channel": {"Name": names}})
    assert np.array_equal(tandem.read_image(tmp_path / "a.ome.tif"), VALUES)
    tandem.write_image(tmp_path / "b.ome.tif", VALUES // 2, like=tmp_path / "a.ome.tif")
    tandem.write_image(tmp_path / "c.ome.tif", VALUES[:, :, :2], like=tmp_path / "a.ome.tif")
    with tifffile.TiffFile(tmp_path / "b.ome.tif") as file:
        assert (file.is_ome, file.series[0].axes) == (True, "CYX")
        assert np.array_equal(file.asarray(), planes // 2)
        pixels = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]["Pixels"]  # type: ignore[arg-type]
        assert (pixels["PhysicalSizeX"], pixels["PhysicalSizeXUnit"], pixels["PhysicalSizeY"]) == (325, "nm", 0.3)
        assert [channel["Name"] for channel in pixels["Channel"]] == names
    with tifffile.TiffFile(tmp_path / "c.ome.tif") as file:
        assert file.series[0].shape == (2, 30, 40)
        assert "dye" not in str(file.ome_metadata)  # names of other channels


def test_imagej_keeps_the_size_of_a_pixel(tmp_path: Path) -> None:
    told = {"axes": "CYX", "unit": "um", "spacing": 2.0}
    tifffile.imwrite(tmp_path / "a.tif", np.moveaxis(VALUES, 2, 0), imagej=True, resolution=(4, 4), metadata=told)
    tandem.write_image(tmp_path / "b.tif", VALUES, like=tmp_path / "a.tif")
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        found = file.imagej_metadata
        assert found is not None
        assert (found["unit"], found["spacing"], found["channels"]) == ("um", 2.0, 6)
        assert file.pages[0].tags["XResolution"].value == (4, 1)  # type: ignore[union-attr]
        assert np.array_equal(file.asarray(), np.moveaxis(VALUES, 2, 0))


@pytest.mark.parametrize("source", [".png", ".jpg", ".tif"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("target", [".png", ".jpg", ".tif", ".webp"])
def test_resolution_and_profile(tmp_path: Path, source: str, target: str, dtype: type) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    given = VALUES[:, :, :3].astype(np.uint8)
    Image.fromarray(given).save(tmp_path / f"a{source}", dpi=(300, 150), icc_profile=profile)
    if dtype == np.uint16 and target in (".jpg", ".webp"):
        pytest.skip("of 8 bits")
    tandem.write_image(tmp_path / f"b{target}", VALUES[:, :, :3].astype(dtype), like=None)
    bare = read_carried(tmp_path / f"b{target}")
    assert (bare.profile, bare.resolution if target != ".jpg" else None) == (None, None)
    if dtype == np.uint8:
        tandem.write_image(tmp_path / f"b{target}", given, like=tmp_path / f"a{source}")
    else:
        deep = tmp_path / "deep.tif"
        tifffile.imwrite(deep, VALUES[:, :, :3], resolution=(300, 150), resolutionunit="INCH", iccprofile=profile)
        tandem.write_image(tmp_path / f"b{target}", VALUES[:, :, :3], like=deep)
    if dtype == np.uint16 and target == ".tif":
        with tifffile.TiffFile(tmp_path / "b.tif") as file:
            tags = file.pages[0].tags  # type: ignore[union-attr]
            assert (tags["XResolution"].value, tags["YResolution"].value) == ((300, 1), (150, 1))
            assert tags["InterColorProfile"].value == profile
        return
    with Image.open(tmp_path / f"b{target}") as image:
        assert image.info["icc_profile"] == profile
        if target != ".webp":  # which has no place for it
            assert image.info["dpi"] == pytest.approx((300, 150), abs=0.02)  # PNG: whole pixels for a metre


def test_a_profile_of_other_colours_is_left_out(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(VALUES[:, :, :3].astype(np.uint8)).save(tmp_path / "a.png", icc_profile=profile)
    tandem.write_image(tmp_path / "grey.png", VALUES[:, :, :1].astype(np.uint8), like=tmp_path / "a.png")
    assert read_carried(tmp_path / "grey.png").profile is None


def test_a_turned_image_has_no_place_on_the_map(tmp_path: Path) -> None:
    turned = [*GEOGRAPHY, (274, 3, 1, 6, True)]
    tifffile.imwrite(tmp_path / "a.tif", VALUES, extratags=turned, resolution=(300, 150), **PLAIN)  # type: ignore[arg-type]
    carried = read_carried(tmp_path / "a.tif")
    assert not carried.geography
    assert carried.resolution is not None
    assert (carried.resolution.x, carried.resolution.y) == (150, 300)


@pytest.mark.parametrize("xml", ["<OME><!DOCTYPE x><Pixels/></OME>", "<OME", "<OME></OME>", "<OME><a></OME>"])
def test_damaged_ome_is_nothing(tmp_path: Path, xml: str) -> None:
    tifffile.imwrite(tmp_path / "a.tif", VALUES, description=xml, **PLAIN)  # type: ignore[arg-type]
    assert read_carried(tmp_path / "a.tif").microscopy is None


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
@pytest.mark.parametrize("nodata", [0.0, 7.0, 255.0, -9999.0, float("nan"), 0.5])
def test_pixels_without_data_are_the_only_ones_of_their_value(dtype: str, nodata: float) -> None:
    kind = np.dtype(dtype)
    expected = kind.kind == "f" or (nodata.is_integer() and np.iinfo(kind).min <= nodata <= np.iinfo(kind).max)
    assert holds(kind, nodata) == expected
    if not expected:
        return
    array = np.random.default_rng(0).integers(0, 256, (9, 8, 2)).astype(dtype)
    given = array.copy()
    given[2:4, 3] = nodata
    empty = empty_pixels(given, nodata)
    assert empty is not None
    assert empty.sum() >= 2
    found = with_nodata(array, empty, nodata)
    assert found.dtype == kind
    same = np.isnan(found) if np.isnan(nodata) else found == nodata
    assert np.array_equal(same.all(axis=2), empty)
    assert not (same & ~empty[:, :, None]).any()
    assert np.abs(found[~empty].astype(float) - array[~empty]).max() <= 1


def test_a_png_of_16_bits_has_right_chunks() -> None:
    resolution = Resolution(Fraction(11811), Fraction(11811), "metre")
    with Image.open(io.BytesIO(png_bytes(VALUES[:, :, :1], Carried(resolution=resolution)))) as image:
        image.verify()  # checksums
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.01)
