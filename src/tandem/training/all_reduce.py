"""Means of gradients over processes that are on their way while the backward still computes others.

The gradients of a phase travel in buckets. The first backward of a phase only notes in which order they are complete;
from the second on a bucket is sent as soon as all of its gradients are there, and all buckets before it are sent. The
buckets are the same ones in every step and, in the main process's order, in every process: sums of three and more
numbers depend on where in a bucket these are.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor

BUCKET_BYTES = 32 * 2**20

Finish = Callable[[], None]
"""Waits for tensors that are on their way, and replaces them, in place, by their means."""
Begin = Callable[[Sequence[Tensor]], Finish]
"""Sends tensors of one type to all processes."""


def buckets(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Tensors of one type together, in their order, up to `BUCKET_BYTES`."""
    by_type: dict[torch.dtype, list[Tensor]] = {}
    for tensor in tensors:
        by_type.setdefault(tensor.dtype, []).append(tensor)
    for group in by_type.values():
        bucket: list[Tensor] = []
        for tensor in group:
            bucket.append(tensor)
            if sum(one.numel() * one.element_size() for one in bucket) >= BUCKET_BYTES:
                yield bucket
                bucket = []
        if bucket:
            yield bucket


class OverlappedAllReduce:
    """Averages the gradients of each phase, as many of them as can be while its backward runs.

    Args:
        begin: Sends a bucket.
        tell: Gives all processes the main one's value, which JSON can hold.
    """

    def __init__(self, begin: Begin, tell: Callable[[Any], Any]) -> None:
        self._begin, self._tell = begin, tell
        self._plans: dict[tuple[int, ...], list[list[int]]] = {}
        self._watched: Sequence[Tensor] = ()
        self._arrived: list[int] = []
        self._under_way: list[tuple[list[Tensor], Finish]] = []

    @contextmanager
    def watch(self, parameters: Sequence[Tensor]) -> Iterator[None]:
        """Send the gradients of `parameters` as the backward inside completes them.

        Raises:
            PeerError: Another process is gone.
        """
        self._watched, self._arrived, self._under_way = parameters, [], []
        plan = self._plans.get(_key(parameters))
        missing = [set(bucket) for bucket in plan or []]

        def arrive(number: int) -> None:
            self._arrived.append(number)
            for bucket in missing:
                bucket.discard(number)
            while len(self._under_way) < len(missing) and not missing[len(self._under_way)]:
                self._send_planned(len(self._under_way))

        with ExitStack() as hooks:
            # A single bucket is complete when the backward is done: nothing can be early.
            for number, parameter in enumerate(parameters) if plan is None or len(plan) > 1 else ():
                handle = parameter.register_post_accumulate_grad_hook(lambda _, number=number: arrive(number))
                hooks.callback(handle.remove)
            yield

    def __call__(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors, in place, by their means over all processes: those under way, and all others.

        Raises:
            PeerError: Another process is gone.
        """
        if self._watched:
            if _key(self._watched) not in self._plans:
                self._make_plan()
            for index in range(len(self._under_way), len(self._plans[_key(self._watched)])):
                self._send_planned(index)
        sent = {id(tensor) for bucket, _ in self._under_way for tensor in bucket}
        for bucket in buckets([tensor for tensor in tensors if id(tensor) not in sent]):
            self._send(bucket)
        for _, finish in self._under_way:
            finish()
        self._watched, self._under_way = (), []

    def _make_plan(self) -> None:
        """Decide, for this and all later backwards of a phase, on buckets in the order in which gradients arrived."""
        gradients = self._gradients(self._arrived)
        numbers = {id(gradient): number for number, gradient in zip(self._arrived, gradients, strict=True)}
        own = [[numbers[id(one)] for one in bucket] for bucket in buckets(gradients)]
        self._plans[_key(self._watched)] = self._tell(own)

    def _send_planned(self, index: int) -> None:
        """Send the gradients of a bucket, as far as they are there."""
        gradients = self._gradients(self._plans[_key(self._watched)][index])
        if gradients:
            self._send(gradients)

    def _send(self, bucket: list[Tensor]) -> None:
        self._under_way.append((bucket, self._begin(bucket)))

    def _gradients(self, numbers: Sequence[int]) -> list[Tensor]:
        found = [self._watched[number].grad for number in numbers]
        return [gradient for gradient in found if gradient is not None]


def _key(parameters: Sequence[Tensor]) -> tuple[int, ...]:
    return tuple(map(id, parameters))
