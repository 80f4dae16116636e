"""Networks against a literal, nested form of the published ones, loaded through the map of official keys."""

import itertools

import pytest
import torch
from published_networks import published_network
from torch import Tensor, nn

from tandem.checkpoint.official import official_key_map
from tandem.config.architecture import EncoderSpec, NetworkSpec, PatchDiscriminatorSpec, UNetSpec
from tandem.networks.build import build_network

NORMS = ("instance", "instance_affine", "batch", "none")


def twins(spec: NetworkSpec) -> tuple[nn.Module, nn.Module, dict[str, str]]:
    """Ours with random weights, the published form with the same ones, both in float64, and the keys' map."""
    torch.manual_seed(0)
    ours, theirs = build_network(spec).double(), published_network(spec).double()
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter.add_(torch.randn_like(parameter) / max(1, parameter[0].numel()) ** 0.5)
    keys = official_key_map(spec, list(ours.state_dict()))
    theirs.load_state_dict({keys[key]: value.clone() for key, value in ours.state_dict().items()}, strict=True)
    return ours, theirs, keys


def assert_twins_agree(spec: NetworkSpec, *inputs: Tensor | None) -> None:
    """Outputs, gradients of all weights and of the inputs, and buffers."""
    ours, theirs, keys = twins(spec)
    gradients = []
    for network in (ours, theirs):
        given = [None if x is None else x.clone().requires_grad_(True) for x in inputs]
        outputs = network(*given)
        outputs = [outputs] if isinstance(outputs, Tensor) else list(outputs)
        total = torch.stack([(o * torch.linspace(-1, 2, o.numel()).view_as(o)).sum() for o in outputs]).sum()
        total.backward()
        named = {key: parameter.grad for key, parameter in network.named_parameters()}
        gradients.append((outputs, named, [x.grad for x in given if x is not None]))
    (our_out, our_grads, our_inputs), (their_out, their_grads, their_inputs) = gradients
    for x, y in zip([*our_out, *our_inputs], [*their_out, *their_inputs], strict=True):
        torch.testing.assert_close(x, y, rtol=1e-10, atol=1e-10)
    for key, gradient in our_grads.items():
        assert gradient is not None, f"{key} has no gradient"
        torch.testing.assert_close(gradient, their_grads[keys[key]], rtol=1e-8, atol=1e-9)
    for key, value in ours.named_buffers():
        torch.testing.assert_close(value, dict(theirs.named_buffers())[keys[key]], rtol=1e-10, atol=1e-12)


def image(n: int, channels: int, height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(height * 1000 + width)
    return 2 * torch.rand((n, channels, height, width), generator=generator, dtype=torch.float64) - 1


def code(n: int, dimensions: int) -> Tensor:
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
    assert_twins_agree(spec, image(2, 1, 32, 64), code(2, 3))


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
    assert_twins_agree(spec, image(1, 3, height, width), code(1, 2))


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
