"""Which values are black and white: both ways, to half a quantum, for every type and channel by channel."""

import itertools
import tracemalloc

import numpy as np
import pytest
from tiff_files import tiff_bytes

from tandem.config.data import DataConfig
from tandem.data.images import ImageReadError, read_stored
from tandem.data.levels import BY_TYPE, Levels, levels_of, levels_of_run
from tandem.data.pixels import from_floats, to_floats
from tandem.errors import ConfigError, DataError

INTEGERS = ["uint8", "uint16", "uint32", "int8", "int16", "int32"]


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_come_back_exactly_from_a_range_of_which_floats_tell_all(dtype: str) -> None:
    info = np.iinfo(dtype)
    low, high = max(info.min, -1000), min(info.max, 3000)
    levels = Levels(dtype, (low,), (high,))  # type: ignore[arg-type]
    values = np.arange(low, high + 1, dtype=np.int64).astype(dtype).reshape(1, -1, 1)
    floats = levels.to_floats(values)
    assert (floats.dtype, floats.min(), floats.max()) == (np.float32, -1, 1)
    again = levels.from_floats(floats)
    assert again.dtype == dtype
    assert np.array_equal(again, values)


@pytest.mark.parametrize("dtype", ["uint16", "int16", "float32"])
def test_any_output_is_within_half_a_quantum(dtype: str) -> None:
    levels = Levels(dtype, (-1000,), (3000,))  # type: ignore[arg-type]
    floats = np.random.default_rng(0).uniform(-1, 1, (2, 3, 9, 7)).astype(np.float32)
    exact = np.moveaxis(-1000 + (floats.astype(np.float64) + 1) / 2 * 4000, 1, -1)
    found = levels.from_floats(floats)
    assert found.shape == (2, 9, 7, 3)
    if dtype == "uint16":  # which has nothing below 0
        exact = exact.clip(0, None)
    assert np.abs(found - exact).max() <= (0.5 if dtype != "float32" else 1e-3)
    assert np.array_equal(levels.from_floats(floats * 3), levels.from_floats(floats.clip(-1 / 3, 1 / 3) * 3))


def test_levels_of_the_type_are_those_of_before() -> None:
    for dtype in ("uint8", "uint16"):
        levels = Levels(dtype)  # type: ignore[arg-type]
        values = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (4, 5, 3), dtype, endpoint=True)
        assert np.array_equal(levels.to_floats(values), to_floats(values))
        assert np.array_equal(levels.from_floats(to_floats(values)), from_floats(to_floats(values), dtype))


def test_each_channel_by_itself_and_what_is_outside() -> None:
    levels = Levels("float32", (0, -1), (10, 1))
    values = np.array([[[0, -1], [5, 0], [20, 1.5]]], np.float32)
    assert levels.to_floats(values).tolist() == [[[-1, 0, 1]], [[-1, 0, 1]]]
    assert levels.outside(values) == pytest.approx(2 / 6)
    assert levels.from_floats(levels.to_floats(values)).tolist() == [[[0, -1], [5, 0], [10, 1]]]
    assert levels.picture(values)[0].tolist() == [[0, 0], [128, 128], [255, 255]]
    with pytest.raises(ConfigError, match="2 channels does not go with images of 3"):
        levels.to_floats(np.zeros((2, 2, 3), np.float32))


def test_files_of_any_type_are_read_by_a_range() -> None:
    levels = levels_of("-1000,3000", "--range-a")
    for dtype, channels in itertools.product((np.int16, np.float32), (1, 3)):
        values = np.full((4, 5, channels), -7, dtype)
        file = tiff_bytes([values], bits=values.itemsize * 8, photometric=1 if channels == 1 else 2)
        assert np.array_equal(levels.values_of(read_stored(file), channels, "x"), values)
        assert levels.values_of(read_stored(file), 3, "x").shape == (4, 5, 3)
        with pytest.raises(ImageReadError, match="--range-a or --range-b LO,HI"):
            BY_TYPE.values_of(read_stored(file), channels, "x")
        with pytest.raises(ImageReadError, match="and 5 were asked for"):
            levels.values_of(read_stored(file), 5, "x")


def test_what_options_say() -> None:
    assert levels_of(None, "--range-a") is BY_TYPE
    assert levels_of("0,255;-1e3,4095.5", "--range-a") == Levels("float64", (0, -1000), (255, 4095.5))
    for wrong in ("3", "5,1", "a,b", "1,2,3", "nan,1", "", "1,inf"):
        with pytest.raises(ConfigError, match=f"--range-b must be two numbers.*not '{wrong}'"):
            levels_of(wrong, "--range-b")
    data = DataConfig(range_a="0,10", direction="BtoA")
    assert [levels.low for levels in levels_of_run(data)] == [(), (0.0,)]
    with pytest.raises(ConfigError, match="--range-a '0,1;0,2' is for 2 channels, but there are 3"):
        levels_of_run(DataConfig(range_a="0,1;0,2"))


def test_levels_from_strangers_are_checked() -> None:
    with pytest.raises(ValueError, match="no type"):
        Levels("object")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no levels of its own"):
        Levels("int16")
    for low, high in (((0,), ()), ((1,), (1,)), ((float("nan"),), (1,)), ((0,), (float("inf"),))):
        with pytest.raises(ValueError, match="finite and the lower one first"):
            Levels("int16", low, high)


@pytest.mark.parametrize("place", [(0, 0, 0), (1, 2, 3)])
def test_values_that_are_not_finite_are_refused_wherever_they_are(place: tuple[int, int, int]) -> None:
    values = np.zeros((2, 4, 5), np.float32)
    values[place] = np.nan
    with pytest.raises(DataError, match="not finite"):
        Levels("uint16", (0.0,), (4095.0,)).from_floats(values)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_every_value_is_scaled_as_written_channel_by_channel(dtype: str) -> None:
    values = np.arange(np.iinfo(dtype).max + 1).astype(dtype).reshape(16, -1)
    image = np.stack([values, values[::-1], values[:, ::-1]], axis=2)
    low, high = np.array([0.0, 7.3, -50]), np.array([200.0, 211.7, 1e5])
    expected = ((image.astype(np.float64) - low) / ((high - low) / 2) - 1).clip(-1, 1).astype(np.float32)
    floats = Levels(dtype, tuple(low), tuple(high)).to_floats(image)  # type: ignore[arg-type]
    np.testing.assert_array_equal(floats, np.moveaxis(expected, 2, 0))


@pytest.mark.parametrize("levels", [Levels("uint16", (0.0,) * 4, (4095.0,) * 4), BY_TYPE], ids=["range", "type"])
def test_large_images_are_converted_block_by_block(levels: Levels) -> None:
    """The same as in one piece of as many rows, with little memory beside the result."""
    values = np.random.default_rng(0).uniform(-1.1, 1.1, (4, 3000, 512)).astype(np.float32)
    tracemalloc.start()
    try:
        converted = levels.from_floats(values)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < converted.nbytes + 40 * 2**20  # in one piece: 200 MB
    pieces = [levels.from_floats(values[:, rows]) for rows in (slice(0, 700), slice(700, 3000))]
    np.testing.assert_array_equal(converted, np.concatenate(pieces))
    np.testing.assert_array_equal(
        levels.to_floats(converted), np.concatenate([levels.to_floats(piece) for piece in pieces], axis=1)
    )
