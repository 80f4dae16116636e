"""A real HTTP server for a folder that answers parts of files, and misbehaves as it is told."""

import contextlib
import http.server
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class ShardServer:
    """What it serves and how; tests change it while it runs.

    Attributes:
        root: The folder.
        url: Where it is to be found.
        ranges: Whether parts of files are answered.
        missing: Names that are answered with 404.
        statuses: The next answers, before it serves.
        cut_after: The next answers end after so many bytes of the body.
        stall: Names whose answers never come.
        asked: Path and range of every GET.
    """

    root: Path
    url: str = ""
    ranges: bool = True
    missing: set[str] = field(default_factory=set)
    statuses: list[int] = field(default_factory=list)
    cut_after: list[int] = field(default_factory=list)
    stall: set[str] = field(default_factory=set)
    asked: list[tuple[str, str]] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    def asked_for(self, name: str) -> list[str]:
        """The ranges of all GETs of a file."""
        return [part for path, part in self.asked if path == name]


@contextlib.contextmanager
def serving(root: Path) -> Iterator[ShardServer]:
    """Serve a folder until the end of the block."""
    state = ShardServer(root)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            state.asked.append((self.path.strip("/"), self.headers.get("Range", "")))
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self.answer(body=True)

        def answer(self, *, body: bool) -> None:
            self.close_connection = True
            name = self.path.strip("/")
            file = state.root / name
            if body and name in state.stall:
                state.released.wait(30)
                return
            if name in state.missing or not file.is_file():
                self.send_error(404)
                return
            if body and state.statuses:
                self.send_error(state.statuses.pop(0))
                return
            self.send(file.read_bytes(), body=body)

        def send(self, content: bytes, *, body: bool) -> None:
            match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")) if state.ranges else None
            total = len(content)
            if match:
                first, last = int(match[1]), min(int(match[2] or total - 1), total - 1)
                content = content[first : last + 1]
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {first}-{last}/{total}")
            else:
                self.send_response(200)
            if state.ranges:
                self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if body:
                cut = state.cut_after.pop(0) if state.cut_after else total
                self.wfile.write(content[:cut])
                self.wfile.flush()
                if cut < len(content):
                    time.sleep(0.3)  # the client drops what it has not read when the connection breaks

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        state.released.set()
        server.shutdown()
        server.server_close()
