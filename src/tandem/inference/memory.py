"""How much memory a generator takes, as closed forms that were fitted to measurements (docs/performance.md)."""

from tandem.config.specifications import GeneratorSpec, ResidualUNetSpec, ResNetSpec, UNetSpec

GIB = 2**30
FLOAT = 4


def forward_bytes(spec: GeneratorSpec, height: int, width: int) -> int:
    """The most that the maps of one sample take in a whole forward, float32.

    The maps at the image's two largest resolutions decide. Of the U-Net these are, at its outermost level, the skip,
    the way up before and after its norm, and both joined; of the residual generator the maps at full resolution before
    and after norm and padding, and those at half of it; with blurs twice as many channels are at full resolution. Of
    the residual U-Net these are its outermost maps, doubled to full resolution, joined to the image, and once more as
    its convolution sorts them for itself.
    """
    if isinstance(spec, ResidualUNetSpec):
        return FLOAT * height * width * (5 * spec.filters // 2 + 6 * (spec.in_channels + spec.out_channels))
    maps = 2 if isinstance(spec, UNetSpec) else 8 if spec.antialias else 4
    return FLOAT * height * width * (maps * spec.filters + spec.in_channels + spec.out_channels)


def tile_bytes(spec: GeneratorSpec, side: int) -> int:
    """The most that computing a tile takes, its halo and the layers that are computed again with it included."""
    maps = 20 if isinstance(spec, ResNetSpec) and spec.antialias else 10
    return maps * FLOAT * spec.filters * side**2


def batch_within(spec: GeneratorSpec, height: int, width: int, *, budget_bytes: int, limit: int) -> int:
    """How many samples fit into the budget at once: from 1 to `limit`."""
    return max(1, min(limit, budget_bytes // forward_bytes(spec, height, width)))
