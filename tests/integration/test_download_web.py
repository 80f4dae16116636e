"""One request over real sockets: which URLs are asked, which redirects followed, what failures are called."""

import random
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest
from file_server import FileServer

from tandem.data.download.transfer import TransferOptions, fetch
from tandem.data.download.web import MAX_REDIRECTS, clean_url
from tandem.errors import ConfigError, DownloadError

CONTENT = random.Random(0).randbytes(300_000)
QUICK = TransferOptions(timeout_seconds=5, max_tries=1, backoff_seconds=0.01)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file.zip"


def test_nobody_there(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    server = FileServer()
    url = server.url
    server._server.server_close()
    with pytest.raises(DownloadError, match=r"127.0.0.1 refuses the connection"):
        fetch(f"{url}/file.zip", path, options=QUICK)
    with pytest.raises(DownloadError, match=r"the server nowhere\.invalid was not found"):
        fetch("http://nowhere.invalid/file.zip", path, options=QUICK)


def test_plain_http_where_https_is_expected(server: FileServer, path: Path) -> None:
    server.serve("/file.zip", CONTENT)
    with pytest.raises(DownloadError, match=r"no secure connection to 127.0.0.1"):
        fetch(f"{server.url}/file.zip".replace("http:", "https:"), path, options=QUICK)


def test_a_web_page_is_no_archive(server: FileServer, path: Path) -> None:
    server.serve("/file.zip", b"<html>please log in</html>", content_type="text/html; charset=utf-8")
    with pytest.raises(DownloadError, match="sent a web page"):
        fetch(f"{server.url}/file.zip", path, options=QUICK)
    server.serve("/file.zip", b"")
    with pytest.raises(DownloadError, match="empty file"):
        fetch(f"{server.url}/file.zip", path, options=QUICK)


def test_redirects_are_followed_but_not_for_ever_or_anywhere(server: FileServer, path: Path) -> None:
    server.serve("/file.zip", CONTENT)
    for hop in range(MAX_REDIRECTS):
        server.serve(f"/hop{hop}", b"", redirect="/file.zip" if hop == 0 else f"{server.url}/hop{hop - 1}")
    fetch(f"{server.url}/hop{MAX_REDIRECTS - 1}", path, options=QUICK)
    assert path.read_bytes() == CONTENT
    server.serve("/loop", b"", redirect="/loop")
    with pytest.raises(DownloadError, match=f"redirects more than {MAX_REDIRECTS} times"):
        fetch(f"{server.url}/loop", path, options=QUICK)
    for target in ("file:///etc/passwd", "ftp://127.0.0.1/file.zip"):
        server.serve("/away", b"", redirect=target)
        with pytest.raises(DownloadError, match="an address that is not followed"):
            fetch(f"{server.url}/away", path, options=QUICK)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("file:///etc/passwd", "must begin with https:// or http://"),
        ("ftp://server/file.zip", "must begin with https:// or http://"),
        ("datasets/facades", "must begin with https:// or http://"),
        ("https:///file.zip", "names no server"),
        ("https://name:word@server/file.zip", "a name and a password"),
        ("https://server:notaport/", "is no URL"),
        ("https://" + "a" * 70 + "\u00e4.example/", "is no URL"),
    ],
)
def test_what_is_no_url(text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        clean_url(text)


def test_urls_are_quoted() -> None:
    assert clean_url("https://bücher.example:81/dä ta/x%20.zip?a=b c#part") == (
        "https://xn--bcher-kva.example:81/d%C3%A4%20ta/x%20.zip?a=b%20c"
    )
    assert clean_url("http://[::1]:80/a.zip") == "http://[::1]:80/a.zip"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")
def test_secure_connections(server: FileServer, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    subprocess.run(
        [*make.split(), "-keyout", tmp_path / "key", "-out", tmp_path / "cert"], check=True, capture_output=True
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    secure = FileServer()
    secure._server.socket = context.wrap_socket(secure._server.socket, server_side=True)
    address = secure.url.replace("http:", "https:")
    server.serve("/file.zip", CONTENT)
    secure.serve("/file.zip", CONTENT)
    secure.serve("/down", b"", redirect=f"{server.url}/file.zip")
    with secure.running():
        with pytest.raises(
            DownloadError, match=r"the certificate of 127.0.0.1 is not valid \(self-signed certificate\)"
        ):
            fetch(f"{address}/file.zip", path, options=QUICK)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert"))
        with pytest.raises(DownloadError, match="redirects from https to the unprotected"):
            fetch(f"{address}/down", path, options=QUICK)
        fetch(f"{address}/file.zip", path, options=QUICK)
    assert path.read_bytes() == CONTENT
    assert server.asked == []
