"""What keeps a network busy: files are read ahead of it in threads, and its results are fetched late.

Threads are enough: decoding, hashing and networks leave Python's lock alone. What is read and not used yet is bounded.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import torch

from tandem.threads import usable_cores

T = TypeVar("T")
R = TypeVar("R")

_MOST_WORKERS = 8


def suitable_workers(device: torch.device) -> int:
    """How many threads should read for networks on a device: one beside the CPU's own, several for a GPU."""
    return 1 if device.type == "cpu" else min(_MOST_WORKERS, usable_cores())


def read_ahead(work: Callable[[T], R], items: Iterable[T], *, num_threads: int) -> Iterator[R]:
    """``map(work, items)``, with the next `num_threads` results under way or ready when one is taken.

    Args:
        work: What is done with each item; must be safe to run in several threads.
        items: Taken one by one, in the thread of the caller.
        num_threads: 0 for no threads: each result is computed when it is asked for.

    Returns:
        The results in the order of the items. What `work` raises is raised in the place of its result. Once the
        iterator is closed or has raised, nothing more is begun.
    """
    if num_threads == 0:
        yield from map(work, items)
        return
    pool = ThreadPoolExecutor(num_threads, thread_name_prefix="read-ahead")
    under_way: deque[Future[R]] = deque()
    try:
        for item in items:
            under_way.append(pool.submit(work, item))
            if len(under_way) > num_threads:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class LateRows(Sequence[np.ndarray]):
    """Rows that a GPU is still at; whoever looks at one waits for all.

    Args:
        count: How many there are.
        arrive: Waits, and gives them.
    """

    def __init__(self, count: int, arrive: Callable[[], Sequence[np.ndarray]]) -> None:
        self._count, self._arrive = count, arrive
        self._rows: Sequence[np.ndarray] | None = None

    def __len__(self) -> int:
        """How many rows there are; does not wait."""
        return self._count

    def __getitem__(self, index: Any) -> Any:
        """A row, or some of them."""
        if self._rows is None:
            self._rows = self._arrive()
        return self._rows[index]
