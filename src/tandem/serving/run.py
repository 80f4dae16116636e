"""The service as a process: from its start to its graceful end."""

import logging
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from starlette.types import ASGIApp

from tandem.errors import ConfigError

GRACE_SECONDS = 5
"""What a stop waits beyond the time limit of requests."""

log = logging.getLogger(__name__)


def serve(
    app: ASGIApp, *, host: str, port: int, time_limit: float, on_start: Callable[[str], None] | None = None
) -> None:
    """Answer until SIGINT or SIGTERM, then finish what runs.

    Args:
        app: The service.
        host: The address that it listens at.
        port: The port; 0 for a free one.
        time_limit: Seconds that a request may take.
        on_start: Called with the service's address as soon as it listens there.

    Raises:
        ConfigError: The address cannot be listened at.
    """
    import uvicorn  # noqa: PLC0415  (an extra)

    with _listen(host, port) as listening:
        name = f"[{host}]" if ":" in host else host
        address = f"http://{name}:{listening.getsockname()[1]}/"

        class Server(uvicorn.Server):
            async def startup(self, sockets: list[socket.socket] | None = None) -> None:
                await super().startup(sockets)
                if on_start is not None and self.started:
                    on_start(address)

        config = uvicorn.Config(
            app,
            access_log=False,
            log_config=None,
            log_level="warning",
            server_header=False,
            proxy_headers=False,
            ws="none",
            timeout_graceful_shutdown=round(time_limit) + GRACE_SECONDS,
        )
        with _calmly():
            Server(config).run(sockets=[listening])
    log.info("stopped: all running requests were answered")


@contextmanager
def _calmly() -> Iterator[None]:
    """Uvicorn raises the signal that stopped it once more when it has stopped, which would end the process by it."""
    before = {number: signal.signal(number, _ignore) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ignore(number: int, frame: FrameType | None) -> None:
    del number, frame


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ConfigError(f"--host {host} is no address of this machine: {error.strerror}.", option="--host") from error
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)  # who connects before the service listens is refused, and tries again
    except OSError as error:
        listening.close()
        raise ConfigError(
            f"--host {host} --port {port} cannot be listened at ({error.strerror}): choose another port, or 0 for a "
            "free one.",
            option="--port",
        ) from error
    return listening
