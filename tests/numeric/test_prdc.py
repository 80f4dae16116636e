"""Precision, recall, density and coverage against their definition, written plainly."""

import numpy as np
import pytest

from tandem.errors import ConfigError
from tandem.evaluation.metrics.prdc import prdc
from tandem.rng import numpy_generator


def draws(count: int, num_features: int, *, stream: str = "x", shift: float = 0.0) -> np.ndarray:
    return numpy_generator(0, stream).standard_normal((count, num_features)) + shift


def plain_prdc(real: np.ndarray, fake: np.ndarray, k: int) -> tuple[float, float, float, float]:
    def distance(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.sqrt(((a - b) ** 2).sum()))

    def radius(points: np.ndarray, i: int) -> float:
        return sorted(distance(points[i], other) for j, other in enumerate(points) if j != i)[k - 1]

    real_radii = [radius(real, i) for i in range(len(real))]
    fake_radii = [radius(fake, j) for j in range(len(fake))]
    inside = np.array([[distance(x, y) < r for y in fake] for x, r in zip(real, real_radii, strict=True)])
    reached = np.array([[distance(x, y) < r for y, r in zip(fake, fake_radii, strict=True)] for x in real])
    return inside.any(0).mean(), reached.any(1).mean(), inside.sum(0).mean() / k, inside.any(1).mean()


class TestPRDC:
    @pytest.mark.parametrize("k", [1, 3, 5])
    def test_it_counts_balls(self, k: int) -> None:
        real, fake = draws(31, 4, stream="r") + 50, draws(24, 4, stream="f", shift=0.6) + 50
        found = prdc(real, fake, k=k)
        expected = plain_prdc(real, fake, k)
        assert (found.precision, found.recall, found.density, found.coverage) == pytest.approx(expected, abs=1e-12)

    def test_k_needs_neighbours(self) -> None:
        with pytest.raises(ConfigError, match=r"k is 5, .* give 1 to 3"):
            prdc(draws(4, 2), draws(9, 2))


def test_a_bootstrap_of_precision_and_coverage_would_mislead() -> None:
    """Why the balls stay the same in their intervals: repeated images shrink them, and the estimate lies outside."""
    generator = np.random.default_rng(0)
    real, fake = generator.normal(size=(2, 200, 16))
    found = prdc(real, fake, k=5)
    resampled = [
        prdc(real[generator.integers(0, 200, 200)], fake[generator.integers(0, 200, 200)], k=5) for _ in range(20)
    ]
    for name in ("precision", "recall", "coverage"):
        assert getattr(found, name) > max(getattr(one, name) for one in resampled)


def test_each_number_of_coverage_is_the_mean_of_what_the_images_add() -> None:
    real, fake = draws(30, 4, stream="real"), draws(25, 4, stream="fake", shift=0.3)
    found = prdc(real, fake, k=3)
    assert {name: len(values) for name, values in found.per_image.items()} == {
        "precision": 25,
        "recall": 30,
        "density": 25,
        "coverage": 30,
    }
    for name, values in found.per_image.items():
        assert values.mean() == getattr(found, name)
    shrunk = prdc(real, fake[:10], k=3)
    # The balls are those of the real images, whoever is looked for in them.
    assert np.array_equal(shrunk.per_image["precision"], found.per_image["precision"][:10])
    assert np.array_equal(shrunk.per_image["density"], found.per_image["density"][:10])
