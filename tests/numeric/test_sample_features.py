"""Vendi, AFD, z R² and memorisation against closed forms and second computations, and what is done to pictures."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.spatial.distance import cdist, pdist
from torch import Tensor

from tandem.errors import DataError
from tandem.evaluation.cases import Case, Loaded
from tandem.evaluation.kinds.sample_features import MOST_INPUTS, SampleFeatureRows, chosen_inputs
from tandem.evaluation.metrics import average_feature_distance, memorisation, read_latents, vendi_score, z_r2
from tandem.evaluation.networks.features import FeatureExtractor, FeatureSpec, InputSpec
from tandem.evaluation.networks.weights import WeightsSource
from tandem.rng import numpy_generator


def draws(*shape: int, stream: str = "x") -> np.ndarray:
    return numpy_generator(0, stream, position=shape[-1]).standard_normal(shape)


class TestVendi:
    def test_it_counts_different_pictures(self) -> None:
        q, _ = np.linalg.qr(draws(30, 12))
        orthogonal = q.T * draws(12)[:, None]
        assert vendi_score(orthogonal) == pytest.approx(12, rel=1e-9)
        assert vendi_score(np.repeat(orthogonal[:1], 5, axis=0)) == pytest.approx(1, rel=1e-9)
        assert vendi_score(np.repeat(orthogonal[:4], 3, axis=0)) == pytest.approx(4, rel=1e-9)

    def test_two_pictures_at_an_angle(self) -> None:
        """K / 2 has the eigenvalues (1 ± cos) / 2."""
        for angle in (0.3, 1.2):
            halves = (1 + np.array([1, -1]) * np.cos(angle)) / 2
            expected = np.exp(-(halves * np.log(halves)).sum())
            pair = np.array([[2.0, 0.0], [np.cos(angle), np.sin(angle)]])
            assert vendi_score(pair) == pytest.approx(expected, rel=1e-9)

    def test_it_is_the_entropy_of_the_covariance_of_unit_features(self) -> None:
        """The same eigenvalues from the other side, D x D in place of M x M."""
        x = draws(9, 4)
        unit = x / np.linalg.norm(x, axis=1, keepdims=True)
        values = np.linalg.eigvalsh(unit.T @ unit / len(unit))
        assert vendi_score(x) == pytest.approx(np.exp(-(values * np.log(values)).sum()), rel=1e-9)

    def test_behind_a_relu_features_must_be_centred(self) -> None:
        x = np.maximum(draws(100, 1000), 0)
        assert vendi_score(x) < 50
        assert vendi_score(x, centre=x.mean(axis=0)) > 90

    def test_pictures_in_the_centre_are_alike(self) -> None:
        x = np.array([[1.0, 1.0], [1.0, 1.0], [3.0, 1.0]])
        assert vendi_score(x, centre=x[0]) == pytest.approx(vendi_score(np.array([[1.0, 0], [1, 0], [0, 1]])))

    def test_what_does_not_fit_is_refused(self) -> None:
        with pytest.raises(DataError, match=r"the centre has the shape \(3,\)"):
            vendi_score(np.ones((4, 2)), centre=np.ones(3))
        with pytest.raises(DataError, match="not finite"):
            vendi_score(np.full((4, 2), np.nan))


def test_afd_is_the_mean_of_all_distances() -> None:
    x = draws(7, 5)
    assert average_feature_distance(x) == pytest.approx(pdist(x).mean(), rel=1e-12)
    with pytest.raises(DataError, match="at least 2 samples"):
        average_feature_distance(x[:1])


class TestReadingLatents:
    def test_of_a_linear_generator_all_is_read(self) -> None:
        """With more features than samples and with fewer, whatever the inputs add."""
        for num_features in (5, 300):
            z = draws(30, 6, 3)
            f = z @ draws(3, num_features) + 20 * draws(30, 1, num_features, stream="inputs")
            np.testing.assert_allclose(read_latents(f, z).r_squared, 1, atol=1e-6)

    def test_of_a_generator_that_ignores_z_nothing_is_read(self) -> None:
        z, f = draws(60, 8, 2), draws(60, 8, 40)
        assert read_latents(f, z).r_squared == pytest.approx([0, 0], abs=0.02)
        assert read_latents(np.zeros((60, 8, 40)), z).r_squared.tolist() == [0, 0]

    def test_only_what_generalises_to_other_inputs_counts(self) -> None:
        """Each input shows z in its own way: within one it could be read, on others it cannot."""
        z = draws(40, 10, 2)
        f = np.einsum("nmk,nkl->nml", z, draws(40, 2, 30, stream="ways"))
        assert read_latents(f, z).r_squared.max() < 0.1

    def test_noise_leaves_the_share_that_it_should(self) -> None:
        """f = z + noise of standard deviation s in one dimension: R² = 1 / (1 + s²)."""
        z = draws(400, 5, 1)
        found = read_latents(z + 0.5 * draws(400, 5, 1, stream="noise"), z)
        assert found.r_squared[0] == pytest.approx(0.8, abs=0.04)  # three times its standard deviation
        assert found.sums.shape == (200, 2)

    def test_it_is_ridge_regression_with_the_strength_that_leaving_an_input_out_chooses(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        z = draws(16, 4, 2)
        f = np.tanh(z @ draws(2, 9)) + 0.7 * draws(16, 4, 9, stream="noise")
        found = read_latents(f, z, seed=3)
        f, z = (values - values.mean(axis=1, keepdims=True) for values in (f, z))
        order = numpy_generator(3, "z-r2/halves", position=16).permutation(16)
        fitted, scored = order[:8], order[8:]

        def predicted(inputs: np.ndarray, wanted: np.ndarray, strength: float) -> np.ndarray:
            x, y = f[inputs].reshape(-1, 9), z[inputs].reshape(-1, 2)
            return wanted @ np.linalg.solve(x.T @ x + strength * np.eye(9), x.T @ y)

        scale = np.square(f[fitted]).sum() / 32  # the mean eigenvalue of the 32 x 32 products
        strengths = scale * 10.0 ** np.arange(-6, 4)
        errors = [
            sum(np.square(predicted(fitted[fitted != one], f[one], s) - z[one]).sum() for one in fitted)
            for s in strengths
        ]
        best = strengths[int(np.argmin(errors))]
        assert strengths[0] < best < strengths[-1]
        off = predicted(fitted, f[scored], best) - z[scored]
        expected = 1 - np.square(off).sum((0, 1)) / np.square(z[scored]).sum((0, 1))
        np.testing.assert_allclose(found.r_squared, expected, rtol=1e-8)
        monkeypatch.setattr(z_r2, "_MOST_ROWS", 32)
        assert not np.allclose(read_latents(f, z, seed=3).r_squared, expected, rtol=1e-3)  # two samples of each

    def test_what_does_not_fit_is_refused(self) -> None:
        with pytest.raises(DataError, match="N at least 4 and M at least 2"):
            read_latents(draws(3, 5, 4), draws(3, 5, 2))


def checkerboards(x: Tensor) -> Tensor:
    """Two features: the mean of an image, and how much of a checkerboard of single pixels is in it."""
    sign = 1 - 2 * ((torch.arange(x.shape[2])[:, None] + torch.arange(x.shape[3])) % 2)
    return torch.stack([x.mean((1, 2, 3)), (x * sign).mean((1, 2, 3))], 1)


def extractor() -> FeatureExtractor:
    source = WeightsSource("checkerboards", Path("none"), "0" * 64, published=False)
    spec = FeatureSpec("onnx", "output", 2, "clean", InputSpec(None), "float32", source)
    return FeatureExtractor(spec, checkerboards, torch.device("cpu"))


def loaded(samples: np.ndarray) -> Loaded:
    return Loaded(cast(Case, None), lambda count: samples[:count], read=lambda: (None, None))


class TestRowsOfSamples:
    def test_they_are_the_features_of_each_picture_as_it_is_shown(self) -> None:
        samples = numpy_generator(0, "pictures").integers(0, 256, (19, 13, 18, 3), dtype=np.uint8)
        rows = {name: SampleFeatureRows(extractor(), 19, picture=name) for name in ("plain", "jpeg", "half")}
        assert len({one.spec for one in rows.values()}) == 3

        def jpeg(image: np.ndarray) -> np.ndarray:
            file = BytesIO()
            Image.fromarray(image).save(file, "JPEG", quality=75)
            with Image.open(file) as again:
                return np.asarray(again)

        def half(image: np.ndarray) -> np.ndarray:
            small = Image.fromarray(image).resize((9, 6), Image.Resampling.BICUBIC)
            return np.asarray(small.resize((18, 13), Image.Resampling.BICUBIC))

        for name, shown in {"plain": lambda image: image, "jpeg": jpeg, "half": half}.items():
            pictures = np.stack([shown(image) for image in samples]) / 127.5 - 1
            expected = checkerboards(torch.from_numpy(np.moveaxis(pictures, -1, 1))).numpy()
            (found,) = rows[name]([loaded(samples)])
            np.testing.assert_allclose(found, expected, atol=1e-6)

    def test_they_do_not_depend_on_the_other_inputs_of_a_batch(self) -> None:
        samples = [numpy_generator(i, "pictures").integers(0, 256, (3, 8, 8, 1), dtype=np.uint8) for i in range(3)]
        rows = SampleFeatureRows(extractor(), 3)
        together = rows([loaded(one) for one in samples])
        for one, row in zip(samples, together, strict=True):
            np.testing.assert_array_equal(rows([loaded(one)])[0], row)

    def test_a_code_in_single_pixels_is_read_but_not_through_jpeg_or_half_the_size(self) -> None:
        """A generator that hides z where nobody looks, and one that shows it as brightness."""
        z = draws(30, 5, 1)
        sign = 1 - 2 * (np.indices((16, 16)).sum(0) % 2)[:, :, None]
        found: dict[tuple[str, str], float] = {}
        for kind, pattern in (("hidden", sign), ("shown", np.ones_like(sign))):
            values = 128 + np.clip(z, -3, 3)[..., None, None] * pattern
            samples = np.rint(np.repeat(values, 3, axis=-1)).astype(np.uint8)
            for picture in ("plain", "jpeg", "half"):
                rows = SampleFeatureRows(extractor(), 5, picture=cast(Any, picture))
                features = np.stack(rows([loaded(one) for one in samples]))
                found[kind, picture] = float(read_latents(features, z).r_squared[0])
        assert found["hidden", "plain"] > 0.85
        assert max(found["hidden", "jpeg"], found["hidden", "half"]) < 0.3
        assert min(found["shown", picture] for picture in ("plain", "jpeg", "half")) > 0.85

    def test_on_a_gpu_they_are_waited_for_late(self) -> None:
        """All inputs are begun before the first is waited for, and the parts of each come in their order."""
        waited: list[int] = []

        class OnGPU:
            spec, device = extractor().spec, torch.device("cuda")

            def start(self, images: Tensor) -> Callable[[], np.ndarray]:
                rows = images.double().mean((1, 2, 3))[:, None].numpy()

                def wait() -> np.ndarray:
                    waited.append(len(rows))
                    return rows

                return wait

        samples = [numpy_generator(i, "pictures").integers(0, 256, (20, 8, 8, 3), dtype=np.uint8) for i in range(2)]
        late = SampleFeatureRows(cast(Any, OnGPU()), 20)([loaded(one) for one in samples])
        assert (len(late), waited) == (2, [])
        np.testing.assert_allclose(np.stack(list(late))[..., 0], np.stack(samples).mean((2, 3, 4)))
        assert waited == [16, 4, 16, 4]

    def test_of_many_inputs_some_are_drawn(self) -> None:
        chosen = chosen_inputs(5000)
        assert len(set(chosen.tolist())) == MOST_INPUTS
        assert (np.diff(chosen) > 0).all()
        assert chosen_inputs(30).tolist() == list(range(30))


class TestMemorisation:
    def test_it_is_the_nearest_of_all_distances(self) -> None:
        samples, training, held_out = draws(12, 5, 3), draws(20, 3, stream="t"), draws(21, 3, stream="h")
        ignored = numpy_generator(0, "own").integers(0, 21, 12)
        found = memorisation(samples, training, held_out, ignored=ignored)
        for index, of_input in enumerate(samples):
            near = cdist(of_input, np.delete(held_out, ignored[index], 0)).min(axis=1)
            np.testing.assert_array_equal(found.nearer[index], cdist(of_input, training).min(axis=1) < near)

    def test_copies_are_found_and_a_model_of_the_distribution_is_not_accused(self) -> None:
        training, held_out = draws(300, 6, stream="t"), draws(300, 6, stream="h")
        copies = training[:40, None] + 0.01 * draws(40, 4, 6)
        assert memorisation(copies, training, held_out).nearer.mean() == 1
        found = memorisation(draws(200, 4, 6), training, held_out)
        assert abs(found.nearer.mean() - 0.5) < 3 * found.deviation

    def test_a_good_model_comes_near_to_the_ground_truth_which_must_not_count(self) -> None:
        """Pairs: each sample is near its own ground truth, one of the held-out images."""
        training, held_out = draws(100, 4, stream="t"), draws(101, 4, stream="h")
        samples = held_out[:, None] + 0.3 * draws(101, 3, 4)
        assert memorisation(samples, training, held_out[:100]).nearer.mean() < 0.3
        found = memorisation(samples, training, held_out, ignored=np.arange(101))
        assert abs(found.nearer.mean() - 0.5) < 3 * found.deviation

    def test_the_deviation_is_that_of_images_put_into_two_sets_anew(self) -> None:
        """In one dimension with images far apart many samples share their nearest one."""
        pool, samples = 10.0 * draws(60, 1, stream="pool"), draws(80, 2, 1) * 5
        shares, deviations = [], []
        for index in range(300):
            order = numpy_generator(index, "sets").permutation(60)
            found = memorisation(samples, pool[order[:30]], pool[order[30:]])
            shares.append(found.nearer.mean())
            deviations.append(found.deviation)
        assert np.std(shares) == pytest.approx(np.mean(deviations), rel=0.1)
        assert np.std(shares) > 1.5 * 0.5 / np.sqrt(samples.size)  # what independent samples would have

    def test_images_that_are_as_near_count_half(self) -> None:
        same = draws(5, 3)
        found = memorisation(draws(4, 2, 3), same, same)
        assert found.nearer.tolist() == [[0.5, 0.5]] * 4

    def test_sets_of_other_sizes_are_refused(self) -> None:
        with pytest.raises(DataError, match=r"expected \(N, M, D\), \(K, D\) and \(K, D\)"):
            memorisation(draws(4, 2, 3), draws(5, 3), draws(6, 3))
        with pytest.raises(DataError, match=r"and \(K \+ 1, D\)"):
            memorisation(draws(4, 2, 3), draws(5, 3), draws(5, 3), ignored=np.zeros(4, int))
