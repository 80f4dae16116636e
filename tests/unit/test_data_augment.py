"""The two images of a pair must never drift apart."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tandem.data.augment import TrainTransform
from tandem.errors import ConfigError, DataError


def noise(height: int, width: int, channels: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    channels=st.integers(1, 4),
    flip=st.booleans(),
    load=st.sampled_from([None, (24, 30), (20, 20)]),
)
def test_a_copy_stays_a_copy(seed: int, channels: int, flip: bool, load: tuple[int, int] | None) -> None:
    transform = TrainTransform((16, 20), flip, load_size=load)
    image = noise(22, 26, 4)
    a, b = transform([image[:, :, :channels], image], np.random.default_rng(seed))
    assert a.shape == (16, 20, channels)
    assert b.shape == (16, 20, 4)
    np.testing.assert_array_equal(a, b[:, :, :channels])


def test_every_crop_and_flip_occurs_and_nothing_else() -> None:
    image = np.arange(30, dtype=np.uint8).reshape(5, 6, 1)
    transform = TrainTransform((3, 5), flip=True)
    crops = [image[top : top + 3, left : left + 5] for top in range(3) for left in range(2)]
    expected = {array.tobytes() for crop in crops for array in (crop, crop[:, ::-1])}
    seen = {transform([image], np.random.default_rng(seed))[0].tobytes() for seed in range(300)}
    assert seen == expected
    still = TrainTransform((3, 5), flip=False)
    seen = {still([image], np.random.default_rng(seed))[0].tobytes() for seed in range(300)}
    assert seen == {crop.tobytes() for crop in crops}


def test_load_size_is_bicubic_and_crop_of_all_is_the_whole() -> None:
    a, b = noise(16, 12, 3), noise(16, 12, 3, seed=1)
    result = TrainTransform((20, 22), flip=False, load_size=(20, 22))([a, b], np.random.default_rng(0))
    for given_image, got in zip((a, b), result, strict=True):
        expected = Image.fromarray(given_image).resize((22, 20), Image.Resampling.BICUBIC)
        np.testing.assert_array_equal(got, np.asarray(expected))


def test_sixteen_bits_and_many_channels_pass() -> None:
    image = np.random.default_rng(0).integers(0, 65536, (12, 12, 7)).astype(np.uint16)
    a, b = TrainTransform((10, 10), flip=True, load_size=(14, 14))([image, image], np.random.default_rng(3))
    assert (a.shape, a.dtype) == ((10, 10, 7), np.uint16)
    np.testing.assert_array_equal(a, b)


def test_too_small_images_name_sizes_and_options() -> None:
    transform = TrainTransform((16, 20), flip=False)
    transform.check_fits(16, 20)
    for size in ((15, 20), (16, 19)):
        with pytest.raises(
            DataError, match=rf"{size[0]} x {size[1]} .*crop 16 x 20.*lower --size, or choose a --preprocess"
        ):
            transform([noise(*size, 3)] * 2, np.random.default_rng(0))
    TrainTransform((16, 20), flip=False, load_size=(20, 20)).check_fits(1, 1)


def test_contradicting_sizes() -> None:
    with pytest.raises(ConfigError, match=r"crop size 16 x 20 .*larger than the load size 30 x 19"):
        TrainTransform((16, 20), flip=False, load_size=(30, 19))
    with pytest.raises(ConfigError, match="at least 1 x 1"):
        TrainTransform((0, 4), flip=False)
