"""Sizes that residual U-Nets take, and how many levels they have."""

from collections.abc import Iterator

from tandem.config.data import DataConfig

MAX_LEVELS = 8
INNERMOST = 4
"""Side in pixels of the innermost map, as far as the size of the images allows."""
LARGEST_INNERMOST = 15
"""The largest that it is unless ``--generator-depth`` says so: a generator sees little of an image around a pixel."""
SMALLEST_SIDE = 16


def residual_unet_depth(depth: int | None, data: DataConfig) -> int:
    """Levels: as given, or as many as the size allows (4 at 64 px, 5 at 128, 6 at 256)."""
    if depth is not None:
        return depth
    sides = data.crop_size
    fits = [
        depth
        for depth in range(1, MAX_LEVELS + 1)
        if all(side % 2**depth == 0 for side in sides) and min(sides) // 2**depth >= INNERMOST
    ]
    return max(fits, default=1)


def residual_unet_problems(depth: int | None, data: DataConfig) -> Iterator[str]:
    """Say why a residual U-Net of `depth` levels does not fit the size of the data."""
    if depth is not None and not 1 <= depth <= MAX_LEVELS:
        yield f"--generator-depth must be from 1 to {MAX_LEVELS}, not {depth}"
        return
    least = depth or _least_depth(data)
    levels = f"{'' if depth else 'at least '}{least} level{'s' if least > 1 else ''}"
    if not fits_multiple(data, 2**least):
        yield no_multiple(data, 2**least, f"the generator with {levels} takes")


def fits_multiple(data: DataConfig, multiple: int) -> bool:
    """Whether the sides are multiples of `multiple`, and none is too small."""
    return all(side % multiple == 0 for side in data.crop_size) and min(data.crop_size) >= SMALLEST_SIDE


def no_multiple(data: DataConfig, multiple: int, whose: str) -> str:
    """Say that a size is none of `multiple`, which `whose` (with its verb) wants, and which one is nearest."""
    height, width = data.crop_size
    least = -(-SMALLEST_SIDE // multiple) * multiple
    near = [max(least, round(side / multiple) * multiple) for side in (height, width)]
    advice = "x".join(str(side) for side in (near if height != width else near[:1]))
    return f"--size {data.size}: {whose} multiples of {multiple} px, at least {least}; the nearest is --size {advice}"


def _least_depth(data: DataConfig) -> int:
    """The fewest levels that a generator has by default."""
    small_enough = (d for d in range(1, MAX_LEVELS) if min(data.crop_size) // 2**d <= LARGEST_INNERMOST)
    return next(small_enough, MAX_LEVELS)
