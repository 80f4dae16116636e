"""Every kind of TIFF that is read, against the samples that a writer of bytes put there, and against tifffile."""

import io
import itertools
import struct
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from tiff_files import TiffLayout, tiff_bytes

from tandem.data.images import ImageReadError, read_image, read_native, read_size, read_stored

GREY_WHITE, GREY, RGB = 0, 1, 2
HEIGHT, WIDTH = 10, 19

LAYOUTS = [
    TiffLayout(order=order, big=big, block=block, tiled=tiled, compression=compression)
    for order, big, (block, tiled), compression in itertools.product(
        "<>",
        (False, True),
        ((None, False), ((4, WIDTH), False), ((16, 16), True)),
        ("none", "deflate", "packbits", "lzw"),
    )
] + [TiffLayout(compression="lzma"), TiffLayout(order=">", compression="lzma", block=(3, WIDTH))]

UNSIGNED = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 32]
OTHERS = [np.int8, np.int16, np.int32, np.float16, np.float32, np.float64]


def samples_of(bits: int, channels: int, dtype: type | None = None, seed: int = 0) -> np.ndarray:
    """All over the range of the type, its ends among them."""
    draw = np.random.default_rng([seed, bits, channels])
    if dtype is not None and np.issubdtype(dtype, np.floating):
        return draw.normal(0, 1000, (HEIGHT, WIDTH, channels)).astype(dtype)
    kind = np.dtype(dtype or (np.uint8 if bits <= 8 else np.uint16 if bits <= 16 else np.uint32))
    low, high = (0, 2**bits - 1) if kind.kind == "u" else (np.iinfo(kind).min, np.iinfo(kind).max)
    values = draw.integers(low, high, (HEIGHT, WIDTH, channels), endpoint=True)
    values[0, 0], values[-1, -1] = low, high
    return values.astype(kind)


def as_read(values: np.ndarray, bits: int, photometric: int, num_extra: int = 0) -> np.ndarray:
    """By the rules: white turned, 1, 2 and 4 bits spread over 8, everything else as it is."""
    values = values.copy()
    if photometric == GREY_WHITE:
        turned = values.shape[2] - num_extra
        values[:, :, :turned] = values.dtype.type(2**bits - 1) - values[:, :, :turned]
    return values * np.uint8(255 // (2**bits - 1)) if bits in (1, 2, 4) else values


def require_same(file: bytes, expected: np.ndarray, what: object) -> None:
    found = read_native(file)
    assert found.dtype == expected.dtype, what
    assert found.dtype.isnative, what
    assert np.array_equal(found, expected), what
    assert read_size(file) == (WIDTH, HEIGHT), what


@pytest.mark.parametrize("bits", UNSIGNED)
def test_unsigned_greys_of_every_depth(bits: int) -> None:
    values = samples_of(bits, 1)
    for layout, photometric in itertools.product(LAYOUTS, (GREY_WHITE, GREY)):
        file = tiff_bytes([values], bits=bits, photometric=photometric, layout=layout)
        require_same(file, as_read(values, bits, photometric), (layout, photometric))


@pytest.mark.parametrize("dtype", OTHERS)
def test_signed_and_floating_point_samples(dtype: type) -> None:
    bits = 8 * np.dtype(dtype).itemsize
    for layout, (channels, photometric) in itertools.product(LAYOUTS, ((1, GREY), (3, RGB))):
        values = samples_of(bits, channels, dtype)
        require_same(tiff_bytes([values], bits=bits, photometric=photometric, layout=layout), values, layout)


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("bits", [8, 10, 12, 16, 32])
def test_colours_and_bands_interleaved_and_in_planes(bits: int, separate: bool) -> None:
    kinds = ((3, RGB, ()), (4, RGB, (2,)), (2, GREY, (2,)), (3, GREY, (0, 0)), (6, GREY, (0,) * 5))
    for layout, (channels, photometric, extra) in itertools.product(LAYOUTS[bits % 3 :: 3], kinds):
        values = samples_of(bits, channels)
        own = replace(layout, separate=separate)
        file = tiff_bytes([values], bits=bits, photometric=photometric, extra=extra, layout=own)
        require_same(file, values, (own, channels))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.int16, np.int32, np.float16, np.float32])
@pytest.mark.parametrize("compression", ["deflate", "lzw"])
def test_predictors(dtype: type, compression: str) -> None:
    bits, predictor = 8 * np.dtype(dtype).itemsize, 3 if np.issubdtype(dtype, np.floating) else 2
    layouts = {replace(layout, compression=compression, predictor=predictor) for layout in LAYOUTS}
    for layout, separate in itertools.product(layouts, (False, True)):
        own = replace(layout, separate=separate)
        values = samples_of(bits, 3, dtype)
        require_same(tiff_bytes([values], bits=bits, photometric=RGB, layout=own), values, own)


@pytest.mark.parametrize("bits", [1, 4, 8, 12, 16])
def test_bits_of_bytes_in_the_other_order(bits: int) -> None:
    values = samples_of(bits, 1)
    for compression, order in itertools.product(("none", "deflate", "packbits"), "<>"):
        layout = TiffLayout(order=order, compression=compression, reversed_bits=True)
        file = tiff_bytes([values], bits=bits, photometric=GREY, layout=layout)
        require_same(file, as_read(values, bits, GREY), layout)


@pytest.mark.parametrize("bits", [8, 12, 16, 32])
def test_pages_of_one_channel_are_channels(bits: int) -> None:
    for layout, photometric in itertools.product(LAYOUTS, (GREY_WHITE, GREY)):
        pages = [samples_of(bits, 1, seed=seed) for seed in range(3)]
        file = tiff_bytes(pages, bits=bits, photometric=photometric, layout=layout)
        expected = np.concatenate([as_read(page, bits, photometric) for page in pages], axis=2)
        require_same(file, expected, layout)
        assert read_stored(file).num_frames == 3


def test_of_coloured_pages_the_first_is_read_and_all_are_counted() -> None:
    pages = [samples_of(16, 3, seed=seed) for seed in range(3)]
    stored = read_stored(tiff_bytes(pages, bits=16, photometric=RGB))
    assert np.array_equal(stored.values, pages[0])
    assert stored.num_frames == 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(orientation: int) -> None:
    values = samples_of(16, 3)
    file = tiff_bytes([values], bits=16, photometric=RGB, orientation=orientation)
    rows_first = values if orientation < 5 else values.swapaxes(0, 1)
    turns = {1: (1, 1), 2: (1, -1), 3: (-1, -1), 4: (-1, 1), 5: (1, 1), 6: (1, -1), 7: (-1, -1), 8: (-1, 1)}
    down, across = turns[orientation]
    expected = rows_first[::down, ::across]
    assert np.array_equal(read_native(file), expected)
    assert read_size(file) == expected.shape[1::-1]


def files_of_tifffile() -> Iterator[tuple[str, np.ndarray, bytes]]:
    """What another library writes of arrays ``(H, W, C)``: interleaved, planes, OME, ImageJ, pages."""
    for dtype in (np.uint8, np.uint16, np.uint32, np.int16, np.float16, np.float32):
        bits = 8 * np.dtype(dtype).itemsize
        for channels in (1, 2, 3, 5, 6):
            values = samples_of(bits, channels, dtype)
            planes = np.ascontiguousarray(np.moveaxis(values, 2, 0))
            ways: list[tuple[str, np.ndarray, dict[str, object]]] = [
                ("pages", planes, {"photometric": "minisblack"}),
                ("OME", planes, {"photometric": "minisblack", "ome": True, "metadata": {"axes": "CYX"}}),
                ("deflated", planes, {"photometric": "minisblack", "compression": "zlib"}),
                ("tiles", planes, {"photometric": "minisblack", "tile": (16, 32), "bigtiff": True}),
                ("big-endian", planes, {"photometric": "minisblack", "byteorder": ">"}),
            ]
            if dtype is np.float16:  # of which OME knows nothing
                del ways[1]
            if dtype in (np.uint8, np.uint16, np.float32):
                ways.append(("ImageJ", planes, {"imagej": True, "metadata": {"axes": "CYX"}}))
                ways.append(("no directories", planes, {"imagej": True, "metadata": {"axes": "ZYX"}}))
            if channels == 3 and np.dtype(dtype).kind == "u":
                ways += [
                    ("RGB", values, {"photometric": "rgb"}),
                    ("RGB planes", planes, {"photometric": "rgb", "planarconfig": "separate"}),
                ]
            for name, array, options in ways:
                stream = io.BytesIO()
                tifffile.imwrite(stream, array, **options)  # type: ignore[arg-type]
                yield f"{name} {np.dtype(dtype)} {channels}", values, stream.getvalue()


def test_what_tifffile_writes() -> None:
    seen = 0
    for name, values, file in files_of_tifffile():
        require_same(file, values, name)
        seen += 1
    assert seen > 150


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_eight_bits_of_more(bits: int) -> None:
    """The largest value that the bits can say is white."""
    values = np.arange(2**bits, dtype=np.uint16).reshape(1, -1, 1)
    expected = [round(value * 255 / (2**bits - 1)) for value in range(2**bits)]
    assert read_image(tiff_bytes([values], bits=bits, photometric=GREY), channels=1).ravel().tolist() == expected
    assert read_image(tiff_bytes([values], bits=bits, photometric=GREY_WHITE))[0, :, 2].tolist() == expected[::-1]


def test_colours_multiplied_with_alpha_are_divided_again() -> None:
    values = np.array([[[32768, 100, 0, 32768], [7, 8, 9, 0], [1, 2, 3, 65535]]], np.uint16)
    found = read_native(tiff_bytes([values], bits=16, photometric=RGB, extra=(1,)))
    assert found.tolist() == [[[65535, 199, 0, 32768], [7, 8, 9, 0], [1, 2, 3, 65535]]]


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        (tiff_bytes([samples_of(8, 1, np.int8)], bits=8, photometric=GREY), r"signed 8-bit .* from -128 to 127"),
        (tiff_bytes([samples_of(16, 1, np.int16)], bits=16, photometric=GREY), r"signed 16-bit .* -32768 to 32767"),
        (tiff_bytes([samples_of(32, 1, np.int32)], bits=32, photometric=GREY), r"signed 32-bit samples \(.*TIFF\)"),
        (tiff_bytes([samples_of(32, 1)], bits=32, photometric=GREY), r"32-bit samples .* from 0 to 4294967295"),
        (tiff_bytes([samples_of(32, 3, np.float32)], bits=32, photometric=RGB), "32-bit floating-point samples"),
        (tiff_bytes([samples_of(16, 6)], bits=16, photometric=GREY, extra=(0,) * 5), "has 6 channels .* 3 were asked"),
        (tiff_bytes([samples_of(16, 1)] * 2, bits=16, photometric=GREY), r"2 channels \(16-bit TIFF of 2 pages\)"),
        (tiff_bytes([samples_of(8, 1)] * 65, bits=8, photometric=GREY), "has 65 channels or pages, at most 64"),
        (tiff_bytes([samples_of(16, 4)], bits=16, photometric=6), "16-bit samples, 4 x YCbCr, compression none"),
        (tiff_bytes([samples_of(8, 3)], bits=8, photometric=32844), "8-bit samples, 3 x LogL"),
    ],
)
def test_refusals_say_what_the_file_is(file: bytes, reason: str) -> None:
    with pytest.raises(ImageReadError, match=reason):
        read_image(file)


@pytest.mark.parametrize(
    ("number", "name"), [(34887, "LERC"), (33005, "JPEG 2000"), (50002, "JPEG XL"), (12345, "number 12345")]
)
def test_a_compression_that_is_not_read_is_named(number: int, name: str) -> None:
    file = tiff_bytes([samples_of(16, 3)], bits=16, photometric=RGB)
    at = file.index(b"\x03\x01\x03\x00")
    changed = file[: at + 8] + number.to_bytes(2, "little") + file[at + 10 :]
    with pytest.raises(ImageReadError, match=f"16-bit samples, 3 x RGB, compression {name}, which is not read"):
        read_native(changed)


def test_differences_without_a_compression_are_refused() -> None:
    """libtiff does not look at that predictor, tifffile does."""
    for bits in (8, 16):
        file = tiff_bytes([samples_of(bits, 3)], bits=bits, photometric=RGB, layout=TiffLayout(predictor=2))
        with pytest.raises(ImageReadError, match=f"{bits}-bit samples.*with predictor 2, which does not go"):
            read_native(file)


@pytest.mark.parametrize(("photometric", "samples"), [(1, 1), (RGB, 3), (5, 4)])
@pytest.mark.parametrize("compression", ["none", "deflate"])
def test_strips_that_are_not_there(photometric: int, samples: int, compression: str) -> None:
    """Of 8 bits Pillow reads them, which would take a file of a few strips for a whole image of any height."""
    layout = TiffLayout(block=(4, 16), compression=compression)
    image = np.random.default_rng(0).integers(0, 256, (16, 16, samples), np.uint8)
    file = tiff_bytes([image], bits=8, photometric=photometric, layout=layout)
    height = struct.pack("<HHI", 257, 3, 1)
    assert read_native(file).shape[:2] == (16, 16)
    higher = file.replace(height + struct.pack("<HH", 16, 0), height + struct.pack("<HH", 60_000, 0))
    assert higher != file
    with pytest.raises(ImageReadError, match=r"damaged \(4 strips or tiles of 15000\)"):
        read_native(higher)


def test_any_damage_gives_an_image_or_a_reason() -> None:
    draw = np.random.default_rng(0)
    for layout, bits in itertools.product(LAYOUTS, (12, 16)):
        whole = tiff_bytes([samples_of(bits, 3)], bits=bits, photometric=RGB, layout=layout)
        for _ in range(12):
            data = bytearray(whole[: draw.integers(8, len(whole) + 1)])
            for position in draw.integers(max(0, len(data) - 250), len(data), 4):
                data[position] = draw.integers(0, 256)
            try:
                read_native(bytes(data))
            except ImageReadError:
                continue
