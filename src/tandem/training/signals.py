"""Stopping politely: the first SIGINT or SIGTERM asks, a second one insists."""

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Self


class GracefulStop:
    """While entered, SIGINT and SIGTERM set `signal` instead of ending the process; a second one interrupts.

    Python delivers signals to the main thread only; in any other thread this does nothing.

    Args:
        deaf_seconds: A second signal this soon after the first is taken for the same one: launchers of several
            processes pass on what the terminal or the cluster has sent to all of them already.

    Attributes:
        signal: The signal that asked to stop, or None.
    """

    def __init__(self, *, deaf_seconds: float = 0.0) -> None:
        self.signal: signal.Signals | None = None
        self._deaf_seconds = deaf_seconds
        self._asked_at = 0.0
        self._previous: dict[signal.Signals, object] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for kind in (signal.SIGINT, signal.SIGTERM):
                self._previous[kind] = signal.signal(kind, self._asked)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    def settle(self, agree: Callable[[int], int]) -> None:
        """Take over what several processes agree on: the signal of any of them is that of all."""
        number = agree(self.signal or 0)
        self.signal = signal.Signals(number) if number else None

    def _asked(self, number: int, _frame: FrameType | None) -> None:
        if self.signal is not None:
            if time.monotonic() - self._asked_at >= self._deaf_seconds:
                raise KeyboardInterrupt
            return
        self.signal, self._asked_at = signal.Signals(number), time.monotonic()
