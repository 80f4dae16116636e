"""An environment with the packages of requirements-onnx.txt alone: what it does, and what it says of the rest."""

import importlib.metadata
import os
import subprocess
import venv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement
from PIL import Image
from support import pixels

import tandem
from tandem.inference.onnx.export import export_onnx
from tandem_bundle import make_tandem

ROOT = Path(__file__).parents[2]


def required() -> Iterator[str]:
    """The distributions that the file names, and those that they need."""
    lines = (ROOT / "requirements-onnx.txt").read_text().splitlines()
    open_ones = [Requirement(line).name for line in lines if line and not line.startswith("#")]
    known: set[str] = set()
    while open_ones:
        name = open_ones.pop()
        if name.lower() in known:
            continue
        known.add(name.lower())
        yield name
        for text in importlib.metadata.requires(name) or []:
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                open_ones.append(requirement.name)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a fresh environment, whose packages are links to those that are installed here."""
    folder = tmp_path_factory.mktemp("slim")
    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    for name in required():
        distribution = importlib.metadata.distribution(name)
        for top in {file.parts[0] for file in distribution.files or [] if file.parts[0] not in {"..", "__pycache__"}}:
            if not (site / top).exists():
                (site / top).symlink_to(Path(str(distribution.locate_file(top))).resolve())
    return folder / "bin" / "python"


def run(python: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    return subprocess.run(
        [python, *map(str, words)],
        env={**environment, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_it_samples_and_encodes(python: Path, tmp_path: Path) -> None:
    """The pixels and the latents of PyTorch; there is no PyTorch."""
    assert "No module named 'torch'" in run(python, "-c", "import torch").stderr
    make_tandem(tmp_path / "model", depth=2)
    export_onnx(tmp_path / "model", tmp_path / "m.onnx")
    noise = np.random.default_rng(0).integers(0, 256, (24, 16, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "x.png")
    translator = tandem.load(tmp_path / "model", device="cpu")
    finished = run(
        python, "-m", "tandem", "sample", tmp_path / "m.onnx", tmp_path / "x.png", "--out", tmp_path / "y.png"
    )
    assert finished.returncode == 0, finished.stderr
    expected = translator(noise, 1, output="array")[0]
    assert np.abs(pixels(tmp_path / "y.png").astype(int) - expected).max() <= 1
    code = f"import tandem; print(*tandem.load({str(tmp_path / 'm.onnx')!r}).encode({str(tmp_path / 'x.png')!r})[0])"
    encoded = run(python, "-c", code)
    assert encoded.returncode == 0, encoded.stderr
    np.testing.assert_allclose([float(one) for one in encoded.stdout.split()], translator.encode(noise)[0], atol=1e-5)


def test_it_says_what_needs_torch(python: Path, tmp_path: Path) -> None:
    refused = run(python, "-m", "tandem", "export", tmp_path, "--to", "onnx")
    assert refused.returncode == 1
    assert "this needs PyTorch, which is not installed: pip install torch" in refused.stderr
    assert "Traceback" not in refused.stderr
