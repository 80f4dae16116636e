"""The residual generator of CycleGAN (1703.10593), after Johnson et al. (1603.08155), and of CUT (2007.15651).

conv7 → 64, two convolutions that halve the image (128, 256), residual blocks, two layers that double it again, conv7,
tanh; norm and ReLU between. Edges are reflected in front of the conv7 and in the blocks. A block is conv3, norm, ReLU,
conv3, norm, plus its input, with no activation after the sum.

With ``antialias`` (CUT) the image is halved by a plain conv3 followed by a blur with stride 2, and doubled by bilinear
interpolation followed by a plain conv3. The published code doubles with the filter [1, 3, 3, 1] and repeated edges,
which *is* bilinear interpolation with half-pixel centres.
"""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from tandem.config.specifications import ResNetSpec
from tandem.errors import DataError
from tandem.networks.layers import Blur, full_precision, make_norm, named_sequence

DROPOUT = 0.5


class ResNet(nn.Module):
    """A residual generator from one domain to the other; see the file's head."""

    def __init__(self, spec: ResNetSpec) -> None:
        super().__init__()
        self.spec = spec
        width, bias = spec.filters, spec.bias
        self.stem: nn.Sequential = named_sequence(
            pad=nn.ReflectionPad2d(3),
            conv=nn.Conv2d(spec.in_channels, width, 7, bias=bias),
            norm=make_norm(spec.norm, width),
            activation=nn.ReLU(inplace=True),
        )
        self.down = nn.ModuleList(self._down_block(width * 2**level) for level in range(2))
        self.blocks = nn.ModuleList(ResidualBlock(spec, 4 * width) for _ in range(spec.blocks))
        self.up = nn.ModuleList(self._up_block(4 * width // 2**level) for level in range(2))
        self.head = named_sequence(
            pad=nn.ReflectionPad2d(3), conv=nn.Conv2d(width, spec.out_channels, 7), tanh=nn.Tanh()
        )

    def _down_block(self, channels: int) -> nn.Sequential:
        spec = self.spec
        return named_sequence(
            conv=nn.Conv2d(channels, 2 * channels, 3, stride=1 if spec.antialias else 2, padding=1, bias=spec.bias),
            norm=make_norm(spec.norm, 2 * channels),
            activation=nn.ReLU(inplace=True),
            blur=Blur() if spec.antialias else None,
        )

    def _up_block(self, channels: int) -> nn.Sequential:
        spec = self.spec
        if spec.antialias:
            conv: nn.Module = nn.Conv2d(channels, channels // 2, 3, padding=1, bias=spec.bias)
        else:
            conv = nn.ConvTranspose2d(channels, channels // 2, 3, stride=2, padding=1, output_padding=1, bias=spec.bias)
        return named_sequence(
            resize=nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False) if spec.antialias else None,
            conv=conv,
            norm=make_norm(spec.norm, channels // 2),
            activation=nn.ReLU(inplace=True),
        )

    def forward(self, a: Tensor, z: Tensor | None = None) -> Tensor:
        """Translate.

        Args:
            a: ``(N, in_channels, H, W)``, float, [-1, 1]; H and W multiples of 4, at least 8.
            z: None or ``(N, 0)``: there is no latent.

        Returns:
            ``(N, out_channels, H, W)``, float, [-1, 1].

        Raises:
            DataError: H or W is not a multiple of 4, the channels are others, or there is a latent.
        """
        self._check(a, z)
        x = self.stem(a)
        for layer in (*self.down, *self.blocks, *self.up):
            x = layer(x)
        return full_precision(self.head(x))

    def features(self, image: Tensor, num_blocks: Sequence[int] = (1, 5)) -> list[Tensor]:
        """What PatchNCE compares (CUT's layers 0, 4, 8, 12, 16): features on the way down to some of the blocks.

        Args:
            image: ``(N, in_channels, H, W)``, float, [-1, 1].
            num_blocks: After how many blocks features are taken, ascending.

        Returns:
            The reflected input ``(N, in_channels, H + 6, W + 6)``, the two down convolutions before their norm and the
            outputs of the blocks, float.
        """
        self._check(image, None)
        taps = [self.stem[0](image)]
        x = self.stem[1:](taps[0])
        for down in self.down:
            assert isinstance(down, nn.Sequential)
            taps.append(down[0](x))
            # The layers after the convolution work in place; the tap must stay as it is.
            x = down[1:](taps[-1].clone() if self.spec.norm == "none" else taps[-1])
        for index, block in enumerate(self.blocks, 1):
            x = block(x)
            if index in num_blocks:
                taps.append(x)
            if index == max(num_blocks):
                break
        return [full_precision(tap) for tap in taps]

    def _check(self, a: Tensor, z: Tensor | None) -> None:
        _, c, h, w = a.shape
        multiple, smallest = self.spec.size_multiple, self.spec.smallest_side
        if h % multiple or w % multiple or min(h, w) < smallest:
            raise DataError(
                f"the generator was given an image of {w}×{h} px, but it takes multiples of {multiple} px, at least "
                f"{smallest}. Pad or resize the image."
            )
        if c != self.spec.in_channels:
            raise DataError(f"the generator was given {c} channels, but it takes {self.spec.in_channels}.")
        if z is not None and z.shape[1]:
            raise DataError(f"the generator was given a latent of shape {tuple(z.shape)}, but it takes none.")


class ResidualBlock(nn.Module):
    """x + norm(conv3(relu(norm(conv3(x))))), edges reflected, dropout after the ReLU if the specification has it."""

    def __init__(self, spec: ResNetSpec, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, bias=spec.bias)
        self.norm1 = make_norm(spec.norm, channels)
        self.dropout = nn.Dropout(DROPOUT) if spec.dropout else None
        self.conv2 = nn.Conv2d(channels, channels, 3, bias=spec.bias)
        self.norm2 = make_norm(spec.norm, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, channels, H, W)`` to the same shape, float."""
        y = self.conv1(F.pad(x, (1, 1, 1, 1), mode="reflect"))
        y = y if self.norm1 is None else self.norm1(y)
        y = F.relu(y, inplace=True)
        y = y if self.dropout is None else self.dropout(y)
        y = self.conv2(F.pad(y, (1, 1, 1, 1), mode="reflect"))
        return x + (y if self.norm2 is None else self.norm2(y))
