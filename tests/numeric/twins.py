"""A network of ours beside its published form with the same weights."""

import torch
from published_methods import (
    PublishedPatchDiscriminator,
    PublishedPixelDiscriminator,
    PublishedProjector,
    PublishedResNet,
    PublishedUNet,
)
from published_networks import published_network
from torch import Tensor, nn

from tandem.checkpoint.official import official_key_map
from tandem.config.specifications import (
    NetworkSpec,
    PatchDiscriminatorSpec,
    PatchProjectorSpec,
    PixelDiscriminatorSpec,
    ResNetSpec,
    UNetSpec,
)
from tandem.networks.build import build_network


def published_form(spec: NetworkSpec) -> nn.Module:
    """The literal network of `spec`, of whichever method."""
    match spec:
        case ResNetSpec():
            return PublishedResNet(spec)
        case UNetSpec(skip_first=True):
            return PublishedUNet(spec)
        case PixelDiscriminatorSpec():
            return PublishedPixelDiscriminator(spec)
        case PatchProjectorSpec():
            return PublishedProjector(spec)
        case PatchDiscriminatorSpec() if spec.antialias or not spec.bias:
            return PublishedPatchDiscriminator(spec)
    return published_network(spec)


def twin_of(ours: nn.Module) -> tuple[nn.Module, dict[str, str]]:
    """The published form of `ours` with its weights and type, and the map of the keys."""
    theirs = published_form(ours.spec).double()  # type: ignore[arg-type]
    keys = official_key_map(ours.spec, list(ours.state_dict()))  # type: ignore[arg-type]
    theirs.load_state_dict({keys[key]: value.clone() for key, value in ours.state_dict().items()}, strict=True)
    return theirs, keys


def twins(spec: NetworkSpec) -> tuple[nn.Module, nn.Module, dict[str, str]]:
    """Ours with random weights, the published form with the same ones, both in float64, and the keys' map."""
    torch.manual_seed(0)
    ours = build_network(spec).double()
    perturb(ours)
    return ours, *twin_of(ours)


@torch.no_grad()
def perturb(network: nn.Module) -> None:
    """Make weights and biases large enough that everything matters."""
    for parameter in network.parameters():
        parameter.add_(torch.randn_like(parameter) / max(1, parameter[0].numel()) ** 0.5)


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
    """Random pixels in [-1, 1], the same at every call."""
    generator = torch.Generator().manual_seed(height * 1000 + width)
    return 2 * torch.rand((n, channels, height, width), generator=generator, dtype=torch.float64) - 1
