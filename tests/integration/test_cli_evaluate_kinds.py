"""``tandem evaluate`` with models and data of every kind: both directions, grey outputs, record files, dropout."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support import pixels, tandem, train

import tandem as package
from model_files import write_random_features
from preprocessing import preprocessing
from tandem.checkpoint.bundle import save_bundle
from tandem.checkpoint.manifest import Manifest
from tandem.config.specifications import ResNetSpec
from tandem.data.synthetic import write_dataset
from tandem.networks.build import build_network
from tandem.rng import derive_seed


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("shapes") / "demo", size=32, num_train=2, num_val=1, num_test=3)


def scores(*words: str | Path, out: Path) -> dict[str, float]:
    finished = tandem("evaluate", *words, "--out", out, "--device", "cpu")
    assert finished.status == 0, finished.err
    report: dict[str, Any] = json.loads((out / "report.json").read_text())
    return {score["name"]: score["value"] for result in report["results"] for score in result["scores"]}


def halves(data: Path) -> tuple[np.ndarray, np.ndarray]:
    both = np.stack([pixels(file) for file in sorted((data / "test").iterdir())])
    return both[:, :, :32], both[:, :, 32:]


def test_a_model_that_goes_both_ways(shapes: Path, tmp_path: Path) -> None:
    spec = ResNetSpec(in_channels=3, out_channels=3, filters=2, blocks=1)
    manifest = Manifest(
        tandem_version="0",
        method="cyclegan",
        networks={"gen_ab": spec, "gen_ba": spec},
        preprocessing=preprocessing((32, 32)),
    )
    save_bundle(tmp_path / "cyclegan", manifest, {name: build_network(spec) for name in manifest.networks})
    translator = package.load(tmp_path / "cyclegan", device="cpu")
    a, b = halves(shapes)
    for way, inputs, ground_truths in (("AtoB", a, b), ("BtoA", b, a)):
        found = scores(tmp_path / "cyclegan", shapes, "--direction", way, "--metrics", "l1,psnr", out=tmp_path / way)
        made = np.stack([translator(one, direction=way, output="array")[0] for one in inputs])  # type: ignore[arg-type]
        assert found["l1"] == pytest.approx(np.abs(made / 255 - ground_truths / 255).mean())
        assert "l1-best" not in found  # one sample is no choice
    finished = tandem("evaluate", tmp_path / "cyclegan", shapes, "--metrics", "l1-diversity", "--out", tmp_path / "no")
    assert finished.status == 2
    assert "it needs a model that gives several samples of one input" in finished.err


def test_grey_outputs(make_bundle: Callable[..., Path], shapes: Path, tmp_path: Path) -> None:
    bundle = make_bundle(channels=(3, 1), size=(32, 32))
    features = write_random_features(tmp_path / "features.onnx")
    words = ("--num-samples", "2", "--features", features, "--metrics", "l1,kid,l1-diversity")
    found = scores(bundle, shapes, *words, out=tmp_path / "out")
    translator = package.load(bundle, device="cpu")
    a, b = halves(shapes)
    grey = np.stack([np.asarray(Image.fromarray(one).convert("L")) for one in b])[:, None, :, :, None]
    made = np.stack(
        [
            translator(one, 2, seed=derive_seed(0, "evaluate", position=index), output="array")
            for index, one in enumerate(a)
        ]
    )
    assert made.shape[-1] == 1
    assert found["l1"] == pytest.approx(np.abs(made / 255 - grey / 255).mean(), rel=0.01)  # other grey than Pillow's


def test_record_files_give_the_numbers_of_the_folder(
    make_bundle: Callable[..., Path], shapes: Path, tmp_path: Path
) -> None:
    bundle = make_bundle(size=(32, 32))
    finished = tandem("data", "pack", shapes, tmp_path / "packed")
    assert finished.status == 0, finished.err
    words = ("--num-samples", "2", "--metrics", "l1,ssim,l1-diversity,bijection")
    expected = scores(bundle, shapes, *words, out=tmp_path / "a")
    assert scores(bundle, tmp_path / "packed", *words, out=tmp_path / "b") == expected


def test_samples_by_dropout(shapes: Path, tmp_path: Path) -> None:
    train(shapes, tmp_path / "run", method="pix2pix", size=64, steps=2, latent_dim=None, encoder_filters=None)
    found = scores(tmp_path / "run", shapes, "--num-samples", "3", "--metrics", "l1,l1-diversity", out=tmp_path / "out")
    assert found["l1-diversity"] > 0
    assert found["l1-best"] < found["l1"]


def test_damaged_training_images_stop_nothing(make_bundle: Callable[..., Path], shapes: Path, tmp_path: Path) -> None:
    """They are looked at only to warn of copies; a copy is found all the same, and the numbers stay."""
    bundle, data = make_bundle(size=(32, 32)), tmp_path / "damaged"
    shutil.copytree(shapes, data)
    files = sorted((data / "train").iterdir())
    shutil.copy(files[0], data / "test" / "copy.png")
    words = ("--metrics", "l1", "--num-samples", "1")
    whole = scores(bundle, data, *words, out=tmp_path / "whole")
    files[1].write_bytes(files[1].read_bytes()[:200])
    finished = tandem("evaluate", bundle, data, *words, "--out", tmp_path / "out", "--device", "cpu")
    assert finished.status == 0, finished.err
    assert f"1 of {len(files)} images of the training split cannot be read" in finished.err
    assert "1 of " in finished.err
    assert "real images look like an image of the training split" in finished.err
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert {score["name"]: score["value"] for result in report["results"] for score in result["scores"]} == whole
