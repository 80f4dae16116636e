"""One HTTP request: which URLs are allowed, its answer, where a redirect leads, and what a failure means."""

import base64
import http.client
import re
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, cast
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit, urlunsplit

from tandem.errors import ConfigError
from tandem.fetch.errors import FetchError, FetchReason
from tandem.fetch.policy import WEB
from tandem.fetch.reader import Answer, Reading
from tandem.version import __version__

REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_MISSING = frozenset({404, 410})
_SAFE = "/%:@!$&'()*+,;=~-._"
_CHUNK = 1 << 18


def clean_url(text: str, *, credentials: bool = False) -> str:
    """Return an http or https URL with everything quoted that must be.

    Args:
        text: What a user or a server gives.
        credentials: Whether a name and a password may be in it.

    Raises:
        ConfigError: Another scheme, no host, or a name and a password.
    """
    try:
        parts = urlsplit(text.strip())
        host, port = parts.hostname, parts.port
        ascii_host = host.encode("idna").decode() if host and ":" not in host else f"[{host}]"
    except ValueError as error:  # an encoding error is one too
        raise ConfigError(f"'{text:.200}' is no URL ({error}).") from error
    if parts.scheme not in WEB:
        raise ConfigError(f"'{text:.200}' is no URL of the web: it must begin with https:// or http://.")
    if not host:
        raise ConfigError(f"'{text:.200}' names no server.")
    name, at, _ = parts.netloc.rpartition("@")
    if at and not credentials:
        raise ConfigError("a URL with a name and a password is not supported here: fetch the file by hand.")
    address = quote(name, _SAFE) + at + (ascii_host if port is None else f"{ascii_host}:{port}")
    return urlunsplit(SplitResult(parts.scheme, address, quote(parts.path, _SAFE), quote(parts.query, _SAFE + "?"), ""))


def without_credentials(url: str) -> tuple[str, dict[str, str]]:
    """A URL without name and password, and the header that carries them instead."""
    parts = urlsplit(url)
    name, at, address = parts.netloc.rpartition("@")
    if not at:
        return url, {}
    token = base64.b64encode(unquote(name if ":" in name else f"{name}:").encode()).decode()
    return urlunsplit(parts._replace(netloc=address)), {"Authorization": f"Basic {token}"}


def redirected(url: str, answer: Answer) -> str:
    """Where a redirect leads; one that says nothing leads back.

    Raises:
        FetchError: Away from the web, or from https to http.
    """
    try:
        target = clean_url(urljoin(url, answer.location or ""))
    except (ConfigError, ValueError) as error:
        text = f"the server redirects to an address that is not followed: {error}"
        raise FetchError(text, "redirect", status=answer.status) from error
    if urlsplit(url).scheme == "https" and urlsplit(target).scheme != "https":
        text = f"the server redirects from https to the unprotected {target}, which is not followed"
        raise FetchError(text, "redirect", status=answer.status)
    return target


class WebSource(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
    """A file behind an http or https URL, whose connection another thread can cut."""

    def __init__(self, stall_seconds: float) -> None:
        super().__init__()
        self._stall_seconds = stall_seconds
        self._connection: http.client.HTTPConnection | None = None
        self._socket: socket.socket | None = None
        self._is_cut = False

    def read(self, url: str, headers: Mapping[str, str]) -> Reading:
        """Ask once and read the answer, whatever its status is.

        Only HTTP, HTTPS and the proxies of the environment are known to the opener, neither files nor FTP.
        """
        opener = urllib.request.OpenerDirector()
        for handler in (urllib.request.ProxyHandler(), self, urllib.request.UnknownHandler()):
            opener.add_handler(handler)
        asked = {"User-Agent": f"tandem/{__version__}", "Accept-Encoding": "identity", **headers}
        try:
            # Shorter than the patience of who waits, so that the next address of the server has its turn too.
            with opener.open(urllib.request.Request(url, headers=asked), timeout=self._stall_seconds / 3) as response:
                yield _answer(response)
                while chunk := response.read1(_CHUNK):
                    yield chunk
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise _meaning_of(error, url) from error

    def cut(self) -> None:
        """Break the connection, so that whatever waits for it ends."""
        self._is_cut = True
        for end in (self._socket, self._connection and self._connection.sock):
            if end is not None:
                with suppress(OSError):  # it is closed already
                    socket.socket.shutdown(end, socket.SHUT_RDWR)

    def do_open(self, http_class: Any, req: urllib.request.Request, **options: Any) -> http.client.HTTPResponse:
        """Make the connection as the library does, and remember it and its socket."""
        source = self

        class Connection(http_class):
            def connect(self) -> None:
                source._connection = self
                super().connect()

            def getresponse(self) -> http.client.HTTPResponse:
                source._socket = self.sock
                self.sock.settimeout(2 * source._stall_seconds)  # who waits has given up before
                if source._is_cut:
                    raise ConnectionAbortedError
                return super().getresponse()

        return super().do_open(cast(Any, Connection), req, **options)


def meaning_of_status(answer: Answer) -> FetchError:
    """Say what a status means that comes without a file."""
    text = f"the server answered {answer.status} {answer.phrase:.80}".rstrip()
    reason = "missing" if answer.status in _MISSING else "status"
    return FetchError(text, reason, status=answer.status, passing=answer.status in _PASSING)


def _meaning_of(error: Exception, url: str) -> FetchError:
    """Say what a failure of the network means."""
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    host = urlsplit(url).hostname
    reason: FetchReason
    match cause:
        case socket.gaierror():
            text, reason = f"the server {host} was not found ({cause.strerror})", "unreachable"
        case ConnectionRefusedError():
            text, reason = f"{host} refuses the connection", "unreachable"
        case ssl.SSLCertVerificationError():
            text, reason = f"the certificate of {host} is not valid ({cause.verify_message})", "certificate"
        case ssl.SSLError() if not isinstance(cause, ssl.SSLEOFError):
            text, reason = f"no secure connection to {host} ({cause.reason or cause})", "tls"
        case ValueError() | http.client.InvalidURL() | str():
            text, reason = f"{url} cannot be asked for ({cause})", "url"
        case _:
            text, reason = f"the connection to {host} broke ({type(cause).__name__}: {cause!s:.200})", "connection"
    return FetchError(text, reason, passing=reason == "connection")


def _answer(response: http.client.HTTPResponse) -> Answer:
    headers = response.headers
    start, total = 0, None if response.chunked else _number(headers.get("Content-Length", ""))
    span = headers.get("Content-Range", "").strip()
    if response.status == http.HTTPStatus.PARTIAL_CONTENT:
        match = re.fullmatch(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18})", span, re.ASCII)
        start, total = (int(match[1]), int(match[2])) if match else (-1, None)
    elif response.status == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        total = _number(span.removeprefix("bytes */"))
    etag, changed = headers.get("ETag", ""), headers.get("Last-Modified", "")
    validator = etag if re.fullmatch(r'"[\x21\x23-\x7e]*"', etag) else changed  # a weak ETag proves nothing
    return Answer(
        status=response.status,
        phrase=response.reason,
        start=start,
        total=total,
        validator=validator if re.fullmatch(r"[\x20-\x7e]{1,1000}", validator) else None,
        location=headers.get("Location"),
        media_type=headers.get_content_type(),
        encoding=headers.get("Content-Encoding", "").strip().lower(),
    )


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"\d{1,18}", text, re.ASCII) else None
