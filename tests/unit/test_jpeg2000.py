"""JPEG 2000 files of every depth, written by GDAL's OpenJPEG without loss."""

import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from PIL import Image
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning

from tandem.data import images
from tandem.data.formats import extras
from tandem.data.formats.jpeg2000 import read_jpeg2000_header


def written(path: Path, values: np.ndarray, colours: tuple[ColorInterp, ...] = (), **options: Any) -> Path:
    planes = np.moveaxis(values, 2, 0)
    lossless = {"QUALITY": 100, "REVERSIBLE": "YES"} | options
    channels, height, width = planes.shape
    with warnings.catch_warnings(), rasterio.MemoryFile() as memory:
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        like = {"width": width, "height": height, "count": channels, "dtype": planes.dtype.name}
        with memory.open(driver="GTiff", **like) as source:
            source.write(planes)
            if colours:
                source.colorinterp = colours
        with memory.open() as source:
            rasterio.shutil.copy(source, path, driver="JP2OpenJPEG", **lossless)
    return path


def noise(channels: int, bits: int, *, signed: bool = False) -> np.ndarray:
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if signed else (0, 2**bits)
    dtype = np.uint8 if bits <= 8 else np.int16 if signed else np.uint16
    values = np.random.default_rng(bits).integers(low, high, (40, 56, channels), dtype)
    values[0, 0], values[0, 1] = low, high - 1
    return values


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_every_value_is_kept_as_it_is(tmp_path: Path, channels: int, bits: int) -> None:
    values = noise(channels, bits)
    path = written(tmp_path / "x.jp2", values, **({} if bits in (8, 16) else {"NBITS": bits}))
    stored = images.read_stored(path)
    np.testing.assert_array_equal(stored.values, values)
    assert (stored.values.dtype, stored.bits, stored.white) == (values.dtype, bits, 2**bits - 1)
    assert images.read_size(path) == (56, 40)
    assert images.require_pixels(path, 40 * 56) == 40 * 56


def test_signed_values_stay_signed(tmp_path: Path) -> None:
    values = noise(1, 16, signed=True)
    stored = images.read_stored(written(tmp_path / "x.jp2", values))
    np.testing.assert_array_equal(stored.values, values)
    assert stored.white is None


@pytest.mark.parametrize("bits", [8, 16])
def test_colour_and_opacity_are_what_the_file_says(tmp_path: Path, bits: int) -> None:
    rgba = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)
    stored = images.read_stored(written(tmp_path / "x.jp2", noise(4, bits), rgba))
    assert (stored.num_colours, stored.has_alpha) == (3, True)
    stored = images.read_stored(written(tmp_path / "y.jp2", noise(3, bits), rgba[:3]))
    assert (stored.num_colours, stored.has_alpha) == (3, False)


def test_the_codestream_alone(tmp_path: Path) -> None:
    values = noise(3, 12)
    data = written(tmp_path / "x.jp2", values, NBITS=12).read_bytes()
    np.testing.assert_array_equal(images.read_native(data[data.index(b"\xff\x4f\xff\x51") :]), values)


def test_what_cannot_be_kept_is_refused(tmp_path: Path) -> None:
    rgb = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
    data = bytearray(written(tmp_path / "x.jp2", noise(3, 16), rgb).read_bytes())
    at = data.index(b"\xff\x4f\xff\x51") + 42  # depth, step across, step down of each channel
    assert bytes(data[at : at + 9]) == bytes([15, 1, 1] * 3)
    for changes in ({at: 7}, {at + 4: 2}, {at: 23, at + 3: 23, at + 6: 23}):
        other = data.copy()
        for place, value in changes.items():
            other[place] = value
        with pytest.raises(images.ImageReadError, match="differ in depth or size, or of more than 16 bits"):
            images.read_native(bytes(other))
    space = data.index(b"colr") + 7
    assert struct.unpack(">I", data[space : space + 4]) == (16,)
    other = data.copy()
    other[space : space + 4] = struct.pack(">I", 18)
    with pytest.raises(images.ImageReadError, match="neither sRGB nor grey"):
        images.read_native(bytes(other))


@pytest.mark.parametrize("share", [0.0005, 0.005, 0.02, 0.5])
def test_cut_files_are_damaged(tmp_path: Path, share: float) -> None:
    data = written(tmp_path / "x.jp2", noise(3, 16)).read_bytes()
    with pytest.raises(images.ImageReadError, match=r"damaged|truncated|not an image"):
        images.read_native(data[: max(9, int(share * len(data)))])


def test_boxes_that_lie_are_refused(tmp_path: Path) -> None:
    data = written(tmp_path / "x.jp2", noise(3, 16)).read_bytes()
    at = data.index(b"jp2h") - 4
    for length in (0, 7, 2**32 - 1):
        lying = data[:at] + struct.pack(">I", length) + data[at + 4 :]
        with pytest.raises(images.ImageReadError, match=r"damaged|too large"):
            images.read_native(lying)


def test_without_the_extra_the_reason_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "x.jp2", noise(3, 16))
    grey = written(tmp_path / "y.jp2", noise(1, 12), NBITS=12)

    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(extras, "import_module", missing)
    assert images.read_native(grey).max() == 4095  # Pillow is enough
    with pytest.raises(extras.MissingExtraError, match="jpeg2000"):
        images.read_native(path)


def test_pictures_are_what_they_were(tmp_path: Path) -> None:
    values = noise(3, 8)
    Image.fromarray(values).save(tmp_path / "x.jp2", irreversible=False)
    np.testing.assert_array_equal(images.read_image(tmp_path / "x.jp2"), values)
    with (tmp_path / "x.jp2").open("rb") as stream:
        header = read_jpeg2000_header(stream)
        assert (header.is_left_to_pillow, stream.tell()) == (True, 0)
