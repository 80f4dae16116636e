"""tools/check_reference.py on cases of CUT: every option that such a case can carry, and what it refuses.

The cases are written by `published_cut`, a second implementation of the published step in which PyTorch's own loops
and modules do everything.
"""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from published_cut import write_case
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import check_reference

SMALL = {"netG": "resnet_6blocks", "netD": "n_layers", "n_layers_D": 1, "size": 16}
"""What all cases have unless they say otherwise."""
PUBLISHED = {"netG": "resnet_9blocks", "netD": "basic", "n_layers_D": 3, "size": 32}
FASTCUT = {"lambda_NCE": 10.0, "nce_idt": False, "flip_equivariance": True}
NO_ANTIALIAS = {"no_antialias": True, "no_antialias_up": True}
TURNED = {"flips": (True, False, True), "flip_equivariance": True}
VARIANTS: dict[str, dict[str, Any]] = {
    "cut": PUBLISHED,
    "fastcut": {**PUBLISHED, **FASTCUT, **TURNED},
    "both-terms-flipped": {**TURNED, "batch_size": 2},
    "one-step-of-three": {"flips": (False,), "batch_size": 3},
    # "basic" has three layers whatever the other option says.
    "basic": {"netD": "basic", "n_layers_D": 1, "size": 32},
    # Layer 8 is a norm then, which the ReLU behind it changes in place; layer 16 a transposed convolution.
    "not-antialiased": {**NO_ANTIALIAS, "batch_size": 2},
    "not-antialiased-9": {**PUBLISHED, **NO_ANTIALIAS},
    "antialiased-up-alone": {"no_antialias": True},
    # Layer 16 is one of the way up here.
    "antialiased-down-alone": {"no_antialias_up": True, "netG": "resnet_4blocks"},
    "hot": {"nce_T": 1.0, "batch_size": 2},
    "lukewarm": {"nce_T": 0.3},
    "all-locations": {"num_patches": 5000},
    "other-layers": {"nce_layers": "0,2,3,5,7,13,19,22", "netG": "resnet_9blocks"},
    "last-is-a-norm": {"nce_layers": "1,2", "netG": "resnet_1blocks"},
    "batch-norm": {"normG": "batch", "normD": "batch", "batch_size": 2},
    "batch-norm-of-one": {"normG": "batch", "normD": "none"},
    "no-norm": {"normG": "none", "nce_layers": "1,4,5,8,9"},
    "pixel-hinge": {"netD": "pixel", "gan_mode": "hinge"},
    "vanilla": {"n_layers_D": 2, "gan_mode": "vanilla", **NO_ANTIALIAS},
    "nonsaturating": {"gan_mode": "nonsaturating", "batch_size": 2},
    "wgangp": {"gan_mode": "wgangp", "lambda_GAN": 0.3},
    "no-adversary": {"lambda_GAN": 0.0},
    "negatives-of-the-batch": {"nce_includes_all_negatives_from_minibatch": True, "batch_size": 2},
    "other-numbers": {
        **{"direction": "BtoA", "input_nc": 1, "output_nc": 1, "lambda_NCE": 3.0, "lambda_GAN": 0.5},
        **{"lr": 1e-3, "beta1": 0.3, "beta2": 0.9},
    },
}


def case_of(folder: Path, **changed: Any) -> Path:
    return write_case(folder, **(SMALL | changed))


@pytest.mark.parametrize("name", VARIANTS)
def test_the_step_equals_the_published_one(tmp_path: Path, name: str) -> None:
    folder = case_of(tmp_path / name, **VARIANTS[name])
    found = check_reference.check_case(folder)
    assert found.failures == []
    assert not found.with_torch_norm
    assert len(found.compared) == len(load_file(folder / "expected.safetensors"))
    for kind, worst in {"forward": 1e-7, "loss": 1e-12, "gradient": 1e-7, "weights": 1e-6}.items():
        assert found.worst[kind][0] < worst, found.worst[kind]


def instance_norm_is_wrong() -> bool:
    """Whether this PyTorch misreads a channels-last gradient of one image whose images have a stride of their own."""
    x, gradient = (torch.randn((1, 3, 4, 4), generator=torch.Generator().manual_seed(k)) for k in range(2))
    x.requires_grad_(True)
    odd = gradient.new_empty(100).as_strided(gradient.shape, (3, 1, 12, 3)).copy_(gradient)
    first, second = (torch.autograd.grad(nn.InstanceNorm2d(3)(x), x, given)[0] for given in (gradient, odd))
    return not torch.allclose(first, second, atol=1e-3)


@pytest.mark.parametrize("name", ["cut", "fastcut", "not-antialiased-9"])
def test_a_case_with_the_wrong_gradients_of_pytorch(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Such a case passes as well, and its line says what it took."""
    status, output = verdict(capsys, case_of(tmp_path / name, torch_norm=True, **VARIANTS[name]))
    assert status == 0, output
    assert ("with PyTorch's own instance norm" in output) == instance_norm_is_wrong()


def verdict(capsys: pytest.CaptureFixture[str], folder: Path) -> tuple[int, str]:
    argv, sys.argv = sys.argv, ["check_reference", str(folder)]
    try:
        return check_reference.main(), capsys.readouterr().out
    finally:
        sys.argv = argv


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A case with everything: both terms, flips, two images."""
    return case_of(tmp_path_factory.mktemp("cut") / "case", batch_size=2, flips=(True, False), flip_equivariance=True)


Damage = Callable[[Path], None]


def options(**changed: Any) -> Damage:
    def damage(folder: Path) -> None:
        case = json.loads((folder / "case.json").read_text())
        case["options"] |= changed
        (folder / "case.json").write_text(json.dumps(case))

    return damage


def entries(**changed: Any) -> Damage:
    def damage(folder: Path) -> None:
        case = json.loads((folder / "case.json").read_text())
        (folder / "case.json").write_text(json.dumps({key: v for key, v in (case | changed).items() if v is not None}))

    return damage


def tensor(file: str, key: str, change: Callable[[Tensor], Tensor] | None) -> Damage:
    """Change a tensor of a file, or remove it."""

    def damage(folder: Path) -> None:
        tensors = load_file(folder / f"{file}.safetensors")
        found = tensors.pop(key)
        if change is not None:
            tensors[key] = change(found).contiguous()
        save_file(tensors, folder / f"{file}.safetensors")

    return damage


def added(file: str, key: str, value: Tensor) -> Damage:
    def damage(folder: Path) -> None:
        save_file(load_file(folder / f"{file}.safetensors") | {key: value}, folder / f"{file}.safetensors")

    return damage


def nudged(value: Tensor) -> Tensor:
    """Its largest element off by a few tolerances."""
    flat = value.reshape(-1).clone()
    flat[flat.abs().argmax()] *= 1 + (1e-11 if value.ndim == 0 else 3e-5)
    return flat.view_as(value)


def poisoned(value: Tensor) -> Tensor:
    flat = value.reshape(-1).clone()
    flat[-1] = torch.nan
    return flat.view_as(value)


FAILING: dict[str, tuple[Damage, str]] = {
    "fake": (tensor("expected", "step0.fake_B", nudged), "step0.fake_B: "),
    "identity": (tensor("expected", "step0.idt_B", nudged), "step0.idt_B: "),
    "gradient": (tensor("expected", "step0.grad.F.mlp_3.0.weight", nudged), "step0.grad.F.mlp_3.0.weight: "),
    "nce": (tensor("expected", "step1.loss.NCE_Y", nudged), "step1.loss.NCE_Y: "),
    "sum": (tensor("expected", "step0.loss.G", nudged), "step0.loss.G: "),
    "weight": (tensor("expected", "final.G.model.14.conv_block.5.weight", nudged), "final.G.model.14"),
    "nan-expected": (tensor("expected", "final.D.model.3.weight", poisoned), "final.D.model.3.weight: nan"),
    "nan-loss": (tensor("expected", "step1.loss.D_real", poisoned), "step1.loss.D_real: nan"),
    "no-loss": (tensor("expected", "step1.loss.G", None), "lacks 1 numbers, e.g. step1.loss.G"),
    "no-gradient": (tensor("expected", "step0.grad.F.mlp_0.0.bias", None), "lacks 1 numbers, e.g. step0.grad.F"),
    "no-weight": (tensor("expected", "final.F.mlp_0.0.bias", None), "lacks 1 numbers, e.g. final.F.mlp_0.0.bias"),
    "left-over": (added("expected", "step0.rec_A", torch.zeros(1)), "no counterpart, e.g. step0.rec_A"),
    "temperature": (options(nce_T=0.0701), "step0.loss.NCE"),
    "nce-weight": (options(lambda_NCE=1.001), "step0.loss.NCE"),
    "gan-weight": (options(lambda_GAN=0.999), "step0.loss.G_GAN"),
    "gan-mode": (options(gan_mode="vanilla"), "step0.loss.D_real"),
    "beta2": (options(beta2=0.99), "step1.loss.G_GAN"),
    "negatives": (options(nce_includes_all_negatives_from_minibatch=True), "step0.loss.NCE"),
    "not-flipped": (tensor("inputs", "step0.flipped", torch.zeros_like), "step0.fake_B"),
    "elsewhere": (tensor("inputs", "step1.ids_B.2", lambda ids: ids.flip(0).add(1).clamp(max=63)), "step1.loss.NCE_Y"),
}


@pytest.mark.parametrize("name", FAILING)
def test_what_differs_fails(written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    damage, says = FAILING[name]
    folder = Path(shutil.copytree(written, tmp_path / "case"))
    damage(folder)
    status, output = verdict(capsys, folder)
    assert status == 1
    assert output.startswith("FAIL case")
    assert says in output


UNREADABLE: dict[str, tuple[Damage, str]] = {
    "option": (options(nce_temperature=0.07), "the option 'nce_temperature' is unknown for CUT"),
    "misspelt": (options(lamda_NCE=1.0), "Did you mean lambda_NCE?"),
    "entry": (entries(seed=3), "unknown entries seed"),
    "list": (entries(options=[]), "the object 'options'"),
    "steps": (entries(steps="2"), "'steps' is '2'"),
    "no-size": (entries(size=None), "'size' is None"),
    "more-steps": (entries(steps=3), "has no 'A' of step 2"),
    "batch": (entries(batch_size=1), "step0.A has the shape (2, 3, 16, 16), but the case says (1, 3, 16, 16)"),
    "type": (options(ngf="2"), "ngf is '2', but it must be of type int"),
    "truth": (options(nce_idt=1), "nce_idt is 1, but it must be of type bool"),
    "mode": (options(CUT_mode="slow"), "CUT_mode is 'slow'"),
    "generator": (options(netG="unet_128"), "netG is 'unet_128'"),
    "blocks": (options(netG="resnet_9blocks"), "G.model.18.conv_block.1.weight is missing"),
    "discriminator": (options(netD="stylegan2"), "netD must be one of basic, n_layers, pixel"),
    "sampler": (options(netF="sample"), "netF must be one of mlp_sample, not 'sample'"),
    "norm": (options(normD="layer"), "normD must be one of instance, batch, none"),
    "dropout": (options(no_dropout=False), "no_dropout is false"),
    "channels": (options(output_nc=1), "input_nc and output_nc differ"),
    "width": (options(ngf=3), "size mismatch"),
    "temperature": (options(nce_T=0.0), "nce_T is 0.0"),
    "weight": (options(lambda_GAN=-1.0), "lambda_GAN is -1.0"),
    "layers": (options(nce_layers="0,8,4"), "nce_layers is '0,8,4', but it must be ascending numbers"),
    "far-layer": (options(nce_layers="0,4,99"), "from 0 to 28"),
    "words": (options(nce_layers="0,four"), "nce_layers is '0,four'"),
    "fewer-layers": (options(nce_layers="0,4,8,12"), "weights that the network does not have"),
    "patches": (options(num_patches=7), "'ids_A.0' must be 7 locations of a map of 22 × 22, from 0 to 483"),
    "no-image": (tensor("inputs", "step1.B", None), "has no 'B' of step 1"),
    "no-locations": (tensor("inputs", "step0.ids_B.4", None), "the input 'ids_B.4'"),
    "no-flip": (tensor("inputs", "step1.flipped", None), "'flipped' is missing"),
    "half-flipped": (
        tensor("inputs", "step1.flipped", lambda flip: flip + 0.5),
        "'flipped' must be one number, 0 or 1",
    ),
    "far": (tensor("inputs", "step0.ids_A.3", lambda ids: ids + 16), "of a map of 4 × 4, from 0 to 15"),
    "negative": (tensor("inputs", "step0.ids_A.3", lambda ids: ids - 16), "of a map of 4 × 4, from 0 to 15"),
    "broken": (tensor("inputs", "step0.ids_A.3", lambda ids: ids.double()), "'ids_A.3' must be a list of int64"),
    "per-image": (
        tensor("inputs", "step0.ids_A.3", lambda ids: ids.expand(2, -1)),
        "'ids_A.3' must be a list of int64",
    ),
    "use": (added("inputs", "step1.ids_C.0", torch.zeros(6, dtype=torch.int64)), "no use for the inputs ids_C.0"),
    "nan": (tensor("inputs", "step1.A", poisoned), "inputs.safetensors has values that are not finite in step1.A"),
    "nan-weight": (tensor("initial_weights", "F.mlp_1.2.weight", poisoned), "not finite in F.mlp_1.2.weight"),
    "no-weight": (tensor("initial_weights", "F.mlp_1.2.bias", None), "the weight F.mlp_1.2.bias is missing"),
    "shape": (tensor("expected", "step0.fake_B", lambda image: image[:1]), "step0.fake_B has the shape (1, 3, 16, 16)"),
    "transposed": (tensor("expected", "final.F.mlp_0.0.weight", lambda weight: weight.T), "final.F.mlp_0.0.weight has"),
    "loss": (added("expected", "step0.loss.cycle_A", torch.ones(())), "step0.loss.cycle_A has no counterpart"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_read_is_named(
    written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    damage, says = UNREADABLE[name]
    folder = Path(shutil.copytree(written, tmp_path / "case"))
    damage(folder)
    status, output = verdict(capsys, folder)
    assert status == 2
    assert output.startswith("ERROR case: ")
    assert says in output


def test_the_official_mode_sets_its_options(tmp_path: Path) -> None:
    """FastCUT by its name alone, and options without effect."""
    folder = case_of(tmp_path / "case", **FASTCUT, flips=(True,))
    case = json.loads((folder / "case.json").read_text())
    case["options"] = {key: value for key, value in case["options"].items() if key not in FASTCUT}
    case["options"] |= {"CUT_mode": "FastCUT", "init_type": "xavier", "init_gain": 0.02, "pool_size": 0}
    (folder / "case.json").write_text(json.dumps(case))
    assert check_reference.check_case(folder).failures == []
