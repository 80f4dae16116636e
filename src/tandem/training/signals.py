"""Stopping politely: the first SIGINT or SIGTERM asks, a second one insists."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Self


class GracefulStop:
    """While entered, SIGINT and SIGTERM set `signal` instead of ending the process; a second one interrupts.

    Python delivers signals to the main thread only; in any other thread this does nothing.

    Attributes:
        signal: The signal that asked to stop, or None.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
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

    def _asked(self, number: int, _frame: FrameType | None) -> None:
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = signal.Signals(number)
