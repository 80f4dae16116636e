"""The discriminators of the method `tandem`: patches on several scales, of A and B together, spectrally normalised.

Each scale: blocks of 2×2 pixels as their mean and three differences, convolutions of 4×4 with leaky ReLU, and one to a
map of logits. Each next scale sees the images at half the size.

The differences are shown stronger, by the specification's `detail`. The spectral norm bounds how far the logits move by
the energy of what changes in an image, and fine detail has little of that: of bare pixels the discriminators don't
learn in time that it is missing (docs/methods.md).

The spectral norm (Miyato et al., 2018, 1802.05957) is estimated anew in every forward, by power iteration from a fixed
vector. So it is a function of the weights alone: it has no state that a recomputed forward, a second micro-batch or
another process would move on.
"""

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tandem.config.specifications import SpectralDiscriminatorSpec
from tandem.networks.layers import full_precision

SHUFFLE = 2
POWER_ITERATIONS = 6
SLOPE = 0.2


class SpectralDiscriminator(nn.Module):
    """Discriminators on several scales; see the file's head."""

    def __init__(self, spec: SpectralDiscriminatorSpec) -> None:
        super().__init__()
        self.spec = spec
        self.scales = nn.ModuleList(_Scale(spec) for _ in range(spec.scales))

    def forward(self, images: Tensor) -> list[list[Tensor]]:
        """Judge.

        Args:
            images: A and B joined, ``(N, in_channels, H, W)``, float, [-1, 1].

        Returns:
            Of every scale, the finest first: the maps behind each of its convolutions, ``(N, filters, h, w)``, under
            autocast in its precision, and at last its logits, ``(N, 1, h, w)``, float32.
        """
        maps = []
        for scale in self.scales:
            maps.append(scale(images))
            images = F.avg_pool2d(images, 2)
        return maps


class _Scale(nn.Module):
    def __init__(self, spec: SpectralDiscriminatorSpec) -> None:
        super().__init__()
        self.detail = spec.detail
        channels = [spec.in_channels * SHUFFLE**2, *(spec.filters * 2**level for level in range(spec.layers))]
        self.body = nn.ModuleList(
            SpectralConv2d(taken, given, 4, stride=2 if level < spec.layers - 1 else 1, padding=1)
            for level, (taken, given) in enumerate(itertools.pairwise(channels))
        )
        self.head = SpectralConv2d(channels[-1], 1, 3, stride=1, padding=1)

    def forward(self, images: Tensor) -> list[Tensor]:
        x, maps = detailed_blocks(images, self.detail), []
        for layer in self.body:
            x = F.leaky_relu(layer(x), SLOPE)
            maps.append(x)
        return [*maps, full_precision(self.head(x))]


def detailed_blocks(images: Tensor, detail: float) -> Tensor:
    """Blocks of 2×2 pixels by Haar's transform, the differences `detail` times as large as in an orthonormal one.

    Args:
        images: ``(N, C, H, W)``, float, H and W even.
        detail: How much stronger the differences are; 1: an orthonormal transform.

    Returns:
        ``(N, 4·C, H/2, W/2)``: of each channel half the sum of a block's pixels, and `detail` times half of its left
        minus its right pixels, its upper minus its lower ones and one diagonal minus the other.
    """
    # Sums, not a convolution: under autocast that would subtract pixels in 16 bits.
    a, b, c, d = F.pixel_unshuffle(images, SHUFFLE).unflatten(1, (-1, SHUFFLE**2)).unbind(2)
    upper, lower, upper_step, lower_step = a + b, c + d, a - b, c - d
    differences = (upper_step + lower_step, upper - lower, upper_step - lower_step)
    planes = [(upper + lower) / 2, *(one * (detail / 2) for one in differences)]
    return torch.stack(planes, 2).flatten(1, 2)


class SpectralConv2d(nn.Conv2d):
    """A convolution whose weight, as a matrix, has a largest singular value of about one; see the file's head."""

    def forward(self, input: Tensor) -> Tensor:
        """Map ``(N, in_channels, H, W)`` to ``(N, out_channels, h, w)``, float."""
        return self._conv_forward(input, self.weight / self.spectral_norm(), self.bias)

    def spectral_norm(self) -> Tensor:
        """The estimate, a scalar: u·W·v with u and v without gradient."""
        matrix = self.weight.flatten(1)
        with torch.no_grad(), torch.autocast(matrix.device.type, enabled=False):
            u = matrix.new_ones(len(matrix))
            u = F.normalize(u, dim=0)
            v = F.normalize(matrix.T @ u, dim=0)
            for _ in range(POWER_ITERATIONS):
                u = F.normalize(matrix @ v, dim=0)
                v = F.normalize(matrix.T @ u, dim=0)
        return torch.dot(u, torch.mv(matrix, v))
