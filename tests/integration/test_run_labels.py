"""Runs on label maps: as inputs and as outputs, sampled, measured, interrupted and resumed."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support import TINY_OPTIONS, tandem

import tandem as package
from tandem.checkpoint.store import CheckpointStore
from tandem.data.array_files import write_image
from tandem.errors import TandemError
from tandem.inference.large import translate_tiff
from tandem.inference.sampling import SamplingOptions

COLOURS = [(250, 0, 0), (0, 250, 0), (0, 0, 250)]
VALUES = [7, 0, 200]
OTHERS = '[["a",[7]],["b",[0]],["c",[200]]]'
TINY: dict[str, Any] = TINY_OPTIONS | {
    "method": "pix2pix",
    "generator_depth": 3,
    "dropout": False,
    "steps": 4,
    "snapshot_every": 2,
    "validate_every": 4,
}
del TINY["encoder_filters"], TINY["latent_dim"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Label maps in A, pictures of them in B."""
    root = tmp_path_factory.mktemp("labels")
    for split, number in (("train", 4), ("test", 2)):
        for index in range(number):
            blocks = np.random.default_rng(index).integers(0, 3, (5, 5))
            labels = np.kron(blocks, np.ones((8, 8), np.int64))
            for side, image in (("A", np.array(VALUES, np.uint8)[labels]), ("B", np.array(COLOURS, np.uint8)[labels])):
                (root / f"{split}{side}").mkdir(exist_ok=True)
                write_image(root / f"{split}{side}" / f"{index}.png", image)
    entries = [
        {"name": name, "value": value, "colour": colour}
        for name, value, colour in zip(("roof", "tree", "lake"), VALUES, COLOURS, strict=True)
    ]
    (root / "classes.json").write_text(json.dumps({"classes": entries}))
    return root


def test_label_maps_as_inputs(data: Path, tmp_path: Path) -> None:
    run = package.train(
        data, tmp_path / "run", quiet=True, **TINY, classes_a=str(data / "classes.json"), augment_rotate=10.0
    )
    translator = run.load(device="cpu")
    assert translator.manifest.preprocessing.input_channels == 3
    one = data / "testA" / "0.png"
    outputs = [
        translator(given, output="array") for given in (one, np.array(Image.open(one)), data / "testB" / "0.png")
    ]
    assert outputs[0].shape == (1, 40, 40, 3)
    assert all(np.array_equal(outputs[0], other) for other in outputs)  # by values, by colours
    finished = tandem("sample", tmp_path / "run", data / "testA", "--out", tmp_path / "out")
    assert finished.status == 0, finished.err
    shown = package.read_image(next((tmp_path / "out").rglob("0_input.png")))
    assert np.array_equal(shown, package.read_image(data / "testB" / "0.png"))  # in colours
    write_image(tmp_path / "bad.png", np.full((40, 40), 9, np.uint8))
    finished = tandem("sample", tmp_path / "run", tmp_path / "bad.png", "--out", tmp_path / "bad")
    assert finished.status != 0
    assert "bad.png: holds the value 9, which is no class, in 1600 of 1600 pixels" in finished.err


def test_label_maps_as_outputs(data: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = TINY | {"direction": "BtoA", "classes_a": str(data / "classes.json")}
    run = package.train(data, tmp_path / "run", quiet=True, **options)
    translator = run.load(device="cpu")
    one = data / "testB" / "0.png"
    values = translator(one, output="values")
    planes = translator(one, output="tensor").numpy()
    assert (values.dtype, values.shape) == (np.uint8, (1, 40, 40, 1))
    assert np.array_equal(values[..., 0], np.array(VALUES, np.uint8)[planes.argmax(axis=1)])
    (picture,) = translator(one)
    assert picture.mode == "P"
    assert np.array_equal(np.array(picture), values[0, :, :, 0])
    (colours,) = translator(one, output="array")
    assert np.array_equal(colours, np.array(picture.convert("RGB")))

    for out, words in (("only", ["--only", "outputs"]), ("page", []), ("one.png", [])):
        given = one if out.endswith("png") else data
        finished = tandem("sample", tmp_path / "run", given, "--out", tmp_path / out, *words)
        assert finished.status == 0, finished.err
    kept = next((tmp_path / "page").rglob("0_output_values_01.png"))
    for path in (tmp_path / "only" / "0.png", tmp_path / "one.png", kept):
        with Image.open(path) as image:
            assert image.mode == "P"
            assert np.array_equal(np.array(image), values[0, :, :, 0])

    finished = tandem("evaluate", tmp_path / "run", data, "--out", tmp_path / "report")
    assert finished.status == 0, finished.err
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    scores = {score["name"]: score["value"] for result in report["results"] for score in result["scores"]}
    truths = [np.array(Image.open(data / "testA" / f"{index}.png")) for index in range(2)]
    made = [translator(data / "testB" / f"{index}.png", output="values")[0, :, :, 0] for index in range(2)]
    hits = np.mean([own == truth for own, truth in zip(made, truths, strict=True)])
    assert scores["label-accuracy"] == pytest.approx(hits)
    unions = [
        np.sum((np.array(made) == v) & (np.array(truths) == v))
        / np.sum((np.array(made) == v) | (np.array(truths) == v))
        for v in VALUES
    ]
    assert scores["label-iou"] == pytest.approx(np.mean(unions))
    assert scores["l1"] == pytest.approx(2 / 3 * (1 - hits))
    reasons = {one["metric"]: one["reason"] for one in report["left_out"]}
    assert "outputs are label maps" in reasons["ssim"]
    finished = tandem("sample", tmp_path / "run", data, "--out", tmp_path / "spread", "--spread")
    assert "the outputs of this model are label maps: leave it out" in finished.err
    write_image(tmp_path / "x.tif", package.read_image(one))
    translate_tiff(translator, tmp_path / "x.tif", [tmp_path / "y.tif"], SamplingOptions(fit="pad"))  # part by part
    assert np.array_equal(package.read_image(tmp_path / "y.tif"), translator(one, fit="pad", output="values")[0])


def test_an_interrupted_run_is_the_same_run(data: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = TINY | {"classes_a": str(data / "classes.json")}
    package.train(data, tmp_path / "whole", quiet=True, **options)
    begun: dict[str, Any] = options | {"steps": 2}
    other: dict[str, Any] = options | {"classes_a": OTHERS}
    package.train(data, tmp_path / "parts", quiet=True, **begun)
    package.train(data, tmp_path / "parts", quiet=True, **options)
    whole, parts = (CheckpointStore(tmp_path / name / "checkpoints").read(4)[1] for name in ("whole", "parts"))
    assert whole.keys() == parts.keys()
    assert all(whole[name].equal(parts[name]) for name in whole)
    with pytest.raises(TandemError, match="classes_a: was"):
        package.train(data, tmp_path / "parts", quiet=True, **other)
