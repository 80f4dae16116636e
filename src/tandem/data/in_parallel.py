"""Work on many items in threads. Their results come in order, and few of them ever wait.

Threads are enough: decoding and hashing leave Python's lock alone.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from tandem.threads import usable_cores

T = TypeVar("T")
R = TypeVar("R")

MOST_THREADS = 8
AHEAD_OF_EACH = 16


def in_parallel(
    work: Callable[[T], R], items: Iterable[T], *, num_threads: int | None = None, ahead: int | None = None
) -> Iterator[R]:
    """``map(work, items)``, with the next results under way or ready when one is taken.

    Args:
        work: What is done with each item; must be safe to run in several threads.
        items: Taken one by one, in the thread of the caller.
        num_threads: By default one for each core, at most 8; 0 for no threads: each result is computed when it is
            asked for.
        ahead: Most results that are under way or ready; by default 16 for each thread, so that a large file does not
            keep the others waiting.

    Returns:
        The results in the order of the items. What `work` raises is raised in the place of its result. Once the
        iterator is closed or has raised, nothing more is begun: an interrupt does not wait for thousands of files.
    """
    threads = min(MOST_THREADS, usable_cores()) if num_threads is None else num_threads
    if threads == 0:
        yield from map(work, items)
        return
    most = threads * AHEAD_OF_EACH if ahead is None else ahead
    pool = ThreadPoolExecutor(threads, thread_name_prefix="in-parallel")
    under_way: deque[Future[R]] = deque()
    try:
        for item in items:
            under_way.append(pool.submit(work, item))
            if len(under_way) > most:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
