"""Randomness as a function: everything random follows from (seed, stream, rank, position).

No generator is carried from one step to the next. A resumed run, a run with another number of loader
workers and an uninterrupted run therefore draw the same numbers, because each asks for the draw that
belongs to a position, not for "the next" one.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def derive_seed(seed: int, stream: str, *, rank: int = 0, position: int = 0) -> int:
    """Derive a 63-bit seed for one draw.

    Args:
        seed: The seed of the run.
        stream: What the draw is for, e.g. ``"augment"``; streams are independent of one another.
        rank: The process, where draws must differ between processes.
        position: Counts the draws of a stream, e.g. the index of a sample since the start of the run.

    Returns:
        An integer in [0, 2**63), the same on every platform and version (BLAKE2b of the arguments).
    """
    key = f"{seed}\x1f{stream}\x1f{rank}\x1f{position}".encode()
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big") >> 1


def numpy_generator(seed: int, stream: str, *, rank: int = 0, position: int = 0) -> np.random.Generator:
    """A NumPy generator for one draw; see `derive_seed`."""
    return np.random.default_rng(derive_seed(seed, stream, rank=rank, position=position))


def normal(seed: int, stream: str, positions: Sequence[int], shape: Sequence[int], *, rank: int = 0) -> "torch.Tensor":
    """Standard normal draws, one of `shape` for each position.

    Returns:
        ``(len(positions), *shape)``, float32, on the CPU: the same numbers whatever the device and however
        the positions are spread over batches or processes.
    """
    import torch  # noqa: PLC0415  (kept out of the start-up of the command line)

    return _drawn(torch.randn, shape, [derive_seed(seed, stream, rank=rank, position=p) for p in positions])


def uniform(seed: int, stream: str, positions: Sequence[int], shape: Sequence[int], *, rank: int = 0) -> "torch.Tensor":
    """Draws from [0, 1), otherwise as `normal`."""
    import torch  # noqa: PLC0415  (kept out of the start-up of the command line)

    return _drawn(torch.rand, shape, [derive_seed(seed, stream, rank=rank, position=p) for p in positions])


def _drawn(draw: "Callable[..., torch.Tensor]", shape: Sequence[int], seeds: Sequence[int]) -> "torch.Tensor":
    import torch  # noqa: PLC0415  (kept out of the start-up of the command line)

    draws = [draw(tuple(shape), generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    return torch.stack(draws) if draws else torch.empty(0, *shape)
