"""MobileNet v1 from a NumPy file with TensorFlow's names: features for a Fréchet distance without Inception's weights.

Paper: *MobileNets* (1704.04861). Input 224×224 RGB in [-1, 1]; batch norm (eps 0.001), ReLU6, TensorFlow's "SAME"
padding, which for a stride of 2 and an even size pads at the right and at the bottom only. The features are the
spatial means of the last block; a loss compares the maps of `TAPS`, of images of any size. The width follows from the
file.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tandem.errors import WeightsError
from tandem.networks.backbones.tensor_files import load_strictly

INPUT_SIZE = 224
"""Height and width of the input."""

TAPS = tuple(f"Conv2d_{index}_pointwise" for index in (1, 3, 5, 11, 13))
"""The last convolutions at a half, a quarter and so on of the size."""

_MAX_WIDTH = 1024
_STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
_NORM_KEYS = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}


class SameConv(nn.Module):
    """3×3 or 1×1 convolution with TensorFlow's padding, batch norm, ReLU6."""

    def __init__(self, in_channels: int, channels: int, *, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, channels, kernel, stride, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(channels, eps=0.001)
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, H, W)`` to ``(N, channels, ⌈H / stride⌉, ⌈W / stride⌉)``."""
        if self.kernel > 1:
            x = F.pad(x, (*self._padding(x.shape[3]), *self._padding(x.shape[2])))
        return F.relu6(self.bn(self.conv(x)))

    def _padding(self, side: int) -> tuple[int, int]:
        """Before and after: what the last window lacks, the odd pixel at the end."""
        total = max((-(-side // self.stride) - 1) * self.stride + self.kernel - side, 0)
        return total // 2, total - total // 2


class MobileNet(nn.Module):
    """The convolutions of MobileNet v1.

    Args:
        widths: Channels of the first convolution and of the 13 pointwise ones.
    """

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        layers: dict[str, nn.Module] = {"Conv2d_0": SameConv(3, widths[0], kernel=3, stride=2)}
        for index, (inner, outer, stride) in enumerate(zip(widths, widths[1:], _STRIDES, strict=False), start=1):
            layers[f"Conv2d_{index}_depthwise"] = SameConv(inner, inner, kernel=3, stride=stride, groups=inner)
            layers[f"Conv2d_{index}_pointwise"] = SameConv(inner, outer, kernel=1)
        self.layers = nn.ModuleDict(layers)
        self.out_features = widths[-1]

    def forward(self, x: Tensor) -> Tensor:
        """``(N, 3, 224, 224)`` in [-1, 1] to features ``(N, out_features)``."""
        return self.maps(x)[-1].mean((2, 3))

    def maps(self, x: Tensor) -> list[Tensor]:
        """``(N, 3, H, W)`` in [-1, 1] to the maps at `TAPS`: ``(N, C, ⌈H/2⌉, ⌈W/2⌉)`` and so on."""
        found = []
        for name, layer in self.layers.items():
            x = layer(x)
            if name in TAPS:
                found.append(x)
        return found


def mobilenet_from_arrays(arrays: Mapping[str, np.ndarray], *, name: str = "the file") -> MobileNet:
    """Build the network that a NumPy file holds.

    Args:
        arrays: Kernels ``(H, W, in, out)`` and statistics under TensorFlow's names.
        name: What to call the file in a message.

    Raises:
        WeightsError: A tensor is missing, left over, of the wrong shape or not finite.
    """
    try:
        widths = tuple(int(arrays[_weight_key(layer)].shape[3]) for layer in _dense_layers())
    except (KeyError, IndexError) as error:
        raise WeightsError(f"{name} does not hold a MobileNet v1: {error} is missing or not a kernel.") from error
    if max(widths) > _MAX_WIDTH:
        raise WeightsError(f"{name} holds layers of {max(widths)} channels; a MobileNet v1 has at most {_MAX_WIDTH}.")
    network = MobileNet(widths)
    names = dict(_names(network))
    state = {
        names.get(key, key): torch.from_numpy(np.array(_in_torch_order(array, key), np.float32, order="C"))
        for key, array in arrays.items()
    }
    load_strictly(network, state, name=name, optional=("num_batches_tracked",))
    return network


def _names(network: MobileNet) -> Iterator[tuple[str, str]]:
    """TensorFlow's names and ours."""
    for layer in network.layers:
        yield _weight_key(layer), f"layers.{layer}.conv.weight"
        for ours, theirs in _NORM_KEYS.items():
            yield f"{layer}/BatchNorm/{theirs}", f"layers.{layer}.bn.{ours}"


def _dense_layers() -> list[str]:
    return ["Conv2d_0", *(f"Conv2d_{index}_pointwise" for index in range(1, len(_STRIDES) + 1))]


def _weight_key(name: str) -> str:
    return f"{name}/{'depthwise_weights' if name.endswith('depthwise') else 'weights'}"


def _in_torch_order(array: np.ndarray, name: str) -> np.ndarray:
    if array.ndim != 4:
        return array
    # (H, W, in, out) to (out, in, H, W); depthwise: (H, W, in, 1) to (in, 1, H, W).
    return array.transpose((2, 3, 0, 1) if "depthwise" in name else (3, 2, 0, 1))
