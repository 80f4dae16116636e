"""The modes of the official code, against Pillow used directly."""

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tandem.config.data import DataConfig
from tandem.config.run import RunConfig, from_flat
from tandem.data.augment import TrainTransform
from tandem.data.check_report import SizeRange
from tandem.errors import ConfigError, DataError
from tandem.training.inputs import make_transform

CONFIG: dict[str, Any] = {"method": "bicyclegan", "size": 32, "flip": False, "generator_depth": 3}


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng([height, width]).integers(0, 256, (height, width, 3), dtype=np.uint8)


def bicubic(image: np.ndarray, height: int, width: int) -> np.ndarray:
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC))


def once(transform: TrainTransform, image: np.ndarray, seed: int = 0) -> np.ndarray:
    return transform([image], np.random.default_rng(seed))[0]


def transform_of(**options: Any) -> TrainTransform:
    return make_transform(from_flat(CONFIG | options))


def is_crop_of(part: np.ndarray, whole: np.ndarray) -> bool:
    windows = np.lib.stride_tricks.sliding_window_view(whole, part.shape[:2], axis=(0, 1))
    return bool((np.moveaxis(windows, 2, -1) == part).all(axis=(2, 3, 4)).any())


@given(height=st.integers(32, 80), width=st.integers(32, 80), seed=st.integers(0, 1000))
def test_crop_keeps_the_native_size(height: int, width: int, seed: int) -> None:
    part = once(transform_of(preprocess="crop"), noise(height, width), seed)
    assert part.shape == (32, 32, 3)
    assert is_crop_of(part, noise(height, width))


@given(height=st.integers(4, 80), width=st.integers(4, 80), seed=st.integers(0, 1000))
def test_scale_width_and_crop(height: int, width: int, seed: int) -> None:
    part = once(transform_of(preprocess="scale_width_and_crop", load_size=48), noise(height, width), seed)
    scaled = bicubic(noise(height, width), max(48 * height // width, 32), 48)  # never lower than the crop
    assert part.shape == (32, 32, 3)
    assert is_crop_of(part, scaled)


def test_scale_width_and_crop_without_load_size_has_the_published_ratio() -> None:
    assert transform_of(preprocess="scale_width_and_crop", size=64).load_width == 72  # 286/256 of 64, rounded


@given(height=st.integers(32, 90), width=st.integers(8, 60))
def test_scale_width_keeps_the_aspect(height: int, width: int) -> None:
    if 40 * height / width < 32:
        return  # refused, see below
    image = once(transform_of(preprocess="scale_width", load_size=40), noise(height, width))
    rows = round(40 * height / width / 8) * 8
    assert np.array_equal(image, bicubic(noise(height, width), rows, 40))
    assert abs(image.shape[0] - 40 * height / width) <= 4


@given(height=st.integers(32, 80), width=st.integers(32, 80))
def test_none_takes_the_nearest_multiple(height: int, width: int) -> None:
    image = once(transform_of(preprocess="none"), noise(height, width))
    sides = [round(side / 8) * 8 for side in (height, width)]
    assert np.array_equal(image, bicubic(noise(height, width), *sides))
    if height % 8 == width % 8 == 0:
        assert np.array_equal(image, noise(height, width))


def test_multiples_are_those_of_the_generator() -> None:
    for depth in (2, 5):
        assert transform_of(preprocess="none", generator_depth=depth).multiple == 2**depth
    assert transform_of(preprocess="none", generator_depth=None, size=96).multiple == 32  # as many levels as it allows
    assert transform_of(preprocess="scale_width", size=48, generator_depth=4).load_width == 48  # nothing is cut away


def test_flips_happen_without_a_crop() -> None:
    image = noise(32, 40)
    seen = {once(transform_of(preprocess="none", flip=True), image, seed).tobytes() for seed in range(20)}
    assert seen == {image.tobytes(), image[:, ::-1].tobytes()}


def test_wide_images_are_stretched_to_the_training_height() -> None:
    """As in the official code: max(width / aspect, crop height); tall ones keep their aspect."""
    transform = TrainTransform(size=(32, 32), flip=False, load_width=32, crop=False, multiple=8)
    assert transform.resized(10, 20) == (32, 32)
    assert transform.resized(60, 30) == (64, 32)
    assert not transform.gives_one_size(SizeRange(10, 20, 30, 30, 0.5, 2.0))
    assert transform.gives_one_size(SizeRange(10, 20, 30, 30, 1.0, 2.0))


@pytest.mark.parametrize(
    ("mode", "size", "message"),
    [
        ("crop", (31, 90), "31 x 90 (height x width) is smaller than the crop 32 x 32: lower --size, or choose"),
        ("none", (90, 22), "comes out as 88 x 24, smaller than the 32 x 32 that the networks are laid out for"),
    ],
)
def test_images_that_are_too_small(mode: str, size: tuple[int, int], message: str) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        once(transform_of(preprocess=mode), noise(*size))


@given(sizes=st.lists(st.tuples(st.integers(32, 60), st.integers(32, 60)), min_size=1, max_size=6))
@pytest.mark.parametrize("mode", ["none", "scale_width", "crop", "resize_and_crop", "scale_width_and_crop"])
def test_one_size_is_recognised_from_the_ranges(mode: str, sizes: list[tuple[int, int]]) -> None:
    transform = transform_of(preprocess=mode, generator_depth=4)
    heights, widths = zip(*sizes, strict=True)
    aspects = [width / height for height, width in sizes]
    ranges = SizeRange(min(widths), max(widths), min(heights), max(heights), min(aspects), max(aspects))
    outputs = {transform.output(*size) for size in sizes}
    if mode == "none" and len(outputs) == 1:
        assert transform.gives_one_size(ranges)
    elif mode != "none":
        assert transform.gives_one_size(ranges) == (len(outputs) == 1)
    if transform.gives_one_size(ranges):
        assert len(outputs) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preprocess": "crop", "load_size": 40}, "--load-size 40 has no effect with --preprocess crop"),
        ({"preprocess": "none", "load_size": 40}, "--load-size 40 has no effect with --preprocess none"),
        ({"preprocess": "scale_width", "load_size": "40x50"}, "it is a width alone, e.g. 50"),
        ({"preprocess": "scale_width_and_crop", "load_size": 30}, "less than the width of --size 32, which is cropped"),
        ({"preprocess": "scale_width", "load_size": 30}, "which the networks are laid out for"),
        ({"preprocess": "resize_and_crop", "load_size": 30}, "smaller than --size 32"),
        ({"preprocess": "squeeze"}, "--preprocess must be one of resize_and_crop, crop, scale_width"),
    ],
)
def test_settings_that_do_not_fit(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        from_flat(CONFIG | options)


def test_the_default_is_as_published() -> None:
    transform = make_transform(RunConfig())
    assert (transform.load_size, transform.size, transform.crop, transform.flip) == ((286, 286), (256, 256), True, True)
    assert DataConfig().preprocess == "resize_and_crop"
