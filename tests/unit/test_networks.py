"""Networks: sizes, parameter counts, receptive fields, gradients, dropout, initialisation, messages.

What they compute is held against the published form in tests/numeric/test_literal_networks.py.
"""

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tandem.config.bicyclegan import BicycleGANConfig
from tandem.config.data import DataConfig
from tandem.config.specifications import EncoderSpec, NetworkSpec, PatchDiscriminatorSpec, UNetSpec
from tandem.errors import ConfigError, DataError
from tandem.networks.build import build_network
from tandem.networks.device import choose_device
from tandem.networks.layers import full_precision, initialise


def unet(**options: Any) -> UNetSpec:
    return UNetSpec(**({"in_channels": 3, "out_channels": 3, "latent_dim": 2, "depth": 5, "filters": 2} | options))


def discriminators(**options: Any) -> PatchDiscriminatorSpec:
    return PatchDiscriminatorSpec(**({"in_channels": 3, "filters": 2, "layers": 2, "scales": 1} | options))


def millions(spec: NetworkSpec) -> float:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in build_network(spec).parameters()) / 1e6


@pytest.mark.parametrize(
    ("size", "options", "generator", "encoder"),
    [
        (256, {}, "54.79", "2.590"),
        (128, {}, "42.15", "1.344"),
        (256, {"injection": "input", "encoder": "cnn"}, "54.42", "2.761"),
        (128, {"injection": "input", "encoder": "cnn"}, "41.83", "1.712"),
    ],
)
def test_published_parameter_counts(size: int, options: dict[str, Any], generator: str, encoder: str) -> None:
    config, data = BicycleGANConfig(**options), DataConfig(size=size)
    assert f"{millions(config.generator_spec(data)):.2f}" == generator
    assert f"{millions(config.encoder_spec(data)):.3f}" == encoder


@pytest.mark.parametrize(
    ("size", "conditional", "expected"),
    [(256, False, "3.459"), (128, False, "0.831"), (256, True, "3.464"), (128, True, "0.835")],
)
def test_published_discriminator_counts(size: int, conditional: bool, expected: str) -> None:
    spec = BicycleGANConfig(conditional=conditional).discriminator_spec(DataConfig(size=size))
    assert f"{millions(spec):.3f}" == expected


def test_parameter_count_of_patchgan_70() -> None:
    assert f"{millions(discriminators(filters=64, layers=3)):.3f}" == "2.765"


@pytest.mark.parametrize(("layers", "size"), [(3, 256), (2, 128)])
def test_published_discriminator_maps(layers: int, size: int) -> None:
    shapes = [
        tuple(x.shape) for x in build_network(discriminators(layers=layers, scales=2))(torch.zeros(1, 3, size, size))
    ]
    assert shapes == [(1, 1, 30, 30), (1, 1, 14, 14)]


@pytest.mark.parametrize(("layers", "field"), [(3, 70), (2, 34), (1, 16)])
def test_receptive_field(layers: int, field: int) -> None:
    """The pixels that one logit in the middle depends on."""
    torch.manual_seed(0)
    discriminator = build_network(discriminators(layers=layers, norm="none")).double()
    image = torch.randn(1, 3, 160, 160, dtype=torch.float64, requires_grad=True)
    (logits,) = discriminator(image)
    logits[0, 0, logits.shape[2] // 2, logits.shape[3] // 2].backward()
    assert image.grad is not None
    rows, columns = (image.grad.abs().sum((0, 1)) > 0).nonzero().unbind(1)
    assert rows.max() - rows.min() + 1 == field
    assert columns.max() - columns.min() + 1 == field


def test_second_discriminator_sees_means_that_ignore_the_padding() -> None:
    """A discriminator that passes pixels on, after the pool: at an edge the mean of 6 pixels, in a corner of 4."""
    network = build_network(discriminators(in_channels=1, layers=2, scales=2, norm="none"))
    seen: list[Tensor] = []
    network.sub_discriminators[1].register_forward_pre_hook(lambda _, given: seen.append(given[0]))  # type: ignore[index, union-attr]
    image = torch.rand(1, 1, 32, 32)
    network(image)
    (half,) = seen
    assert half.shape == (1, 1, 16, 16)
    for row, column in itertools.product((0, 1, 7, 15), repeat=2):
        patch = image[0, 0, max(0, 2 * row - 1) : 2 * row + 2, max(0, 2 * column - 1) : 2 * column + 2]
        assert half[0, 0, row, column].item() == pytest.approx(patch.mean().item(), rel=1e-5)


def test_discriminators_filters_follow_the_reference() -> None:
    network = build_network(discriminators(filters=64, scales=3))
    assert [discriminator[0].conv.out_channels for discriminator in network.sub_discriminators] == [64, 32, 8]  # type: ignore[union-attr]


@pytest.mark.parametrize("body", ["resnet", "cnn"])
@pytest.mark.parametrize(("height", "width"), [(64, 64), (16, 16), (64, 96), (128, 32), (50, 70)])
def test_encoder_works_at_any_size(body: str, height: int, width: int) -> None:
    spec = EncoderSpec(body=body, in_channels=3, latent_dim=5, depth=3, filters=2)  # type: ignore[arg-type]
    mu, logvar = build_network(spec)(torch.rand(2, 3, height, width))
    assert mu.shape == logvar.shape == (2, 5)
    assert torch.isfinite(mu).all()


@pytest.mark.parametrize("body", ["resnet", "cnn"])
def test_encoder_equals_a_fixed_pool_of_8(body: str) -> None:
    spec = EncoderSpec(body=body, in_channels=3, latent_dim=5, depth=3, filters=2)  # type: ignore[arg-type]
    encoder = build_network(spec)
    b = torch.rand(2, 3, 64, 64)
    features: list[Tensor] = []
    encoder.blocks.register_forward_hook(lambda *given: features.append(given[-1].clone()))  # type: ignore[union-attr]
    mu, _ = encoder(b)
    x = nn.functional.leaky_relu(features[0], 0.2) if body == "resnet" else features[0]
    assert x.shape[2:] == (8, 8)
    torch.testing.assert_close(mu, encoder.mu(nn.AvgPool2d(8)(x).flatten(1)))  # type: ignore[operator]


ALL_SPECS = [
    unet(norm=norm, injection=injection, upsampling=upsampling, activation=activation)
    for (norm, injection), (upsampling, activation) in zip(
        itertools.product(("instance", "instance_affine", "batch", "none"), ("none", "input", "all")),
        itertools.cycle(itertools.product(("transposed", "bilinear"), ("relu", "lrelu", "elu"))),
        strict=False,
    )
]
ALL_SPECS += [
    EncoderSpec(body=body, in_channels=3, latent_dim=2, depth=3, filters=2, norm=norm)  # type: ignore[arg-type]
    for body, norm in itertools.product(("resnet", "cnn"), ("instance", "instance_affine", "batch", "none"))
]
ALL_SPECS += [discriminators(norm=norm, scales=2) for norm in ("instance", "instance_affine", "batch", "none")]


@pytest.mark.parametrize("spec", ALL_SPECS, ids=lambda spec: f"{spec.kind}-{spec.norm}")
def test_every_parameter_gets_a_gradient(spec: NetworkSpec) -> None:
    network = build_network(spec).train()
    given = [torch.rand(2, spec.in_channels, 64, 64)]
    if isinstance(spec, UNetSpec) and spec.injection != "none":
        given.append(torch.randn(2, spec.latent_dim))
    outputs = network(*given)
    outputs = [outputs] if isinstance(outputs, Tensor) else outputs
    torch.stack([(o * torch.rand_like(o)).sum() for o in outputs]).sum().backward()
    assert [key for key, p in network.named_parameters() if p.grad is None] == []
    weights = {key: p.grad for key, p in network.named_parameters() if key.endswith("weight")}
    assert [key for key, gradient in weights.items() if gradient is not None and not gradient.any()] == []


@pytest.mark.parametrize(("depth", "levels"), [(5, []), (6, [4]), (7, [4, 5]), (8, [4, 5, 6]), (9, [4, 5, 6, 7])])
def test_dropout_is_in_the_inner_blocks_only(depth: int, levels: list[int]) -> None:
    """As in the published code: depth − 5 of them, none in the innermost block."""
    with torch.device("meta"):
        network = build_network(unet(depth=depth, filters=64, dropout=True))
        plain = build_network(unet(depth=depth, filters=64))
    found = [name for name, module in network.named_modules() if isinstance(module, nn.Dropout)]
    assert found == [f"up.{level}.dropout" for level in levels]
    assert all(network.up[level].dropout.p == 0.5 for level in levels)  # type: ignore[index, union-attr]
    assert not any(isinstance(module, nn.Dropout) for module in plain.modules())
    assert network.state_dict().keys() == plain.state_dict().keys()


def test_dropout_drops_after_the_norm_and_only_in_training() -> None:
    network = build_network(unet(depth=6, dropout=True, filters=8))
    risen: list[Tensor] = []
    network.up[4].register_forward_hook(lambda *given: risen.append(given[-1].clone()))  # type: ignore[index, union-attr]
    a, z = torch.rand(4, 3, 64, 64), torch.randn(4, 2)
    assert not torch.equal(network(a, z), network(a, z))
    assert 0.4 < (risen[0] == 0).float().mean() < 0.6
    network.eval()
    assert torch.equal(network(a, z), network(a, z))
    assert (risen[-1] == 0).float().mean() < 0.01


@pytest.mark.parametrize("injection", ["input", "all"])
def test_generator_uses_its_code_and_keeps_the_range(injection: str) -> None:
    network = build_network(unet(injection=injection))
    a = torch.rand(1, 3, 32, 64)
    images = network(a.expand(2, -1, -1, -1), torch.tensor([[1.0, 0.0], [-1.0, 2.0]]))
    assert images.shape == (2, 3, 32, 64)
    assert not torch.allclose(images[0], images[1])
    assert images.abs().max() <= 1


@pytest.mark.parametrize(
    ("a", "z", "message"),
    [
        ((1, 3, 48, 64), (1, 2), "64×48 px.*halves the image 5 times.*multiples of 32"),
        ((1, 3, 64, 33), (1, 2), "33×64 px"),
        ((1, 1, 32, 32), (1, 2), "given 1 channels, but it takes 3"),
        ((1, 3, 32, 32), None, r"shape None, but expects \(1, 2\)"),
        ((1, 3, 32, 32), (1, 3), r"shape \(1, 3\), but expects \(1, 2\)"),
        ((2, 3, 32, 32), (1, 2), r"shape \(1, 2\), but expects \(2, 2\)"),
    ],
)
def test_generator_says_what_it_needs(a: tuple[int, ...], z: tuple[int, ...] | None, message: str) -> None:
    with pytest.raises(DataError, match=message):
        build_network(unet())(torch.zeros(a), None if z is None else torch.zeros(z))


def test_generator_without_a_code_refuses_one() -> None:
    network = build_network(unet(latent_dim=0, injection="none"))
    with pytest.raises(DataError, match=r"shape \(1, 2\), but expects None"):
        network(torch.zeros(1, 3, 32, 32), torch.zeros(1, 2))


@pytest.mark.parametrize("scheme", ["normal", "xavier"])
def test_initialisation(scheme: str) -> None:
    network = build_network(discriminators(filters=32, norm="batch"))
    conv = network.sub_discriminators[0][1].conv  # type: ignore[index, union-attr]
    initialise(network, scheme, gain=0.02, generator=torch.Generator().manual_seed(0))  # type: ignore[arg-type]
    fan_in, fan_out = 32 * 16, 64 * 16
    expected = 0.02 if scheme == "normal" else 0.02 * (2 / (fan_in + fan_out)) ** 0.5
    assert conv.weight.std().item() == pytest.approx(expected, rel=0.02)
    assert abs(conv.weight.mean().item()) < 0.05 * expected
    assert not conv.bias.any()
    norm = network.sub_discriminators[0][1].norm  # type: ignore[index, union-attr]
    assert norm.weight.mean().item() == pytest.approx(1, abs=0.01)
    assert 0.01 < norm.weight.std().item() < 0.03
    assert not norm.bias.any()


def test_initialisation_follows_the_generator_alone() -> None:
    found = []
    for seed in (5, 5, 6):
        network = build_network(unet())
        initialise(network, "xavier", generator=torch.Generator().manual_seed(seed))
        found.append(torch.cat([p.flatten() for p in network.parameters()]))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_outputs_are_widened_under_autocast() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        image = build_network(unet())(torch.rand(1, 3, 32, 32), torch.randn(1, 2))
        logits = build_network(discriminators())(image)
        encoded = build_network(EncoderSpec(in_channels=3, latent_dim=2, depth=2, filters=2))(image)
    assert {x.dtype for x in (image, *logits, *encoded)} == {torch.float32}
    assert full_precision(torch.zeros(1, dtype=torch.float64)).dtype == torch.float64


def test_devices() -> None:
    assert choose_device("cpu") == torch.device("cpu")
    for name in ("cuda:99", "cuda:x", "tpu", "cpu:1x", ""):
        with pytest.raises(ConfigError, match=r"does not have it. Available: auto, cpu"):
            choose_device(name)
