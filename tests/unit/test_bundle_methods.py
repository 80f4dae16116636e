"""Bundles of pix2pix, CycleGAN, CUT and tandem: what they can do, and hostile ones that are refused quickly."""

import json
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from preprocessing import preprocessing
from tandem.checkpoint.bundle import load_bundle, save_bundle
from tandem.checkpoint.manifest import MANIFEST_NAME, Manifest
from tandem.config.specifications import (
    NetworkSpec,
    PairEncoderSpec,
    PatchProjectorSpec,
    ResidualUNetSpec,
    ResNetSpec,
    UNetSpec,
)
from tandem.errors import BundleError, ConfigError
from tandem.inference.translator import load
from tandem.networks.build import build_network
from tandem_bundle import make_tandem

Change = Callable[[dict[str, Any]], None]


def resnet(taken: int = 3, given: int = 1, **options: Any) -> ResNetSpec:
    return ResNetSpec(**({"in_channels": taken, "out_channels": given, "filters": 2, "blocks": 1} | options))


def residual(**options: Any) -> ResidualUNetSpec:
    return ResidualUNetSpec(
        **({"in_channels": 3, "out_channels": 1, "latent_dim": 2, "depth": 2, "filters": 2} | options)
    )


def pair_encoder(**options: Any) -> PairEncoderSpec:
    sizes = {"in_channels": 1, "input_channels": 3, "latent_dim": 2, "depth": 1, "filters": 2}
    return PairEncoderSpec(**(sizes | options))


def write(folder: Path, networks: dict[str, NetworkSpec], **options: Any) -> Path:
    """A bundle of these networks with random weights, from 3 channels to 1."""
    images = preprocessing((16, 16), (3, 1))
    given = {"tandem_version": "0", "method": "cyclegan", "networks": networks, "preprocessing": images}
    modules: dict[str, nn.Module] = {name: build_network(spec) for name, spec in networks.items()}
    save_bundle(folder, Manifest(**(given | options)), modules)
    return folder


@pytest.fixture
def two(tmp_path: Path) -> Path:
    return write(tmp_path / "model", {"gen_ab": resnet(3, 1), "gen_ba": resnet(1, 3)})


def rewrite(folder: Path, change: Change) -> None:
    values = json.loads((folder / MANIFEST_NAME).read_text(encoding="utf-8"))
    change(values)
    (folder / MANIFEST_NAME).write_text(json.dumps(values), encoding="utf-8")


def spec(name: str, **entries: Any) -> Change:
    return lambda values: values["networks"][name].update(entries)


def network(**entries: Any) -> Change:
    return lambda values: values["networks"].update(other=entries)


def projector(channels: Any, filters: Any = 4) -> Change:
    return network(kind="patch_projector", channels=channels, filters=filters)


def test_both_ways_have_channels_of_their_own(two: Path) -> None:
    translator = load(two, device="cpu")
    assert translator.directions == ("AtoB", "BtoA")
    assert not translator.is_stochastic
    colour, grey = np.zeros((9, 11, 3), np.uint8), np.zeros((5, 6, 1), np.uint8)
    assert translator(colour, output="array").shape == (1, 9, 11, 1)
    assert translator(grey, direction="BtoA", output="array").shape == (1, 5, 6, 3)
    there, back = translator.cycle(colour, output="array")
    assert (there.shape, back.shape) == ((9, 11, 1), (9, 11, 3))
    with pytest.raises(ConfigError, match=r"num_samples is 3, but this model .cyclegan. gives one output"):
        translator(colour, 3)
    with pytest.raises(ConfigError, match=r"z has no effect: this model .cyclegan. has no latent"):
        translator(colour, z=np.zeros(2))
    with pytest.raises(BundleError, match="no encoder"):
        translator.encode(grey)


def test_a_cycle_is_both_networks_one_after_the_other(two: Path) -> None:
    """The way back starts from the translation as it left the network, padding included, not from rounded pixels."""
    _, networks = load_bundle(two)
    values = np.random.default_rng(0).uniform(-1, 1, (3, 8, 12)).astype(np.float32)
    translator = load(two, device="cpu")
    for height in (8, 6):
        there, back = translator.cycle(torch.from_numpy(values[:, :height]), output="tensor")
        padded = np.pad(values[:, :height], ((0, 0), (0, 8 - height), (0, 0)), mode="symmetric")
        expected = networks["gen_ab"](torch.from_numpy(padded)[None])
        torch.testing.assert_close(there, expected[0, :, :height], rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(back, networks["gen_ba"](expected)[0, :, :height], rtol=1e-5, atol=1e-6)
    grey = torch.from_numpy(values[:1])
    there, back = translator.cycle(grey, direction="BtoA", output="tensor")
    torch.testing.assert_close(there, networks["gen_ba"](grey[None])[0], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(back, networks["gen_ab"](there[None])[0], rtol=1e-5, atol=1e-6)


def test_one_way_is_one_way(tmp_path: Path) -> None:
    translator = load(write(tmp_path / "m", {"generator": resnet()}, method="cut"), device="cpu")
    assert translator.directions == ("AtoB",)
    with pytest.raises(ConfigError, match="direction must be AtoB for this model, not 'BtoA'"):
        translator(np.zeros((8, 8, 3), np.uint8), direction="BtoA")
    with pytest.raises(ConfigError, match="translates one way only, so there is no cycle"):
        translator.cycle(np.zeros((8, 8, 3), np.uint8))


def test_noise_is_dropout_in_a_model_that_samples_with_it(tmp_path: Path) -> None:
    options: dict[str, Any] = {"norm": "batch", "dropout": True, "bias": False}
    for index, (with_noise, dropout, stochastic) in enumerate(
        [(True, True, True), (True, False, False), (False, True, False)]
    ):
        networks: dict[str, NetworkSpec] = {"generator": resnet(**(options | {"dropout": dropout}))}
        folder = write(tmp_path / f"{index}", networks, method="pix2pix", samples_with_noise=with_noise)
        assert json.loads((folder / MANIFEST_NAME).read_text())["samples_with_noise"] is with_noise
        translator = load(folder, device="cpu")
        assert translator.is_stochastic is stochastic
        image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        samples = translator(image, output="tensor")
        assert len(samples) == (5 if stochastic else 1)
        if stochastic:
            assert len({sample.numpy().tobytes() for sample in samples}) == 5


HOSTILE: list[tuple[Change, str]] = [
    (lambda values: values.update(samples_with_noise="yes"), "samples_with_noise must be bool, not 'yes'"),
    (lambda values: values.update(samples_with_noise=1), "samples_with_noise must be bool, not 1"),
    (spec("gen_ab", blocks=10**9), "blocks must be from 1 to 64, not 1000000000"),
    (spec("gen_ab", blocks=0), "blocks must be from 1 to 64, not 0"),
    (spec("gen_ab", blocks=64, filters=4096), "specification of gen_ab does not fit"),
    (spec("gen_ba", antialias=1), "antialias must be bool, not 1"),
    (spec("gen_ba", depth=5), "networks.gen_ba has unknown entries: depth"),
    (spec("gen_ab", kind="unet"), "networks.gen_ab"),
    (projector([10**9]), "channels must be 1 to 16 numbers from 1 to 16384"),
    (projector([0, 3]), "channels must be 1 to 16 numbers"),
    (projector([-1]), "channels must be 1 to 16 numbers"),
    (projector([]), "channels must be 1 to 16 numbers"),
    (projector([3] * 17), "channels must be 1 to 16 numbers"),
    (projector([3] * 100_000), "channels must be 1 to 16 numbers"),
    (projector(3), "channels must be a list"),
    (projector([True]), "channels.0. must be int, not True"),
    (projector([10**30]), "channels.0. must be at most"),
    (projector([3], 10**9), "filters must be from 1 to 4096"),
    (projector([16384] * 16, 4096), "specification of other does not fit"),
    (network(kind="pixel_discriminator", in_channels=4096, filters=4096), "specification of other does not fit"),
    (network(kind="pixel_discriminator", in_channels=0, filters=1), "in_channels must be from 1"),
]


@pytest.mark.parametrize(("change", "message"), HOSTILE)
def test_hostile_manifests_are_refused(two: Path, change: Change, message: str) -> None:
    rewrite(two, change)
    started, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(BundleError, match=message):
        load_bundle(two)
    assert time.monotonic() - started < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 * 1024


HOSTILE_TANDEM: list[tuple[Change, str]] = [
    (spec("generator", depth=0), "depth must be from 1 to 12, not 0"),
    (spec("generator", depth=10**9), "depth must be from 1 to 12, not 1000000000"),
    (spec("generator", filters=4096, depth=12), "specification of generator does not fit"),
    (spec("generator", latent_dim=4097), "latent_dim must be from 0 to 4096"),
    (spec("generator", in_channels=4096, out_channels=4096), "specification of generator does not fit"),
    (spec("generator", widths=[1]), "networks.generator has unknown entries: widths"),
    (spec("encoder", depth=12, filters=4096), "specification of encoder does not fit"),
    (spec("encoder", input_channels=-1), "input_channels must be from 0 to 4096, not -1"),
    (spec("encoder", input_channels=4096), "specification of encoder does not fit"),
    (spec("encoder", depth=True), "depth must be int, not True"),
    (
        network(kind="spectral_discriminator", in_channels=6, filters=4, layers=3, scales=10**9, detail=4.0),
        "scales must be from 1",
    ),
    (
        network(kind="spectral_discriminator", in_channels=6, filters=4, layers=3, scales=1, detail=1e9),
        "detail must be from 0 to 100",
    ),
    (
        network(kind="spectral_discriminator", in_channels=6, filters=4, layers=0, scales=1, detail=4.0),
        "layers must be from 1 to 9",
    ),
    (
        network(kind="spectral_discriminator", in_channels=4096, filters=4096, layers=9, scales=5, detail=4.0),
        "specification of other does not fit",
    ),
]


@pytest.mark.parametrize(("change", "message"), HOSTILE_TANDEM)
def test_hostile_manifests_of_tandem_are_refused(tmp_path: Path, change: Change, message: str) -> None:
    test_hostile_manifests_are_refused(make_tandem(tmp_path / "model"), change, message)


TOGETHER: list[tuple[dict[str, NetworkSpec], str]] = [
    ({"gen_ab": resnet(3, 1)}, "no generator that this version of Tandem can run"),
    ({"gen_ba": resnet(1, 3)}, "no generator that this version of Tandem can run"),
    ({}, "no generator"),
    ({"disc_a": resnet(3, 1)}, "no generator"),
    (
        {"gen_ab": resnet(3, 1), "gen_ba": resnet(3, 1)},
        "have 1 and 3 channels, but its generator takes and gives 3 and 1",
    ),
    (
        {"gen_ab": resnet(1, 3), "gen_ba": resnet(3, 1)},
        "have 3 and 1 channels, but its generator takes and gives 1 and 3",
    ),
    ({"gen_ab": resnet(3, 1), "gen_ba": PatchProjectorSpec(channels=(3,), filters=2)}, "no generator"),
    (
        {"generator": residual(), "encoder": pair_encoder(latent_dim=3)},
        "gives latents of 3, but its generator gives 1 channels and takes latents of 2",
    ),
    ({"generator": residual(), "encoder": pair_encoder(in_channels=3)}, "encoder takes 3 channels"),
    (
        {"generator": residual(), "encoder": pair_encoder(input_channels=1)},
        "encoder sees inputs of 1 channels, but its generator takes 3",
    ),
    ({"generator": pair_encoder()}, "no generator"),
    (
        {
            "gen_ab": UNetSpec(in_channels=3, out_channels=1, latent_dim=2, depth=2, filters=1),
            "gen_ba": UNetSpec(in_channels=1, out_channels=3, latent_dim=2, depth=2, filters=1),
        },
        "two generators with latents, which no method trains",
    ),
]


@pytest.mark.parametrize(("networks", "message"), TOGETHER)
def test_networks_that_do_not_belong_together(tmp_path: Path, networks: dict[str, NetworkSpec], message: str) -> None:
    with pytest.raises(BundleError, match=message):
        load(write(tmp_path / "model", networks), device="cpu")
