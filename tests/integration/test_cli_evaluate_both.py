"""``tandem evaluate`` of a model that goes both ways: each direction as if alone, side by side, and compared."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import assert_page_is_whole, pixels, tandem

import tandem as package
from cyclegan_bundle import make_cyclegan
from tandem.data.synthetic import write_dataset

DIRECTIONS = ("AtoB", "BtoA")


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("both") / "demo", size=32, num_train=2, num_val=0, num_test=5)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two models with other random weights."""
    root = tmp_path_factory.mktemp("models")
    for name in ("first", "second"):
        make_cyclegan(root / name)
    return [root / "first", root / "second"]


def evaluate(model: Path, data: Path, *words: str, out: Path, status: int = 0) -> str:
    finished = tandem("evaluate", model, data, *words, "--out", out, "--device", "cpu")
    assert finished.status == status, finished.err
    return finished.err


def report_of(out: Path) -> dict[str, Any]:
    return json.loads((out / "report.json").read_text())


def test_each_direction_is_as_if_alone(models: list[Path], shapes: Path, tmp_path: Path) -> None:
    words = ("--metrics", "l1,cycle,identity")
    told = evaluate(models[0], shapes, *words, out=tmp_path / "both")
    evaluate(models[0], shapes, *words, "--direction", "both", out=tmp_path / "named")
    whole = report_of(tmp_path / "both")
    assert report_of(tmp_path / "named") == whole
    assert whole["format"] == 1
    assert list(whole["directions"]) == list(DIRECTIONS)
    for direction in DIRECTIONS:
        evaluate(models[0], shapes, *words, "--direction", direction, out=tmp_path / direction)
        assert report_of(tmp_path / direction) == whole["directions"][direction]
    others = ("evaluating", "attention", "page", "inputs", "test", "the scale")
    table = [line for line in told.splitlines() if not line.startswith(others)]
    assert [line.split()[0] for line in table] == ["A", "l1", "cycle", "identity"]
    assert table[0].endswith("B → A")
    page = tmp_path / "both" / "report.html"
    assert_page_is_whole(page, least=8)
    assert all(f"{way}: Numbers" in page.read_text() for way in ("A → B", "B → A"))


def test_cycle_and_identity_by_hand(models: list[Path], shapes: Path, tmp_path: Path) -> None:
    evaluate(models[0], shapes, "--metrics", "cycle,identity", out=tmp_path)
    translator = package.load(models[0], device="cpu")
    pairs = [np.split(pixels(file), 2, axis=1) for file in sorted((shapes / "test").iterdir())]
    for direction, (own, other) in zip(DIRECTIONS, ((0, 1), (1, 0)), strict=True):
        back = {"AtoB": "BtoA", "BtoA": "AtoB"}[direction]
        errors: dict[str, list[float]] = {"cycle": [], "identity": []}
        for pair in pairs:
            there = translator(pair[own], direction=direction, output="tensor")[0]  # type: ignore[arg-type]
            again = translator(there, direction=back, output="array")[0]  # type: ignore[arg-type]
            kept = translator(pair[other], direction=direction, output="array")[0]  # type: ignore[arg-type]
            errors["cycle"].append(np.abs(again.astype(float) - pair[own]).mean() / 255)
            errors["identity"].append(np.abs(kept.astype(float) - pair[other]).mean() / 255)
        results = report_of(tmp_path)["directions"][direction]["results"]
        found = {score["name"]: score["value"] for result in results for score in result["scores"]}
        assert found == pytest.approx({name: np.mean(values) for name, values in errors.items()}, rel=1e-9)


def test_a_metric_of_one_direction_is_left_out_of_the_other(models: list[Path], shapes: Path, tmp_path: Path) -> None:
    told = evaluate(models[0], shapes, "--metrics", "mode-coverage,l1", out=tmp_path / "some")
    assert "left out: B → A: mode-coverage (it needs a model that translates drawings" in told
    assert [one["metric"] for one in report_of(tmp_path / "some")["directions"]["BtoA"]["left_out"]] == [
        "mode-coverage"
    ]
    evaluate(models[0], shapes, "--metrics", "mode-coverage", out=tmp_path / "one")
    assert report_of(tmp_path / "one")["subject"]["direction"] == "AtoB"
    refused = evaluate(models[0], shapes, "--metrics", "bijection", out=tmp_path / "none", status=2)
    assert "--metrics bijection: it needs a model with an encoder" in refused
    assert not (tmp_path / "none" / "report.json").exists()


def test_directions_are_compared_with_their_like(models: list[Path], shapes: Path, tmp_path: Path) -> None:
    for model in models:
        evaluate(model, shapes, "--metrics", "l1,cycle", out=tmp_path / model.name)
    evaluate(models[1], shapes, "--metrics", "l1", "--direction", "BtoA", out=tmp_path / "back")
    reports = [tmp_path / name for name in ("first", "second", "back")]
    finished = tandem("compare", *reports, "--out", tmp_path / "comparison")
    assert finished.status == 0, finished.err
    assert "must not be compared" not in finished.err
    rows = {line.split("|")[1].strip(): line.split("|")[2:5] for line in finished.err.splitlines() if "↓" in line}
    assert list(rows) == [f"{name} ({way}) ↓" for name in ("l1", "cycle") for way in ("A → B", "B → A")]
    assert [cell.strip() == "–" for cell in rows["l1 (A → B) ↓"]] == [False, False, True]
    second, third = (cell.replace("*", "") for cell in rows["l1 (B → A) ↓"][1:])
    assert second == third


def test_what_is_refused(models: list[Path], shapes: Path, tmp_path: Path, make_bundle: Any) -> None:
    one_way = make_bundle(size=(32, 32))
    told = evaluate(one_way, shapes, "--direction", "both", out=tmp_path / "out", status=2)
    assert "--direction both: this model translates one way only, AtoB" in told
    evaluate(models[0], shapes, "--metrics", "l1", out=tmp_path / "out")
    file = tmp_path / "out" / "report.json"
    whole = report_of(tmp_path / "out")
    for directions in ({"AtoB": whole["directions"]["AtoB"]}, whole["directions"] | {"up": {}}, {"AtoB": 1, "BtoA": 2}):
        file.write_text(json.dumps({"format": 1, "directions": directions}))
        refused = tandem("compare", tmp_path / "out", tmp_path / "out2", "--out", tmp_path / "comparison")
        assert refused.status == 1
        assert "is no report of tandem evaluate" in refused.err
