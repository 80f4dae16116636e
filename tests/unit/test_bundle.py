"""Model bundles: bit-exact round trip, and every damaged or hostile one refused with a message, quickly."""

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from preprocessing import preprocessing
from tandem.checkpoint.bundle import load_bundle, save_bundle
from tandem.checkpoint.manifest import MANIFEST_NAME, Manifest
from tandem.config.specifications import EncoderSpec, PatchDiscriminatorSpec, UNetSpec
from tandem.networks.build import build_network

MakeBundle = Callable[..., Path]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def manifest_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / MANIFEST_NAME).read_text(encoding="utf-8"))


def weights_of(folder: Path) -> Path:
    return folder / manifest_of(folder)["weights"]["file"]


@pytest.mark.parametrize("norm", ["instance", "instance_affine", "batch", "none"])
def test_round_trip_is_bit_exact(tmp_path: Path, norm: Any) -> None:
    specs = {
        "generator": UNetSpec(in_channels=1, out_channels=4, latent_dim=3, depth=5, filters=2, norm=norm, dropout=True),
        "encoder": EncoderSpec(body="cnn", in_channels=4, latent_dim=3, depth=2, filters=2, norm=norm),
        "discriminator": PatchDiscriminatorSpec(in_channels=3, filters=2, layers=2, scales=2, norm=norm),
    }
    networks = {name: build_network(spec) for name, spec in specs.items()}
    manifest = Manifest(
        tandem_version="1.2.3",
        method="bicyclegan",
        networks=specs,
        preprocessing=preprocessing((32, 64), (1, 4), direction="BtoA"),
        training={"steps": 5, "options": {"size": "32x64", "lambda_kl": 0.01, "none": None}},
        statistics={"mean": [0.1, -0.2], "text": "größer"},
    )
    save_bundle(tmp_path / "runs" / "x" / "model", manifest, networks)
    for path in (tmp_path / "runs" / "x", tmp_path / "runs" / "x" / "model", tmp_path / "runs/x/model/model.json"):
        found, loaded = load_bundle(path)
        assert dataclasses.replace(found, weights=None) == manifest
        assert found.weights is not None
        for name, network in networks.items():
            assert not loaded[name].training
            assert not any(parameter.requires_grad for parameter in loaded[name].parameters())
            state = loaded[name].state_dict()
            assert state.keys() == network.state_dict().keys()
            for key, value in network.state_dict().items():
                assert state[key].dtype == value.dtype
                assert torch.equal(state[key], value)


def test_a_bundle_is_two_files(make_bundle: MakeBundle) -> None:
    folder = make_bundle()
    digest = hashlib.sha256(weights_of(folder).read_bytes()).hexdigest()
    assert names(folder) == ["model.json", f"weights-{digest[:16]}.safetensors"]
    assert manifest_of(folder)["weights"]["sha256"] == digest
    assert manifest_of(folder)["format"] == 1


def test_renewing_leaves_one_whole_bundle(make_bundle: MakeBundle) -> None:
    folder = make_bundle()
    old = weights_of(folder)
    (folder / ".model.json.1.tmp").write_text("half")
    manifest, networks = load_bundle(folder)
    with torch.no_grad():
        next(networks["generator"].parameters()).fill_(0.5)
    save_bundle(folder, manifest, networks)
    assert not old.exists()
    assert names(folder) == ["model.json", weights_of(folder).name]
    _, renewed = load_bundle(folder)
    assert bool((next(renewed["generator"].parameters()) == 0.5).all())
    save_bundle(folder, manifest, networks)
    assert names(folder) == ["model.json", weights_of(folder).name]


def test_a_failed_renewal_leaves_the_old_bundle(make_bundle: MakeBundle) -> None:
    folder = make_bundle()
    manifest, networks = load_bundle(folder)
    with torch.no_grad():
        next(networks["generator"].parameters()).fill_(0.5)
    unwritable = dataclasses.replace(manifest, statistics={"mean": float("nan")})
    with pytest.raises(ValueError, match="JSON"):
        save_bundle(folder, unwritable, networks)
    _, found = load_bundle(folder)
    assert not bool((next(found["generator"].parameters()) == 0.5).all())
