"""The sanity table: demo images get worse step by step, and each metric moves the way it should."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from model_files import write_random_features
from tandem.data.synthetic import Drawing, classify_mode, coverage, draw_pair, mode_weights
from tandem.evaluation.options import EvaluationOptions
from tandem.evaluation.run import evaluate
from tandem.evaluation.subject import folder_subject
from tandem.report.scores import EvaluationReport

NUM_IMAGES, SIZE = 40, 48
STEPS = 4


@pytest.fixture(scope="module")
def drawings() -> list[Drawing]:
    return [draw_pair(index, size=SIZE) for index in range(NUM_IMAGES)]


def blurred(image: np.ndarray, step: int, index: int) -> np.ndarray:
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(0.8 * step)))


def noisy(image: np.ndarray, step: int, index: int) -> np.ndarray:
    noise = np.random.default_rng(index).normal(0, 1, image.shape)
    return (image + 12 * step * noise).clip(0, 255).astype(np.uint8)


def shifted(image: np.ndarray, step: int, index: int) -> np.ndarray:
    return (image + step * np.array([-14.0, -7.0, -21.0])).clip(0, 255).astype(np.uint8)


def save(folder: Path, images: list[np.ndarray]) -> Path:
    folder.mkdir()
    for index, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{index}.png")
    return folder


def measure(real: Path, fake: Path, features: Path) -> dict[str, float]:
    options = EvaluationOptions(metrics=("l1", "ssim", "psnr", "frechet", "kid"), features=features)
    report: EvaluationReport = evaluate(folder_subject(real, fake), options, device=torch.device("cpu")).report
    return {score.name: score.value for score in report.scores}


def assert_rises(values: list[float]) -> None:
    assert all(earlier < later for earlier, later in pairwise(values)), values


@pytest.mark.parametrize("degrade", [blurred, noisy, shifted])
def test_worse_images_have_worse_numbers(degrade, drawings: list[Drawing], tmp_path: Path) -> None:
    features = write_random_features(tmp_path / "features.onnx")
    images = [drawing.b for drawing in drawings]
    real = save(tmp_path / "real", images)
    table = []
    for step in range(STEPS):
        worse = [degrade(image, step, index) if step else image for index, image in enumerate(images)]
        table.append(measure(real, save(tmp_path / f"step-{step}", worse), features))
    assert table[0]["l1"] == 0
    assert table[0]["ssim"] == pytest.approx(1)
    assert table[0]["frechet"] == pytest.approx(0, abs=1e-9)
    for name in ("l1", "frechet", "kid"):
        assert_rises([row[name] for row in table])
    assert_rises([-row["ssim"] for row in table])
    assert_rises([-row["psnr"] for row in table[1:]])  # of equal images it is infinite, and left out


def test_fewer_modes_have_less_coverage_and_diversity(drawings: list[Drawing]) -> None:
    """An ideal sampler, limited to its most likely modes: 8, 4, 2, 1."""
    num_samples = 16
    weights = mode_weights()
    order = np.argsort(-weights)
    covered, distance, diversity = [], [], []
    for kept in (8, 4, 2, 1):
        share = np.where(np.isin(np.arange(8), order[:kept]), weights, 0)
        generator = np.random.default_rng(0)
        modes, spread = [], []
        for index in range(12):
            drawn = generator.choice(8, num_samples, p=share / share.sum())
            made = {mode: draw_pair(index, size=SIZE, mode=mode) for mode in map(int, set(drawn))}
            shown = {mode: classify_mode(one.b, one.mask) for mode, one in made.items()}
            modes.append([shown[mode] for mode in drawn])
            stack = np.stack([made[mode].b for mode in drawn]).astype(np.float64) / 255
            spread.append(np.abs(np.diff(stack, axis=0)).mean())
        assert (np.array(modes) >= 0).all()
        found = coverage(np.array(modes))
        covered.append(found.covered)
        distance.append(found.frequency_distance)
        diversity.append(float(np.mean(spread)))
    assert_rises([-value for value in covered])
    assert_rises(distance)
    assert_rises([-value for value in diversity])
    assert covered[-1] == 1
    assert diversity[-1] == 0
