"""Signals that ask to end, remembered, since libraries lose them.

Python raises an exception for a signal wherever it is, which may be within the code of a library in another language.
Some of these make an error of their own of it: PyTorch, while it takes over a tensor from safetensors, one of a shape.
Who turns errors of others into messages asks here first whether it was a signal.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

_raised: BaseException | None = None


@contextmanager
def remembering_interrupts() -> Iterator[None]:
    """While entered, Ctrl-C is remembered, where Python handles it as it does by itself, in the main thread."""
    global _raised  # noqa: PLW0603  (there is one set of signal handlers for each process)
    _raised = None
    is_ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if is_ours:
        signal.signal(signal.SIGINT, _interrupt)
    try:
        yield
    finally:
        if is_ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        _raised = None


def raise_for_signal(error: BaseException) -> NoReturn:
    """Raise what a handler of signals makes of one, and remember it."""
    global _raised  # noqa: PLW0603
    _raised = error
    raise error


def raise_lost(error: BaseException) -> None:
    """Raise what a handler of signals has raised before, if it has; it may be that `error` came of it."""
    if _raised is not None and _raised is not error and threading.current_thread() is threading.main_thread():
        raise _raised from error


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise_for_signal(KeyboardInterrupt())
