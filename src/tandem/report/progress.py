"""Progress of long work: a live bar on a terminal, plain lines anywhere else."""

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from tandem.launch import find_launch
from tandem.names import shown
from tandem.report.text import count, duration, memory, number

_WINDOW_SECONDS = 60.0
_SAMPLE_SECONDS = 0.25  # how closely the window is sampled
_NAME_LENGTH = 14
_WIDE = 140  # columns of a terminal that has room for the losses

Clock = Callable[[], float]

_silent: ContextVar[bool] = ContextVar("silent", default=False)


@contextmanager
def silence() -> Iterator[None]:
    """Show no progress while this is entered."""
    before = _silent.set(True)
    try:
        yield
    finally:
        _silent.reset(before)


class RateMeter:
    """The rate of a growing count over the last minute.

    It starts at the count that the process found, so work done before a resume does not speed it up.
    """

    def __init__(self, done: int, *, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._history = deque([(clock(), done)])
        self._latest = self._history[0]

    def update(self, done: int) -> None:
        """Take note of the count now."""
        now = self._clock()
        self._latest = (now, done)
        if now - self._history[-1][0] >= _SAMPLE_SECONDS:
            self._history.append(self._latest)
        # The oldest entry may be older than the window where updates are rarer than that.
        while len(self._history) > 2 and self._history[1][0] <= now - _WINDOW_SECONDS:
            self._history.popleft()

    @property
    def rate(self) -> float | None:
        """Return counts per second, or `None` before there is anything to measure."""
        (then, before), (now, done) = self._history[0], self._latest
        return (done - before) / (now - then) if now > then and done > before else None

    def seconds_left(self, total: int | None) -> float | None:
        """Return the time until `total` at this rate, or `None` if either is not known."""
        if total is None or self.rate is None:
            return None
        return max(0, total - self._latest[1]) / self.rate


class TaskProgress:
    """A context manager that shows how far some work is.

    On a terminal it is a bar that renews itself; elsewhere it is a line without control codes, now and then
    and at the end.

    Args:
        description: What is being done.
        total: How many units there are, `None` if that is not known.
        unit: What is counted, in the plural.
        done: Units that were done before, which do not count for the rate.
        console: Where to write; standard error by default.
        interval_seconds: Least time between two plain lines.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        description: str,
        total: int | None,
        unit: str,
        *,
        done: int = 0,
        console: Console | None = None,
        interval_seconds: float = 30.0,
        clock: Clock = time.monotonic,
    ) -> None:
        self.console = console if console is not None else _standard_error()
        self.description = description
        self.total = total
        self.unit = unit
        self.done = done
        self._meter = RateMeter(done, clock=clock)
        self._clock = clock
        self._interval = interval_seconds
        self._first, self._begun = done, clock()
        self._printed_at = -float("inf")
        self._extra = ""
        self._bar: Progress | None = None
        self._task = TaskID(0)

    def __enter__(self) -> Self:
        if self.console.is_terminal and not self.console.is_dumb_terminal:
            self._bar = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=24),
                TextColumn("{task.fields[status]}", markup=False),
                console=self.console,
            )
            self._task = self._bar.add_task(
                self.description, total=self.total, completed=self.done, status=self._status()
            )
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.update(self._task, completed=self.done, status=self._status())
            self._bar.stop()
            self._bar = None
            return
        here = self.done - self._first
        elapsed = duration(self._clock() - self._begun)
        end = "done" if kind is None else "ended early"
        self._line(f"{self.description}: {end}, {count(here)} {self.unit} in {elapsed}{self._extra}")

    @property
    def rate(self) -> float | None:
        """Return units per second over the last minute, `None` if not known yet."""
        return self._meter.rate

    @property
    def seconds_left(self) -> float | None:
        """Return the time to the end at this rate, `None` if not known."""
        return self._meter.seconds_left(self.total)

    def advance(self, amount: int = 1) -> None:
        """Take note that `amount` more units are done."""
        self.callback(self.done + amount, self.total)

    def callback(self, done: int, total: int | None) -> None:
        """Take note that `done` of `total` units are done; fits functions that report so."""
        self.done, self.total = done, total
        self._meter.update(done)
        self._show()

    def note(self, text: str) -> None:
        """Add a few words behind the numbers, in place of earlier ones; none with an empty text."""
        self._extra = f" · {text}" if text else ""
        self._show()

    def _show(self) -> None:
        if self._bar is not None:
            self._bar.update(self._task, completed=self.done, total=self.total, status=self._status())
        elif self._clock() - self._printed_at >= self._interval:
            self._printed_at = self._clock()
            self._line(f"{self.description}: {self._status()}")

    def _status(self) -> str:
        parts = [f"{count(self.done)} {self.unit}"]
        if self.total is not None:
            percent = 100 * self.done / self.total if self.total else 100.0
            parts = [f"{count(self.done)}/{count(self.total)} {self.unit} ({percent:.0f} %)"]
        if self.rate is not None:
            parts.append(f"{number(self.rate)}/s")
        if self.seconds_left is not None:
            parts.append(f"{duration(self.seconds_left)} left")
        return shown(" · ".join(parts) + self._extra)

    def _line(self, text: str) -> None:
        self.console.print(shown(text), markup=False, highlight=False, soft_wrap=True)


class PartsProgress:
    """A context manager that shows a progress for each part of some work, one after the other.

    Args:
        lead: What stands before the name of each part.
        units: What is counted, in the plural, for parts that count no images.
    """

    def __init__(self, lead: str, units: Mapping[str, str]) -> None:
        self._lead, self._units = lead, units
        self._name = ""
        self._bar: TaskProgress | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            bar, self._bar = self._bar, None
            bar.__exit__(kind, error, trace)

    def callback(self, what: str, done: int, total: int) -> None:
        """Take note that `done` of `total` units of a part are done."""
        if what != self._name:
            self.__exit__(None, None, None)
            self._name = what
            self._bar = TaskProgress(f"{self._lead} {what}", total, self._units.get(what, "images"))
            self._bar.__enter__()
        assert self._bar is not None
        self._bar.callback(done, total)


def evaluation_progress() -> PartsProgress:
    """What an evaluation shows."""
    return PartsProgress("evaluating", {"metrics": "metrics", "real pairs": "pairs"})


class TrainingProgress(TaskProgress):
    """Progress of a training run, counted in images, with its latest losses and memory.

    Args:
        total_images: Images of the whole run, `None` if it has no end.
        images_seen: Images of earlier processes of this run, which do not count for the rate.
        description: What is being done.
        console: Where to write; standard error by default.
        interval_seconds: Least time between two plain lines.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        total_images: int | None,
        *,
        images_seen: int = 0,
        description: str = "training",
        console: Console | None = None,
        interval_seconds: float = 30.0,
        clock: Clock = time.monotonic,
    ) -> None:
        super().__init__(
            description,
            total_images,
            "images",
            done=images_seen,
            console=console,
            interval_seconds=interval_seconds,
            clock=clock,
        )

    def update(
        self, images_seen: int, *, losses: Mapping[str, float], memory_mb: float | None, message: str = ""
    ) -> None:
        """Take note of the state after a step.

        Args:
            images_seen: Training images done, those of earlier processes of this run included.
            losses: Latest value of each term.
            memory_mb: Largest memory in MB (2**20 bytes), `None` if not known.
            message: A few words to add.
        """
        # On a narrow terminal the bar and the rate matter more than the losses, which the page shows.
        narrow = self._bar is not None and self.console.width < _WIDE
        shown = "" if narrow else " ".join(f"{name[:_NAME_LENGTH]} {number(value)}" for name, value in losses.items())
        extras = [shown, "" if memory_mb is None else memory(memory_mb), message]
        self._extra = "".join(f" · {extra}" for extra in extras if extra)
        self.callback(images_seen, self.total)


def _standard_error() -> Console:
    """Return a console on standard error that writes control codes only if that is a terminal.

    Rich alone would also obey FORCE_COLOR and write a live bar into a log file.
    """
    if _silent.get() or not find_launch().is_main:  # of processes that train together one speaks
        return Console(quiet=True)
    return Console(file=sys.stderr) if sys.stderr.isatty() else Console(file=sys.stderr, force_terminal=False)


@contextmanager
def unpacking_progress() -> Iterator[Callable[[int, int], None]]:
    """A bar for compressed shards, once one is unpacked."""
    with PartsProgress("unpacking", {"shards": "bytes"}) as bars:
        yield lambda done, total: bars.callback("shards", done, total)


@contextmanager
def comparing_progress() -> Iterator[tuple[Callable[[int, int], None], Callable[[int, int], None]]]:
    """Bars for images that are compared with each other, and for what is hashed beside them."""
    with TaskProgress("comparing", None, "images") as looking, TaskProgress("reading", None, "items") as reading:
        yield looking.callback, reading.callback
