"""The networks of BicycleGAN and CycleGAN with their published options, as nested sequences of PyTorch's layers.

The nesting gives the parameters the names of published checkpoints, by which Tandem's weights can be loaded. Only the
pool of the encoder is adaptive, so that it works at any size.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tandem.checkpoint.official import official_key_map
from tandem.config.specifications import EncoderSpec, NetworkSpec, PatchDiscriminatorSpec, ResNetSpec, UNetSpec

ENCODER_WIDTHS = (1, 2, 3, 4, 4, 4)


def has_plain_form(spec: NetworkSpec) -> bool:
    """Whether `plain_network` makes this network: instance norm, and the layers that are published for it."""
    match spec:
        case UNetSpec():
            options = (spec.injection, spec.upsampling, spec.activation, spec.norm)
            return options == ("all", "transposed", "relu", "instance") and not spec.dropout
        case ResNetSpec():
            return spec.norm == "instance" and spec.bias and not (spec.antialias or spec.dropout)
        case EncoderSpec():
            return spec.norm == "instance" and spec.body == "resnet" and spec.depth <= len(ENCODER_WIDTHS)
        case PatchDiscriminatorSpec():
            return spec.norm == "instance" and spec.bias and not spec.antialias
        case _:
            return False


def plain_network(spec: NetworkSpec, like: nn.Module) -> nn.Module:
    """The network of `spec` in its published form, with the weights and the type of `like`, Tandem's network."""
    assert has_plain_form(spec), f"there is no plain form of {spec}"
    state = like.state_dict()
    network = _make(spec).to(next(iter(state.values())).dtype)
    keys = official_key_map(spec, list(state))
    network.load_state_dict({keys[key]: value.clone() for key, value in state.items()}, strict=True)
    return network


def _make(spec: NetworkSpec) -> nn.Module:
    match spec:
        case UNetSpec():
            return LatentUNet(spec)
        case EncoderSpec():
            return Encoder(spec)
        case PatchDiscriminatorSpec():
            return PatchDiscriminators(spec)
        case ResNetSpec():
            return ResNet(spec)
        case _:
            raise AssertionError(spec)


class LatentUNet(nn.Module):
    """BicycleGAN's generator, whose every down convolution sees z."""

    def __init__(self, spec: UNetSpec) -> None:
        super().__init__()
        self.model = LatentLevel(spec, 0)

    def forward(self, a: Tensor, z: Tensor) -> Tensor:
        """Map a ``(N, C, H, W)`` and z ``(N, latent_dim)`` to an image."""
        return self.model(a, z)


class LatentLevel(nn.Module):
    """One level of the U-Net with all that lies within it."""

    def __init__(self, spec: UNetSpec, level: int) -> None:
        super().__init__()
        widths = [spec.in_channels, *(spec.filters * min(2**i, 8) for i in range(spec.depth))]
        outer, inner = widths[level], widths[level + 1]
        self.outermost, innermost = level == 0, level == spec.depth - 1
        down: list[nn.Module] = [] if self.outermost else [nn.LeakyReLU(0.2, True)]
        down.append(nn.Conv2d(outer + spec.latent_dim, inner, 4, stride=2, padding=1))
        if not (self.outermost or innermost):
            down.append(nn.InstanceNorm2d(inner))
        out_channels = spec.out_channels if self.outermost else outer
        up: list[nn.Module] = [nn.ReLU(True)]
        up.append(nn.ConvTranspose2d(inner if innermost else 2 * inner, out_channels, 4, stride=2, padding=1))
        up.append(nn.Tanh() if self.outermost else nn.InstanceNorm2d(outer))
        self.down, self.up = nn.Sequential(*down), nn.Sequential(*up)
        self.submodule = None if innermost else LatentLevel(spec, level + 1)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """Map x ``(N, C, H, W)`` to the level's output, joined with x but for the outermost level."""
        tiled = z[:, :, None, None].expand(-1, -1, *x.shape[2:])
        inside = self.down(torch.cat([x, tiled], 1))
        if self.submodule is not None:
            inside = self.submodule(inside, z)
        risen = self.up(inside)
        return risen if self.outermost else torch.cat([risen, x], 1)


class Encoder(nn.Module):
    """BicycleGAN's residual encoder."""

    def __init__(self, spec: EncoderSpec) -> None:
        super().__init__()
        widths = [spec.filters * factor for factor in ENCODER_WIDTHS[: spec.depth]]
        first = nn.Conv2d(spec.in_channels, spec.filters, 4, stride=2, padding=1)
        blocks = [EncoderBlock(*pair) for pair in pairwise(widths)]
        self.conv = nn.Sequential(first, *blocks, nn.LeakyReLU(0.2, True), nn.AdaptiveAvgPool2d(1))
        self.fc = nn.Sequential(nn.Linear(widths[-1], spec.latent_dim))
        self.fcVar = nn.Sequential(nn.Linear(widths[-1], spec.latent_dim))

    def forward(self, b: Tensor) -> tuple[Tensor, Tensor]:
        """Map b ``(N, C, H, W)`` to mu and logvar ``(N, latent_dim)``."""
        features = self.conv(b).flatten(1)
        return self.fc(features), self.fcVar(features)


class EncoderBlock(nn.Module):
    """A residual block that halves the image."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        pooled = nn.Sequential(nn.Conv2d(channels, out_channels, 3, padding=1), nn.AvgPool2d(2, 2))
        self.conv = nn.Sequential(
            nn.InstanceNorm2d(channels),
            nn.LeakyReLU(0.2, True),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.InstanceNorm2d(channels),
            nn.LeakyReLU(0.2, True),
            pooled,
        )
        self.shortcut = nn.Sequential(nn.AvgPool2d(2, 2), nn.Conv2d(channels, out_channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, C, H, W)`` to half the size."""
        return self.conv(x) + self.shortcut(x)


class PatchDiscriminators(nn.Module):
    """PatchGANs on an image and on smaller copies of it."""

    def __init__(self, spec: PatchDiscriminatorSpec) -> None:
        super().__init__()
        for scale in range(spec.scales):
            name = "model" if spec.scales == 1 else f"model_{scale}"
            self.add_module(name, _sub_discriminator(spec, max(1, round(spec.filters / 2**scale))))

    def forward(self, image: Tensor) -> list[Tensor]:
        """Map ``(N, C, H, W)`` to logits, one map per scale."""
        logits = []
        for index, discriminator in enumerate(self.children()):
            if index:
                image = F.avg_pool2d(image, 3, stride=2, padding=1, count_include_pad=False)
            logits.append(discriminator(image))
        return logits


def _sub_discriminator(spec: PatchDiscriminatorSpec, filters: int) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(spec.in_channels, filters, 4, stride=2, padding=1), nn.LeakyReLU(0.2, True)]
    widths = [filters * min(2**index, 8) for index in range(spec.layers + 1)]
    for index, (channels, out_channels) in enumerate(pairwise(widths), start=1):
        layers.append(nn.Conv2d(channels, out_channels, 4, stride=2 if index < spec.layers else 1, padding=1))
        layers += [nn.InstanceNorm2d(out_channels), nn.LeakyReLU(0.2, True)]
    return nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4, padding=1))


class ResNet(nn.Module):
    """CycleGAN's residual generator."""

    def __init__(self, spec: ResNetSpec) -> None:
        super().__init__()
        width = spec.filters
        layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(spec.in_channels, width, 7)]
        layers += [nn.InstanceNorm2d(width), nn.ReLU(True)]
        for channels in (width, 2 * width):
            layers.append(nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1))
            layers += [nn.InstanceNorm2d(2 * channels), nn.ReLU(True)]
        layers += [ResNetBlock(4 * width) for _ in range(spec.blocks)]
        for channels in (4 * width, 2 * width):
            layers.append(nn.ConvTranspose2d(channels, channels // 2, 3, stride=2, padding=1, output_padding=1))
            layers += [nn.InstanceNorm2d(channels // 2), nn.ReLU(True)]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(width, spec.out_channels, 7), nn.Tanh()]
        self.model = nn.Sequential(*layers)

    def forward(self, a: Tensor) -> Tensor:
        """Map ``(N, C, H, W)`` to an image of that size."""
        return self.model(a)


class ResNetBlock(nn.Module):
    """Two convolutions and a way past them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        first = [nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), nn.InstanceNorm2d(channels), nn.ReLU(True)]
        second = [nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), nn.InstanceNorm2d(channels)]
        self.conv_block = nn.Sequential(*first, *second)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, C, H, W)`` to the same shape."""
        return x + self.conv_block(x)
