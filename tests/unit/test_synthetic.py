"""The demo dataset: what is drawn, what is measured, what is written."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tandem.data.synthetic import (
    KINDS,
    MODES,
    classify_mode,
    coverage,
    draw_mask,
    draw_pair,
    expected_coverage,
    kind_of,
    mode_of,
    mode_weights,
)
from tandem.data.synthetic.color import from_lab, to_lab
from tandem.data.synthetic.modes import body_color
from tandem.errors import ConfigError, DataError

SMALL: dict[str, Any] = {"size": 24, "seed": 3, "num_train": 6, "num_val": 2, "num_test": 1}


# --- drawing -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [16, 33, 64])
def test_same_arguments_same_bytes(size):
    first, second = draw_pair(5, size=size, seed=1), draw_pair(5, size=size, seed=1)
    assert first.a.tobytes() == second.a.tobytes()
    assert first.b.tobytes() == second.b.tobytes()
    assert (first.mode, first.kind) == (second.mode, second.kind)
    assert first.a.shape == first.b.shape == (size, size, 3)
    assert first.a.dtype == first.b.dtype == np.uint8
    assert first.mask.shape == (size, size)
    assert draw_pair(5, size=size, seed=2).a.tobytes() != first.a.tobytes()
    assert draw_pair(6, size=size, seed=1).a.tobytes() != first.a.tobytes()


def test_mode_changes_the_rendering_only():
    pairs = [draw_pair(11, size=48, mode=mode) for mode in range(len(MODES))]
    assert {pair.a.tobytes() for pair in pairs} == {pairs[0].a.tobytes()}
    assert {pair.mask.tobytes() for pair in pairs} == {pairs[0].mask.tobytes()}
    assert {pair.kind for pair in pairs} == {kind_of(11)}
    assert len({pair.b.tobytes() for pair in pairs}) == len(MODES)
    assert draw_pair(11, size=48).b.tobytes() == pairs[mode_of(11)].b.tobytes()


def test_mask_alone_is_the_mask_of_the_pair():
    for index in range(6):
        assert np.array_equal(draw_mask(index, size=40, seed=9), draw_pair(index, size=40, seed=9).mask)


def test_object_is_the_same_at_every_size():
    for index in range(12):
        small, large = draw_pair(index, size=64).b, draw_pair(index, size=256).b
        shrunk = np.asarray(Image.fromarray(large).reduce(4), dtype=float)
        other = np.asarray(draw_pair(index + 100, size=64, mode=mode_of(index)).b, dtype=float)
        assert np.abs(shrunk - small).mean() < 4
        assert np.abs(shrunk - small).mean() < 0.4 * np.abs(other - small).mean()


def test_drawing_is_dark_lines_on_white_within_the_frame():
    for index in range(40):
        pair = draw_pair(index, size=64)
        border = np.concatenate([pair.a[0], pair.a[-1], pair.a[:, 0], pair.a[:, -1]])
        assert (border == 255).all()
        assert (pair.a[..., 0] == pair.a[..., 1]).all()
        assert pair.a.min() < 60
        assert 0.5 < (pair.a == 255).mean() < 0.95
        assert pair.mask.min() >= 0
        assert 0.02 < (pair.mask > 0.5).mean() < 0.6


def test_every_kind_is_drawn_and_equally_often():
    counts = Counter(kind_of(index, seed=4) for index in range(3000))
    assert set(counts) == set(KINDS)
    chi_square = sum((count - 500) ** 2 / 500 for count in counts.values())
    assert chi_square < 20.5  # 99.9 % quantile, 5 degrees of freedom


def test_modes_have_their_weights_independently_of_the_object():
    number = 6000
    modes = np.array([mode_of(index, seed=2) for index in range(number)])
    expected = mode_weights() * number
    chi_square = ((np.bincount(modes, minlength=len(MODES)) - expected) ** 2 / expected).sum()
    assert chi_square < 24.3  # 99.9 % quantile, 7 degrees of freedom
    kinds = np.array([KINDS.index(kind_of(index, seed=2)) for index in range(number)])
    table = np.zeros((len(KINDS), len(MODES)))
    np.add.at(table, (kinds, modes), 1)
    independent = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / number
    assert ((table - independent) ** 2 / independent).sum() < 66.6  # 99.9 %, 35 degrees of freedom


@pytest.mark.parametrize("arguments", [{"size": 15}, {"size": 4096}, {"mode": 8}, {"mode": -1}, {"index": -1}])
def test_arguments_out_of_range(arguments):
    with pytest.raises(ConfigError, match=f"{next(iter(arguments))} is .* expected"):
        draw_pair(**{"index": 0, **arguments})


# --- colours and modes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rgb", "lab"),
    [
        ((255, 255, 255), (100.0, 0.0, 0.0)),
        ((0, 0, 0), (0.0, 0.0, 0.0)),
        ((255, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 255, 0), (87.73, -86.18, 83.18)),
        ((0, 0, 255), (32.30, 79.19, -107.86)),
        ((119, 119, 119), (116 * (((119 / 255 + 0.055) / 1.055) ** 2.4) ** (1 / 3) - 16, 0.0, 0.0)),
        ((2, 2, 2), (24389 / 27 * 2 / 255 / 12.92, 0.0, 0.0)),
    ],
)
def test_lab_of_known_colours(rgb, lab):
    assert to_lab(np.array(rgb, dtype=np.uint8)) == pytest.approx(lab, abs=0.02)


def test_lab_and_back():
    colors = np.random.default_rng(0).random((200, 3))
    assert from_lab(to_lab(colors)) == pytest.approx(colors, abs=1e-9)


def test_mode_definitions():
    weights = mode_weights()
    assert weights.sum() == pytest.approx(1, abs=1e-12)
    assert weights.min() >= 0.06
    assert len({mode.name for mode in MODES}) == len(MODES) == 8
    lab = to_lab(np.array([(*mode.rgb,) for mode in MODES]) / 255)
    distance = np.linalg.norm(lab[:, None] - lab, axis=-1) + 1000 * np.eye(len(MODES))
    assert distance.min() > 37
    for shared in ((255, 255, 255), (238, 232, 220), (58, 44, 38)):
        assert np.linalg.norm(lab - to_lab(np.array(shared) / 255), axis=1).min() > 36


def test_renderings_are_told_apart():
    for index in range(120):
        pair = draw_pair(index, size=64, seed=21)
        assert classify_mode(pair.b, pair.mask) == pair.mode
        assert classify_mode(pair.a, pair.mask) == -1


@pytest.mark.parametrize("size", [16, 32, 100])
def test_renderings_are_told_apart_at_other_sizes(size):
    for index in range(12):
        pair = draw_pair(index, size=size, mode=index % len(MODES))
        assert classify_mode(pair.b, pair.mask) == pair.mode


def test_a_mode_is_a_distribution_around_its_colour():
    """The jitter's standard deviation is about 2 in L*, a* and b*, and independent of the object."""
    mode = 2
    measured = [draw_pair(index, size=48, mode=mode) for index in range(40)]
    colors = np.stack([body_color(pair.b, pair.mask) for pair in measured])
    spread = colors.std(axis=0)
    assert ((spread > 1) & (spread < 4)).all()
    assert colors.mean(axis=0) == pytest.approx(to_lab(np.array(MODES[mode].rgb) / 255), abs=2.5)


def test_average_of_all_modes_is_no_mode():
    for index in range(12):
        pairs = [draw_pair(index, size=64, mode=mode) for mode in range(len(MODES))]
        renderings = np.stack([pair.b for pair in pairs]).astype(float)
        for weights in (mode_weights(), np.full(len(MODES), 1 / len(MODES))):
            average = np.round(np.tensordot(weights, renderings, axes=1)).astype(np.uint8)
            assert classify_mode(average, pairs[0].mask) == -1


def test_classifier_refuses_what_it_cannot_measure():
    pair = draw_pair(0, size=32)
    with pytest.raises(DataError, match="uint8 image"):
        classify_mode(pair.b.astype(float), pair.mask)
    with pytest.raises(DataError, match=r"\(16, 16\)"):
        classify_mode(pair.b, pair.mask[::2, ::2])
    with pytest.raises(DataError, match="zero everywhere"):
        classify_mode(pair.b, np.zeros_like(pair.mask))


# --- coverage ----------------------------------------------------------------------------------------------


def test_coverage_of_a_hand_made_example():
    measured = coverage(np.array([[0, 0, 1, -1], [2, 2, 2, 2]]), weights=[0.5, 0.25, 0.25])
    assert measured.covered == 1.5  # {0, 1} and {2}
    assert measured.expected == pytest.approx(1 - 0.5**4 + 2 * (1 - 0.75**4))
    assert (measured.num_modes, measured.num_samples) == (3, 4)
    assert measured.frequencies == (0.25, 0.125, 0.5)
    assert measured.unassigned == 0.125
    assert measured.frequency_distance == pytest.approx((0.125 + 0.25 + 0.125 + 0.25) / 2)
    assert measured.describe().startswith("1.5 of 3 modes among 4 samples (an ideal sampler: 2.3), frequencies")
    assert "off by 0.38" in measured.describe()
    assert "12% of the samples show no mode" in measured.describe()


def test_coverage_at_its_ends():
    collapsed = coverage(np.full((5, 16), 3))
    assert collapsed.covered == 1
    assert collapsed.frequency_distance == pytest.approx(1 - MODES[3].weight)
    averaged = coverage(np.full((5, 16), -1))
    assert (averaged.covered, averaged.unassigned) == (0, 1)
    assert averaged.frequency_distance == pytest.approx(1)
    exact = coverage(np.array([[0, 0, 1, 2]]), weights=[0.5, 0.25, 0.25])
    assert exact.frequency_distance == pytest.approx(0)


def test_expected_values_agree_with_simulation_and_closed_form():
    rng = np.random.default_rng(0)
    draws = rng.choice(len(MODES), p=mode_weights(), size=(6000, 16))
    measured = coverage(draws)
    assert measured.covered == pytest.approx(measured.expected, abs=0.05)
    assert expected_coverage(mode_weights(), 1) == pytest.approx(1)
    # Two draws from a fair coin: distance 1/2 with probability 1/2, else 0; three draws: 1/2 or 1/6 (1 : 3).
    assert coverage(np.array([[0, 1]]), weights=[0.5, 0.5]).expected_frequency_distance == pytest.approx(0.25, abs=0.02)
    three = coverage(np.array([[0, 1, 1]]), weights=[0.5, 0.5]).expected_frequency_distance
    assert three == pytest.approx(0.25 * 0.5 + 0.75 / 6, abs=0.02)


@pytest.mark.parametrize(
    "predicted",
    [np.zeros((2, 2)), np.zeros(3, int), np.zeros((0, 4), int), np.array([[8]]), np.array([[-2]])],
)
def test_coverage_refuses_other_input(predicted):
    with pytest.raises(ConfigError, match="predicted_modes"):
        coverage(predicted)
