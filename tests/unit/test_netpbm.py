"""Netpbm files: written here byte by byte, and read by netpbmfile and Pillow as well."""

import io
import itertools
from collections.abc import Callable
from pathlib import Path

import netpbmfile
import numpy as np
import pytest
from PIL import Image

from tandem.config.classes import read_classes
from tandem.data import images
from tandem.data.formats import netpbm
from tandem.data.label_maps import read_labels

LARGEST = (1, 5, 99, 255, 256, 1000, 4095, 65535)


def values_of(channels: int, largest: int, height: int = 7, width: int = 9) -> np.ndarray:
    dtype = np.uint8 if largest < 256 else np.uint16
    values = np.random.default_rng(largest).integers(0, largest, (height, width, channels), dtype, endpoint=True)
    values[0, 0], values[0, 1] = 0, largest
    return values


def raw(values: np.ndarray, largest: int, between: bytes = b"\n") -> bytes:
    magic = {1: b"P5", 3: b"P6"}[values.shape[2]]
    numbers = [b"%d" % number for number in (values.shape[1], values.shape[0], largest)]
    return between.join([magic, *numbers]) + b"\n" + values.astype(values.dtype.newbyteorder(">")).tobytes()


def plain(values: np.ndarray, largest: int) -> bytes:
    head = (
        f"{ {1: 'P2', 3: 'P3'}[values.shape[2]] }\n# a comment: 1 2 3\n{values.shape[1]} {values.shape[0]}\n{largest}\n"
    )
    rows = "\n".join(" ".join(map(str, row.ravel())) for row in values)
    return f"{head}{rows}\n".encode()


def pam(values: np.ndarray, largest: int, name: str = "") -> bytes:
    height, width, depth = values.shape
    lines = [f"WIDTH {width}", f"HEIGHT {height}", "# a comment", f"DEPTH {depth}", f"MAXVAL {largest}"]
    lines += [f"TUPLTYPE {name}"] if name else []
    data = values.astype(values.dtype.newbyteorder(">")).tobytes()
    return "\n".join(["P7", *lines, "ENDHDR"]).encode() + b"\n" + data


def as_netpbmfile(data: bytes) -> np.ndarray:
    with netpbmfile.NetpbmFile(io.BytesIO(data)) as file:
        found = file.asarray()
    return found if found.ndim == 3 else found[:, :, None]


@pytest.mark.parametrize(("channels", "largest", "write"), [*itertools.product((1, 3), LARGEST, (raw, plain))])
def test_every_value_is_kept_as_it_is(channels: int, largest: int, write: Callable[[np.ndarray, int], bytes]) -> None:
    values = values_of(channels, largest)
    data = write(values, largest)
    stored = images.read_stored(data)
    np.testing.assert_array_equal(stored.values, values)
    np.testing.assert_array_equal(stored.values, as_netpbmfile(data))
    assert stored.values.dtype == values.dtype
    assert (stored.white, stored.num_colours, stored.has_alpha) == (largest, channels, False)
    assert images.read_size(data) == (9, 7)
    # White is what the header calls the largest, as before: to training, and in pictures of 8 bits.
    ends = 255 if largest < 256 else 65535
    expected = np.floor(values.astype(np.float64) * ends / largest + 0.5)
    np.testing.assert_array_equal(images.by_type(stored, channels, "x"), expected)
    if largest < 256:
        assert (
            np.abs(images.read_image(data).astype(int) - np.array(Image.open(io.BytesIO(data)).convert("RGB"))).max()
            <= 1
        )


@pytest.mark.parametrize("at_once", [20, 33, 50, 2**20])
@pytest.mark.parametrize("largest", [9, 60000])
def test_plain_files_in_parts(monkeypatch: pytest.MonkeyPatch, at_once: int, largest: int) -> None:
    monkeypatch.setattr(netpbm, "_PLAIN_AT_ONCE", at_once)
    values = values_of(3, largest)
    data = plain(values, largest).replace(b" 0 ", b" 0#x 7\n").rstrip()
    assert b"#x" in data
    np.testing.assert_array_equal(images.read_native(data), values)


@pytest.mark.parametrize("width", [1, 7, 8, 9, 17])
def test_bitmaps_are_black_where_they_say_one(width: int) -> None:
    ink = np.random.default_rng(0).integers(0, 2, (5, width), np.uint8)
    head = b"P4 %d 5\n" % width
    packed = head + np.packbits(ink, axis=1).tobytes()
    tight = head.replace(b"P4", b"P1") + b"#c\n" + b"\n".join(bytes(row + 48) for row in ink)
    loose = head.replace(b"P4", b"P1") + "\n".join(" ".join(map(str, row)) for row in ink).encode()
    pillow = np.array(Image.open(io.BytesIO(packed)).convert("L"))
    for data in (packed, tight, loose):
        stored = images.read_stored(data)
        np.testing.assert_array_equal(stored.values[:, :, 0], pillow)
        assert stored.indices is not None
        np.testing.assert_array_equal(stored.indices, 1 - ink)


@pytest.mark.parametrize("between", [b" ", b"\t", b"\r\n", b"\n#\n", b" # one\n# two\r\n \n"])
def test_white_space_and_comments_in_the_head(between: bytes) -> None:
    values = values_of(3, 4095)
    np.testing.assert_array_equal(images.read_native(raw(values, 4095, between)), values)


def test_of_several_images_the_first_is_read() -> None:
    one, other = values_of(1, 255), values_of(1, 99)
    np.testing.assert_array_equal(images.read_native(raw(one, 255) + raw(other, 99)), one)


@pytest.mark.parametrize(
    ("channels", "name", "colours", "has_alpha"),
    [
        (1, "GRAYSCALE", 1, False),
        (2, "GRAYSCALE_ALPHA", 1, True),
        (3, "RGB", 3, False),
        (4, "RGB_ALPHA", 3, True),
        (1, "", 1, False),
        (3, "", 3, False),
        (4, "", 0, False),
        (7, "BANDS", 0, False),
    ],
)
@pytest.mark.parametrize("largest", [200, 65535])
def test_arbitrary_maps(channels: int, name: str, colours: int, largest: int, *, has_alpha: bool) -> None:
    values = values_of(channels, largest)
    data = pam(values, largest, name)
    stored = images.read_stored(data)
    np.testing.assert_array_equal(stored.values, values)
    np.testing.assert_array_equal(stored.values, as_netpbmfile(data))
    assert (stored.num_colours, stored.has_alpha, stored.white) == (colours, has_alpha, largest)
    assert images.require_pixels(data, 100) == 63
    with pytest.raises(images.ImageReadError, match=f"has {channels} channels, at most"):
        images.require_pixels(data, 100, max_channels=channels - 1)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("order", "scale"), [("<", b"-1.0"), (">", b"1.0"), ("<", b"-2.5e0")])
def test_floating_point_lies_upside_down(channels: int, order: str, scale: bytes) -> None:
    values = np.random.default_rng(0).normal(size=(4, 6, channels)).astype(f"{order}f4")
    data = {1: b"Pf", 3: b"PF"}[channels] + b"\n6 4\n" + scale + b"\n" + values[::-1].tobytes()
    stored = images.read_stored(data)
    np.testing.assert_array_equal(stored.values, values)
    assert stored.values.dtype == np.float32
    assert (stored.white, stored.kind) == (None, "32-bit floating-point PFM")


def test_a_label_map_keeps_its_classes() -> None:
    labels = np.array([[[0], [1]], [[2], [3]]], np.uint8)
    for write in (raw, plain):
        stored = images.read_stored(write(labels, 3))
        np.testing.assert_array_equal(read_labels(read_classes("4", "--classes-b"), stored, "x"), labels)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"P5 3 2 255\n\0\0\0\0\0", "5 of 6 bytes"),
        (b"P2 3 2 255\n1 2 3 4 5", "5 of 6 values"),
        (b"P5 3 1 100\n\0\x65\0", "it holds 101, and its header calls 100 the largest"),
        (b"P2 3 1 100\n0 101 0", "it holds 101, and its header calls 100 the largest"),
        (b"P2 3 1 100\n0 -1 0", "holds what is no number of it"),
        (b"P2 3 1 100\n0 1.5 0", "holds what is no number of it"),
        (b"P2 1 1 100\n" + 30 * b"9", "holds what is no number of it"),
        (b"P1 2 1\n0 2", "neither 0 nor 1"),
        (b"P1 2 1\n0 /", "neither 0 nor 1"),
        (b"P5 3 2 0\n", "its largest value is 0"),
        (b"P5 3 2 65536\n", "its largest value is 65536"),
        (b"P5 0 2 255\n", "has no pixels"),
        (b"P6 99999999 99999999 255\n", "too large"),
        (b"P6 9999999999999 1 255\n", "the header of a PPM"),
        (b"P6 2", "the header of a PPM"),
        (b"Pf 2 2 0\n" + 16 * b"\0", "whose sign says"),
        (b"Pf 2 2 1e\n" + 16 * b"\0", "a PFM of scale 1e"),
        (b"P7\nWIDTH 2\nHEIGHT 2\n", "the header of a PAM"),
        (b"P7\nWIDTH 2\nHEIGHT 2\nDEPTH 1\nENDHDR\n\0\0\0\0", "without WIDTH, HEIGHT, DEPTH or MAXVAL"),
        (b"P7\nWIDTH 2\nHEIGHT 1\nDEPTH 1\nMAXVAL 9\nTUPLTYPE RGB\nENDHDR\n\0\0", "1 channels that are called RGB"),
        (b"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 65\nMAXVAL 9\nENDHDR\n" + 65 * b"\0", "has 65 channels"),
    ],
)
def test_damaged_files_say_what_is_wrong(data: bytes, reason: str) -> None:
    with pytest.raises(images.ImageReadError, match=reason):
        images.read_native(data)


def test_a_comment_without_end_takes_no_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(netpbm, "_PLAIN_AT_ONCE", 1000)
    path = tmp_path / "x.pgm"
    path.write_bytes(b"P2 2 1 9\n1 #" + 5000 * b"x")
    with pytest.raises(images.ImageReadError, match="bytes of one number or comment"):
        images.read_native(path)
