"""tools/check_metrics.py: the reference libraries' numbers are met, and altered ones are not.

The fixtures hold everything but LPIPS' images and published heads, since no trained weights are kept here.
"""

import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
TOOL = ROOT / "tools" / "check_metrics.py"
FOLDER = ROOT / "tests" / "fixtures" / "metrics"
GROUPS = ("resize", "paired", "sets", "features")


@pytest.fixture(scope="module")
def tool() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("check_metrics", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def run_here(tool: ModuleType, folder: Path, group: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["check_metrics", str(folder), "--only", group])
    return tool.main()


def run(folder: Path, *groups: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(TOOL), str(folder), "--only", *groups]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_all_numbers_of_the_fixtures_are_met() -> None:
    result = run(FOLDER, *GROUPS)
    assert result.returncode == 0, result.stdout + result.stderr
    *cases, last = result.stdout.splitlines()
    assert all(case.startswith("ok ") for case in cases)
    assert last == f"{len(cases)} cases, 0 failed"
    stored = np.load(FOLDER / "fid_expected.npz").files
    named = {case.removeprefix("ok fid features ").partition(":")[0] for case in cases if "fid features" in case}
    assert named == set(stored)
    assert len(stored) == 21
    assert sum("resize" in case for case in cases) == 3 * 3 * 2
    ssim = json.loads((FOLDER / "ssim_expected.json").read_text())
    compared = [case for case in cases if any(word in case for word in ("psnr", "ssim", "mse"))]
    assert len(compared) == sum(len(ssim[key][0]) for key in ("pairs_64", "pairs_192")) + 3
    sets = json.loads((FOLDER / "feature_sets_expected.json").read_text())
    assert sum(case.startswith("ok frechet") for case in cases) == sum(
        len(numbers) for key, numbers in sets.items() if key.startswith("frechet")
    )
    assert sum(case.startswith("ok kid") for case in cases) == len(sets["kid"])


@pytest.mark.parametrize(
    "altered",
    [
        ("feature_sets_expected.json", ("frechet", "parts", "trace_sqrt"), "sets", "frechet parts"),
        ("feature_sets_expected.json", ("kid", "first_subset_of_size_100", "mmd"), "sets", "kid first subset of 100"),
        ("feature_sets_expected.json", ("prdc_k3", "coverage"), "sets", "prdc k=3 coverage"),
        ("ssim_expected.json", ("pairs_192", 0, "ms_ssim_pytorch_msssim"), "paired", "ms_ssim_pytorch_msssim 192"),
        (
            "resize_expected.json",
            ("images", "up", "clean_fid_pil_bicubic", "grid", 2, 2, 0),
            "resize",
            "resize clean_fid_pil_bicubic up f64",
        ),
    ],
)
def test_an_altered_number_fails(
    tool: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    altered: tuple[str, tuple[str | int, ...], str, str],
) -> None:
    file, path, group, case = altered
    folder = tmp_path / "metrics"
    shutil.copytree(FOLDER, folder)
    content = json.loads((folder / file).read_text())
    place = content
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] *= 1.00001
    (folder / file).write_text(json.dumps(content))
    assert run_here(tool, folder, group, monkeypatch) == 1
    failed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("FAIL")]
    assert any(line.startswith(f"FAIL {case}: deviation") for line in failed), failed


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    result = run(tmp_path, "paired")
    assert result.returncode == 2
    assert "cannot be read" in result.stderr
    assert "ssim_inputs.npz" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_nan_is_no_pass(tool: ModuleType) -> None:
    assert not tool.absolute([float("nan")], [0.0]) <= 1.0


def test_the_lists_of_weights_fit_the_backbones(tool: ModuleType) -> None:
    for name, count in (("alex", 10), ("vgg", 26), ("squeeze", 50)):
        state = tool.filled(FOLDER / f"lpips_{name}_keys.json", tool.shapes_of(tool.Backbone(name)))
        assert len(state) == count
