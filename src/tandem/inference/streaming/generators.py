"""The generators as sequences of maps: what is kept, what is computed again, and where statistics are needed.

Maps at the image's own resolution are the largest and the cheapest to compute. The residual generator computes those
twice, once for the statistics and once inside the layer that reads them, instead of keeping them, and so it does with
the maps that a blur will halve; hence the largest maps that it keeps have half the sides of the image. The U-Net's
outermost level computes its convolution again for the skip.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tandem.inference.streaming.nodes import (
    Combined,
    Joined,
    Node,
    Pointwise,
    blurred,
    convolution,
    doubled,
    transposed_convolution,
)
from tandem.inference.streaming.streamer import Streamer
from tandem.networks.resnet import ResidualBlock, ResNet
from tandem.networks.unet import UNet


def stream(network: nn.Module, a: Node, z: Tensor | None, streamer: Streamer) -> Node:
    """The output of a generator, ready to be computed window by window.

    Args:
        network: A `UNet` or `ResNet`, as it is to be sampled.
        a: The input image.
        z: ``(1, latent_dim)``, or None without a latent.
        streamer: Computes and keeps the maps in between.
    """
    if isinstance(network, UNet):
        return _unet(network, a, z, streamer)
    assert isinstance(network, ResNet)
    return _resnet(network, a, streamer)


def _unet(network: UNet, a: Node, z: Tensor | None, streamer: Streamer) -> Node:
    spec = network.spec
    skips: list[Node] = []
    x: Node = a if spec.injection == "none" else _with_latent(a, z, spec.latent_dim)
    for level, down in enumerate(network.down):
        if level > 0:
            if spec.injection == "all":
                skips.append(x)
                x = Pointwise(_with_latent(x, z, spec.latent_dim), _leaky_relu)
            else:
                x = x if spec.activation_last else Pointwise(x, _leaky_relu)
                skips.append(x)
        x = streamer.normed(convolution(x, _needed(down, "conv")), _layer(down, "norm"), keep=level > 0)
        x = Pointwise(x, _leaky_relu) if spec.activation_last else x
    for level in reversed(range(spec.depth)):
        up = network.up[level]
        x = x if spec.activation_last else Pointwise(x, _needed(up, "activation"))
        upsampling = _needed(up, "upsampling")
        if spec.upsampling == "transposed":
            x = transposed_convolution(x, _needed(upsampling, "conv"))
        else:
            x = convolution(doubled(x), _needed(upsampling, "conv"), reflected=1)
        if level == 0:
            return x if spec.activation_last else Pointwise(x, torch.tanh_)
        if spec.activation_last:
            x = Pointwise(streamer.normed(x, _layer(up, "norm")), _needed(up, "activation"))
            x = Joined([x, skips.pop()])
            continue
        x = streamer.dropped(streamer.normed(x, _layer(up, "norm")), _layer(up, "dropout"))
        skip = skips.pop()
        x = Joined([skip, x] if spec.skip_first else [x, skip])
    raise AssertionError("a U-Net has at least one level")


def _with_latent(x: Node, z: Tensor | None, latent_dim: int) -> Node:
    def join(values: Tensor) -> Tensor:
        assert z is not None
        _, _, height, width = values.shape
        return torch.cat([values, z.to(values.dtype)[:, :, None, None].expand(1, -1, height, width)], 1)

    return Pointwise(x, join, channels=x.shape[0] + latent_dim)


def _resnet(network: ResNet, a: Node, streamer: Streamer) -> Node:
    spec = network.spec
    stem, head = network.stem, network.head
    x = _relu(streamer.normed(convolution(a, _needed(stem, "conv"), reflected=3), _layer(stem, "norm"), keep=False))
    for down in network.down:
        x = _relu(streamer.normed(convolution(x, _needed(down, "conv")), _layer(down, "norm"), keep=not spec.antialias))
        x = streamer.store(blurred(x)) if spec.antialias else x
    x = x if spec.antialias else streamer.store(x)
    for block in network.blocks:
        assert isinstance(block, ResidualBlock)
        x = streamer.store(_residual(block, x, streamer))
    for index, up in enumerate(network.up):
        x = (
            convolution(doubled(x), _needed(up, "conv"))
            if spec.antialias
            else transposed_convolution(x, _needed(up, "conv"))
        )
        x = _relu(streamer.normed(x, _layer(up, "norm"), keep=index == 0))
    return Pointwise(convolution(x, _needed(head, "conv"), reflected=3), torch.tanh_)


def _residual(block: ResidualBlock, x: Node, streamer: Streamer) -> Node:
    y = _relu(streamer.normed(convolution(x, block.conv1, reflected=1), block.norm1))
    y = streamer.dropped(y, block.dropout)
    y = streamer.normed(convolution(y, block.conv2, reflected=1), block.norm2)
    return Combined(x, y, torch.Tensor.add_)


def _layer(sequence: nn.Module, name: str) -> nn.Module | None:
    return dict(sequence.named_children()).get(name)


def _needed(sequence: nn.Module, name: str) -> nn.Module:
    return dict(sequence.named_children())[name]


def _relu(x: Node) -> Node:
    return Pointwise(x, F.relu_)


def _leaky_relu(x: Tensor) -> Tensor:
    return F.leaky_relu_(x, 0.2)
