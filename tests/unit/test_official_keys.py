"""The map to official keys: complete, one to one, and right for the published checkpoints of the fixtures."""

import itertools
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tandem.checkpoint.official import official_key_map
from tandem.config.specifications import EncoderSpec, NetworkSpec, PatchDiscriminatorSpec, UNetSpec
from tandem.networks.build import build_network

NORMS = ("instance", "instance_affine", "batch", "none")
SPECS: list[NetworkSpec] = [
    UNetSpec(
        in_channels=3,
        out_channels=3,
        latent_dim=8,
        depth=7,
        filters=4,
        norm=norm,  # type: ignore[arg-type]
        injection=injection,  # type: ignore[arg-type]
        upsampling=upsampling,  # type: ignore[arg-type]
    )
    for norm, injection, upsampling in itertools.product(NORMS, ("none", "input", "all"), ("transposed", "bilinear"))
]
SPECS += [
    EncoderSpec(body=body, in_channels=3, latent_dim=8, depth=4, filters=4, norm=norm)  # type: ignore[arg-type]
    for body, norm in itertools.product(("resnet", "cnn"), NORMS)
]
SPECS += [
    PatchDiscriminatorSpec(in_channels=3, filters=4, layers=2, scales=scales, norm=norm)  # type: ignore[arg-type]
    for scales, norm in itertools.product((1, 2), NORMS)
]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec.kind}-{spec.norm}")
def test_every_key_has_one_official_key(spec: NetworkSpec) -> None:
    with torch.device("meta"):
        keys = list(build_network(spec).state_dict())
    found = official_key_map(spec, keys)
    assert list(found) == keys
    assert len(set(found.values())) == len(keys)
    assert all(ours.rpartition(".")[2] == theirs.rpartition(".")[2] for ours, theirs in found.items())


def specs_of(options: dict) -> dict[str, NetworkSpec]:
    """The networks of a fixture, written out here and not taken from the tool that checks it."""
    channels = 3 + 3 * options["conditional_D"]
    body = {"resnet_128": "resnet", "conv_128": "cnn"}[options["netE"]]
    discriminators = PatchDiscriminatorSpec(in_channels=channels, filters=4, layers=2, scales=2)
    injection = options["where_add"]
    return {
        "G": UNetSpec(in_channels=3, out_channels=3, latent_dim=8, depth=7, filters=4, injection=injection),
        "E": EncoderSpec(body=body, in_channels=3, latent_dim=8, depth=4, filters=4),  # type: ignore[arg-type]
        "D": discriminators,
        "D2": discriminators,
    }


@pytest.mark.parametrize("name", ["bicyclegan_128_defaults", "bicyclegan_128_input_cnn_conditional"])
def test_keys_and_shapes_are_those_of_published_networks(reference_cases: dict[str, Path], name: str) -> None:
    case = json.loads((reference_cases[name] / "case.json").read_text())
    published = load_file(reference_cases[name] / "initial_weights.safetensors")
    expected = {}
    for official, spec in specs_of(case["options"]).items():
        state = build_network(spec).state_dict()
        keys = official_key_map(spec, list(state))
        expected |= {f"{official}.{keys[key]}": value.shape for key, value in state.items()}
    assert {key: value.shape for key, value in published.items()} == expected


def test_spelled_out() -> None:
    """A few keys by hand."""
    everywhere = UNetSpec(in_channels=3, out_channels=3, latent_dim=8, depth=7, filters=4)
    keys = ["down.0.conv.weight", "up.0.upsampling.conv.bias", "down.2.conv.weight", "up.6.upsampling.conv.weight"]
    assert list(official_key_map(everywhere, keys).values()) == [
        "model.down.0.weight",
        "model.up.1.bias",
        "model.submodule.submodule.down.1.weight",
        f"model{'.submodule' * 6}.up.1.weight",
    ]
    at_input = UNetSpec(in_channels=3, out_channels=3, latent_dim=8, depth=7, filters=4, injection="input")
    keys = ["down.0.conv.weight", "down.1.conv.weight", "up.0.upsampling.conv.weight"]
    assert list(official_key_map(at_input, keys).values()) == [
        "model.model.0.weight",
        "model.model.1.model.1.weight",
        "model.model.3.weight",
    ]
