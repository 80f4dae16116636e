"""Networks against a literal, nested form of the published ones, loaded through the map of official keys."""

import itertools

import pytest
import torch
from torch import Tensor
from twins import assert_twins_agree, image

from tandem.config.specifications import EncoderSpec, PatchDiscriminatorSpec, UNetSpec

NORMS = ("instance", "instance_affine", "batch", "none")


def latent(n: int, dimensions: int) -> Tensor:
    return torch.randn((n, dimensions), generator=torch.Generator().manual_seed(3), dtype=torch.float64)


@pytest.mark.parametrize(
    ("norm", "injection", "upsampling"),
    list(itertools.product(NORMS, ("input", "all"), ("transposed", "bilinear"))),
)
def test_unet_of_every_kind(norm: str, injection: str, upsampling: str) -> None:
    activation = {"instance": "relu", "instance_affine": "lrelu", "batch": "elu", "none": "relu"}[norm]
    spec = UNetSpec(
        in_channels=1,
        out_channels=3,
        latent_dim=3,
        depth=5,
        filters=2,
        norm=norm,  # type: ignore[arg-type]
        injection=injection,  # type: ignore[arg-type]
        upsampling=upsampling,  # type: ignore[arg-type]
        activation=activation,  # type: ignore[arg-type]
    )
    assert_twins_agree(spec, image(2, 1, 32, 64), latent(2, 3))


@pytest.mark.parametrize("injection", ["input", "all"])
@pytest.mark.parametrize(
    ("depth", "height", "width"), [(6, 64, 64), (6, 128, 64), (7, 128, 128), (8, 256, 256), (9, 512, 512)]
)
def test_unet_of_every_size(injection: str, depth: int, height: int, width: int) -> None:
    spec = UNetSpec(
        in_channels=3,
        out_channels=3,
        latent_dim=2,
        depth=depth,
        filters=1,
        injection=injection,  # type: ignore[arg-type]
    )
    assert_twins_agree(spec, image(1, 3, height, width), latent(1, 2))


def test_unet_without_a_code() -> None:
    spec = UNetSpec(in_channels=3, out_channels=2, latent_dim=0, depth=5, filters=2, injection="none")
    assert_twins_agree(spec, image(2, 3, 32, 32), None)


@pytest.mark.parametrize(("norm", "body"), list(itertools.product(NORMS, ("resnet", "cnn"))))
@pytest.mark.parametrize("depth", [3, 4, 5])
def test_encoder_at_its_native_size(norm: str, body: str, depth: int) -> None:
    spec = EncoderSpec(body=body, in_channels=3, latent_dim=4, depth=depth, filters=2, norm=norm)  # type: ignore[arg-type]
    side = 2 ** (depth + 3)
    assert_twins_agree(spec, image(2, 3, side, side))


@pytest.mark.parametrize(("norm", "scales"), list(itertools.product(NORMS, (1, 2, 3))))
def test_discriminator(norm: str, scales: int) -> None:
    spec = PatchDiscriminatorSpec(in_channels=4, filters=6, layers=2, scales=scales, norm=norm)  # type: ignore[arg-type]
    assert_twins_agree(spec, image(2, 4, 64, 96))


@pytest.mark.parametrize("layers", [1, 2, 3, 4, 5])
def test_discriminator_of_every_depth(layers: int) -> None:
    spec = PatchDiscriminatorSpec(in_channels=1, filters=2, layers=layers, scales=2)
    assert_twins_agree(spec, image(1, 1, 256, 256))
