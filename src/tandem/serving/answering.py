"""From a function that computes to an address that answers: errors, the time limit, places, clients that leave."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import ExitStack

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from tandem.errors import BundleError, ConfigError, DataError
from tandem.memory import describe, is_out_of_memory
from tandem.serving.answers import json_response
from tandem.serving.events import EventStream
from tandem.serving.limits import Limits
from tandem.serving.metrics import Metrics
from tandem.serving.refused import RefusedError, bad_value
from tandem.serving.scheduler import Scheduler

Endpoint = Callable[[Request], Awaitable[Response]]

log = logging.getLogger(__name__)


class Answering:
    """Makes endpoints of functions.

    Args:
        limits: How long a request may take.
        metrics: What is counted.
        scheduler: What has the places.
    """

    def __init__(self, limits: Limits, metrics: Metrics, scheduler: Scheduler) -> None:
        self._limits, self._metrics, self._scheduler = limits, metrics, scheduler

    def answering(self, endpoint: Endpoint) -> Endpoint:
        """An endpoint whose errors become answers, with a time limit."""

        async def answered(request: Request) -> Response:
            try:
                async with asyncio.timeout(self._limits.time_limit):
                    return await endpoint(request)
            except Exception as error:
                answer = self._refusal(request, error)
            return json_response(answer.body(request.url.path), status=answer.status, headers=answer.headers)

        return answered

    def placed(self, endpoint: Endpoint) -> Endpoint:
        """An endpoint that computes: only so many requests are taken, before anything of them is read.

        A stream of events keeps its place until its work is done.
        """

        async def held(request: Request) -> Response:
            with ExitStack() as stack:
                stack.enter_context(self._scheduler.place())
                answer = await endpoint(request)
                if isinstance(answer, EventStream):
                    answer.begin(stack.pop_all(), self._limits.time_limit, lambda error: self._refusal(request, error))
                return answer

        return self.answering(held)

    def _refusal(self, request: Request, error: Exception) -> RefusedError:
        match error:
            case RefusedError():
                answer = error
            case TimeoutError():
                text = f"the request took longer than {self._limits.time_limit:g} s and was given up."
                answer = RefusedError(504, "time", text)
            case ClientDisconnect():
                answer = RefusedError(499, "gone", "the client has left.")
            case DataError() | ConfigError() | BundleError():
                answer = bad_value(str(error))
            case _ if is_out_of_memory(error):
                log.error("request %s: %s", request.state.request_id, describe(error, "serve"))
                text = "there is too little memory for this request: ask for fewer samples or a smaller size."
                answer = RefusedError(503, "memory", text)
            case _:
                log.error("request %s failed", request.state.request_id, exc_info=error)
                text = f"something went wrong in the service; its log says more under {request.state.request_id}."
                answer = RefusedError(500, "internal", text)
        self._metrics.refused.add(1, answer.code)
        return answer
