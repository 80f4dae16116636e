"""What is computed when: one thread runs the networks, and samples of requests that wait go through them together.

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

from tandem.config.data import Direction
from tandem.data.fit import Fit
from tandem.inference.translator import Translator
from tandem.serving.metrics import Metrics
from tandem.serving.refused import RefusedError

T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(eq=False)
class Samples:
    """Outputs that somebody waits for: one input, translated with several latents.

    Attributes:
        translator: The model.
        model: Its name.
        frame: The input, ``(H, W, C)``, uint8, with the channels that the model takes.
        latents: ``(M, latent_dim)``, float32.
        fit: How the input comes to the size that the network takes.
        direction: Of the translation.
        outputs: What has been computed, ``(H, W, C)`` each, uint8.
        at_once: How many samples like these pay and fit.

    Raises:
        DataError: The network takes no input of this size.
    """

    translator: Translator
    model: str
    frame: np.ndarray
    latents: np.ndarray
    fit: Fit
    direction: Direction | None
    outputs: list[np.ndarray] = field(default_factory=list)
    at_once: int = field(init=False)

    def __post_init__(self) -> None:
        # Here, so that what is wrong with a size comes to whoever asks, and not to the thread of the networks.
        height, width, _ = self.frame.shape
        self.at_once = self.translator.frames_at_once(height, width, fit=self.fit, direction=self.direction)

    @property
    def key(self) -> tuple[object, ...]:
        """What can be computed at once has the same key."""
        return (id(self.translator), self.frame.shape, self.fit, self.direction)

    @property
    def left(self) -> int:
        """Samples that are still to be computed."""
        return len(self.latents) - len(self.outputs)


@dataclass(eq=False)
class _Task(Generic[T]):
    """Work in the line: samples, or a call that runs alone."""

    work: Samples | Callable[[], T]
    finished: Callable[[Any, BaseException | None], None]
    given_up: threading.Event = field(default_factory=threading.Event)


class Scheduler:
    """Runs work on one thread.

    Args:
        metrics: Where batches are counted.
        max_waiting: Most requests that have a place.
    """

    def __init__(self, metrics: Metrics, *, max_waiting: int) -> None:
        self._metrics, self._max_waiting = metrics, max_waiting
        self._admitted = 0
        self._seconds = 0.1  # a moving mean of what a request takes
        self._line: deque[_Task[Any]] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name="tandem-networks", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def stop(self) -> None:
        """Finish what is in the line, then end the thread."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join()

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
        """Compute samples: ``(H, W, C)`` each, uint8. Whoever is cancelled here leaves the line."""
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
                raise RefusedError(503, "stopping", "the service is about to stop: try again later.")
            self._line.append(task)
            self._changed.notify_all()
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
            if isinstance(taken, _Task):
                _run_alone(taken)
            elif taken:
                self._run_together(taken)

    def _take(self) -> "_Task[Any] | list[tuple[_Task[Any], int]]":
        """The next thing to do: a call, or tasks with the number of samples of each; gone clients fall out."""
        self._line = deque(task for task in self._line if not task.given_up.is_set())
        if not self._line:
            return []
        first = self._line[0]
        if not isinstance(first.work, Samples):
            return self._line.popleft()
        room = first.work.at_once
        taken = []
        for task in self._line:
            if room and isinstance(task.work, Samples) and task.work.key == first.work.key:
                number = min(room, task.work.left)
                taken.append((task, number))
                room -= number
        return taken

    def _run_together(self, taken: list[tuple[_Task[Any], int]]) -> None:
        try:
            made = _translate(taken)
        except Exception as error:
            if len(taken) == 1:
                self._finish(taken[0][0], error)
            else:  # one request's trouble is not that of its neighbours
                for one in taken:
                    self._run_together([one])
            return
        self._metrics.batches.observe(len(made))
        start = 0
        for task, number in taken:
            work = task.work
            assert isinstance(work, Samples)
            # A copy of its own, so that nobody's answer keeps the whole batch in memory.
            work.outputs += [sample.copy() for sample in made[start : start + number]]
            self._metrics.samples.add(number, work.model)
            start += number
            if not work.left:
                self._finish(task, None)
            else:
                with self._changed:
                    self._line.remove(task)
                    self._line.append(task)

    def _finish(self, task: _Task[Any], error: BaseException | None) -> None:
        with self._changed:
            self._line.remove(task)
        assert isinstance(task.work, Samples)
        task.finished(task.work.outputs, error)


def _translate(taken: list[tuple[_Task[Any], int]]) -> np.ndarray:
    """One forward for samples of several tasks, ``(N, H, W, C)``, uint8."""
    frames, latents = [], []
    for task, number in taken:
        work = task.work
        assert isinstance(work, Samples)
        start = len(work.outputs)
        frames += [work.frame] * number
        latents.append(work.latents[start : start + number])
    first = taken[0][0].work
    assert isinstance(first, Samples)
    return first.translator.translate_frames(
        np.stack(frames), np.concatenate(latents), fit=first.fit, direction=first.direction
    )


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
