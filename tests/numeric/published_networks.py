"""BicycleGAN's networks as nested sequences, the way the published ones are built, for tests to compare with.

The nesting gives the state-dict keys of the published checkpoints; activations work in place where those do, so that
what a skip carries follows from PyTorch and not from a reading of the code.
"""

from typing import Any

import torch
from torch import Tensor, nn

from tandem.config.specifications import EncoderSpec, NetworkSpec, PatchDiscriminatorSpec, UNetSpec


def published_network(spec: NetworkSpec) -> nn.Module:
    """The network of `spec` in its published form."""
    match spec:
        case UNetSpec(injection="all"):
            return LatentEverywhere(spec)
        case UNetSpec():
            return LatentAtInput(spec)
        case EncoderSpec():
            return PublishedEncoder(spec)
        case PatchDiscriminatorSpec():
            return PublishedDiscriminators(spec)


def norm_layers(norm: str, channels: int) -> list[nn.Module]:
    layers: dict[str, Any] = {
        "instance": lambda: [nn.InstanceNorm2d(channels)],
        "instance_affine": lambda: [nn.InstanceNorm2d(channels, affine=True)],
        "batch": lambda: [nn.BatchNorm2d(channels)],
        "none": list,
    }
    return layers[norm]()


def activation(name: str) -> nn.Module:
    layers = {"relu": nn.ReLU(True), "lrelu": nn.LeakyReLU(0.2, True), "elu": nn.ELU(inplace=True)}
    return layers[name]


def upsample(kind: str, channels: int, out_channels: int) -> list[nn.Module]:
    if kind == "transposed":
        return [nn.ConvTranspose2d(channels, out_channels, kernel_size=4, stride=2, padding=1)]
    return [
        nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.ReflectionPad2d(1),
        nn.Conv2d(channels, out_channels, kernel_size=3, stride=1, padding=0),
    ]


def width(spec: UNetSpec, level: int) -> int:
    return spec.filters * [1, 2, 4, 8, 8, 8, 8, 8, 8][level]


def tiled(x: Tensor, z: Tensor) -> Tensor:
    height, width = x.shape[2:]
    return torch.cat([x, z.view(*z.shape, 1, 1).repeat(1, 1, height, width)], 1)


class LatentEverywhere(nn.Module):
    """U-Net of 1711.11586 whose every down convolution sees z."""

    def __init__(self, spec: UNetSpec) -> None:
        super().__init__()
        self.model = LatentBlock(spec, 0)

    def forward(self, a: Tensor, z: Tensor) -> Tensor:
        return self.model(a, z)


class LatentBlock(nn.Module):
    def __init__(self, spec: UNetSpec, level: int) -> None:
        super().__init__()
        self.outermost, self.innermost = level == 0, level == spec.depth - 1
        inner = width(spec, level)
        outer = spec.in_channels if self.outermost else width(spec, level - 1)
        down_conv = nn.Conv2d(outer + spec.latent_dim, inner, kernel_size=4, stride=2, padding=1)
        down: list[nn.Module] = [down_conv] if self.outermost else [nn.LeakyReLU(0.2, True), down_conv]
        if not self.outermost and not self.innermost:
            down += norm_layers(spec.norm, inner)
        up_in, up_out = inner if self.innermost else 2 * inner, spec.out_channels if self.outermost else outer
        up = [activation(spec.activation), *upsample(spec.upsampling, up_in, up_out)]
        up += [nn.Tanh()] if self.outermost else norm_layers(spec.norm, up_out)
        self.down, self.up = nn.Sequential(*down), nn.Sequential(*up)
        self.submodule = None if self.innermost else LatentBlock(spec, level + 1)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        inside = self.down(tiled(x, z))
        if self.submodule is not None:
            inside = self.submodule(inside, z)
        risen = self.up(inside)
        return risen if self.outermost else torch.cat([risen, x], 1)


class LatentAtInput(nn.Module):
    """U-Net of 1611.07004 with z beside the input image."""

    def __init__(self, spec: UNetSpec) -> None:
        super().__init__()
        self.model = NestedBlock(spec, 0)

    def forward(self, a: Tensor, z: Tensor | None) -> Tensor:
        return self.model(a if z is None else tiled(a, z))


class NestedBlock(nn.Module):
    def __init__(self, spec: UNetSpec, level: int) -> None:
        super().__init__()
        self.outermost, innermost = level == 0, level == spec.depth - 1
        inner = width(spec, level)
        latent = spec.latent_dim if spec.injection == "input" else 0
        outer = spec.in_channels + latent if self.outermost else width(spec, level - 1)
        layers: list[nn.Module] = [] if self.outermost else [nn.LeakyReLU(0.2, True)]
        layers.append(nn.Conv2d(outer, inner, kernel_size=4, stride=2, padding=1))
        if not self.outermost and not innermost:
            layers += norm_layers(spec.norm, inner)
        if not innermost:
            layers.append(NestedBlock(spec, level + 1))
        up_in, up_out = inner if innermost else 2 * inner, spec.out_channels if self.outermost else outer
        layers += [activation(spec.activation), *upsample(spec.upsampling, up_in, up_out)]
        layers += [nn.Tanh()] if self.outermost else norm_layers(spec.norm, up_out)
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        risen = self.model(x)
        return risen if self.outermost else torch.cat([risen, x], 1)


class PublishedEncoder(nn.Module):
    """E_ResNet or E_CNN, tied to 2**(depth + 3) px by its fixed pool."""

    def __init__(self, spec: EncoderSpec) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(spec.in_channels, spec.filters, kernel_size=4, stride=2, padding=1)]
        channels = spec.filters
        if spec.body == "resnet":
            for factor in [2, 3, 4, 4, 4][: spec.depth - 1]:
                layers.append(ResidualDown(channels, factor * spec.filters, spec.norm))
                channels = factor * spec.filters
            layers.append(nn.LeakyReLU(0.2, True))
        else:
            layers.append(nn.LeakyReLU(0.2, True))
            for factor in [2, 4, 4, 4, 4][: spec.depth - 1]:
                layers.append(nn.Conv2d(channels, factor * spec.filters, kernel_size=4, stride=2, padding=1))
                channels = factor * spec.filters
                layers += [*norm_layers(spec.norm, channels), nn.LeakyReLU(0.2, True)]
        layers.append(nn.AvgPool2d(8))
        self.conv = nn.Sequential(*layers)
        self.fc = nn.Sequential(nn.Linear(channels, spec.latent_dim))
        self.fcVar = nn.Sequential(nn.Linear(channels, spec.latent_dim))

    def forward(self, b: Tensor) -> tuple[Tensor, Tensor]:
        features = self.conv(b).view(len(b), -1)
        return self.fc(features), self.fcVar(features)


class ResidualDown(nn.Module):
    def __init__(self, channels: int, out_channels: int, norm: str) -> None:
        super().__init__()
        first = [*norm_layers(norm, channels), nn.LeakyReLU(0.2, True), nn.Conv2d(channels, channels, 3, padding=1)]
        pooled = nn.Sequential(nn.Conv2d(channels, out_channels, 3, padding=1), nn.AvgPool2d(2))
        self.conv = nn.Sequential(*first, *norm_layers(norm, channels), nn.LeakyReLU(0.2, True), pooled)
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(channels, out_channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) + self.shortcut(x)


class PublishedDiscriminators(nn.Module):
    """PatchGANs on halved images, each next one with fewer filters."""

    def __init__(self, spec: PatchDiscriminatorSpec) -> None:
        super().__init__()
        self.scales = spec.scales
        filters = spec.filters
        for scale in range(spec.scales):
            filters = max(1, round(filters / 2**scale))
            self.add_module(f"model_{scale}" if spec.scales > 1 else "model", discriminator(spec, filters))

    def forward(self, image: Tensor) -> list[Tensor]:
        found = []
        for model in self.children():
            found.append(model(image))
            image = nn.functional.avg_pool2d(image, 3, stride=2, padding=[1, 1], count_include_pad=False)
        return found


def discriminator(spec: PatchDiscriminatorSpec, filters: int) -> nn.Sequential:
    layers = [nn.Conv2d(spec.in_channels, filters, 4, stride=2, padding=1), nn.LeakyReLU(0.2, True)]
    channels = filters
    for index in range(1, spec.layers + 1):
        out_channels = filters * min(2**index, 8)
        stride = 2 if index < spec.layers else 1
        layers.append(nn.Conv2d(channels, out_channels, 4, stride=stride, padding=1))
        layers += [*norm_layers(spec.norm, out_channels), nn.LeakyReLU(0.2, True)]
        channels = out_channels
    return nn.Sequential(*layers, nn.Conv2d(channels, 1, 4, stride=1, padding=1))
