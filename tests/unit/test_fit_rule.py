"""How images of any size meet a model: what training did, whole images, warnings of another scale."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tandem.config.data import DataConfig
from tandem.data.augment import TrainTransform
from tandem.data.check_report import SizeRange
from tandem.data.fit import FitRule
from tandem.errors import ConfigError, DataError
from tandem.inference.translator import load

MakeBundle = Callable[..., Path]
SIDES = st.integers(1, 300)


def rule(**options: Any) -> FitRule:
    return FitRule.of(DataConfig(**options))


def transform(multiple: int = 1, **options: Any) -> TrainTransform:
    data = DataConfig(**options)
    return TrainTransform(
        data.crop_size, False, data.resize_size, data.scaled_width, crop=data.crops, multiple=multiple
    )


def files(height: int, width: int, *, up_to: tuple[int, int] | None = None) -> SizeRange:
    most = up_to or (height, width)
    aspects = (width / height, most[1] / most[0])
    return SizeRange(width, most[1], height, most[0], min(aspects), max(aspects))


@pytest.mark.parametrize(("size", "near"), [(64, "80x90"), ("32x64", "47x70")])
def test_what_training_resized_is_resized_to_the_training_size(size: int | str, near: str) -> None:
    expected = (64, 64) if size == 64 else (32, 64)
    for load_size in (None, size, near):
        found = rule(size=size, load_size=load_size)
        assert found.target(256, 300, "auto") == found.target(256, 300, "resize") == expected
        assert found.target(256, 300, "pad") == (256, 300)


def test_a_load_size_of_one_and_a_half_is_the_scale_of_training() -> None:
    """The published maps: 600 px, of which 256 were cropped."""
    maps = rule(size=256, load_size=600)
    assert maps.target(1200, 1200, "auto") == (600, 600)
    assert maps.target(1200, 1200, "resize") == (256, 256)
    assert rule(size=64, load_size=95).target(200, 200, "auto") == (64, 64)
    assert rule(size=64, load_size=96).target(200, 200, "auto") == (96, 96)
    assert rule(size="64x32", load_size="70x48").target(200, 200, "auto") == (70, 48)


@pytest.mark.parametrize("preprocess", ["crop", "none"])
@given(height=SIDES, width=SIDES)
def test_what_training_took_as_it_is_keeps_its_resolution(preprocess: str, height: int, width: int) -> None:
    found = rule(size=64, preprocess=preprocess)
    assert found.target(height, width, "auto") == found.target(height, width, "pad") == (height, width)
    assert found.target(height, width, "resize") == (64, 64)


@pytest.mark.parametrize("multiple", [1, 4, 32])
@pytest.mark.parametrize("load_size", [None, 200])
@given(height=SIDES, width=SIDES)
def test_a_width_is_that_of_training(multiple: int, load_size: int | None, height: int, width: int) -> None:
    """Without a crop the images are exactly those of training."""
    options = {"size": "32x64", "preprocess": "scale_width", "load_size": load_size}
    expected = transform(multiple, **options).output(height, width)
    for fit in ("auto", "resize"):
        assert rule(**options).target(height, width, fit, multiple=multiple) == expected


@given(height=SIDES, width=SIDES)
def test_a_width_before_a_crop(height: int, width: int) -> None:
    """The width is that of the crop where little is cut off, else that of training; the aspect is kept."""
    near = {"size": "32x64", "preprocess": "scale_width_and_crop"}
    assert rule(**near).target(height, width, "auto") == (max(64 * height // width, 32), 64)
    far = near | {"load_size": 96}
    assert rule(**far).target(height, width, "auto") == transform(**far).resized(height, width)


@given(height=SIDES, width=SIDES, multiple=st.sampled_from([1, 4, 32]))
@pytest.mark.parametrize("fit", ["auto", "pad", "resize"])
def test_the_network_gets_sizes_that_it_takes(fit: Any, height: int, width: int, multiple: int) -> None:
    for options in ({"size": 48}, {"size": 48, "preprocess": "scale_width_and_crop"}, {"preprocess": "crop"}):
        try:
            plan = rule(**options).plan(height, width, fit, multiple=multiple, smallest=2 * multiple)
        except DataError:
            assert max(height, width) / min(height, width) > 100
            continue
        for side, own in zip(plan.padded, plan.target, strict=True):
            assert side % multiple == 0
            assert side == max(2 * multiple, own + -own % multiple)


def test_a_line_that_would_become_huge_is_refused() -> None:
    scaled = rule(size=256, preprocess="scale_width")
    with pytest.raises(DataError, match=r"1×40000 px, and 256×10240000 px"):
        scaled.plan(40_000, 1, "auto")
    with pytest.raises(ConfigError, match="fit must be auto, pad or resize, not 'crop'"):
        scaled.plan(8, 8, "crop")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"size": 8}, lambda image: image.resize((8, 8), Image.Resampling.BICUBIC)),
        ({"size": 8, "preprocess": "crop"}, lambda image: image.crop((16, 6, 24, 14))),
        ({"size": 8, "preprocess": "none"}, lambda image: image.crop((16, 6, 24, 14))),
        (
            {"size": 8, "load_size": "16x32"},
            lambda image: image.resize((32, 16), Image.Resampling.BICUBIC).crop((12, 4, 20, 12)),
        ),
        (
            {"size": 8, "preprocess": "scale_width", "load_size": 20},
            lambda image: image.resize((20, 10), Image.Resampling.BICUBIC).crop((6, 1, 14, 9)),
        ),
    ],
)
def test_fixed_images_have_the_scale_of_sampling(options: dict[str, Any], expected: Callable[..., Any]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 40, 3), dtype=np.uint8)
    found = rule(**options).fixed(image)
    np.testing.assert_array_equal(found, np.asarray(expected(Image.fromarray(image))))


def test_fixed_images_that_are_too_small_are_padded() -> None:
    image = np.arange(6, dtype=np.uint8).reshape(2, 3, 1)
    found = rule(size="4x3", preprocess="none").fixed(image)
    assert found[:, 0, 0].tolist() == [0, 3, 3, 0]


@pytest.mark.parametrize(
    ("options", "trained", "size", "fit", "expected"),
    [
        ({"size": 64}, files(256, 256), (256, 256), "auto", None),
        ({"size": 64}, files(256, 256), (256, 256), "pad", "4 times larger than at training (64x64 px there)"),
        ({"size": 64}, files(64, 64), (96, 64), "pad", "1.5 times larger"),
        ({"size": 64}, files(64, 64), (95, 95), "pad", None),
        ({"size": 64}, files(64, 64), (42, 64), "pad", "1.5 times smaller"),
        ({"size": 64}, files(64, 64), (64, 96), "auto", "1.5 times narrower than the images of training (64x64 px)"),
        ({"size": 64}, files(64, 64, up_to=(64, 96)), (64, 96), "auto", None),
        ({"size": "32x64"}, files(100, 200), (100, 100), "auto", "2 times wider"),
        ({"size": "32x64"}, files(100, 100), (100, 100), "auto", None),
        ({"size": 64, "preprocess": "crop"}, files(256, 256), (256, 256), "auto", None),
        ({"size": 64, "preprocess": "crop"}, files(256, 256), (256, 256), "resize", "4 times smaller"),
        ({"size": 64, "preprocess": "crop"}, files(256, 300), (128, 128), "pad", "2 times smaller than the images of"),
        ({"size": 64, "preprocess": "none"}, files(64, 64), (96, 128), "auto", "1.5 times larger than the images of"),
        ({"size": 64, "preprocess": "crop"}, files(256, 256), (256, 900), "auto", None),
        ({"size": 64, "preprocess": "scale_width"}, files(256, 256), (100, 1000), "auto", None),
        ({"size": 64, "preprocess": "scale_width"}, files(256, 256), (256, 256), "pad", "4 times larger"),
        ({"size": 256, "load_size": 600}, files(600, 600), (600, 600), "resize", "2.3 times smaller"),
    ],
)
def test_another_scale_is_said(
    options: dict[str, Any], trained: SizeRange, size: tuple[int, int], fit: Any, expected: str | None
) -> None:
    found = rule(**options).warning(*size, fit, trained)
    assert found is None if expected is None else expected in (found or "")


def test_what_is_done_is_said_in_one_line() -> None:
    assert rule(size=64).describe("auto") == (
        "inputs are resized to 64x64 px, the training size, and outputs back to the size of the input (--fit auto, as "
        "the model was trained with --preprocess resize_and_crop, --load-size 72x72, --size 64x64)"
    )
    assert rule(size=64).describe("pad") == "inputs keep their resolution (--fit pad)"
    assert "600x600 px, the load size of training" in rule(size=256, load_size=600).describe("auto")
    assert "a width of 64 px" in rule(size=64, preprocess="scale_width").describe("resize")
    cropped = rule(size=64, preprocess="crop")
    assert cropped.describe("auto").startswith("inputs keep their resolution (--fit auto, as the model")
    keys = [rule(size=64).key("auto"), rule(size=64).key("resize"), cropped.key("resize")]
    assert keys == ["resize to 64x64"] * 3
    assert {rule(size=64).key("pad"), cropped.key("auto")} == {"pad"}


def test_every_method_of_a_translator_follows_the_training(make_bundle: MakeBundle, caplog: Any) -> None:
    """Auto is resize where training resized, and pad where it cropped: outputs, videos and encodings."""
    image = np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    resized = {"preprocess": "resize_and_crop", "load_size": (18, 18)}
    models = {"resize": load(make_bundle("resized", **resized)), "pad": load(make_bundle("cropped"))}
    with caplog.at_level(logging.WARNING, logger="tandem"):
        for fit, model in models.items():
            other: Any = "pad" if fit == "resize" else "resize"
            z = model.sample_z(1)
            for call in (
                lambda how, model=model: model(image, 1, output="array", **how),
                lambda how, model=model, z=z: model.translate_frames(image[None], z, **how),
                lambda how, model=model: model.encode(image, **how)[0],
            ):
                assert np.array_equal(call({}), call({"fit": fit}))
                assert not np.array_equal(call({}), call({"fit": other}))
    texts = [record.getMessage() for record in caplog.records]
    assert len(texts) == 2
    assert "with --fit pad an image of 48x48 px reaches the network at 48x48 px, 3 times larger" in texts[0]
    assert "an image of 48x48 px is 3 times larger than the images of training (16x16 px)" in texts[1]
