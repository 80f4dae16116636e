"""``tandem export --to bioimageio``: what the folder says, and what the tools of the BioImage Model Zoo make of it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from support import tandem

import tandem as tandem_package
from cyclegan_bundle import make_cyclegan
from tandem_bundle import make_tandem


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("zoo")
    make_tandem(root / "model", depth=2)
    finished = tandem("export", root / "model", "--to", "bioimageio", "--licence", "mit", "--out", root / "shoes")
    assert finished.status == 0, finished.err
    return root / "shoes"


def test_the_folder_is_complete_and_gives_what_the_model_gives(zoo: Path) -> None:
    """The test tensors are values of image files; the model itself makes the one of the other, to rounding."""
    described: dict[str, Any] = yaml.safe_load((zoo / "rdf.yaml").read_text())
    tensors = [one["test_tensor"]["source"] for one in (*described["inputs"], *described["outputs"])]
    assert sorted(path.name for path in zoo.iterdir()) == sorted(["rdf.yaml", "README.md", "model.onnx", *tensors])
    assert [one["id"] for one in described["inputs"]] == ["image", "z"]
    assert described["license"] == "MIT"
    image, z, output = (np.load(zoo / name) for name in tensors)
    values = np.moveaxis(image[0], 0, 2) / 127.5 - 1
    given = tandem_package.load(zoo.parent / "model", device="cpu")(values, z=z, value_range=(-1, 1), output="tensor")
    np.testing.assert_allclose((np.asarray(given) + 1) * 127.5, output, atol=0.01)
    assert described["inputs"][0]["preprocessing"][0]["kwargs"] == {"gain": pytest.approx(1 / 127.5), "offset": -1.0}
    assert described["outputs"][0]["postprocessing"][0]["kwargs"] == {"gain": 127.5, "offset": 127.5}


def test_its_own_tools_run_it(zoo: Path) -> None:
    """``bioimageio test``, where it is installed; TANDEM_BIOIMAGEIO names another environment's."""
    command = os.environ.get("TANDEM_BIOIMAGEIO") or shutil.which("bioimageio", path=Path(sys.executable).parent)
    if command is None:
        pytest.skip("bioimageio.core is not installed")
    tested = subprocess.run([command, "test", zoo / "rdf.yaml"], capture_output=True, text=True, check=False)
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert "passed" in tested.stdout + tested.stderr
    (zoo / "test-output.npy").write_bytes((zoo / "test-image.npy").read_bytes())
    tested = subprocess.run([command, "test", zoo / "rdf.yaml"], capture_output=True, text=True, check=False)
    assert tested.returncode != 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "this model translates in both directions, and a model of bioimage.io in one"),
        (["--licence", "beerware"], "--licence beerware: with --to bioimageio it is one of apache-2.0"),
        (["--picture", "x.png"], "--picture has no effect without --to hub"),
    ],
)
def test_what_is_refused_leaves_nothing(tmp_path: Path, words: list[str], message: str) -> None:
    make_cyclegan(tmp_path / "model")
    refused = tandem("export", tmp_path / "model", "--to", "bioimageio", "--out", tmp_path / "out", *words)
    assert refused.status == 2
    assert message in refused.err
    assert not (tmp_path / "out").exists()
