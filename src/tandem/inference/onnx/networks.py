"""Generators and encoders as ONNX graphs: what `tandem.networks` computes, written down from the specifications.

A graph follows from a specification and from numbers, so that neither a network nor PyTorch is needed to write one, and
its bytes are the same everywhere. That it computes what the network of `tandem.networks` computes is proven by every
export (`tandem.inference.proof`) and by the tests, for all kinds of networks.

A generator takes `image` and, with a latent, `z`, and gives `output`. An encoder takes `image`, which is one of the
output domain, and gives `mu` and `logvar`; one that sees inputs too takes `input_image` and `known` beside it, which is
1 where the input counts and 0 where it is unknown. The number of images, their height and their width are free; which
sizes a network takes is not in the graph but beside it (`tandem.inference.onnx.model_file`).
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from tandem.checkpoint.storage import Storage
from tandem.config.specifications import (
    EncoderSpec,
    GeneratorSpec,
    ImageEncoderSpec,
    NetworkSpec,
    PairEncoderSpec,
    ResidualUNetSpec,
    ResNetSpec,
    UNetSpec,
)
from tandem.errors import ConfigError
from tandem.inference.onnx.graph import Graph
from tandem.inference.onnx.layers import Layers

FREE_IMAGES: tuple[str, str, str] = ("N", "H", "W")
_SHUFFLE = 2
_STYLE_WIDTH = 128
_GROUP_CHANNELS = 8
_MOST_UNET_WIDENING = 8
_MOST_ENCODER_WIDENING = 4


def inputs_of(spec: NetworkSpec) -> dict[str, tuple[int | str, ...]]:
    """The shapes of the inputs of a network's graph, by name; free sizes are named."""
    assert isinstance(spec, GeneratorSpec | ImageEncoderSpec)
    n, h, w = FREE_IMAGES
    shapes: dict[str, tuple[int | str, ...]] = {"image": (n, spec.in_channels, h, w)}
    if isinstance(spec, PairEncoderSpec) and spec.input_channels:
        shapes |= {"input_image": (n, spec.input_channels, h, w), "known": (n,)}
    elif isinstance(spec, GeneratorSpec) and spec.latent_dim:
        shapes["z"] = (n, spec.latent_dim)
    return shapes


def outputs_of(spec: NetworkSpec) -> dict[str, tuple[int | str, ...]]:
    """Likewise of the outputs."""
    n, h, w = FREE_IMAGES
    if isinstance(spec, ImageEncoderSpec):
        return dict.fromkeys(("mu", "logvar"), (n, spec.latent_dim))
    assert isinstance(spec, GeneratorSpec)
    return {"output": (n, spec.out_channels, h, w)}


def network_graph(
    spec: NetworkSpec, weights: Mapping[str, np.ndarray], *, storage: Storage = "fp32", own_statistics: bool = False
) -> Graph:
    """Write a network as a graph.

    Args:
        spec: Of a generator or an encoder.
        weights: Its numbers, by the names of its state dict.
        storage: How its weights are stored.
        own_statistics: Whether batch norms use the statistics of the image itself.

    Raises:
        BundleError: The weights do not fit the specification.
        ConfigError: It is a network of another kind, or one that samples with dropout.
    """
    if not isinstance(spec, GeneratorSpec | ImageEncoderSpec):
        raise ConfigError(f"a {spec.kind} is neither a generator nor an encoder: it cannot be written as ONNX.")
    graph = Graph(spec.kind, storage=storage)
    layers = Layers(graph, weights, own_statistics=own_statistics)
    inputs = [graph.input(name, shape) for name, shape in inputs_of(spec).items()]
    match spec:
        case UNetSpec():
            given = [_unet(layers, spec, *inputs)]
        case ResNetSpec():
            given = [_resnet(layers, spec, *inputs)]
        case ResidualUNetSpec():
            given = [_residual_unet(layers, spec, *inputs)]
        case EncoderSpec():
            given = _encoder(layers, spec, *inputs)
        case PairEncoderSpec():
            given = _pair_encoder(layers, spec, inputs)
    layers.require_all_taken()
    for value, (name, shape) in zip(given, outputs_of(spec).items(), strict=True):
        graph.output(value, name, shape)
    return graph


def _unet(layers: Layers, spec: UNetSpec, image: str, z: str | None = None) -> str:
    """See `tandem.networks.unet`."""
    widths = [spec.filters * min(2**level, _MOST_UNET_WIDENING) for level in range(spec.depth)]
    innermost, last = spec.depth - 1, spec.activation_last
    x, skips = image, []
    for level, width in enumerate(widths):
        channels = spec.in_channels if level == 0 else widths[level - 1]
        joins = z is not None and (spec.injection == "all" or (spec.injection == "input" and level == 0))
        raw = x
        if joins:
            assert z is not None
            x = layers.joined(x, layers.spread(z, x))
            channels += spec.latent_dim
        if level > 0 and not last:
            x = layers.leaky(x)
        # Without z the activation works in place on what the skip carries; see the head of `tandem.networks.unet`.
        skips.append(raw if joins else x)
        x = layers.conv(x, f"down.{level}.conv", (channels, width), 4, stride=2, padding=1, bias=spec.bias)
        if 0 < level < innermost or (last and level == innermost):
            x = layers.norm(x, f"down.{level}.norm", spec.norm, width)
        x = layers.leaky(x) if last else x
    for level in reversed(range(spec.depth)):
        taken = widths[level] if level == innermost else 2 * widths[level]
        given = spec.out_channels if level == 0 else widths[level - 1]
        name = f"up.{level}"
        x = x if last else layers.activation(x, spec.activation)
        bias = spec.bias or level == 0
        x = layers.upsampling(x, f"{name}.upsampling", spec.upsampling, (taken, given), bias=bias)
        if level > 0:
            x = layers.norm(x, f"{name}.norm", spec.norm, given)
            x = layers.activation(x, spec.activation) if last else x
            x = layers.joined(*((skips[level], x) if spec.skip_first else (x, skips[level])))
    return x if last else layers.graph.node("Tanh", x)


def _resnet(layers: Layers, spec: ResNetSpec, image: str) -> str:
    """See `tandem.networks.resnet`."""

    def activated(x: str, name: str, channels: int) -> str:
        return layers.graph.node("Relu", layers.norm(x, f"{name}.norm", spec.norm, channels))

    width = spec.filters
    x = layers.conv(layers.reflect(image, 3), "stem.conv", (spec.in_channels, width), 7, bias=spec.bias)
    x = activated(x, "stem", width)
    for level in range(2):
        name, channels = f"down.{level}", width * 2**level
        stride = 1 if spec.antialias else 2
        x = layers.conv(x, f"{name}.conv", (channels, 2 * channels), 3, stride=stride, padding=1, bias=spec.bias)
        x = activated(x, name, 2 * channels)
        x = layers.blur(x) if spec.antialias else x
    for block in range(spec.blocks):
        name, channels = f"blocks.{block}", (4 * width, 4 * width)
        y = layers.conv(layers.reflect(x, 1), f"{name}.conv1", channels, 3, bias=spec.bias)
        y = layers.graph.node("Relu", layers.norm(y, f"{name}.norm1", spec.norm, 4 * width))
        y = layers.conv(layers.reflect(y, 1), f"{name}.conv2", channels, 3, bias=spec.bias)
        x = layers.graph.node("Add", x, layers.norm(y, f"{name}.norm2", spec.norm, 4 * width))
    for level in range(2):
        name, channels = f"up.{level}", 4 * width // 2**level
        pair = (channels, channels // 2)
        if spec.antialias:
            x = layers.conv(layers.doubled(x), f"{name}.conv", pair, 3, padding=1, bias=spec.bias)
        else:
            x = layers.conv_transposed(x, f"{name}.conv", pair, 3, output_padding=1, bias=spec.bias)
        x = activated(x, name, channels // 2)
    x = layers.conv(layers.reflect(x, 3), "head.conv", (width, spec.out_channels), 7)
    return layers.graph.node("Tanh", x)


def _residual_unet(layers: Layers, spec: ResidualUNetSpec, image: str, z: str | None = None) -> str:
    """See `tandem.networks.residual_unet`."""
    widths, style = spec.widths, None
    if z is not None:
        style = layers.silu(layers.linear(z, "style.first", (spec.latent_dim, _STYLE_WIDTH)))
        style = layers.silu(layers.linear(style, "style.second", (_STYLE_WIDTH, _STYLE_WIDTH)))
    x = _unshuffled_conv(layers, image, "stem", (spec.in_channels, widths[0]), stride=1)
    skips = []
    for level, width in enumerate(widths):
        x = _modulated_block(layers, x, style, f"encode.{level}", (width, width))
        if level < len(widths) - 1:
            skips.append(x)
            x = layers.conv(x, f"down.{level}", (width, widths[level + 1]), 3, stride=2, padding=1)
    for level in reversed(range(len(widths) - 1)):
        width = widths[level]
        x = layers.conv(layers.doubled(x, nearest=True), f"up.{level}", (widths[level + 1], width), 3, padding=1)
        x = _modulated_block(layers, layers.joined(x, skips[level]), style, f"decode.{level}", (2 * width, width))
    x = layers.doubled(layers.silu(_affine_group_norm(layers, x, "head.norm", widths[0])))
    narrow = spec.narrow_width
    x = layers.joined(x, image)
    x = layers.silu(layers.conv(x, "output.conv1", (widths[0] + spec.in_channels, narrow), 3, padding=1))
    return layers.graph.node("Tanh", layers.conv(x, "output.conv2", (narrow, spec.out_channels), 3, padding=1))


def _modulated_block(layers: Layers, x: str, style: str | None, name: str, channels: tuple[int, int]) -> str:
    taken, given = channels
    graph = layers.graph
    if style is not None:
        x = graph.node("Add", x, layers.as_maps(layers.linear(style, f"{name}.offset", (_STYLE_WIDTH, taken))))
    y = layers.silu(_affine_group_norm(layers, x, f"{name}.norm1", taken))
    y = layers.conv(y, f"{name}.conv1", channels, 3, padding=1)
    scale, shift = (layers.maps(f"{name}.norm2.{one}", given) for one in ("weight", "bias"))
    if style is not None:
        # (y·scale + shift)·(1 + s) + t as y·(scale·(1 + s)) + (shift·(1 + s) + t): fewer passes over the maps.
        change = layers.as_maps(layers.linear(style, f"{name}.modulation", (_STYLE_WIDTH, 2 * given)))
        parts = [
            graph.node("Slice", change, *(graph.constant([one]) for one in (start, start + given, 1)))
            for start in (0, given)
        ]
        more = graph.node("Add", parts[0], graph.constant(np.ones((1, 1, 1, 1), np.float32)))
        scale, shift = graph.node("Mul", more, scale), graph.node("Add", graph.node("Mul", more, shift), parts[1])
    y = graph.node("Add", graph.node("Mul", layers.group_norm(y, _groups(given)), scale), shift)
    y = layers.conv(layers.silu(y), f"{name}.conv2", (given, given), 3, padding=1)
    if taken != given:
        x = layers.conv(x, f"{name}.shortcut", channels, 1)
    half = graph.constant(np.full((1, 1, 1, 1), math.sqrt(0.5), np.float32))
    return graph.node("Mul", graph.node("Add", y, x), half)


def _affine_group_norm(layers: Layers, x: str, name: str, channels: int) -> str:
    scaled = layers.graph.node("Mul", layers.group_norm(x, _groups(channels)), layers.maps(f"{name}.weight", channels))
    return layers.graph.node("Add", scaled, layers.maps(f"{name}.bias", channels))


def _groups(channels: int) -> int:
    return math.gcd(channels, max(1, channels // _GROUP_CHANNELS))


def _unshuffled_conv(layers: Layers, x: str, name: str, channels: tuple[int, int], *, stride: int) -> str:
    """A pixel-unshuffle by 2 and the conv3 behind it, whose input channels are sorted as SpaceToDepth sorts them."""
    taken, given = channels
    few = _SHUFFLE**2
    weight = layers.take(f"{name}.weight", (given, taken * few, 3, 3))
    weight = weight.reshape(given, taken, few, 3, 3).swapaxes(1, 2).reshape(weight.shape)
    x = layers.graph.node("SpaceToDepth", x, blocksize=_SHUFFLE)
    return layers.conv(x, name, (taken * few, given), 3, stride=stride, padding=1, weight=weight)


def _encoder(layers: Layers, spec: EncoderSpec, image: str) -> list[str]:
    """See `tandem.networks.encoder`."""
    width = spec.filters
    x = layers.conv(image, "stem", (spec.in_channels, width), 4, stride=2, padding=1)
    x = layers.leaky(x) if spec.body == "cnn" else x
    for index in range(1, spec.depth):
        name, growth = f"blocks.{index - 1}", index + 1 if spec.body == "resnet" else 2**index
        channels = (width, spec.filters * min(growth, _MOST_ENCODER_WIDENING))
        if spec.body == "resnet":
            x = _pooled_block(layers, x, name, channels, spec)
        else:
            x = layers.conv(x, f"{name}.conv", channels, 4, stride=2, padding=1)
            x = layers.leaky(layers.norm(x, f"{name}.norm", spec.norm, channels[1]))
        width = channels[1]
    x = layers.leaky(x) if spec.body == "resnet" else x
    means = layers.graph.node("Flatten", layers.graph.node("GlobalAveragePool", x), axis=1)
    return [layers.linear(means, name, (width, spec.latent_dim)) for name in ("mu", "logvar")]


def _pooled_block(layers: Layers, x: str, name: str, channels: tuple[int, int], spec: EncoderSpec) -> str:
    taken, given = channels
    activated = layers.leaky(layers.norm(x, f"{name}.norm1", spec.norm, taken))
    x = activated if spec.norm == "none" else x
    y = layers.conv(activated, f"{name}.conv1", (taken, taken), 3, padding=1)
    y = layers.leaky(layers.norm(y, f"{name}.norm2", spec.norm, taken))
    pooled = pooled_kernels(layers.take(f"{name}.conv2.weight", (given, taken, 3, 3)))
    y = layers.conv(y, f"{name}.conv2", channels, 4, stride=2, padding=1, weight=pooled)
    return layers.graph.node("Add", y, layers.conv(layers.pooled(x), f"{name}.shortcut", channels, 1))


def pooled_kernels(weight: np.ndarray) -> np.ndarray:
    """The 4×4 kernels that give the means over 2×2 pixels of what 3×3 kernels give, float32.

    Summed in float64 in one order, so that they are the same on every machine.
    """
    wide = np.zeros((*weight.shape[:2], 4, 4))
    for row, column in np.ndindex(2, 2):
        wide[:, :, row : row + 3, column : column + 3] += weight
    return (wide / 4).astype(np.float32)


def _pair_encoder(layers: Layers, spec: PairEncoderSpec, inputs: Sequence[str]) -> list[str]:
    """See `tandem.networks.pair_encoder`."""
    graph, x = layers.graph, inputs[0]
    planes = spec.in_channels
    if spec.input_channels:
        image, input_image, known = inputs
        flag = graph.node("Unsqueeze", known, graph.constant([1]))
        given = graph.node("Mul", input_image, layers.as_maps(flag))
        x = layers.joined(image, given, layers.spread(flag, image))
        planes += spec.input_channels + 1
    for level in range(spec.depth):
        name, width = f"body.conv{level}", spec.filters * 2**level
        if level == 0:
            x = _unshuffled_conv(layers, x, name, (planes, width), stride=2)
        else:
            x = layers.conv(x, name, (planes, width), 3, padding=1)
        x, planes = layers.silu(x), width
    flat = graph.constant([0, 0, -1])
    places = graph.node("Reshape", layers.conv(x, "attention", (planes, planes), 1), flat)
    weights = graph.node("Softmax", places, axis=2)
    weighted = graph.node("Mul", graph.node("Reshape", x, flat), weights)
    means = graph.node("ReduceSum", weighted, graph.constant([2]), keepdims=0)
    return [layers.linear(means, name, (planes, spec.latent_dim)) for name in ("mu", "logvar")]
