"""Rank histograms against ranks that are counted one by one, and what the test of flatness finds and does not find."""

import numpy as np
import pytest
import torch
from scipy import stats

from tandem.errors import DataError
from tandem.evaluation.metrics import flatness, rank_histograms
from tandem.rng import numpy_generator

MEMBERS = 6


def images(members: int, seed: int, *, side: int = 8, levels: int = 256) -> torch.Tensor:
    """A ground truth and samples of the same kind: each of one brightness, with noise."""
    rng = numpy_generator(seed, "ranks", position=members)
    brightness = rng.normal(0.5, 0.15, (members + 1, 1, 1, 1))
    values = (brightness + rng.normal(0, 0.05, (members + 1, 3, side, side))).clip(0, 1)
    return torch.from_numpy(np.rint(values * (levels - 1)).astype(np.uint8))


def histograms(num_inputs: int, *, width: float = 1.0, shift: float = 0.0, seed: int = 0) -> np.ndarray:
    """Of inputs whose samples vary `width` times as much as the ground truth and are `shift` brighter."""
    rows = []
    for index in range(num_inputs):
        drawn = images(MEMBERS, seed * 1000 + index).double() / 127.5 - 1
        samples = (width * drawn[1:] + 2 * shift).clamp(-1, 1)
        rows.append(rank_histograms(samples, drawn[0]))
    return np.stack(rows)


@pytest.mark.parametrize("levels", [256, 4], ids=["few ties", "many ties"])
def test_ranks_are_those_that_random_ties_give_on_average(levels: int) -> None:
    drawn = images(4, 1, levels=levels)
    values = drawn.numpy().astype(np.float64).reshape(5, 3, 2, 4, 2, 4).mean((3, 5)).reshape(5, -1)
    rng = numpy_generator(0, "ties")
    found = rank_histograms(drawn[1:], drawn[0])
    for place in range(5):
        others = np.delete(values, place, 0)
        counts = np.zeros(5)
        for _ in range(3000):
            below = (others < values[place]).sum(0)
            equal = (others == values[place]).sum(0)
            np.add.at(counts, below + rng.integers(0, equal + 1), 1)
        np.testing.assert_allclose(found[place], counts / counts.sum(), atol=0.01)


def test_equal_images_have_every_rank_alike() -> None:
    """Middle ranks would be a peak, and counting what is below alone would put all into rank 0."""
    white = torch.full((6, 3, 8, 8), 255, dtype=torch.uint8)
    np.testing.assert_allclose(rank_histograms(white[1:], white[0])[0], 1 / 6, rtol=1e-12)


def test_every_row_is_a_histogram_and_their_mean_is_flat() -> None:
    drawn = images(5, 2, levels=8)
    found = rank_histograms(drawn[1:], drawn[0], pool=1)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(found.mean(axis=0), 1 / 6, rtol=1e-12)


def test_bias_and_dispersion_are_moments_of_the_ranks() -> None:
    rows = histograms(3)
    tested = flatness(rows)
    ranks, flat = np.arange(MEMBERS + 1), stats.randint(0, MEMBERS + 1)
    for row, bias, dispersion in zip(rows[:, 0], tested.biases, tested.dispersions, strict=True):
        assert bias == pytest.approx(row @ ranks / flat.mean() - 1, abs=1e-12)
        assert dispersion == pytest.approx(row @ np.square(ranks - flat.mean()) / flat.var(), rel=1e-12)


@pytest.mark.parametrize(
    ("changes", "shape"),
    [
        ({}, "flat"),
        ({"width": 0.4}, "too narrow (U)"),
        ({"width": 2.5}, "too wide (dome)"),
        ({"shift": 0.12}, "biased high"),
        ({"shift": -0.12}, "biased low"),
        ({"width": 0.3, "shift": -0.09}, "biased low, too narrow (U)"),
    ],
)
def test_the_shape_in_words(changes: dict[str, float], shape: str) -> None:
    tested = flatness(histograms(60, **changes))
    assert tested.shape == shape
    assert (tested.p_value < 0.05) == (shape != "flat")
    assert tested.histogram.sum() == pytest.approx(1)


def test_pixels_of_an_image_are_not_independent_and_no_false_alarm_comes_of_it() -> None:
    """Exchangeable samples: about one in twenty may be called uneven; a chi-square over pixels calls all so."""
    p_values, over_pixels = [], []
    for seed in range(40):
        rows = histograms(15, seed=100 + seed)
        p_values.append(flatness(rows, seed=seed).p_value)
        counts = rows[:, 0].sum(axis=0) * 3 * 2 * 2
        over_pixels.append(stats.chisquare(counts, np.full(len(counts), counts.mean())).pvalue)
    assert np.mean(np.array(p_values) < 0.05) <= 0.125
    assert np.mean(np.array(over_pixels) < 0.05) > 0.8


def test_one_input_is_too_few_to_call_anything_uneven() -> None:
    assert flatness(histograms(1, width=0.1)).shape == "flat"


def test_what_is_neither_slope_nor_bend_is_uneven() -> None:
    """Mean and variance of the rank are those of equally frequent ranks: 3 and 4."""
    row = np.array([0.2, 0.0, 0.2, 0.2, 0.2, 0.0, 0.2])
    one = np.vstack([row, np.tile((1 - row) / MEMBERS, (MEMBERS, 1))])
    tested = flatness(np.repeat(one[None], 40, axis=0))
    assert (tested.shape, tested.p_value) == ("uneven", pytest.approx(3 / 2000))
    assert (tested.biases.mean(), tested.dispersions.mean()) == (pytest.approx(0, abs=1e-12), pytest.approx(1))


def test_other_shapes_are_refused() -> None:
    with pytest.raises(DataError, match=r"expected \(N, M \+ 1, M \+ 1\)"):
        flatness(np.zeros((3, 4, 5)))
