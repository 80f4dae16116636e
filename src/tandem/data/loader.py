"""Batches without end from any position of the run, the same ones for any number of worker processes."""

import logging
import multiprocessing
import os
import signal
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import NotRequired, Protocol, Self, TypedDict, runtime_checkable

import torch
from torch.utils.data import DataLoader, Dataset

from tandem.data.datasets import Sample
from tandem.data.handover import (
    BATCHES_AHEAD,
    Parcel,
    free_shared_memory,
    shared_memory_suffices,
    usable_workers,
)
from tandem.data.micro_batches import MicroBatches
from tandem.errors import ConfigError, DataError, LostWorkersError

MAX_LOSSES, LOSS_BATCHES = 3, 100
"""So many times may workers be lost within so many batches."""
ENDING_SECONDS = 5.0
"""How long a process that has closed its connections may take to end."""
AMPLE_SHARED_MEMORY = 4 * 2**30

log = logging.getLogger(__name__)

_MASKS = ("mask_a", "mask_b")
_IMAGES = ("a", "b", *_MASKS)
"""What of samples and batches are tensors."""


def images_in(batch: "Batch | Sample") -> dict[str, torch.Tensor]:
    """The tensors of a batch or a sample, by name: images, and masks where there are any."""
    return {name: tensor for name, tensor in batch.items() if name in _IMAGES and isinstance(tensor, torch.Tensor)}


class Batch(TypedDict):
    """Samples of consecutive positions: `a` and `b` are ``(N, C, H, W)``, float32, [-1, 1].

    They are on the CPU, but for data that lives on a device. Where pixels are masked, `mask_a` and `mask_b` are
    ``(N, 1, H, W)``, float32, 1 where a pixel is valid, else 0.
    """

    a: torch.Tensor
    b: torch.Tensor
    mask_a: NotRequired[torch.Tensor]
    mask_b: NotRequired[torch.Tensor]
    names: list[str]
    positions: list[int]


class SampleSource(Protocol):
    """Training data: a sample for every position from 0, without end."""

    def __len__(self) -> int:
        """The number of positions in an epoch."""
        ...

    def __getitem__(self, position: int) -> Sample:
        """The sample at a position, raising `DataError` where a file cannot be read."""
        ...

    def files_at(self, position: int) -> list[str]:
        """What the sample at a position is read from, for messages."""
        ...


@runtime_checkable
class BatchSource(SampleSource, Protocol):
    """Training data that makes whole batches by itself, in this process."""

    def batch_at(self, positions: Sequence[int]) -> Batch:
        """The samples at some positions, raising `DataError` where they cannot be had."""
        ...


class Closing(ABC):
    """A context manager whose end closes it."""

    @abstractmethod
    def close(self) -> None:
        """Give back what is held; closing twice does nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class BatchLoader(Closing):
    """An iterator over batches, made by `make_loader`; a context manager, whose end stops the workers.

    Workers that are killed are replaced: which batch comes next follows from the position alone.

    Args:
        make: Makes a loader of the batches from the one with this number on; `plainly` hands them over in a way that
            does not need ``/dev/shm``.
        plainly: Whether to begin so.
    """

    def __init__(self, make: Callable[[int, bool], DataLoader], *, plainly: bool = False) -> None:
        self._make, self._plainly = make, plainly
        self._delivered = 0
        self._losses: list[int] = []
        self._workers: list[BaseProcess] = []
        self._lost: list[object] = []
        self._batches: Iterator[Batch | _Failure] | None = None
        self._start()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Batch:
        """The next batch.

        Raises:
            DataError: A file of it could not be read, in whichever process.
            LostWorkersError: Workers are killed again and again.
        """
        while True:
            if self._batches is None:
                raise RuntimeError("This loader is closed.")
            try:
                batch = next(self._batches)
            except (RuntimeError, OSError, EOFError) as error:
                if not (codes := self._lost_codes()):
                    raise
                self._replace(codes, error)
                continue
            if isinstance(batch, _Failure):
                raise batch.error
            self._delivered += 1
            return batch

    def close(self) -> None:
        """Stop the workers and wait for their end; closing twice does nothing."""
        # The iterator is the only owner of the workers: they end when the reference to it is dropped, unless the
        # traceback of an error holds another one. What they are at is of no use to anybody.
        self._batches = None
        self._kill()

    def _start(self) -> None:
        others = set(multiprocessing.active_children())
        with _plain_child_signal():
            self._batches = iter(self._make(self._delivered, self._plainly))
        self._workers = [child for child in multiprocessing.active_children() if child not in others]

    def _lost_codes(self) -> list[int]:
        """How workers have ended; one that is just ending is waited for.

        A process that is killed closes its connections, which is what brings an error here, before its parent can see
        that it has ended.
        """
        if self._workers and wait([worker.sentinel for worker in self._workers], timeout=ENDING_SECONDS):
            for worker in self._workers:
                if wait([worker.sentinel], timeout=0):
                    worker.join(ENDING_SECONDS)
        return [worker.exitcode for worker in self._workers if worker.exitcode is not None]

    def _kill(self) -> None:
        for worker in self._workers:
            if worker.is_alive():
                worker.kill()  # they ignore a friendlier signal
        for worker in self._workers:
            worker.join()
        self._workers = []

    def _replace(self, codes: Sequence[int | None], error: Exception) -> None:
        """Begin anew with the batch that is due, unless that has been of no use before."""
        # A killed process may have held a lock for ever on which torch's way to stop the others would wait, so these
        # are killed too, and the iterator is kept, that nobody may clean up after it.
        self._lost.append(self._batches)
        self._batches = None
        self._kill()
        self._losses = [*(one for one in self._losses if self._delivered - one < LOSS_BATCHES), self._delivered]
        how = ", ".join(_ending(code) for code in codes)
        if len(self._losses) > MAX_LOSSES:
            raise LostWorkersError(
                f"processes that load images have been killed {len(self._losses)} times within {LOSS_BATCHES} batches "
                f"(the last: {how}). If memory ran out, lower --num-workers, --decoded-gb or --batch-size."
            ) from error
        if sys.platform != "win32" and -signal.SIGBUS in codes:
            self._plainly = True
        log.warning(
            "a process that loads images was lost (%s) and is replaced. The system kills those that take too much "
            "memory: lower --num-workers or --decoded-gb if it happens again",
            how,
        )
        self._start()


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        with suppress(ValueError):
            return f"killed by {signal.Signals(-code).name}"
    return f"status {code}"


@contextmanager
def _plain_child_signal() -> Iterator[None]:
    """Keep torch from raising an error wherever the program is when a worker is killed: `BatchLoader` looks itself."""
    before = None if sys.platform == "win32" else signal.getsignal(signal.SIGCHLD)
    try:
        yield
    finally:
        if before is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGCHLD, before)


def make_loader(
    dataset: SampleSource,
    *,
    start: int,
    batch_size: int,
    num_workers: int,
    micro_batches: MicroBatches = MicroBatches(),  # noqa: B008  (immutable)
    pin_memory: bool = False,
) -> BatchLoader:
    """Start loading batches from a position of the run.

    A batch is `batch_size` consecutive positions, the first one from `start` on; this process gets its own
    micro-batches of it, one after the other. They are the same ones, in the same order, for any number of workers, and
    the global random state of torch is not touched.

    Args:
        dataset: Where samples come from; it is sent to the workers. A `BatchSource` goes without them, and batches stay
            where it makes them.
        start: The position of the first sample, i.e. how many the whole run has used before.
        batch_size: Samples of a whole batch, of all processes together.
        num_workers: Processes that decode; 0 decodes in this one.
        micro_batches: How the batch is split, and what of it is loaded here.
        pin_memory: Put batches into page-locked memory, for asynchronous copies to a GPU.

    Returns:
        An endless iterator over micro-batches, to be closed.
    """
    problems = [
        text
        for wrong, text in (
            (start < 0, f"start is {start}, it must be at least 0"),
            (batch_size < 1, f"the batch size is {batch_size}, it must be at least 1"),
            (num_workers < 0, f"the number of workers is {num_workers}, it must be at least 0"),
        )
        if wrong
    ]
    if problems:
        raise ConfigError(f"The loader cannot be made: {'; '.join(problems)}.")
    if isinstance(dataset, BatchSource):
        num_workers, pin_memory = 0, False
    micro_batches.require_equal(batch_size)
    num_workers = usable_workers(num_workers)

    def make(delivered: int, plainly: bool) -> DataLoader:
        whole, skip = divmod(delivered, micro_batches.number)
        return DataLoader(
            _Guarded(dataset),
            batch_sampler=_Positions(start + whole * batch_size, batch_size, micro_batches, skip),
            num_workers=num_workers,
            collate_fn=_collate_plainly if plainly and num_workers else _collate,
            pin_memory=pin_memory,
            worker_init_fn=_init_worker,
            prefetch_factor=BATCHES_AHEAD if num_workers else None,
            generator=torch.Generator(),  # without one of its own it would draw from the global state
        )

    samples = batch_size // micro_batches.count
    return BatchLoader(make, plainly=num_workers > 0 and not _fits(dataset, start, samples, num_workers))


def _fits(dataset: SampleSource, start: int, samples: int, num_workers: int) -> bool:
    """Whether ``/dev/shm`` has room for the batches; of one that is large nobody needs to know their size."""
    free = free_shared_memory()
    if free is None or free >= AMPLE_SHARED_MEMORY:
        return True
    try:
        sample = dataset[start]
    except DataError:  # said where its batch is asked for
        return False
    batch_bytes = samples * sum(image.nbytes for image in images_in(sample).values())
    if shared_memory_suffices(batch_bytes, num_workers, processes=int(os.environ.get("LOCAL_WORLD_SIZE", "1"))):
        return True
    log.info(
        "/dev/shm has %.0f MB free, too little for %d batches of %.1f MB: they are handed over in nameless files",
        *(free / 1e6, num_workers * (BATCHES_AHEAD + 1), batch_bytes / 1e6),
    )
    return False


@dataclass(frozen=True)
class _Failure:
    """An error on its way to the training process; raised in a worker, torch would bury it in a traceback."""

    error: DataError


@dataclass(frozen=True)
class _Positions:
    """The positions of each share of this process, without end."""

    start: int
    batch_size: int
    micro_batches: MicroBatches
    skip: int = 0

    def __iter__(self) -> Iterator[list[int]]:
        return islice(self.micro_batches.positions(self.start, self.batch_size), self.skip, None)


class _Guarded(Dataset["Sample | _Failure"]):
    def __init__(self, source: SampleSource) -> None:
        self._source = source

    def __getitem__(self, position: int) -> "Sample | _Failure":
        try:
            return self._source[position]
        except DataError as error:
            return _Failure(error)

    def __getitems__(self, positions: list[int]) -> "list[Sample | _Failure] | Batch | _Failure":
        """All of a batch; torch asks for this where it is there."""
        if not isinstance(self._source, BatchSource):
            return [self[position] for position in positions]
        try:
            return self._source.batch_at(positions)
        except DataError as error:
            return _Failure(error)


def _collate(samples: Sequence[Sample | _Failure] | Batch | _Failure) -> Batch | _Failure:
    if not isinstance(samples, Sequence):
        return samples
    good: list[Sample] = []
    for sample in samples:
        if isinstance(sample, _Failure):
            return sample
        good.append(sample)
    sizes = [(tuple(sample["a"].shape[1:]), tuple(sample["b"].shape[1:])) for sample in good]
    if len(set(sizes)) > 1:
        return _Failure(differing_sizes([sample["name"] for sample in good], sizes))
    images = {name: torch.stack([sample[name] for sample in good]) for name in images_in(good[0])}
    if all(images[name].all() for name in _MASKS if name in images):  # so nothing is computed in another way
        images = {name: image for name, image in images.items() if name not in _MASKS}
    return Batch(
        **images,  # type: ignore[typeddict-item]
        names=[sample["name"] for sample in good],
        positions=[sample["position"] for sample in good],
    )


def _collate_plainly(samples: Sequence[Sample | _Failure] | Batch | _Failure) -> "Parcel | _Failure":
    batch = _collate(samples)
    if isinstance(batch, _Failure):
        return batch
    return Parcel(images_in(batch), {"names": batch["names"], "positions": batch["positions"]})


def differing_sizes(names: Sequence[str], sizes: Sequence[tuple[tuple[int, ...], tuple[int, ...]]]) -> DataError:
    """The error for a batch whose images differ in size: names, and ``(height, width)`` of A and of B."""
    texts = [" x ".join(map(str, a)) + ", " + " x ".join(map(str, b)) for a, b in sizes]
    given = ", ".join(f"{name} ({text})" for name, text in zip(names, texts, strict=True))
    return DataError(
        f"images of different sizes cannot share a batch (height x width of A, of B): {given}. Choose a "
        "--preprocess that crops, or --batch-size 1 if the method allows it."
    )


def _init_worker(worker: int) -> None:
    """Leave Ctrl-C and other friendly signals to the training process, which saves its state, then ends its workers.

    They reach the whole process group; a worker that died first would end the run before it has saved.
    torch itself limits each worker to one thread.
    """
    del worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
