"""A real HTTP server on this machine that behaves as badly as asked."""

import contextlib
import http.server
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Behaviour:
    """What a path of the server does; tests change it while the server runs."""

    content: bytes = b""
    file: Path | None = None
    """A file on the disk that is served in place of `content`."""
    etag: str | None = '"one"'
    next_etags: list[str] = field(default_factory=list)
    """ETags of the next answers with a file."""
    last_modified: str | None = None
    ranges: bool = True
    range_shift: int = 0
    """Bytes by which it misses the place where it should continue."""
    content_range: str | None = None
    """Content-Range, where it is a lie."""
    statuses: list[int] = field(default_factory=list)
    """Statuses of the next answers, before it serves."""
    missing: bool = False
    redirect: str | None = None
    announce: int | None = None
    """Content-Length, where it is a lie."""
    chunked: bool = False
    close_delimited: bool = False
    """No length: the end of the connection is that of the file."""
    surplus: bytes = b""
    """Sent after the file."""
    content_type: str = "application/octet-stream"
    encoding: str | None = None
    raw: tuple[bytes, bytes] | None = None
    """Sent in place of an answer: first the one, then the other again and again, `seconds_per_chunk` apart."""
    cut_after: list[int] = field(default_factory=list)
    """The next answers break the connection after so many bytes."""
    stall_before_head: bool = False
    ignores_conditions: bool = False
    """It continues whatever If-Range says."""
    reset: bool = False
    """It breaks with a reset."""
    stall_after: int | None = None
    chunk_bytes: int = 1 << 16
    seconds_per_chunk: float = 0.0

    def body(self) -> bytes:
        return self.content if self.file is None else self.file.read_bytes()


@dataclass
class Asked:
    """A request as it came."""

    path: str
    headers: dict[str, str]
    sent: int = 0


class FileServer:
    """Behaviours by path, and what was asked.

    Args:
        root: A folder whose files are served too.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = Path("/dev/null") if root is None else root
        self.behaviours: dict[str, Behaviour] = {}
        self.asked: list[Asked] = []
        self.released = threading.Event()
        """Set at the end, so that stalled answers end too."""
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def serve(self, path: str, content: bytes, **behaviour: object) -> Behaviour:
        self.behaviours[path] = Behaviour(content, **behaviour)  # type: ignore[arg-type]
        return self.behaviours[path]

    def at(self, name: str) -> Behaviour:
        """The behaviour of a file of the folder."""
        return self.behaviours.setdefault(f"/{name}", Behaviour(file=self.root / name))

    def asked_for(self, name: str) -> list[str]:
        """The ranges of all requests for a file, empty for all of it."""
        return [asked.headers.get("Range", "") for asked in self.asked if asked.path == f"/{name}"]

    def behaviour_of(self, path: str) -> Behaviour | None:
        behaviour = self.behaviours.get(path)
        if behaviour is None and (self.root / path.strip("/")).is_file():
            behaviour = self.at(path.strip("/"))
        return None if behaviour is None or behaviour.missing else behaviour

    @contextlib.contextmanager
    def running(self) -> Iterator["FileServer"]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.released.set()
            self._server.shutdown()
            self._server.server_close()

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: object) -> None:
                pass

            def do_GET(self) -> None:
                asked = Asked(self.path, dict(self.headers))
                server.asked.append(asked)
                self.close_connection = True
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    answer(self, asked, server)

        return Handler


def answer(handler: http.server.BaseHTTPRequestHandler, asked: Asked, server: FileServer) -> None:
    behaviour = server.behaviour_of(asked.path)
    if behaviour is None:
        handler.send_error(404)
        return
    if behaviour.stall_before_head:
        server.released.wait(60)
        return
    if behaviour.raw is not None:
        first, again = behaviour.raw
        handler.wfile.write(first)
        while again and not server.released.wait(behaviour.seconds_per_chunk):
            handler.wfile.write(again)
        return
    if behaviour.redirect is not None:
        handler.send_response(302)
        handler.send_header("Location", behaviour.redirect)
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return
    if behaviour.statuses:
        handler.send_error(behaviour.statuses.pop(0))
        return
    if behaviour.next_etags:
        behaviour.etag = behaviour.next_etags.pop(0)
    body = behaviour.body()
    start = begin(handler, behaviour, len(body))
    if start is not None:
        send(handler, behaviour, asked, server, body=body[start:] + behaviour.surplus, start=start)


def begin(handler: http.server.BaseHTTPRequestHandler, behaviour: Behaviour, size: int) -> int | None:
    """Send the head; return where the body begins, or None if there is none."""
    start = 0
    wanted = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
    condition = handler.headers.get("If-Range")
    agreed = behaviour.ignores_conditions or condition in {None, behaviour.etag, behaviour.last_modified}
    if wanted and behaviour.ranges and agreed:
        start = int(wanted[1]) + behaviour.range_shift
        if start >= size:
            handler.send_response(416)
            handler.send_header("Content-Range", f"bytes */{size}")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return None
        handler.send_response(206)
        handler.send_header("Content-Range", behaviour.content_range or f"bytes {start}-{size - 1}/{size}")
    else:
        handler.send_response(200)
    if behaviour.chunked:
        handler.send_header("Transfer-Encoding", "chunked")
    elif not behaviour.close_delimited:
        handler.send_header("Content-Length", str(size - start if behaviour.announce is None else behaviour.announce))
    headers = {"ETag": behaviour.etag, "Last-Modified": behaviour.last_modified, "Content-Encoding": behaviour.encoding}
    for name, value in headers.items():
        if value is not None:
            handler.send_header(name, value)
    handler.send_header("Content-Type", behaviour.content_type)
    handler.end_headers()
    return start


def send(
    handler: http.server.BaseHTTPRequestHandler,
    behaviour: Behaviour,
    asked: Asked,
    server: FileServer,
    *,
    body: bytes,
    start: int,
) -> None:
    cut = behaviour.cut_after.pop(0) if behaviour.cut_after else None
    while asked.sent < len(body):
        if cut is not None and asked.sent >= cut:
            if behaviour.reset:
                handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                handler.connection.close()
            return
        if behaviour.stall_after is not None and start + asked.sent >= behaviour.stall_after:
            server.released.wait(60)
            return
        chunk = body[asked.sent : asked.sent + behaviour.chunk_bytes]
        if cut is not None:
            chunk = chunk[: cut - asked.sent]
        asked.sent += len(chunk)  # before the client has it, and the test goes on
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk) if behaviour.chunked else chunk)
        handler.wfile.flush()
        time.sleep(behaviour.seconds_per_chunk)
    if behaviour.chunked:
        handler.wfile.write(b"0\r\n\r\n")
