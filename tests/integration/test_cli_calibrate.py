"""``tandem calibrate``: from held-out pairs to the bundle, what it promises measured again, pages, refusals."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support import Finished, assert_page_is_whole, files_of, page_text, pixels, records_of, sample, tandem, write_pairs

import tandem as package
from cyclegan_bundle import make_cyclegan
from tandem.checkpoint.calibration import Calibration
from tandem.checkpoint.manifest import read_manifest
from tandem.data.synthetic import write_dataset
from tandem.evaluation.calibration import rows as rows_module
from tandem.rng import derive_seed

NUM_VAL, NUM_TEST, NUM_SAMPLES = 20, 6, 4


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    counts = {"num_train": 3, "num_val": NUM_VAL, "num_test": NUM_TEST}
    return write_dataset(tmp_path_factory.mktemp("calibrate") / "demo", size=16, **counts)


@pytest.fixture
def bundle(make_bundle: Callable[..., Path]) -> Path:
    return make_bundle()


def calibrate(*words: str | Path, status: int = 0) -> Finished:
    finished = tandem("calibrate", *words, "--device", "cpu")
    assert finished.status == status, finished.err
    return finished


def calibration_of(folder: Path) -> Calibration:
    found = read_manifest(folder)[0].calibration
    assert found is not None
    return found


def spreads_of(model: Path, folder: Path, seed: int) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Of each pair in a folder the truth, mean and spread u in levels, without the code that is tested."""
    translator = package.load(model, device="cpu")
    found = []
    for index, file in enumerate(sorted(folder.iterdir())):
        both = pixels(file)
        made = translator(both[:, :16], NUM_SAMPLES, seed=derive_seed(seed, "evaluate", position=index), output="array")
        found.append((both[:, 16:].astype(float), made.mean(axis=0), made.std(axis=0, ddof=1) + 1))
    return found


def test_from_pairs_to_intervals(bundle: Path, pairs: Path, tmp_path: Path) -> None:
    """The scale is the least that the theorem allows; an evaluation finds what the intervals hold of other pairs."""
    finished = calibrate(bundle, pairs, "--num-samples", str(NUM_SAMPLES), "--level", "0.8", "--seed", "5")
    assert f"calibrated: {bundle}" in finished.err
    made = calibration_of(bundle)
    assert (made.level, made.num_samples, made.seed, made.num_images) == (0.8, NUM_SAMPLES, 5, NUM_VAL)
    seen = spreads_of(bundle, pairs / "val", derive_seed(5, "calibrate") >> 10)

    def rest(scale: float) -> float:
        return float(np.mean([(np.abs(truth - mean) > scale * spread).mean() for truth, mean, spread in seen]))

    smaller = rows_module.SCALES[made.scale > rows_module.SCALES][-1]
    assert (NUM_VAL * rest(made.scale) + 1) / (NUM_VAL + 1) <= 0.2
    assert (NUM_VAL * rest(smaller) + 1) / (NUM_VAL + 1) > 0.2
    assert f"hold {100 * (1 - rest(made.scale)):.1f} % of the values of {NUM_VAL} images" in finished.err

    names = "calibrated-coverage,flagged-fdr"
    assert made.threshold is not None
    evaluated = tandem("evaluate", bundle, pairs, "--metrics", names, "--out", tmp_path / "out", "--device", "cpu")
    assert evaluated.status == 0, evaluated.err
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    scores = {score["name"]: score for result in report["results"] for score in result["scores"]}
    held, halves, right, flags, wrong = [], [], [], [], []
    for truth, mean, spread in spreads_of(bundle, pairs / "test", 0):
        half = made.scale * spread
        held.append((np.abs(truth - mean) <= half).mean())
        halves.append((np.clip(mean + half, 0, 255) - np.clip(mean - half, 0, 255)).mean() / 510)
        flagged = half.mean(axis=2) / 255 > made.threshold
        flagged &= flagged.mean() >= 0.01
        is_right = np.abs(truth - mean).mean(axis=2) <= 255 * made.tolerance
        right.append(is_right[flagged].mean() if flagged.any() else 0)
        flags.append(flagged.mean())
        wrong.append((~is_right)[~flagged].mean() if not flagged.all() else 0)
    wanted = {
        "calibrated-coverage": held,
        "calibrated-width": halves,
        "flagged-fdr": right,
        "flagged-share": flags,
        "unflagged-wrong": wrong,
    }
    for name, values in wanted.items():
        assert scores[name]["value"] == pytest.approx(np.mean(values), abs=1e-6), name
        assert scores[name]["low"] <= scores[name]["value"] <= scores[name]["high"], name
    assert scores["flagged-share"]["value"] > 0
    assert "calibrated for 80 %" in page_text(tmp_path / "out" / "report.html")
    assert not any("calibrated on" in text for result in report["results"] for text in result["warnings"])


def test_the_pairs_of_the_calibration_are_recognised(bundle: Path, pairs: Path, tmp_path: Path) -> None:
    calibrate(bundle, pairs, "--num-samples", "2")
    words = ["--metrics", "calibrated-coverage", "--out", tmp_path / "out", "--device", "cpu"]
    finished = tandem("evaluate", bundle, pairs, "--split", "val", *words)
    assert "these are the images that the model was calibrated on" in finished.err


def test_metrics_of_a_model_that_is_not_calibrated(bundle: Path, pairs: Path, tmp_path: Path) -> None:
    words = ["evaluate", bundle, pairs, "--out", tmp_path / "out", "--device", "cpu"]
    refused = tandem(*words, "--metrics", "flagged-fdr")
    assert refused.status == 2
    assert "--metrics flagged-fdr: it needs a calibrated model" in refused.err
    calibrate(bundle, pairs, "--num-samples", "2", "--fdr", "0.01")
    for more, says in (
        (["--metrics", "flagged-fdr"], "the calibration of the model flags no pixels"),
        (["--metrics", "calibrated-coverage", "--fit", "pad"], "the model was calibrated with --fit auto"),
    ):
        refused = tandem(*words, *more)
        assert refused.status == 2
        assert says in refused.err


def test_a_copy_and_the_same_again(bundle: Path, pairs: Path, tmp_path: Path) -> None:
    before = files_of(bundle)
    words = [bundle, pairs / "val", "--num-samples", "2", "--cache", tmp_path / "cache"]
    calibrate(*words, "--out", tmp_path / "one")
    calibrate(*words, "--out", tmp_path / "two")
    assert files_of(bundle) == before
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")
    assert calibration_of(tmp_path / "one").weights_sha256 == read_manifest(bundle)[0].weights.sha256  # type: ignore[union-attr]


def test_an_interrupted_calibration_goes_on(
    bundle: Path, pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calibrate(bundle, pairs, "--num-samples", "2", "--out", tmp_path / "whole")
    before, measured = files_of(bundle), []
    row = rows_module.CalibrationRows.row

    def interrupted(self: Any, loaded: Any) -> np.ndarray:
        measured.append(loaded.case.name)
        if len(measured) == 10:
            raise KeyboardInterrupt
        return row(self, loaded)

    monkeypatch.setattr(rows_module.CalibrationRows, "row", interrupted)
    words = [bundle, pairs, "--num-samples", "2", "--cache", tmp_path / "cache"]
    assert calibrate(*words, status=130).err.endswith("interrupted\n")
    assert files_of(bundle) == before
    calibrate(*words)
    assert len(measured) == 10 + NUM_VAL - 8  # two batches of four are known
    assert calibration_of(bundle) == calibration_of(tmp_path / "whole")


def test_samples_show_how_sure_the_model_is(bundle: Path, pairs: Path, tmp_path: Path) -> None:
    sample(bundle, pairs, "--spread", "--num-samples", "3", out=tmp_path / "plain")
    assert "The model is not calibrated" in page_text(tmp_path / "plain" / "index.html")
    calibrate(bundle, pairs, "--num-samples", str(NUM_SAMPLES), "--level", "0.8")
    out = tmp_path / "out"
    sample(bundle, pairs, "--spread", "--num-samples", "3", "--seed", "7", out=out)
    assert_page_is_whole(out / "index.html", least=NUM_TEST * (2 + 3 + 3 + 1))
    text = page_text(out / "index.html")
    assert f"calibrated on {NUM_VAL} pairs: in new images of the same kind they hold 80 % of the values" in text
    assert "half of the 80 % intervals" in text
    translator = package.load(bundle, device="cpu")
    for record in records_of(out)[1:]:
        expected = translator.spread(pixels(out / record["input"]), seed=7)
        assert np.array_equal(pixels(out / record["spread"]["pictures"][0][0]), np.rint(255 * expected.mean))
        with Image.open(out / record["spread"]["values"]) as file:
            file.seek(1)
            assert np.array_equal(np.array(file), expected.guessed)
            file.seek(2)
            assert np.array_equal(np.array(file) > 0, expected.flagged)
        with Image.open(out / record["series"][0]["grid"]) as grid:
            assert grid.width == 2 + 18 * (2 + 3 + 3)
    before = {path: path.stat().st_mtime_ns for path in (out / "images").iterdir()}
    sample(bundle, pairs, "--spread", "--num-samples", "3", "--seed", "7", out=out)
    assert {path: path.stat().st_mtime_ns for path in (out / "images").iterdir()} == before
    sample(bundle, pairs, "--num-samples", "3", "--seed", "7", out=out)
    assert not list((out / "images").glob("*spread*"))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--only", "outputs"], "leave --only outputs out"),
        (["--mode", "interpolate"], "not with --mode interpolate"),
        (["--fit", "pad"], "the model was calibrated with --fit auto"),
    ],
)
def test_spreads_that_cannot_be_had(bundle: Path, pairs: Path, tmp_path: Path, words: list[str], says: str) -> None:
    calibrate(bundle, pairs, "--num-samples", "2")
    refused = tandem("sample", bundle, pairs, "--spread", *words, "--out", tmp_path / "out", "--device", "cpu")
    assert refused.status == 2
    assert says in refused.err
    assert not (tmp_path / "out").exists()


class TestRefusals:
    def test_training_images(self, bundle: Path, pairs: Path, tmp_path: Path) -> None:
        assert "would be its split train" in calibrate(bundle, pairs, "--split", "train", status=1).err
        shutil.copytree(pairs, tmp_path / "data")
        for file in (pairs / "train").iterdir():
            shutil.copy(file, tmp_path / "data" / "val" / f"copy-{file.name}")
        refused = calibrate(bundle, tmp_path / "data", status=1)
        assert f"3 of {NUM_VAL + 3} images to calibrate on are files of the training split too" in refused.err

    def test_what_the_model_was_trained_on_under_another_name(self, model: Path, data: Path, tmp_path: Path) -> None:
        shutil.copytree(data / "train", tmp_path / "held-out")
        before = files_of(model / "model")
        refused = calibrate(model, tmp_path / "held-out", status=1)
        assert "what this model was trained on, by names and sizes of the files" in refused.err
        assert files_of(model / "model") == before

    @pytest.mark.parametrize(("number", "status"), [(8, 1), (9, 0)])
    def test_too_few_pairs(self, bundle: Path, tmp_path: Path, number: int, status: int) -> None:
        write_pairs(tmp_path / "pairs", number, size=(16, 16))
        finished = calibrate(bundle, tmp_path / "pairs", "--num-samples", "2", status=status)
        if status:
            assert "has 8 pairs to calibrate on, and intervals of 90 % need at least 9" in finished.err
            assert "(at most 0.889 with these)" in finished.err
        else:
            # Of nine images nothing may be left outside.
            assert "They hold 100.0 % of the values of 9 images" in finished.err

    def test_no_pairs_and_no_samples(self, bundle: Path, pairs: Path, tmp_path: Path) -> None:
        write_dataset(tmp_path / "unpaired", size=16, num_train=1, num_val=9, num_test=1, layout="unpaired")
        assert "outputs have no ground truth. Give pairs" in calibrate(bundle, tmp_path / "unpaired", status=1).err
        make_cyclegan(tmp_path / "horses")
        assert "gives one output for an input" in calibrate(tmp_path / "horses", pairs, status=2).err

    @pytest.mark.parametrize(
        "words",
        [["--level", "1"], ["--fdr", "0"], ["--tolerance", "1.5"], ["--num-samples", "1"], ["--num-samples", "1001"]],
    )
    def test_values(self, bundle: Path, pairs: Path, words: list[str]) -> None:
        assert words[0] in calibrate(bundle, pairs, *words, status=2).err
