"""What is computed when: threads run the networks, and samples of requests that wait go through them together.

A request has a place from its arrival to its answer, and there are only so many. Requests take turns: whoever got
samples computed goes to the end of the line, so that many samples for one don't keep the others waiting. What comes out
for a request follows from its own input, seed and latents; its neighbours in a batch change at most the rounding of
float32, and with ``--max-batch 1`` not even that.
"""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np

from tandem.serving.metrics import Metrics
from tandem.serving.refused import RefusedError
from tandem.serving.samples import Part, Samples, translate_parts

T = TypeVar("T")
STOPPING = "the service is about to stop: try again later."

log = logging.getLogger(__name__)


@dataclass(eq=False)
class _Task(Generic[T]):
    """Work in the line: samples, or a call that runs alone."""

    work: Samples | Callable[[], T]
    finished: Callable[[Any, BaseException | None], None]
    given_up: threading.Event = field(default_factory=threading.Event)


_Taken = list[tuple[_Task[Any], Part]]
"""Parts of the samples of tasks."""


class AbandonedError(Exception):
    """Nobody waits any more for what is being computed."""


class Scheduler:
    """Runs work on threads of its own.

    Args:
        metrics: Where batches are counted.
        max_waiting: Most requests that have a place.
        num_workers: Threads that run the networks.
    """

    def __init__(self, metrics: Metrics, *, max_waiting: int, num_workers: int = 1) -> None:
        self._metrics, self._max_waiting = metrics, max_waiting
        self._admitted = 0
        self._seconds = 0.1  # a moving mean of what a request takes
        self._line: deque[_Task[Any]] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._idle = num_workers
        self._threads = [
            threading.Thread(target=self._work, name=f"tandem-networks-{index}", daemon=True)
            for index in range(num_workers)
        ]

    def start(self) -> None:
        """Begin to work."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Finish what is in the line, then end the threads."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place for one request, in the thread of the event loop.

        Raises:
            RefusedError: There is none: 429, with the seconds after which there should be one.
        """
        if self._admitted >= self._max_waiting:
            seconds = max(1, min(60, round(self._admitted * self._seconds)))
            raise RefusedError(
                429,
                "busy",
                f"{self._admitted} requests are waiting already, and no more are taken: try again in {seconds} s.",
                headers={"Retry-After": str(seconds)},
            )
        self._admitted += 1
        self._metrics.waiting.set(self._admitted)
        began = time.monotonic()
        try:
            yield
        finally:
            self._admitted -= 1
            self._metrics.waiting.set(self._admitted)
            self._seconds += 0.1 * ((time.monotonic() - began) / (self._admitted + 1) - self._seconds)

    async def samples(self, work: Samples) -> list[np.ndarray]:
        """Compute samples: ``(H, W, C)`` each, of the model's own values. Whoever is cancelled here leaves the line."""
        return await self._wait(work)

    async def call(self, function: Callable[[], T]) -> T:
        """Run a function alone, where the networks run. Whoever is cancelled here leaves the line."""
        return await self._wait(function)

    async def _wait(self, work: Samples | Callable[[], Any]) -> Any:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()

        def settle(result: Any, error: BaseException | None) -> None:
            if future.done():
                return
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

        task = _Task(work, lambda result, error: _tell(loop, settle, result, error))
        with self._changed:
            if self._stopping:
                raise RefusedError(503, "stopping", STOPPING)
            self._line.append(task)
            self._changed.notify()
        try:
            return await future
        finally:
            task.given_up.set()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._line and not self._stopping:
                    self._changed.wait()
                if not self._line:
                    return
                taken = self._take()
                self._idle -= 1
            try:
                if isinstance(taken, _Task):
                    _run_alone(taken)
                elif taken:
                    self._run_together(taken)
            finally:
                with self._changed:
                    self._idle += 1

    def _take(self) -> "_Task[Any] | _Taken":
        """The next thing to do: a call, or parts of the samples of tasks; gone clients fall out."""
        self._line = deque(task for task in self._line if not task.given_up.is_set())
        if not self._line:
            return []
        first = self._line[0]
        if not isinstance(first.work, Samples):
            return self._line.popleft()
        key = first.work.key
        alike = [(one, one.work) for one in self._line if isinstance(one.work, Samples) and one.work.key == key]
        waiting = sum(work.left for _, work in alike)
        room = min(first.work.at_once, -(-waiting // self._idle))  # threads that have nothing to do get their part
        taken: _Taken = []
        for task, work in alike:
            if room:
                part = work.take(room)
                taken.append((task, part))
                room -= len(part)
                self._line.remove(task)
                if work.left:
                    self._line.append(task)
        if self._line and self._idle > 1:
            self._changed.notify()
        return taken

    def _run_together(self, taken: _Taken) -> None:
        tasks = [task for task, _ in taken]

        def require_somebody() -> None:
            if all(task.given_up.is_set() for task in tasks):
                raise AbandonedError

        try:
            made = translate_parts([part for _, part in taken], require_somebody)
        except AbandonedError:
            return
        except Exception as error:
            if len(taken) == 1:
                self._fail(taken[0][0], error)
            else:  # one request's trouble is not that of its neighbours
                for one in taken:
                    self._run_together([one])
            return
        self._metrics.batches.observe(len(made))
        start = 0
        for task, part in taken:
            # A copy of its own, so that nobody's answer keeps the whole batch in memory.
            outputs = [sample.copy() for sample in made[start : start + len(part)]]
            start += len(part)
            self._metrics.samples.add(len(part), part.samples.model)
            if part.samples.put(part, outputs):
                task.finished(part.samples.outputs, None)

    def _fail(self, task: _Task[Any], error: BaseException) -> None:
        with self._changed:
            if task in self._line:
                self._line.remove(task)
        task.finished(None, error)


def _run_alone(task: _Task[Any]) -> None:
    assert not isinstance(task.work, Samples)
    try:
        result = task.work()
    except Exception as error:
        task.finished(None, error)
    else:
        task.finished(result, None)


def _tell(loop: asyncio.AbstractEventLoop, settle: Callable[..., None], result: Any, error: Any) -> None:
    try:
        loop.call_soon_threadsafe(settle, result, error)
    except RuntimeError:  # the loop has closed: nobody waits any more
        log.debug("a result came after the service had stopped")
