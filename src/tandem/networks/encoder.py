"""The encoders of BicycleGAN (1711.11586): an image of domain B to mu and logvar of its latent.

``"resnet"`` (E_ResNet): conv4s2, then residual blocks of widths 2, 3, 4, 4, … times the filters, each halving the
image by average pooling. ``"cnn"`` (E_CNN): conv4s2 layers of widths 1, 2, 4, 4, …

Deviation: the reference pools with a fixed AvgPool(8), which ties it to 128 or 256 px; the adaptive pool here is
equal there and works at any size.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from tandem.config.specifications import EncoderSpec, Norm
from tandem.networks.layers import full_precision, make_norm, named_sequence

MAX_WIDENING = 4


class Encoder(nn.Module):
    """An encoder; see the file's head."""

    def __init__(self, spec: EncoderSpec) -> None:
        super().__init__()
        self.spec = spec
        self.stem = nn.Conv2d(spec.in_channels, spec.filters, 4, stride=2, padding=1)
        blocks: list[nn.Module] = []
        width = spec.filters
        for index in range(1, spec.depth):
            if spec.body == "resnet":
                out_width = spec.filters * min(index + 1, MAX_WIDENING)
                blocks.append(ResidualBlock(width, out_width, spec.norm))
            else:
                out_width = spec.filters * min(2**index, MAX_WIDENING)
                blocks.append(_conv_block(width, out_width, spec.norm))
            width = out_width
        self.blocks = nn.Sequential(*blocks)
        self.mu = nn.Linear(width, spec.latent_dim)
        self.logvar = nn.Linear(width, spec.latent_dim)

    def forward(self, b: Tensor) -> tuple[Tensor, Tensor]:
        """Encode images of domain B.

        Args:
            b: ``(N, in_channels, H, W)``, float, [-1, 1]; H and W at least ``2**(depth + 1)``.

        Returns:
            mu and logvar of the posterior N(mu, exp(logvar)), each ``(N, latent_dim)``, float, unbounded.
        """
        x = self.stem(b)
        if self.spec.body == "cnn":
            x = F.leaky_relu(x, 0.2, inplace=True)
        x = self.blocks(x)
        if self.spec.body == "resnet":
            x = F.leaky_relu(x, 0.2, inplace=True)
        pooled = x.mean((2, 3))
        return full_precision(self.mu(pooled)), full_precision(self.logvar(pooled))


class ResidualBlock(nn.Module):
    """Pre-activation residual block that halves the image.

    norm → LeakyReLU → conv3 → norm → LeakyReLU → conv3 → AvgPool(2), plus a shortcut AvgPool(2) → conv1.
    Without norm the reference's first LeakyReLU works in place on the shortcut's input too; so here.
    """

    def __init__(self, in_channels: int, out_channels: int, norm: Norm) -> None:
        super().__init__()
        self.norm1 = make_norm(norm, in_channels)
        self.conv1 = nn.Conv2d(in_channels, in_channels, 3, padding=1)
        self.norm2 = make_norm(norm, in_channels)
        self.conv2 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.pool: nn.Module = nn.AvgPool2d(2)
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, in_channels, H, W)`` to ``(N, out_channels, H/2, W/2)``, float."""
        if self.norm1 is None:
            x = activated = F.leaky_relu(x, 0.2)
        else:
            activated = F.leaky_relu(self.norm1(x), 0.2, inplace=True)
        y = self.conv1(activated)
        y = y if self.norm2 is None else self.norm2(y)
        y = self.pool(self.conv2(F.leaky_relu(y, 0.2, inplace=True)))
        return y + self.shortcut(F.avg_pool2d(x, 2))


def _conv_block(in_channels: int, out_channels: int, norm: Norm) -> nn.Sequential:
    return named_sequence(
        conv=nn.Conv2d(in_channels, out_channels, 4, stride=2, padding=1),
        norm=make_norm(norm, out_channels),
        activation=nn.LeakyReLU(0.2, inplace=True),
    )
