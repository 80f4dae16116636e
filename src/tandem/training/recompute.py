"""Activation checkpointing (Chen et al., 2016, 1604.06174): compute a network again in the backward pass.

Only what goes into a network is kept, not its activations; at any time those of one network exist. A step takes about
one more forward of each network, and the same numbers come out: dropout draws the same mask, running statistics are
counted once, and a network that was frozen in the forward pass is frozen in the second one.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


def recompute_activations(network: nn.Module) -> None:
    """Let every call of `network`, and of its `features`, keep no activations."""
    for name in ("forward", "features"):
        if hasattr(network, name):
            setattr(network, name, _recomputed(network, getattr(network, name)))


def _recomputed(network: nn.Module, method: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        trained = [parameter.requires_grad for parameter in network.parameters()]

        def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
            return nullcontext(), _AsItWas(network, trained)

        return checkpoint(method, *arguments, use_reentrant=False, context_fn=contexts)

    return call


class _AsItWas(AbstractContextManager[None]):
    """The state of the first forward: what was frozen then, and statistics that this forward does not change.

    May be entered several times: a graph that is kept is gone through once for each phase that uses it.
    """

    def __init__(self, network: nn.Module, trained: list[bool]) -> None:
        self._network, self._trained = network, trained
        self._now: list[bool] = []
        self._buffers: list[Tensor] = []

    def __enter__(self) -> None:
        self._now = [parameter.requires_grad for parameter in self._network.parameters()]
        self._buffers = [buffer.clone() for buffer in self._network.buffers()]
        self._set(self._trained)

    def __exit__(self, *_: object) -> None:
        self._set(self._now)
        for buffer, kept in zip(self._network.buffers(), self._buffers, strict=True):
            buffer.copy_(kept)

    def _set(self, trained: list[bool]) -> None:
        for parameter, requires in zip(self._network.parameters(), trained, strict=True):
            parameter.requires_grad_(requires)
