"""Priors: what they draw, their densities against SciPy, and the fit against closed forms and a second computation."""

import dataclasses
import itertools
import math
import time
from typing import Any

import numpy as np
import pytest
from scipy import integrate, stats
from scipy.special import logsumexp

from tandem.prior.distributions import MixturePrior, NormalPrior
from tandem.prior.fitting import FLOOR, choose_components, fit_mixture
from tandem.prior.posteriors import Posteriors
from tandem.rng import numpy_generator


def mixture(components: int = 3, dim: int = 2, *, seed: int = 0) -> MixturePrior:
    generator = np.random.default_rng(seed)
    factors = np.tril(generator.normal(size=(components, dim, dim))) * 0.5
    factors[:, range(dim), range(dim)] = np.abs(factors[:, range(dim), range(dim)]) + 0.1
    weights = generator.random(components) + 0.2
    return MixturePrior(
        (weights / weights.sum()).astype(np.float32),
        (2 * generator.normal(size=(components, dim))).astype(np.float32),
        factors.astype(np.float32),
    )


def scipy_log_density(prior: MixturePrior, z: np.ndarray) -> np.ndarray:
    weights, means, factors = (one.astype(np.float64) for one in (prior.weights, prior.means, prior.factors))
    logs = [
        math.log(weight) + stats.multivariate_normal(mean, factor @ factor.T).logpdf(z)
        for weight, mean, factor in zip(weights, means, factors, strict=True)
    ]
    return logsumexp(np.stack(logs), axis=0)


def test_the_normal_prior_draws_what_models_always_drew() -> None:
    drawn = NormalPrior(8).sample(5, seed=3)
    before = [numpy_generator(3, "sample", position=index).standard_normal(8) for index in range(5)]
    assert drawn.dtype == np.float32
    assert np.array_equal(drawn, np.stack(before).astype(np.float32))
    assert NormalPrior(0).sample(2, seed=0).shape == (2, 0)


@pytest.mark.parametrize("prior", [NormalPrior(3), mixture(4, 3)], ids=["normal", "mixture"])
def test_the_first_samples_do_not_depend_on_their_number(prior: Any) -> None:
    many = prior.sample(40, seed=1)
    assert np.array_equal(many[:7], prior.sample(7, seed=1))
    assert not np.array_equal(many, prior.sample(40, seed=2))
    assert prior.sample(0, seed=0).shape == (0, 3)


def test_samples_of_a_mixture_have_its_weights_means_and_covariances() -> None:
    """Components far apart, so that each sample says which one it is of."""
    prior = dataclasses.replace(mixture(3, 2), means=np.array([[-50, 0], [0, 50], [50, 0]], np.float32))
    z = prior.sample(6000, seed=0).astype(np.float64)
    members = np.square(z[:, None] - prior.means).sum(2).argmin(1)
    for k in range(3):
        own = z[members == k]
        assert len(own) / len(z) == pytest.approx(prior.weights[k], abs=0.02)
        assert own.mean(0) == pytest.approx(prior.means[k], abs=0.1)
        assert np.cov(own.T) == pytest.approx(prior.factors[k] @ prior.factors[k].T, abs=0.15)
        white = np.linalg.solve(prior.factors[k].astype(np.float64), (own - prior.means[k]).T)
        assert stats.kstest(white[1], "norm").pvalue > 0.001


def test_a_mixture_of_one_component_turns_the_normal_draws() -> None:
    prior = mixture(1, 2)
    normal = NormalPrior(2).sample(6, seed=4)
    assert prior.sample(6, seed=4) == pytest.approx(prior.means[0] + normal @ prior.factors[0].T, abs=1e-5)


def test_densities_are_those_of_scipy() -> None:
    z = np.random.default_rng(1).normal(size=(50, 3)) * 3
    assert NormalPrior(3).log_density(z) == pytest.approx(stats.multivariate_normal(np.zeros(3)).logpdf(z))
    prior = mixture(5, 3)
    assert prior.log_density(z) == pytest.approx(scipy_log_density(prior, z), rel=1e-9)
    assert np.isfinite(prior.log_density(z * 1e6)).all()


def test_standardised_coordinates_have_mean_0_and_covariance_1() -> None:
    prior = mixture(4, 3)
    z = prior.sample(5000, seed=0)
    own = prior.standardise(z)
    assert own.mean(0) == pytest.approx(np.zeros(3), abs=0.06)
    assert np.cov(own.T) == pytest.approx(np.eye(3), abs=0.1)
    assert prior.unstandardise(own) == pytest.approx(z, abs=1e-5)
    assert prior.unstandardise(prior.standardise(z[0])) == pytest.approx(z[0], abs=1e-5)


def test_the_error_of_a_guess_is_that_of_samples() -> None:
    assert NormalPrior(4).guess_error == pytest.approx(math.sqrt(2 / math.pi))
    prior = mixture(4, 3)
    z = prior.sample(5000, seed=0)
    assert prior.guess_error == pytest.approx(np.abs(z - prior.moments[0]).mean(), rel=0.04)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": np.array([0.5, 0.6, 0.2], np.float32)}, "the sum 1"),
        ({"weights": np.array([1.0, 1.0, -1.0], np.float32)}, "above 0"),
        ({"weights": np.array([0.5, 0.5], np.float32)}, "do not fit"),
        ({"weights": np.array([0.3, 0.3, 0.4])}, "float32"),
        ({"means": np.full((3, 2), np.nan, np.float32)}, "means holds values that are not finite"),
        ({"means": np.full((3, 2), 1e35, np.float32)}, "above 1e"),
        ({"means": np.zeros((0, 2), np.float32)}, "from 1 to 256 components"),
        ({"means": np.zeros((257, 2), np.float32)}, "from 1 to 256 components"),
        ({"means": np.zeros((1, 4097), np.float32)}, "from 1 to 4096 dimensions"),
        ({"means": np.zeros((2, 4096), np.float32)}, "at most 4194304"),
        ({"means": np.zeros(3, np.float32)}, "of 2 axes"),
        ({"factors": np.zeros((3, 2, 2), np.float32)}, "positive on the diagonal"),
        ({"factors": np.ones((3, 2, 2), np.float32)}, "lower triangular"),
        ({"factors": -np.tril(np.ones((3, 2, 2), np.float32))}, "positive on the diagonal"),
    ],
)
def test_what_is_no_mixture_is_refused(change: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(mixture(3, 2), **change)


def points_of(centres: np.ndarray, *, images: int, spread: float, each: int = 1, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    members = np.arange(images) % len(centres)
    return centres[members][:, None] + spread * generator.normal(size=(images, each, centres.shape[1]))


def test_one_component_has_the_mean_and_covariance_of_the_points() -> None:
    points = points_of(np.array([[1.0, -2.0, 5.0], [4.0, 4.0, 4.0]]), images=60, spread=0.7, each=2)
    prior = fit_mixture(points, 1, seed=0)
    flat = points.reshape(-1, 3)
    assert prior.means[0] == pytest.approx(flat.mean(0), rel=1e-5)
    assert prior.factors[0] @ prior.factors[0].T == pytest.approx(np.cov(flat.T, bias=True), rel=1e-4, abs=1e-4)


def test_clusters_far_apart_are_found() -> None:
    centres = np.array([[0.0, 0.0], [9.0, 1.0], [-2.0, 7.0], [30.0, -30.0]])
    points = points_of(centres, images=400, spread=0.5)
    prior = fit_mixture(points, 4, seed=0)
    assert prior.components == 4
    assert prior.weights == pytest.approx(np.full(4, 0.25), abs=1e-6)
    for k, centre in enumerate(centres):
        own = points[k::4, 0]
        found = int(np.square(prior.means - centre).sum(1).argmin())
        assert prior.means[found] == pytest.approx(own.mean(0), abs=1e-4)
        assert prior.factors[found] @ prior.factors[found].T == pytest.approx(np.cov(own.T, bias=True), abs=1e-3)


def plain_step(
    x: np.ndarray, weights: np.ndarray, means: np.ndarray, covariances: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One step of expectation maximisation, point by point and with the densities of SciPy."""
    logs = np.stack(
        [
            np.log(weight) + stats.multivariate_normal(mean, covariance).logpdf(x)
            for weight, mean, covariance in zip(weights, means, covariances, strict=True)
        ]
    )
    shares = np.exp(logs - logsumexp(logs, axis=0))
    numbers = shares.sum(1)
    new_means = (shares @ x) / numbers[:, None]
    new = [
        sum(share * np.outer(point - mean, point - mean) for share, point in zip(own, x, strict=True)) / number
        for own, mean, number in zip(shares, new_means, numbers, strict=True)
    ]
    return numbers / len(x), new_means, np.stack(new)


def test_the_fit_stays_where_plain_steps_lead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run to its end it is a fixed point of steps that are computed another way, and the likelihood no longer rises."""
    monkeypatch.setattr("tandem.prior.fitting.TOLERANCE", 1e-12)
    monkeypatch.setattr("tandem.prior.fitting.MOST_STEPS", 2000)
    points = points_of(np.array([[0.0, 0.0], [2.5, 1.0], [-1.0, 3.0]]), images=150, spread=0.8)
    prior = fit_mixture(points, 3, seed=0)
    x = points[:, 0]
    weights, means, factors = (one.astype(np.float64) for one in (prior.weights, prior.means, prior.factors))
    start = weights / weights.sum(), means, factors @ np.swapaxes(factors, 1, 2)
    after = plain_step(x, *start)
    for one, other in zip(start, after, strict=True):
        assert other == pytest.approx(one, abs=2e-4)
    assert FLOOR < 1e-5  # so that it does not explain the agreement


def test_the_likelihood_never_falls(monkeypatch: pytest.MonkeyPatch) -> None:
    points = points_of(np.random.default_rng(3).normal(size=(6, 4)), images=300, spread=0.5)
    monkeypatch.setattr("tandem.prior.fitting.TOLERANCE", -1.0)
    monkeypatch.setattr("tandem.prior.fitting.STARTS", 1)
    found = []
    for steps in range(1, 15):
        monkeypatch.setattr("tandem.prior.fitting.MOST_STEPS", steps)
        prior = fit_mixture(points, 5, seed=0)
        assert prior.components == 5
        found.append(prior.log_density(points[:, 0]).mean())
    assert all(later > earlier - 1e-5 for earlier, later in itertools.pairwise(found))
    assert found[-1] > found[0] + 0.01


def test_components_with_too_few_images_are_dropped() -> None:
    """Each component has the latents of at least two images, and more of them than dimensions."""
    points = points_of(np.array([[0.0, 0.0], [50.0, 0.0]]), images=9, spread=0.3)
    points = np.concatenate([points, np.full((1, 1, 2), 500.0)])
    prior = fit_mixture(points, 8, seed=0)
    assert prior.components < 4
    assert (prior.weights * 10 > 2.99).all()


def test_points_in_a_plane_or_in_one_place_have_a_prior() -> None:
    line = np.linspace(-1, 1, 40)[:, None, None] * np.array([1.0, 2.0, 0.0])
    for points in (line, np.full((6, 2, 3), 4.0), np.zeros((1, 1, 3))):
        prior = fit_mixture(points, 2, seed=0)
        z = prior.sample(20, seed=0)
        assert np.isfinite(z).all()
        assert prior.moments[0] == pytest.approx(points.reshape(-1, 3).mean(0), abs=1e-3)


@pytest.mark.parametrize("points", [np.full((3, 1, 2), np.inf), np.zeros((0, 1, 2)), np.zeros((3, 2))])
def test_points_that_say_nothing_are_refused(points: np.ndarray) -> None:
    with pytest.raises(ValueError, match="finite latents"):
        fit_mixture(points, 1, seed=0)


def test_points_that_no_float32_holds_are_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        fit_mixture(np.random.default_rng(0).normal(size=(20, 1, 2)) * 1e60, 1, seed=0)


def test_fits_are_the_same_again() -> None:
    points = points_of(np.random.default_rng(5).normal(size=(4, 3)), images=100, spread=0.4)
    one, two = (fit_mixture(points, 4, seed=7) for _ in range(2))
    assert all(np.array_equal(getattr(one, name), getattr(two, name)) for name in ("weights", "means", "factors"))


def test_the_number_of_components_is_chosen_by_held_out_images() -> None:
    corners = np.array(list(itertools.product((-1.0, 1.0), repeat=3)))
    choice = choose_components(points_of(corners, images=800, spread=0.15, each=2), seed=0)
    assert choice is not None
    assert choice.components == 8
    assert max(choice.held_out, key=lambda number: choice.held_out[number]) == 8
    one = choose_components(np.random.default_rng(0).normal(size=(300, 1, 4)), seed=0)
    assert one is not None
    assert one.components == 1
    assert list(one.held_out) == [1, 2, 4]  # two in a row have done worse
    assert choose_components(np.zeros((4, 3, 2)), seed=0) is None


def test_the_distance_is_the_divergence_where_that_is_known() -> None:
    """KL(N(m, s²) ‖ N(0, 1)) = (m² + s² − 1) / 2 − log s in each dimension; 0 from the prior that was fitted."""
    mean, deviation = np.array([1.0, -0.5, 0.0]), np.array([0.4, 1.5, 1.0])
    points = (mean + deviation * np.random.default_rng(0).normal(size=(3000, 1, 3))).round(6)
    choice = choose_components(points, seed=0)
    assert choice is not None
    expected = ((mean**2 + deviation**2 - 1) / 2 - np.log(deviation)).sum()
    assert choice.distance_from(NormalPrior(3)) == pytest.approx(expected, abs=0.05)
    assert choice.distance_from(fit_mixture(points, 1, seed=0)) < 0.02


def test_the_distance_of_separate_looks_is_that_of_an_integral() -> None:
    """Two looks at ±1: the integral over the density of the mixture on a fine grid."""
    points = points_of(np.array([[-1.0], [1.0]]), images=2000, spread=0.2)
    choice = choose_components(points, seed=0)
    assert choice is not None
    x = np.linspace(-4, 4, 40001)
    q = 0.5 * (stats.norm(-1, 0.2).pdf(x) + stats.norm(1, 0.2).pdf(x))
    expected = integrate.trapezoid(np.where(q > 0, q * (np.log(np.maximum(q, 1e-300)) - stats.norm.logpdf(x)), 0), x)
    assert choice.distance_from(NormalPrior(1)) == pytest.approx(expected, abs=0.06)


def test_latents_are_drawn_from_each_posterior() -> None:
    mu, logvar = np.array([[0.0, 5.0], [2.0, -5.0]]), np.log(np.array([[1.0, 0.01], [4.0, 1.0]]))
    z = Posteriors(mu, logvar).draw(seed=0)
    assert z.shape == (2, 16, 2)
    many = np.concatenate([Posteriors(mu, logvar).draw(seed=seed) for seed in range(200)], axis=1)
    assert many.mean(1) == pytest.approx(mu, abs=0.15)
    assert many.std(1) == pytest.approx(np.exp(0.5 * logvar), rel=0.05)
    assert Posteriors(np.zeros((3000, 1)), np.zeros((3000, 1))).draw(seed=0).shape == (3000, 1, 1)


def test_active_dimensions_are_those_in_which_mu_varies() -> None:
    mu = np.random.default_rng(0).normal(size=(500, 3)) * np.array([1.0, 0.05, 0.2]) + 7
    assert Posteriors(mu, np.zeros((500, 3))).active_dimensions == 2
    assert Posteriors(mu, np.zeros((500, 3))).is_finite
    assert not Posteriors(mu, np.full((500, 3), 1e4)).is_finite


def test_a_fit_of_thousands_of_points_takes_seconds() -> None:
    points = points_of(np.random.default_rng(0).normal(size=(20, 8)), images=2000, spread=0.3, each=2)
    begun = time.perf_counter()
    fit_mixture(points, 16, seed=0)
    assert time.perf_counter() - begun < 5
