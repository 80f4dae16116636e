"""Every kind of hostile or broken server against every policy: datasets, shards and weights.

Each call ends in time, with the file or with an error that carries its data; what is not the file never gets its name,
and no thread is left behind.
"""

import gzip
import hashlib
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from file_server import Behaviour, FileServer
from tandem.data.download.catalogue import CATALOGUE
from tandem.data.download.install import DATASET_POLICY, DatasetSource, install
from tandem.data.shards.index import Shard
from tandem.data.shards.store import SHARD_POLICY, CachedStore
from tandem.errors import DataError, DownloadError, TandemError, WeightsError
from tandem.evaluation.networks.download import WEIGHTS_POLICY, download
from tandem.fetch.errors import FetchError
from tandem.fetch.policy import FetchPolicy
from tandem.fetch.transfer import fetch_file

CONTENT = random.Random(0).randbytes(600_000)
OTHER = random.Random(1).randbytes(600_000)
CUT = 200_000
STALL = {"stall_seconds": 0.3}
TRIES = 2


@dataclass(frozen=True)
class Kind:
    """What is fetched: by which rules, and what is known of it beforehand."""

    policy: FetchPolicy
    knows_size: bool
    knows_sha256: bool

    def fetch(self, server: FileServer, path: Path, *, name: str = "/file", **changes: Any) -> bytes:
        rules = {"stall_seconds": 10.0, "max_seconds": 20.0, "max_tries": TRIES, "backoff_seconds": 0.01}
        return fetch_file(
            f"{server.url}{name}",
            path,
            replace(self.policy, **(rules | changes)),
            num_bytes=len(CONTENT) if self.knows_size else None,
            sha256=hashlib.sha256(CONTENT).hexdigest() if self.knows_sha256 else None,
        ).read_bytes()


KINDS = {
    "dataset": Kind(DATASET_POLICY, knows_size=False, knows_sha256=False),
    "dataset-of-known-size": Kind(DATASET_POLICY, knows_size=True, knows_sha256=False),
    "shard": Kind(SHARD_POLICY, knows_size=True, knows_sha256=True),
    "weights": Kind(WEIGHTS_POLICY, knows_size=True, knows_sha256=True),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    """Where the file goes; at the end no thread may be at it any more."""
    yield tmp_path / "file"
    end = time.monotonic() + 5
    while fetching := [thread for thread in threading.enumerate() if thread.name == "fetch"]:
        assert time.monotonic() < end, fetching
        time.sleep(0.02)


def refused(kind: Kind, server: FileServer, path: Path, **changes: Any) -> FetchError:
    """The error of a fetch, which must have ended in time and have left nothing under the file's name."""
    begun = time.monotonic()
    with pytest.raises(FetchError) as caught:
        kind.fetch(server, path, **changes)
    assert time.monotonic() - begun < 5
    assert {entry.name for entry in path.parent.iterdir()} <= {"file.part", "file.part.json"}
    error = caught.value
    assert (error.path, error.url.startswith(server.url)) == (path, True)
    part = path.with_name("file.part")
    assert error.kept == (part.stat().st_size if part.exists() else 0)
    assert str(error).isprintable()
    return error


def stop_in_the_middle(kind: Kind, server: FileServer, path: Path, **behaviour: object) -> Behaviour:
    served = server.serve("/file", CONTENT, cut_after=[CUT], **behaviour)
    assert refused(kind, server, path, max_tries=1).reason == "connection"
    assert path.with_name("file.part").read_bytes() == CONTENT[:CUT]
    return served


OK = b"HTTP/1.1 200 OK\r\n"
RAW = {
    "says nothing": (b"", b"", "stall"),
    "drips a status": (b"", b"H", "stall"),
    "drips a header": (OK + b"X-Long: ", b"x", "stall"),
    "sends interim answers without end": (b"", b"HTTP/1.1 100 Continue\r\n\r\n", "stall"),
    "sends nothing but interim answers": (b"", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", "status"),
    "drips the size of a chunk": (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"0", "stall"),
    "drips the extension of a chunk": (OK + b"Transfer-Encoding: chunked\r\n\r\n5;", b"x", "stall"),
    "drips the body": (OK + b"Content-Length: 600000\r\n\r\n", b"x", "stall"),
    "speaks another protocol": (b"SSH-2.0-\x1b[2J\x00\r\n\r\n", b"", "connection"),
    "sends a status that is none": (b"HTTP/1.1 2x0 \x1b[31mOK\r\n\r\n", b"", "connection"),
    "sends control characters": (b"HTTP/1.1 404 \x1b]0;gone\x07\x1b[2J\r\nContent-Length: 0\r\n\r\n", b"", "missing"),
    "hangs up": (b"", b"", "connection"),
}


@pytest.mark.parametrize("behaviour", RAW)
def test_what_is_no_answer(kind: Kind, server: FileServer, path: Path, behaviour: str) -> None:
    first, again, reason = RAW[behaviour]
    served = server.serve("/file", CONTENT, raw=(first, again), seconds_per_chunk=0.05)
    if behaviour == "says nothing":
        served.raw, served.stall_before_head = None, True
    assert refused(kind, server, path, **STALL).reason == reason
    assert len(server.asked) == (TRIES if reason in {"stall", "connection"} else 1)


def test_headers_without_end(kind: Kind, server: FileServer, path: Path) -> None:
    server.serve("/file", CONTENT, raw=(OK, b"X-Again: and again\r\n"))
    assert refused(kind, server, path).reason == "connection"


@pytest.mark.parametrize("head", [False, True])
def test_a_stall_ends_and_the_next_call_continues(kind: Kind, server: FileServer, path: Path, head: bool) -> None:
    served = server.serve("/file", CONTENT, stall_after=0 if head else CUT)
    error = refused(kind, server, path, **STALL)
    assert (error.reason, error.tries, error.passing) == ("stall", TRIES, True)
    assert (error.kept == 0) if head else (CUT <= error.kept < len(CONTENT))
    served.stall_after = None
    before = len(server.asked)
    assert kind.fetch(server, path) == CONTENT
    assert [asked.headers.get("Range") for asked in server.asked[before:]] == [None if head else f"bytes={error.kept}-"]


def test_slow_but_steady_ends_at_the_limit_of_time(kind: Kind, server: FileServer, path: Path) -> None:
    server.serve("/file", CONTENT, chunk_bytes=4096, seconds_per_chunk=0.05)
    error = refused(kind, server, path, max_seconds=0.8)
    assert (error.reason, error.passing) == ("deadline", False)
    assert 0 < error.kept < CUT


def test_a_reset_is_continued(kind: Kind, server: FileServer, path: Path) -> None:
    server.serve("/file", CONTENT, cut_after=[CUT], reset=True)
    assert kind.fetch(server, path) == CONTENT
    assert len(server.asked) == 2


def test_without_a_length(kind: Kind, server: FileServer, path: Path) -> None:
    """Where the end of the connection is that of the file, only its size or hash tells whether it is whole."""
    served = server.serve("/file", CONTENT, close_delimited=True)
    assert kind.fetch(server, path) == CONTENT
    path.unlink()
    served.cut_after = [CUT, 10]
    if kind.knows_size:
        assert refused(kind, server, path).reason == "connection"
    else:
        assert kind.fetch(server, path) == CONTENT[:CUT]


@pytest.mark.parametrize("form", ["chunked", "close_delimited"])
def test_more_than_is_accepted(kind: Kind, server: FileServer, path: Path, form: str) -> None:
    server.serve("/file", CONTENT, surplus=bytes(1_000_000), **{form: True})
    assert refused(kind, server, path, max_bytes=len(CONTENT)).reason == "size"
    assert list(path.parent.iterdir()) == []


def test_more_than_announced_is_not_read(kind: Kind, server: FileServer, path: Path) -> None:
    server.serve("/file", CONTENT, surplus=b"more")
    assert kind.fetch(server, path) == CONTENT


def test_less_than_announced(kind: Kind, server: FileServer, path: Path) -> None:
    server.serve("/file", CONTENT, announce=len(CONTENT) + 1, ranges=False)
    assert refused(kind, server, path).reason == ("size" if kind.knows_size else "connection")
    assert list(path.parent.iterdir()) == [] or not kind.knows_size


def test_a_terabyte_is_refused_before_it_comes(kind: Kind, server: FileServer, path: Path) -> None:
    served = server.serve("/file", CONTENT, announce=1 << 50)
    error = refused(kind, server, path)
    assert (error.reason, error.passing, error.kept) == ("size", False, 0)
    served.announce = 10**17
    assert refused(kind, server, path).reason == "size"


def test_an_empty_file(kind: Kind, server: FileServer, path: Path) -> None:
    server.serve("/file", b"")
    assert refused(kind, server, path).reason == ("size" if kind.knows_size else "content")
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize(
    "target",
    ["/file", "file", "", "file:///etc/passwd", "ftp://127.0.0.1/file", "data:,x", "http://[", "http://a:b@c/"],
)
def test_redirects_without_end_and_away_from_the_web(kind: Kind, server: FileServer, path: Path, target: str) -> None:
    server.serve("/file", CONTENT, redirect=target)
    error = refused(kind, server, path)
    assert (error.reason, error.passing) == ("redirect", False)
    assert len(server.asked) <= kind.policy.max_redirects + 1


def test_a_redirect_is_followed_from_the_middle(kind: Kind, server: FileServer, path: Path) -> None:
    served = stop_in_the_middle(kind, server, path)
    served.redirect = f"{server.url}/elsewhere"
    server.serve("/elsewhere", CONTENT)
    assert kind.fetch(server, path) == CONTENT
    assert server.asked_for("elsewhere") == [f"bytes={CUT}-"]


@pytest.mark.parametrize(
    "lie",
    [
        "bytes 0-599999/600000",
        "bytes 200001-599999/600000",
        "bytes 200000-599999/999999",
        "bytes 200000-599999/*",
        "bytes -1--1/-1",
        "items 1-2/3",
        f"bytes {'9' * 30}-{'9' * 30}/{'9' * 30}",
        "x" * 10_000,
    ],
)
def test_a_content_range_that_lies(kind: Kind, server: FileServer, path: Path, lie: str) -> None:
    served = stop_in_the_middle(kind, server, path, content_range=lie)
    assert kind.fetch(server, path) == CONTENT
    assert served.content_range is not None
    assert server.asked_for("file")[-2:] == [f"bytes={CUT}-", ""]


def test_a_part_that_nobody_asked_for(kind: Kind, server: FileServer, path: Path) -> None:
    head = b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-9/600000\r\nContent-Length: 10\r\n\r\n0123456789"
    server.serve("/file", CONTENT, raw=(head, b""))
    assert refused(kind, server, path).reason == "connection"
    assert list(path.parent.iterdir()) == []


def test_nothing_left_though_there_is(kind: Kind, server: FileServer, path: Path) -> None:
    served = stop_in_the_middle(kind, server, path)
    served.statuses = [416]
    assert kind.fetch(server, path) == CONTENT
    assert server.asked_for("file")[1:] == [f"bytes={CUT}-", ""]
    path.unlink()
    served.statuses = [416] * 10
    error = refused(kind, server, path)
    assert (error.reason, error.status, error.passing) == ("status", 416, False)


def test_a_changed_file_is_never_mixed_with_the_old_one(kind: Kind, server: FileServer, path: Path) -> None:
    stop_in_the_middle(kind, server, path)
    served = server.serve("/file", OTHER, etag='"two"')
    if kind.knows_sha256:
        assert refused(kind, server, path).reason == "content"
        assert list(path.parent.iterdir()) == []
    else:
        assert kind.fetch(server, path) == OTHER
    assert server.asked[-1].sent == len(OTHER), served


def test_a_server_that_continues_another_file_under_another_etag(kind: Kind, server: FileServer, path: Path) -> None:
    served = stop_in_the_middle(kind, server, path)
    served.content, served.ignores_conditions, served.etag = OTHER, True, '"two"'
    served_again = OTHER if not kind.knows_sha256 else CONTENT
    if kind.knows_sha256:
        assert refused(kind, server, path).reason == "content"
        served.content = CONTENT
    assert kind.fetch(server, path) == served_again


@pytest.mark.parametrize("kind", [kind for kind in KINDS.values() if kind.knows_sha256])
def test_a_server_that_continues_another_file_without_a_word(kind: Kind, server: FileServer, path: Path) -> None:
    """The hash shows it, and then the whole file is asked for; without one nothing can."""
    served = stop_in_the_middle(kind, server, path, etag=None)
    served.content = OTHER[:CUT] + CONTENT[CUT:-1] + b"!"
    served.ranges = True
    assert refused(kind, server, path).reason == "content"
    assert server.asked_for("file") == ["", f"bytes={CUT}-", ""]
    served.content = CONTENT
    assert kind.fetch(server, path) == CONTENT


def test_a_file_that_changes_with_every_answer(kind: Kind, server: FileServer, path: Path) -> None:
    server.serve("/file", CONTENT, next_etags=[f'"{index}"' for index in range(99)], cut_after=[CUT] * 99)
    assert refused(kind, server, path, max_tries=5).tries == 5
    assert len(server.asked) == 5


def test_what_was_compressed_on_the_way(kind: Kind, server: FileServer, path: Path) -> None:
    packed = gzip.compress(CONTENT)
    server.serve("/file", packed, encoding="gzip", chunked=True)
    error = refused(kind, server, path)
    assert (error.reason, error.status) == ("content", 200)
    assert server.asked[-1].headers["Accept-Encoding"] == "identity"
    server.serve("/file.gz", CONTENT, encoding="x-gzip")
    assert kind.fetch(server, path, name="/file.gz") == CONTENT, "the compression is the file's own"


def test_a_web_page_instead_of_the_file(kind: Kind, server: FileServer, path: Path) -> None:
    server.serve("/file", b"<html>please log in</html>", content_type="Text/HTML; charset=utf-8")
    assert refused(kind, server, path).reason == ("content" if kind.policy.refuse_pages else "size")


@pytest.mark.parametrize(("status", "reason"), [(404, "missing"), (410, "missing"), (401, "status"), (503, "status")])
def test_the_status_is_carried(kind: Kind, server: FileServer, path: Path, status: int, reason: str) -> None:
    server.serve("/file", CONTENT, statuses=[status] * TRIES)
    error = refused(kind, server, path)
    assert (error.reason, error.status, error.passing) == (reason, status, status == 503)
    assert error.tries == len(server.asked)


def test_other_kinds_of_urls(kind: Kind, path: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_bytes(CONTENT)
    checks = {"num_bytes": len(CONTENT), "sha256": hashlib.sha256(CONTENT).hexdigest()}
    if kind.policy.schemes is None:
        assert fetch_file(f"file://{tmp_path}/mine", path, kind.policy, **checks).read_bytes() == CONTENT
        return
    with pytest.raises(FetchError) as caught:
        fetch_file(f"file://{tmp_path}/mine", path, kind.policy, **checks)
    assert caught.value.reason == "url"


def test_two_at_once_fetch_once(kind: Kind, server: FileServer, path: Path) -> None:
    server.serve("/file", CONTENT, chunk_bytes=50_000, seconds_per_chunk=0.05)
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(kind.fetch(server, path))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [CONTENT] * 3
    assert len(server.asked) == 1
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]


def test_who_comes_second_does_not_spoil_what_the_first_has(kind: Kind, server: FileServer, path: Path) -> None:
    server.serve("/file", CONTENT, chunk_bytes=50_000, seconds_per_chunk=0.05)
    found: list[bytes] = []
    first = threading.Thread(target=lambda: found.append(kind.fetch(server, path)))
    first.start()
    while not server.asked:
        time.sleep(0.01)
    with pytest.raises(FetchError) as caught:
        kind.fetch(server, path, name="/gone", max_seconds=0.3)
    assert (caught.value.reason, caught.value.kept) == ("busy", 0)
    first.join()
    assert found == [CONTENT]


def dataset(server: FileServer, folder: Path) -> None:
    policy = replace(DATASET_POLICY, max_tries=1)
    entry = CATALOGUE["pix2pix/facades"]
    install(entry, folder / "facades", DatasetSource(mirror=f"{server.url}/facades.tar.gz"), policy=policy)


def shard(server: FileServer, folder: Path) -> None:
    described = Shard("x.tar", "train", "ab", 1, 2048, "0" * 64)
    CachedStore(server.url, folder, 10**9, replace(SHARD_POLICY, max_tries=1)).path(described)


def weights(server: FileServer, folder: Path) -> None:
    policy = replace(WEIGHTS_POLICY, max_tries=1)
    download(f"{server.url}/x.pth", folder / "x.pth", sha256="0" * 64, num_bytes=10, policy=policy)


@pytest.mark.parametrize(
    ("fetch", "kind_of_error", "advice"),
    [
        (dataset, DownloadError, "try again later: the same command continues"),
        (shard, DataError, "could not be fetched at the first try"),
        (weights, WeightsError, "x.pth failed"),
    ],
)
def test_callers_add_their_advice(
    server: FileServer, tmp_path: Path, fetch, kind_of_error: type[TandemError], advice: str
) -> None:
    for name in ("/facades.tar.gz", "/x.tar", "/x.pth"):
        server.serve(name, b"", statuses=[503])
    with pytest.raises(kind_of_error, match=advice) as caught:
        fetch(server, tmp_path / "here")
    cause = caught.value.__cause__
    assert isinstance(cause, FetchError)
    assert (cause.reason, cause.status, cause.passing, cause.url.startswith(server.url)) == ("status", 503, True, True)
    assert cause.path is not None
    assert cause.path.is_relative_to(tmp_path)
