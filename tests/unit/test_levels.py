"""What numbers of arrays mean: one picture in every type gives one output, and what may be another one is refused."""

import io
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tandem.data.pixels import to_floats
from tandem.errors import ConfigError, DataError
from tandem.inference.inputs import to_input


def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (6, 7, 3), dtype=np.uint8)


def png(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG")
    return file.getvalue()


def unit() -> np.ndarray:
    return picture().astype(np.float64) / 255


def chw(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(array, -1, 0)))


@pytest.mark.parametrize(
    ("image", "value_range"),
    [
        (png(picture()), None),
        (bytearray(png(picture())), None),
        (memoryview(png(picture())), None),
        (io.BytesIO(png(picture())), None),
        (picture().astype(np.int64), None),
        (picture().astype(np.uint32), None),
        (picture().astype(np.uint16) * 257, None),
        (chw(picture().astype(np.int64)), None),
        (unit() * 2 - 1, None),
        (unit(), (0, 1)),
        (unit().astype(np.float16), (0, 1)),
        (chw(unit().astype(np.float32)), [0, 1]),
        (unit() * 255, (0, 255)),
        (picture().astype(np.uint16), (0, 255)),
        (picture().astype(np.int16) * 16, (0, 4080)),
        (unit() * 4 - 3, (-3, 1)),
        (picture(), (0, 255)),
    ],
)
def test_one_picture_in_every_type(image: Any, value_range: Any) -> None:
    found = to_input(image, channels=3, value_range=value_range)
    assert found.dtype == np.float32
    tolerance = 1e-3 if getattr(image, "dtype", None) == np.float16 else 1e-6
    np.testing.assert_allclose(found, to_floats(picture()), atol=tolerance)


def test_masks_are_black_and_white() -> None:
    mask = np.eye(4, dtype=bool)
    expected = np.where(mask, 1, -1)[None].repeat(3, 0)
    for image, value_range in ((mask, None), (mask.astype(np.uint8), (0, 1)), (mask.astype(np.int64), (0, 1))):
        assert np.array_equal(to_input(image, channels=3, value_range=value_range), expected)
    assert np.array_equal(to_input(torch.from_numpy(mask)[None], channels=3), expected)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (unit(), r"floats from \S+ to \S+ may be in \[0, 1\] or in \[-1, 1\]"),
        (chw(unit().astype(np.float32)), r"may be in \[0, 1\]"),
        (unit() * 0.98 - 0.02, r"may be in \[0, 1\]"),  # what resizing leaves of [0, 1]
        (np.zeros((4, 4)), r"may be in \[0, 1\]"),
        (unit() * 255, "scale the image, give it as uint8"),
        (unit() * 3 - 1.5, "floats are read in"),
        (np.full((4, 4, 3), np.nan), "floats are read in"),
        (np.eye(4, dtype=np.int64), "int64 values from 0 to 1 don't say which is white"),
        (picture().astype(np.int64) * 257, "don't say which is white"),
        (picture().astype(np.int64) - 1, "don't say which is white"),
        (picture().astype(np.uint16), "uint16 goes up to 65535, but the largest value is 2"),
        (picture().astype(np.complex64), "must hold integers or floats, not complex64"),
    ],
)
def test_what_may_be_another_picture_is_refused(image: Any, message: str) -> None:
    with pytest.raises(DataError, match=message) as raised:
        to_input(image, channels=3)
    assert "complex" in message or "value_range=(0, 1)" in str(raised.value)


@pytest.mark.parametrize("value_range", [(1, 0), (0, 0), (0,), 255, (0, np.inf), ("black", "white"), (0, 1, 2)])
def test_a_range_that_is_none(value_range: Any) -> None:
    with pytest.raises(ConfigError, match="value_range must be two numbers"):
        to_input(picture(), channels=3, value_range=value_range)


@pytest.mark.parametrize("image", ["x.png", png(picture()), Image.fromarray(picture())])
def test_a_range_has_no_effect_on_what_says_it_itself(image: Any) -> None:
    with pytest.raises(ConfigError, match="value_range has no effect on a"):
        to_input(image, channels=3, value_range=(0, 255))


@pytest.mark.parametrize(("image", "value_range"), [(unit() + 0.1, (0, 1)), (picture(), (0, 128)), (unit(), (0.5, 1))])
def test_values_outside_their_range(image: Any, value_range: Any) -> None:
    with pytest.raises(DataError, match="the values of the image must be in"):
        to_input(image, channels=3, value_range=value_range)
    almost = np.array([[0.0, 1.0005]])
    assert to_input(almost, channels=1, value_range=(0, 1)).max() == 1
