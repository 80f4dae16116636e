"""Which latents each mode of sampling uses, and that a picture follows from its latent alone."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tandem.errors import BundleError, ConfigError, DataError
from tandem.inference.latents import interpolate_linear, interpolate_spherical
from tandem.inference.sampling import SamplingOptions, sample_input
from tandem.inference.translator import Translator, load

MakeBundle = Callable[..., Path]


@pytest.fixture
def translator(make_bundle: MakeBundle) -> Translator:
    return load(make_bundle(), device="cpu")


def picture(height: int = 16, width: int = 24, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_random_latents_are_the_translators(translator: Translator) -> None:
    (series,) = sample_input(translator, picture(), None, SamplingOptions(num_samples=3, seed=4))
    assert np.array_equal(series.z, translator.sample_z(3, seed=4))
    assert series.captions == ["sample 1", "sample 2", "sample 3"]
    assert not series.animated
    assert np.array_equal(series.images, translator(picture(), 3, seed=4, output="array"))


def test_given_latents_are_used(translator: Translator) -> None:
    z = np.array([[1.0, 2.0], [0.0, -1.0]], np.float32)
    (series,) = sample_input(translator, picture(), None, SamplingOptions(z=z, num_samples=7))
    assert np.array_equal(series.z, z)
    assert np.array_equal(series.images, translator(picture(), z=z, output="array"))


def test_an_interpolation_goes_from_the_first_to_the_second_sample(translator: Translator) -> None:
    linear, spherical = sample_input(translator, picture(), None, SamplingOptions(mode="interpolate", num_samples=5))
    start, end = translator.sample_z(2, seed=0)
    assert (linear.name, spherical.name) == ("linear", "spherical")
    for series in (linear, spherical):
        assert series.animated
        assert series.captions == ["0 %", "25 %", "50 %", "75 %", "100 %"]
        np.testing.assert_allclose(series.z[[0, -1]], [start, end], atol=1e-6)
    np.testing.assert_allclose(linear.z[2], (start + end) / 2, atol=1e-6)


def test_encoding_begins_with_the_mean(translator: Translator) -> None:
    truth = picture(seed=1)
    (series,) = sample_input(translator, picture(), truth, SamplingOptions(mode="encode", num_samples=400))
    mu, logvar = translator.encode(truth)
    np.testing.assert_array_equal(series.z[0], mu)
    assert series.captions[:2] == ["posterior mean", "posterior 1"]
    scaled = (series.z[1:] - mu) / np.exp(0.5 * logvar)
    assert abs(scaled.mean()) < 0.15  # 798 standard normal draws: 4 standard errors
    assert scaled.std() == pytest.approx(1, abs=0.1)


def test_encoding_needs_a_ground_truth(translator: Translator) -> None:
    with pytest.raises(DataError, match=r"--mode encode .* needs pairs"):
        sample_input(translator, picture(), None, SamplingOptions(mode="encode"))


def test_references_give_their_means(translator: Translator, tmp_path: Path) -> None:
    paths = [tmp_path / "red.png", tmp_path / "blue.png"]
    for seed, path in enumerate(paths):
        Image.fromarray(picture(seed=seed)).save(path)
    options = SamplingOptions(mode="reference", references=paths)
    (series,) = sample_input(translator, picture(), None, options)
    np.testing.assert_array_equal(series.z, np.stack([translator.encode(path)[0] for path in paths]))
    assert series.captions == ["style of red.png", "style of blue.png"]


@pytest.mark.parametrize("mode", ["encode", "reference"])
def test_without_an_encoder(make_bundle: MakeBundle, tmp_path: Path, mode: Any) -> None:
    Image.fromarray(picture()).save(tmp_path / "x.png")
    references = [tmp_path / "x.png"] if mode == "reference" else []
    with pytest.raises(BundleError, match="no encoder"):
        sample_input(
            load(make_bundle(with_encoder=False), device="cpu"),
            picture(),
            picture(),
            SamplingOptions(mode=mode, references=references),
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_samples": 0}, "--num-samples must be at least 1, not 0"),
        ({"mode": "interpolate", "num_samples": 1}, "at least 2: its frames"),
        ({"mode": "reference"}, "need each other"),
        ({"references": [Path("x.png")]}, "need each other"),
        ({"mode": "encode", "z": np.zeros((1, 2))}, "--z gives the latents itself"),
        ({"num_samples": -1, "mode": "reference"}, "(?s)--num-samples.*need each other"),
    ],
)
def test_contradictions_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SamplingOptions(**options)


latents = st.lists(st.floats(-3, 3, width=32), min_size=3, max_size=3).map(lambda v: np.array(v, np.float32))


@given(latents, latents)
def test_both_ways_end_where_they_should(start: np.ndarray, end: np.ndarray) -> None:
    shares = np.linspace(0, 1, 7)
    for way in (interpolate_linear, interpolate_spherical):
        z = way(start, end, shares)
        assert z.dtype == np.float32
        assert np.isfinite(z).all()
        np.testing.assert_allclose(z[[0, -1]], [start, end], atol=1e-4)


@given(st.floats(0.05, 3.0), st.floats(0, 1))
def test_the_spherical_way_keeps_the_length_and_the_speed(angle: float, share: float) -> None:
    """Closed form in the plane: between unit vectors at the angles 0 and ω it is the vector at tω."""
    start, end = np.array([1.0, 0.0]), np.array([math.cos(angle), math.sin(angle)])
    (z,) = interpolate_spherical(start, end, np.array([share]))
    np.testing.assert_allclose(z, [math.cos(share * angle), math.sin(share * angle)], atol=1e-5)


@pytest.mark.parametrize("end", [[2.0, 0.0], [-2.0, 0.0]])
def test_parallel_latents_take_the_straight_line(end: list[float]) -> None:
    start, shares = np.array([1.0, 0.0]), np.linspace(0, 1, 3)
    z = interpolate_spherical(start, np.array(end), shares)
    np.testing.assert_allclose(z, interpolate_linear(start, np.array(end), shares), atol=1e-6)


def test_a_picture_follows_from_its_code_alone(make_bundle: MakeBundle) -> None:
    """Bit for bit where samples run one by one.

    Also of a network that is wide enough for convolutions to take other ways for several images than for one.
    """
    generator = {"latent_dim": 8, "depth": 6, "filters": 24, "upsampling": "bilinear"}
    translator = load(make_bundle(size=(64, 64), generator=generator), device="cpu", max_batch=1)
    (series,) = sample_input(translator, picture(128, 128), None, SamplingOptions(num_samples=10))
    for z, image in zip(series.z, series.images, strict=True):
        assert np.array_equal(translator(picture(128, 128), z=z, output="array")[0], image)
