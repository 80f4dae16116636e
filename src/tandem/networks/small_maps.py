"""The convolutions of a U-Net, as matrix products where a map has only a few places.

The innermost levels have weights of tens of megabytes and maps of a few pixels. PyTorch's convolutions on a CPU bring
such weights into another order before every use, and their gradients back, which takes several times as long as the
arithmetic; a matrix product reads them as they lie (tools/measure_small_maps.py times both). The sums are the same ones
in another order.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MOST_PLACES = 128
"""Pixels of the smaller map, of all images together, up to which the matrix product was faster on all levels."""


class DownConv(nn.Conv2d):
    """A 4×4 convolution with stride 2 and padding 1, which halves a map."""

    def __init__(self, in_channels: int, out_channels: int, *, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, 4, stride=2, padding=1, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        """Map ``(N, in_channels, H, W)`` to ``(N, out_channels, ⌊H/2⌋, ⌊W/2⌋)``, float."""
        n, _, height, width = input.shape
        if not _pays(self, input, n * (height // 2) * (width // 2)):
            return super().forward(input)
        columns = F.unfold(input, 4, padding=1, stride=2).transpose(1, 2).flatten(0, 1)
        weight = self.weight.flatten(1).t()
        flat = columns @ weight if self.bias is None else torch.addmm(self.bias, columns, weight)
        return flat.view(n, height // 2, width // 2, -1).permute(0, 3, 1, 2).contiguous()


class UpConv(nn.ConvTranspose2d):
    """A transposed 4×4 convolution with stride 2 and padding 1, which doubles a map."""

    def __init__(self, in_channels: int, out_channels: int, *, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, 4, stride=2, padding=1, bias=bias)

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Map ``(N, in_channels, H, W)`` to ``(N, out_channels, 2H, 2W)``, float."""
        n, _, height, width = input.shape
        if output_size is not None or not _pays(self, input, n * height * width):
            return super().forward(input, output_size)
        columns = input.permute(0, 2, 3, 1).flatten(0, 2) @ self.weight.flatten(1)
        columns = columns.view(n, height * width, -1).transpose(1, 2)
        output = F.fold(columns, (2 * height, 2 * width), 4, padding=1, stride=2)
        return output if self.bias is None else output + self.bias[:, None, None]


def _pays(layer: nn.Module, input: Tensor, places: int) -> bool:
    """Whether to compute as a matrix product: in training alone, so that what a model gives does not depend on it."""
    return (
        layer.training
        and input.device.type == "cpu"
        and places <= MOST_PLACES
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
    )
