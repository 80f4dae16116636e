"""Waiting, with an end, for what may block for ever.

A time-out of a socket bounds one silence: not a server that drips headers, sends interim answers without end or shakes
hands a byte at a time, nor the look-up of a name, nor another library. So whatever blocks does it in a thread of its
own, and the one that waits for it can walk away.
"""

import queue
import threading
from collections.abc import Callable, Generator
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Self

_CHUNKS_AHEAD = 4


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The head of what a server gives; file systems say 200, or 206 for the end of a file.

    Attributes:
        status: As in HTTP.
        phrase: The words beside it.
        start: Where in the file its bytes begin; -1 where the server does not say so properly.
        total: Bytes of the whole file, if that is known.
        validator: What If-Range takes to ask for more of this very file.
        location: Where a redirect leads.
        media_type: What the server says that it is, in lower case.
        encoding: How the server compressed it, in lower case.
    """

    status: int
    phrase: str = ""
    start: int = 0
    total: int | None = None
    validator: str | None = None
    location: str | None = None
    media_type: str = ""
    encoding: str = ""


Reading = Generator[Answer | bytes, None, None]
"""An answer, then the bytes that belong to it."""


class Reader:
    """A context manager that reads in a thread, and walks away from it at the end.

    Args:
        reading: What is read; it runs in the thread.
        cancel: Called at the end, in the thread of the caller, to break what `reading` is blocked in.
    """

    def __init__(self, reading: Reading, cancel: Callable[[], None] = lambda: None) -> None:
        self._items: queue.Queue[Answer | bytes | BaseException | None] = queue.Queue(_CHUNKS_AHEAD)
        self._reading, self._cancel = reading, cancel
        self._given_up = threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self._read, name="fetch", daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._given_up.set()
        self._cancel()
        with suppress(queue.Empty):  # what waits for room in it ends too
            while True:
                self._items.get_nowait()

    def next(self, seconds: float) -> Answer | bytes | None:
        """What comes next, None at the end; what the reading raises is raised here.

        Raises:
            TimeoutError: Nothing has come in this time.
        """
        try:
            item = self._items.get(timeout=max(0.0, seconds))
        except queue.Empty:
            raise TimeoutError from None
        if isinstance(item, BaseException):
            raise item
        return item

    def _read(self) -> None:
        try:
            with closing(self._reading):
                for item in self._reading:
                    if not self._put(item):
                        return
            self._put(None)
        except BaseException as error:
            self._put(error)

    def _put(self, item: Answer | bytes | BaseException | None) -> bool:
        while not self._given_up.is_set():
            try:
                self._items.put(item, timeout=0.5)
            except queue.Full:
                continue
            return True
        return False
