"""Files of weights of every age, and files that are none: what is read of them, and what is said of the others."""

import os
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from tandem.checkpoint.bundle import load_bundle
from tandem.checkpoint.convert import Told, convert
from tandem.checkpoint.official import official_key_map
from tandem.cli import main
from tandem.config.specifications import EncoderSpec, NetworkSpec, Norm, PatchDiscriminatorSpec, ResNetSpec, UNetSpec
from tandem.errors import WeightsError
from tandem.networks.build import build_network

UNET = UNetSpec(in_channels=3, out_channels=3, latent_dim=8, depth=3, filters=2, injection="input")
ENCODER = EncoderSpec(in_channels=3, latent_dim=8, depth=3, filters=2)
RESNET = ResNetSpec(in_channels=3, out_channels=3, filters=2, blocks=2)


def state_of(spec: NetworkSpec) -> dict[str, Tensor]:
    """Weights that floats of 16 bits hold exactly, under official keys."""
    torch.manual_seed(0)
    state = build_network(spec).state_dict()
    keys = official_key_map(spec, list(state))
    return {keys[ours]: value.bfloat16().half().float() for ours, value in state.items()}


def zipped(state: dict[str, Any], path: Path) -> None:
    torch.save(state, path)


def legacy(state: dict[str, Any], path: Path) -> None:
    torch.save(state, path, _use_new_zipfile_serialization=False)


def in_safetensors(state: dict[str, Any], path: Path) -> None:
    save_file(state, path)


def with_old_buffers(state: dict[str, Any], path: Path) -> None:
    """As PyTorch 0.3 saved the norms of CycleGAN, all of which have buffers there that nothing reads."""
    norms = {f"model.{index}": 2 * 2**level for level, index in enumerate((2, 5, 8))}
    more = {f"{norm}.running_mean": torch.ones(width) for norm, width in norms.items()}
    more |= {f"{norm}.running_var": torch.ones(width) for norm, width in norms.items()}
    torch.save(state | more, path)


def as_saved_in_parallel(state: dict[str, Any], path: Path) -> None:
    torch.save({f"module.{key}": value for key, value in state.items()}, path)


def half(state: dict[str, Any], path: Path) -> None:
    torch.save({key: value.half() for key, value in state.items()}, path)


def brain(state: dict[str, Any], path: Path) -> None:
    torch.save({key: value.bfloat16() for key, value in state.items()}, path)


def double(state: dict[str, Any], path: Path) -> None:
    torch.save({key: value.double() for key, value in state.items()}, path)


def on_parameters(state: dict[str, Any], path: Path) -> None:
    torch.save({key: torch.nn.Parameter(value) for key, value in state.items()}, path)


@pytest.mark.parametrize(
    ("write", "name"),
    [
        *((one, "latest_net_G.pth") for one in (zipped, legacy, with_old_buffers, as_saved_in_parallel)),
        *((one, "G.pkl") for one in (half, brain, double, on_parameters, legacy)),
        (in_safetensors, "G.safetensors"),
    ],
)
def test_files_of_every_kind(tmp_path: Path, write: Callable[..., None], name: str) -> None:
    state = state_of(RESNET)
    write(state, tmp_path / name)
    convert([tmp_path / name], tmp_path / "model")
    manifest, networks = load_bundle(tmp_path / "model")
    assert manifest.networks == {"generator": RESNET}
    keys = official_key_map(RESNET, list(networks["generator"].state_dict()))
    found = {keys[ours]: value for ours, value in networks["generator"].state_dict().items()}
    assert found.keys() == state.keys()
    assert all(torch.equal(found[key], value) for key, value in state.items())


class Runs:
    """What is pickled of it runs a command when it is loaded."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch hacked",)


def evil_pickle(path: Path) -> None:
    with path.open("wb") as file:
        pickle.dump(Runs(), file)


@pytest.mark.parametrize(
    "write",
    [
        evil_pickle,
        lambda path: torch.save({"a": Runs()}, path),
        lambda path: torch.save({"a": Runs()}, path, _use_new_zipfile_serialization=False),
    ],
)
def test_code_is_never_run(
    tmp_path: Path, write: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("G.pth"))
    assert main(["convert", "G.pth", "--to", "model"]) == 1
    assert f"it wants to call {os.system.__module__}.system while it is read" in capsys.readouterr().err
    assert not Path("hacked").exists()
    assert not Path("model").exists()


def cut(state: dict[str, Tensor], path: Path, *, old: bool) -> None:
    torch.save(state, path, _use_new_zipfile_serialization=not old)
    path.write_bytes(path.read_bytes()[:-300])


def packed_otherwise(path: Path) -> None:
    """An archive whose pickle is compressed in a way that there is not."""
    torch.save(state_of(RESNET), path)
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        at = next(info.header_offset for info in archive.infolist() if info.filename.endswith("data.pkl"))
    central = content.index(b"PK\1\2")
    for place in (at + 8, central + 10):
        content[place : place + 2] = (99).to_bytes(2, "little")
    path.write_bytes(content)


def without(state: dict[str, Tensor], key: str) -> dict[str, Tensor]:
    return {name: value for name, value in state.items() if name != key}


BROKEN: list[tuple[Callable[[Path], object], str]] = [
    (lambda path: cut(state_of(RESNET), path, old=False), "is cut short or damaged"),
    (lambda path: cut(state_of(RESNET), path, old=True), "is cut short or damaged"),
    (packed_otherwise, "is cut short or damaged (That compression method is not supported)"),
    (lambda path: path.write_text("<html>404</html>"), "is no file that PyTorch has saved"),
    (lambda path: path.write_bytes(b""), "is no file that PyTorch has saved"),
    (lambda path: torch.save(torch.nn.Linear(2, 2), path), "it wants to call torch.nn.modules.linear.Linear"),
    (lambda path: torch.save({"epoch": 3, "net": {}}, path), "'epoch' is no dense tensor"),
    (lambda path: torch.save([torch.ones(2)], path), "holds a list; expected a state dict"),
    (lambda path: torch.save({}, path), "Its first keys are none at all"),
    (lambda path: torch.save({"features.0.weight": torch.ones(2)}, path), "Its first keys are features.0.weight"),
    (lambda path: torch.save({"a": torch.ones(2, dtype=torch.int32)}, path), "a is int32; weights are floats"),
    (lambda path: torch.save({"a": torch.full((2,), torch.nan)}, path), "a holds values that are not finite"),
    (lambda path: torch.save(without(state_of(RESNET), "model.12.bias"), path), "model.12.bias is missing"),
    (lambda path: torch.save(without(state_of(RESNET), "model.4.weight"), path), "model.4.weight is missing"),
    (lambda path: torch.save(without(state_of(UNET), "model.model.3.weight"), path), "lacks parts of the network"),
    (lambda path: torch.save(state_of(RESNET) | {"model.99.bias": torch.ones(1)}, path), "model.99.bias has no place"),
    (
        lambda path: torch.save(state_of(RESNET) | {"model.12.bias": torch.ones(9)}, path),
        "model.12.bias is [9] instead of [4]",
    ),
    (
        lambda path: torch.save(state_of(PatchDiscriminatorSpec(in_channels=3, filters=2, layers=2, scales=1)), path),
        "is a discriminator, which only training uses",
    ),
    (
        lambda path: torch.save(state_of(PatchDiscriminatorSpec(in_channels=3, filters=2, layers=2, scales=2)), path),
        "is a discriminator with several scales",
    ),
    (lambda path: torch.save({"mlp_0.0.weight": torch.ones(2)}, path), "the heads of PatchNCE"),
    (lambda path: torch.save(state_of(ENCODER), path), "there is no generator. Give its file too"),
]


@pytest.mark.parametrize(("write", "message"), BROKEN)
def test_what_is_no_model_is_said_to_be_none(tmp_path: Path, write: Callable[[Path], object], message: str) -> None:
    path = tmp_path / "latest_net_G.pth"
    write(path)
    with pytest.raises(WeightsError) as caught:
        convert([path], tmp_path / "model")
    assert message in str(caught.value)
    assert "latest_net_G.pth" in str(caught.value)
    assert not (tmp_path / "model").exists()


FOREIGN: list[tuple[dict[str, tuple[int, ...]], str]] = [
    ({"down1.model.0.weight": (4, 3, 4, 4), "up1.model.0.weight": (4, 3, 4, 4)}, "a generator of PyTorch-GAN"),
    ({"model.1.weight": (4, 3, 7, 7), "model.10.block.1.weight": (16, 16, 3, 3)}, "enlarges maps by repeating pixels"),
    ({"model.1.weight": (4, 3, 7, 7), "model1_1.1.weight": (2, 3, 7, 7)}, "with a local enhancer"),
    ({"model.1.weight": (4, 3, 7, 7), "model.10.conv_block.0.weight": (16, 16, 3, 3)}, "blocks pad with zeros"),
    ({"model.1.weight_orig": (4, 3, 7, 7), "model.1.weight_u": (4,)}, "a network with spectral norm"),
    ({"convs.0.0.kernel": (4, 4), "convs.0.1.conv.modulation.weight": (4, 4)}, "a StyleGAN2 network"),
    ({"enc_content.model.0.conv.weight": (4, 3, 7, 7)}, "a generator of MUNIT"),
    ({"model.1.weight": (4, 3, 7, 7), "model.6.filt": (8, 1, 3, 3), "model.10.filt": (16, 1, 3, 3)}, "on one way only"),
    (
        {f"model.{1 + 3 * level}.weight": (4 * 2**level, 4, 3, 3) for level in range(5)}
        | {"model.16.conv_block.1.weight": (64, 64, 3, 3)},
        "halves maps 4 times, as pix2pixHD's does",
    ),
]


@pytest.mark.parametrize(("shapes", "message"), FOREIGN)
def test_networks_of_others_are_refused_with_the_reason(
    tmp_path: Path, shapes: dict[str, tuple[int, ...]], message: str
) -> None:
    path = tmp_path / "latest_net_G.pth"
    torch.save({key: torch.ones(shape) for key, shape in shapes.items()}, path)
    with pytest.raises(WeightsError, match="What can be converted are the generators of") as caught:
        convert([path], tmp_path / "model")
    assert message in str(caught.value)


@pytest.mark.parametrize("prefix", ["module.", "module.module.", "_orig_mod.", "module._orig_mod.", "netG."])
def test_what_a_module_around_the_network_put_in_front_goes(tmp_path: Path, prefix: str) -> None:
    path = tmp_path / "G.pth"
    torch.save({f"{prefix}{key}": value for key, value in state_of(RESNET).items()}, path)
    assert convert([path], tmp_path / "model").networks == {"generator": RESNET}


def test_a_checkpoint_with_one_state_dict_stands_for_it(tmp_path: Path) -> None:
    path, optimiser = tmp_path / "G.pth", {"state": {}, "param_groups": [{"lr": 1e-4}]}
    torch.save({"epoch": 3, "model": state_of(RESNET), "optimizer": optimiser}, path)
    assert convert([path], tmp_path / "model").networks == {"generator": RESNET}
    torch.save({"netG": state_of(RESNET), "netD": {"model.0.weight": torch.ones(2)}}, path)
    with pytest.raises(WeightsError, match=r"several state dicts \(netG, netD\): save the one .*'G.pth'\)\['netG'\]"):
        convert([path], tmp_path / "other")


@pytest.mark.parametrize(
    ("norm", "channels", "told", "found"),
    [
        ("batch", 12, {}, (12, 0)),  # no biases, so it is pix2pix's
        ("batch", 6, {}, (6, 0)),
        ("instance", 12, {"latent_dim": 0}, (12, 0)),
        ("instance", 12, {"latent_dim": 2}, (10, 2)),
        ("instance", 12, {}, (4, 8)),  # nothing in the file tells them apart, which the log says
    ],
)
def test_channels_of_an_image_are_not_taken_for_a_latent(
    tmp_path: Path, norm: Norm, channels: int, told: dict[str, Any], found: tuple[int, int]
) -> None:
    spec = UNetSpec(
        in_channels=channels, out_channels=3, latent_dim=0, depth=3, filters=2, injection="none", skip_first=True,
        norm=norm, bias=norm == "instance",
    )  # fmt: skip
    made = convert(files(tmp_path, G=spec), tmp_path / "model", Told(**told)).networks["generator"]
    assert isinstance(made, UNetSpec)
    assert (made.in_channels, made.latent_dim) == found
    assert (replace(made, dropout=False) == spec) == (found == (channels, 0))


def test_a_missing_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", str(tmp_path / "none.pth"), "--to", str(tmp_path / "model")]) == 1
    assert "No such file" in capsys.readouterr().err


def files(folder: Path, **specs: NetworkSpec) -> list[Path]:
    for name, spec in specs.items():
        torch.save(state_of(spec), folder / f"latest_net_{name}.pth")
    return [folder / f"latest_net_{name}.pth" for name in specs]


WIDER = EncoderSpec(in_channels=3, latent_dim=4, depth=3, filters=2)
GREY = EncoderSpec(in_channels=1, latent_dim=8, depth=3, filters=2)
TURNED = ResNetSpec(in_channels=1, out_channels=3, filters=2, blocks=2)


@pytest.mark.parametrize(
    ("specs", "told", "message"),
    [
        ({"G": UNET, "E": ENCODER, "E2": ENCODER}, {}, "two of them are encoders"),
        ({"G": UNET, "E": WIDER}, {}, "with a latent of 4 the image would not have"),
        ({"G": UNET, "E": GREY}, {}, "they are not of one model"),
        ({"G": UNET, "E": ENCODER}, {"latent_dim": 4}, "--latent-dim is 4, but the encoder's latent is 8"),
        ({"G": UNET}, {"latent_dim": 11}, "give the right --latent-dim"),
        ({"G_A": RESNET, "G_B": TURNED}, {}, "is not the way back of the other"),
        ({"G_A": RESNET, "G_B": RESNET, "G": RESNET}, {}, "a model has one generator, or CycleGAN's two"),
        ({"G_A": RESNET, "G_B": RESNET}, {"method": "cut"}, "two generators make a CycleGAN model"),
        ({"G": RESNET}, {"method": "cyclegan"}, "a CycleGAN model has two generators"),
        ({"G": RESNET}, {"method": "bicyclegan"}, "which has no latent"),
        ({"G": UNET}, {"method": "cut"}, "which has a latent"),
        ({"G": UNET}, {"size": 100}, "--size must be a multiple of 8 for this generator, not 100"),
    ],
)
def test_what_makes_no_model_together(tmp_path: Path, specs: dict, told: dict[str, Any], message: str) -> None:
    with pytest.raises(WeightsError) as caught:
        convert(files(tmp_path, **specs), tmp_path / "model", Told(**told))
    assert message in str(caught.value)


def test_a_latent_beside_the_input_is_eight_unless_told(tmp_path: Path) -> None:
    manifest = convert(files(tmp_path, G=UNET), tmp_path / "model")
    assert manifest.networks == {"generator": UNET}
    manifest = convert(files(tmp_path, G=UNET), tmp_path / "model", Told(latent_dim=10, direction="BtoA"))
    assert manifest.networks["generator"].latent_dim == 10  # type: ignore[union-attr]
    assert manifest.preprocessing.input_channels == 1
    assert manifest.preprocessing.direction == "BtoA"


def test_another_folder_is_not_filled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (paths,) = files(tmp_path, G=RESNET)
    assert main(["convert", str(paths), "--to", str(tmp_path)]) == 2
    assert "holds other files and no model" in capsys.readouterr().err
