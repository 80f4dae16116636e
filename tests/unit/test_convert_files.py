"""Files of weights of every age, and files that are none: what is read of them, and what is said of the others."""

import os
import pickle
import zipfile
from collections.abc import Callable
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
from tandem.config.specifications import EncoderSpec, NetworkSpec, PatchDiscriminatorSpec, ResNetSpec, UNetSpec
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
        ({"G": UNET}, {"latent_dim": 3}, "give the right --latent-dim"),
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
