"""Layers as ONNX operators: a graph that grows along with the weights of a network, which are read by name."""

from collections.abc import Mapping, Sequence

import numpy as np

from tandem.config.specifications import Activation, Norm, Upsampling
from tandem.errors import BundleError
from tandem.inference.onnx.graph import Graph

EPS = 1e-5
"""Of every norm; PyTorch's default."""
_COUNTER = "num_batches_tracked"


class Layers:
    """A network that is written down layer by layer.

    Args:
        graph: What it becomes.
        weights: Its numbers, by the names of its state dict, float32.
        own_statistics: Whether batch norms use the statistics of the image itself, as pix2pix samples, instead of those
            of training.
    """

    def __init__(self, graph: Graph, weights: Mapping[str, np.ndarray], *, own_statistics: bool = False) -> None:
        self.graph = graph
        self._weights, self._own_statistics = weights, own_statistics
        self._taken: set[str] = set()

    def take(self, name: str, shape: Sequence[int]) -> np.ndarray:
        """The numbers of a weight.

        Raises:
            BundleError: There is no such weight, or it is another one.
        """
        if name not in self._weights:
            raise BundleError(f"the weights do not fit the specification: {name} is missing.")
        array = self._weights[name]
        if array.dtype != np.float32 or array.shape != tuple(shape):
            raise BundleError(
                f"the weights do not fit the specification: {name} is {array.dtype} of the shape {array.shape}, "
                f"expected is float32 of the shape {tuple(shape)}."
            )
        self._taken.add(name)
        return array

    def require_all_taken(self) -> None:
        """Refuse weights that belong to no layer.

        Raises:
            BundleError: There are some.
        """
        left = [name for name in self._weights if name not in self._taken and not name.endswith(_COUNTER)]
        if left:
            raise BundleError(f"the weights do not fit the specification: {left[0]} belongs to no layer.")

    def conv(
        self,
        x: str,
        name: str,
        channels: tuple[int, int],
        kernel: int,
        *,
        stride: int = 1,
        padding: int = 0,
        bias: bool = True,
        weight: np.ndarray | None = None,
    ) -> str:
        """A convolution from and to so many channels.

        Args:
            x: Its input.
            name: Of the layer.
            channels: Of input and output.
            kernel: Side of its kernels.
            stride: In both directions.
            padding: Zeros on every side.
            bias: Whether it has one.
            weight: Its kernels in another form than that of the state dict.
        """
        taken, given = channels
        if weight is None:
            weight = self.take(f"{name}.weight", (given, taken, kernel, kernel))
        if _is_wrong_on_webgpu(weight.shape):
            x = self.graph.node("Pad", x, self.graph.constant([0] * 5 + [1, 0, 0]))
            weight = np.pad(weight, ((0, 0), (0, 1), (0, 0), (0, 0)))
        inputs = [x, self.graph.weight(f"{name}.weight", weight, axis=0)]
        if bias:
            inputs.append(self._vector(f"{name}.bias", given))
        side = weight.shape[2]
        return self.graph.node("Conv", *inputs, kernel_shape=[side, side], strides=[stride, stride], pads=[padding] * 4)

    def conv_transposed(
        self, x: str, name: str, channels: tuple[int, int], kernel: int, *, output_padding: int = 0, bias: bool = True
    ) -> str:
        """A transposed convolution with stride 2 and padding 1, which doubles a map."""
        taken, given = channels
        weight = self.take(f"{name}.weight", (taken, given, kernel, kernel))
        inputs = [x, self.graph.weight(f"{name}.weight", weight, axis=1)]
        if bias:
            inputs.append(self._vector(f"{name}.bias", given))
        return self.graph.node(
            "ConvTranspose",
            *inputs,
            kernel_shape=[kernel, kernel],
            strides=[2, 2],
            pads=[1] * 4,
            output_padding=[output_padding] * 2,
        )

    def linear(self, x: str, name: str, channels: tuple[int, int]) -> str:
        """A linear layer of ``(N, channels)``."""
        taken, given = channels
        weight = self.take(f"{name}.weight", (given, taken))
        return self.graph.node(
            "Gemm",
            x,
            self.graph.weight(f"{name}.weight", weight, axis=0),
            self._vector(f"{name}.bias", given),
            transB=1,
        )

    def norm(self, x: str, name: str, norm: Norm, channels: int) -> str:
        """A norm as `tandem.networks.layers.make_norm` makes it; `x` itself without one."""
        match norm:
            case "none":
                return x
            case "instance":
                return self._instance_norm(x, self._full(1, channels), self._full(0, channels))
            case "instance_affine":
                return self._instance_norm(x, *self._affine(name, channels))
            case "batch":
                affine = self._affine(name, channels)
                statistics = [self._vector(f"{name}.{one}", channels) for one in ("running_mean", "running_var")]
                if self._own_statistics:  # of one image, which is how such models sample
                    return self._instance_norm(x, *affine)
                return self.graph.node("BatchNormalization", x, *affine, *statistics, epsilon=EPS)

    def group_norm(self, x: str, groups: int) -> str:
        """A group norm of ``(N, C, H, W)`` without its scale and shift."""
        apart = self.graph.node("Reshape", x, self.graph.constant([0, groups, -1]))
        normed = self._instance_norm(apart, self._full(1, groups), self._full(0, groups))
        return self.graph.node("Reshape", normed, self.graph.node("Shape", x))

    def maps(self, name: str, channels: int) -> str:
        """A weight with a number for each channel, as it meets maps: ``(1, C, 1, 1)``."""
        return self.graph.tensor(f"{name}.maps", self.take(name, (channels,)).reshape(1, channels, 1, 1))

    def upsampling(self, x: str, name: str, kind: Upsampling, channels: tuple[int, int], *, bias: bool) -> str:
        """As `tandem.networks.layers.make_upsampling` makes it."""
        if kind == "transposed":
            return self.conv_transposed(x, f"{name}.conv", channels, 4, bias=bias)
        return self.conv(self.reflect(self.doubled(x), 1), f"{name}.conv", channels, 3, bias=bias)

    def activation(self, x: str, kind: Activation) -> str:
        """An activation of the U-Net's way up."""
        match kind:
            case "relu":
                return self.graph.node("Relu", x)
            case "lrelu":
                return self.leaky(x)
            case "elu":
                return self.graph.node("Elu", x, alpha=1.0)

    def leaky(self, x: str) -> str:
        """LeakyReLU with the slope 0.2."""
        return self.graph.node("LeakyRelu", x, alpha=0.2)

    def silu(self, x: str) -> str:
        """SiLU: x · sigmoid(x)."""
        return self.graph.node("Mul", x, self.graph.node("Sigmoid", x))

    def reflect(self, x: str, padding: int) -> str:
        """Reflect the edges."""
        sides = [0, 0, padding, padding]
        return self.graph.node("Pad", x, self.graph.constant(sides + sides), mode="reflect")

    def doubled(self, x: str, *, nearest: bool = False) -> str:
        """Double height and width, by bilinear interpolation with half-pixel centres or by repeating pixels."""
        scales = self.graph.constant(np.array([1, 1, 2, 2], np.float32))
        how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        if not nearest:
            how = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
        return self.graph.node("Resize", x, "", scales, **how)

    def pooled(self, x: str, *, stride: int = 2) -> str:
        """Means over 2×2 pixels."""
        return self.graph.node("AveragePool", x, kernel_shape=[2, 2], strides=[stride, stride])

    def blur(self, x: str) -> str:
        """See `tandem.networks.layers.Blur`."""
        return self.pooled(self.pooled(self.reflect(x, 1), stride=1))

    def joined(self, *maps: str) -> str:
        """Maps behind each other."""
        return self.graph.node("Concat", *maps, axis=1)

    def spread(self, values: str, over: str) -> str:
        """``(N, C)``, the same at every pixel of maps ``(N, …, H, W)``: ``(N, C, H, W)``."""
        size = self.graph.node("Concat", self.graph.node("Shape", values), self.size_of(over), axis=0)
        return self.graph.node("Expand", self.as_maps(values), size)

    def size_of(self, maps: str) -> str:
        """Height and width."""
        return self.graph.node("Shape", maps, start=2)

    def as_maps(self, values: str) -> str:
        """``(N, C)`` as ``(N, C, 1, 1)``."""
        return self.graph.node("Unsqueeze", values, self.graph.constant([2, 3]))

    def _instance_norm(self, x: str, scale: str, shift: str) -> str:
        """Instance norm of what is left when the mean is taken away.

        ONNX Runtime computes x · s - mean · s, which loses digits where the mean is large beside the spread, as on a
        blank canvas, and WebGPU loses the spread itself.
        """
        centred = self.graph.node("Sub", x, self.graph.node("GlobalAveragePool", x))
        return self.graph.node("InstanceNormalization", centred, scale, shift, epsilon=EPS)

    def _affine(self, name: str, channels: int) -> tuple[str, str]:
        return self._vector(f"{name}.weight", channels), self._vector(f"{name}.bias", channels)

    def _vector(self, name: str, length: int) -> str:
        return self.graph.tensor(name, self.take(name, (length,)))

    def _full(self, value: int, channels: int) -> str:
        return self.graph.tensor(f"{value}_{channels}", np.full(channels, value, np.float32))


def _is_wrong_on_webgpu(shape: Sequence[int]) -> bool:
    """Whether ONNX Runtime's WebGPU convolves with such kernels wrongly, which one more channel of zeros prevents.

    It reads maps of 6, 9, 15, 18, … channels, multiples of three and not of four, three channels at a time, where the
    outputs are a multiple of four, and mixes them up. See findings/onnxruntime-web-webgpu-conv-channels.sh.
    """
    given, taken, side, _ = shape
    return side > 1 and taken > 3 and taken % 3 == 0 and taken % 4 != 0 and given % 4 == 0
