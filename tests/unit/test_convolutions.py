"""Cheaper forms of convolutions against PyTorch's own layers with the same weights."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tandem.config.specifications import EncoderSpec, NetworkSpec, PatchDiscriminatorSpec, UNetSpec
from tandem.networks import convolutions
from tandem.networks.build import build_network
from tandem.networks.convolutions import DownConv, LogitConv, PooledConv, UpConv
from tandem.networks.encoder import Encoder
from tandem.networks.patchgan import PatchDiscriminator
from tandem.networks.unet import UNet

SIZES = [(1, 2, 2), (2, 8, 8), (3, 4, 6), (2, 5, 7)]


def pair_of(kind: str, *, bias: bool) -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    own, plain = {"down": (DownConv, nn.Conv2d), "up": (UpConv, nn.ConvTranspose2d)}[kind]
    theirs = plain(6, 5, 4, stride=2, padding=1, bias=bias).double()
    return cheaper(theirs, own), theirs


def cheaper(layer: nn.Module, form: type[nn.Module]) -> nn.Module:
    """A copy in its cheaper form, made as `use_cheaper_convolutions` makes it."""
    copied = copy.deepcopy(layer)
    copied.__class__ = form
    return copied


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


@pytest.mark.parametrize("size", [(1, 2, 2), (2, 5, 9), (1, 31, 31)])
def test_the_convolution_to_logits_is_the_same_layer(size: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    theirs = nn.Conv2d(6, 1, 4, padding=1).double()
    mine = cheaper(theirs, LogitConv)
    n, h, w = size
    x = torch.randn((n, 6, h, w), dtype=torch.float64)
    for found, expected in zip(gradients_of(mine, x), gradients_of(theirs, x), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("size", [(1, 2, 2), (2, 8, 6), (3, 5, 7)])
def test_a_pooled_convolution_is_a_convolution_and_a_pooling(size: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(6, 5, 3, padding=1).double()
    mine = cheaper(conv, PooledConv)
    n, h, w = size
    x = torch.randn((n, 6, h, w), dtype=torch.float64)
    found, expected = gradients_of(mine, x), gradients_of(Pooling(conv), x)
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


def test_the_kernel_is_pooled_in_full_precision_and_the_same_on_every_device() -> None:
    weight = torch.randn(5, 6, 3, 3)
    with torch.autocast("cpu", torch.bfloat16):
        pooled = convolutions._pooled(weight)
    torch.testing.assert_close(pooled, F.avg_pool2d(weight, 2, stride=1, padding=1), rtol=1e-6, atol=1e-7)


class Pooling(nn.Module):
    """A convolution, then AvgPool(2)."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv
        self.weight = conv.weight

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(self.conv(x), 2)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("size", [(1, 4, 4), (2, 6, 8), (2, 16, 10)])
def test_a_latent_kept_apart_gives_what_joining_gives(size: tuple[int, int, int], bias: bool) -> None:
    mine, theirs = pair_of("down", bias=bias)
    n, h, w = size
    inputs = torch.randn((n, 4, h, w), dtype=torch.float64), torch.randn((n, 2), dtype=torch.float64)
    found, expected = [], []
    for layer, results, apart in ((mine, found, True), (theirs, expected, False)):
        x, latent = (given.clone().requires_grad_() for given in inputs)
        tiled = latent[:, :, None, None].expand(-1, -1, h, w)
        output = layer.forward_apart(x, latent) if apart else layer(torch.cat([x, tiled], 1))  # type: ignore[operator]
        loss = (output.sin() * torch.arange(output.numel()).view_as(output)).sum()
        results += [output, *torch.autograd.grad(loss, [x, latent, *layer.parameters()])]
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


def test_latents_are_kept_apart_in_training_on_maps_larger_than_the_weights() -> None:
    layer = cheaper(nn.Conv2d(6, 5, 4, stride=2, padding=1), DownConv)
    assert isinstance(layer, DownConv)
    assert layer.takes_latent_apart(torch.randn(1, 4, 12, 10))
    assert not layer.takes_latent_apart(torch.randn(1, 4, 10, 10)), "480 weights, 400 values"
    assert not layer.takes_latent_apart(torch.randn(1, 4, 13, 10)), "an odd side"
    assert not layer.eval().takes_latent_apart(torch.randn(1, 4, 12, 10)), "a trained model"


@pytest.mark.parametrize("kind", ["down", "up", "logit"])
def test_only_training_in_full_precision_takes_matrix_products(kind: str) -> None:
    """Everything else, large maps too where their size matters, is PyTorch's, to the last bit."""
    if kind == "logit":
        theirs = nn.Conv2d(6, 1, 4, padding=1)
        mine = cheaper(theirs, LogitConv)
    else:
        mine, theirs = (layer.float() for layer in pair_of(kind, bias=True))
    small, large = torch.randn(2, 6, 8, 8), torch.randn(2, 6, 34, 34)
    assert products(mine, small)
    assert products(mine, large) == (kind == "logit")
    assert torch.equal(mine.eval()(small), theirs(small))
    mine.train()
    with torch.autocast("cpu", torch.bfloat16):
        assert not products(mine, small)


def products(layer: nn.Module, x: Tensor) -> bool:
    """Whether the layer multiplies matrices instead of calling a convolution."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile, torch.no_grad():
        layer(x)
    names = {event.name for event in profile.events() or ()}
    assert names & {"aten::_convolution"} or names & {"aten::mm", "aten::addmm", "aten::bmm"}
    return not names & {"aten::_convolution"}


UNET = UNetSpec(in_channels=3, out_channels=3, latent_dim=4, depth=3, filters=4, norm="instance", injection="all")
NETWORKS: list[tuple[NetworkSpec, type[nn.Module], set[type[nn.Module]]]] = [
    (UNET, UNet, {DownConv, UpConv}),
    (EncoderSpec(in_channels=3, latent_dim=4, depth=3, filters=4, norm="instance"), Encoder, {PooledConv}),
    (PatchDiscriminatorSpec(in_channels=3, filters=4, layers=2, scales=2), PatchDiscriminator, {LogitConv}),
]


@pytest.mark.parametrize(("spec", "kind", "forms"), NETWORKS, ids=lambda value: getattr(value, "__name__", None))
def test_a_network_with_cheaper_convolutions_is_the_one_of_its_paper(
    spec: NetworkSpec, kind: type[nn.Module], forms: set[type[nn.Module]]
) -> None:
    torch.manual_seed(0)
    theirs = kind(spec).double()
    mine = build_network(spec).double()
    assert forms <= {type(layer) for layer in mine.modules()}
    assert not forms & {type(layer) for layer in theirs.modules()}
    mine.load_state_dict(theirs.state_dict(), strict=True)
    x, z = torch.rand((2, 3, 32, 32), dtype=torch.float64), torch.randn((2, 4), dtype=torch.float64)
    given = (x, z) if isinstance(spec, UNetSpec) else (x,)
    found, expected = (_with_gradients(network, given) for network in (mine, theirs))
    largest = max(float(one.detach().abs().max()) for one in expected)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-13 * largest)


def _with_gradients(network: nn.Module, given: tuple[Tensor, ...]) -> list[Tensor]:
    given = tuple(tensor.clone().requires_grad_() for tensor in given)
    outputs = network(*given)
    outputs = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    loss = sum(
        ((output.sin() * torch.arange(output.numel()).view_as(output)).sum() for output in outputs), torch.zeros(())
    )
    return [*outputs, *torch.autograd.grad(loss, [*given, *network.parameters()])]
