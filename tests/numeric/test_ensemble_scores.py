"""CRPS, energy score, coverage and spread against scoringrules, SciPy and closed forms."""

import numpy as np
import pytest
import scoringrules
import torch
from scipy import stats

from tandem.errors import DataError
from tandem.evaluation.metrics import (
    crps,
    energy_score,
    interval_coverage,
    interval_of,
    l1,
    spread_and_error,
    spread_skill,
)
from tandem.rng import numpy_generator


def ensemble(members: int, *shape: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Samples and a ground truth of random bytes, with ties."""
    rng = numpy_generator(seed, "ensemble", position=members)
    samples, truth = (rng.integers(0, 256, size, dtype=np.uint8) // 8 * 8 for size in ((members, *shape), shape))
    return torch.from_numpy(samples), torch.from_numpy(truth)


def unit(*images: torch.Tensor) -> list[np.ndarray]:
    return [image.double().numpy() / 255 for image in images]


def pooled(image: np.ndarray, side: int) -> np.ndarray:
    """Means over squares, one after the other."""
    height, width = image.shape[-2] // side, image.shape[-1] // side
    parts = [
        image[..., i * side : (i + 1) * side, j * side : (j + 1) * side].mean((-2, -1))
        for i in range(height)
        for j in range(width)
    ]
    return np.stack(parts, axis=-1)


@pytest.mark.parametrize(("members", "pool"), [(2, 1), (7, 1), (5, 4), (3, 16)])
def test_crps_is_that_of_scoringrules(members: int, pool: int) -> None:
    samples, truth = ensemble(members, 3, 37, 21)
    x, y = (pooled(values, pool) for values in unit(samples, truth))
    fair, plain = (scoringrules.crps_ensemble(y, x, m_axis=0, estimator=kind).mean() for kind in ("fair", "nrg"))
    found = crps(samples, truth, pool=pool)
    assert found == pytest.approx(fair, rel=1e-12)
    assert abs(found - plain) > 0.01 * abs(plain)


@pytest.mark.parametrize("members", [2, 6])
def test_the_energy_score_is_that_of_scoringrules(members: int) -> None:
    samples, truth = ensemble(members, 3, 9, 14)
    x, y = (values.reshape(*values.shape[:-3], -1) for values in unit(samples, truth))
    fair, plain = (
        float(scoringrules.es_ensemble(y, x, m_axis=0, v_axis=1, estimator=kind)) / np.sqrt(y.size)
        for kind in ("fair", "nrg")
    )
    found = energy_score(samples, truth)
    assert found == pytest.approx(fair, rel=1e-12)
    assert abs(found - plain) > 0.01 * abs(plain)


def test_many_blocks_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    samples, truth = ensemble(4, 3, 20, 20)

    def all_of() -> list[float]:
        coverage = interval_coverage(samples, truth, 50)
        return [crps(samples, truth), crps(samples, truth, pool=4), energy_score(samples, truth), coverage]

    whole = all_of()
    monkeypatch.setattr("tandem.evaluation.kinds.ensemble._CELLS", 50)
    assert all_of() == pytest.approx(whole, rel=1e-12)


def test_the_crps_of_many_members_is_that_of_their_distribution() -> None:
    """N(0, s²) and a ground truth at a: s (w (2 Phi(w) - 1) + 2 phi(w) - 1 / sqrt(pi)) with w = a / s."""
    s, truths = 0.1, np.array([-0.2, 0.0, 0.15])
    draws = numpy_generator(0, "gaussian").normal(0, s, (4000, 1, 1, 50))
    w = truths / s
    expected = s * (w * (2 * stats.norm.cdf(w) - 1) + 2 * stats.norm.pdf(w) - 1 / np.sqrt(np.pi))
    for truth, one in zip(truths, expected, strict=True):
        found = crps(torch.from_numpy(2 * draws), torch.full((1, 1, 50), 2 * truth, dtype=torch.float64))
        assert found == pytest.approx(one, rel=0.01)


def test_fair_scores_do_not_depend_on_the_number_of_samples() -> None:
    """Of exchangeable N(0, s²): E CRPS = s / sqrt(pi); the plain one is (M + 1) / M of it."""
    s = 0.1
    for members in (2, 5):
        draws = numpy_generator(1, "members", position=members).normal(0, s, (members + 1, 1, 200, 200))
        samples, truth = torch.from_numpy(2 * draws[1:]), torch.from_numpy(2 * draws[0])
        assert crps(samples, truth) == pytest.approx(s / np.sqrt(np.pi), rel=0.02)
        # All values are independent, so that norms are sharp: |x - y| = |x - x'| = s sqrt(2 d).
        assert energy_score(samples, truth) == pytest.approx(s / np.sqrt(2), rel=0.02)


def test_of_equal_samples_crps_is_l1_and_the_energy_score_the_rmse() -> None:
    samples, truth = ensemble(2, 3, 16, 16)
    same = samples[:1].expand(5, -1, -1, -1)
    assert crps(same, truth) == pytest.approx(float(l1(samples[:1], truth[None])), rel=1e-12)
    x, y = unit(samples[0], truth)
    assert energy_score(same, truth) == pytest.approx(np.sqrt(np.square(x - y).mean()), rel=1e-12)


def test_bytes_and_floats_are_the_same_images() -> None:
    samples, truth = ensemble(4, 3, 16, 16)
    floats = [image.double() / 127.5 - 1 for image in (samples, truth)]
    for score in (crps, energy_score, lambda x, y: spread_and_error(x, y)[0]):
        assert score(*floats) == pytest.approx(score(samples, truth), rel=1e-9)


def test_only_the_energy_score_sees_that_pixels_vary_together() -> None:
    """The same values of each pixel, as images of one brightness or as noise, against images of one brightness."""
    rng = numpy_generator(0, "together")
    levels = rng.integers(0, 256, 41).astype(np.uint8)
    together = torch.from_numpy(np.broadcast_to(levels[1:, None, None, None], (40, 1, 8, 8)).copy())
    apart = torch.from_numpy(np.stack([rng.permutation(levels[1:]) for _ in range(64)], axis=1).reshape(40, 1, 8, 8))
    truth = torch.full((1, 8, 8), int(levels[0]), dtype=torch.uint8)
    assert crps(apart, truth) == pytest.approx(crps(together, truth), rel=1e-12)
    assert energy_score(apart, truth) > 1.1 * energy_score(together, truth)


@pytest.mark.parametrize("members", [2, 3, 9, 10, 19, 20, 99, 100])
def test_the_interval_is_the_nearest_that_there_is(members: int) -> None:
    for level in (50, 80, 90):
        k, right = interval_of(members, level)
        assert right == pytest.approx((members + 1 - 2 * k) / (members + 1))
        all_of = [(members + 1 - 2 * other) / (members + 1) for other in range(1, members // 2 + 1)]
        assert abs(right - level / 100) == pytest.approx(min(abs(one - level / 100) for one in all_of))
    assert {level: interval_of(19, level)[1] for level in (50, 80, 90)} == {50: 0.5, 80: 0.8, 90: 0.9}


@pytest.mark.parametrize("members", [2, 5, 10])
@pytest.mark.parametrize("levels", [256, 3], ids=["few ties", "many ties"])
def test_exchangeable_samples_cover_what_they_should(members: int, levels: int) -> None:
    """Exactly: over all choices of the ground truth among M + 1 images the mean is the closed form."""
    images = torch.from_numpy(numpy_generator(0, "exchangeable").integers(0, levels, (members + 1, 1, 6, 6), np.uint8))
    for level in (50, 90):
        found = [
            interval_coverage(torch.cat([images[:place], images[place + 1 :]]), images[place], level)
            for place in range(members + 1)
        ]
        assert np.mean(found) == pytest.approx(interval_of(members, level)[1], rel=1e-12)
        closed = [  # the ends count as inside: too much where there are ties
            float(((x >= np.sort(o, 0)[k - 1]) & (x <= np.sort(o, 0)[-k])).mean())
            for k in [interval_of(members, level)[0]]
            for place in range(members + 1)
            for x, o in [(images[place].numpy(), np.delete(images.numpy(), place, 0))]
        ]
        assert levels > 3 or np.mean(closed) > np.mean(found) + 0.1


def test_spread_and_error_are_variances() -> None:
    samples, truth = ensemble(6, 3, 12, 10)
    x, y = unit(samples, truth)
    expected = (x.var(axis=0, ddof=1).mean(), np.square(x.mean(axis=0) - y).mean())
    assert spread_and_error(samples, truth) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("members", [2, 10])
def test_the_spread_of_the_right_distribution_is_its_error(members: int) -> None:
    """Without the factor (M + 1) / M the ratio of two samples would be 0.82."""
    draws = numpy_generator(2, "spread", position=members).normal(0, 0.2, (members + 1, 1, 150, 150)).clip(-1, 1)
    images = torch.from_numpy(draws)
    rows = np.array([spread_and_error(images[1:], images[0])])
    assert spread_skill(rows, members) == pytest.approx(1, abs=0.02)
    narrow = np.array([spread_and_error(images[1:] / 2, images[0])])
    expected = np.sqrt((1 + 1 / members) / 4 / (1 + 1 / members / 4))
    assert spread_skill(narrow, members) == pytest.approx(expected, abs=0.02)


def test_what_is_no_ensemble_is_refused() -> None:
    samples, truth = ensemble(3, 3, 8, 8)
    with pytest.raises(DataError, match="at least 2 samples of an input, not 1"):
        crps(samples[:1], truth)
    with pytest.raises(DataError, match=r"the samples are \(3, 8, 8\), but the ground truth is \(3, 8, 7\)"):
        energy_score(samples, truth[..., :7])
    with pytest.raises(DataError, match="means over 16 px need sides of at least 16 px"):
        crps(samples, truth, pool=16)
    with pytest.raises(DataError, match="at least 2 samples"):
        interval_of(1, 50)
    with pytest.raises(DataError, match="no error to compare with"):
        spread_skill(np.array([[0.1, 0.0]]), 2)
