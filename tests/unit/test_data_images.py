"""Decoding rules against Pillow's own operations and against closed forms."""

import io
import pickle
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms, ImageOps
from PIL.PngImagePlugin import PngImageFile
from tiff_files import tiff_bytes

from tandem.data import images, pixels
from tandem.errors import ConfigError, DataError


def noise(height: int, width: int, channels: int, seed: int = 0, dtype: type = np.uint8) -> np.ndarray:
    high = np.iinfo(dtype).max + 1
    return np.random.default_rng(seed).integers(0, high, (height, width, channels)).astype(dtype)


def saved(image: Image.Image, path: Path, **options: object) -> Path:
    image.save(path, **options)  # type: ignore[arg-type]
    return path


def png_header(width: int, height: int) -> bytes:
    """A PNG that announces a size and holds no pixels."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = b"IDAT" + zlib.compress(b"")
    chunks = [struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in (body, pixels, b"IEND")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_equals_pillow(tmp_path: Path, suffix: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    source = Image.fromarray(noise(10, 16, 3))
    path = saved(source, tmp_path / f"x.{suffix}", exif=exif)
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    array = images.read_image(path)
    assert array.shape == ((10, 16, 3) if orientation < 5 else (16, 10, 3))
    np.testing.assert_array_equal(array, expected)
    assert images.read_size(path) == (array.shape[1], array.shape[0])
    with Image.open(path) as image:
        np.testing.assert_array_equal(images.array_from_pil(image), expected)


def chunks_of(png: bytes) -> list[bytes]:
    """The chunks of a PNG, whole, without its signature."""
    found, start = [], 8
    while start < len(png):
        end = start + 12 + struct.unpack_from(">I", png, start)[0]
        found.append(png[start:end])
        start = end
    return found


@pytest.mark.parametrize("orientation", [1, 6])
def test_exif_behind_the_pixels_of_a_png_counts(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(Image.fromarray(noise(10, 16, 3)), tmp_path / "x.png", exif=exif)
    signature, chunks = path.read_bytes()[:8], chunks_of(path.read_bytes())
    behind = sorted(chunks, key=lambda chunk: (b"IHDR", b"IDAT", b"eXIf", b"IEND").index(chunk[4:8]))
    assert behind != chunks
    path.write_bytes(signature + b"".join(behind))
    height, width = images.read_image(path).shape[:2]
    assert (height, width) == ((10, 16) if orientation == 1 else (16, 10))
    assert images.read_size(path) == (width, height)


def test_the_size_of_a_png_is_known_without_its_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded, load = [], PngImageFile.load

    def loading(image: PngImageFile) -> object:
        decoded.append(image.filename)
        return load(image)

    path = saved(Image.fromarray(noise(10, 16, 3)), tmp_path / "x.png")
    monkeypatch.setattr(PngImageFile, "load", loading)
    assert images.read_size(path) == (16, 10)
    assert not decoded
    images.read_image(path)
    assert decoded


def test_exif_that_cannot_be_parsed_counts_as_none(tmp_path: Path) -> None:
    path = saved(Image.fromarray(noise(10, 16, 3)), tmp_path / "x.jpg", exif=b"Exif\x00\x00broken")
    assert images.read_image(path).shape == (10, 16, 3)
    assert images.read_size(path) == (16, 10)


def test_path_bytes_and_file_give_the_same(tmp_path: Path) -> None:
    path = saved(Image.fromarray(noise(9, 7, 3)), tmp_path / "x.png")
    expected = noise(9, 7, 3)
    np.testing.assert_array_equal(images.read_image(path), expected)
    np.testing.assert_array_equal(images.read_image(path.read_bytes()), expected)
    np.testing.assert_array_equal(images.read_image(io.BytesIO(path.read_bytes())), expected)


def test_palette_with_transparency(tmp_path: Path) -> None:
    image = Image.new("P", (3, 1))
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.putdata([0, 1, 2])
    path = saved(image, tmp_path / "x.png", transparency=1)
    rgba = images.read_image(path, channels=4)
    assert rgba.tolist() == [[[255, 0, 0, 255], [0, 255, 0, 0], [0, 0, 255, 255]]]
    assert images.read_image(path).tolist() == [[[255, 0, 0], [255, 255, 255], [0, 0, 255]]]
    opaque = images.read_image(saved(image, tmp_path / "y.png"))
    assert opaque.tolist() == [[[255, 0, 0], [0, 255, 0], [0, 0, 255]]]


def test_alpha_is_composited_over_white_exactly() -> None:
    rgba = noise(16, 16, 4)
    colour, alpha = rgba[..., :3].astype(float), rgba[..., 3:].astype(float) / 255
    expected = np.rint(colour * alpha + 255 * (1 - alpha)).astype(np.uint8)
    np.testing.assert_array_equal(images.array_from_pil(Image.fromarray(rgba)), expected)
    luma = np.asarray(Image.fromarray(expected).convert("L"))
    np.testing.assert_array_equal(images.array_from_pil(Image.fromarray(rgba), channels=1)[..., 0], luma)


def test_luma_with_alpha(tmp_path: Path) -> None:
    la = noise(5, 6, 2)
    path = saved(Image.fromarray(la), tmp_path / "x.png")
    np.testing.assert_array_equal(images.read_image(path, channels=2), la)
    rgba = images.read_image(path, channels=4)
    np.testing.assert_array_equal(rgba, np.concatenate([la[..., :1]] * 3 + [la[..., 1:]], axis=2))
    alpha = la[..., 1:] / 255
    grey = np.rint(la[..., :1] * alpha + 255 * (1 - alpha))
    np.testing.assert_array_equal(images.read_image(path), np.repeat(grey, 3, axis=2))
    assert images.array_from_pil(Image.new("RGB", (2, 2), "red"), channels=2).tolist() == [[[76, 255]] * 2] * 2


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "HSV", "LAB", "RGBX"])
def test_other_colour_spaces_follow_pillow(mode: str) -> None:
    rgb = Image.fromarray(noise(8, 8, 3))
    if mode == "LAB":
        profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        image = ImageCms.profileToProfile(rgb, *profiles, outputMode="LAB")
        assert image is not None
    else:
        image = rgb.convert(mode)
    array = images.array_from_pil(image)
    np.testing.assert_array_equal(array, np.asarray(image.convert("RGB")))
    if mode in ("RGBX", "CMYK"):
        np.testing.assert_array_equal(array, np.asarray(rgb))


def test_cmyk_jpeg(tmp_path: Path) -> None:
    path = saved(Image.new("CMYK", (8, 8), (255, 0, 0, 0)), tmp_path / "x.jpg", quality=100)
    assert np.abs(images.read_image(path).astype(int) - [0, 255, 255]).max() <= 3


@pytest.mark.parametrize(("name", "mode"), [("x.png", "I;16"), ("x.tif", "I;16B"), ("x.pgm", "I")])
def test_sixteen_bit_gray_is_scaled_not_clipped(tmp_path: Path, name: str, mode: str) -> None:
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    image = Image.fromarray(values)
    if mode == "I;16B":
        image = Image.frombytes("I;16B", (256, 256), values.astype(">u2").tobytes())
    path = saved(image.convert("I") if mode == "I" else image, tmp_path / name)
    expected = np.array([round(value / 257) for value in range(65536)]).reshape(256, 256)
    np.testing.assert_array_equal(images.read_image(path, channels=1)[..., 0], expected)
    np.testing.assert_array_equal(images.read_image(path, channels=3)[..., 2], expected)


def test_sixteen_bit_transparent_value() -> None:
    image = Image.fromarray(np.array([[0, 300, 65535]], dtype=np.uint16))
    stream = io.BytesIO()
    image.save(stream, "PNG", transparency=300)
    assert images.read_image(stream.getvalue(), channels=2).tolist() == [[[0, 255], [1, 0], [255, 255]]]


def test_one_bit(tmp_path: Path) -> None:
    path = saved(Image.fromarray(np.array([[True, False]])), tmp_path / "x.png")
    assert images.read_image(path).tolist() == [[[255] * 3, [0] * 3]]


def test_only_the_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    path = saved(frames[0], tmp_path / "x.gif", save_all=True, append_images=frames[1:])
    assert images.read_image(path)[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (Image.new("F", (2, 2)), "32-bit floating-point samples .* from 0 to 0"),
        (Image.new("I", (2, 2), 70000), "signed 32-bit samples .* from 70000 to 70000"),
        (Image.new("I", (2, 2), -1), "signed 32-bit samples .* from -1 to -1"),
    ],
)
def test_unknown_ranges_are_refused(tmp_path: Path, image: Image.Image, reason: str) -> None:
    path = saved(image, tmp_path / "x.tif")
    with pytest.raises(DataError, match=reason) as caught:
        images.read_image(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (Image.new("F", (2, 2)), "'F', whose range is not known"),
        (Image.new("I", (2, 2), 70000), "values from 70000 to 70000"),
    ],
)
def test_pictures_of_unknown_ranges_are_refused(image: Image.Image, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        images.array_from_pil(image)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_broken_files_name_file_and_reason(tmp_path: Path) -> None:
    whole = io.BytesIO()
    Image.fromarray(noise(64, 64, 3)).save(whole, "JPEG")
    postscript = io.BytesIO()
    Image.new("RGB", (4, 4)).save(postscript, "EPS")
    cases = {
        "truncated.jpg": (whole.getvalue()[:1500], "truncated"),
        "text.png": (b"not an image", "not an image"),
        "empty.png": (b"", "empty"),
        "nopixels.png": (png_header(4, 4), "truncated"),
        "postscript.png": (postscript.getvalue(), "is PostScript, not an image of the formats JPEG, PNG"),
        "drawing.png": (b"<svg/>", "is an SVG drawing, not an image"),
        "pointer.png": (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS: fetch the file itself"),
        "photo.jpg": (b"\0\0\0\x18ftypheic", "is an HEIC image"),
        "large.png": (png_header(20_000, 6_000), "20000 x 6000 pixels, at most 100000000"),
        "bomb.png": (png_header(60_000, 60_000), "at most 100000000 pixels"),
    }
    for name, (data, reason) in cases.items():
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(images.ImageReadError, match=reason) as caught:
            images.read_image(path)
        assert str(path) in str(caught.value), name
        again = pickle.loads(pickle.dumps(caught.value))  # errors cross from loader workers
        assert (type(again), str(again)) == (type(caught.value), str(caught.value))
    with pytest.raises(DataError, match="No such file"):
        images.read_image(tmp_path / "missing.png")
    with pytest.raises(DataError, match="image data: not an image"):
        images.read_image(b"x")


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_any_damage_gives_an_image_or_a_data_error(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    exif = Image.Exif()
    exif[0x0112] = 6
    for suffix in ("PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP", "PPM"):
        stream = io.BytesIO()
        Image.fromarray(noise(24, 16, 3)).save(stream, suffix, exif=exif)
        for _ in range(40):
            data = bytearray(stream.getvalue()[: rng.integers(1, len(stream.getvalue()) + 1)])
            for position in rng.integers(0, min(len(data), 120), 3):
                data[position] = rng.integers(0, 256)
            try:
                array = images.read_image(bytes(data))
            except DataError:
                continue
            assert array.dtype == np.uint8
            assert array.shape[2] == 3


@pytest.mark.parametrize("channels", [0, 5])
def test_impossible_channels(channels: int) -> None:
    with pytest.raises(ConfigError, match="1, 2, 3 or 4"):
        images.array_from_pil(Image.new("L", (2, 2)), channels=channels)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_pil_round_trip(channels: int) -> None:
    array = noise(5, 7, channels)
    np.testing.assert_array_equal(images.array_from_pil(pixels.pil_from_array(array), channels=channels), array)


def test_arrays_without_a_picture_form_are_refused() -> None:
    for array in (noise(4, 4, 5), noise(4, 4, 3).astype(np.float32), noise(4, 4, 3, dtype=np.uint16)):
        with pytest.raises(DataError, match="no picture form"):
            pixels.pil_from_array(array)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_value_survives_the_tensor(dtype: type) -> None:
    count = np.iinfo(dtype).max + 1
    array = np.arange(count, dtype=dtype).reshape(-1, 32, 2)
    tensor = pixels.to_tensor(array)
    assert (tensor.dtype, tuple(tensor.shape)) == (torch.float32, (2, count // 64, 32))
    assert (tensor.min().item(), tensor.max().item()) == (-1.0, 1.0)
    np.testing.assert_array_equal(pixels.to_array(tensor, dtype), array)
    np.testing.assert_array_equal(pixels.to_array(tensor[None], dtype), array[None])


def test_tensor_scale_is_linear_and_clamped() -> None:
    array = np.array([0, 51, 102, 204, 255], dtype=np.uint8).reshape(1, 5, 1)
    torch.testing.assert_close(pixels.to_tensor(array).flatten(), torch.tensor([-1.0, -0.6, -0.2, 0.6, 1.0]))
    wild = torch.tensor([-3.0, 5.0, 0.0]).reshape(1, 1, 3)
    assert pixels.to_array(wild).flatten().tolist() == [0, 255, 128]
    assert pixels.to_array(wild.bfloat16()).flatten().tolist() == [0, 255, 128]
    with pytest.raises(DataError, match="not finite"):
        pixels.to_array(torch.tensor([[[float("nan")]]]))


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 6])
def test_resize_treats_every_channel_alike(channels: int) -> None:
    array = noise(40, 30, channels)
    result = pixels.resize(array, 17, 50)
    planes = [Image.fromarray(array[..., c]).resize((50, 17), Image.Resampling.BICUBIC) for c in range(channels)]
    np.testing.assert_array_equal(result, np.stack([np.asarray(plane) for plane in planes], axis=2))
    assert pixels.resize(array, 40, 30) is array


def test_channels_of_sixteen_bits() -> None:
    rgba = noise(9, 8, 4, dtype=np.uint16)
    rgba[0, 0], rgba[0, 1] = (0, 65535, 65535, 65535), (65535, 65535, 65535, 0)
    colour, alpha = rgba[..., :3].astype(float), rgba[..., 3:] / 65535
    over_white = np.rint(colour * alpha + 65535 * (1 - alpha))
    found = pixels.convert_channels(rgba, 3)
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, over_white)
    luma = over_white @ [0.299, 0.587, 0.114]
    assert np.abs(pixels.convert_channels(rgba, 1)[..., 0] - luma).max() < 1.2
    np.testing.assert_array_equal(pixels.convert_channels(found, 4)[..., 3], 65535)
    np.testing.assert_array_equal(pixels.convert_channels(rgba[..., :1], 3), np.repeat(rgba[..., :1], 3, axis=2))


def test_resize_of_sixteen_bits_keeps_the_range() -> None:
    array = noise(40, 30, 2, dtype=np.uint16) // 2 + 64 * 256  # so that the 8-bit result does not clip
    expected = pixels.resize((array // 256).astype(np.uint8), 25, 44).astype(float) * 256 + 128
    result = pixels.resize(array, 25, 44)
    assert result.dtype == np.uint16
    assert np.abs(result - expected).max() <= 2 * 256
    step = np.repeat(np.array([[0, 65535]], dtype=np.uint16), 8, axis=1).reshape(1, 16, 1)  # overshoots unless clipped
    left, right = np.split(pixels.resize(step, 1, 64), 2, axis=1)
    assert left.min() == 0
    assert right.max() == 65535
    assert left.max() < right.min()


LITTLE_MEMORY = """
import resource, sys
from pathlib import Path
from tandem.data.images import read_stored
from tandem.errors import DataError
pages = int(Path("/proc/self/statm").read_text().split()[0])
resource.setrlimit(resource.RLIMIT_AS, ((pages << 12) + (1 << 29),) * 2)
for name in sys.argv[1:]:
    try:
        print(Path(name).name, read_stored(Path(name)).values.shape)
    except DataError as error:
        print(Path(name).name, str(error).partition(": ")[2])
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a limit of address space")
def test_sizes_that_files_claim_take_no_memory(tmp_path: Path) -> None:
    """A strip of 4 GB and an array of 1 GB in files of a few bytes, and a box of 4 GB in the header of a JPEG 2000."""
    buffer = io.BytesIO()
    Image.new("RGB", (12, 9)).save(buffer, "JPEG2000")
    data = buffer.getvalue()
    at = data.index(b"jp2h") - 4
    (tmp_path / "a.jp2").write_bytes(data[:at] + b"\xff\xff\xff\xf0" + data[at + 4 :])
    tiff = tiff_bytes([np.ones((6, 5, 1), np.uint16)], bits=16, photometric=1)
    count = struct.pack("<HHII", 279, 4, 1, 60)
    (tmp_path / "b.tif").write_bytes(tiff.replace(count, struct.pack("<HHII", 279, 4, 1, 2**32 - 1)))
    assert count in tiff
    buffer = io.BytesIO()
    np.save(buffer, np.zeros((10, 10), np.float64))
    (tmp_path / "c.npy").write_bytes(buffer.getvalue().replace(b"(10, 10), }        ", b"(10000, 10000), }  "))
    names = [str(path) for path in sorted(tmp_path.iterdir())]
    done = subprocess.run([sys.executable, "-c", LITTLE_MEMORY, *names], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "a.jp2 too large: 4294967272 bytes of header, at most 16777216 are read",
        "b.tif (6, 5, 1)",
        "c.npy damaged or truncated (800 of 800000000 bytes)",
    ]
