"""The encoder of the method `tandem`: the posterior of z given an output and, where it is known, its input.

A mean over the image mixes a colour with the area which bears it, so that a style does not carry over to another
shape. So this encoder sees A beside B, and every channel of its last map has weights of its own over the places of the
map (softmax), which add up to one: a shoe that fills a tenth of the picture speaks as loudly as a bag that fills half
of it. One more channel says whether A is there: 1 where it is, 0 where the image comes without its input, whose
channels are then 0 as well.

Pixel-unshuffled by 2, convolutions of 3×3 and SiLU without norm (norms would hide colours), the first with stride 2,
the weighted mean over the map, two linear heads. The last map has a place for every 4 pixels: with one for every 8 a
style cannot be read from thin shapes.
"""

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tandem.config.specifications import PairEncoderSpec
from tandem.networks.layers import full_precision

SHUFFLE = 2


class PairEncoder(nn.Module):
    """From an output, and the input beside it, to mu and logvar; see the file's head."""

    def __init__(self, spec: PairEncoderSpec) -> None:
        super().__init__()
        self.spec = spec
        planes = (spec.in_channels + (spec.input_channels + 1 if spec.input_channels else 0)) * SHUFFLE**2
        layers: list[tuple[str, nn.Module]] = []
        for level in range(spec.depth):
            width = spec.filters * 2**level
            stride = 2 if level == 0 else 1
            layers.append((f"conv{level}", nn.Conv2d(planes, width, 3, stride=stride, padding=1)))
            layers.append((f"activation{level}", nn.SiLU()))
            planes = width
        self.body = nn.Sequential(OrderedDict(layers))
        self.attention = nn.Conv2d(planes, planes, 1)
        self.mu = nn.Linear(planes, spec.latent_dim)
        self.logvar = nn.Linear(planes, spec.latent_dim)

    def forward(self, b: Tensor, a: Tensor | None = None, known: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Encode.

        Args:
            b: Outputs, ``(N, in_channels, H, W)``, float, [-1, 1]; H and W even, at least the specification's
                `smallest_side`.
            a: Their inputs, ``(N, input_channels, H, W)``, likewise; None where they are not known.
            known: ``(N,)``, 1 where the input counts and 0 where it is to be taken as unknown; None: all count.

        Returns:
            mu and logvar, ``(N, latent_dim)``, float32.
        """
        x = b
        if self.spec.input_channels:
            n, _, h, w = b.shape
            flag = b.new_full((n,), 0.0 if a is None else 1.0) if known is None else known.to(b.dtype)
            plane = flag[:, None, None, None].expand(n, 1, h, w)
            given = b.new_zeros((n, self.spec.input_channels, h, w)) if a is None else a * plane
            x = torch.cat([b, given, plane], 1)
        x = self.body(F.pixel_unshuffle(x, SHUFFLE))
        weights = self.attention(x).flatten(2).softmax(2)
        x = (x.flatten(2) * weights).sum(2)
        return full_precision(self.mu(x)), full_precision(self.logvar(x))


def encode_pair(encoder: nn.Module, a: Tensor | None, b: Tensor) -> tuple[Tensor, Tensor]:
    """The posterior of a pair: mu and logvar, ``(N, latent_dim)``; encoders that see outputs alone leave `a` out.

    Args:
        encoder: Any encoder of this package.
        a: Inputs, ``(N, C, H, W)``, [-1, 1]; None where they are not known.
        b: Their outputs, likewise.
    """
    return encoder(b, a) if isinstance(encoder, PairEncoder) else encoder(b)
