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
PIX2PIX, CYCLEGAN = "pix2pix_128_batchnorm", "cyclegan_64_resnet9_no_identity"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_reference", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


Verdict = Callable[..., tuple[int, str]]


@pytest.fixture
def verdict(tool: ModuleType, capsys: pytest.CaptureFixture[str]) -> Verdict:
    """Runs the tool on folders and returns its exit status and what it printed."""

    def run(*folders: Path) -> tuple[int, str]:
        argv, sys.argv = sys.argv, ["check_reference", *map(str, folders)]
        try:
            return tool.main(), capsys.readouterr().out
        finally:
            sys.argv = argv

    return run


@pytest.mark.parametrize(
    ("name", "comparisons"), [(DEFAULTS, 194), (CONDITIONAL, 170), (PIX2PIX, 137), (CYCLEGAN, 248)]
)
def test_step_equals_the_reference(
    tool: ModuleType, reference_cases: dict[str, Path], name: str, comparisons: int
) -> None:
    found = tool.check_case(reference_cases[name])
    assert found.failures == []
    assert len(found.compared) == comparisons == len(load_file(reference_cases[name] / "expected.safetensors"))
    assert set(found.worst) == {"forward", "loss", "gradient", "weights"}


@pytest.mark.slow
def test_all_fixtures_from_the_command_line(reference_cases: dict[str, Path]) -> None:
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
    ("name", "key"),
    [
        (DEFAULTS, "step0.fake_B_encoded"),
        (DEFAULTS, "step0.mu_of_fake_B_random"),
        (DEFAULTS, "step0.grad.G.model.down.0.weight"),
        (DEFAULTS, "step0.grad.E.fcVar.0.weight"),
        (DEFAULTS, "step2.loss.z_L1"),
        (DEFAULTS, "step1.loss.D2"),
        (DEFAULTS, "final.D2.model_1.0.weight"),
        (PIX2PIX, "step0.fake_B"),
        (PIX2PIX, "step0.grad.D.model.2.weight"),
        (PIX2PIX, "step1.loss.D_real"),
        (PIX2PIX, "final.G.model.model.1.model.2.running_var"),
        (CYCLEGAN, "step0.rec_A"),
        (CYCLEGAN, "step0.grad.G_B.model.11.conv_block.1.weight"),
        (CYCLEGAN, "step1.loss.cycle_B"),
        (CYCLEGAN, "final.D_A.model.8.weight"),
    ],
)
def test_an_altered_number_fails(
    verdict: Verdict, reference_cases: dict[str, Path], tmp_path: Path, name: str, key: str
) -> None:
    status, output = verdict(altered(reference_cases[name], tmp_path / "case", key))
    assert status == 1
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
    "case",
    [
        (DEFAULTS, remove("inputs.safetensors"), "inputs.safetensors"),
        (DEFAULTS, remove("case.json"), "case.json"),
        (DEFAULTS, truncate("initial_weights.safetensors"), ""),
        (DEFAULTS, truncate("expected.safetensors"), ""),
        (DEFAULTS, lambda folder: (folder / "case.json").write_text("{"), "JSONDecodeError"),
        (DEFAULTS, change(method="stargan"), "'stargan' is none of bicyclegan, pix2pix, cyclegan"),
        (DEFAULTS, change(netE="vit_128"), "netE is 'vit_128'"),
        (DEFAULTS, change(netG="unet_big"), "netG is 'unet_big'"),
        (DEFAULTS, change(ngf=5), "size mismatch"),
        (DEFAULTS, change(nz=3), "size mismatch"),
        (DEFAULTS, change(lr=None), "'lr'"),
        (DEFAULTS, change(steps=4), "'A'"),
        (DEFAULTS, change(netD2="basic_256_multi"), "netD and netD2 differ"),
        (DEFAULTS, change(method="pix2pix"), ""),
        (PIX2PIX, change(method="cyclegan"), ""),
        (PIX2PIX, change(netG="vit_128"), "netG is 'vit_128'"),
        (PIX2PIX, change(norm="layer"), "norm must be one of instance, batch, none, not 'layer'"),
        (PIX2PIX, change(norm="instance"), "G.model.model.0.bias is missing"),
        (
            PIX2PIX,
            change(gan_mode="wgangp"),
            "gan_mode must be one of lsgan, vanilla, nonsaturating, hinge, not 'wgangp'",
        ),
        (PIX2PIX, change(netD="huge"), "netD must be one of basic, n_layers, pixel, not 'huge'"),
        (PIX2PIX, change(netD="pixel"), "D.net.0"),
        (PIX2PIX, change(n_layers_D=2), ""),
        (PIX2PIX, change(input_nc=1), "size mismatch"),
        (PIX2PIX, change(steps=3), "'A'"),
        (CYCLEGAN, change(netG="resnet_6blocks"), ""),
        (CYCLEGAN, change(netG="unet_64"), ""),
        (CYCLEGAN, change(n_layers_D=4), "is missing"),
        (CYCLEGAN, change(init_type="orthogonal"), "init_type must be one of normal, xavier"),
        (CYCLEGAN, change(beta1=None), "'beta1'"),
    ],
)
def test_a_case_that_cannot_be_read_is_status_2(
    verdict: Verdict, reference_cases: dict[str, Path], tmp_path: Path, case: tuple[str, Callable[[Path], None], str]
) -> None:
    name, damage, says = case
    folder = Path(shutil.copytree(reference_cases[name], tmp_path / "case"))
    damage(folder)
    status, output = verdict(folder)
    assert status == 2
    assert output.startswith("ERROR case: ")
    assert says in output


def test_an_identity_term_that_the_case_does_not_have_fails(
    verdict: Verdict, reference_cases: dict[str, Path], tmp_path: Path
) -> None:
    """An option that changes no shape changes the gradients."""
    folder = Path(shutil.copytree(reference_cases[CYCLEGAN], tmp_path / "case"))
    change(lambda_identity=0.5)(folder)
    status, output = verdict(folder)
    assert status == 1
    assert "step0.grad.G_" in output


def test_a_broken_case_does_not_hide_the_others(
    verdict: Verdict, reference_cases: dict[str, Path], tmp_path: Path
) -> None:
    status, output = verdict(tmp_path / "nothing", reference_cases[CONDITIONAL])
    assert status == 2
    assert f"ok {CONDITIONAL}" in output
