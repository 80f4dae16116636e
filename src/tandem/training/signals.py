"""Stopping politely: the first SIGINT, SIGTERM or SIGHUP asks, or a callback; a second signal insists."""

import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Self

from tandem.interrupts import raise_for_signal

BY_CALLBACK = 1000
"""What processes tell each other where a callback asks to stop; numbers of signals are smaller."""


_HANGUP = frozenset({signal.SIGHUP}) if hasattr(signal, "SIGHUP") else frozenset()


class GracefulStop:
    """While entered, SIGINT, SIGTERM and SIGHUP set `signal` instead of ending the process; a second one interrupts.

    SIGHUP comes when a terminal is closed, which nobody can write to afterwards; who ignores it (nohup) still does.

    Python delivers signals to the main thread only; in any other thread this does nothing.

    Args:
        deaf_seconds: A second signal this soon after the first is taken for the same one: launchers of several
            processes pass on what the terminal or the cluster has sent to all of them already.

    Attributes:
        signal: The signal that asked to stop, or None.
        by_callback: Whether a callback asked.
    """

    def __init__(self, *, deaf_seconds: float = 0.0) -> None:
        self.signal: signal.Signals | None = None
        self.by_callback = False
        self._deaf_seconds = deaf_seconds
        self._asked_at = 0.0
        self._previous: dict[signal.Signals, object] = {}
        self._terminals: list[int] = []

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for kind in (signal.SIGINT, signal.SIGTERM, *_HANGUP):
                if kind in _HANGUP and signal.getsignal(kind) == signal.SIG_IGN:
                    continue
                self._previous[kind] = signal.signal(kind, self._asked)
            self._terminals = [stream for stream in (1, 2) if _is_terminal(stream)]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    @property
    def number(self) -> int:
        """What processes tell each other: 0 where nobody asked to stop."""
        return BY_CALLBACK if self.by_callback else self.signal or 0

    def settle(self, agree: Callable[[int], int]) -> None:
        """Take over what several processes agree on: whoever asked one of them asked all."""
        number = agree(self.number)
        self.by_callback = number == BY_CALLBACK
        self.signal = signal.Signals(number) if number and not self.by_callback else None

    def _asked(self, number: int, _frame: FrameType | None) -> None:
        if number in _HANGUP:
            _leave(self._terminals)
        if self.signal is not None:
            if time.monotonic() - self._asked_at >= self._deaf_seconds:
                raise_for_signal(KeyboardInterrupt(number))
            return
        self.signal, self._asked_at = signal.Signals(number), time.monotonic()


def _is_terminal(stream: int) -> bool:
    try:
        return os.isatty(stream)
    except OSError:
        return False


def _leave(terminals: list[int]) -> None:
    """Let what would be written to closed terminals, where writing is an error, go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in terminals:
        os.dup2(nowhere, stream)
    os.close(nowhere)
