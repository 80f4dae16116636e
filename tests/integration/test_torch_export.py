"""``tandem export --to torch-export``: programs that PyTorch runs without Tandem, and what they hold."""

import copy
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from support import tandem

from onnx_models import random_network
from preprocessing import preprocessing
from tandem.checkpoint.bundle import load_bundle, save_bundle
from tandem.checkpoint.manifest import Manifest
from tandem.config.specifications import NetworkSpec, UNetSpec
from tandem.errors import BundleError
from tandem.inference import program
from tandem.inference.program import export_programs
from tandem.networks.layers import sample_as_in_training
from tandem_bundle import make_tandem

UNET = {"in_channels": 3, "out_channels": 3, "filters": 2}
WITHOUT_TANDEM = """
import sys, torch
path, out = sys.argv[1:]
run = torch.export.load(path).module()
torch.manual_seed(3)
outputs = [run(torch.linspace(-1, 1, 3 * 64 * 128).view(1, 3, 64, 128)) for _ in range(2)]
torch.save(outputs, out)
assert "tandem" not in sys.modules
"""


def saved(folder: Path, spec: NetworkSpec, *, method: str, noise: bool = False) -> Path:
    manifest = Manifest(
        tandem_version="0",
        method=method,
        networks={"generator": spec},
        preprocessing=preprocessing((64, 64)),
        samples_with_noise=noise,
    )
    save_bundle(folder, manifest, {"generator": random_network(spec)})
    return folder


def test_generator_and_encoder_of_any_size(tmp_path: Path) -> None:
    """Other sizes and numbers of images than those that were traced; no path and no line of source."""
    model = make_tandem(tmp_path / "model", depth=1)
    finished = tandem("export", model, "--to", "torch-export", "--out", tmp_path / "m.pt2")
    assert finished.status == 0, finished.err
    assert "m.pt2: " in finished.err
    assert "largest deviation" in finished.err
    written = b"".join((tmp_path / name).read_bytes() for name in ("m.pt2", "m.encoder.pt2"))
    assert not [word for word in (str(tmp_path), str(Path.home()), ".py") if word.encode() in written]
    _, networks = load_bundle(model)
    texts = {program.TEXTS: ""}
    run = torch.export.load(tmp_path / "m.pt2", extra_files=texts).module()
    said = json.loads(texts[program.TEXTS])
    assert (said["latent_dim"], said["size_multiple"], said["z"]) == ("2", "2", "N(0, I)")
    assert json.loads(said["tandem.proof"])["largest_at_most"] <= 1e-4
    for n, height, width in ((1, 16, 16), (3, 20, 8)):
        given = torch.rand(n, 3, height, width) * 2 - 1, torch.randn(n, 2)
        torch.testing.assert_close(run(*given), networks["generator"](*given), rtol=0, atol=2e-5)
    with pytest.raises(AssertionError, match="Guard failed"):
        run(torch.zeros(1, 3, 17, 16), torch.zeros(1, 2))
    encode = torch.export.load(tmp_path / "m.encoder.pt2").module()
    pair = torch.rand(2, 3, 12, 16), torch.rand(2, 3, 12, 16)
    known = torch.tensor([1.0, 0.0])
    torch.testing.assert_close(encode(*pair, known), networks["encoder"](*pair, known), rtol=0, atol=2e-5)


def test_dropout_is_that_of_pytorch_without_tandem(tmp_path: Path) -> None:
    """Statistics of the image, and dropout by PyTorch's generator, as the network samples; the same bytes elsewhere."""
    spec = UNetSpec(latent_dim=0, injection="none", depth=6, norm="batch", dropout=True, skip_first=True, **UNET)
    model = saved(tmp_path / "model", spec, method="pix2pix", noise=True)
    for more in ((), ("--out", tmp_path / "there" / "deeper.pt2")):
        assert tandem("export", model, "--to", "torch-export", *more).status == 0
    assert (tmp_path / "model.pt2").read_bytes() == (tmp_path / "there" / "deeper.pt2").read_bytes()
    subprocess.run(
        [sys.executable, "-c", WITHOUT_TANDEM, tmp_path / "model.pt2", tmp_path / "outputs.pt"], check=True, timeout=120
    )
    _, networks = load_bundle(model)
    sample_as_in_training(networks["generator"])
    torch.manual_seed(3)
    image = torch.linspace(-1, 1, 3 * 64 * 128).view(1, 3, 64, 128)
    expected = [networks["generator"](image) for _ in range(2)]
    found = torch.load(tmp_path / "outputs.pt", weights_only=True)
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-5)
    assert (found[0] - found[1]).abs().max() > 0.1


def test_a_unet_whose_innermost_map_is_one_pixel(tmp_path: Path) -> None:
    """The size that the network was trained with, of which the norm of a map of one pixel is only its shift."""
    spec = UNetSpec(latent_dim=3, injection="input", depth=6, norm="instance_affine", activation_last=True, **UNET)
    model = saved(tmp_path / "model", spec, method="bicyclegan")
    (written,) = export_programs(model, tmp_path / "m.pt2")
    assert written.proof.largest < 1e-5
    assert not written.proof.undecided


def test_what_is_not_the_network_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program of other weights, such as an exporter that loses some would write."""
    model = saved(tmp_path / "model", UNetSpec(latent_dim=3, depth=2, **UNET), method="bicyclegan")
    trace = program._program

    def other(module: torch.nn.Module, *rest: object, **named: object) -> object:
        changed = copy.deepcopy(module)
        with torch.no_grad():
            next(changed.parameters()).mul_(1.1)
        return trace(changed, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(program, "_program", other)
    with pytest.raises(BundleError, match="the exported generator differs from PyTorch by"):
        export_programs(model, tmp_path / "out" / "m.pt2")
    assert not list((tmp_path / "out").iterdir())
    refused = tandem("export", model, "--to", "torch-export", "--weights", "int8", "--out", tmp_path / "m.onnx")
    assert refused.status == 2
    assert "--weights int8: programs of torch.export hold weights in full" in refused.err
    assert "must end in '.pt2' with --to torch-export" in refused.err
