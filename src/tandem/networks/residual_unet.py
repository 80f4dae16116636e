"""The generator of the method `tandem`: a residual U-Net that feels the latent in every block.

The image is pixel-unshuffled by 2, so that no convolution runs at its full resolution. Each level has one residual
block on the way down and one on the way up (group norm, SiLU, conv3, group norm, scale and shift by the latent, SiLU,
conv3, plus the input, times 1/√2). Levels are joined by convolutions with stride 2 and by nearest upsampling with a
conv3; the way up sees the block of the way down beside it. Without a latent the scales and shifts are missing.

The last maps are doubled by bilinear interpolation, not shuffled to pixels: a shuffle gives each of the four pixels of
a block weights of its own, and outputs get dots with a period of 2 px. Two narrow conv3 at full resolution, which see
the image beside the maps, bring its edges back.

z goes through a small MLP. What comes out enters every block twice: as scale and shift behind the second norm, and
added to the feature maps at the block's input. With scales and shifts alone only two or three dimensions of z get used.
"""

import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tandem.config.specifications import ResidualUNetSpec
from tandem.errors import DataError
from tandem.networks.layers import full_precision, named_sequence

SHUFFLE = 2
GROUP_CHANNELS = 8
STYLE_WIDTH = 128


class ResidualUNet(nn.Module):
    """A residual U-Net, with or without latent; see the file's head."""

    def __init__(self, spec: ResidualUNetSpec) -> None:
        super().__init__()
        self.spec = spec
        widths = spec.widths
        style = STYLE_WIDTH if spec.latent_dim else 0
        self.style: nn.Sequential | None = None
        if spec.latent_dim:
            self.style = named_sequence(
                first=nn.Linear(spec.latent_dim, STYLE_WIDTH),
                activation=nn.SiLU(),
                second=nn.Linear(STYLE_WIDTH, STYLE_WIDTH),
                last=nn.SiLU(),
            )
        self.stem = nn.Conv2d(spec.in_channels * SHUFFLE**2, widths[0], 3, padding=1)
        self.encode = nn.ModuleList(ModulatedBlock(width, width, style) for width in widths)
        self.down = nn.ModuleList(
            nn.Conv2d(width, wider, 3, stride=2, padding=1) for width, wider in itertools.pairwise(widths)
        )
        self.up = nn.ModuleList(nn.Conv2d(wider, width, 3, padding=1) for width, wider in itertools.pairwise(widths))
        self.decode = nn.ModuleList(ModulatedBlock(2 * width, width, style) for width in widths[:-1])
        self.head = named_sequence(
            norm=_group_norm(widths[0]),
            activation=nn.SiLU(),
            resize=nn.Upsample(scale_factor=SHUFFLE, mode="bilinear", align_corners=False),
        )
        narrow = spec.narrow_width
        self.output = named_sequence(
            conv1=nn.Conv2d(widths[0] + spec.in_channels, narrow, 3, padding=1),
            activation=nn.SiLU(),
            conv2=nn.Conv2d(narrow, spec.out_channels, 3, padding=1),
            tanh=nn.Tanh(),
        )

    def forward(self, a: Tensor, z: Tensor | None = None) -> Tensor:
        """Translate.

        Args:
            a: ``(N, in_channels, H, W)``, float, [-1, 1]; H and W multiples of the specification's `size_multiple`.
            z: ``(N, latent_dim)``; None or ``(N, 0)`` without a latent.

        Returns:
            ``(N, out_channels, H, W)``, float, [-1, 1].

        Raises:
            DataError: The size, the channels or the latent do not fit.
        """
        self._check(a, z)
        style = None if self.style is None or z is None else self.style(z.to(a.dtype))
        x = self.stem(F.pixel_unshuffle(a, SHUFFLE))
        skips = []
        for level, block in enumerate(self.encode):
            x = block(x, style)
            if level < len(self.down):
                skips.append(x)
                x = self.down[level](x)
        for level in reversed(range(len(self.up))):
            x = self.up[level](_doubled(x))
            x = self.decode[level](torch.cat([x, skips.pop()], 1), style)
        return full_precision(self.output(torch.cat([self.head(x), a], 1)))

    def _check(self, a: Tensor, z: Tensor | None) -> None:
        spec = self.spec
        _, c, h, w = a.shape
        if h % spec.size_multiple or w % spec.size_multiple or not min(h, w):
            raise DataError(
                f"the generator was given an image of {w}×{h} px, but it takes multiples of {spec.size_multiple} px. "
                "Pad or resize the image."
            )
        if c != spec.in_channels:
            raise DataError(f"the generator was given {c} channels, but it takes {spec.in_channels}.")
        given = 0 if z is None else z.shape[1]
        if given != spec.latent_dim:
            raise DataError(f"the generator was given latents of {given} numbers, but it takes {spec.latent_dim}.")


class ModulatedBlock(nn.Module):
    """A residual block of conv3s whose input and second norm a style vector changes; see the file's head.

    Args:
        in_channels: Of its input; where they differ from those of the output, a conv1 leads past the block.
        out_channels: Of its output.
        style: Length of the style vector; 0 for none.
    """

    def __init__(self, in_channels: int, out_channels: int, style: int) -> None:
        super().__init__()
        self.norm1 = _group_norm(in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.norm2 = _group_norm(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1) if in_channels != out_channels else None
        self.offset = nn.Linear(style, in_channels) if style else None
        self.modulation = nn.Linear(style, 2 * out_channels) if style else None

    def forward(self, x: Tensor, style: Tensor | None) -> Tensor:
        """Map ``(N, in_channels, H, W)`` and ``(N, style)`` to ``(N, out_channels, H, W)``."""
        if self.offset is not None and style is not None:
            x = x + self.offset(style)[:, :, None, None]
        y = self.conv1(F.silu(self.norm1(x)))
        y = self.norm2(y)
        if self.modulation is not None and style is not None:
            scale, shift = self.modulation(style)[:, :, None, None].chunk(2, 1)
            y = y * (1 + scale) + shift
        y = self.conv2(F.silu(y))
        return (y + (x if self.shortcut is None else self.shortcut(x))) * math.sqrt(0.5)


def _doubled(x: Tensor) -> Tensor:
    """Each pixel as 2×2 pixels.

    What PyTorch (2.13) compiles on the CPU for nearest upsampling of a block's scaled sum has gradients that are wrong
    by as much as they are large (findings/torch-compile-nearest-upsampling.sh), so compiled code repeats the pixels by
    their shape.
    """
    if not torch.compiler.is_dynamo_compiling():
        return F.interpolate(x, scale_factor=2.0, mode="nearest")
    n, c, h, w = x.shape
    return x[:, :, :, None, :, None].expand(n, c, h, 2, w, 2).reshape(n, c, 2 * h, 2 * w)


def _group_norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(math.gcd(channels, max(1, channels // GROUP_CHANNELS)), channels)
