"""Flicker against a hand-computed value and a second computation; latents over time against their closed form."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tandem.errors import ConfigError
from tandem.inference.video.flicker import FlickerMeter, FlickerReport
from tandem.inference.video.latent_walk import VideoLatents


def measured(sources: list[np.ndarray], outputs: list[np.ndarray]) -> FlickerReport:
    meter = FlickerMeter()
    for source, output in zip(sources, outputs, strict=True):
        meter.add(source, output)
    return meter.report()


def grey(*values: int) -> np.ndarray:
    """A row of pixels with three equal channels."""
    return np.repeat(np.array(values, np.uint8)[None, :, None], 3, axis=2)


def test_by_hand() -> None:
    """Two pixels, three frames. Excess: max(0, 10−0), max(0, 0−20) → 5; then max(0, 30−10), max(0, 4−0) → 12."""
    sources = [grey(50, 0), grey(50, 20), grey(60, 20)]
    outputs = [grey(100, 7), grey(110, 7), grey(80, 3)]
    report = measured(sources, outputs)
    assert report.flicker == pytest.approx((5 + 12) / 2)
    assert report.output_change == pytest.approx((5 + 17) / 2)
    assert report.input_change == pytest.approx((10 + 5) / 2)
    assert report.num_frames == 3
    assert "flicker 8.50 of 255" in report.describe()


def test_channels_are_averaged_before_the_excess() -> None:
    """One pixel: the output changes by 30 in red alone, the input by 10 in all: 10 − 10 is no excess."""
    black = np.zeros((1, 1, 3), np.uint8)
    assert measured([black, black + 10], [black, black + np.array([30, 0, 0], np.uint8)]).flicker == 0


def test_what_stands_still_has_none() -> None:
    still = [np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)] * 4
    assert measured(still, still).flicker == 0
    assert measured(still, still).output_change == 0


def test_the_identity_has_none() -> None:
    moving = [np.random.default_rng(i).integers(0, 256, (5, 7, 3), dtype=np.uint8) for i in range(4)]
    report = measured(moving, moving)
    assert report.flicker == 0
    assert report.output_change == report.input_change > 50


def test_one_frame_has_no_figure() -> None:
    report = measured([grey(1)], [grey(2)])
    assert report.flicker is None
    assert "needs two frames" in report.describe()


@given(st.integers(0, 2**32), st.integers(1, 4), st.integers(1, 4), st.integers(2, 5))
def test_against_the_definition(seed: int, channels_in: int, channels_out: int, count: int) -> None:
    """Also for grey and transparent frames, which count as RGB over white."""
    rng = np.random.default_rng(seed)

    def draw(channels: int) -> list[np.ndarray]:
        return [rng.integers(0, 256, (3, 4, channels), dtype=np.uint8) for _ in range(count)]

    def over_white(frames: list[np.ndarray]) -> np.ndarray:
        stack = np.stack(frames).astype(float)
        if stack.shape[-1] in {2, 4}:
            alpha = stack[..., -1:] / 255
            stack = np.floor(stack[..., :-1] * alpha + 255 * (1 - alpha) + 0.5)
        return np.broadcast_to(stack, (*stack.shape[:-1], 3))

    sources, outputs = draw(channels_in), draw(channels_out)
    x, y = (np.abs(np.diff(over_white(frames), axis=0)).mean(axis=-1) for frames in (sources, outputs))
    report = measured(sources, outputs)
    assert report.flicker == pytest.approx(np.maximum(0, y - x).mean(), abs=0.02)
    assert report.output_change == pytest.approx(y.mean(), abs=0.02)
    assert report.input_change == pytest.approx(x.mean(), abs=0.02)


def test_a_fixed_code_stays() -> None:
    latents = VideoLatents(np.array([[1.0, -2.0]], np.float32))
    assert all(np.array_equal(latents.at(Fraction(t, 7)), [1, -2]) for t in range(50))


def test_a_walk_is_a_closed_loop_on_great_circles() -> None:
    """Three orthogonal latents of length 2, 6 s: at each latent after 2 s, half way at 45 degrees, then anew."""
    z = 2 * np.eye(3, dtype=np.float32)
    latents = VideoLatents(z, Fraction(6))
    for index in range(6):
        assert np.allclose(latents.at(Fraction(2 * index)), z[index % 3], atol=1e-6)
    assert np.allclose(latents.at(Fraction(1)), [2 / 2**0.5, 2 / 2**0.5, 0], atol=1e-6)
    assert np.allclose(latents.at(Fraction(5)), [2 / 2**0.5, 0, 2 / 2**0.5], atol=1e-6)
    third = 2 * np.array([0, np.cos(np.pi / 6), np.sin(np.pi / 6)])
    assert np.allclose(latents.at(Fraction(2) + Fraction(2, 3)), third, atol=1e-6)


def test_a_walk_has_no_jumps() -> None:
    z = np.random.default_rng(3).standard_normal((4, 8)).astype(np.float32)
    latents = VideoLatents(z, Fraction(5))
    path = np.stack([latents.at(Fraction(t, 100)) for t in range(1001)])
    steps = np.linalg.norm(np.diff(path, axis=0), axis=1)
    assert 0 < steps.min() < steps.max() < 0.2
    assert np.allclose(path[:500], path[500:1000], atol=1e-5)


@pytest.mark.parametrize(
    ("z", "period", "says"),
    [
        (np.zeros((2, 3)), None, "2 latents were given for a video"),
        (np.zeros((1, 3)), Fraction(2), "at least two latents"),
        (np.zeros((3, 3)), Fraction(0), "above 0 s"),
        (np.full((1, 3), np.nan), None, "not finite"),
    ],
)
def test_latents_that_do_not_fit(z: np.ndarray, period: Fraction | None, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        VideoLatents(z, period)
