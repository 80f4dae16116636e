"""The PatchGAN discriminator (1611.07004) on one or more scales (BicycleGAN, 1711.11586).

Each sub-discriminator: conv4s2 without norm, ``layers − 1`` strided convolutions with norm, one conv4s1 with norm, one
conv4s1 to a single channel of raw logits; LeakyReLU(0.2) between. Sub-discriminator i sees the image after i times
AvgPool(3, stride 2, padding 1, without counting the padding). Sub-discriminator i has ``2**i`` times fewer filters than
sub-discriminator i − 1 (64, 32, 8), as in the reference implementation. With ``antialias`` (CUT) the strided
convolutions are plain ones, each followed by a blur with stride 2 after its activation.

The pixel discriminator (1611.07004, PixelGAN) is three 1×1 convolutions: it sees no patch larger than one pixel.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from tandem.config.specifications import PatchDiscriminatorSpec, PixelDiscriminatorSpec
from tandem.networks.layers import Blur, full_precision, make_norm, named_sequence

MAX_WIDENING = 8


class PatchDiscriminator(nn.Module):
    """One or more PatchGAN sub-discriminators; see the file's head."""

    def __init__(self, spec: PatchDiscriminatorSpec) -> None:
        super().__init__()
        self.spec = spec
        self.sub_discriminators = nn.ModuleList()
        filters = spec.filters
        for scale in range(spec.scales):
            filters = max(1, round(filters / 2**scale))
            self.sub_discriminators.append(_sub_discriminator(spec, filters))

    def forward(self, image: Tensor) -> list[Tensor]:
        """Logits of images.

        Args:
            image: ``(N, in_channels, H, W)``, float, [-1, 1].

        Returns:
            One map of raw logits per scale, ``(N, 1, h, w)``, float: 30×30 and 14×14 at 256 px with 3 layers.
        """
        logits = []
        for scale, sub_discriminator in enumerate(self.sub_discriminators):
            if scale > 0:
                image = F.avg_pool2d(image, 3, stride=2, padding=1, count_include_pad=False)
            logits.append(full_precision(sub_discriminator(image)))
        return logits


class PixelDiscriminator(nn.Module):
    """A discriminator of single pixels; see the file's head."""

    def __init__(self, spec: PixelDiscriminatorSpec) -> None:
        super().__init__()
        self.spec = spec
        self.layers = named_sequence(
            conv1=nn.Conv2d(spec.in_channels, spec.filters, 1),
            activation1=nn.LeakyReLU(0.2, inplace=True),
            conv2=nn.Conv2d(spec.filters, 2 * spec.filters, 1, bias=spec.bias),
            norm=make_norm(spec.norm, 2 * spec.filters),
            activation2=nn.LeakyReLU(0.2, inplace=True),
            conv3=nn.Conv2d(2 * spec.filters, 1, 1, bias=spec.bias),
        )

    def forward(self, image: Tensor) -> list[Tensor]:
        """Logits of images ``(N, in_channels, H, W)``, float, [-1, 1]: one map of raw logits ``(N, 1, H, W)``."""
        return [full_precision(self.layers(image))]


def _sub_discriminator(spec: PatchDiscriminatorSpec, filters: int) -> nn.Sequential:
    widths = [filters * min(2**index, MAX_WIDENING) for index in range(spec.layers + 1)]
    blocks = [_block(spec, spec.in_channels, filters, halves=True, first=True)]
    for index in range(1, spec.layers + 1):
        blocks.append(_block(spec, widths[index - 1], widths[index], halves=index < spec.layers))
    return nn.Sequential(*blocks, named_sequence(conv=nn.Conv2d(widths[-1], 1, 4, padding=1)))


def _block(
    spec: PatchDiscriminatorSpec, in_channels: int, out_channels: int, *, halves: bool, first: bool = False
) -> nn.Sequential:
    stride = 2 if halves and not spec.antialias else 1
    return named_sequence(
        conv=nn.Conv2d(in_channels, out_channels, 4, stride=stride, padding=1, bias=spec.bias or first),
        norm=None if first else make_norm(spec.norm, out_channels),
        activation=nn.LeakyReLU(0.2, inplace=True),
        blur=Blur() if halves and spec.antialias else None,
    )
