"""Layers of a generator as nodes that compute any window of their output from the windows that it depends on.

Convolutions read the neighbourhood that they need (the halo), and edges are padded only where they are edges of the
image; so tiles put together are the map itself, and there is nothing to blend. What a layer needs to know of the whole
image, the mean and variance of instance norm, is measured over all tiles first (`tandem.inference.streaming.streamer`).

Every node gives fresh tensors ``(1, C, h, w)``, which the next one may change.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tandem.inference.streaming.stores import Store
from tandem.inference.streaming.window import Window, clip, convolution_span, doubling_span, transposed_span

Shape = tuple[int, int, int]
"""Channels, height and width of a map."""


class Node(Protocol):
    """A map that can be computed window by window."""

    @property
    def shape(self) -> Shape:
        """Of the map."""
        ...

    def compute(self, window: Window) -> Tensor:
        """The map in `window`, ``(1, C, h, w)``, float; nothing else holds it."""
        ...


@dataclass(frozen=True)
class Stored:
    """A map that was computed before.

    Attributes:
        store: Holds it.
    """

    store: Store

    @property
    def shape(self) -> Shape:
        """See `Node`."""
        return self.store.shape

    def compute(self, window: Window) -> Tensor:
        """See `Node`."""
        return self.store.read(window)


@dataclass(frozen=True)
class Pointwise:
    """A function of every pixel by itself.

    Attributes:
        source: What it is applied to.
        function: From ``(1, C, h, w)`` to ``(1, channels, h, w)``; it may work in place.
        channels: Of the result; None for those of the source.
    """

    source: Node
    function: Callable[[Tensor], Tensor]
    channels: int | None = None

    @property
    def shape(self) -> Shape:
        """See `Node`."""
        channels, height, width = self.source.shape
        return self.channels or channels, height, width

    def compute(self, window: Window) -> Tensor:
        """See `Node`."""
        return self.function(self.source.compute(window))


@dataclass(frozen=True)
class Joined:
    """Maps of one size beside one another.

    Attributes:
        sources: The maps.
    """

    sources: Sequence[Node]

    @property
    def shape(self) -> Shape:
        """See `Node`."""
        _, height, width = self.sources[0].shape
        return sum(source.shape[0] for source in self.sources), height, width

    def compute(self, window: Window) -> Tensor:
        """See `Node`."""
        return torch.cat([source.compute(window) for source in self.sources], 1)


@dataclass(frozen=True)
class Combined:
    """Two maps of one shape, combined pixel by pixel.

    Attributes:
        first: One.
        second: The other.
        combine: Their sum or product; it may work in place on the first.
    """

    first: Node
    second: Node
    combine: Callable[[Tensor, Tensor], Tensor]

    @property
    def shape(self) -> Shape:
        """See `Node`."""
        return self.first.shape

    def compute(self, window: Window) -> Tensor:
        """See `Node`."""
        return self.combine(self.first.compute(window), self.second.compute(window))


@dataclass(frozen=True)
class Filtered:
    """A convolution or blur, with the edges of the image filled up.

    Attributes:
        source: What it reads.
        layer: From the filled window to the result; it pads nothing itself.
        channels: Of the result.
        kernel: Its side.
        stride: Its step.
        padding: How far it reaches over the edges.
        edges: What is there: zeros, or the image reflected.
    """

    source: Node
    layer: Callable[[Tensor], Tensor]
    channels: int
    kernel: int
    stride: int
    padding: int
    edges: Literal["constant", "reflect"]

    @property
    def shape(self) -> Shape:
        """See `Node`."""
        _, *sides = self.source.shape
        height, width = ((side + 2 * self.padding - self.kernel) // self.stride + 1 for side in sides)
        return self.channels, height, width

    def compute(self, window: Window) -> Tensor:
        """See `Node`."""
        needed = [
            clip(convolution_span(span, kernel=self.kernel, stride=self.stride, padding=self.padding), side)
            for span, side in zip((window.rows, window.columns), self.source.shape[1:], strict=True)
        ]
        (rows, (above, below)), (columns, (left, right)) = needed
        x = self.source.compute(Window(rows, columns))
        if above or below or left or right:
            x = F.pad(x, (left, right, above, below), mode=self.edges)
        return self.layer(x)


@dataclass(frozen=True)
class Enlarged:
    """A transposed convolution, or bilinear doubling.

    Attributes:
        source: What it reads.
        layer: From a window of the source to all that it adds to; nothing is cut off.
        channels: Of the result.
        kernel: Its side; 0 for bilinear doubling.
        padding: How many outputs are cut off at the first edges of the image.
    """

    source: Node
    layer: Callable[[Tensor], Tensor]
    channels: int
    kernel: int
    padding: int

    @property
    def shape(self) -> Shape:
        """See `Node`."""
        _, height, width = self.source.shape
        return self.channels, 2 * height, 2 * width

    def compute(self, window: Window) -> Tensor:
        """See `Node`."""
        rows, columns = (
            clip(
                transposed_span(span, kernel=self.kernel, stride=2, padding=self.padding)
                if self.kernel
                else doubling_span(span),
                side,
            )[0]
            for span, side in zip((window.rows, window.columns), self.source.shape[1:], strict=True)
        )
        y = self.layer(self.source.compute(Window(rows, columns)))
        height, width = window.within((2 * rows[0] - self.padding, 2 * columns[0] - self.padding))
        return y[:, :, height, width]


def convolution(source: Node, layer: nn.Module, *, reflected: int = 0) -> Filtered:
    """A convolution layer; `reflected` is the width of the reflected edge that is in front of it, instead of zeros."""
    assert isinstance(layer, nn.Conv2d)
    kernel, stride, padding = layer.kernel_size[0], layer.stride[0], layer.padding[0]
    assert isinstance(padding, int)
    return Filtered(
        source,
        lambda x: F.conv2d(x, layer.weight, layer.bias, stride=stride),
        channels=layer.out_channels,
        kernel=kernel,
        stride=stride,
        padding=reflected or padding,
        edges="reflect" if reflected else "constant",
    )


def transposed_convolution(source: Node, layer: nn.Module) -> Enlarged:
    """A transposed convolution layer with stride 2 that doubles the image."""
    assert isinstance(layer, nn.ConvTranspose2d)
    assert layer.stride == (2, 2)
    padding = layer.padding[0]
    assert isinstance(padding, int)
    return Enlarged(
        source,
        lambda x: F.conv_transpose2d(x, layer.weight, layer.bias, stride=2),
        channels=layer.out_channels,
        kernel=layer.kernel_size[0],
        padding=padding,
    )


def doubled(source: Node) -> Enlarged:
    """Bilinear doubling."""
    return Enlarged(
        source,
        lambda x: F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False),
        channels=source.shape[0],
        kernel=0,
        padding=0,
    )


def blurred(source: Node) -> Filtered:
    """The blur with stride 2 of `tandem.networks.layers.Blur`."""
    return Filtered(
        source,
        lambda x: F.avg_pool2d(F.avg_pool2d(x, 2, stride=1), 2, stride=2),
        channels=source.shape[0],
        kernel=3,
        stride=2,
        padding=1,
        edges="reflect",
    )
