"""The transparent grey or colour (tRNS) of PNGs of every bit depth, against files that are written byte by byte."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tandem.data.images import ImageReadError, array_from_pil, read_image, read_stored

GREY, COLOUR = 0, 2


def png_of(samples: np.ndarray, *, depth: int, transparent: tuple[int, ...] | None) -> bytes:
    """A PNG of samples ``(H, W, 1 or 3)`` of `depth` bits each, most significant bit first, rows without a filter."""
    height, width, channels = samples.shape
    kind = COLOUR if channels == 3 else GREY
    rows = []
    for row in samples.reshape(height, -1):
        bits = "".join(f"{int(value):0{depth}b}" for value in row)
        bits += "0" * (-len(bits) % 8)
        rows.append(b"\0" + bytes(int(bits[start : start + 8], 2) for start in range(0, len(bits), 8)))
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))]
    if transparent is not None:
        chunks.append((b"tRNS", struct.pack(f">{len(transparent)}H", *transparent)))
    chunks += [(b"IDAT", zlib.compress(b"".join(rows))), (b"IEND", b"")]
    written = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(written)


def eight_bits(samples: np.ndarray, depth: int, kind: int) -> np.ndarray:
    """By the rules of `tandem.data.images`: 16 bits are rounded."""
    del kind
    if depth == 16:
        return np.rint(samples / 257).astype(np.uint8)
    return (samples * (255 // (2**depth - 1))).astype(np.uint8)


@pytest.mark.parametrize(
    ("depth", "kind"), [(1, GREY), (2, GREY), (4, GREY), (8, GREY), (16, GREY), (8, COLOUR), (16, COLOUR)]
)
def test_the_transparent_value_is_that_of_the_bit_depth(tmp_path: Path, depth: int, kind: int) -> None:
    """Each of the values of an image is transparent once, then one that no pixel has, then none."""
    draw = np.random.default_rng(depth)
    samples = draw.integers(0, 2**depth, (5, 7, 3 if kind == COLOUR else 1))
    if depth == 16:  # values whose high bytes are the same: only together do both bytes tell them apart
        samples = 0x1200 + samples % 3
    for transparent in [None, *{tuple(map(int, one)) for one in samples.reshape(-1, samples.shape[2])}]:
        path = tmp_path / "x.png"
        path.write_bytes(png_of(samples, depth=depth, transparent=transparent))
        same = np.zeros(samples.shape[:2], bool) if transparent is None else (samples == transparent).all(axis=2)
        expected = eight_bits(samples, depth, kind)
        white = np.where(same[:, :, None], 255, expected)
        assert np.array_equal(read_image(path, channels=3), np.broadcast_to(white, (5, 7, 3)))
        kept = read_image(path, channels=4 if kind == COLOUR else 2)
        assert np.array_equal(kept[:, :, -1], np.where(same, 0, 255))
        assert np.array_equal(kept[:, :, :-1], expected)
        with Image.open(path) as opened:
            assert np.array_equal(array_from_pil(opened, channels=3), np.broadcast_to(white, (5, 7, 3)))


@pytest.mark.parametrize(("depth", "kind"), [(2, GREY), (4, GREY), (8, GREY), (16, GREY), (8, COLOUR), (16, COLOUR)])
def test_a_value_that_no_pixel_has_makes_none_transparent(depth: int, kind: int) -> None:
    channels = 3 if kind == COLOUR else 1
    samples = np.full((2, 3, channels), 1)
    file = png_of(samples, depth=depth, transparent=(2,) * channels)
    assert (read_image(file, channels=4)[:, :, 3] == 255).all()


def test_a_colour_is_transparent_only_where_all_of_it_is() -> None:
    samples = np.array([[[1, 2, 3], [1, 2, 4], [0x101, 2, 3]]])
    found = read_image(png_of(samples, depth=16, transparent=(1, 2, 3)), channels=4)
    assert found[0, :, 3].tolist() == [0, 255, 255]


@pytest.mark.parametrize("interlaced", [False, True])
def test_colours_of_sixteen_bits_through_an_open_file(interlaced: bool) -> None:
    """The stream is read again from its beginning, and stays where the decoder expects it; Adam7 as well."""
    samples = np.random.default_rng(0).integers(0, 2**16, (3, 4, 3))
    file = png_of(samples, depth=16, transparent=tuple(map(int, samples[1, 2])))
    if interlaced:
        file = as_adam7(samples, tuple(map(int, samples[1, 2])))
    found = read_image(io.BytesIO(file), channels=4)
    assert np.array_equal(found[:, :, :3], np.rint(samples / 257))
    assert np.argwhere(found[:, :, 3] == 0).tolist() == [[1, 2]]


@pytest.mark.parametrize(("kind", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
@pytest.mark.parametrize("row_filter", range(5))
def test_sixteen_bits_stay_sixteen(kind: int, channels: int, row_filter: int) -> None:
    """Every colour type and every filter of rows, which predicts bytes from those a pixel before."""
    samples = np.random.default_rng(row_filter).integers(0, 2**16, (6, 7, channels), dtype=np.uint16)
    rows = samples.astype(">u2").view(np.uint8).reshape(6, -1).astype(int)
    size, data, above = 2 * channels, b"", np.zeros(14 * channels, int)
    for row in rows:
        left, corner = (np.concatenate([np.zeros(size, int), line[:-size]]) for line in (row, above))
        guess = left + above - corner
        distances = np.abs(guess - np.stack([left, above, corner]))
        paeth = np.choose(distances.argmin(axis=0), [left, above, corner])
        predicted = [0 * row, left, above, (left + above) // 2, paeth][row_filter]
        data, above = data + bytes([row_filter]) + ((row - predicted) % 256).astype(np.uint8).tobytes(), row
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", 7, 6, 16, kind, 0, 0, 0)),
        (b"IDAT", zlib.compress(data)),
        (b"IEND", b""),
    ]
    written = [struct.pack(">I", len(d)) + name + d + struct.pack(">I", zlib.crc32(name + d)) for name, d in chunks]
    file = b"\x89PNG\r\n\x1a\n" + b"".join(written)
    stored = read_stored(file)
    assert np.array_equal(stored.values, samples)
    assert (stored.values.dtype, stored.bits) == (np.uint16, 16)
    assert (stored.num_colours, stored.has_alpha) == (1 if channels < 3 else 3, channels in (2, 4))


def as_adam7(samples: np.ndarray, transparent: tuple[int, ...]) -> bytes:
    """The same as an interlaced file: seven passes, each a picture of every so many-th row and column."""
    height, width, _ = samples.shape
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    rows = b""
    for top, left, down, right in passes:
        part = samples[top::down, left::right]
        rows += b"".join(b"\0" + row.astype(">u2").tobytes() for row in part) if part.size else b""
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 16, COLOUR, 0, 0, 1)),
        (b"tRNS", struct.pack(">3H", *transparent)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    written = [struct.pack(">I", len(d)) + name + d + struct.pack(">I", zlib.crc32(name + d)) for name, d in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(written)


def claiming(width: int, height: int, *, kind: int, depth: int, num_bytes: int) -> bytes:
    """A PNG that claims a size, with so many bytes of compressed zeros behind it."""
    packed = zlib.compress(bytes(10**6), 9) + bytes(num_bytes)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)), (b"IDAT", packed[:num_bytes])]
    written = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(written)


@pytest.mark.parametrize(
    ("kind", "depth"), [(GREY, 1), (GREY, 8), (GREY, 16), (COLOUR, 8), (COLOUR, 16), (6, 16), (4, 8)]
)
def test_a_file_that_cannot_hold_its_pixels(kind: int, depth: int) -> None:
    """Else memory would be taken for all of them before the first one is missing."""
    content = claiming(8, 8_323_083, kind=kind, depth=depth, num_bytes=400)
    with pytest.raises(ImageReadError, match=r"damaged: \d+ bytes cannot hold 8 x 8323083 pixels"):
        read_image(content)


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGB", "RGBA", "I;16"])
def test_what_is_packed_as_tightly_as_can_be_is_read(mode: str) -> None:
    """Of one value alone: deflate cannot do better."""
    buffer = io.BytesIO()
    Image.new(mode, (3000, 2000)).save(buffer, "PNG", compress_level=9)
    raw = 3000 * 2000 * {"1": 1, "LA": 16, "RGB": 24, "RGBA": 32, "I;16": 16}.get(mode, 8) // 8
    assert raw > 500 * len(buffer.getvalue())
    assert read_stored(buffer.getvalue()).values.shape[:2] == (2000, 3000)
