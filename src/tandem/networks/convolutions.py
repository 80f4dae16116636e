"""Cheaper forms of convolutions: the same sums of the same weights in another order.

`use_cheaper_convolutions` puts them into a network that has been built as its paper describes it.

- `PooledConv`: a convolution and the pooling after it are one convolution with a kernel that is pooled instead.
- `ApartDownLevel`: a latent that is the same at every pixel is convolved apart from the map that it is joined to.
- `DownConv`, `UpConv`: the innermost levels of a U-Net have weights of tens of megabytes and maps of a few pixels.
  PyTorch's convolutions on a CPU bring such weights into another order before every use, and their gradients back,
  which takes several times as long as the arithmetic; a matrix product reads them as they lie.
- `LogitConv`: with a single output channel the same reordering, of the map, takes longer than the arithmetic.

tools/measure_convolutions.py times each against PyTorch's layers.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tandem.networks.encoder import Encoder, ResidualBlock
from tandem.networks.patchgan import PatchDiscriminator
from tandem.networks.unet import DownLevel, UNet

MOST_PIXELS = 128
"""Pixels of the smaller map, of all images together, up to which the matrix product was faster on all levels."""

_SPREAD = torch.tensor([[0.5, 0.5, 0.0, 0.0], [0.0, 0.5, 0.5, 0.0], [0.0, 0.0, 0.5, 0.5]])
"""Where a tap of a kernel of 3 lands, in one direction, in the pooled kernel of 4."""


def use_cheaper_convolutions(network: nn.Module) -> None:
    """Give the layers of `network` that have a cheaper form that form; weights and their names stay.

    Only the class of a layer changes, and with it the forward: another module with the same parameters would have to
    be known to whoever holds the old one.
    """
    match network:
        case UNet():
            for level in network.down:
                assert isinstance(level, DownLevel)
                level.conv.__class__, level.__class__ = DownConv, ApartDownLevel
            for layer in network.up.modules():
                if type(layer) is nn.ConvTranspose2d:
                    layer.__class__ = UpConv
        case Encoder():
            for block in network.blocks:
                if isinstance(block, ResidualBlock):
                    block.conv2.__class__, block.pool = PooledConv, nn.Identity()
        case PatchDiscriminator():
            for sub_discriminator in network.sub_discriminators:
                *_, last = (layer for layer in sub_discriminator.modules() if isinstance(layer, nn.Conv2d))
                last.__class__ = LogitConv
        case _:
            pass


class PooledConv(nn.Conv2d):
    """A 3×3 convolution with padding 1, then AvgPool(2), in one: 4×4 with stride 2, 4/9 of the operations."""

    def forward(self, input: Tensor) -> Tensor:
        """Map ``(N, in_channels, H, W)`` to ``(N, out_channels, ⌊H/2⌋, ⌊W/2⌋)``, float; H and W at least 2."""
        return F.conv2d(input, _pooled(self.weight), self.bias, stride=2, padding=1)


def _pooled(weight: Tensor) -> Tensor:
    """The kernels ``(out, in, 4, 4)`` that give the means over 2×2 pixels of what `weight` gives."""
    if weight.device.type != "cpu":
        return F.avg_pool2d(weight, 2, stride=1, padding=1)
    # The same as a matrix product, because PyTorch's pooling takes longer than the convolution on many small kernels.
    with torch.autocast("cpu", enabled=False):
        spread = _SPREAD.to(weight.dtype)
        return (weight.flatten(2) @ torch.kron(spread, spread)).unflatten(2, (4, 4))


class DownConv(nn.Conv2d):
    """A 4×4 convolution with stride 2 and padding 1, which halves a map."""

    def forward(self, input: Tensor) -> Tensor:
        """Map ``(N, in_channels, H, W)`` to ``(N, out_channels, ⌊H/2⌋, ⌊W/2⌋)``, float."""
        n, _, height, width = input.shape
        if not _takes_products(self, input) or n * (height // 2) * (width // 2) > MOST_PIXELS:
            return super().forward(input)
        columns = F.unfold(input, 4, padding=1, stride=2).transpose(1, 2).flatten(0, 1)
        weight = self.weight.flatten(1).t()
        flat = columns @ weight if self.bias is None else torch.addmm(self.bias, columns, weight)
        return flat.view(n, height // 2, width // 2, -1).permute(0, 3, 1, 2).contiguous()

    def takes_latent_apart(self, input: Tensor) -> bool:
        """Whether `forward_apart` costs less for this input, without the latent's channels, than joining the two."""
        _, _, height, width = input.shape
        return (
            _takes_products(self, input)
            and self.weight.numel() <= input[0].numel()
            and min(height, width) >= 4
            and height % 2 == width % 2 == 0
        )

    def forward_apart(self, input: Tensor, latent: Tensor) -> Tensor:
        """The convolution of `input` joined with a latent that is the same at every pixel.

        Of what the latent gives only the border differs from the rest, so that it is computed on 6×6 pixels and spread.

        Args:
            input: ``(N, in_channels − K, H, W)``, float; H and W even, at least 4.
            latent: ``(N, K)``, float, the values of the last channels.

        Returns:
            ``(N, out_channels, H/2, W/2)``, float.
        """
        n, channels, height, width = input.shape
        own, of_latent = self.weight.split([channels, latent.shape[1]], 1)
        few = F.conv2d(latent[:, :, None, None].expand(n, -1, 6, 6), of_latent, self.bias, stride=2, padding=1)
        rows = [few[:, :, :1], few[:, :, 1:2].expand(-1, -1, height // 2 - 2, -1), few[:, :, 2:]]
        few = torch.cat(rows, 2)
        columns = [few[..., :1], few[..., 1:2].expand(-1, -1, -1, width // 2 - 2), few[..., 2:]]
        return F.conv2d(input, own, stride=2, padding=1) + torch.cat(columns, 3)


class ApartDownLevel(DownLevel):
    """A level of a U-Net on the way down whose convolution takes z apart where that costs less."""

    def forward(self, x: Tensor, z: Tensor | None) -> Tensor:
        """See `DownLevel`."""
        assert isinstance(self.conv, DownConv)
        if z is None or not self.conv.takes_latent_apart(x):
            return super().forward(x, z)
        if self.activated:
            x, z = F.leaky_relu(x, 0.2), F.leaky_relu(z, 0.2)
        x = self.conv.forward_apart(x, z)
        return x if self.norm is None else self.norm(x)


class UpConv(nn.ConvTranspose2d):
    """A transposed 4×4 convolution with stride 2 and padding 1, which doubles a map."""

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Map ``(N, in_channels, H, W)`` to ``(N, out_channels, 2H, 2W)``, float."""
        n, _, height, width = input.shape
        if output_size is not None or not _takes_products(self, input) or n * height * width > MOST_PIXELS:
            return super().forward(input, output_size)
        columns = input.permute(0, 2, 3, 1).flatten(0, 2) @ self.weight.flatten(1)
        columns = columns.view(n, height * width, -1).transpose(1, 2)
        output = F.fold(columns, (2 * height, 2 * width), 4, padding=1, stride=2)
        return output if self.bias is None else output + self.bias[:, None, None]


class LogitConv(nn.Conv2d):
    """A 4×4 convolution with padding 1 to a single channel."""

    def forward(self, input: Tensor) -> Tensor:
        """Map ``(N, in_channels, H, W)`` to ``(N, 1, H − 1, W − 1)``, float; H and W at least 2."""
        if not _takes_products(self, input):
            return super().forward(input)
        assert self.bias is not None
        n, _, height, width = input.shape
        # What every pixel gives to each of the 16 outputs around it, which fold then sums: reflected, as it scatters.
        taps = self.weight[0].flip(1, 2).flatten(1).t().expand(n, -1, -1)
        given = torch.bmm(taps, input.flatten(2))
        return F.fold(given, (height - 1, width - 1), 4, padding=2) + self.bias[:, None, None]


def _takes_products(layer: nn.Module, input: Tensor) -> bool:
    """Whether matrix products are faster: in training alone, so that what a model gives does not depend on it.

    It is asked before sizes are, so that torch.export leaves no bounds of sizes in a program.
    """
    return (
        layer.training
        and input.device.type == "cpu"
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
    )
