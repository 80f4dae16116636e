"""Whether the encoded style of a ground truth gives its mode again, by ``tandem evaluate --metrics mode-coverage``."""

import json
from pathlib import Path

import pytest
from PIL import Image
from support import pixels, tandem

import tandem as package
from tandem.data.synthetic import classify_mode, load_dataset_info, write_dataset

OPTIONS = {"method": "tandem", "size": 32, "lambda-gan": 0, "generator-filters": 8, "encoder-filters": 8, "seed": 0}
LENGTH = {"batch-size": 8, "steps": 200, "learning-rate": 3e-3, "lr-schedule": "half_linear", "num-workers": 0}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight pairs without drawings: which of the renderings it is, only their style can say."""
    folder = write_dataset(tmp_path_factory.mktemp("shapes") / "demo", size=32, num_train=8, num_val=1, num_test=1)
    for file in (folder / "train").iterdir():
        both = pixels(file).copy()
        both[:, :32] = 255
        Image.fromarray(both).save(file)
    return folder


def test_the_style_of_a_ground_truth_gives_its_mode_again(data: Path, tmp_path: Path) -> None:
    words = [word for name, value in (OPTIONS | LENGTH).items() for word in (f"--{name}", str(value))]
    words += ["--load-size", "32", "--no-flip", "--device", "cpu"]
    finished = tandem("train", data, "--out", tmp_path / "run", *words)
    assert finished.status == 0, finished.err
    out = tmp_path / "evaluation"
    what = ("--metrics", "mode-coverage", "--num-samples", "2", "--split", "train", "--out", out, "--device", "cpu")
    finished = tandem("evaluate", tmp_path / "run", data, *what)
    assert finished.status == 0, finished.err
    (result,) = json.loads((out / "report.json").read_text())["results"]
    (found,) = (score["value"] for score in result["scores"] if score["name"] == "mode-reconstructed")
    info, model = load_dataset_info(data), package.load(tmp_path / "run", device="cpu")
    right = {1: 0, -1: 0}
    for file in sorted((data / "train").iterdir()):
        a, b = pixels(file)[:, :32], pixels(file)[:, 32:]
        mu, _ = model.encode(b, input_image=a)
        for sign in right:
            shown = classify_mode(model(a, z=sign * mu, output="array")[0], info.mask("train", file.stem))
            right[sign] += shown == info.entry("train", file.stem).mode
    assert found == right[1] / 8
    assert right[1] >= 5
    assert right[-1] <= 2
