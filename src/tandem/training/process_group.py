"""What processes that train one model do together; one process is a group of one, for which it does nothing.

Numbers go through collectives (NCCL for tensors on GPUs, gloo for those on the CPU), words and waiting through the
store of keys that `tandem.training.distributed` has connected. A wait there has no time-out: it ends when a process
dies.
"""

import itertools
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from tandem.config.training import Overlap
from tandem.errors import ConfigError, PeerError
from tandem.networks.synchronised import naming_lost_peers, synchronise_batch_norms
from tandem.objectives.objective import Objective
from tandem.training.all_reduce import Finish, OverlappedAllReduce, buckets
from tandem.training.heartbeat import Heartbeat
from tandem.training.step import AllReduce

T = TypeVar("T")

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.001, 0.1
LAST_WORD_SECONDS = 1.0
LEAVE_TIMEOUT = timedelta(minutes=1)
_FAILURE = "failure"
_INTEGERS = {2: torch.int16, 4: torch.int32, 8: torch.int64}


@dataclass(frozen=True, kw_only=True)
class ProcessGroup:
    """The processes that train together, seen from one of them.

    All processes must call the methods in the same order.

    Attributes:
        device: What this process computes on.
        rank: Its number; process 0 is the main one, which alone writes.
        size: How many there are.
    """

    device: torch.device
    rank: int = 0
    size: int = 1
    store: dist.Store | None = None
    heartbeat: Heartbeat | None = None
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def is_main(self) -> bool:
        """Whether this process writes."""
        return self.rank == 0

    def join(self, objective: Objective) -> None:
        """Let what a method computes over a batch count the batch of all processes: batch norm and image pools."""
        if self.size == 1:
            return
        synchronise_batch_norms(objective.networks, rank=self.rank, size=self.size)
        for pool in objective.pools.values():
            pool.join(self.gather_rows, rank=self.rank)

    def all_reduce(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors, in place, by their mean over all processes.

        They are sent in buckets, each flat and of one type; while one is under way the next one is packed.

        Raises:
            PeerError: Another process is gone.
        """
        for finish in [self.begin_all_reduce(bucket) for bucket in buckets(tensors)] if self.size > 1 else []:
            finish()

    def begin_all_reduce(self, tensors: Sequence[Tensor]) -> Finish:
        """Send tensors of one type; what comes back waits for their means and puts these in their place.

        Raises:
            PeerError: Another process is gone.
        """
        flat = torch.cat([tensor.detach().reshape(-1) for tensor in tensors])
        with naming_lost_peers():
            work = dist.all_reduce(flat, async_op=True)
        assert work is not None

        def finish() -> None:
            with naming_lost_peers():
                work.wait()
            flat.div_(self.size)
            pieces = flat.split([tensor.numel() for tensor in tensors])
            shaped = [piece.view(tensor.shape) for tensor, piece in zip(tensors, pieces, strict=True)]
            torch._foreach_copy_([tensor.detach() for tensor in tensors], shaped)

        return finish

    def gather_rows(self, rows: Tensor) -> Tensor:
        """Put the rows ``(N, …)`` of all processes below each other, in the order of the ranks: ``(size · N, …)``."""
        if self.size == 1:
            return rows
        parts = [torch.empty_like(rows, memory_format=torch.contiguous_format) for _ in range(self.size)]
        with naming_lost_peers():
            dist.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    def main_first(self, work: Callable[[], T]) -> T:
        """Do `work` in the main process, then in the others, which find what it has left in files."""
        if self.is_main:
            result = work()
            self.broadcast(None)
            return result
        self.broadcast(None)
        return work()

    def on_main(self, work: Callable[[], T]) -> T | None:
        """Do `work` in the main process while the others wait, however long it takes; only there it has a value."""
        result = work() if self.is_main else None
        self.broadcast(None)
        return result

    def broadcast(self, value: Any) -> Any:
        """Give all processes the main one's `value`, which JSON can hold."""
        if self.store is None:
            return value
        key = f"broadcast/{next(self._numbers)}"
        if self.is_main:
            self._set(key, value)
            return value
        return self._get(key)

    def gather(self, value: Any) -> list[Any]:
        """All processes' values, which JSON can hold, by rank."""
        if self.store is None:
            return [value]
        number = next(self._numbers)
        self._set(f"gathered/{number}/{self.rank}", value)
        return [self._get(f"gathered/{number}/{rank}") for rank in range(self.size)]

    def post(self, name: str, value: Any) -> None:
        """Leave a value, which JSON can hold, under a name for another process to take; nobody waits."""
        self._set(f"posted/{name}", value)

    def is_posted(self, name: str) -> bool:
        """Whether somebody has left a value under a name.

        Raises:
            PeerError: Another process is gone.
        """
        assert self.store is not None
        with naming_lost_peers():
            return self.store.check([f"posted/{name}"])

    def take(self, name: str) -> Any:
        """The value that another process leaves under a name, as soon as it is there.

        Raises:
            PeerError: Another process is gone.
        """
        return self._get(f"posted/{name}")

    def broadcast_tensors(self, tensors: Mapping[str, Tensor] | None) -> dict[str, Tensor]:
        """Give all processes the main one's tensors, by name, on the CPU; the others give None."""
        if self.size == 1:
            return dict(tensors or {})
        given = {name: tensor.cpu().contiguous() for name, tensor in (tensors or {}).items()}
        kinds = [[name, list(tensor.shape), str(tensor.dtype)] for name, tensor in given.items()]
        shared = {}
        for name, shape, kind in self.broadcast(kinds):
            dtype = getattr(torch, kind.removeprefix("torch."))
            tensor = given[name] if self.is_main else torch.empty(shape, dtype=dtype)
            with naming_lost_peers():
                dist.broadcast(tensor, src=0)
            shared[name] = tensor
        return shared

    def require_same(self, what: str, value: Any) -> None:
        """Refuse to train where the processes do not agree on `value`, which JSON can hold.

        Raises:
            ConfigError: They do not.
        """
        values = self.gather(value)
        other = next((rank for rank, one in enumerate(values) if one != values[0]), None)
        if other is not None:
            self.leave()  # all of them find the same
            raise ConfigError(
                f"the processes of this command differ in {what}: process 0 has {values[0]}, process {other} has "
                f"{values[other]}. Give all machines the same version of Tandem, the same options and the same data."
            )

    def require_same_weights(self, networks: nn.Module) -> None:
        """Refuse to go on where the processes have come apart, which no result would show.

        Raises:
            PeerError: Their weights differ, if only in a bit.
        """
        if self.size == 1:
            return
        # The sum of the bits as integers depends on no order, so it is the same for the same weights on any device.
        sums = [p.detach().view(_INTEGERS[p.element_size()]).sum(dtype=torch.int64) for p in networks.parameters()]
        values = self.gather(int(torch.stack(sums).sum()))
        other = next((rank for rank, one in enumerate(values) if one != values[0]), None)
        if other is not None:
            raise PeerError(
                f"the weights of process {other} differ from those of process 0, though both have computed the same: a "
                "machine is broken, or has other kernels. The last checkpoint was written while they were the same; "
                "the same command continues from it."
            )

    def _set(self, key: str, value: Any) -> None:
        assert self.store is not None
        with naming_lost_peers():
            self.store.set(key, json.dumps(value))

    def _get(self, key: str) -> Any:
        """Wait for a key as long as all processes live."""
        assert self.store is not None
        pause = FIRST_PAUSE_SECONDS
        # Asking again and again, because a wait with a time-out, which signals and deaths need, leaves warnings.
        with naming_lost_peers():
            while not self.store.check([key]):
                # A process that has failed may have left the key before that, after it was asked for here.
                if self.store.check([_FAILURE]) and not self.store.check([key]):
                    raise PeerError(self.store.get(_FAILURE).decode())
                if self.heartbeat is not None:
                    self.heartbeat.check()
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            return json.loads(self.store.get(key))

    def leave(self) -> None:
        """End together: process 0 may hold the store, so it goes last, when the others have read what they need."""
        if self.store is None:
            return
        with naming_lost_peers():
            self.store.set(f"left/{self.rank}", "")
            if self.is_main:
                self.store.wait([f"left/{rank}" for rank in range(self.size)], LEAVE_TIMEOUT)

    def report(self, error: BaseException) -> None:
        """Leave a word for the others before this process ends."""
        if self.store is None or isinstance(error, PeerError):
            return
        text = f"process {self.rank} of {self.size} has ended: {type(error).__name__}: {error}"
        with suppress(RuntimeError):
            self.store.set(_FAILURE, text)

    def explained(self, error: PeerError) -> PeerError:
        """The word that another process has left, if it was able to."""
        assert self.store is not None
        deadline = time.monotonic() + LAST_WORD_SECONDS
        with suppress(RuntimeError):
            while time.monotonic() < deadline:
                if self.store.check([_FAILURE]):
                    return PeerError(self.store.get(_FAILURE).decode())
                time.sleep(LONGEST_PAUSE_SECONDS)
        return error


def make_all_reduce(process_group: ProcessGroup, overlap: Overlap) -> AllReduce | None:
    """What averages the gradients of a step over the processes of `process_group`; nothing for one process."""
    if process_group.size == 1:
        return None
    return (
        process_group.all_reduce
        if overlap == "off"
        else OverlappedAllReduce(process_group.begin_all_reduce, process_group.broadcast)
    )


class Agreement:
    """One number that all processes agree on: the largest that any of them gives."""

    def __init__(self, process_group: ProcessGroup) -> None:
        self._process_group = process_group
        self._under_way: tuple[Tensor, dist.Work] | None = None

    def ask(self, value: int) -> int:
        """What was agreed on in the call before: so nobody waits, and all processes hear of it in the same call.

        In one process it is `value` itself.
        """
        if self._process_group.size == 1:
            return value
        before = self._finish()
        number = torch.tensor([value])
        with naming_lost_peers():
            work = dist.all_reduce(number, dist.ReduceOp.MAX, async_op=True)
        assert work is not None
        self._under_way = number, work
        return before

    def settle(self, value: int) -> int:
        """Agree at once, waiting for the others."""
        before = self._finish()
        self.ask(value)
        return max(before, self._finish()) if self._process_group.size > 1 else value

    def _finish(self) -> int:
        if self._under_way is None:
            return 0
        number, work = self._under_way
        with naming_lost_peers():
            work.wait()
        self._under_way = None
        return int(number)
