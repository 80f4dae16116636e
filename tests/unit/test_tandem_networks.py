"""The networks of the method `tandem`: sizes, what they see, and what they do with it."""

import math
from typing import Any

import pytest
import torch
from torch import nn

from tandem.config.specifications import PairEncoderSpec, ResidualUNetSpec, SpectralDiscriminatorSpec
from tandem.errors import DataError
from tandem.networks.build import build_network
from tandem.networks.layers import initialise
from tandem.networks.pair_encoder import PairEncoder, encode_pair
from tandem.networks.residual_unet import ModulatedBlock, ResidualUNet
from tandem.networks.spectral_discriminator import SpectralConv2d, SpectralDiscriminator, detailed_blocks


def generator(**options: Any) -> ResidualUNet:
    torch.manual_seed(0)
    spec = ResidualUNetSpec(
        **({"in_channels": 3, "out_channels": 2, "latent_dim": 4, "depth": 3, "filters": 8} | options)
    )
    network = build_network(spec)
    assert isinstance(network, ResidualUNet)
    return network.double()


def encoder(**options: Any) -> PairEncoder:
    torch.manual_seed(0)
    spec = PairEncoderSpec(
        **({"in_channels": 3, "input_channels": 1, "latent_dim": 4, "depth": 2, "filters": 4} | options)
    )
    network = build_network(spec)
    assert isinstance(network, PairEncoder)
    return network.double()


@pytest.mark.parametrize(("height", "width"), [(8, 8), (16, 40)])
def test_generator_keeps_the_size_and_stays_in_range(height: int, width: int) -> None:
    image = generator()(torch.rand(2, 3, height, width).double(), torch.randn(2, 4).double())
    assert image.shape == (2, 2, height, width)
    assert image.abs().max() < 1


def test_every_block_feels_the_latent() -> None:
    network, a = generator(), torch.rand(1, 3, 16, 16).double()
    blocks = [module for module in network.modules() if isinstance(module, ModulatedBlock)]
    assert len(blocks) == 5
    seen: dict[nn.Module, list[torch.Tensor]] = {block: [] for block in blocks}
    for block in blocks:
        assert block.offset is not None
        assert block.modulation is not None
        for layer in (block.offset, block.modulation):
            layer.register_forward_hook(lambda _module, _given, made, block=block: seen[block].append(made))
    for z in (torch.zeros(1, 4), torch.ones(1, 4)):
        network(a, z.double())
    for first_offset, first, second_offset, second in seen.values():
        assert (first - second).abs().max() > 1e-3
        assert (first_offset - second_offset).abs().max() > 1e-3


def test_a_block_is_its_formula() -> None:
    torch.manual_seed(1)
    block = ModulatedBlock(16, 8, 5).double()
    x, style = torch.randn(2, 16, 6, 4).double(), torch.randn(2, 5).double()
    assert block.offset is not None
    assert block.modulation is not None
    assert block.shortcut is not None
    moved = x + (style @ block.offset.weight.T + block.offset.bias)[:, :, None, None]

    def normed(values: torch.Tensor, groups: int) -> torch.Tensor:
        apart = values.reshape(2, groups, -1)
        mean, variance = apart.mean(2, keepdim=True), apart.var(2, unbiased=False, keepdim=True)
        return ((apart - mean) / (variance + 1e-5).sqrt()).reshape(values.shape)

    def silu(values: torch.Tensor) -> torch.Tensor:
        return values / (1 + torch.exp(-values))

    scale, shift = (style @ block.modulation.weight.T + block.modulation.bias)[:, :, None, None].split(8, 1)
    inner = normed(block.conv1(silu(normed(moved, 2))), 1) * (1 + scale) + shift
    expected = (block.conv2(silu(inner)) + block.shortcut(moved)) / math.sqrt(2)
    torch.testing.assert_close(block(x, style), expected)


def test_generator_without_latent() -> None:
    network, a = generator(latent_dim=0), torch.rand(1, 3, 8, 8).double()
    torch.testing.assert_close(network(a), network(a, torch.empty(1, 0).double()))
    assert network.style is None


@pytest.mark.parametrize(
    ("shape", "latent", "said"),
    [
        ((1, 3, 8, 12), 4, "12×8 px, but it takes multiples of 8 px"),
        ((1, 2, 8, 8), 4, "2 channels, but it takes 3"),
        ((1, 3, 8, 8), 3, "latents of 3 numbers, but it takes 4"),
    ],
)
def test_generator_refuses_what_does_not_fit(shape: tuple[int, ...], latent: int, said: str) -> None:
    with pytest.raises(DataError, match=said):
        generator()(torch.rand(shape).double(), torch.randn(1, latent).double())


def test_widths_and_weights_of_the_default_generator() -> None:
    spec = ResidualUNetSpec(in_channels=3, out_channels=3, latent_dim=8, depth=5, filters=32)
    assert spec.widths == (32, 64, 96, 128, 128)
    assert spec.size_multiple == 32


def test_encoder_sees_the_input_only_where_it_is_known() -> None:
    network = encoder()
    b, a, other = (torch.rand(2, channels, 16, 8).double() for channels in (3, 1, 1))
    alone, with_a, with_other = network(b), network(b, a), network(b, other)
    assert alone[0].shape == alone[1].shape == (2, 4)
    assert (with_a[0] - with_other[0]).abs().max() > 1e-4
    half = network(b, a, torch.tensor([1.0, 0.0]).double())
    torch.testing.assert_close(half[0], torch.stack([with_a[0][0], alone[0][1]]))
    torch.testing.assert_close(network(b, other, torch.zeros(2).double())[1], alone[1])
    torch.testing.assert_close(encode_pair(network, a, b)[0], with_a[0])
    torch.testing.assert_close(encode_pair(network, None, b)[0], alone[0])


def test_encoder_of_outputs_alone() -> None:
    network = encoder(input_channels=0)
    a, b = torch.rand(1, 1, 8, 8).double(), torch.rand(1, 3, 8, 8).double()
    torch.testing.assert_close(encode_pair(network, a, b)[0], network(b)[0])


def test_unknown_input_differs_from_a_grey_one() -> None:
    network, b = encoder(), torch.rand(1, 3, 8, 8).double()
    assert (network(b)[0] - network(b, torch.zeros(1, 1, 8, 8).double())[0]).abs().max() > 1e-4


def test_discriminators_of_several_scales() -> None:
    torch.manual_seed(0)
    network = build_network(SpectralDiscriminatorSpec(in_channels=4, filters=4, layers=3, scales=2, detail=4.0))
    assert isinstance(network, SpectralDiscriminator)
    maps = network(torch.rand(2, 4, 32, 48))
    assert [[tuple(one.shape) for one in scale] for scale in maps] == [
        [(2, 4, 8, 12), (2, 8, 4, 6), (2, 16, 3, 5), (2, 1, 3, 5)],
        [(2, 4, 4, 6), (2, 8, 2, 3), (2, 16, 1, 2), (2, 1, 1, 2)],
    ]


def test_differences_in_blocks_of_pixels_are_strengthened() -> None:
    torch.manual_seed(0)
    images = torch.rand(2, 3, 6, 8).double()
    planes = detailed_blocks(images, 4.0).unflatten(1, (3, 4))
    mean = nn.functional.avg_pool2d(images, 2)
    torch.testing.assert_close(planes[:, :, 0], 2 * mean)
    # An orthonormal transform keeps the energy; that of all but the mean is 16 times as large here.
    energy = 4 * nn.functional.avg_pool2d(images**2, 2)
    torch.testing.assert_close((planes[:, :, 1:] ** 2).sum(2), 16 * (energy - 4 * mean**2))
    columns = torch.tensor([1.0, 0.0]).repeat(6, 3)
    for image, plane in ((columns, 1), (columns.T, 2), ((columns - columns.T).abs(), 3)):
        differences = detailed_blocks(image[None, None], 4.0)[0, 1:]
        assert [bool((one.abs() == 4).all()) for one in differences] == [k == plane for k in (1, 2, 3)]
        assert [bool((one == 0).all()) for one in differences] == [k != plane for k in (1, 2, 3)]


def test_differences_are_not_taken_in_16_bits() -> None:
    torch.manual_seed(0)
    images = 0.9 + torch.rand(2, 3, 6, 8) / 1000
    with torch.autocast("cpu", torch.bfloat16):
        planes = detailed_blocks(images, 4.0)
    torch.testing.assert_close(planes.double(), detailed_blocks(images.double(), 4.0), rtol=0, atol=2e-6)


@pytest.mark.parametrize("shape", [(8, 3), (3, 24), (64, 32)])
def test_spectral_norm_is_the_largest_singular_value(shape: tuple[int, int]) -> None:
    torch.manual_seed(sum(shape))
    layer = SpectralConv2d(shape[1], shape[0], 4).double()
    exact = torch.linalg.matrix_norm(layer.weight.flatten(1), 2)
    estimate = layer.spectral_norm()
    assert 0.85 * exact < estimate <= exact * (1 + 1e-12)
    # The same weights give the same estimate, however often it was asked for.
    assert estimate == layer.spectral_norm()
    x = torch.randn(1, shape[1], 6, 6).double()
    expected = nn.functional.conv2d(x, layer.weight / estimate, layer.bias)
    torch.testing.assert_close(layer(x), expected)


def test_gradient_of_the_spectral_norm_is_that_of_the_singular_value() -> None:
    torch.manual_seed(3)
    layer = SpectralConv2d(2, 3, 4).double()
    with torch.no_grad():  # a matrix whose first singular value is far above the others, so that the estimate is exact
        u, _, vh = torch.linalg.svd(layer.weight.flatten(1), full_matrices=False)
        layer.weight.copy_((u @ torch.diag(torch.tensor([5.0, 0.05, 0.01]).double()) @ vh).reshape(layer.weight.shape))
    (gradient,) = torch.autograd.grad(layer.spectral_norm(), layer.weight)
    torch.testing.assert_close(gradient.flatten(1), torch.outer(u[:, 0], vh[0]), atol=1e-6, rtol=1e-6)


def test_initial_weights_by_the_number_of_inputs() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(16, 400, 3), nn.GroupNorm(4, 400), nn.Linear(100, 300))
    initialise(network, "fan_in", gain=2.0, generator=torch.Generator().manual_seed(1))
    convolution, norm, linear = network
    for layer, inputs in ((convolution, 144), (linear, 100)):
        bound = 2 / math.sqrt(inputs)
        assert 0.99 * bound < layer.weight.abs().max() <= bound
        assert layer.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.02)
        assert not layer.bias.any()
    assert (norm.weight == 1).all()
