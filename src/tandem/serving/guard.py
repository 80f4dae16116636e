"""What stands before every route: who may come in, how much they may send, and the headers of every answer."""

import hmac
import ipaddress
import logging
import time
import uuid
from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tandem.serving.answers import json_response
from tandem.serving.limits import Limits
from tandem.serving.metrics import Metrics
from tandem.serving.refused import RefusedError

OPEN = frozenset({"/healthz", "/readyz"})
"""What needs no token, besides the page: an orchestrator has none."""

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
PREFLIGHT = {
    "Access-Control-Allow-Headers": "authorization, content-type",
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Max-Age": "600",
}
"""What a browser is told that asks whether a page of an allowed site may send a request."""

log = logging.getLogger(__name__)


def is_loopback(host: str) -> bool:
    """Whether an address or name can be reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Guard:
    """The middleware of the service.

    Args:
        app: What it stands before.
        limits: How much may be sent.
        metrics: Where answers are counted.
        token: What clients of the interface must send as ``Authorization: Bearer …``; None: nothing.
        open_paths: What needs no token.
        only_loopback: Whether the name that a client asked for must be one of this machine, which a page of another
            site that has pointed its own name here cannot say.
        origins: Other sites whose pages may ask, e.g. ``https://example.org``.
        routes: Paths that are counted by their own name.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        limits: Limits,
        metrics: Metrics,
        token: str | None,
        open_paths: frozenset[str],
        only_loopback: bool,
        origins: Sequence[str],
        routes: frozenset[str],
    ) -> None:
        self._app, self._limits, self._metrics = app, limits, metrics
        self._token = None if token is None else token.encode()
        self._open, self._routes = open_paths, routes
        self._only_loopback, self._origins = only_loopback, frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, path = time.monotonic(), scope["path"]
        route = path if path in self._routes else "other"
        request_id = uuid.uuid4().hex[:12]
        scope.setdefault("state", {})["request_id"] = request_id
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        status = 500
        sent = 0

        async def send_guarded(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
                added = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    added[name] = value
                added["X-Request-Id"] = request_id
                added.setdefault("Cache-Control", "no-store")
                if origin in self._origins:
                    added["Access-Control-Allow-Origin"] = origin
                    added["Cross-Origin-Resource-Policy"] = "cross-origin"
                    added.add_vary_header("Origin")
            elif message["type"] == "http.response.body":
                sent += len(message.get("body", b""))
            await send(message)

        try:
            refusal = self._refusal(scope, headers, origin)
            if refusal is not None:
                self._metrics.refused.add(1, refusal.code)
                answer = json_response(refusal.body(path), status=refusal.status, headers=refusal.headers)
                await answer(scope, receive, send_guarded)
            elif scope["method"] == "OPTIONS" and origin in self._origins:
                await Response(status_code=204, headers=PREFLIGHT)(scope, receive, send_guarded)
            else:
                await self._app(scope, _bounded(receive, self._limits.max_bytes), send_guarded)
        finally:
            seconds = time.monotonic() - began
            self._metrics.requests.add(1, route, str(status))
            self._metrics.seconds.observe(seconds, route)
            log.info("%s %s %s %d %d B %.0f ms", request_id, scope["method"], route, status, sent, 1000 * seconds)

    def _refusal(self, scope: Scope, headers: Headers, origin: str | None) -> RefusedError | None:
        host = urlsplit(f"//{headers.get('host', '')}")
        if self._only_loopback and not is_loopback(host.hostname or ""):
            return RefusedError(
                421, "host", "this service answers on this machine alone: ask for 127.0.0.1 or localhost."
            )
        if origin is not None and origin not in self._origins and urlsplit(origin).netloc != host.netloc:
            return RefusedError(403, "origin", "pages of other sites may not ask this service; see --allow-origin.")
        is_preflight = scope["method"] == "OPTIONS" and origin in self._origins
        if self._token is not None and scope["path"] not in self._open and not is_preflight:
            scheme, _, given = headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), self._token):
                text = "a token is needed: send it as 'Authorization: Bearer TOKEN'."
                return RefusedError(401, "token", text, headers={"WWW-Authenticate": "Bearer"})
        length = headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit() or int(length[:20]) > self._limits.max_bytes:
            return too_large(self._limits.max_bytes)
        return None


def too_large(max_bytes: int) -> RefusedError:
    """Why a body is not read to its end."""
    return RefusedError(413, "too-large", f"the request is too large: at most {max_bytes} bytes are read.")


def _bounded(receive: Receive, max_bytes: int) -> Receive:
    """Ends a body that is longer than it may be, whatever its header says."""
    read = 0

    async def bounded() -> Message:
        nonlocal read
        message = await receive()
        if message["type"] == "http.request":
            read += len(message.get("body", b""))
            if read > max_bytes:
                raise too_large(max_bytes)
        return message

    return bounded
