"""What a step computes and moves, counted operator by operator while it runs once.

Arithmetic intensity is floating-point operations over bytes. Operations are those of convolutions and matrix products,
a multiplication and an addition counted as two, as `torch.utils.flop_counter` has them. Bytes are those that a machine
without caches and without fusion would move: every operator reads its inputs and writes its outputs once, views are
free. So the bytes are an upper estimate, and the intensity a lower one.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

UNWRITTEN = frozenset({"aten::empty", "aten::empty_like", "aten::empty_strided", "aten::new_empty"})
"""Operators that reserve memory and leave it alone."""


@dataclass(frozen=True)
class Work:
    """What a step does.

    Attributes:
        flops: Floating-point operations of its convolutions and matrix products.
        bytes: Bytes that its operators read and write.
        kernels: Operators that move anything: about as many kernels are launched.
    """

    flops: int
    bytes: int
    kernels: int

    def times(self, factor: float) -> "Work":
        """The work on `factor` times as many images; the optimisers' share, which does not grow, is neglected."""
        return Work(round(self.flops * factor), round(self.bytes * factor), self.kernels)


def count_work(step: Callable[[], object]) -> Work:
    """Run `step` once and count."""
    traffic = _Traffic()
    with FlopCounterMode(display=False) as flops, traffic:
        step()
    return Work(flops.get_total_flops(), traffic.bytes, traffic.kernels)


class _Traffic(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0
        self.kernels = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if not (func.is_view or func._schema.name in UNWRITTEN):
            moved = sum(map(_size, _moved(func._schema, args, kwargs, result)))
            self.bytes += moved
            self.kernels += moved > 0
        return result


def _moved(schema: Any, args: Sequence[Any], kwargs: dict[str, Any], result: Any) -> Iterator[Tensor]:
    """Every tensor that is read, every one that is written in place, every one that is new."""
    named = dict(zip((argument.name for argument in schema.arguments), args, strict=False)) | kwargs
    for argument in schema.arguments:
        tensors = [leaf for leaf in tree_leaves(named.get(argument.name)) if isinstance(leaf, Tensor)]
        yield from tensors
        if argument.alias_info is not None and argument.alias_info.is_write:
            yield from tensors
    results = result if len(schema.returns) > 1 else [result]
    for returned, value in zip(schema.returns, results or (), strict=False):
        if returned.alias_info is None:
            yield from (leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor))


def _size(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def peak_flops(device: torch.device, dtype: torch.dtype, time: Callable[[Callable[[], object]], float]) -> float:
    """Operations a second of a large matrix product, which is what a machine gives at best.

    Args:
        device: Where.
        dtype: Type of the factors.
        time: Measures the seconds of a call at its best.
    """
    n = 8192 if device.type == "cuda" else 2048
    a, b = (torch.randn(n, n, device=device).to(dtype) for _ in range(2))
    return 2 * n**3 / time(lambda: a @ b)


def peak_bandwidth(device: torch.device, time: Callable[[Callable[[], object]], float]) -> float:
    """Bytes a second, read and written, of a large copy."""
    source = torch.zeros(2**28 if device.type == "cuda" else 2**25, device=device)
    target = torch.empty_like(source)
    return 2 * _size(source) / time(lambda: target.copy_(source))
