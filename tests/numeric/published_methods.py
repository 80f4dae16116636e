"""The networks of pix2pix, CycleGAN and CUT as nested sequences, as `published_networks` has those of BicycleGAN.

Blur and bilinear upsampling are written out as (transposed) convolutions with the kernels [1, 2, 1] and [1, 3, 3, 1].
Dropout stands where the published code has it; the layers' numbers are the keys of published checkpoints.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tandem.config.specifications import (
    PatchDiscriminatorSpec,
    PatchProjectorSpec,
    PixelDiscriminatorSpec,
    ResNetSpec,
    UNetSpec,
)

TAPS = (0, 4, 8, 12, 16)


def norm_layer(norm: str, channels: int) -> nn.Module:
    """In these methods "none" is a layer as well, which counts in the keys."""
    match norm:
        case "batch":
            return nn.BatchNorm2d(channels)
        case "instance":
            return nn.InstanceNorm2d(channels)
        case "instance_affine":
            return nn.InstanceNorm2d(channels, affine=True)
        case _:
            return nn.Identity()


def kernel_of(taps: list[float], channels: int, gain: float) -> Tensor:
    line = torch.tensor(taps, dtype=torch.float64)
    kernel = torch.outer(line, line)
    return (gain * kernel / kernel.sum()).expand(channels, 1, *kernel.shape)


class BlurDown(nn.Module):
    """Flip by one pixel, convolve with [1, 2, 1] ⊗ [1, 2, 1] / 16, keep every second pixel."""

    def forward(self, x: Tensor) -> Tensor:
        kernel = kernel_of([1, 2, 1], x.shape[1], 1).to(x)
        return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), kernel, stride=2, groups=x.shape[1])


class BlurUp(nn.Module):
    """Repeat the edge by one pixel, put zeros between the pixels, convolve with [1, 3, 3, 1] ⊗ [1, 3, 3, 1] / 16."""

    def forward(self, x: Tensor) -> Tensor:
        kernel = kernel_of([1, 3, 3, 1], x.shape[1], 4).to(x)
        padded = F.pad(x, (1, 1, 1, 1), mode="replicate")
        return F.conv_transpose2d(padded, kernel, stride=2, padding=2, groups=x.shape[1])[:, :, 1:-1, 1:-1]


class PublishedResNet(nn.Module):
    """The residual generator."""

    def __init__(self, spec: ResNetSpec) -> None:
        super().__init__()
        width, bias = spec.filters, spec.bias
        layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(spec.in_channels, width, 7, bias=bias)]
        layers += [norm_layer(spec.norm, width), nn.ReLU(True)]
        for channels in (width, 2 * width):
            stride = 1 if spec.antialias else 2
            layers.append(nn.Conv2d(channels, 2 * channels, 3, stride=stride, padding=1, bias=bias))
            layers += [norm_layer(spec.norm, 2 * channels), nn.ReLU(True)]
            layers += [BlurDown()] if spec.antialias else []
        layers += [PublishedBlock(spec, 4 * width) for _ in range(spec.blocks)]
        for channels in (4 * width, 2 * width):
            if spec.antialias:
                layers += [BlurUp(), nn.Conv2d(channels, channels // 2, 3, padding=1, bias=bias)]
            else:
                layers.append(
                    nn.ConvTranspose2d(channels, channels // 2, 3, stride=2, padding=1, output_padding=1, bias=bias)
                )
            layers += [norm_layer(spec.norm, channels // 2), nn.ReLU(True)]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(width, spec.out_channels, 7), nn.Tanh()]
        self.model = nn.Sequential(*layers)

    def forward(self, a: Tensor) -> Tensor:
        return self.model(a)

    def features(self, image: Tensor, taps: tuple[int, ...] = TAPS) -> list[Tensor]:
        """What the numbered layers give; of each a copy, so that nothing that works in place reaches it."""
        found = []
        for number, layer in enumerate(self.model):
            image = layer(image)
            if number in taps:
                found.append(image.clone())
        return found


class PublishedBlock(nn.Module):
    def __init__(self, spec: ResNetSpec, channels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3, bias=spec.bias)]
        layers += [norm_layer(spec.norm, channels), nn.ReLU(True)]
        layers += [nn.Dropout(0.5)] if spec.dropout else []
        layers += [nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3, bias=spec.bias)]
        self.conv_block = nn.Sequential(*layers, norm_layer(spec.norm, channels))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_block(x)


class PublishedUNet(nn.Module):
    """pix2pix's generator."""

    def __init__(self, spec: UNetSpec) -> None:
        super().__init__()
        self.model = SkipBlock(spec, 0)

    def forward(self, a: Tensor) -> Tensor:
        return self.model(a)


class SkipBlock(nn.Module):
    """One level with all that lies within; from level 1 on its input is joined in front of its output."""

    def __init__(self, spec: UNetSpec, level: int) -> None:
        super().__init__()
        self.outermost, innermost = level == 0, level == spec.depth - 1
        widths = [spec.in_channels, *(spec.filters * factor for factor in (1, 2, 4, 8, 8, 8, 8, 8, 8))]
        outer, inner = widths[level], widths[level + 1]
        down = nn.Conv2d(outer, inner, kernel_size=4, stride=2, padding=1, bias=spec.bias)
        if self.outermost:
            up = nn.ConvTranspose2d(2 * inner, spec.out_channels, kernel_size=4, stride=2, padding=1)
            layers = [down, SkipBlock(spec, 1), nn.ReLU(True), up, nn.Tanh()]
        else:
            channels = inner if innermost else 2 * inner
            up = nn.ConvTranspose2d(channels, outer, kernel_size=4, stride=2, padding=1, bias=spec.bias)
            layers = [nn.LeakyReLU(0.2, True), down]
            if not innermost:
                layers += [norm_layer(spec.norm, inner), SkipBlock(spec, level + 1)]
            layers += [nn.ReLU(True), up, norm_layer(spec.norm, outer)]
            # In the published code the blocks between the eighth-width ones, so that 256 px have three of them.
            if spec.dropout and inner == outer and not innermost:
                layers.append(nn.Dropout(0.5))
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x) if self.outermost else torch.cat([x, self.model(x)], 1)


class PublishedPatchDiscriminator(nn.Module):
    """The PatchGAN on one scale."""

    def __init__(self, spec: PatchDiscriminatorSpec) -> None:
        super().__init__()
        stride, width = 1 if spec.antialias else 2, spec.filters
        layers: list[nn.Module] = [nn.Conv2d(spec.in_channels, width, 4, stride=stride, padding=1)]
        layers += [nn.LeakyReLU(0.2, True), *([BlurDown()] if spec.antialias else [])]
        factor = 1
        for number in range(1, spec.layers):
            before, factor = factor, min(2**number, 8)
            conv = nn.Conv2d(before * width, factor * width, 4, stride=stride, padding=1, bias=spec.bias)
            layers += [conv, norm_layer(spec.norm, factor * width), nn.LeakyReLU(0.2, True)]
            layers += [BlurDown()] if spec.antialias else []
        before, factor = factor, min(2**spec.layers, 8)
        conv = nn.Conv2d(before * width, factor * width, 4, stride=1, padding=1, bias=spec.bias)
        layers += [conv, norm_layer(spec.norm, factor * width), nn.LeakyReLU(0.2, True)]
        self.model = nn.Sequential(*layers, nn.Conv2d(factor * width, 1, 4, stride=1, padding=1))

    def forward(self, image: Tensor) -> list[Tensor]:
        return [self.model(image)]


class PublishedPixelDiscriminator(nn.Module):
    """PixelGAN."""

    def __init__(self, spec: PixelDiscriminatorSpec) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(spec.in_channels, spec.filters, 1),
            nn.LeakyReLU(0.2, True),
            nn.Conv2d(spec.filters, 2 * spec.filters, 1, bias=spec.bias),
            norm_layer(spec.norm, 2 * spec.filters),
            nn.LeakyReLU(0.2, True),
            nn.Conv2d(2 * spec.filters, 1, 1, bias=spec.bias),
        )

    def forward(self, image: Tensor) -> list[Tensor]:
        return [self.net(image)]


class PublishedProjector(nn.Module):
    """The heads that PatchNCE compares with, vector by vector."""

    def __init__(self, spec: PatchProjectorSpec) -> None:
        super().__init__()
        for index, channels in enumerate(spec.channels):
            layers = [nn.Linear(channels, spec.filters), nn.ReLU(), nn.Linear(spec.filters, spec.filters)]
            self.add_module(f"mlp_{index}", nn.Sequential(*layers))

    def forward(self, features: list[Tensor], locations: list[Tensor]) -> list[Tensor]:
        projected = []
        for head, feature, chosen in zip(self.children(), features, locations, strict=True):
            width = feature.shape[3]
            rows = []
            for image, own in zip(feature, chosen.tolist(), strict=True):
                vectors = [head(image[:, place // width, place % width]) for place in own]
                rows.append(torch.stack([vector / (vector.norm() + 1e-7) for vector in vectors]))
            projected.append(torch.stack(rows))
        return projected
