"""BicycleGAN's diversity protocol, best-of-N, the round trips, and the uncertainty of means."""

from collections.abc import Iterator
from itertools import combinations
from typing import cast

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tandem.errors import DataError
from tandem.evaluation.estimates import mean_estimate, pairs_estimate, resample_counts
from tandem.evaluation.metrics.best_of_n import BestOfNResult, best_of_n, sample_distances
from tandem.evaluation.metrics.bijection import image_round_trip, latent_round_trip
from tandem.evaluation.metrics.lpips_diversity import (
    PROTOCOL_INPUTS,
    PROTOCOL_SAMPLES,
    diversity_of,
    protocol_inputs,
    real_pair_diversity,
    sample_diversity,
)
from tandem.evaluation.networks.lpips import LPIPS, LPIPSSpec
from tandem.evaluation.real_pairs import NUM_PAIRS, random_pairs
from tandem.networks.backbones.classifiers import TAP_CHANNELS, Backbone
from tandem.prior.distributions import NORMAL_GUESS_ERROR
from tandem.rng import numpy_generator


@pytest.fixture(scope="module")
def distance() -> LPIPS:
    """LPIPS v0.0 with AlexNet, filled at random."""
    generator = torch.Generator().manual_seed(0)
    backbone = {k: torch.randn(v.shape, generator=generator) * 0.1 for k, v in Backbone("alex").state_dict().items()}
    heads = {
        f"lin{k}.model.1.weight": torch.rand(1, c, 1, 1, generator=generator)
        for k, c in enumerate(TAP_CHANNELS["alex"])
    }
    return LPIPS("alex", "v0.0", backbone=backbone, heads=heads)


def images(count: int, stream: str, position: int = 0) -> Tensor:
    values = numpy_generator(0, stream, position=position).uniform(-1, 1, (count, 3, 32, 32))
    return torch.from_numpy(values.astype(np.float32))


class TestDiversity:
    def test_it_is_the_mean_over_consecutive_pairs_of_each_input(self, distance: LPIPS) -> None:
        samples = [images(5, "samples", index) for index in range(3)]

        def stream() -> Iterator[Tensor]:
            yield from samples

        found = sample_diversity(distance, stream(), batch_size=2)
        expected = [[float(distance(one[[i]], one[[i + 1]])) for i in range(4)] for one in samples]
        np.testing.assert_allclose(found.distances, expected, rtol=1e-5)
        assert found.estimate.value == pytest.approx(np.mean(expected), rel=1e-5)
        per_input = np.mean(expected, axis=1)
        assert found.estimate.standard_error == pytest.approx(per_input.std(ddof=1) / np.sqrt(3), rel=1e-4)
        assert found.estimate.count == 3

    def test_the_protocol_is_named_when_it_is_met_and_what_differs_when_not(self) -> None:
        spec = LPIPSSpec("v0.0", "alex", None, None)
        assert diversity_of(np.ones((100, 19)), spec).deviations == ()
        assert diversity_of(np.ones((50, 9)), LPIPSSpec("v0.1", "vgg", None, None)).deviations == (
            "50 inputs instead of 100",
            "10 samples instead of 20",
            "LPIPS v0.1 with vgg instead of v0.0 with alex",
        )
        assert PROTOCOL_INPUTS * (PROTOCOL_SAMPLES - 1) == NUM_PAIRS == 1900

    def test_inputs_are_drawn_without_repetition(self) -> None:
        chosen = protocol_inputs(500)
        assert len(set(chosen.tolist())) == 100
        assert (np.diff(chosen) > 0).all()
        assert protocol_inputs(30).tolist() == list(range(30))
        assert not np.array_equal(chosen, protocol_inputs(500, seed=1))

    @given(st.integers(2, 60), st.integers(1, 300))
    def test_random_pairs_are_different_pairs_of_different_images(self, count: int, num_pairs: int) -> None:
        pairs = random_pairs(count, num_pairs=num_pairs)
        assert len(pairs) == min(num_pairs, count * (count - 1) // 2)
        assert len({tuple(pair) for pair in pairs.tolist()}) == len(pairs)
        assert (pairs[:, 0] < pairs[:, 1]).all()
        assert pairs.min() >= 0
        assert pairs.max() < count

    def test_large_numbers_of_images_do_not_lose_pairs_to_rounding(self) -> None:
        pairs = random_pairs(3_000_000, num_pairs=2000)
        assert (pairs[:, 0] < pairs[:, 1]).all()
        assert pairs.min() >= 0
        assert pairs.max() < 3_000_000

    def test_real_pairs_are_compared(self, distance: LPIPS) -> None:
        real = images(6, "real")
        pairs = random_pairs(6, num_pairs=9)
        estimate, found = real_pair_diversity(distance, lambda index: real[index], pairs)
        expected = [float(distance(real[[i]], real[[j]])) for i, j in pairs]
        np.testing.assert_allclose(found, expected, rtol=1e-5)
        assert estimate.value == pytest.approx(np.mean(expected), rel=1e-5)

    def test_what_does_not_fit_is_refused(self, distance: LPIPS) -> None:
        with pytest.raises(DataError, match="at least 2 samples of an input, not 1"):
            sample_diversity(distance, [images(1, "x")])
        with pytest.raises(DataError, match=r"the same number of samples.*found \[1, 2\]"):
            sample_diversity(distance, [images(2, "x"), images(3, "x")])
        with pytest.raises(DataError, match=r"found \[\]"):
            sample_diversity(distance, [])


class TestBestOfN:
    def test_the_smallest_distance_counts(self, distance: LPIPS) -> None:
        samples = [images(4, "s", index) for index in range(2)]
        truths = [images(1, "t", index)[0] for index in range(2)]
        found = best_of_n(sample_distances(distance, zip(samples, truths, strict=True), batch_size=3))
        expected = [[float(distance(s[[i]], t[None])) for i in range(4)] for s, t in zip(samples, truths, strict=True)]
        np.testing.assert_allclose(found.distances, expected, rtol=1e-5)
        assert found.best.value == pytest.approx(np.min(expected, axis=1).mean(), rel=1e-5)
        assert found.mean.value == pytest.approx(np.mean(expected), rel=1e-5)

    def test_fewer_samples_are_the_mean_over_all_choices(self) -> None:
        distances = numpy_generator(0, "d").random((3, 6))
        found = BestOfNResult(mean_estimate(distances), mean_estimate(distances), distances)
        for count in (1, 2, 4, 6):
            expected = np.mean([distances[:, list(c)].min(1) for c in combinations(range(6), count)], axis=0)
            np.testing.assert_allclose(found.expected_best(count), expected, rtol=1e-12)
        with pytest.raises(DataError, match="best of 7 cannot be had from 6"):
            found.expected_best(7)


class TestBijection:
    def test_a_perfect_encoder_has_no_error_and_a_blind_one_has_the_known(self) -> None:
        latents = numpy_generator(0, "z").standard_normal((200, 5, 3))
        perfect = latent_round_trip(latents, latents)
        assert perfect.error.value == 0
        np.testing.assert_allclose(perfect.r_squared, 1)
        blind = latent_round_trip(latents, np.zeros(latents.shape))
        assert blind.error.value == pytest.approx(NORMAL_GUESS_ERROR, abs=0.03)
        np.testing.assert_allclose(blind.r_squared, 0, atol=0.02)

    def test_dimensions_are_measured_one_by_one(self) -> None:
        latents = numpy_generator(0, "z").standard_normal((500, 4, 2))
        recovered = latents * np.array([1.0, 0.0]) + 0.1 * numpy_generator(1, "n").standard_normal(latents.shape)
        found = latent_round_trip(latents, recovered)
        np.testing.assert_allclose(found.r_squared, [0.99, -0.01], atol=0.01)
        with pytest.raises(DataError, match=r"latents of the shape \(500, 4, 3\) for \(500, 4, 2\)"):
            latent_round_trip(latents, np.zeros((500, 4, 3)))

    def test_images_come_back(self, distance: LPIPS) -> None:
        real = images(3, "real")
        shifted = (real * 0.9).clone()
        found = image_round_trip(zip(shifted, real, strict=True), distance=distance)
        assert found.l1.value == pytest.approx(float(0.1 * real.abs().mean() / 2), rel=1e-5)
        assert found.lpips is not None
        assert found.lpips.value == pytest.approx(float(distance(shifted, real).mean()), rel=1e-5)
        assert image_round_trip(zip(real, real, strict=True)).l1.value == 0
        with pytest.raises(DataError, match="no images"):
            image_round_trip([])


class TestUncertainty:
    def test_intervals_cover_the_truth_as_often_as_they_say(self) -> None:
        covered = 0
        for index in range(300):
            found = mean_estimate(numpy_generator(index, "cover").exponential(size=60), num_resamples=400)
            covered += cast("float", found.low) <= 1 <= cast("float", found.high)
        assert 0.88 <= covered / 300 <= 0.98

    def test_values_of_one_input_are_not_independent(self) -> None:
        rows = np.repeat(numpy_generator(0, "rows").standard_normal((40, 1)), 19, axis=1)
        clustered, naive = mean_estimate(rows), mean_estimate(rows.ravel())
        assert clustered.standard_error == pytest.approx(rows[:, 0].std(ddof=1) / np.sqrt(40))
        assert cast("float", clustered.standard_error) > 4 * cast("float", naive.standard_error)

    def test_the_error_of_pairs_knows_that_they_share_images(self) -> None:
        """Distances |x_i - x_j| over all pairs: the spread of their mean over new draws is the oracle."""
        pairs = random_pairs(25, num_pairs=1000)

        def measured(index: int) -> np.ndarray:
            x = numpy_generator(index, "pairs").standard_normal(25)
            return np.abs(x[pairs[:, 0]] - x[pairs[:, 1]])

        spread = np.std([measured(index).mean() for index in range(400)])
        errors = [cast("float", pairs_estimate(measured(index), pairs).standard_error) for index in range(50)]
        naive = np.mean([measured(index).std() / np.sqrt(len(pairs)) for index in range(50)])
        assert np.mean(errors) == pytest.approx(spread, rel=0.15)
        assert naive < 0.5 * spread

    def test_independent_pairs_have_the_usual_error(self) -> None:
        values = numpy_generator(0, "independent").standard_normal(30)
        found = pairs_estimate(values, np.arange(60).reshape(30, 2))
        assert found.standard_error == pytest.approx(values.std(ddof=1) / np.sqrt(30))
        assert found.count == 60
        assert found.high == pytest.approx(values.mean() + 1.959964 * cast("float", found.standard_error))

    def test_resamples_draw_as_many_as_there_are(self) -> None:
        counts = resample_counts(7, 50, 0, "x")
        assert (counts.sum(1) == 7).all()
        assert np.array_equal(counts, resample_counts(7, 50, 0, "x"))
        assert not np.array_equal(counts, resample_counts(7, 50, 1, "x"))

    def test_what_has_no_mean_is_refused_and_one_value_has_no_error(self) -> None:
        assert mean_estimate(np.array([3.0])).standard_error is None
        for values in (np.zeros(0), np.array([1.0, np.nan]), np.zeros((1, 1, 1))):
            with pytest.raises(DataError, match="cannot be taken"):
                mean_estimate(values)
        with pytest.raises(DataError, match="P at least 2"):
            pairs_estimate(np.zeros(1), np.array([[0, 1]]))
        with pytest.raises(DataError, match=r"confidence is 0\.5"):
            pairs_estimate(np.zeros(2), np.array([[0, 1], [1, 2]]), confidence=0.5)
