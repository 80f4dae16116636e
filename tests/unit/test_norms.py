"""Norm layers: gradients in every memory layout, and the state in which pix2pix samples."""

import pytest
import torch
from torch import nn

from tandem.networks.layers import make_norm, resume_training, sample_as_in_training


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("norm", ["instance", "instance_affine", "batch"])
def test_the_layout_of_a_gradient_does_not_change_it(norm: str, n: int) -> None:
    """PyTorch 2.13 reads a channels-last gradient of a single image wrongly."""
    generator = torch.Generator().manual_seed(0)
    x, gradient = (torch.randn((n, 8, 4, 6), generator=generator, dtype=torch.float64) for _ in range(2))
    layer = make_norm(norm, 8)  # type: ignore[arg-type]
    assert layer is not None
    found = []
    for layout in (torch.contiguous_format, torch.channels_last):
        for image in (x, x.to(memory_format=torch.channels_last)):
            given = image.detach().requires_grad_(True)
            output = layer.double()(given)
            found.append(torch.autograd.grad(output, given, gradient.to(memory_format=layout))[0])
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("norm", ["instance", "instance_affine", "batch"])
def test_the_gradient_of_gathered_features_is_right(norm: str) -> None:
    """It is channels-last with a stride of its own for the images, which PyTorch 2.13 reads wrongly of a single one."""
    generator = torch.Generator().manual_seed(0)
    x, weight = (torch.randn((1, 4, 6, 5), generator=generator, dtype=torch.float64) for _ in range(2))
    layer = make_norm(norm, 4)  # type: ignore[arg-type]
    assert layer is not None
    x.requires_grad_(True)
    locations = torch.arange(30)[None, :, None]
    gathered = torch.take_along_dim(layer.double()(x).flatten(2).transpose(1, 2), locations, 1)
    (found,) = torch.autograd.grad((gathered * weight.flatten(2).transpose(1, 2)).sum(), x)
    (expected,) = torch.autograd.grad((layer(x) * weight).sum(), x)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_an_activation_may_work_in_place_on_the_norm() -> None:
    x = torch.randn((1, 3, 4, 4), generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    layer = make_norm("instance", 3)
    assert layer is not None
    first, second = (torch.autograd.grad(act(layer(x)).square().sum(), x)[0] for act in (torch.relu, torch.relu_))
    assert torch.equal(first, second)


@pytest.mark.parametrize("n", [1, 3])
def test_instance_norm_is_its_definition(n: int) -> None:
    x = torch.randn((n, 3, 5, 4), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    x.requires_grad_(True)
    layer = make_norm("instance", 3)
    assert layer is not None
    mean, variance = x.mean((2, 3), keepdim=True), x.var((2, 3), unbiased=False, keepdim=True)
    expected = (x - mean) / (variance + 1e-5).sqrt()
    torch.testing.assert_close(layer(x), expected, rtol=1e-12, atol=1e-12)
    weight = torch.linspace(-1, 1, x.numel(), dtype=torch.float64).view_as(x)
    first, second = (torch.autograd.grad((y * weight).sum(), x)[0] for y in (layer(x), expected))
    torch.testing.assert_close(first, second, rtol=1e-10, atol=1e-10)
    assert not list(layer.state_dict())


def test_sampling_as_in_training() -> None:
    """Dropout on, batch norm with the image's own statistics; the running ones stay; and all of it is undone."""
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Dropout(0.5))
    network(torch.randn(4, 3, 8, 8))
    before = {key: value.clone() for key, value in network.state_dict().items()}
    image = torch.randn(1, 3, 8, 8)
    sample_as_in_training(network)
    assert not network.training
    torch.manual_seed(0)
    first = network(image)
    torch.manual_seed(1)
    assert not torch.equal(network(image), first)
    convolved = network[0](image)
    mean, variance = convolved.mean((0, 2, 3)), convolved.var((0, 2, 3), unbiased=False)
    normed = (convolved - mean[:, None, None]) / (variance[:, None, None] + 1e-5).sqrt()
    kept = first != 0
    assert 0.3 < kept.float().mean() < 0.7
    torch.testing.assert_close(first[kept], 2 * normed[kept], rtol=1e-4, atol=1e-5)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    resume_training(network)
    assert network.training
    assert all(module.training for module in network.modules())
    network(image)
    assert network[1].num_batches_tracked == before["1.num_batches_tracked"] + 1
    network.eval()
    assert torch.equal(network(image), network(image))
