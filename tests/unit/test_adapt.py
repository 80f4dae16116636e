"""Weights for other channels and latents: the rule gives the same maps where the images say the same."""

from dataclasses import asdict
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tandem.config.specifications import (
    EncoderSpec,
    PairEncoderSpec,
    ResidualUNetSpec,
    ResNetSpec,
    SpectralDiscriminatorSpec,
    UNetSpec,
)
from tandem.networks.build import build_network
from tandem.training.adapt import adapt

KERNEL = torch.randn(4, 3, 7, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def spec_of(*, in_channels: int = 3, out_channels: int = 3) -> dict[str, Any]:
    return asdict(ResNetSpec(in_channels=in_channels, out_channels=out_channels, filters=4, blocks=1))


@pytest.mark.parametrize(("before", "after"), [(3, 1), (1, 3), (3, 6), (2, 4), (4, 2)])
def test_images_whose_channels_are_alike_give_the_same_first_map(before: int, after: int) -> None:
    weight = KERNEL[:, [0, 1, 2, 0][:before]]
    if (before, after) == (4, 2):  # only where the channels repeat
        weight = KERNEL[:, [0, 1, 0, 1]]
    target = torch.zeros(4, after, 7, 7, dtype=torch.float64)
    made = adapt("stem.conv.weight", weight, target, spec_of(in_channels=before), spec_of(in_channels=after))
    assert made is not None
    grey = torch.randn(2, 1, 9, 9, dtype=torch.float64)
    expected = F.conv2d(grey.expand(-1, before, -1, -1), weight)
    torch.testing.assert_close(F.conv2d(grey.expand(-1, after, -1, -1), made), expected)


def test_a_fourth_channel_keeps_the_others_in_their_places() -> None:
    target = torch.zeros(4, 4, 7, 7)
    made = adapt("stem.conv.weight", KERNEL.float(), target, spec_of(), spec_of(in_channels=4))
    assert made is not None
    torch.testing.assert_close(made, 0.75 * KERNEL[:, [0, 1, 2, 0]].float())


@pytest.mark.parametrize("key", ["head.conv.weight", "head.conv.bias"])
def test_the_grey_of_an_output_is_the_mean_of_its_colours_and_back(key: str) -> None:
    weight = torch.randn(3, 4, 7, 7) if key.endswith("weight") else torch.randn(3)
    one = adapt(key, weight, weight[:1], spec_of(), spec_of(out_channels=1))
    assert one is not None
    torch.testing.assert_close(one[0], weight.mean(0))
    three = adapt(key, one, weight, spec_of(out_channels=1), spec_of())
    assert three is not None
    torch.testing.assert_close(three, one.expand_as(weight))


@pytest.mark.parametrize(("upsampling", "dim"), [("transposed", 1), ("bilinear", 0)])
def test_the_last_convolution_of_a_unet(upsampling: Any, dim: int) -> None:
    options: dict[str, Any] = {"in_channels": 3, "latent_dim": 2, "depth": 3, "filters": 4, "upsampling": upsampling}
    specs = [UNetSpec(out_channels=number, **options) for number in (3, 1)]
    networks = [build_network(spec).state_dict() for spec in specs]
    key = "up.0.upsampling.conv.weight"
    made = adapt(key, networks[0][key], networks[1][key], *map(asdict, specs))
    assert made is not None
    torch.testing.assert_close(made, networks[0][key].mean(dim, keepdim=True))


@pytest.mark.parametrize("injection", ["input", "all"])
def test_a_latent_of_another_length(injection: Any) -> None:
    """The dimensions that both have are taken, and new ones are fresh; the image is in front of them."""
    options: dict[str, Any] = {"out_channels": 3, "depth": 3, "filters": 4, "injection": injection}
    specs = [UNetSpec(in_channels=a, latent_dim=z, **options) for a, z in ((3, 2), (1, 5))]
    networks = [build_network(spec).state_dict() for spec in specs]
    before, after = map(asdict, specs)
    first, target = (network["down.0.conv.weight"] for network in networks)
    made = adapt("down.0.conv.weight", first, target, before, after)
    assert made is not None
    torch.testing.assert_close(made[:, :1], first[:, :3].sum(1, keepdim=True))
    assert torch.equal(made[:, 1:3], first[:, 3:])
    assert torch.equal(made[:, 3:], target[:, 3:])
    inner, target = (network["down.1.conv.weight"] for network in networks)
    made = adapt("down.1.conv.weight", inner, target, before, after)
    if injection == "all":
        assert made is not None
        assert torch.equal(made[:, :6], inner)
        assert torch.equal(made[:, 6:], target[:, 6:])
    else:
        assert inner.shape == target.shape


def test_heads_and_what_the_rule_does_not_reach() -> None:
    specs = [EncoderSpec(in_channels=3, latent_dim=z, depth=2, filters=f) for z, f in ((2, 4), (5, 4), (5, 8))]
    states = [build_network(spec).state_dict() for spec in specs]
    told = [asdict(spec) for spec in specs]
    made = adapt("mu.weight", states[0]["mu.weight"], states[1]["mu.weight"], told[0], told[1])
    assert made is not None
    assert torch.equal(made[:2], states[0]["mu.weight"])
    assert torch.equal(made[2:], states[1]["mu.weight"][2:])
    for key in ("mu.weight", "stem.weight", "blocks.0.conv1.weight"):
        assert adapt(key, states[0][key], states[2][key], told[0], told[2]) is None


def moved(network: nn.Module, spec: Any) -> nn.Module:
    """A network of `spec` with the weights of another one, taken or adapted; no tensor may be left over."""
    made, before = build_network(spec).double(), asdict(network.spec)  # type: ignore[arg-type]
    tensors = dict(made.state_dict())
    for key, source in network.state_dict().items():
        one = source if source.shape == tensors[key].shape else adapt(key, source, tensors[key], before, asdict(spec))
        assert one is not None, key
        tensors[key] = one
    made.load_state_dict(tensors)
    return made


def generator_of(**options: Any) -> ResidualUNetSpec:
    sizes = {"in_channels": 3, "out_channels": 3, "latent_dim": 2, "depth": 2, "filters": 8}
    return ResidualUNetSpec(**(sizes | options))


def encoder_of(**options: Any) -> PairEncoderSpec:
    sizes = {"in_channels": 3, "input_channels": 3, "latent_dim": 2, "depth": 2, "filters": 4}
    return PairEncoderSpec(**(sizes | options))


def test_a_generator_of_tandem_for_other_channels() -> None:
    """Grey and RGB of the same greys give the same image, and one channel is the mean of three before tanh."""
    network = build_network(generator_of()).double()
    grey, z = torch.rand(2, 1, 8, 12).double(), torch.randn(2, 2).double()
    expected = network(grey.expand(-1, 3, -1, -1), z)
    torch.testing.assert_close(moved(network, generator_of(in_channels=1))(grey, z), expected)
    single = moved(network, generator_of(in_channels=1, out_channels=1))(grey, z)
    torch.testing.assert_close(torch.atanh(single), torch.atanh(expected).mean(1, keepdim=True))


@pytest.mark.parametrize("latent_dim", [1, 5])
def test_a_generator_of_tandem_for_another_latent(latent_dim: int) -> None:
    """The dimensions that only one of the two has make no difference where they are zero."""
    network, a, z = build_network(generator_of()).double(), torch.rand(1, 3, 8, 8).double(), torch.zeros(1, 5).double()
    z[:, : min(2, latent_dim)] = 0.7
    other = moved(network, generator_of(latent_dim=latent_dim))
    torch.testing.assert_close(other(a, z[:, :latent_dim]), network(a, z[:, :2]))
    fresh = torch.ones(1, latent_dim).double()
    assert (other(a, fresh) - other(a, z[:, :latent_dim])).abs().max() > 1e-4


def test_an_encoder_of_tandem_that_sees_inputs_and_one_that_does_not() -> None:
    """What it makes of outputs alone is the same, either way."""
    network, b, a = build_network(encoder_of()).double(), *(torch.rand(2, 3, 8, 12).double() for _ in "ba")
    blind = moved(network, encoder_of(input_channels=0))
    torch.testing.assert_close(blind(b), network(b))
    seeing = moved(blind, encoder_of(input_channels=1))
    torch.testing.assert_close(seeing(b), network(b))
    assert (seeing(b, a[:, :1])[0] - seeing(b)[0]).abs().max() > 1e-4


@pytest.mark.parametrize(("outputs", "inputs"), [(1, 3), (3, 1), (1, 1)])
def test_an_encoder_of_tandem_for_other_channels(outputs: int, inputs: int) -> None:
    network = build_network(encoder_of()).double()
    other = moved(network, encoder_of(in_channels=outputs, input_channels=inputs, latent_dim=1))
    b, a = (torch.rand(2, 1, 8, 12).double() for _ in "ba")
    expected = [one[:, :1] for one in network(b.expand(-1, 3, -1, -1), a.expand(-1, 3, -1, -1))]
    found = other(b.expand(-1, outputs, -1, -1), a.expand(-1, inputs, -1, -1))
    torch.testing.assert_close(list(found), expected)


def test_discriminators_of_tandem_for_other_channels() -> None:
    """The first convolution of every scale: four planes for each channel, in the order of the channels."""
    specs = [SpectralDiscriminatorSpec(in_channels=c, filters=3, layers=2, scales=2, detail=4.0) for c in (6, 2)]
    network = build_network(specs[0]).double()
    other = moved(network, specs[1])
    for scale in range(2):
        key = f"scales.{scale}.body.0.weight"
        torch.testing.assert_close(other.state_dict()[key], 3 * network.state_dict()[key][:, :8])
