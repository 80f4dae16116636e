"""``tandem compare --inputs``: what several models make of the same inputs, going on, and models that cannot."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import assert_page_is_whole, files_of, tandem

import tandem as package
from cyclegan_bundle import make_cyclegan
from tandem.data.images import read_image

PICTURE = re.compile(r'<img src="(outputs/[^"]+)" alt="([^"]+)" width="(\d+)" height="(\d+)"')


@pytest.fixture
def models(make_bundle: Callable[..., Path]) -> list[Path]:
    """Three networks: one of another size and direction, one that reads a single channel."""
    made = [
        make_bundle("first"),
        make_bundle("turned", size=(32, 32), generator={"filters": 3}),
        make_bundle("grey", channels=(1, 3)),
    ]
    file = made[1] / "model.json"
    file.write_text(file.read_text().replace('"direction": "AtoB"', '"direction": "BtoA"'))
    return made


def pictures_of(page: Path) -> dict[str, Path]:
    """By what they show; the page says how large each is, so that nothing moves when it is loaded."""
    shown = PICTURE.findall(page.read_text())
    assert len(shown) == page.read_text().count("<img ")
    for src, _, width, height in shown:
        assert read_image(page.parent / src).shape[:2] == (int(height), int(width))
    return {alt: page.parent / src for src, alt, _, _ in shown}


def test_the_same_inputs_through_several_models(models: list[Path], data: Path, tmp_path: Path) -> None:
    """Pictures are those that each model gives with the seed, and a second call makes none of them again."""
    out = tmp_path / "out"
    words = ("compare", *models, "--inputs", data, "--split", "train", "--num-inputs", "2", "--out", out)
    finished = tandem(*words)
    assert finished.status == 0, finished.err
    assert "the first 2 of 7 inputs" in finished.err
    page = out / "comparison.html"
    assert_page_is_whole(page, least=2 * 3 * 3 + 2 * 2 * 2)
    shown = pictures_of(page)
    files = sorted((data / "train").iterdir())[:2]
    for file in files:
        whole = read_image(file)
        half = whole.shape[1] // 2
        a, b = whole[:, :half], whole[:, half:]
        for model in models:
            made = package.load(model, device="cpu")(b if model.name == "turned" else a, 3, seed=0, output="array")
            for index, expected in enumerate(made):
                found = read_image(shown[f"{file.stem} by {model.name}: sample {index + 1}"])
                np.testing.assert_array_equal(found, expected)
    assert f'alt="Ground truth of {files[0].stem}"' in page.read_text()
    assert "| turned | bicyclegan | 7 | 32×32 px | 2 | BtoA |" in (out / "comparison.md").read_text()

    before = {path: path.stat().st_mtime_ns for path in out.glob("outputs/*/images/*")}
    lost = shown[f"{files[1].stem} by grey: sample 2"]
    lost.unlink()
    assert tandem(*words).status == 0
    after = {path: path.stat().st_mtime_ns for path in out.glob("outputs/*/images/*")}
    assert before.keys() == after.keys()
    again = {path for path in before if before[path] != after[path]}
    assert lost in again
    assert all(path.parent == lost.parent and path.name.startswith(files[1].stem) for path in again)


def test_plain_images_are_one_row_for_all(models: list[Path], tmp_path: Path) -> None:
    Image.fromarray(np.full((24, 24, 3), 90, np.uint8)).save(tmp_path / "x.png")
    finished = tandem(
        *("compare", *models, "--inputs", tmp_path / "x.png", "--num-samples", "1", "--out", tmp_path / "out")
    )
    assert finished.status == 0, finished.err
    names = pictures_of(tmp_path / "out" / "comparison.html")
    assert list(names) == ["Input x", *(f"x by {model.name}: sample 1" for model in models)]
    assert read_image(names["Input x"]).shape == (24, 24, 3)


def test_models_that_cannot(models: list[Path], data: Path, tmp_path: Path) -> None:
    """What is no model, or does not go that way, is refused before work; damaged weights do not end the others."""
    (tmp_path / "none").mkdir()
    before = files_of(tmp_path)
    for words, messages in (
        ((*models, tmp_path / "none"), ("none: no model at",)),
        ((*models, "--direction", "AtoB"), ("turned: direction must be BtoA",)),
        ((*models, tmp_path / "none", "--direction", "AtoB"), ("none: no model at", "turned: direction must be")),
    ):
        refused = tandem("compare", *words, "--inputs", data, "--out", tmp_path / "out")
        assert refused.status == 1
        assert all(message in refused.err for message in messages), refused.err
        assert files_of(tmp_path) == before
    refused = tandem("compare", *models, "--inputs", tmp_path / "nowhere", "--out", tmp_path / "out")
    assert (refused.status, "there is no such file or folder" in refused.err) == (1, True)
    refused = tandem("compare", *models, "--num-inputs", "3", "--seed", "1", "--threads", "1")
    assert refused.status == 2
    assert all(f"{name} has no effect without --inputs" in refused.err for name in ("--num-inputs", "--seed"))

    weights = next(models[0].glob("*.safetensors"))
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + b"x")
    refused = tandem("compare", *models, "--inputs", data, "--out", tmp_path / "out")
    assert (refused.status, "first: the weights" in refused.err) == (1, True)
    assert not (tmp_path / "out").exists()
    weights.write_bytes(whole)

    (tmp_path / "out" / "outputs" / "first").mkdir(parents=True)
    (tmp_path / "out" / "outputs" / "first" / "mine").write_text("mine")
    failed = tandem("compare", *models, "--inputs", data, "--out", tmp_path / "out")
    assert failed.status == 1
    assert f"first ({models[0]}): --out" in failed.err
    page = (tmp_path / "out" / "comparison.html").read_text()
    assert "Attention" in page
    assert "by first" not in page
    assert "by grey: sample 3" in page


def test_models_of_both_directions(models: list[Path], held_out: dict[str, Path], data: Path, tmp_path: Path) -> None:
    """On two domains both ways are shown; on pairs the way of the models that have one alone."""
    make_cyclegan(tmp_path / "cyclegan")
    for dataset, ways in ((held_out["domains"], "AB"), (data, "B")):
        out = tmp_path / dataset.name
        words = ("--inputs", dataset, "--num-inputs", "1", "--num-samples", "1", "--out", out)
        finished = tandem("compare", tmp_path / "cyclegan", models[1], *words)
        assert finished.status == 0, finished.err
        text = (out / "comparison.html").read_text()
        assert [way in text for way in ("The same inputs, AtoB", "The same inputs, BtoA")] == ["A" in ways, True]
        assert len(re.findall(r"by cyclegan: output", text)) == len(ways)
        assert len(re.findall(r"by turned: sample 1", text)) == 1
