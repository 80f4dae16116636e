"""Image files as arrays in their own type: written, read back, and read by the libraries of others."""

import io
import itertools
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from tiff_files import tiff_bytes

import tandem
from tandem.data.array_files import to_type
from tandem.data.images import ImageReadError, read_image, read_size, read_stored
from tandem.errors import ConfigError, DataError

TYPES = [np.uint8, np.uint16, np.uint32, np.int8, np.int16, np.int32, np.float16, np.float32, np.float64]


def values_of(dtype: type, channels: int, height: int = 23, width: int = 17) -> np.ndarray:
    draw = np.random.default_rng(channels)
    if np.issubdtype(dtype, np.floating):
        return draw.normal(0, 100, (height, width, channels)).astype(dtype)
    info = np.iinfo(dtype)
    return draw.integers(info.min, info.max, (height, width, channels), dtype, endpoint=True)


@pytest.mark.parametrize("suffix", [".tif", ".tiff", ".npy", ".npz"])
@pytest.mark.parametrize("dtype", TYPES)
def test_any_type_and_number_of_channels_comes_back(tmp_path: Path, dtype: type, suffix: str) -> None:
    for channels in (1, 2, 3, 4, 5, 6, 64):
        values, path = values_of(dtype, channels), tmp_path / f"{channels}{suffix}"
        assert tandem.write_image(path, values) == 0
        found = tandem.read_image(path)
        assert found.dtype == dtype
        assert np.array_equal(found, values)
        assert read_size(path) == (17, 23)
        if suffix == ".tif":
            assert np.array_equal(tifffile.imread(path).reshape(values.shape), values)


def test_large_images_have_several_strips(tmp_path: Path) -> None:
    values = values_of(np.uint16, 3, 400, 500)
    tandem.write_image(tmp_path / "x.tif", values)
    assert np.array_equal(tandem.read_image(tmp_path / "x.tif"), values)
    with tifffile.TiffFile(tmp_path / "x.tif") as file:
        assert len(file.pages[0].dataoffsets) > 3  # type: ignore[union-attr]
        assert file.asarray().tolist() == values.tolist()


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_png_of_8_and_16_bits(tmp_path: Path, dtype: type, channels: int) -> None:
    values, path = values_of(dtype, channels), tmp_path / "x.png"
    tandem.write_image(path, values)
    assert np.array_equal(tandem.read_image(path), values)
    with Image.open(path) as image:  # of 16 bits Pillow gives grey, and the high bytes of colours
        seen = np.array(image).reshape(23, 17, -1)
    if channels != 2 or dtype == np.uint8:
        assert np.array_equal(seen, values if dtype == np.uint8 or channels == 1 else values >> 8)


@pytest.mark.parametrize(("suffix", "exact"), [(".webp", True), (".bmp", True), (".jpg", False)])
def test_pictures_of_8_bits(tmp_path: Path, suffix: str, exact: bool) -> None:
    values = np.full((8, 8, 3), 100, np.uint8)
    tandem.write_image(tmp_path / f"x{suffix}", values)
    assert np.abs(tandem.read_image(tmp_path / f"x{suffix}").astype(int) - values).max() <= (0 if exact else 2)


def test_what_a_format_does_not_hold_is_refused(tmp_path: Path) -> None:
    for suffix, values in itertools.product(
        (".png", ".jpg", ".webp"), (values_of(np.float32, 1), values_of(np.uint8, 5))
    ):
        with pytest.raises(DataError, match=r"does not hold .* channels: write .tif, .tiff, .npy or .npz"):
            tandem.write_image(tmp_path / f"x{suffix}", values)
    with pytest.raises(DataError, match=r"does not hold 3 x 16-bit"):
        tandem.write_image(tmp_path / "x.jpg", values_of(np.uint16, 3))
    with pytest.raises(ConfigError, match=r"ends in '.gif': use .png, .tif"):
        tandem.write_image(tmp_path / "x.gif", values_of(np.uint8, 3))
    with pytest.raises(DataError, match=r"with C up to 64, not of shape \(3, 2, 65\)"):
        tandem.write_image(tmp_path / "x.tif", np.zeros((3, 2, 65)))
    with pytest.raises(DataError, match="not int64"):
        tandem.write_image(tmp_path / "x.tif", np.zeros((3, 2), np.int64))
    assert not list(tmp_path.iterdir())


def test_like_rounds_and_cuts_off_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing wraps: 70000 would be 4464 in 16 bits, -5 would be 65531."""
    model, path = tmp_path / "model.tif", tmp_path / "x.tif"
    tandem.write_image(model, np.zeros((2, 2), np.uint16))
    values = np.array([[70000, -5, 1.9], [2.5, 65535.4, 0]])
    with caplog.at_level("WARNING"):
        assert tandem.write_image(path, values, like=model) == 2
    assert tandem.read_image(path)[:, :, 0].tolist() == [[65535, 0, 2], [2, 65535, 0]]
    assert "2 of 6 values were cut off to fit into uint16" in caplog.text
    twelve = tmp_path / "twelve.tif"
    twelve.write_bytes(tiff_bytes([np.zeros((2, 2, 1), np.uint16)], bits=12, photometric=1))
    assert tandem.write_image(path, np.array([[4095, 4096, 5000]]), like=twelve) == 2
    assert tandem.read_image(path).ravel().tolist() == [4095] * 3
    with pytest.raises(DataError, match="not finite"):
        tandem.write_image(path, np.array([[np.nan]]), like=model)


@pytest.mark.parametrize("dtype", TYPES)
def test_a_round_trip_through_floats_is_within_half_a_quantum(dtype: type) -> None:
    values = values_of(dtype, 3).astype(np.float64)
    found, clipped = to_type(values + 0.49 * (np.dtype(dtype).kind != "f"), np.dtype(dtype))
    assert clipped == 0
    assert np.array_equal(found.astype(np.float64), values)


def test_what_is_read_is_as_the_file_has_it(tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    path.write_bytes(tiff_bytes([np.array([[[0], [1], [4095]]], np.uint16)], bits=12, photometric=0))
    assert tandem.read_image(path).ravel().tolist() == [4095, 4094, 0]
    pages = [np.full((3, 4, 1), page, np.int16) for page in range(5)]
    path.write_bytes(tiff_bytes(pages, bits=16, photometric=1))
    assert tandem.read_image(str(path))[2, 3].tolist() == [0, 1, 2, 3, 4]
    palette = Image.new("P", (2, 1))
    palette.putpalette([9, 8, 7, 1, 2, 3])
    palette.putdata([0, 1])
    palette.save(tmp_path / "x.png", transparency=1)
    assert tandem.read_image(tmp_path / "x.png").tolist() == [[[9, 8, 7, 255], [1, 2, 3, 0]]]


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("kind", ["<u2", ">u2", ">i4", ">f4", "?"])
def test_numpy_files_of_any_order(kind: str, order: str) -> None:
    array = np.asarray(np.random.default_rng(0).integers(0, 2, (4, 5, 3)), kind, order=order)  # type: ignore[call-overload]
    stream = io.BytesIO()
    np.save(stream, array)
    found = read_stored(stream.getvalue()).values
    assert found.dtype.isnative
    assert np.array_equal(found, array * np.uint8(255) if kind == "?" else array)
    flat = io.BytesIO()
    np.save(flat, array[:, :, 0])
    assert np.array_equal(read_stored(flat.getvalue()).values, found[:, :, :1])


def numpy_file(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def zipped(**arrays: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)  # type: ignore[arg-type]
    return stream.getvalue()


def archive_of(name: str, data: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, data)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        (numpy_file(np.array([[None, "x"]])), "NumPy array of object"),
        (
            numpy_file(np.full((3, 4), 2**31)),
            "NumPy array of int64 with values from 2147483648 to 2147483648",
        ),
        (numpy_file(np.full((3, 4), 2**32, np.uint64)), "uint64 with values .* where uint32 holds them, from 0 to"),
        (numpy_file(np.zeros((3, 4), np.complex64)), "NumPy array of complex64: read are"),
        (numpy_file(np.zeros((3, 4), complex)), "NumPy array of complex128"),
        (numpy_file(np.zeros((1, 3, 4, 5), np.uint8)), r"shape \(1, 3, 4, 5\): an image is \(H, W\) or \(H, W, C\)"),
        (numpy_file(np.zeros((3, 70, 80), np.uint8)), r"looks like \(C, H, W\)"),
        (numpy_file(np.zeros((0, 4), np.uint8)), "no pixels"),
        (numpy_file(np.zeros((30, 40), np.uint16))[:-1], "2399 of 2400 bytes"),
        (zipped(a=np.zeros((2, 2)), b=np.zeros((2, 2))), r"2 arrays \(a, b\).*the one called 'image'"),
        (archive_of("x.txt", b""), "0 arrays"),
        (archive_of("x.npy", b"\x93NUMPY"), "damaged or truncated"),
        (numpy_file(np.zeros((2, 3), np.uint8)).replace(b"(2, 3), }", b"(2, 3  } "), "damaged or truncated"),
        (zipped(a=np.zeros((2, 2))).replace(b"\0" * 32, b"\1" * 32), "damaged or truncated .*CRC"),
        (b"PK\x03\x04 and nothing", "damaged"),
    ],
)
def test_numpy_files_that_are_no_images(file: bytes, reason: str) -> None:
    with pytest.raises(ImageReadError, match=reason):
        read_stored(file)


def test_the_array_called_image_is_it() -> None:
    file = zipped(image=np.full((2, 3), 7, np.uint8), mask=np.zeros((2, 2)))
    assert read_image(file, channels=1).tolist() == [[[7]] * 3] * 2


def test_a_header_that_promises_too_much_is_refused_before_memory_is_taken() -> None:
    whole = numpy_file(np.zeros((100, 100), np.uint8))
    hostile = whole.replace(b"(100, 100)", b"(99999, 999999)")[: len(whole)]
    with pytest.raises(ImageReadError, match="too large: 999999 x 99999 pixels"):
        read_stored(hostile)
