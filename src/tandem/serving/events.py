"""Progress of one request as server-sent events: ``progress`` as often as something has changed, then one ``result``.

Where it fails there is an ``error`` instead of the result, with the body that a plain answer would have. Whoever leaves
ends the work.
"""

import asyncio
import json
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tandem.serving.presence import until_gone
from tandem.serving.refused import RefusedError
from tandem.serving.samples import OnProgress, Progress

MEDIA_TYPE = "text/event-stream"
PAUSE_SECONDS = 0.1
"""Between two reports of progress, at least."""
SILENCE_SECONDS = 10
"""After so long a comment is sent, so that proxies don't take the connection for a dead one."""

Work = Callable[[OnProgress], Coroutine[Any, Any, bytes]]
"""Computes a JSON object, and tells how far it is."""


class EventStream(Response):
    """An answer that begins before its result is there.

    Args:
        work: What computes.
    """

    def __init__(self, work: Work) -> None:
        super().__init__(media_type=MEDIA_TYPE, headers={"X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._work = work
        self._changed = asyncio.Event()
        self._progress: Progress | None = None

    def begin(self, place: ExitStack, seconds: float, refusal: Callable[[Exception], RefusedError]) -> None:
        """Say what holds until the work is done.

        Args:
            place: What is given back then.
            seconds: That it may take.
            refusal: What a client is told of an error.
        """
        self._place, self._refusal = place, refusal
        self._until = asyncio.get_running_loop().time() + seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events."""
        del scope
        loop = asyncio.get_running_loop()

        def on_progress(progress: Progress) -> None:
            self._progress = progress
            loop.call_soon_threadsafe(self._changed.set)

        with self._place:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            computing = asyncio.ensure_future(self._work(on_progress))
            leaving = asyncio.ensure_future(until_gone(receive))
            try:
                last = await self._watch(computing, leaving, send)
            finally:
                for task in (computing, leaving):
                    task.cancel()
                await asyncio.gather(computing, leaving, return_exceptions=True)
        await send({"type": "http.response.body", "body": last})

    async def _watch(self, computing: asyncio.Task[bytes], leaving: asyncio.Task[None], send: Send) -> bytes:
        """Send progress until the work is done, or nobody waits any more; returns the last event."""
        try:
            async with asyncio.timeout_at(self._until):
                while not computing.done():
                    changing = asyncio.ensure_future(self._changed.wait())
                    waited = {computing, leaving, changing}
                    await asyncio.wait(waited, timeout=SILENCE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                    changing.cancel()
                    if leaving.done():
                        raise ClientDisconnect
                    if not computing.done():
                        await send({"type": "http.response.body", "body": self._told(), "more_body": True})
                        await asyncio.wait({computing, leaving}, timeout=PAUSE_SECONDS)
            return _event("result", computing.result())
        except Exception as error:
            return _event("error", json.dumps(self._refusal(error).body("")).encode())

    def _told(self) -> bytes:
        if not self._changed.is_set() or self._progress is None:
            return b":\n\n"
        self._changed.clear()
        return _event("progress", json.dumps(asdict(self._progress)).encode())


def _event(name: str, data: bytes) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + data + b"\n\n"
