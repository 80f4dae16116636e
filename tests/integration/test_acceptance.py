"""The acceptance run for a GPU, with small settings, on a machine that lacks what a bare one lacks."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks" / "gpu_acceptance.sh"
MISSING = ("yaml", "hypothesis", "scipy", "webdataset", "torchmetrics", "av", "onnx", "onnxruntime")
BLOCKER = f"""
from functools import partial
from importlib.machinery import PathFinder

find = PathFinder.find_spec

def find_spec(name, path=None, target=None):
    return None if name.partition(".")[0] in {MISSING!r} else find(name, path, target)

PathFinder.find_spec = partial(find_spec)  # no descriptor, so that others can keep it in a class
"""
"""Hides packages as if they had never been installed."""


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    """The environment of a bare machine: packages are missing, and pytest has no plugins."""
    folder = tmp_path / "bare"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(BLOCKER)
    added = {"PYTHONPATH": str(folder), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "OMP_NUM_THREADS": "1"}
    return os.environ | added | {"PYTHON": sys.executable}


def accept(
    tmp_path: Path, env: dict[str, str], *words: str, seconds: float = 300
) -> tuple[subprocess.CompletedProcess, dict[str, Any], str]:
    command = ["bash", str(SCRIPT), str(tmp_path / "out"), "--work", str(tmp_path / "work"), "--smoke", *words]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=seconds)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    return done, report["parts"], (tmp_path / "out" / "report.md").read_text()


def test_the_machine_of_these_tests_is_bare(bare: dict[str, str]) -> None:
    done = subprocess.run([sys.executable, "-c", "import yaml"], env=bare, capture_output=True, check=False)
    assert b"No module named 'yaml'" in done.stderr


@pytest.mark.slow
def test_a_part_that_fails_is_recorded_and_the_others_run(tmp_path: Path, bare: dict[str, str]) -> None:
    parts = ["--part", "training", "--part", "environment", "--data", str(tmp_path / "nowhere"), "--device", "cpu"]
    done, report, text = accept(tmp_path, bare, *parts)
    assert done.returncode == 1
    assert report["training"]["status"] == "failed"
    assert "training ended with status 1 before its first step" in report["training"]["error"]
    assert any("nowhere" in line for line in report["training"]["output"])
    assert report["environment"]["status"] == "ok"
    assert report["environment"]["result"]["packages"]["PyYAML"] is None
    assert "Missing: PyYAML, hypothesis" in text


@pytest.mark.slow
def test_a_further_call_completes_the_report(tmp_path: Path, bare: dict[str, str]) -> None:
    for part in ("environment", "tests"):
        done, report, _ = accept(tmp_path, bare, "--part", part, "--device", "cpu")
        assert done.returncode == 0, done.stdout
    assert report.keys() == {"environment", "tests"}
    assert report["tests"]["status"] == "skipped"  # here; on a bare machine with a GPU they run
    assert "needs a CUDA device" in report["tests"]["error"]


def test_a_test_file_that_needs_a_missing_package_is_skipped(tmp_path: Path) -> None:
    (tmp_path / "test_poor.py").write_text("import nowhere_to_be_found\n")
    (tmp_path / "test_wrong.py").write_text("raise ValueError('a fault')\n")
    (tmp_path / "test_rich.py").write_text("def test_it():\n    pass\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-p", "benchmarks.acceptance.skip_missing", "-ra", str(tmp_path)]
    env = os.environ | {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "this machine lacks nowhere_to_be_found" in done.stdout
    assert "a fault" in done.stdout  # what is wrong stays an error
    assert "1 skipped, 1 error" in done.stdout


@pytest.mark.slow
def test_the_whole_run_with_small_settings(tmp_path: Path, bare: dict[str, str]) -> None:
    done, report, text = accept(tmp_path, bare, seconds=580)
    assert done.returncode == 0, done.stdout[-3000:]
    states = {name: part["status"] for name, part in report.items()}
    assert {states.pop("tests"), states.pop("processes")} <= {"ok", "skipped"}
    assert set(states.values()) == {"ok"}
    assert not any(found["different_tensors"] for found in report["resume"]["result"].values())
    steps = report["training"]["result"]["steps"]
    assert 0 == steps["before"] < steps["stopped"] < steps["now"]
    assert "Small settings" in text
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["cost.svg", "report.json", "report.md", "samples.jpg", "training.jpg"]
    for name in ("samples.jpg", "training.jpg"):
        with Image.open(tmp_path / "out" / name) as picture:
            picture.load()
