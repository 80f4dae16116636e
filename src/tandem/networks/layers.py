"""Layers that every network shares: norms, activations, upsampling and initialisation."""

import math
from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tandem.config.method import Init
from tandem.config.specifications import Activation, Norm, Upsampling
from tandem.networks.synchronised import SynchronisedBatchNorm


def make_norm(norm: Norm, channels: int) -> nn.Module | None:
    """A normalisation layer for `channels`, or None for ``"none"``.

    Instance norm (1607.08022) keeps no running statistics; only ``"instance_affine"`` learns a scale and shift.
    """
    match norm:
        case "instance":
            return InstanceNorm(channels, affine=False, track_running_stats=False)
        case "instance_affine":
            return InstanceNorm(channels, affine=True, track_running_stats=False)
        case "batch":
            return SynchronisedBatchNorm(channels)
        case "none":
            return None


class InstanceNorm(nn.InstanceNorm2d):
    """Instance norm; of a single image it is computed as the batch norm that it is.

    PyTorch's puts a view of a batch norm on either side, and an activation in place of a view makes the backward copy
    the gradient four times. What remains wrong for one image is a fault of the batch norm's backward on the CPU
    (2.13): gradients of gathered features (PatchNCE) are channels-last with a stride of their own for the images, of
    which it reads the values in the wrong order. Compiled code takes the norm apart and does not have the fault.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Map ``(N, channels, H, W)`` to the same shape, float."""
        if torch.compiler.is_exporting() or len(input) > 1:  # asking for the number would fix it in a program
            return super().forward(input)
        output = F.batch_norm(input, None, None, self.weight, self.bias, training=True, eps=self.eps)
        if output.requires_grad and input.device.type == "cpu" and not torch.compiler.is_compiling():
            output.register_hook(lambda gradient: gradient.contiguous())
        return output


def make_activation(activation: Activation) -> nn.Module:
    """An activation that works in place: hand it only tensors that nothing else reads."""
    match activation:
        case "relu":
            return nn.ReLU(inplace=True)
        case "lrelu":
            return nn.LeakyReLU(0.2, inplace=True)
        case "elu":
            return nn.ELU(inplace=True)


def make_upsampling(upsampling: Upsampling, in_channels: int, out_channels: int, *, bias: bool = True) -> nn.Sequential:
    """Double height and width: a transposed convolution, or bilinear upsampling with a plain one.

    The transposed convolution is the published choice and leaves a checkerboard that fades slowly in training;
    bilinear upsampling has none (Odena et al., 2016).
    """
    if upsampling == "transposed":
        conv = nn.ConvTranspose2d(in_channels, out_channels, 4, stride=2, padding=1, bias=bias)
        layers: list[tuple[str, nn.Module]] = [("conv", conv)]
    else:
        layers = [
            ("resize", nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)),
            ("pad", nn.ReflectionPad2d(1)),
            ("conv", nn.Conv2d(in_channels, out_channels, 3, bias=bias)),
        ]
    return nn.Sequential(OrderedDict(layers))


def named_sequence(**layers: nn.Module | None) -> nn.Sequential:
    """A sequence whose layers have names, so that state-dict keys read well; None is left out."""
    return nn.Sequential(OrderedDict((name, layer) for name, layer in layers.items() if layer is not None))


class Blur(nn.Module):
    """Antialiased subsampling (Zhang 2019, 1904.11486): the filter [1, 2, 1] / 4 both ways, then every second pixel.

    The image is reflected at its edges. Two means over neighbours, one after the other, are that filter.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, C, H, W)`` to ``(N, C, ⌈H/2⌉, ⌈W/2⌉)``, float; H and W at least 2."""
        padded = F.pad(x, (1, 1, 1, 1), mode="reflect")
        return F.avg_pool2d(F.avg_pool2d(padded, 2, stride=1), 2, stride=2)


def sample_as_in_training(network: nn.Module) -> None:
    """Put `network` into the state in which pix2pix samples: dropout on, batch norm with the batch's own statistics.

    Unlike in training the running statistics stay as they are. `nn.Module.eval` turns dropout off again;
    `resume_training` undoes all of it.
    """
    network.eval()
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.train()
        elif isinstance(module, nn.BatchNorm2d):
            module.train()
            module.track_running_stats = False


def resume_training(network: nn.Module) -> None:
    """Put `network` back into the state of training after `sample_as_in_training` or `nn.Module.eval`."""
    network.train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.track_running_stats = True


def full_precision(x: Tensor) -> Tensor:
    """Widen half-precision outputs of autocast to float32, so that losses are computed in it."""
    return x.float() if x.dtype in {torch.bfloat16, torch.float16} else x


def initialise(network: nn.Module, scheme: Init, *, gain: float = 0.02, generator: torch.Generator) -> None:
    """Draw the weights of `network` in place.

    Convolutions and linear layers: N(0, gain²) (pix2pix, CycleGAN), Xavier normal with `gain` (BicycleGAN), or uniform
    from -gain/√n to gain/√n with n inputs (tandem); biases 0; scales of affine norms N(1, gain²); group norms stay as
    they are, with scales 1.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            if scheme == "normal":
                nn.init.normal_(module.weight, 0.0, gain, generator=generator)
            elif scheme == "fan_in":
                bound = gain / math.sqrt(module.weight[0].numel())
                nn.init.uniform_(module.weight, -bound, bound, generator=generator)
            else:
                nn.init.xavier_normal_(module.weight, gain=gain, generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d | nn.InstanceNorm2d) and module.affine:
            nn.init.normal_(module.weight, 1.0, gain, generator=generator)
            nn.init.zeros_(module.bias)
