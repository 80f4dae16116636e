"""``tandem export --to monai``: what the network of the bundle computes, and what MONAI itself makes of the folder."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image
from support import tandem

import tandem as tandem_package
from cyclegan_bundle import make_cyclegan
from tandem.data.levels import Levels
from tandem.errors import DataError
from tandem.inference.monai.network import MonaiGenerator
from tandem_bundle import make_tandem
from tiny_bundle import write_bundle

MONAI = """
import sys
from pathlib import Path
from monai.bundle import load, run, verify_net_in_out
for given in sys.argv[1:]:
    root = Path(given)
    config, metadata = (str(root / "configs" / name) for name in ("inference.json", "metadata.json"))
    verify_net_in_out("network_def", meta_file=metadata, config_file=config)
    network = load(root.name, bundle_dir=root.parent, workflow_type="inference", device="cpu")
    assert type(network).__name__ == "MonaiGenerator", type(network)
    run(config_file=config, bundle_root=given)
"""
DETERMINISTIC = {"latent_dim": 0, "injection": "none"}


def exported(model: Path, *words: str) -> Path:
    out = model.with_name(f"{model.name}-monai")
    finished = tandem("export", model, "--to", "monai", "--out", out, *words)
    assert finished.status == 0, finished.err
    return out


def network_of(bundle: Path) -> MonaiGenerator:
    """What MONAI builds, without MONAI."""
    given = json.loads((bundle / "configs/inference.json").read_text())["network_def"]
    assert given.pop("_target_") == f"{MonaiGenerator.__module__}.{MonaiGenerator.__name__}"
    network = MonaiGenerator(**given)
    network.load_state_dict(torch.load(bundle / "models/model.pt", weights_only=True))
    return network.eval()


def values(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


def test_the_network_translates_as_the_model_does_in_the_axes_of_monai(tmp_path: Path) -> None:
    """Of a size that is no multiple of anything, and a volume slice by slice with one latent."""
    network = network_of(exported(make_tandem(tmp_path / "model", depth=2)))
    image, z = values(29, 40, 3), values(1, network.spec.latent_dim)
    translator = tandem_package.load(tmp_path / "model", device="cpu")
    expected = translator(image, z=z, fit="pad", value_range=(-1, 1), output="tensor")[0]
    given = torch.from_numpy(image.transpose(2, 1, 0).copy())[None]
    with torch.no_grad():
        found = network(given, z=torch.from_numpy(z))
        volume = network(torch.stack([given, given.flip(2)], -1), z=torch.from_numpy(z))
    assert found.shape == (1, 3, 40, 29)
    np.testing.assert_allclose(found[0].numpy().swapaxes(1, 2), expected, atol=1e-5)
    torch.testing.assert_close(volume[..., 0], found, atol=1e-5, rtol=0)
    assert not torch.equal(volume[..., 1], found)


def test_latents_are_drawn_by_the_generator_of_pytorch(tmp_path: Path) -> None:
    network = network_of(exported(write_bundle(tmp_path / "model")))
    image = torch.from_numpy(values(1, 3, 16, 16))
    torch.manual_seed(3)
    first, second = network(image), network(image)
    torch.manual_seed(3)
    assert torch.equal(network(image), first)
    assert not torch.allclose(first, second, atol=1e-3)


def test_a_volume_of_other_channels_is_refused_in_words(tmp_path: Path) -> None:
    network = network_of(exported(write_bundle(tmp_path / "model")))
    with pytest.raises(DataError, match=r"shape \(1, 1, 16, 16\); it takes \(N, 3, X, Y\)"):
        network(torch.zeros(1, 1, 16, 16))


def test_two_directions_become_two_bundles(tmp_path: Path) -> None:
    make_cyclegan(tmp_path / "model")
    out = exported(tmp_path / "model", "--licence", "mit")
    assert sorted(path.name for path in out.iterdir()) == ["AtoB", "BtoA"]
    translator = tandem_package.load(tmp_path / "model", device="cpu")
    image = values(16, 16, 3)
    for direction in ("AtoB", "BtoA"):
        with torch.no_grad():
            found = network_of(out / direction)(torch.from_numpy(image.transpose(2, 1, 0).copy())[None])
        expected = translator(image, direction=direction, value_range=(-1, 1), output="tensor")[0]
        np.testing.assert_allclose(found[0].numpy().swapaxes(1, 2), expected, atol=1e-5)
        assert (out / direction / "LICENSE").read_text() == "SPDX-License-Identifier: mit\n"


@pytest.mark.parametrize(
    ("trained", "words", "message"),
    [
        ({"input_levels": Levels(fill=0.0)}, [], "have pixels that hold nothing"),
        ({}, ["--weights", "fp16"], "--weights fp16: MONAI bundles hold weights in full"),
        ({}, ["--picture", "x.png"], "--picture has no effect without --to hub"),
    ],
)
def test_what_no_monai_bundle_can_say_is_refused(
    tmp_path: Path, trained: dict[str, Any], words: list[str], message: str
) -> None:
    write_bundle(tmp_path / "model", **trained)
    refused = tandem("export", tmp_path / "model", "--to", "monai", "--out", tmp_path / "out", *words)
    assert refused.status == 2
    assert message in refused.err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_monai_runs_it(tmp_path: Path) -> None:
    """MONAI's own workflow, where it is installed; TANDEM_MONAI names the Python of another environment.

    Pictures of any size give the files of `tandem sample`; those that are resized come near, since the filters are
    others; a volume of 16 bits gives the values of its slices.
    """
    python = os.environ.get("TANDEM_MONAI") or (importlib.util.find_spec("monai") and sys.executable)
    if not python:
        pytest.skip("monai is not installed")
    random = np.random.default_rng(0)
    pictures = {"square": (16, 16), "odd": (40, 29)}
    plain = write_bundle(tmp_path / "plain", generator=DETERMINISTIC, with_encoder=False)
    fixed = {"preprocess": "resize_and_crop", "load_size": (32, 32)}
    resized = write_bundle(tmp_path / "resized", size=(32, 32), generator=DETERMINISTIC, with_encoder=False, **fixed)
    levels = {f"{one}_levels": Levels("uint16", (100.0,), (300.0,)) for one in ("input", "output")}
    scan = write_bundle(tmp_path / "scan", channels=(1, 1), generator=DETERMINISTIC, with_encoder=False, **levels)
    bundles = {model: exported(model) for model in (plain, resized, scan)}
    for model in (plain, resized):
        (bundles[model] / "images").mkdir()
        for name, size in pictures.items():
            coarse = Image.fromarray(random.integers(0, 256, (4, 4, 3), dtype=np.uint8))
            coarse.resize(size[::-1], Image.Resampling.BICUBIC).save(bundles[model] / f"images/{name}.png")
    (bundles[scan] / "images").mkdir()
    volume = random.integers(100, 301, (24, 16, 3), dtype=np.uint16)
    nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), bundles[scan] / "images/scan.nii.gz")
    finished = subprocess.run(
        [python, "-c", MONAI, *map(str, bundles.values())], capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    for model, most in ((plain, 1), (resized, 60)):
        translator = tandem_package.load(model, device="cpu")
        for name, size in pictures.items():
            expected = np.asarray(translator(bundles[model] / f"images/{name}.png")[0]).astype(int)
            found = np.asarray(Image.open(bundles[model] / f"eval/{name}.png")).astype(int)
            assert found.shape == (*size, 3) == expected.shape
            assert np.abs(found - expected).max() <= most, model.name
    translator = tandem_package.load(scan, device="cpu")
    found = np.asarray(nibabel.load(bundles[scan] / "eval/scan.nii.gz").dataobj)
    assert found.dtype == np.uint16
    assert found.shape == volume.shape
    for index in range(3):
        expected = np.asarray(translator(volume[:, :, index].T[:, :, None], output="tensor"))[0, 0]
        assert np.abs(found[:, :, index].T - (100 + 100 * (expected + 1))).max() <= 1
