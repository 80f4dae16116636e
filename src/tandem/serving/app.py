"""The service as an ASGI application."""

import importlib.resources
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from tandem.evaluation.options import Palette
from tandem.inference.translator import Translator
from tandem.serving.answering import Answering
from tandem.serving.answers import json_response
from tandem.serving.endpoints import Endpoints
from tandem.serving.guard import OPEN, Guard
from tandem.serving.inference_protocol import InferenceProtocol
from tandem.serving.limits import Limits
from tandem.serving.metrics import Metrics
from tandem.serving.models import ModelStore
from tandem.serving.openapi import document
from tandem.serving.refused import RefusedError
from tandem.serving.scheduler import Scheduler
from tandem.serving.work import Work

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, kw_only=True)
class Access:
    """Who may ask.

    Attributes:
        token: What clients of the interface must send; None: nothing.
        only_loopback: Whether only names of this machine are answered to.
        origins: Other sites whose pages may ask.
    """

    token: str | None = None
    only_loopback: bool = True
    origins: Sequence[str] = ()


def build_app(
    paths: Mapping[str, Path],
    load: Callable[[Path], Translator],
    *,
    limits: Limits,
    access: Access,
    max_bytes: int,
    num_workers: int = 1,
    palette: Palette | None = None,
) -> ASGIApp:
    """Put the service together.

    Args:
        paths: Bundles, runs or ONNX files by the names that clients use; the first one is the default.
        load: Reads a model.
        limits: How much a client may ask.
        access: Who may ask.
        max_bytes: What the weights of models in memory may take.
        num_workers: Threads that run the networks.
        palette: Colours of labels that the page offers.

    Raises:
        TandemError: A model cannot be loaded.
    """
    metrics = Metrics()
    store = ModelStore(paths, load, metrics, max_bytes=max_bytes)
    store.load_first()
    scheduler = Scheduler(metrics, max_waiting=limits.max_waiting, num_workers=num_workers)
    work = Work(scheduler, limits, metrics)
    ends, protocol = Endpoints(store, work, limits, metrics, palette), InferenceProtocol(work, store, limits)
    wrap = Answering(limits, metrics, scheduler)
    pages = {f"/{name}": _file(name, content) for name, content in page_files().items()}
    pages["/"] = pages["/index.html"]

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        del app
        scheduler.start()
        yield
        scheduler.stop()

    async def openapi(request: Request) -> Response:
        del request
        return json_response(document(limits, needs_token=access.token is not None))

    answering, placed = wrap.answering, wrap.placed
    routes = [
        Route("/healthz", answering(ends.health)),
        Route("/readyz", answering(ends.ready)),
        Route("/metrics", answering(ends.numbers)),
        Route("/openapi.json", answering(openapi)),
        Route("/v1/models", answering(ends.models)),
        Route("/v1/models/{name}", answering(ends.model)),
        Route("/v1/latents", answering(ends.latents)),
        Route("/v1/translate", placed(ends.translate), methods=["POST"]),
        Route("/predict", placed(ends.predict), methods=["POST"]),
        Route("/v1/encode", placed(ends.encode), methods=["POST"]),
        Route("/v1/spread", placed(ends.spread), methods=["POST"]),
        Route("/v2", answering(protocol.server)),
        Route("/v2/health/live", answering(protocol.live)),
        Route("/v2/health/ready", answering(protocol.ready)),
        Route("/v2/models/{name}", answering(protocol.model)),
        Route("/v2/models/{name}/ready", answering(protocol.ready)),
        Route("/v2/models/{name}/infer", placed(protocol.infer), methods=["POST"]),
        *(Route(path, page) for path, page in pages.items()),
    ]
    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers={HTTPException: _no_such_thing})
    app.router.redirect_slashes = False  # an address has one spelling
    return Guard(
        app,
        limits=limits,
        metrics=metrics,
        token=access.token,
        open_paths=OPEN | pages.keys(),
        only_loopback=access.only_loopback,
        origins=access.origins,
        routes=frozenset(route.path for route in routes),
    )


def page_files() -> dict[str, bytes]:
    """The files of the page by their names. They are read once: no name of a request leads to the disk."""
    folder = importlib.resources.files("tandem.serving").joinpath("page")
    return {one.name: one.read_bytes() for one in folder.iterdir() if PurePosixPath(one.name).suffix in _TYPES}


def _file(name: str, content: bytes) -> Callable[[Request], Response]:
    kind = _TYPES[PurePosixPath(name).suffix]

    def answer(request: Request) -> Response:
        del request
        return Response(content, headers={"Content-Type": kind, "Cache-Control": "no-cache"})

    return answer


def _no_such_thing(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code, text = {
        404: ("no-address", "there is nothing at this address: /openapi.json lists what there is."),
        405: ("method", "this address takes another method: /openapi.json says which."),
    }.get(error.status_code, ("bad-request", "the request cannot be answered."))
    refused = RefusedError(error.status_code, code, text)
    return json_response(refused.body(request.url.path), status=error.status_code, headers=error.headers)
