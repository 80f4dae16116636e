"""One HTTP request: which URLs are allowed, redirects, and what a failure means.

The standard library does it: what is needed of HTTP is one GET with a range, and a library would not spare the handling
of changed files, stalls and partial files, which is what this package is about.
"""

import http.client
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from urllib.parse import SplitResult, quote, urljoin, urlsplit, urlunsplit

from tandem.errors import ConfigError, DownloadError
from tandem.version import __version__

MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_SAFE = "/%:@!$&'()*+,;=~-._"

Response = http.client.HTTPResponse


class PassingError(Exception):
    """A failure that may be gone at the next try."""


class NothingLeftError(Exception):
    """The server has no bytes in the range that was asked for (status 416).

    Attributes:
        content_range: What it says of the file.
    """

    def __init__(self, content_range: str) -> None:
        super().__init__(content_range)
        self.content_range = content_range


def clean_url(text: str) -> str:
    """Return an http or https URL with everything quoted that must be.

    Raises:
        ConfigError: Another scheme, no host, or a name and password in it.
    """
    try:
        parts = urlsplit(text.strip())
        host, port = parts.hostname, parts.port
        ascii_host = host.encode("idna").decode() if host and ":" not in host else f"[{host}]"
    except ValueError as error:  # an encoding error is one too
        raise ConfigError(f"'{text:.200}' is no URL ({error}).") from error
    if parts.scheme not in {"http", "https"}:
        raise ConfigError(f"'{text:.200}' is no URL of the web: it must begin with https:// or http://.")
    if not host:
        raise ConfigError(f"'{text:.200}' names no server.")
    if parts.username is not None or parts.password is not None:
        raise ConfigError("a URL with a name and a password is not supported: fetch the file by hand, then --archive.")
    address = ascii_host if port is None else f"{ascii_host}:{port}"
    return urlunsplit(SplitResult(parts.scheme, address, quote(parts.path, _SAFE), quote(parts.query, _SAFE + "?"), ""))


def open_url(url: str, headers: Mapping[str, str], timeout_seconds: float) -> Response:
    """Ask for a file and follow redirects, at most `MAX_REDIRECTS` and never from https to http.

    Returns:
        The answer, of status 200 or 206; its body has not been read.

    Raises:
        DownloadError: A failure that will not pass: no such server or file, a certificate, a redirect elsewhere.
        PassingError: One that may: a time-out, a broken connection, a server in trouble.
        NothingLeftError: There is nothing in the range that `headers` ask for.
    """
    opener = _opener()
    current = url
    for _ in range(MAX_REDIRECTS + 1):
        request = urllib.request.Request(
            current, headers={"User-Agent": f"tandem/{__version__}", "Accept-Encoding": "identity", **headers}
        )
        try:
            response = opener.open(request, timeout=timeout_seconds)
        except urllib.error.HTTPError as answer:
            with answer:
                if answer.code not in _REDIRECTS:
                    raise _meaning_of_status(answer) from None
                current = _target(current, answer)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise meaning_of(error, current, timeout_seconds) from error
        else:
            if response.status in {200, 206}:
                return response
            response.close()
            raise DownloadError(f"the server answered with status {response.status} and no file")
    raise DownloadError(f"the server redirects more than {MAX_REDIRECTS} times")


def meaning_of(error: Exception, url: str, timeout_seconds: float) -> DownloadError | PassingError:
    """Say what a failure of the network means: an error for the user, or one that is worth another try."""
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    host = urlsplit(url).hostname
    match reason:
        case TimeoutError():
            return PassingError(f"nothing arrived from {host} for {timeout_seconds:g} s")
        case socket.gaierror():
            lasting = f"the server {host} was not found ({reason.strerror})"
        case ConnectionRefusedError():
            lasting = f"{host} refuses the connection"
        case ssl.SSLCertVerificationError():
            lasting = f"the certificate of {host} is not valid ({reason.verify_message})"
        case ssl.SSLError() if not isinstance(reason, ssl.SSLEOFError):
            lasting = f"no secure connection to {host} ({reason.reason or reason})"
        case ValueError() | http.client.InvalidURL() | str():
            lasting = f"{url} cannot be asked for ({reason})"
        case _:
            return PassingError(f"the connection to {host} broke ({type(reason).__name__}: {reason})")
    return DownloadError(lasting)


def _opener() -> urllib.request.OpenerDirector:
    """An opener that knows HTTP, HTTPS and the proxies of the environment, and neither files nor FTP.

    Redirects are left to `open_url`: the library's own handling reads their bodies without a bound.
    """
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener


def _target(current: str, answer: urllib.error.HTTPError) -> str:
    location = answer.headers.get("Location")
    if not location:
        raise DownloadError(f"the server redirects (status {answer.code}) without saying where to")
    try:
        target = clean_url(urljoin(current, location))
    except ConfigError as error:
        raise DownloadError(f"the server redirects to an address that is not followed: {error}") from error
    if urlsplit(current).scheme == "https" and urlsplit(target).scheme != "https":
        raise DownloadError(f"the server redirects from https to the unprotected {target}, which is not followed")
    return target


def _meaning_of_status(answer: urllib.error.HTTPError) -> Exception:
    if answer.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        return NothingLeftError(answer.headers.get("Content-Range", "").strip())
    text = f"the server answered {answer.code} {answer.reason!s:.80}".rstrip()
    return PassingError(text) if answer.code in _PASSING else DownloadError(text)
