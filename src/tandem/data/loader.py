"""Batches without end from any position of the run, the same ones for any number of worker processes."""

import signal
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self, TypedDict, runtime_checkable

import torch
from torch.utils.data import DataLoader, Dataset

from tandem.data.datasets import Sample
from tandem.data.micro_batches import MicroBatches
from tandem.errors import ConfigError, DataError


class Batch(TypedDict):
    """Samples of consecutive positions: `a` and `b` are ``(N, C, H, W)``, float32, [-1, 1].

    They are on the CPU, but for data that lives on a device.
    """

    a: torch.Tensor
    b: torch.Tensor
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
    """An iterator over batches, made by `make_loader`; a context manager, whose end stops the workers."""

    def __init__(self, loader: DataLoader) -> None:
        # The iterator is the only owner of the workers: they end when the reference to it is dropped.
        self._batches: Iterator[Batch | _Failure] | None = iter(loader)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Batch:
        """The next batch.

        Raises:
            DataError: A file of it could not be read, in whichever process.
        """
        if self._batches is None:
            raise RuntimeError("This loader is closed.")
        batch = next(self._batches)
        if isinstance(batch, _Failure):
            raise batch.error
        return batch

    def close(self) -> None:
        """Stop the workers and wait for their end; closing twice does nothing."""
        self._batches = None


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
    loader = DataLoader(
        _Guarded(dataset),
        batch_sampler=_Positions(start, batch_size, micro_batches),
        num_workers=num_workers,
        collate_fn=_collate,
        pin_memory=pin_memory,
        worker_init_fn=_init_worker,
        prefetch_factor=2 if num_workers else None,
        generator=torch.Generator(),  # without one of its own it would draw from the global state
    )
    return BatchLoader(loader)


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

    def __iter__(self) -> Iterator[list[int]]:
        return self.micro_batches.positions(self.start, self.batch_size)


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
    return Batch(
        a=torch.stack([sample["a"] for sample in good]),
        b=torch.stack([sample["b"] for sample in good]),
        names=[sample["name"] for sample in good],
        positions=[sample["position"] for sample in good],
    )


def differing_sizes(names: Sequence[str], sizes: Sequence[tuple[tuple[int, ...], tuple[int, ...]]]) -> DataError:
    """The error for a batch whose images differ in size: names, and ``(height, width)`` of A and of B."""
    texts = [" x ".join(map(str, a)) + ", " + " x ".join(map(str, b)) for a, b in sizes]
    given = ", ".join(f"{name} ({text})" for name, text in zip(names, texts, strict=True))
    return DataError(
        f"images of different sizes cannot share a batch (height x width of A, of B): {given}. Choose a "
        "--preprocess that crops, or --batch-size 1 if the method allows it."
    )


def _init_worker(worker: int) -> None:
    """Leave Ctrl-C and termination to the training process, which saves its state and then ends its workers.

    Both reach the whole process group; a worker that died first would end the run before it has saved.
    torch itself limits each worker to one thread.
    """
    del worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
