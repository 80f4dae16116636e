"""One request over real sockets: which URLs are asked, which redirects followed, what failures are called."""

import base64
import random
import shutil
import ssl
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from file_server import FileServer
from tandem.data.download.install import DATASET_POLICY
from tandem.errors import ConfigError
from tandem.fetch.errors import FetchError
from tandem.fetch.transfer import fetch_file
from tandem.fetch.web import clean_url

CONTENT = random.Random(0).randbytes(300_000)
QUICK = replace(DATASET_POLICY, stall_seconds=5, max_tries=1, backoff_seconds=0.01)
MAX_REDIRECTS = DATASET_POLICY.max_redirects


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file.zip"


def test_nobody_there(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    server = FileServer()
    url = server.url
    server._server.server_close()
    with pytest.raises(FetchError, match=r"127.0.0.1 refuses the connection"):
        fetch_file(f"{url}/file.zip", path, QUICK)
    with pytest.raises(FetchError, match=r"the server nowhere\.invalid was not found"):
        fetch_file("http://nowhere.invalid/file.zip", path, QUICK)


def test_plain_http_where_https_is_expected(server: FileServer, path: Path) -> None:
    server.serve("/file.zip", CONTENT)
    with pytest.raises(FetchError, match=r"no secure connection to 127.0.0.1"):
        fetch_file(f"{server.url}/file.zip".replace("http:", "https:"), path, QUICK)


def test_a_web_page_is_no_archive(server: FileServer, path: Path) -> None:
    server.serve("/file.zip", b"<html>please log in</html>", content_type="text/html; charset=utf-8")
    with pytest.raises(FetchError, match="sent a web page"):
        fetch_file(f"{server.url}/file.zip", path, QUICK)
    server.serve("/file.zip", b"")
    with pytest.raises(FetchError, match="empty file"):
        fetch_file(f"{server.url}/file.zip", path, QUICK)


def test_redirects_are_followed_but_not_for_ever_or_anywhere(server: FileServer, path: Path) -> None:
    server.serve("/file.zip", CONTENT)
    for hop in range(MAX_REDIRECTS):
        server.serve(f"/hop{hop}", b"", redirect="/file.zip" if hop == 0 else f"{server.url}/hop{hop - 1}")
    fetch_file(f"{server.url}/hop{MAX_REDIRECTS - 1}", path, QUICK)
    assert path.read_bytes() == CONTENT
    path.unlink()
    server.serve("/loop", b"", redirect="/loop")
    with pytest.raises(FetchError, match=f"redirects more than {MAX_REDIRECTS} times"):
        fetch_file(f"{server.url}/loop", path, QUICK)
    for target in ("file:///etc/passwd", "ftp://127.0.0.1/file.zip"):
        server.serve("/away", b"", redirect=target)
        with pytest.raises(FetchError, match="an address that is not followed"):
            fetch_file(f"{server.url}/away", path, QUICK)


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


def test_credentials_go_to_their_server_alone(server: FileServer, path: Path) -> None:
    policy = replace(QUICK, credentials=True)
    server.serve("/file.zip", CONTENT)
    with_name = server.url.replace("http://", "http://jane:a%40b@")
    with pytest.raises(ConfigError, match="a name and a password"):
        fetch_file(f"{with_name}/file.zip", path, QUICK)
    fetch_file(f"{with_name}/file.zip", path, policy)
    expected = "Basic " + base64.b64encode(b"jane:a@b").decode()
    assert server.asked[-1].headers["Authorization"] == expected
    path.unlink()
    with FileServer().running() as other:
        other.serve("/file.zip", CONTENT)
        server.serve("/here", b"", redirect="/there")
        server.serve("/there", b"", redirect=f"{other.url}/file.zip")
        fetch_file(f"{with_name}/here", path, policy)
        assert [asked.headers.get("Authorization") for asked in server.asked[-2:]] == [expected] * 2
        assert "Authorization" not in other.asked[-1].headers
    with pytest.raises(FetchError, match="404") as caught:
        fetch_file(f"{with_name}/gone", path.with_name("gone"), policy)
    assert caught.value.url == f"{server.url}/gone"


def test_a_proxy_is_used(server: FileServer, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", server.url)
    server.serve("http://nowhere.invalid/file.zip", CONTENT)
    fetch_file("http://nowhere.invalid/file.zip", path, QUICK)
    assert path.read_bytes() == CONTENT


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
        with pytest.raises(FetchError, match=r"the certificate of 127.0.0.1 is not valid \(self-signed certificate\)"):
            fetch_file(f"{address}/file.zip", path, QUICK)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert"))
        with pytest.raises(FetchError, match="redirects from https to the unprotected"):
            fetch_file(f"{address}/down", path, QUICK)
        fetch_file(f"{address}/file.zip", path, QUICK)
    assert path.read_bytes() == CONTENT
    assert server.asked == []
