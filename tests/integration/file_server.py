"""A real HTTP server on this machine that behaves as badly as asked, and archives to serve."""

import contextlib
import http.server
import io
import random
import re
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image
from support import Finished, tandem

from tandem.data.download.catalogue import RemoteDataset


@dataclass
class Behaviour:
    """What a path of the server does; tests change it while the server runs."""

    content: bytes = b""
    etag: str | None = '"one"'
    last_modified: str | None = None
    ranges: bool = True
    range_shift: int = 0
    """Bytes by which it misses the place where it should continue."""
    statuses: list[int] = field(default_factory=list)
    """Statuses of the next answers, before it serves."""
    redirect: str | None = None
    announce: int | None = None
    """Content-Length, where it is a lie."""
    chunked: bool = False
    content_type: str = "application/octet-stream"
    cut_after: list[int] = field(default_factory=list)
    """The next answers break the connection after so many bytes."""
    stall_after: int | None = None
    chunk_bytes: int = 1 << 16
    seconds_per_chunk: float = 0.0


@dataclass
class Asked:
    """A request as it came."""

    path: str
    headers: dict[str, str]
    sent: int = 0


class FileServer:
    """Behaviours by path, and what was asked."""

    def __init__(self) -> None:
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
    behaviour = server.behaviours.get(asked.path)
    if behaviour is None:
        handler.send_error(404)
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
    start = begin(handler, behaviour)
    if start is not None:
        send(handler, behaviour, asked, server, start)


def begin(handler: http.server.BaseHTTPRequestHandler, behaviour: Behaviour) -> int | None:
    """Send the head; return where the body begins, or None if there is none."""
    size, start = len(behaviour.content), 0
    wanted = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
    condition = handler.headers.get("If-Range")
    if wanted and behaviour.ranges and condition in {None, behaviour.etag, behaviour.last_modified}:
        start = int(wanted[1]) + behaviour.range_shift
        if start >= size:
            handler.send_response(416)
            handler.send_header("Content-Range", f"bytes */{size}")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return None
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
    else:
        handler.send_response(200)
    if behaviour.chunked:
        handler.send_header("Transfer-Encoding", "chunked")
    else:
        handler.send_header("Content-Length", str(size - start if behaviour.announce is None else behaviour.announce))
    for name, value in {"ETag": behaviour.etag, "Last-Modified": behaviour.last_modified}.items():
        if value is not None:
            handler.send_header(name, value)
    handler.send_header("Content-Type", behaviour.content_type)
    handler.end_headers()
    return start


def send(
    handler: http.server.BaseHTTPRequestHandler, behaviour: Behaviour, asked: Asked, server: FileServer, start: int
) -> None:
    cut = behaviour.cut_after.pop(0) if behaviour.cut_after else None
    body = behaviour.content[start:]
    while asked.sent < len(body):
        if cut is not None and asked.sent >= cut:
            return
        if behaviour.stall_after is not None and start + asked.sent >= behaviour.stall_after:
            server.released.wait(60)
            return
        chunk = body[asked.sent : asked.sent + behaviour.chunk_bytes]
        if cut is not None:
            chunk = chunk[: cut - asked.sent]
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk) if behaviour.chunked else chunk)
        handler.wfile.flush()
        asked.sent += len(chunk)
        time.sleep(behaviour.seconds_per_chunk)
    if behaviour.chunked:
        handler.wfile.write(b"0\r\n\r\n")


def jpeg(number: int, size: int = 16) -> bytes:
    """A small side-by-side image of noise of its own, which does not shrink."""
    buffer = io.BytesIO()
    noise = random.Random(number).randbytes(2 * size * size * 3)
    Image.frombytes("RGB", (2 * size, size), noise).save(buffer, "JPEG")
    return buffer.getvalue()


def images_of(entry: RemoteDataset, *, unknown: int = 2) -> dict[str, bytes]:
    """As many images as the catalogue says, under the paths of the archive."""
    return {
        f"{entry.name}/{folder}/{index}.jpg": jpeg(index)
        for folder, number in entry.folders.items()
        for index in range(unknown if number is None else number)
    }


def zipped(files: Mapping[str, bytes], *, compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def packed(entry: RemoteDataset, files: Mapping[str, bytes] | None = None) -> bytes:
    """The archive of a dataset in the format of its server."""
    files = images_of(entry) if files is None else files
    return zipped(files) if entry.archive_name.endswith(".zip") else tarred(files)


def paths_of(folder: Path) -> set[str]:
    """All files and folders in `folder`, hidden ones too."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")} if folder.exists() else set()


def download(server: FileServer, *words: str | Path, name: str = "facades") -> Finished:
    return tandem("data", "download", name, "--mirror", f"{server.url}/sets", "--tries", "1", "--timeout", "5", *words)
