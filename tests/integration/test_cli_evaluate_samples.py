"""``tandem evaluate``: what the samples of an input say together, against independent computations; who is refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scoringrules
from scipy.spatial.distance import cdist, pdist
from support import Finished, page_text, pixels, tandem, train, write_pairs

import tandem as package
from cyclegan_bundle import make_cyclegan
from model_files import write_onnx
from tandem.data.synthetic import write_dataset
from tandem.evaluation.metrics import read_latents, vendi_score
from tandem.rng import derive_seed, numpy_generator

NUM_TRAIN, NUM_TEST, NUM_SAMPLES = 5, 6, 4
OF_ENSEMBLES = ("crps", "energy-score", "spread-skill", "interval-coverage", "rank-histogram")
OF_FEATURES = ("vendi", "afd", "z-r2", "memorisation")
WEIGHT = np.array([[1, 0, 0], [0, 1, 0], [0.5, 0.5, 1], [1, -1, 0]], np.float32)


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shapes") / "demo"
    return write_dataset(folder, size=32, num_train=NUM_TRAIN, num_val=1, num_test=NUM_TEST)


@pytest.fixture
def features(tmp_path: Path) -> Path:
    """A feature network that sees mean colours, mixed."""
    return write_onnx(tmp_path / "colours.onnx", weight=WEIGHT[:, :, None, None])


def evaluate(*words: str | Path, out: Path, status: int = 0) -> tuple[Finished, dict[str, Any]]:
    finished = tandem("evaluate", *words, "--out", out, "--device", "cpu")
    assert finished.status == status, finished.err
    return finished, json.loads((out / "report.json").read_text()) if status == 0 else {}


def scores_of(report: dict[str, Any]) -> dict[str, float]:
    return {score["name"]: score["value"] for result in report["results"] for score in result["scores"]}


def notes_of(report: dict[str, Any]) -> dict[str, str]:
    return {score["name"]: score["note"] for result in report["results"] for score in result["scores"]}


def images_of(bundle: Path, data: Path) -> tuple[np.ndarray, np.ndarray]:
    """Ground truths and samples ``(N, M, H, W, 3)``, made without the code that is tested."""
    translator = package.load(bundle, device="cpu")
    truths, samples = [], []
    for index, file in enumerate(sorted((data / "test").iterdir())):
        both = pixels(file)
        truths.append(both[:, 32:])
        seed = derive_seed(0, "evaluate", position=index)
        samples.append(translator(both[:, :32], NUM_SAMPLES, seed=seed, output="array"))
    return np.stack(truths), np.stack(samples)


def colour_features(images: np.ndarray) -> np.ndarray:
    return ((images.astype(np.float64) - 127.5) / 127.5).mean(axis=(-3, -2)) @ WEIGHT.T


def pooled(images: np.ndarray, side: int) -> np.ndarray:
    *lead, height, width, channels = images.shape
    return images.reshape(*lead, height // side, side, width // side, side, channels).mean((-4, -2))


def test_numbers_of_a_model(make_bundle: Callable[..., Path], shapes: Path, features: Path, tmp_path: Path) -> None:
    bundle = make_bundle(size=(32, 32))
    words = ("--num-samples", str(NUM_SAMPLES), "--features", features, "--batch-size", "4")
    metrics = ",".join((*OF_ENSEMBLES, *OF_FEATURES))
    _, report = evaluate(bundle, shapes, *words, "--metrics", metrics, out=tmp_path / "out")
    found, truths, samples = scores_of(report), *images_of(bundle, shapes)
    x, y = samples / 255, truths / 255
    for name, side in (("crps", 1), ("crps-4", 4), ("crps-16", 16)):
        by_pixel = scoringrules.crps_ensemble(pooled(y, side), pooled(x, side), m_axis=1, estimator="fair")
        assert found[name] == pytest.approx(by_pixel.mean(), rel=1e-9)
    flat_x, flat_y = x.reshape(NUM_TEST, NUM_SAMPLES, -1), y.reshape(NUM_TEST, -1)
    energy = scoringrules.es_ensemble(flat_y, flat_x, m_axis=1, v_axis=2, estimator="fair") / np.sqrt(flat_y.shape[1])
    assert found["energy-score"] == pytest.approx(energy.mean(), rel=1e-9)
    assert report["per_input"]["energy-score"] == pytest.approx(energy.tolist(), rel=1e-9)
    skill = np.sqrt(1.25 * x.var(axis=1, ddof=1).mean() / np.square(x.mean(axis=1) - y).mean())
    assert found["spread-skill"] == pytest.approx(skill, rel=1e-9)

    low = (x < y[:, None]).sum(axis=1)
    high = low + (x == y[:, None]).sum(axis=1)
    inside = (np.minimum(high, 3) - np.maximum(low, 1) + 1).clip(min=0) / (high - low + 1)
    assert found["coverage-80"] == pytest.approx(inside.mean(), rel=1e-9)
    assert "right: 0.600 (lowest to highest of 4 samples)" in notes_of(report)["coverage-80"]
    ranks = (pooled(truths, 4)[:, None] > pooled(samples, 4)).sum(axis=1) / 2
    ranks += (pooled(truths, 4)[:, None] >= pooled(samples, 4)).sum(axis=1) / 2  # the mean of those that it may have
    assert found["rank-bias"] == pytest.approx(2 * ranks.mean() / NUM_SAMPLES - 1, rel=1e-9)
    result = next(one for one in report["results"] if one["metric"] == "rank-histogram")
    assert list(result["shares"]) == ["0", "1", "2", "3", "4"]
    assert sum(result["shares"].values()) == pytest.approx(1)
    assert f"Share of each rank among {NUM_SAMPLES} samples (flat: 0.2)" in page_text(tmp_path / "out" / "report.html")

    of_samples, of_reals = colour_features(samples), colour_features(truths)
    vendi = [vendi_score(one, centre=of_reals.mean(axis=0)) for one in of_samples]
    assert found["vendi"] == pytest.approx(np.mean(vendi), rel=1e-4)
    assert 1 < found["vendi-real"] < NUM_SAMPLES
    assert found["afd"] == pytest.approx(np.mean([pdist(one).mean() for one in of_samples]), rel=1e-4)
    assert found["afd-real-pairs"] == pytest.approx(pdist(of_reals).mean(), rel=1e-5)
    translator = package.load(bundle, device="cpu")
    z = np.stack([translator.sample_z(NUM_SAMPLES, seed=derive_seed(0, "evaluate", position=i)) for i in range(6)])
    assert found["z-r2"] == pytest.approx(read_latents(of_samples, z).r_squared.mean(), abs=0.01)
    assert {"z-r2-jpeg", "z-r2-half"} < found.keys()

    seen = colour_features(np.stack([pixels(file)[:, 32:] for file in sorted((shapes / "train").iterdir())]))
    nearer = [
        cdist(one, seen).min(axis=1) < cdist(one, np.delete(of_reals, index, 0)).min(axis=1)
        for index, one in enumerate(of_samples)
    ]
    assert found["memorisation"] == pytest.approx(np.mean(nearer))
    note = notes_of(report)["memorisation"]
    assert note.startswith(f"share nearer to one of {NUM_TRAIN} training images than to any of 5 others; chance: 0.5 ±")


def test_who_has_not_what_they_need(
    make_bundle: Callable[..., Path], shapes: Path, features: Path, tmp_path: Path
) -> None:
    bundle = make_bundle(size=(32, 32))
    words = ("--features", features, "--num-samples")
    _, single = evaluate(bundle, shapes, *words, "1", out=tmp_path / "single")
    left_out = {one["metric"]: one["reason"] for one in single["left_out"]}
    few = "it needs at least 2 samples of each input, not --num-samples 1"
    assert [left_out[name] for name in (*OF_ENSEMBLES, "vendi", "afd", "z-r2")] == [few] * 8
    assert "memorisation" in scores_of(single)  # of models with one output too
    two = write_dataset(tmp_path / "two", size=32, num_train=3, num_val=1, num_test=4, layout="unpaired")
    make_cyclegan(tmp_path / "cyclegan")
    _, cycle = evaluate(tmp_path / "cyclegan", two, *words, "1", "--direction", "AtoB", out=tmp_path / "cycle")
    left_out = {one["metric"]: one["reason"] for one in cycle["left_out"]}
    assert left_out["z-r2"] == "it needs a model with a latent"
    assert left_out["vendi"] == "it needs a model that gives several samples of one input"
    assert "unpaired" in left_out["crps"]
    _, unpaired = evaluate(bundle, two, *words, "2", out=tmp_path / "unpaired")
    assert {"vendi", "afd", "z-r2", "memorisation"} < scores_of(unpaired).keys()
    folders = ("--images", shapes / "test", shapes / "train", "--features", features)
    _, images = evaluate(*folders, out=tmp_path / "images")
    left_out = {one["metric"]: one["reason"] for one in images["left_out"]}
    assert left_out["memorisation"] == "it needs a model, and the images that it was trained on"
    refused, _ = evaluate(*folders, "--training-data", shapes, out=tmp_path / "no", status=2)
    assert "--training-data has no effect" in refused.err


def test_where_the_training_images_are(
    make_bundle: Callable[..., Path], shapes: Path, features: Path, tmp_path: Path
) -> None:
    bundle = make_bundle(size=(32, 32))
    shutil.copytree(shapes / "test", tmp_path / "other" / "test")
    words = ("--features", features, "--num-samples", "2", "--metrics", "memorisation")
    refused, _ = evaluate(bundle, tmp_path / "other", *words, out=tmp_path / "no", status=2)
    assert "give their dataset with --training-data" in refused.err
    refused, _ = evaluate(bundle, shapes, "--split", "train", *words, out=tmp_path / "no", status=2)
    assert "measure a split that it was not trained on" in refused.err
    refused, _ = evaluate(bundle, shapes, *words, "--training-data", tmp_path / "other", out=tmp_path / "no", status=1)
    assert "has no split 'train'" in refused.err
    _, own = evaluate(bundle, shapes, *words, out=tmp_path / "own")
    given = ("--training-data", shapes)
    _, named = evaluate(bundle, tmp_path / "other", *words, *given, out=tmp_path / "named")
    assert scores_of(named) == scores_of(own)
    (tmp_path / "broken").mkdir()
    for split in ("train", "test"):
        shutil.copytree(shapes / split, tmp_path / "broken" / split)
    next(iter(sorted((tmp_path / "broken" / "train").iterdir()))).write_bytes(b"no image")
    finished, broken = evaluate(bundle, tmp_path / "broken", *words, out=tmp_path / "some")
    assert notes_of(broken)["memorisation"].startswith(f"share nearer to one of {NUM_TRAIN - 1} training images")
    assert "cannot be read" in finished.err


def test_a_run_knows_its_training_images(shapes: Path, features: Path, tmp_path: Path) -> None:
    """They are those that it was trained on, though the dataset that is measured has others; and validations."""
    data = tmp_path / "data"
    write_dataset(data, size=32, num_train=3, num_val=4, num_test=1, seed=1)
    measured = "crps,rank-histogram,vendi,z-r2"
    options = {"validate_every": 1, "validate_samples": 3, "validate_features": features}
    train(data, tmp_path / "run", steps=1, **options, validate_metrics=measured)
    words = ("--features", features, "--num-samples", "3", "--metrics")
    _, report = evaluate(tmp_path / "run", shapes, *words, "memorisation", out=tmp_path / "out")
    assert notes_of(report)["memorisation"].startswith("share nearer to one of 3 training images")
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    numbers = next(line["numbers"] for line in lines if line["kind"] == "validation")
    _, later = evaluate(tmp_path / "run", data, "--split", "val", *words, measured, out=tmp_path / "val")
    found = scores_of(later)
    for name in ("crps", "crps-4", "rank-bias", "rank-dispersion", "rank-flatness-p", "vendi", "z-r2", "z-r2-half"):
        assert numbers[name] == pytest.approx(found[name], rel=1e-6), name


def test_the_reference_of_vendi_is_of_random_real_outputs(
    make_bundle: Callable[..., Path], shapes: Path, features: Path, tmp_path: Path
) -> None:
    words = ("--features", features, "--metrics", "vendi", "--num-samples")
    bundle = make_bundle(size=(32, 32))
    _, report = evaluate(bundle, shapes, *words, "4", out=tmp_path / "four")
    reals = colour_features(images_of(bundle, shapes)[0])
    generator = numpy_generator(0, "vendi/real", position=NUM_TEST)
    groups = [generator.permutation(NUM_TEST)[:4] for _ in range(NUM_TEST)]
    expected = np.mean([vendi_score(reals[group], centre=reals.mean(axis=0)) for group in groups])
    assert scores_of(report)["vendi-real"] == pytest.approx(expected, rel=1e-5)
    _, more = evaluate(bundle, shapes, *words, "7", out=tmp_path / "seven")
    assert scores_of(more).keys() == {"vendi"}


def test_small_images_are_left_out_of_what_they_are_too_small_for(
    make_bundle: Callable[..., Path], tmp_path: Path
) -> None:
    """Of three inputs one has no square of 16 px; of the small one alone there is no such number."""
    bundle = make_bundle(size=(32, 32))
    for name, sizes in (("some", [(32, 32), (32, 32), (8, 32)]), ("none", [(8, 32)])):
        for index, size in enumerate(sizes):
            write_pairs(tmp_path / "one", 1, size=size, seed=index)
            (tmp_path / name / "test").mkdir(parents=True, exist_ok=True)
            (tmp_path / "one" / "0.png").rename(tmp_path / name / "test" / f"{index}.png")
    words = ("--num-samples", "2", "--metrics", "crps")
    _, some = evaluate(bundle, tmp_path / "some", *words, out=tmp_path / "a")
    counts = {score["name"]: score["count"] for result in some["results"] for score in result["scores"]}
    assert counts == {"crps": 3, "crps-4": 3, "crps-16": 2}
    assert notes_of(some)["crps-16"] == "of means over 16 px; 2 of 3 inputs are large enough"
    _, none = evaluate(bundle, tmp_path / "none", *words, out=tmp_path / "b")
    assert scores_of(none).keys() == {"crps", "crps-4"}
