"""``tandem compare`` on real reports: best values, what must not be compared, errors; and a segmentation score."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import assert_page_is_whole, files_of, tandem

import tandem as package
from model_files import write_identity, write_random_features
from tandem.data.synthetic import write_dataset
from tandem.rng import derive_seed

METRICS = ("--metrics", "frechet,l1,psnr")


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of images, the second one worse than the first, and their reports; the third with another resizer."""
    root = tmp_path_factory.mktemp("reports")
    shutil.copytree(write_dataset(root / "data", size=32, num_train=1, num_val=1, num_test=6) / "test", root / "real")
    features = write_random_features(root / "features.onnx")
    for name, amount, resizer in (("good", 5, "clean"), ("bad", 40, "clean"), ("other", 5, "pytorch-fid")):
        (root / name).mkdir()
        for file in (root / "real").iterdir():
            image = np.asarray(Image.open(file)).astype(int)
            noise = np.random.default_rng(0).integers(-amount, amount + 1, image.shape)
            Image.fromarray((image + noise).clip(0, 255).astype(np.uint8)).save(root / name / file.name)
        words = ("--features", features, "--features-size", "24", "--resizer", resizer, "--device", "cpu", *METRICS)
        out = root / name / "evaluation"
        assert tandem("evaluate", "--images", root / "real", root / name, *words, "--out", out).status == 0
    return root


def test_two_reports_side_by_side(reports: Path, tmp_path: Path) -> None:
    paths = (reports / "good", reports / "bad" / "evaluation" / "report.json")
    finished = tandem("compare", *paths, "--out", tmp_path / "out")
    assert finished.status == 0, finished.err
    text = (tmp_path / "out" / "comparison.md").read_text()
    assert all(line in finished.err for line in text.splitlines())
    lines = text.splitlines()
    assert lines[0] == "| | good | bad |"
    rows = {line.split("|")[1].split()[0]: line.split("|")[2:4] for line in lines[2:] if line.startswith("|")}
    assert rows.keys() == {"frechet", "l1", "psnr"}
    for good, bad in rows.values():
        assert good.strip().startswith("**")
        assert "**" not in bad
    assert ["≈" in rows[name][1] for name in ("frechet", "l1")] == [True, False]  # 8 images, and a clear difference
    assert "must not" not in text
    assert_page_is_whole(tmp_path / "out" / "comparison.html", least=0)
    assert "★" in (tmp_path / "out" / "comparison.html").read_text()


def test_numbers_of_different_kinds_are_named(reports: Path, tmp_path: Path) -> None:
    finished = tandem("compare", reports / "good", reports / "other", "--out", tmp_path / "out")
    assert "frechet must not be compared: the evaluations differ in resizer." in finished.err
    assert "l1 must not" not in finished.err
    report = json.loads((reports / "good" / "evaluation" / "report.json").read_text())
    report["data"]["real_sha256"] = "of other images"
    (tmp_path / "report.json").write_text(json.dumps(report))
    finished = tandem("compare", reports / "good", tmp_path / "report.json", "--out", tmp_path / "out")
    assert "frechet, l1 and psnr must not be compared: the evaluations differ in real images." in finished.err


@pytest.mark.parametrize(
    ("content", "status", "message"),
    [
        (None, 1, "No such file"),
        ("{", 1, "is no report of tandem evaluate"),
        ("[]", 1, "must be a JSON object"),
        ('{"versions": {}}', 1, "report.json.subject is missing"),
    ],
)
def test_reports_that_are_none(content: str | None, status: int, message: str, reports: Path, tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    if content is not None:
        (tmp_path / "broken" / "report.json").write_text(content)
    before = files_of(tmp_path)
    finished = tandem("compare", reports / "good", tmp_path / "broken", "--out", tmp_path / "out")
    assert finished.status == status
    assert message in finished.err
    assert files_of(tmp_path) == before


def test_one_report_is_no_comparison(reports: Path, tmp_path: Path) -> None:
    finished = tandem("compare", reports / "good", "--out", tmp_path / "out")
    assert (finished.status, "at least two" in finished.err) == (2, True)
    finished = tandem("compare", reports / "good", reports / "good" / "evaluation", "--out", tmp_path / "out")
    assert (finished.status, "given twice" in finished.err) == (2, True)


def test_segmentation_score(make_bundle: Callable[..., Path], tmp_path: Path) -> None:
    """Inputs are maps of three primary colours; the segmenter takes an output's strongest channel for its class."""
    bundle = make_bundle(size=(16, 16))
    palette = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)
    (tmp_path / "palette.json").write_text(json.dumps(palette.tolist()))
    generator = np.random.default_rng(0)
    folder = tmp_path / "data" / "test"
    folder.mkdir(parents=True)
    classes = generator.integers(0, 3, (4, 16, 16))
    for index, labels in enumerate(classes):
        photo = generator.integers(0, 256, (16, 16, 3)).astype(np.uint8)
        Image.fromarray(np.concatenate([palette[labels], photo], axis=1)).save(folder / f"{index}.png")
    finished = tandem(
        *("evaluate", bundle, tmp_path / "data", "--metrics", "segmentation", "--palette", tmp_path / "palette.json"),
        *("--segmenter", write_identity(tmp_path), "--num-samples", "2", "--out", tmp_path / "out", "--device", "cpu"),
    )
    assert finished.status == 0, finished.err
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    found = {score["name"]: score["value"] for score in report["results"][0]["scores"]}
    translator = package.load(bundle, device="cpu")
    made = [
        translator(palette[labels], 2, seed=derive_seed(0, "evaluate", position=index), output="array")[0].argmax(-1)
        for index, labels in enumerate(classes)
    ]
    predicted = np.stack(made)
    hits = [(predicted == k) & (classes == k) for k in range(3)]
    either = [(predicted == k) | (classes == k) for k in range(3)]
    assert found["pixel-accuracy"] == pytest.approx((predicted == classes).mean())
    accuracies = [hit.sum() / (classes == k).sum() for k, hit in enumerate(hits)]
    assert found["class-accuracy"] == pytest.approx(np.mean(accuracies))
    ious = [hit.sum() / one.sum() for hit, one in zip(hits, either, strict=True)]
    assert found["mean-iou"] == pytest.approx(np.mean(ious))
    (tmp_path / "palette.json").write_text("[[255, 0, 0]]")
    finished = tandem(
        *("evaluate", bundle, tmp_path / "data", "--metrics", "segmentation", "--palette", tmp_path / "palette.json"),
        *("--segmenter", write_identity(tmp_path), "--out", tmp_path / "other", "--device", "cpu"),
    )
    assert (finished.status, "which is not in the palette" in finished.err) == (1, True)
    assert not (tmp_path / "other" / "report.json").exists()
