"""``tandem evaluate``: numbers against independent computations, the same report again, folders, errors."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from support import Finished, assert_page_is_whole, files_of, pixels, tandem

import tandem as package
from model_files import write_onnx
from tandem.data.synthetic import classify_mode, load_dataset_info, write_dataset
from tandem.evaluation.networks.lpips import LPIPS
from tandem.networks.backbones.classifiers import TAP_CHANNELS, Backbone
from tandem.rng import derive_seed

NUM_TEST, NUM_SAMPLES = 7, 3


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("shapes") / "demo", size=32, num_train=5, num_val=1, num_test=NUM_TEST)


@pytest.fixture
def bundle(make_bundle: Callable[..., Path]) -> Path:
    return make_bundle(size=(32, 32))


@pytest.fixture
def colours(tmp_path: Path) -> Path:
    """A feature network that sees mean colours, mixed."""
    weight = np.array([[1, 0, 0], [0, 1, 0], [0.5, 0.5, 1], [1, -1, 0]], np.float32)
    return write_onnx(tmp_path / "colours.onnx", weight=weight[:, :, None, None])


def evaluate(*words: str | Path, out: Path, status: int = 0) -> tuple[Finished, dict[str, Any]]:
    finished = tandem("evaluate", *words, "--out", out, "--device", "cpu")
    assert finished.status == status, finished.err
    report = out / "report.json"
    return finished, json.loads(report.read_text()) if status == 0 else {}


def scores_of(report: dict[str, Any]) -> dict[str, float]:
    return {score["name"]: score["value"] for result in report["results"] for score in result["scores"]}


def samples_of(bundle: Path, data: Path, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inputs, ground truths and samples ``(N, M, H, W, 3)``, made without the code that is tested."""
    translator = package.load(bundle, device="cpu")
    inputs, ground_truths, samples = [], [], []
    for index, file in enumerate(sorted((data / "test").iterdir())):
        both = pixels(file)
        inputs.append(both[:, :32])
        ground_truths.append(both[:, 32:])
        made = translator(inputs[-1], NUM_SAMPLES, seed=derive_seed(seed, "evaluate", position=index), output="array")
        samples.append(made)
    return np.stack(inputs), np.stack(ground_truths), np.stack(samples)


def colour_features(images: np.ndarray) -> np.ndarray:
    weight = np.array([[1, 0, 0], [0, 1, 0], [0.5, 0.5, 1], [1, -1, 0]])
    return ((images.astype(np.float64) - 127.5) / 127.5).mean(axis=(1, 2)) @ weight.T


def frechet(x: np.ndarray, y: np.ndarray) -> float:
    a, b = np.cov(x.T), np.cov(y.T)
    # A small ridge would change the number: the covariances here have rank 3 of 4, so the root is taken of a product
    # that sqrtm handles through its eigenvalues.
    values = scipy.linalg.eigvals(a @ b).real.clip(min=0)
    return float(np.square(x.mean(0) - y.mean(0)).sum() + np.trace(a) + np.trace(b) - 2 * np.sqrt(values).sum())


def kernel_distance(x: np.ndarray, y: np.ndarray) -> float:
    def kernel(p: np.ndarray, q: np.ndarray) -> float:
        return float((p @ q / len(p) + 1) ** 3)

    own = [np.mean([kernel(p, q) for i, p in enumerate(z) for j, q in enumerate(z) if i != j]) for z in (x, y)]
    return float(own[0] + own[1] - 2 * np.mean([kernel(p, q) for p in x for q in y]))


def test_numbers_of_a_model(bundle: Path, shapes: Path, colours: Path, tmp_path: Path) -> None:
    finished, report = evaluate(
        bundle, shapes, "--num-samples", "3", "--features", colours, "--batch-size", "3", out=tmp_path / "out"
    )
    _, ground_truths, samples = samples_of(bundle, shapes)
    found = scores_of(report)
    difference = np.abs(samples / 255 - ground_truths[:, None] / 255)
    by_sample = difference.mean(axis=(2, 3, 4))
    assert found["l1"] == pytest.approx(by_sample.mean(), rel=1e-12)
    assert found["l1-best"] == pytest.approx(by_sample.min(axis=1).mean(), rel=1e-12)
    decibels = -10 * np.log10(np.square(difference).mean(axis=(2, 3, 4)))
    assert found["psnr"] == pytest.approx(decibels.mean(), rel=1e-12)
    assert found["psnr-best"] == pytest.approx(decibels.max(axis=1).mean(), rel=1e-12)
    steps = np.abs(np.diff(samples.astype(np.float64), axis=1)) / 255
    assert found["l1-diversity"] == pytest.approx(steps.mean(), rel=1e-12)
    real, fake = colour_features(ground_truths), colour_features(samples[:, 0])
    assert found["frechet"] == pytest.approx(frechet(real, fake), rel=1e-5)
    assert found["kid"] == pytest.approx(kernel_distance(real, fake), rel=1e-5)
    info = load_dataset_info(shapes)
    names = sorted(file.stem for file in (shapes / "test").iterdir())
    modes = [
        [classify_mode(one, info.mask("test", name)) for one in of] for name, of in zip(names, samples, strict=True)
    ]
    assert found["modes"] == np.mean([len(set(of) - {-1}) for of in modes])
    assert found["no-mode"] == pytest.approx(np.mean(np.array(modes) == -1))
    translator = package.load(bundle, device="cpu")
    latents = [translator.sample_z(3, seed=derive_seed(0, "evaluate", position=index)) for index in range(NUM_TEST)]
    errors = [np.abs(translator.encode(of)[0] - z).mean() for of, z in zip(samples, latents, strict=True)]
    assert found["z-error"] == pytest.approx(np.mean(errors), rel=1e-6)
    assert report["per_input"]["l1"] == pytest.approx(by_sample.mean(axis=1).tolist())
    left_out = {one["metric"]: one["reason"] for one in report["left_out"]}
    without_weights = {"fid", "lpips", "best-of-n", "lpips-diversity", "segmentation"}
    not_calibrated = {"calibrated-coverage", "flagged-fdr"}
    assert left_out.keys() == without_weights | not_calibrated | {"ms-ssim", "cycle", "identity", "labels"}
    reason = (
        f"it needs sides of at least 176 px, which {NUM_TEST} of {NUM_TEST} images do not have; the first of them is"
    )
    assert f"left out: ms-ssim ({reason} " in finished.err
    assert "biased upwards" in finished.err
    assert_page_is_whole(tmp_path / "out" / "report.html", least=6)


def lpips_files(folder: Path) -> list[str | Path]:
    """SqueezeNet and heads with random weights."""
    folder.mkdir()
    torch.manual_seed(0)
    save_file(Backbone("squeeze").state_dict(), folder / "backbone.safetensors")
    heads = {
        f"lin{k}.model.1.weight": torch.rand(1, channels, 1, 1) for k, channels in enumerate(TAP_CHANNELS["squeeze"])
    }
    save_file(heads, folder / "heads.safetensors")
    words = ["--lpips-network", "squeeze", "--lpips-version", "v0.1"]
    return [*words, "--lpips-backbone", folder / "backbone.safetensors", "--lpips-heads", folder / "heads.safetensors"]


def test_numbers_of_lpips(bundle: Path, shapes: Path, tmp_path: Path) -> None:
    words = lpips_files(tmp_path / "weights")
    metrics = "lpips,best-of-n,lpips-diversity"
    finished, report = evaluate(
        bundle, shapes, "--num-samples", "3", "--metrics", metrics, *words, out=tmp_path / "out"
    )
    distance = LPIPS(
        "squeeze",
        "v0.1",
        backbone=load_file(words[5]),
        heads=load_file(words[7]),
    )
    _, ground_truths, samples = samples_of(bundle, shapes)

    def between(a: np.ndarray, b: np.ndarray) -> float:
        x, y = (torch.from_numpy(np.moveaxis(one, -1, 0).copy())[None] for one in (a, b))
        return float(distance(x, y))

    rows = np.array([[between(one, truth) for one in of] for of, truth in zip(samples, ground_truths, strict=True)])
    diverse = np.array([[between(of[0], of[1]), between(of[1], of[2])] for of in samples])
    pairs = [between(ground_truths[i], ground_truths[j]) for i in range(NUM_TEST) for j in range(i)]
    found = scores_of(report)
    assert found["lpips"] == pytest.approx(rows.mean(), rel=1e-5)
    assert found["best-of-n"] == pytest.approx(rows.min(axis=1).mean(), rel=1e-5)
    assert found["lpips-diversity"] == pytest.approx(diverse.mean(), rel=1e-5)
    assert found["lpips-real-pairs"] == pytest.approx(np.mean(pairs), rel=1e-5)
    errors = {s["name"]: s["standard_error"] for result in report["results"] for s in result["scores"]}
    assert errors["lpips-diversity"] == pytest.approx(diverse.mean(axis=1).std(ddof=1) / np.sqrt(NUM_TEST), rel=1e-4)
    assert "published diversity is v0.0" in finished.err
    assert "is not the published file of 'squeeze'" in finished.err
    deviations = report["results"][-1]["depends_on"]["differs_from_protocol_in"]
    assert "3 samples instead of 20" in deviations


def test_the_same_seed_gives_the_same_report(bundle: Path, shapes: Path, tmp_path: Path) -> None:
    words = (bundle, shapes, "--num-samples", "2", "--metrics", "l1,l1-diversity,bijection")
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        evaluate(*words, "--seed", seed, out=tmp_path / name)
    a, b, c = (
        {name: content for name, content in files_of(tmp_path / one).items() if not name.startswith("cache")}
        for one in "abc"
    )
    assert a == b
    assert a["report.json"] != c["report.json"]


def test_two_equal_folders(shapes: Path, colours: Path, tmp_path: Path) -> None:
    for name in ("real", "same"):
        shutil.copytree(shapes / "test", tmp_path / name)
    finished, report = evaluate(
        "--images", tmp_path / "real", tmp_path / "same", "--features", colours, out=tmp_path / "out"
    )
    found = scores_of(report)
    assert found["frechet"] == pytest.approx(0, abs=1e-9)
    assert found["l1"] == 0
    assert found["ssim"] == pytest.approx(1)
    assert found["precision"] == found["coverage"] == 1
    assert "psnr" not in found
    assert f"{NUM_TEST} of {NUM_TEST} images are the same files in both folders" in finished.err
    assert f"{NUM_TEST} of {NUM_TEST} images are equal to their ground truth" in finished.err


def test_two_folders_of_other_names_and_sizes(shapes: Path, colours: Path, tmp_path: Path) -> None:
    shutil.copytree(shapes / "test", tmp_path / "real")
    (tmp_path / "made").mkdir()
    images = []
    for index, file in enumerate(sorted((shapes / "train").iterdir())):
        image = Image.fromarray(pixels(file)).resize((40, 24))
        image.save(tmp_path / "made" / f"x{index}.png")
        images.append(np.asarray(image))
    finished, report = evaluate(
        "--images", tmp_path / "real", tmp_path / "made", "--features", colours, out=tmp_path / "out"
    )
    real = colour_features(np.stack([pixels(file) for file in sorted((tmp_path / "real").iterdir())]))
    assert scores_of(report)["frechet"] == pytest.approx(frechet(real, colour_features(np.stack(images))), rel=1e-5)
    assert "images have different sizes" in finished.err
    assert "left out: l1 (the folders hold different names" in finished.err


def test_unpaired_data_is_held_against_the_target_domain(bundle: Path, colours: Path, tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "two", size=32, num_train=3, num_val=1, num_test=4, layout="unpaired")
    finished, report = evaluate(bundle, data, "--features", colours, "--num-samples", "1", out=tmp_path / "out")
    translator = package.load(bundle, device="cpu")
    inputs = [pixels(file) for file in sorted((data / "testA").iterdir())]
    fakes = [
        translator(one, 1, seed=derive_seed(0, "evaluate", position=index), output="array")[0]
        for index, one in enumerate(inputs)
    ]
    reals = [pixels(file) for file in sorted((data / "testB").iterdir())]
    expected = frechet(colour_features(np.stack(reals)), colour_features(np.stack(fakes)))
    assert scores_of(report)["frechet"] == pytest.approx(expected, rel=1e-5)
    assert "left out: l1 (the data is unpaired" in finished.err


def test_training_images_among_the_test_images(bundle: Path, shapes: Path, tmp_path: Path) -> None:
    data = tmp_path / "leaky"
    shutil.copytree(shapes, data)
    (data / "demo.json").unlink()
    files = sorted((data / "train").iterdir())
    shutil.copy(files[0], data / "test" / "copy.png")
    noisy = pixels(files[1]).astype(int) + np.random.default_rng(0).integers(-1, 2, (32, 64, 3))
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(data / "test" / "noisy.png")
    Image.fromarray(pixels(files[2])[:, ::-1]).save(data / "test" / "mirrored.jpg")
    finished, _ = evaluate(bundle, data, "--metrics", "l1", "--num-samples", "1", out=tmp_path / "out")
    total = NUM_TEST + 3
    assert f"1 of {total} real images are files of the training split" in finished.err
    assert f"2 of {total} real images look like an image of the training split" in finished.err
    assert f"1 of {total} real images are JPEG" in finished.err


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["MODEL", "DATA", "--metrics", "fdi"], 2, "there is no metric 'fdi'. Did you mean fid?"),
        (["MODEL", "DATA", "--metrics", ","], 2, "--metrics names no metric"),
        (["MODEL", "DATA", "--metrics", "frechet"], 2, "--metrics frechet: it needs --features FILE"),
        (["MODEL", "DATA", "--metrics", "ms-ssim"], 2, "sides of at least 176 px"),
        (["MODEL", "DATA", "--metrics", "l1-diversity", "--num-samples", "1"], 2, "at least 2 samples"),
        (["MODEL", "DATA", "--num-samples", "0"], 2, "--num-samples must be at least 1, not 0"),
        (["MODEL", "DATA", "--palette", "nothing.json"], 2, "--palette nothing.json is no JSON list"),
        (["MODEL", "DATA", "--direction", "BtoA"], 2, "direction must be AtoB"),
        (["MODEL", "DATA", "--split", "tset"], 1, "has no split 'tset'"),
        (["MODEL", "DATA", "--features", "no.onnx", "--metrics", "kid"], 1, "no.onnx"),
        (["MODEL", "DATA", "--features", "net.pt", "--metrics", "kid"], 1, "a program that can read and write"),
        (["MODEL", "DATA", "--inception", "net.pt", "--metrics", "fid"], 1, "net.pt"),
        (["MODEL", "DATA", "--weights", "nowhere"], 2, "--weights nowhere is no folder"),
        (["MODEL", "DATA", "--num-workers", "-1"], 2, "--num-workers must be at least 0, not -1"),
        (["MODEL"], 2, "give MODEL and DATA, or --images"),
        (["MODEL", "--images", "DATA", "DATA"], 2, "MODEL has no effect"),
        (["--images", "DATA", "DATA"], 1, "is called like a split"),
        (["DATA", "DATA"], 1, "no model at"),
        (["MODEL", "DATA", "--segmenter", "net.pt"], 2, "belong together"),
    ],
)
def test_errors_leave_nothing(
    words: list[str], status: int, message: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    bundle, shapes = request.getfixturevalue("bundle"), request.getfixturevalue("shapes")
    request.getfixturevalue("monkeypatch").chdir(tmp_path)
    (tmp_path / "net.pt").write_bytes(b"no network")
    before = files_of(tmp_path)
    places = {"MODEL": str(bundle), "DATA": str(shapes)}
    finished, _ = evaluate(*(places.get(word, word) for word in words), out=tmp_path / "out", status=status)
    assert message in finished.err
    assert files_of(tmp_path) == before


def test_a_damaged_image_leaves_no_report(bundle: Path, shapes: Path, tmp_path: Path) -> None:
    data = tmp_path / "damaged"
    shutil.copytree(shapes, data)
    last = sorted((data / "test").iterdir())[-1]
    last.write_bytes(last.read_bytes()[:200])
    finished, _ = evaluate(bundle, data, "--metrics", "l1", "--batch-size", "2", out=tmp_path / "out", status=1)
    assert last.name in finished.err
    assert not (tmp_path / "out" / "report.json").exists()
