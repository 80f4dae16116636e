"""The U-Net generator of BicycleGAN (1711.11586) and pix2pix (1611.07004), with a latent.

Going down, level i computes ``norm(conv4s2(lrelu(x)))``; the first level has neither activation nor norm, the
innermost no norm. Going up it computes ``norm(up(act(x)))`` and joins the result with the skip of that level,
[up path, skip] in BicycleGAN and [skip, up path] in pix2pix; the outermost ends in tanh.

z is tiled over the image and joined to the input (injection ``"input"``) or to the input of every down
convolution, the bottleneck's included (``"all"``); never on the way up.

A detail of the reference implementation that official weights depend on: with ``"input"`` its LeakyReLU works in
place on the tensor that the skip carries as well, so there the skip is the *activated* tensor; with ``"all"`` the
joining with z makes a copy first and the skip is the raw one.

With ``activation_last`` (a PyTorch project for 128 px, whose weights can be converted) a level computes
``lrelu(norm(conv4s2(x)))`` down, with a norm in the innermost one too, and ``relu(norm(up(x)))`` up. Skips stay as they
are, without the second activation that they get elsewhere, and no tanh bounds the output.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tandem.config.specifications import FIRST_DROPOUT_LEVEL, UNetSpec
from tandem.errors import DataError
from tandem.networks.layers import (
    InstanceNorm,
    full_precision,
    make_activation,
    make_norm,
    make_upsampling,
    named_sequence,
)

MAX_WIDENING = 8


class UNet(nn.Module):
    """A U-Net from A and z to B; see the file's head."""

    def __init__(self, spec: UNetSpec) -> None:
        super().__init__()
        self.spec = spec
        widths = [spec.filters * min(2**level, MAX_WIDENING) for level in range(spec.depth)]
        self.down = nn.ModuleList(self._down_level(level, widths) for level in range(spec.depth))
        self.up = nn.ModuleList(self._up_block(level, widths) for level in range(spec.depth))

    def _down_level(self, level: int, widths: list[int]) -> "DownLevel":
        spec = self.spec
        channels = spec.in_channels if level == 0 else widths[level - 1]
        if spec.injection == "all" or (spec.injection == "input" and level == 0):
            channels += spec.latent_dim
        has_norm = level > 0 and (level < spec.depth - 1 or spec.activation_last)
        norm = make_norm(spec.norm, widths[level]) if has_norm else None
        if spec.activation_last and level == spec.depth - 1:
            norm = NormOfAnySize(widths[level], affine=True)
        activated = level > 0 and not spec.activation_last
        return DownLevel(channels, widths[level], activated=activated, norm=norm, bias=spec.bias)

    def _up_block(self, level: int, widths: list[int]) -> nn.Sequential:
        spec = self.spec
        innermost = level == spec.depth - 1
        in_channels = widths[level] if innermost else 2 * widths[level]
        out_channels = spec.out_channels if level == 0 else widths[level - 1]
        drops = spec.dropout and FIRST_DROPOUT_LEVEL <= level < spec.depth - 1
        if spec.activation_last:
            return named_sequence(
                upsampling=make_upsampling(spec.upsampling, in_channels, out_channels),
                norm=make_norm(spec.norm, out_channels) if level > 0 else None,
                activation=make_activation(spec.activation) if level > 0 else None,
            )
        return named_sequence(
            activation=make_activation(spec.activation),
            upsampling=make_upsampling(spec.upsampling, in_channels, out_channels, bias=spec.bias or level == 0),
            norm=make_norm(spec.norm, out_channels) if level > 0 else None,
            dropout=nn.Dropout(0.5) if drops else None,
            tanh=nn.Tanh() if level == 0 else None,
        )

    def forward(self, a: Tensor, z: Tensor | None = None) -> Tensor:
        """Translate.

        Args:
            a: ``(N, in_channels, H, W)``, float, [-1, 1]; H and W multiples of ``2**depth``.
            z: ``(N, latent_dim)``, float, standard normal in training; without a latent None or ``(N, 0)``.

        Returns:
            ``(N, out_channels, H, W)``, float, [-1, 1]; with ``activation_last`` unbounded.

        Raises:
            DataError: H or W is not a multiple of ``2**depth``, or z does not fit the network.
        """
        self._check(a, z)
        x = a
        skips: list[Tensor] = []
        for level, down in enumerate(self.down):
            skips.append(x)
            joins = self.spec.injection == "all" or (self.spec.injection == "input" and level == 0)
            x = down(x, z if joins else None)
            if self.spec.activation_last:
                x = F.leaky_relu(x, 0.2)
        for level in reversed(range(self.spec.depth)):
            x = self.up[level](x)
            if level > 0:
                x = torch.cat([skips[level], x] if self.spec.skip_first else [x, skips[level]], 1)
        return full_precision(x)

    def _check(self, a: Tensor, z: Tensor | None) -> None:
        spec = self.spec
        n, c, h, w = a.shape
        multiple = 2**spec.depth
        if h % multiple or w % multiple:
            raise DataError(
                f"the generator was given an image of {w}×{h} px, but it halves the image {spec.depth} times: "
                f"width and height must be multiples of {multiple}. Pad or resize the image."
            )
        if c != spec.in_channels:
            raise DataError(f"the generator was given {c} channels, but it takes {spec.in_channels}.")
        given = None if z is None or not z.shape[1] else tuple(z.shape)
        expected = None if spec.injection == "none" else (n, spec.latent_dim)
        if given != expected:
            raise DataError(f"the generator was given a latent of shape {given}, but expects {expected}.")


class DownLevel(nn.Module):
    """A level on the way down: ``norm(conv4s2(lrelu(x)))``, of x joined with z where z is given."""

    def __init__(
        self, in_channels: int, out_channels: int, *, activated: bool, norm: nn.Module | None, bias: bool
    ) -> None:
        super().__init__()
        self.activated = activated
        self.conv = nn.Conv2d(in_channels, out_channels, 4, stride=2, padding=1, bias=bias)
        self.norm = norm

    def forward(self, x: Tensor, z: Tensor | None) -> Tensor:
        """Map ``(N, C, H, W)``, and z ``(N, latent_dim)``, to ``(N, out_channels, H/2, W/2)``, float.

        Without z the activation works in place on x; see the file's head.
        """
        if z is not None:
            x = join_latent(x, z)
        if self.activated:
            x = F.leaky_relu(x, 0.2, inplace=True)
        x = self.conv(x)
        return x if self.norm is None else self.norm(x)


class NormOfAnySize(InstanceNorm):
    """Instance norm that takes a map of one pixel too: minus its mean that is 0, so that the bias remains.

    PyTorch once computed that, and refuses it now; weights that were trained then depend on it.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Map ``(N, channels, H, W)`` to the same shape, float."""
        assert self.weight is not None
        assert self.bias is not None
        if torch.compiler.is_exporting():  # asking for the size would fix it in a program
            variance, mean = torch.var_mean(input, (2, 3), correction=0, keepdim=True)
            scale = self.weight[:, None, None] * (variance + self.eps).rsqrt()
            return (input - mean) * scale + self.bias[:, None, None]
        if input.shape[2] * input.shape[3] > 1:
            return super().forward(input)
        return self.bias[None, :, None, None].expand_as(input).clone()


def join_latent(x: Tensor, z: Tensor) -> Tensor:
    """``(N, C, H, W)`` and ``(N, D)``, the same at every pixel: ``(N, C + D, H, W)``."""
    n, _, h, w = x.shape
    return torch.cat([x, z.to(x.dtype)[:, :, None, None].expand(n, z.shape[1], h, w)], 1)
