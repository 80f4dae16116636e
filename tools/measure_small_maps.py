"""Time the innermost convolutions of a U-Net on a CPU: PyTorch's against matrix products.

    python tools/measure_small_maps.py

Milliseconds of CPU time of one thread for forward and backward of two images, the least of several calls; the layers
are those of BicycleGAN's generator at 256 px. One line is printed per layer.
"""

import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from tandem.networks import small_maps
from tandem.networks.small_maps import DownConv, UpConv

LAYERS = [
    (UpConv, 512, 512, 1),
    (UpConv, 1024, 512, 2),
    (UpConv, 1024, 512, 4),
    (UpConv, 1024, 512, 8),
    (UpConv, 1024, 256, 16),
    (DownConv, 520, 512, 4),
    (DownConv, 520, 512, 8),
    (DownConv, 520, 512, 16),
]
"""Kind, channels in and out, side of the map that goes in."""
CALLS = 6


def main() -> None:
    torch.set_num_threads(1)
    for kind, in_channels, out_channels, side in LAYERS:
        layer = kind(in_channels, out_channels)
        x = torch.randn(2, in_channels, side, side, requires_grad=True)
        milliseconds = []
        for most in (0, 10**9):
            small_maps.MOST_PLACES = most
            milliseconds.append(least(lambda: both_ways(layer, x)))  # noqa: B023  (called at once)
        name = "transposed" if kind is UpConv else "plain"
        plain, product = milliseconds
        print(f"{name:<10} {in_channels:>4} -> {out_channels} from {side}x{side}: {plain:6.1f} ms, {product:6.1f} ms")


def both_ways(layer: nn.Module, x: Tensor) -> None:
    output = layer(x)
    torch.autograd.grad(output, [x, *layer.parameters()], torch.ones_like(output))


def least(work: Callable[[], None]) -> float:
    work()
    times = []
    for _ in range(CALLS):
        begun = time.process_time()
        work()
        times.append(time.process_time() - begun)
    return 1000 * min(times)


if __name__ == "__main__":
    main()
