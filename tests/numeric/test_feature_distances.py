"""Fréchet distance, KID, precision and coverage against closed forms, SciPy and loops."""

from importlib import import_module

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st

from tandem.errors import ConfigError, DataError
from tandem.evaluation.accumulators import MeanCovariance, RowBank
from tandem.evaluation.estimates import resample_counts
from tandem.evaluation.metrics.frechet import (
    frechet_bootstrap,
    frechet_distance,
    frechet_infinity,
    frechet_warnings,
    root_of_rows,
    statistics_of,
)
from tandem.evaluation.metrics.kid import kid, kid_subsets
from tandem.evaluation.metrics.prdc import prdc
from tandem.rng import numpy_generator


def draws(count: int, num_features: int, *, stream: str = "x", shift: float = 0.0) -> np.ndarray:
    return numpy_generator(0, stream).standard_normal((count, num_features)) + shift


def mixed(count: int, num_features: int, stream: str) -> np.ndarray:
    """Correlated features far from the origin."""
    mixing = numpy_generator(1, stream).standard_normal((num_features, num_features))
    return draws(count, num_features, stream=stream) @ mixing + 100


class TestFrechet:
    def test_commuting_covariances_have_a_closed_form(self) -> None:
        basis, _ = np.linalg.qr(draws(7, 7))
        first, second = np.linspace(0.1, 3, 7), np.linspace(2, 0.5, 7)
        means = draws(2, 7, stream="means")
        found = frechet_distance((means[0], basis * first @ basis.T), (means[1], basis * second @ basis.T))
        expected = np.square(means[0] - means[1]).sum() + np.square(np.sqrt(first) - np.sqrt(second)).sum()
        np.testing.assert_allclose(found.value, expected, rtol=1e-12)

    def test_any_covariances_agree_with_the_matrix_square_root(self) -> None:
        real, fake = (statistics_of(mixed(60, 8, name)) for name in ("real", "fake"))
        root = scipy.linalg.sqrtm(real[1] @ fake[1]).real
        expected = np.square(real[0] - fake[0]).sum() + np.trace(real[1] + fake[1] - 2 * root)
        np.testing.assert_allclose(frechet_distance(real, fake).value, expected, rtol=1e-9)

    @pytest.mark.parametrize("counts", [(5, 6), (40, 40), (40, 90)])
    def test_singular_covariances_keep_their_precision(self, counts: tuple[int, int]) -> None:
        """No more points than dimensions; the trace of the root is then known from the points themselves."""
        real, fake = draws(counts[0], 40, stream="a"), draws(counts[1], 40, stream="b")
        centred = [rows - rows.mean(0) for rows in (real, fake)]
        product = centred[0] @ centred[1].T
        root = np.linalg.svd(product, compute_uv=False).sum() / np.sqrt((counts[0] - 1) * (counts[1] - 1))
        found = frechet_distance(statistics_of(real), statistics_of(fake))
        np.testing.assert_allclose(found.trace_root, root, rtol=1e-12)

    @pytest.mark.parametrize("index", range(4))
    def test_a_repeated_feature_costs_no_precision(self, index: int) -> None:
        """The Cholesky factor then ends in rounding alone, and often exists."""
        real, fake = draws(90, 40, stream=f"a{index}"), draws(80, 40, stream=f"b{index}")
        real[:, 39] = real[:, 3]
        centred = [rows - rows.mean(0) for rows in (real, fake)]
        root = np.linalg.svd(centred[0] @ centred[1].T, compute_uv=False).sum() / np.sqrt(89 * 79)
        found = frechet_distance(statistics_of(real), statistics_of(fake))
        np.testing.assert_allclose(found.trace_root, root, rtol=1e-12)

    def test_equal_sets_are_at_zero_and_lengths_must_agree(self) -> None:
        same = statistics_of(mixed(50, 6, "same"))
        assert 0 <= frechet_distance(same, same).value < 1e-9
        with pytest.raises(DataError, match="different lengths, 6 and 5"):
            frechet_distance(same, statistics_of(mixed(50, 5, "other")))

    def test_many_features_agree_with_the_matrix_square_root(self) -> None:
        """Above 512 features of full rank the sum comes from eigenvalues."""
        scales = np.geomspace(1, 1e-3, 520)
        real, fake = (statistics_of(draws(1200, 520, stream=name) * scales) for name in ("real", "fake"))
        root = scipy.linalg.sqrtm(real[1] @ fake[1]).real
        np.testing.assert_allclose(frechet_distance(real, fake).trace_root, np.trace(root), rtol=1e-10)

    def test_roots_of_few_and_of_many_rows_are_roots(self) -> None:
        for count in (5, 50):
            rows = mixed(count, 12, "rows")
            mean, root = root_of_rows(rows)
            np.testing.assert_allclose(mean, rows.mean(0))
            np.testing.assert_allclose(root @ root.T, np.cov(rows.T), atol=1e-10)

    def test_warnings_name_the_bias(self) -> None:
        assert frechet_warnings(num_real=20_000, num_fake=10_000, num_features=2048) == []
        [few] = frechet_warnings(num_real=20_000, num_fake=5_000, num_features=2048)
        assert "biased upwards" in few
        assert "singular" not in few
        [singular] = frechet_warnings(num_real=500, num_fake=5_000, num_features=2048)
        assert "singular" in singular


class TestBias:
    def test_extrapolation_removes_the_bias(self) -> None:
        """Between two draws of one Gaussian the distance is 0, and the estimate is not."""
        real, fake = draws(1200, 20, stream="r"), draws(1200, 20, stream="f")
        found = frechet_infinity(real, fake)
        biased = found.values[-1]
        assert found.is_reliable
        assert biased > 0.1
        assert abs(found.value) < 0.25 * biased
        np.testing.assert_allclose(found.slope + found.value, biased, atol=3 * found.residual)
        assert biased == pytest.approx(frechet_distance(statistics_of(real), statistics_of(fake)).value, rel=1e-9)

    def test_a_shift_of_the_mean_remains(self) -> None:
        real, fake = draws(1500, 10, stream="r"), draws(1500, 10, stream="f", shift=0.5)
        assert frechet_infinity(real, fake, thin_real=False).value == pytest.approx(2.5, abs=0.2)

    def test_fewer_images_than_features_are_not_reliable(self) -> None:
        assert not frechet_infinity(draws(40, 64, stream="r"), draws(40, 64, stream="f"), num_points=3).is_reliable
        with pytest.raises(DataError, match="at least 20 images"):
            frechet_infinity(draws(10, 2), draws(10, 2))

    def test_bootstrap_error_is_the_spread_over_new_draws(self) -> None:
        values = [
            frechet_distance(
                statistics_of(draws(300, 4, stream=f"r{i}")), statistics_of(draws(300, 4, stream=f"f{i}", shift=0.7))
            ).value
            for i in range(200)
        ]
        found = frechet_bootstrap(draws(300, 4, stream="r0"), draws(300, 4, stream="f0", shift=0.7), num_resamples=200)
        assert found.standard_error == pytest.approx(np.std(values), rel=0.25)
        assert found.value == pytest.approx(values[0])


class TestStatistics:
    @given(st.lists(st.integers(1, 700), min_size=1, max_size=4))
    def test_any_batches_give_the_same_bits(self, sizes: list[int]) -> None:
        rows = mixed(sum(sizes) + 2, 5, "stream").astype(np.float32)
        whole, parts = MeanCovariance(5), MeanCovariance(5)
        whole.add(rows)
        for start, stop in zip([0, *np.cumsum(sizes)], [*np.cumsum(sizes), len(rows)], strict=True):
            parts.add(rows[start:stop])
        for a, b in zip(whole.result(), parts.result(), strict=True):
            assert np.array_equal(a, b)
        np.testing.assert_allclose(whole.result()[1], np.cov(rows.astype(np.float64).T), rtol=1e-9, atol=1e-9)

    def test_processes_merge_to_one(self) -> None:
        rows = mixed(1000, 6, "ranks")
        ranks = [MeanCovariance(6) for _ in range(3)]
        for rank, gathered in enumerate(ranks):
            gathered.add(rows[rank::3])
        merged = MeanCovariance.from_state(ranks[0].state())
        for other in ranks[1:]:
            merged.merge(other)
        merged.merge(MeanCovariance(6))  # a process that got no image
        assert merged.count == 1000
        np.testing.assert_allclose(merged.result()[0], rows.mean(0), rtol=1e-13)
        np.testing.assert_allclose(merged.result()[1], np.cov(rows.T), rtol=1e-10, atol=1e-10)

    def test_a_large_mean_does_not_cancel(self) -> None:
        rows = draws(2000, 3) + 1e7
        np.testing.assert_allclose(statistics_of(rows)[1], np.cov((rows - 1e7).T), rtol=1e-6, atol=1e-8)

    def test_what_does_not_fit_is_refused(self) -> None:
        gathered = MeanCovariance(3)
        with pytest.raises(DataError, match=r"\(2, 4\); expected \(N, 3\)"):
            gathered.add(np.zeros((2, 4)))
        with pytest.raises(DataError, match="at least 2 images, not 0"):
            gathered.result()
        with pytest.raises(DataError, match="4 features with those of 3"):
            gathered.merge(MeanCovariance(4))
        gathered.add(np.full((2, 3), np.nan))
        with pytest.raises(DataError, match="not finite"):
            gathered.result()

    def test_rows_follow_their_index_not_their_arrival(self) -> None:
        rows = draws(10, 2).astype(np.float32)
        even, odd = RowBank(), RowBank()
        even.add(range(0, 10, 2), rows[::2])
        odd.add([9, 7, 5, 3, 1], rows[[9, 7, 5, 3, 1]])
        odd.merge(RowBank.from_state(even.state()))
        odd.merge(RowBank())
        assert np.array_equal(odd.result(), rows)
        odd.add([3], rows[:1])
        with pytest.raises(DataError, match="added twice"):
            odd.result()
        with pytest.raises(DataError, match="no image was added"):
            RowBank().result()


def plain_kid(x: np.ndarray, y: np.ndarray) -> float:
    def kernel(a: np.ndarray, b: np.ndarray) -> float:
        return float((a @ b / len(a) + 1) ** 3)

    xx = np.mean([kernel(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j])
    yy = np.mean([kernel(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j])
    return float(xx + yy - 2 * np.mean([kernel(a, b) for a in x for b in y]))


class TestKID:
    def test_it_is_the_mean_over_pairs(self) -> None:
        x, y = draws(23, 6, stream="x"), draws(17, 6, stream="y", shift=0.3)
        np.testing.assert_allclose(kid(x, y, num_resamples=0).value, plain_kid(x, y), rtol=1e-12)

    def test_blocks_do_not_matter(self, monkeypatch: pytest.MonkeyPatch) -> None:
        x, y = draws(50, 6, stream="x"), draws(41, 6, stream="y", shift=0.3)
        whole = kid(x, y, num_resamples=20), prdc(x, y, k=3)
        for name in ("metrics.kid", "kinds.features"):  # the package has a function called kid
            monkeypatch.setattr(import_module(f"tandem.evaluation.{name}"), "_BLOCK", 7)
        np.testing.assert_allclose(kid(x, y, num_resamples=20).high, whole[0].high, rtol=1e-10)  # type: ignore[arg-type]
        assert prdc(x, y, k=3) == whole[1]

    def test_subsets_are_drawn_in_turn(self) -> None:
        x, y = draws(30, 4, stream="x"), draws(20, 4, stream="y")
        generator = np.random.RandomState(5)
        expected = []
        for _ in range(3):
            a, b = generator.choice(30, 8, replace=False), generator.choice(20, 8, replace=False)
            expected.append(plain_kid(x[a], y[b]))
        found = kid_subsets(x, y, num_subsets=3, subset_size=8, seed=5)
        np.testing.assert_allclose(found.values, expected, rtol=1e-10)
        assert (found.mean, found.std) == pytest.approx((np.mean(expected), np.std(expected)))

    def test_bootstrap_error_is_the_spread_over_new_draws(self) -> None:
        values = [
            kid(draws(100, 3, stream=f"x{i}"), draws(100, 3, stream=f"y{i}", shift=0.5), num_resamples=0).value
            for i in range(200)
        ]
        errors = [
            kid(
                draws(100, 3, stream=f"x{i}"), draws(100, 3, stream=f"y{i}", shift=0.5), num_resamples=200
            ).standard_error
            for i in range(10)
        ]
        assert np.mean(errors) == pytest.approx(np.std(values), rel=0.25)  # type: ignore[arg-type]

    def test_the_interval_is_that_of_weighted_pairs(self) -> None:
        x, y = draws(6, 2, stream="x"), draws(5, 2, stream="y")
        wx, wy = resample_counts(6, 50, 0, "kid/real"), resample_counts(5, 50, 0, "kid/fake")

        def weighted(a: np.ndarray, b: np.ndarray, u: np.ndarray, v: np.ndarray, *, same: bool) -> float:
            pairs = [(i, j) for i in range(len(a)) for j in range(len(b)) if not (same and i == j)]
            total = sum(u[i] * v[j] for i, j in pairs)
            return sum(u[i] * v[j] * (a[i] @ b[j] / 2 + 1) ** 3 for i, j in pairs) / total

        values = [
            weighted(x, x, u, u, same=True) + weighted(y, y, v, v, same=True) - 2 * weighted(x, y, u, v, same=False)
            for u, v in zip(wx, wy, strict=True)
        ]
        found = kid(x, y, num_resamples=50)
        assert (found.low, found.high) == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])))

    def test_what_cannot_be_compared_is_refused(self) -> None:
        with pytest.raises(DataError, match=r"\(5, 3\) and \(5, 4\)"):
            kid(draws(5, 3), draws(5, 4))
        with pytest.raises(ConfigError, match=r"subsets of 1000 .* from 5 real and 6"):
            kid_subsets(draws(5, 3), draws(6, 3))
        with pytest.raises(DataError, match="not finite"):
            kid(draws(5, 3) * np.inf, draws(5, 3))
