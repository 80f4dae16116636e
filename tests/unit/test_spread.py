"""The spread of samples: against NumPy, however the samples come, and what is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tandem.checkpoint.bundle import save_calibration
from tandem.checkpoint.calibration import Calibration
from tandem.checkpoint.manifest import read_manifest
from tandem.errors import ConfigError
from tandem.evaluation.metrics import covered_share
from tandem.inference import spread as spread_module
from tandem.inference.spread import Spread, SpreadBuilder, SpreadPlan
from tandem.inference.translator import Translator, load
from tandem.report.spread_pictures import FLAG_COLOUR, guessed_picture, save_spread_values, width_picture

MakeBundle = Callable[..., Path]


def calibration_of(folder: Path | None = None, **changes: Any) -> Calibration:
    weights = None if folder is None else read_manifest(folder)[0].weights
    values: dict[str, Any] = {
        "level": 0.8,
        "scale": 1.5,
        "num_samples": 6,
        "seed": 3,
        "fit": "auto",
        "direction": "AtoB",
        "tolerance": 0.04,
        "fdr": 0.2,
        "threshold": 0.1,
        "num_images": 25,
        "data_sha256": "0" * 64,
        "date": "2026-01-31",
        "weights_sha256": "1" * 64 if weights is None else weights.sha256,
    }
    return Calibration(**(values | changes))


def samples_of(rng: np.random.Generator, number: int, *, channels: int = 3) -> np.ndarray:
    width = rng.integers(0, 120, (11, 7, channels))
    return rng.integers(128 - width, 129 + width, (number, 11, 7, channels)).astype(np.uint8)


def built(samples: np.ndarray, plan: SpreadPlan, *, at_once: int = 1) -> Spread:
    builder = SpreadBuilder(plan)
    for start in range(0, len(samples), at_once):
        builder.add(samples[start : start + at_once])
    return builder.finish()


@pytest.mark.parametrize("channels", [1, 3])
def test_calibrated_intervals(channels: int) -> None:
    samples = samples_of(np.random.default_rng(0), 6, channels=channels)
    made = calibration_of(threshold=0.3)
    found = built(samples, SpreadPlan(6, 0.8, made))
    mean = samples.mean(axis=0, dtype=np.float64) / 255
    half = 1.5 * (samples.std(axis=0, ddof=1, dtype=np.float64) + 1) / 255
    assert np.allclose(found.mean, mean, atol=1e-6)
    assert np.allclose(found.low, np.clip(mean - half, 0, 1), atol=1e-6)
    assert np.allclose(found.high, np.clip(mean + half, 0, 1), atol=1e-6)
    assert np.allclose(found.guessed, half.mean(axis=2), atol=1e-6)
    assert 0 < found.flagged.mean() < 1
    assert np.array_equal(found.flagged, half.mean(axis=2) > 0.3)
    assert (found.level, found.calibrated, found.num_samples, found.threshold) == (0.8, True, 6, 0.3)
    assert not built(samples, SpreadPlan(6, 0.8, calibration_of(threshold=None))).flagged.any()


@pytest.mark.parametrize("number", [2, 3, 10, 41])
@pytest.mark.parametrize("level", [0.5, 0.9, 0.99])
def test_quantiles_are_those_of_numpy(number: int, level: float) -> None:
    samples = samples_of(np.random.default_rng(number), number)
    found = built(samples, SpreadPlan(number, level, None))
    low, high = np.quantile(samples.astype(np.float64), [(1 - level) / 2, (1 + level) / 2], axis=0) / 255
    assert np.allclose(found.low, low, atol=1e-6)
    assert np.allclose(found.high, high, atol=1e-6)
    assert np.allclose(found.guessed, (high - low).mean(axis=2) / 2, atol=1e-6)
    assert not found.calibrated
    assert np.array_equal(found.flagged, found.guessed > spread_module.DEFAULT_TOLERANCE)


@pytest.mark.parametrize("made", [None, calibration_of(num_samples=7)])
def test_how_samples_come_changes_nothing(made: Calibration | None, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = samples_of(np.random.default_rng(1), 7)
    plan = SpreadPlan(7, 0.8, made)
    whole = built(samples, plan, at_once=7)
    monkeypatch.setattr(spread_module, "_STRIP", 40)  # two rows at a time
    for found in (built(samples, plan), built(samples[::-1], plan, at_once=3)):
        for field in ("mean", "low", "high", "guessed", "flagged"):
            assert np.array_equal(getattr(found, field), getattr(whole, field)), field


def test_few_samples_are_kept_for_quantiles() -> None:
    quantiles = spread_module.SampleQuantiles(100, 0.9)
    quantiles.add(samples_of(np.random.default_rng(2), 100))
    assert len(quantiles._lowest) == len(quantiles._highest) == 6  # those around place 4.95 of 0 to 99


def test_a_truth_at_the_end_of_an_interval_is_in_it() -> None:
    """Samples that agree: half an interval is the scale in levels, and a truth that far off is still held."""
    samples = np.zeros((2, 1, 180, 1), np.uint8) + np.arange(40, 220, dtype=np.uint8)[:, None]
    for off in (1, 2, 4, 32):
        found = built(samples, SpreadPlan(2, 0.8, calibration_of(num_samples=2, scale=float(off))))
        for sign in (-1, 1):
            held, missed = ((samples[0].astype(int) + sign * far).astype(np.uint8) for far in (off, off + 1))
            assert covered_share(found.low, found.high, held) == 1
            assert covered_share(found.low, found.high, missed) == 0


class TestATranslator:
    @pytest.fixture
    def folder(self, make_bundle: MakeBundle) -> Path:
        return make_bundle()

    @pytest.fixture
    def translator(self, folder: Path) -> Translator:
        return load(folder, device="cpu", max_batch=2)

    @pytest.fixture
    def image(self) -> np.ndarray:
        return np.random.default_rng(3).integers(0, 256, (13, 21, 3), np.uint8)

    def test_a_plain_spread_is_of_the_samples_of_a_call(self, translator: Translator, image: np.ndarray) -> None:
        steps: list[tuple[int, int]] = []
        found = translator.spread(image, num_samples=5, seed=4, on_progress=lambda *step: steps.append(step))
        samples = translator(image, 5, seed=4, output="array").astype(np.float64) / 255
        assert found.mean.shape == found.low.shape == found.high.shape == (13, 21, 3)
        assert found.guessed.shape == found.flagged.shape == (13, 21)
        assert np.allclose(found.mean, samples.mean(axis=0), atol=1e-6)
        assert np.allclose(found.low, np.quantile(samples, 0.05, axis=0), atol=1e-6)
        assert steps == [(2, 5), (4, 5), (5, 5)]
        assert "not calibrated" in repr(found)
        assert "21×13 px" in repr(found)

    def test_a_calibrated_one_follows_the_calibration(
        self, translator: Translator, folder: Path, image: np.ndarray
    ) -> None:
        save_calibration(folder, calibration_of(folder))
        calibrated = load(folder, device="cpu", max_batch=2)
        found = calibrated.spread(image, seed=4)
        samples = translator(image, 6, seed=4, output="array").astype(np.float64)
        half = 1.5 * (samples.std(axis=0, ddof=1) + 1) / 255
        assert (found.calibrated, found.level, found.num_samples) == (True, 0.8, 6)
        assert np.allclose(found.high, np.clip(samples.mean(axis=0) / 255 + half, 0, 1), atol=1e-6)
        plain = calibrated.spread(image, num_samples=3, level=0.5, seed=4, plain=True)
        assert (plain.calibrated, plain.level, plain.num_samples) == (False, 0.5, 3)

    @pytest.mark.parametrize(
        ("asked", "says"),
        [
            ({"num_samples": 5}, "num_samples is 5, but the model was calibrated with 6"),
            ({"level": 0.9}, "level is 0.9, but the model was calibrated with 0.8"),
            ({"fit": "pad"}, "fit is pad, but the model was calibrated with auto"),
            ({"num_samples": 1}, "num_samples must be from 2 to 1000 for a spread, not 1"),
            ({"num_samples": 10**9}, "num_samples must be from 2 to 1000"),
            ({"level": 1.0}, "level must be above 0 and below 1, not 1.0"),
        ],
    )
    def test_what_the_calibration_does_not_hold_for_is_refused(
        self, folder: Path, image: np.ndarray, asked: dict[str, Any], says: str
    ) -> None:
        save_calibration(folder, calibration_of(folder))
        with pytest.raises(ConfigError, match=says):
            load(folder, device="cpu").spread(image, **asked)

    def test_one_image_of_a_model_with_several_outputs(
        self, translator: Translator, make_bundle: MakeBundle, image: np.ndarray
    ) -> None:
        with pytest.raises(ConfigError, match="spread takes one image"):
            translator.spread([image, image])
        single = load(make_bundle("single", generator={"latent_dim": 0}, with_encoder=False), device="cpu")
        with pytest.raises(ConfigError, match="gives one output for an input"):
            single.spread(image)


def test_pictures(tmp_path: Path) -> None:
    flagged = np.array([[True, False]])
    grey = guessed_picture(np.array([[[0.2], [0.6]]], np.float32), flagged)
    assert grey.tolist() == [[list(FLAG_COLOUR), [204] * 3]]  # halfway from 153 to white
    assert width_picture(np.array([[0.0, 0.25, 3.0]], np.float32)).tolist() == [[[0], [128], [255]]]
    mean, guessed = np.random.default_rng(4).random((1, 2, 4), np.float32), np.array([[0.125, 1.7]], np.float32)
    save_spread_values(tmp_path / "x.tif", mean, guessed, flagged)
    with Image.open(tmp_path / "x.tif") as file:
        pages = []
        for page in range(3):
            file.seek(page)
            pages.append(np.array(file))
    assert np.array_equal(pages[0], np.rint(255 * mean))
    assert pages[1].dtype == np.float32
    assert np.array_equal(pages[1], guessed)
    assert pages[2].tolist() == [[255, 0]]
