"""The U-Net's convolutions as matrix products, against PyTorch's own layers with the same weights."""

import pytest
import torch
from torch import Tensor, nn

from tandem.networks import small_maps
from tandem.networks.small_maps import DownConv, UpConv

SIZES = [(1, 2, 2), (2, 8, 8), (3, 4, 6), (2, 5, 7)]


def pair_of(kind: str, *, bias: bool) -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    own, plain = {"down": (DownConv, nn.Conv2d), "up": (UpConv, nn.ConvTranspose2d)}[kind]
    mine, theirs = own(6, 5, bias=bias).double(), plain(6, 5, 4, stride=2, padding=1, bias=bias).double()
    theirs.load_state_dict(mine.state_dict())
    return mine, theirs


def gradients_of(layer: nn.Module, x: Tensor) -> list[Tensor]:
    """Output, gradients, and the gradient of a gradient's square, as WGAN-GP takes it."""
    x = x.clone().requires_grad_()
    output = layer(x)
    loss = (output.sin() * torch.arange(output.numel()).view_as(output)).sum()
    first = torch.autograd.grad(loss, [x, *layer.parameters()], create_graph=True)
    second = torch.autograd.grad(first[0].square().sum(), [x, layer.weight])  # type: ignore[list-item]
    return [output, *first, *second]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["down", "up"])
def test_it_is_the_same_layer(kind: str, size: tuple[int, int, int], bias: bool) -> None:
    mine, theirs = pair_of(kind, bias=bias)
    n, h, w = size
    x = torch.randn((n, 6, h, w), dtype=torch.float64)
    assert mine.state_dict().keys() == theirs.state_dict().keys()
    for found, expected in zip(gradients_of(mine, x), gradients_of(theirs, x), strict=True):
        assert found.shape == expected.shape
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", ["down", "up"])
def test_only_small_maps_in_training_are_matrix_products(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other way is PyTorch's, to the last bit."""
    mine, theirs = (layer.float() for layer in pair_of(kind, bias=True))
    used: list[int] = []
    monkeypatch.setattr(small_maps, "_pays", lambda *arguments, real=small_maps._pays: noted(used, real(*arguments)))
    small, large = torch.randn(2, 6, 8, 8), torch.randn(2, 6, 34, 34)
    mine(small)
    mine(large)
    assert torch.equal(mine.eval()(small), theirs(small))
    with torch.autocast("cpu", torch.bfloat16):
        mine.train()(small)
    assert used == [1, 0, 0, 0]


def noted(used: list[int], pays: bool) -> bool:
    used.append(int(pays))
    return pays
