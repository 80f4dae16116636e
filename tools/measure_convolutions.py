"""Time convolutions on a CPU: PyTorch's layers against the cheaper forms of `tandem.networks.convolutions`.

    python tools/measure_convolutions.py

Milliseconds of CPU time of one thread for forward and backward, the least of several calls; the layers are those of
BicycleGAN at 256 px and batch 2. One line is printed per layer.
"""

import time
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tandem.networks import convolutions
from tandem.networks.convolutions import DownConv, LogitConv, PooledConv, UpConv

INNERMOST = [
    (nn.ConvTranspose2d, 512, 512, 1),
    (nn.ConvTranspose2d, 1024, 512, 2),
    (nn.ConvTranspose2d, 1024, 512, 4),
    (nn.ConvTranspose2d, 1024, 512, 8),
    (nn.ConvTranspose2d, 1024, 256, 16),
    (nn.Conv2d, 520, 512, 4),
    (nn.Conv2d, 520, 512, 8),
    (nn.Conv2d, 520, 512, 16),
]
"""Kind, channels in and out, side of the map that goes in."""
POOLED = [(64, 128, 128), (128, 192, 64), (192, 256, 32), (256, 256, 16)]
"""Channels in and out, side of the map, in the encoder."""
LOGITS = [(512, 31), (256, 15)]
"""Channels and side of the map, in the discriminators."""
WITH_LATENT = [(3, 64, 256), (64, 128, 128), (128, 256, 64), (256, 512, 32)]
"""Channels in, without the 8 of the latent, and out, side of the map, in the generator."""
CALLS = 6

Case = tuple[str, Callable[[], Tensor], Callable[[], Tensor], list[Tensor]]
"""Its name, PyTorch's way, the cheaper way, and what gradients are computed of."""


def main() -> None:
    torch.set_num_threads(1)
    for cases in (innermost(), pooled(), logits(), with_latent()):
        for name, plain, ours, inputs in cases:
            torch.testing.assert_close(ours(), plain(), rtol=1e-3, atol=1e-4)
            before, after = (least(lambda: both_ways(way, inputs)) for way in (plain, ours))  # noqa: B023  (called at once)
            print(f"{name:<36} {before:6.1f} ms, {after:6.1f} ms")


def innermost() -> Iterator[Case]:
    convolutions.MOST_PIXELS = 10**9
    for kind, in_channels, out_channels, side in INNERMOST:
        layer, x = kind(in_channels, out_channels, 4, stride=2, padding=1), image(2, in_channels, side)
        layer.__class__ = UpConv if kind is nn.ConvTranspose2d else DownConv
        plain = kind.forward
        name = (
            f"{'transposed' if kind is nn.ConvTranspose2d else 'plain'}, {in_channels} -> {out_channels}, {side}x{side}"
        )
        yield name, lambda: plain(layer, x), lambda: layer(x), [x, *layer.parameters()]  # noqa: B023


def pooled() -> Iterator[Case]:
    for in_channels, out_channels, side in POOLED:
        layer, x = nn.Conv2d(in_channels, out_channels, 3, padding=1), image(1, in_channels, side)
        layer.__class__ = PooledConv
        name = f"pooled, {in_channels} -> {out_channels}, {side}x{side}"
        yield (
            name,
            lambda: F.avg_pool2d(nn.Conv2d.forward(layer, x), 2),  # noqa: B023
            lambda: layer(x),  # noqa: B023
            [x, *layer.parameters()],
        )


def logits() -> Iterator[Case]:
    for channels, side in LOGITS:
        layer, x = nn.Conv2d(channels, 1, 4, padding=1), image(1, channels, side)
        layer.__class__ = LogitConv
        name = f"to logits, {channels} -> 1, {side}x{side}"
        yield name, lambda: nn.Conv2d.forward(layer, x), lambda: layer(x), [x, *layer.parameters()]  # noqa: B023


def with_latent() -> Iterator[Case]:
    for in_channels, out_channels, side in WITH_LATENT:
        layer, x = nn.Conv2d(in_channels + 8, out_channels, 4, stride=2, padding=1), image(2, in_channels, side)
        layer.__class__ = DownConv
        assert isinstance(layer, DownConv)
        down: DownConv = layer
        z = torch.randn(2, 8, requires_grad=True)
        wanted = [z, *layer.parameters()] if in_channels == 3 else [x, z, *layer.parameters()]

        def joined(layer: nn.Conv2d = layer, x: Tensor = x, z: Tensor = z) -> Tensor:
            tiled = z[:, :, None, None].expand(-1, -1, *x.shape[2:])
            return nn.Conv2d.forward(layer, torch.cat([x, tiled], 1))

        name = f"with a latent, {in_channels} + 8 -> {out_channels}, {side}x{side}"
        yield name, joined, lambda: down.forward_apart(x, z), wanted  # noqa: B023


def image(n: int, channels: int, side: int) -> Tensor:
    return torch.randn(n, channels, side, side, requires_grad=channels > 3)


def both_ways(way: Callable[[], Tensor], inputs: list[Tensor]) -> None:
    output = way()
    torch.autograd.grad(output, inputs, torch.ones_like(output))


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
