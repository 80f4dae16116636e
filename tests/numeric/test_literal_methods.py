"""The networks of pix2pix, CycleGAN and CUT against their literal published forms; parameters counted."""

import itertools
from typing import Any

import pytest
import torch
from published_methods import TAPS, BlurDown, BlurUp, PublishedResNet, PublishedUNet
from torch import Tensor, nn
from twins import assert_twins_agree, image, twins

from tandem.config.cut import TAPPED_BLOCKS
from tandem.config.specifications import (
    NetworkSpec,
    PatchDiscriminatorSpec,
    PatchProjectorSpec,
    PixelDiscriminatorSpec,
    ResNetSpec,
    UNetSpec,
)
from tandem.networks.build import build_network
from tandem.networks.layers import Blur

NORMS = ("instance", "instance_affine", "batch", "none")


def biased(norm: str) -> bool:
    return norm.startswith("instance")


def resnet(**options: Any) -> ResNetSpec:
    norm = options.get("norm", "instance")
    return ResNetSpec(
        **({"in_channels": 3, "out_channels": 2, "filters": 2, "blocks": 6, "bias": biased(norm)} | options)
    )


def unet(**options: Any) -> UNetSpec:
    norm = options.get("norm", "batch")
    published = {"latent_dim": 0, "injection": "none", "skip_first": True, "bias": biased(norm), "norm": norm}
    return UNetSpec(**({"in_channels": 3, "out_channels": 2, "depth": 5, "filters": 2} | published | options))


@pytest.mark.parametrize(("norm", "antialias"), list(itertools.product(NORMS, (False, True))))
def test_resnet_of_every_kind(norm: str, antialias: bool) -> None:
    assert_twins_agree(resnet(norm=norm, antialias=antialias), image(2, 3, 16, 28))


@pytest.mark.parametrize(("blocks", "antialias"), [(1, False), (9, False), (9, True)])
def test_resnet_of_every_depth(blocks: int, antialias: bool) -> None:
    assert_twins_agree(resnet(blocks=blocks, antialias=antialias), image(1, 3, 32, 32))


@pytest.mark.parametrize(("norm", "depth"), [*((norm, 5) for norm in NORMS), ("batch", 7), ("instance", 6)])
def test_unet_of_pix2pix(norm: str, depth: int) -> None:
    side = 2**depth
    assert_twins_agree(unet(norm=norm, depth=depth, filters=1 if depth > 5 else 2), image(2, 3, side, side))


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(("antialias", "layers"), [(False, 1), (False, 3), (False, 4), (True, 1), (True, 3), (True, 5)])
def test_discriminator(norm: str, antialias: bool, layers: int) -> None:
    spec = PatchDiscriminatorSpec(
        in_channels=4,
        filters=2,
        layers=layers,
        scales=1,
        norm=norm,  # type: ignore[arg-type]
        antialias=antialias,
        bias=biased(norm),
    )
    side = 2 ** (layers + 3)
    assert_twins_agree(spec, image(2, 4, side, side + 16))


@pytest.mark.parametrize("norm", NORMS)
def test_pixel_discriminator(norm: str) -> None:
    spec = PixelDiscriminatorSpec(in_channels=5, filters=3, norm=norm, bias=biased(norm))  # type: ignore[arg-type]
    assert_twins_agree(spec, image(2, 5, 7, 9))


def test_a_pixel_discriminator_sees_single_pixels() -> None:
    network = build_network(PixelDiscriminatorSpec(in_channels=3, filters=4, norm="none", bias=False)).double()
    given = image(1, 3, 9, 8).requires_grad_(True)
    (logits,) = network(given)
    assert logits.shape == (1, 1, 9, 8)
    (slope,) = torch.autograd.grad(logits[0, 0, 4, 5], given)
    assert slope.abs().sum((0, 1)).nonzero().tolist() == [[4, 5]]


def test_blur_is_the_kernel() -> None:
    for height, width in ((2, 2), (7, 4), (8, 9)):
        x = image(2, 3, height, width)
        torch.testing.assert_close(Blur()(x), BlurDown()(x), rtol=1e-12, atol=1e-12)
    # 2 × 2: the flipped neighbour of either pixel is the other one, so each row counts half.
    torch.testing.assert_close(Blur()(torch.tensor([[[[1.0, 2.0], [3.0, 6.0]]]])), torch.tensor([[[[3.0]]]]))


def test_bilinear_upsampling_is_the_kernel() -> None:
    x = image(2, 3, 5, 4)
    ours = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)(x)
    torch.testing.assert_close(ours, BlurUp()(x), rtol=1e-12, atol=1e-12)
    ramp = BlurUp()(torch.tensor([[[[0.0, 4.0]]]]))
    torch.testing.assert_close(ramp[0, 0, 0], torch.tensor([0.0, 1.0, 3.0, 4.0]))


def dropped(ours: nn.Module, theirs: nn.Module, given: Tensor) -> tuple[Tensor, Tensor]:
    """Outputs with the same stream of random numbers: equal only if dropout stands at the same places in order."""
    outputs = []
    for network in (ours, theirs):
        torch.manual_seed(3)
        outputs.append(network(given))
    return outputs[0], outputs[1]


@pytest.mark.parametrize(
    ("spec", "count"),
    [
        (resnet(dropout=True, blocks=2), 2),
        (resnet(dropout=True, blocks=1, norm="batch", antialias=True), 1),
        (unet(dropout=True, depth=8, filters=1), 3),
        (unet(dropout=True, depth=7, filters=1), 2),
        (unet(dropout=True, depth=6, filters=1, norm="instance"), 1),
    ],
)
def test_dropout_stands_where_it_is_published(spec: ResNetSpec | UNetSpec, count: int) -> None:
    ours, theirs, _ = twins(spec)
    assert isinstance(theirs, PublishedResNet | PublishedUNet)
    assert sum(isinstance(module, nn.Dropout) for module in theirs.modules()) == count
    given = image(1, 3, 256 if isinstance(spec, UNetSpec) else 16, 256 if isinstance(spec, UNetSpec) else 16)
    first, second = dropped(ours, theirs, given)
    torch.testing.assert_close(first, second, rtol=1e-10, atol=1e-10)
    torch.manual_seed(4)
    assert not torch.equal(ours(given), first)


@pytest.mark.parametrize("norm", ["instance", "batch", "none"])
def test_features_are_those_of_the_numbered_layers(norm: str) -> None:
    """Layers 0, 4, 8, 12 and 16, and nothing that works in place afterwards changes them."""
    ours, theirs, _ = twins(resnet(norm=norm, antialias=True, blocks=9))
    given = image(2, 3, 16, 20)
    before = given.clone()
    taps = ours.features(given, TAPPED_BLOCKS)  # type: ignore[operator]
    expected = theirs.features(given, TAPS)  # type: ignore[operator]
    assert [tuple(tap.shape) for tap in taps] == [tuple(tap.shape) for tap in expected]
    for tap, other in zip(taps, expected, strict=True):
        torch.testing.assert_close(tap, other, rtol=1e-10, atol=1e-10)
    assert (taps[1] < 0).any()  # before its activation
    assert torch.equal(given, before)


@pytest.mark.parametrize("norm", ["instance", "none"])
def test_features_without_antialiasing(norm: str) -> None:
    """There are no blurs then, so that the layers' numbers are 0, 4, 7, 10 and 14."""
    ours, theirs, _ = twins(resnet(norm=norm))
    given = image(1, 3, 16, 16)
    for tap, other in zip(ours.features(given), theirs.features(given, (0, 4, 7, 10, 14)), strict=True):  # type: ignore[operator]
        torch.testing.assert_close(tap, other, rtol=1e-10, atol=1e-10)


def test_projector() -> None:
    ours, theirs, _ = twins(PatchProjectorSpec(channels=(3, 5), filters=4))
    features = [image(2, 3, 6, 7), image(2, 5, 3, 2)]
    places = [torch.tensor([[0, 41, 13], [8, 9, 40]]), torch.tensor([[5, 0], [3, 4]])]
    for mine, other in zip(ours(features, places), theirs(features, places), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-12, atol=1e-12)
        assert mine.shape[2] == 4
        torch.testing.assert_close(mine.norm(dim=2), torch.ones(mine.shape[:2]).double(), rtol=0, atol=1e-5)


FULL: list[tuple[NetworkSpec, str]] = [
    (unet(out_channels=3, depth=8, filters=64), "54.414"),
    (unet(out_channels=3, depth=7, filters=64), "41.829"),
    (resnet(out_channels=3, filters=64, blocks=9), "11.378"),
    (resnet(out_channels=3, filters=64, blocks=6), "7.838"),
    (resnet(out_channels=3, filters=64, blocks=9, antialias=True), "11.378"),
    (PatchDiscriminatorSpec(in_channels=3, filters=64, layers=3, scales=1), "2.765"),
    (PatchDiscriminatorSpec(in_channels=3, filters=64, layers=3, scales=1, antialias=True), "2.765"),
    (PatchDiscriminatorSpec(in_channels=6, filters=64, layers=3, scales=1, norm="batch", bias=False), "2.769"),
]


@pytest.mark.parametrize(("spec", "millions"), FULL)
def test_published_parameter_counts(spec: NetworkSpec, millions: str) -> None:
    with torch.device("meta"):
        count = sum(parameter.numel() for parameter in build_network(spec).parameters())
    assert f"{count / 1e6:.3f}" == millions
