"""Networks that others have trained, a second time in NumPy, with random weights under the published names."""

from itertools import pairwise
from typing import Any

import numpy as np
import torch

from tandem.config.specifications import BackboneName
from tandem.networks.backbones.classifiers import Backbone
from tandem.rng import numpy_generator

Array = np.ndarray


def weights_of(name: BackboneName) -> dict[str, torch.Tensor]:
    rng = numpy_generator(3, name)
    state = {}
    for key, value in Backbone(name).state_dict().items():
        scale = 0.05 if value.ndim == 1 else np.sqrt(2 / value[0].numel())
        state[key] = torch.from_numpy(scale * rng.standard_normal(tuple(value.shape)))
    return state


def conv(x: Array, state: dict[str, Any], key: str, *, stride: int = 1, pad: int = 0) -> Array:
    weight, bias = (state[f"{key}.{part}"].numpy() for part in ("weight", "bias"))
    x = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
    windows = np.lib.stride_tricks.sliding_window_view(x, weight.shape[2:], axis=(1, 2))[:, ::stride, ::stride]
    return np.einsum("chwij,ocij->ohw", windows, weight, optimize=True) + bias[:, None, None]


def pool(x: Array, size: int, *, ceil: bool = False) -> Array:
    if ceil and (x.shape[1] - size) % 2:
        x = np.pad(x, ((0, 0), (0, 1), (0, 0)), constant_values=-np.inf)
    if ceil and (x.shape[2] - size) % 2:
        x = np.pad(x, ((0, 0), (0, 0), (0, 1)), constant_values=-np.inf)
    return np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(1, 2))[:, ::2, ::2].max((3, 4))


def relu(x: Array) -> Array:
    return np.maximum(x, 0)


def alex(x: Array, s: dict[str, Any]) -> list[Array]:
    a = relu(conv(x, s, "features.0", stride=4, pad=2))
    b = relu(conv(pool(a, 3), s, "features.3", pad=2))
    c = relu(conv(pool(b, 3), s, "features.6", pad=1))
    d = relu(conv(c, s, "features.8", pad=1))
    return [a, b, c, d, relu(conv(d, s, "features.10", pad=1))]


def vgg(x: Array, s: dict[str, Any]) -> list[Array]:
    taps = []
    for block in ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28)):
        x = pool(x, 2) if taps else x
        for index in block:
            x = relu(conv(x, s, f"features.{index}", pad=1))
        taps.append(x)
    return taps


def squeeze(x: Array, s: dict[str, Any]) -> list[Array]:
    def fire(x: Array, index: int) -> Array:
        x = relu(conv(x, s, f"features.{index}.squeeze"))
        expanded = [conv(x, s, f"features.{index}.expand1x1"), conv(x, s, f"features.{index}.expand3x3", pad=1)]
        return relu(np.concatenate(expanded))

    taps = [relu(conv(x, s, "features.0", stride=2))]
    for blocks in ((3, 4), (6, 7)):
        x = pool(taps[-1], 3, ceil=True)
        for index in blocks:
            x = fire(x, index)
        taps.append(x)
    x = pool(x, 3, ceil=True)
    for index in (9, 10, 11, 12):
        x = fire(x, index)
        taps.append(x)
    return taps


NETWORKS: dict[BackboneName, Any] = {"alex": alex, "vgg": vgg, "squeeze": squeeze}


def mobilenet_arrays(widths: tuple[int, ...]) -> dict[str, np.ndarray]:
    rng = numpy_generator(0, "mobilenet")
    arrays: dict[str, np.ndarray] = {"Conv2d_0/weights": rng.normal(0, 0.3, (3, 3, 3, widths[0]))}
    for index, (inner, outer) in enumerate(pairwise(widths), start=1):
        arrays[f"Conv2d_{index}_depthwise/depthwise_weights"] = rng.normal(0, 0.5, (3, 3, inner, 1))
        arrays[f"Conv2d_{index}_pointwise/weights"] = rng.normal(0, 1 / np.sqrt(inner), (1, 1, inner, outer))
    for key in list(arrays):
        layer = key.partition("/")[0]
        channels = arrays[key].shape[2] if "depthwise" in key else arrays[key].shape[3]
        arrays[f"{layer}/BatchNorm/gamma"] = rng.uniform(2, 4, channels)
        arrays[f"{layer}/BatchNorm/beta"] = rng.uniform(0, 3, channels)
        arrays[f"{layer}/BatchNorm/moving_mean"] = rng.normal(0, 0.3, channels)
        arrays[f"{layer}/BatchNorm/moving_variance"] = rng.uniform(0.5, 1.5, channels)
    return {key: array.astype(np.float32) for key, array in arrays.items()}


def plain_mobilenet(x: np.ndarray, arrays: dict[str, np.ndarray]) -> list[np.ndarray]:
    """The maps of the last block of each size, channels last.

    Padded as TensorFlow says: out = ceil(in / stride), the odd pixel at the end.
    """

    def windows(x: np.ndarray, stride: int) -> np.ndarray:
        totals = [max((-(-side // stride) - 1) * stride + 3 - side, 0) for side in x.shape[:2]]
        x = np.pad(x, (*((total // 2, total - total // 2) for total in totals), (0, 0)))
        return np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(0, 1))[::stride, ::stride]

    def norm(x: np.ndarray, layer: str) -> np.ndarray:
        gamma, beta, mean, variance = (
            arrays[f"{layer}/BatchNorm/{name}"] for name in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        return np.clip((x - mean) / np.sqrt(variance + 1e-3) * gamma + beta, 0, 6)

    x = norm(np.einsum("hwcij,ijco->hwo", windows(x, 2), arrays["Conv2d_0/weights"], optimize=True), "Conv2d_0")
    maps = []
    for index in range(1, 14):
        stride = 2 if index in {2, 4, 6, 12} else 1
        depthwise, pointwise = f"Conv2d_{index}_depthwise", f"Conv2d_{index}_pointwise"
        kernel = arrays[f"{depthwise}/depthwise_weights"][..., 0]
        x = norm(np.einsum("hwcij,ijc->hwc", windows(x, stride), kernel, optimize=True), depthwise)
        x = norm(x @ arrays[f"{pointwise}/weights"][0, 0], pointwise)
        if index in {1, 3, 5, 11, 13}:
            maps.append(x)
    return maps
