"""Environments without PyTorch, with the packages that a requirements file names alone: what they do and say."""

import importlib.metadata
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from packaging.requirements import Requirement
from PIL import Image
from support import pixels

import tandem
from tandem.inference.onnx.export import export_onnx
from tandem_bundle import make_tandem

ROOT = Path(__file__).parents[2]


def named(file: str) -> Iterator[str]:
    """The distributions that a file of requirements names, and those of the files that it names."""
    for line in (ROOT / file).read_text().splitlines():
        if line.startswith("-r "):
            yield from named(line.removeprefix("-r "))
        elif line and not line.startswith("#"):
            yield Requirement(line).name


def required(file: str) -> Iterator[str]:
    """The distributions that a file names, and those that they need."""
    open_ones = list(named(file))
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


def environment(folder: Path, file: str) -> Path:
    """The interpreter of a fresh environment, whose packages are links to those that are installed here."""
    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    for name in required(file):
        distribution = importlib.metadata.distribution(name)
        for top in {file.parts[0] for file in distribution.files or [] if file.parts[0] not in {"..", "__pycache__"}}:
            if not (site / top).exists():
                place = Path(str(distribution.locate_file(top))).resolve()
                if place.is_dir():  # of its own, so that files can be taken away
                    shutil.copytree(place, site / top, copy_function=os.symlink)
                else:
                    (site / top).symlink_to(place)
    return folder / "bin" / "python"


def prune(folder: Path) -> None:
    """Take away what the container takes away."""
    (site,) = folder.glob("lib/python*/site-packages")
    text = re.sub(r"\\\n\s*", "", (ROOT / "examples" / "deploy" / "Dockerfile.cpu").read_text())
    (line,) = (line for line in text.splitlines() if line.startswith("RUN"))
    commands = [one for one in line.split(" && ") if one.startswith(("rm ", "find "))]
    assert len(commands) == 3
    before = sum(path.stat().st_size for path in site.rglob("*") if path.is_file())
    subprocess.run(["sh", "-ec", "\n".join(commands)], cwd=site, check=True)
    assert before - sum(path.stat().st_size for path in site.rglob("*") if path.is_file()) > 40e6


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With what running ONNX files needs."""
    return environment(tmp_path_factory.mktemp("slim"), "requirements-onnx.txt")


def without_coverage() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    return {**kept, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}


def run(python: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, *map(str, words)],
        env=without_coverage(),
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
    assert "the model is run by ONNX Runtime on cpu" in finished.stderr
    expected = translator(noise, 1, output="array")[0]
    assert np.abs(pixels(tmp_path / "y.png").astype(int) - expected).max() <= 1
    code = f"import tandem; print(*tandem.load({str(tmp_path / 'm.onnx')!r}).encode({str(tmp_path / 'x.png')!r})[0])"
    encoded = run(python, "-c", code)
    assert encoded.returncode == 0, encoded.stderr
    np.testing.assert_allclose([float(one) for one in encoded.stdout.split()], translator.encode(noise)[0], atol=1e-5)


def test_it_serves(tmp_path: Path) -> None:
    """Pictures and latents over HTTP, from an ONNX file, in the environment of the container; and a graceful end."""
    python = environment(tmp_path / "environment", "requirements-serve.txt")
    if sys.platform == "linux":  # where ONNX Runtime's files have the names that they have there
        prune(tmp_path / "environment")
    make_tandem(tmp_path / "model", depth=2)
    export_onnx(tmp_path / "model", tmp_path / "m.onnx")
    noise = np.random.default_rng(0).integers(0, 256, (24, 16, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "x.png")
    command = [python, "-m", "tandem", "serve", "--port", "0", tmp_path / "m.onnx"]
    process = subprocess.Popen(command, env=without_coverage(), stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        said = ""
        while (found := re.search(r"the page is at (http://\S+)", said)) is None:
            line = process.stderr.readline()
            assert line, said
            said += line
        picture = (tmp_path / "x.png").read_bytes()
        with httpx.Client(base_url=found[1], verify=False, timeout=60) as client:
            asked = {"num_samples": "1", "seed": "4"}
            translated = client.post("v1/translate", files={"image": ("x.png", picture)}, data=asked)
            encoded = client.post("v1/encode", files={"image": ("x.png", picture)})
            page = client.get("")
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, process.stderr.read()
    finally:
        process.kill()
        process.wait(20)
    assert (translated.status_code, encoded.status_code, page.status_code) == (200, 200, 200), translated.text
    translator = tandem.load(tmp_path / "model", device="cpu")
    expected = translator(noise, 1, seed=4, output="array")[0]
    with Image.open(io.BytesIO(translated.content)) as image:
        assert np.abs(np.asarray(image).astype(int) - expected).max() <= 1
    np.testing.assert_allclose(np.ravel(encoded.json()["mu"]), translator.encode(noise)[0], atol=1e-5)


def test_it_says_what_needs_torch(python: Path, tmp_path: Path) -> None:
    refused = run(python, "-m", "tandem", "export", tmp_path, "--to", "onnx")
    assert refused.returncode == 1
    assert "this needs PyTorch, which is not installed: pip install torch" in refused.stderr
    assert "Traceback" not in refused.stderr
