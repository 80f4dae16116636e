"""tools/check_reference.py: it passes on the reference implementation's numbers and fails on altered ones."""

import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from safetensors.torch import load_file, save_file

TOOL = Path(__file__).parents[2] / "tools" / "check_reference.py"
DEFAULTS, CONDITIONAL = "bicyclegan_128_defaults", "bicyclegan_128_input_cnn_conditional"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_reference", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def run(tool: ModuleType, *folders: Path) -> int:
    argv, sys.argv = sys.argv, ["check_reference", *map(str, folders)]
    try:
        return tool.main()
    finally:
        sys.argv = argv


@pytest.mark.parametrize(("name", "comparisons"), [(DEFAULTS, 194), (CONDITIONAL, 170)])
def test_step_equals_the_reference(
    tool: ModuleType, reference_cases: dict[str, Path], name: str, comparisons: int
) -> None:
    found = tool.check_case(reference_cases[name])
    assert found.failures == []
    assert len(found.compared) == comparisons == len(load_file(reference_cases[name] / "expected.safetensors"))
    assert set(found.worst) == {"forward", "loss", "gradient", "weights"}


def test_both_fixtures_from_the_command_line(reference_cases: dict[str, Path]) -> None:
    command = [sys.executable, str(TOOL), *map(str, reference_cases.values())]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert [line.split(":")[0] for line in lines] == [f"ok {name}" for name in reference_cases]


def altered(folder: Path, into: Path, key: str) -> Path:
    """A copy whose tensor `key` differs in its largest element, or whose loss differs, by a few tolerances."""
    shutil.copytree(folder, into)
    tensors = load_file(into / "expected.safetensors")
    flat = tensors[key].view(-1)
    flat[flat.abs().argmax()] *= 1 + (1e-11 if ".loss." in key else 3e-5)
    save_file(tensors, into / "expected.safetensors")
    return into


@pytest.mark.parametrize(
    "key",
    [
        "step0.fake_B_encoded",
        "step0.mu_of_fake_B_random",
        "step0.grad.G.model.down.0.weight",
        "step0.grad.E.fcVar.0.weight",
        "step2.loss.z_L1",
        "step1.loss.D2",
        "final.D2.model_1.0.weight",
    ],
)
def test_an_altered_number_fails(
    tool: ModuleType, reference_cases: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], key: str
) -> None:
    assert run(tool, altered(reference_cases[DEFAULTS], tmp_path / "case", key)) == 1
    output = capsys.readouterr().out
    assert output.startswith("FAIL case")
    assert f"  {key}: " in output


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def truncate(name: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        path = folder / name
        path.write_bytes(path.read_bytes()[:5000])

    return damage


def change(**entries: object) -> Callable[[Path], None]:
    """Set entries of case.json or of its options; None removes them."""

    def damage(folder: Path) -> None:
        case = json.loads((folder / "case.json").read_text())
        for name, value in entries.items():
            group = case if name in case else case["options"]
            group[name] = value
            if value is None:
                del group[name]
        (folder / "case.json").write_text(json.dumps(case))

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        remove("inputs.safetensors"),
        remove("case.json"),
        truncate("initial_weights.safetensors"),
        truncate("expected.safetensors"),
        lambda folder: (folder / "case.json").write_text("{"),
        change(method="stargan"),
        change(netE="vit_128"),
        change(netG="unet_big"),
        change(ngf=5),
        change(nz=3),
        change(lr=None),
        change(steps=4),
        change(netD2="basic_256_multi"),
    ],
)
def test_a_case_that_cannot_be_read_is_status_2(
    tool: ModuleType,
    reference_cases: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    damage: Callable[[Path], None],
) -> None:
    folder = Path(shutil.copytree(reference_cases[DEFAULTS], tmp_path / "case"))
    damage(folder)
    assert run(tool, folder) == 2
    assert capsys.readouterr().out.startswith("ERROR case: ")


def test_a_broken_case_does_not_hide_the_others(
    tool: ModuleType, reference_cases: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tool, tmp_path / "nothing", reference_cases[CONDITIONAL]) == 2
    assert f"ok {CONDITIONAL}" in capsys.readouterr().out
