"""The PatchGAN discriminator (1611.07004) on one or more scales (BicycleGAN, 1711.11586).

Each judge: conv4s2 without norm, ``layers − 1`` strided convolutions with norm, one conv4s1 with norm, one conv4s1
to a single channel of raw logits; LeakyReLU(0.2) between. Judge i sees the image after i times
AvgPool(3, stride 2, padding 1, without counting the padding). Judge i has ``2**i`` times fewer filters than judge
i − 1 (64, 32, 8), as in the reference implementation.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from tandem.config.architecture import Norm, PatchDiscriminatorSpec
from tandem.networks.layers import full_precision, make_norm, named_sequence

MAX_WIDENING = 8


class PatchDiscriminator(nn.Module):
    """One or more PatchGAN judges; see the file's head."""

    def __init__(self, spec: PatchDiscriminatorSpec) -> None:
        super().__init__()
        self.spec = spec
        self.judges = nn.ModuleList()
        filters = spec.filters
        for scale in range(spec.scales):
            filters = max(1, round(filters / 2**scale))
            self.judges.append(_judge(spec.in_channels, filters, spec.layers, spec.norm))

    def forward(self, image: Tensor) -> list[Tensor]:
        """Judge images.

        Args:
            image: ``(N, in_channels, H, W)``, float, [-1, 1].

        Returns:
            One map of raw logits per scale, ``(N, 1, h, w)``, float: 30×30 and 14×14 at 256 px with 3 layers.
        """
        logits = []
        for scale, judge in enumerate(self.judges):
            if scale > 0:
                image = F.avg_pool2d(image, 3, stride=2, padding=1, count_include_pad=False)
            logits.append(full_precision(judge(image)))
        return logits


def _judge(in_channels: int, filters: int, layers: int, norm: Norm) -> nn.Sequential:
    widths = [filters * min(2**index, MAX_WIDENING) for index in range(layers + 1)]
    blocks = [_block(in_channels, filters, stride=2, norm="none")]
    for index in range(1, layers + 1):
        stride = 2 if index < layers else 1
        blocks.append(_block(widths[index - 1], widths[index], stride=stride, norm=norm))
    return nn.Sequential(*blocks, named_sequence(conv=nn.Conv2d(widths[-1], 1, 4, padding=1)))


def _block(in_channels: int, out_channels: int, *, stride: int, norm: Norm) -> nn.Sequential:
    return named_sequence(
        conv=nn.Conv2d(in_channels, out_channels, 4, stride=stride, padding=1),
        norm=make_norm(norm, out_channels),
        activation=nn.LeakyReLU(0.2, inplace=True),
    )
