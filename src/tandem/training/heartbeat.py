"""Noticing that another process is gone, however silently.

Each process counts a number up in the store that all share, from a thread, so that slow work (a long measurement, a
first compilation, a stalled server) is told apart from death. Who has not counted for `SILENCE_SECONDS` counts as dead;
so do all whose store is out of reach. The main thread is usually told by the connection itself; where it hangs in a
collective of the GPU, nothing but the end of the process gets it out.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence

from torch.distributed import Store

from tandem.errors import PeerError

BEAT_SECONDS = 2.0
SILENCE_SECONDS = 30.0
GRACE_SECONDS = 5.0
"""What the main thread has to end by itself before the process is ended."""
LOST_STATUS = 1

log = logging.getLogger(__name__)


class Heartbeat:
    """Counts in the store and watches the others' counts until `stop`.

    Args:
        store: A connection of its own: one that waits would hold this thread up.
        rank: The number of this process.
        size: How many there are.
        end: Ends the process when the main thread does not.
    """

    def __init__(self, store: Store, *, rank: int, size: int, end: Callable[[int], None] = os._exit) -> None:
        self._store, self._rank, self._size, self._end = store, rank, size, end
        self._stopped = threading.Event()
        self._lost = ""
        self._heard = time.monotonic()
        self._threads = [
            threading.Thread(target=target, name=name, daemon=True)
            for name, target in (("heartbeat", self._run), ("heartbeat-store", self._watch_store))
        ]

    @staticmethod
    def key(rank: int) -> str:
        """Where a process counts."""
        return f"alive/{rank}"

    def start(self) -> None:
        """Begin; all processes must have made their key."""
        self._heard = time.monotonic()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the threads, before the store goes; one that waits for a store that has stalled is left behind."""
        self._stopped.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(GRACE_SECONDS)

    def check(self) -> None:
        """Raise `PeerError` if a process is lost."""
        if self._lost:
            raise PeerError(self._lost)

    def _run(self) -> None:
        watch = Watch(self._size, time.monotonic())
        beats = 0
        while not self._stopped.wait(BEAT_SECONDS):
            beats += 1
            try:
                self._store.set(self.key(self._rank), str(beats))
                values = self._store.multi_get([self.key(rank) for rank in range(self._size)])
            except RuntimeError as error:
                self._give_up(f"the store that the processes of this command share is out of reach ({error})")
                return
            self._heard = time.monotonic()
            silent = watch.silent(values, self._heard)
            if silent:
                listed = ", ".join(map(str, silent))
                self._give_up(f"nothing has been heard of process {listed} for {SILENCE_SECONDS:.0f} seconds")
                return

    def _watch_store(self) -> None:
        """Notice that the store itself has stalled: its machine or process is stopped, and nothing is closed."""
        while not self._stopped.wait(BEAT_SECONDS):
            if not self._lost and time.monotonic() - self._heard > SILENCE_SECONDS + BEAT_SECONDS:
                self._give_up(
                    f"the store that the processes of this command share has been silent for {SILENCE_SECONDS:.0f} s"
                )
                return

    def _give_up(self, what: str) -> None:
        if self._stopped.is_set():
            return
        self._lost = f"{what}: it has failed, or its machine has. The same command continues where it was stopped."
        if not self._stopped.wait(GRACE_SECONDS):
            log.error("%s", self._lost)
            self._end(LOST_STATUS)


class Watch:
    """Who has not counted for how long, by this process's clock alone.

    Args:
        size: How many processes there are.
        now: Seconds that never go back.
    """

    def __init__(self, size: int, now: float) -> None:
        self._seen: list[tuple[bytes, float]] = [(b"", now)] * size

    def silent(self, values: Sequence[bytes], now: float) -> list[int]:
        """The processes whose value has been the same for too long, given all values of now."""
        for rank, value in enumerate(values):
            if value != self._seen[rank][0]:
                self._seen[rank] = (value, now)
        return [rank for rank, (_, since) in enumerate(self._seen) if now - since > SILENCE_SECONDS]
