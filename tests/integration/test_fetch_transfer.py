"""A file over real sockets: continued after every kind of interruption, and never a mixture of two files."""

import random
from dataclasses import replace
from pathlib import Path

import pytest

from file_server import FileServer
from tandem.data.download.install import DATASET_POLICY
from tandem.fetch.errors import FetchError
from tandem.fetch.transfer import fetch_file

CONTENT = random.Random(0).randbytes(3_000_000)
OTHER = random.Random(1).randbytes(3_000_000)
QUICK = replace(DATASET_POLICY, stall_seconds=5, max_tries=1, backoff_seconds=0.01)
PATIENT = replace(QUICK, max_tries=3)
CUT = 1_200_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file.zip"


def stop_in_the_middle(server: FileServer, path: Path, **behaviour: object) -> None:
    server.serve("/file.zip", CONTENT, cut_after=[CUT], **behaviour)
    with pytest.raises(FetchError, match=r"ended after 1,200,000 of 3,000,000 bytes"):
        fetch_file(f"{server.url}/file.zip", path, QUICK)
    assert not path.exists()
    assert path.with_name("file.zip.part").read_bytes() == CONTENT[:CUT]


def test_a_whole_file(server: FileServer, path: Path) -> None:
    server.serve("/file.zip", CONTENT)
    seen: list[tuple[int, int | None]] = []
    fetch_file(f"{server.url}/file.zip", path, QUICK, on_progress=lambda *progress: seen.append(progress))
    assert path.read_bytes() == CONTENT
    assert [entry.name for entry in path.parent.iterdir()] == ["file.zip"]
    assert seen[0] == (0, len(CONTENT))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert "Range" not in server.asked[0].headers
    assert server.asked[0].headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize(
    "validators",
    [
        {"etag": '"one"'},
        {"etag": None, "last_modified": "Wed, 21 Oct 2015 07:28:00 GMT"},
        {"etag": 'W/"weak"', "last_modified": "Wed, 21 Oct 2015 07:28:00 GMT"},
    ],
)
def test_the_next_call_fetches_only_the_rest(server: FileServer, path: Path, validators: dict[str, str]) -> None:
    stop_in_the_middle(server, path, **validators)
    seen: list[int] = []
    fetch_file(f"{server.url}/file.zip", path, QUICK, on_progress=lambda done, _total: seen.append(done))
    assert path.read_bytes() == CONTENT
    assert server.asked[-1].headers["Range"] == f"bytes={CUT}-"
    strong = validators["etag"] if validators["etag"] == '"one"' else validators["last_modified"]
    assert server.asked[-1].headers["If-Range"] == strong
    assert server.asked[-1].sent == len(CONTENT) - CUT
    assert seen[0] == CUT


def test_one_call_continues_by_itself(server: FileServer, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "tandem")
    server.serve("/file.zip", CONTENT, cut_after=[CUT, 300_000])
    fetch_file(f"{server.url}/file.zip", path, PATIENT)
    assert path.read_bytes() == CONTENT
    assert [asked.sent for asked in server.asked] == [CUT, 300_000, len(CONTENT) - CUT - 300_000]
    assert "trying again in 0.01 s" in caplog.text


def test_a_server_without_ranges_begins_anew_and_says_so(
    server: FileServer, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "tandem")
    stop_in_the_middle(server, path, ranges=False)
    fetch_file(f"{server.url}/file.zip", path, QUICK)
    assert path.read_bytes() == CONTENT
    assert "beginning anew: the file on the server has no way to be continued (1.2 MB are dropped)" in caplog.text


def test_without_a_validator_nothing_is_continued(server: FileServer, path: Path) -> None:
    stop_in_the_middle(server, path, etag=None)
    server.serve("/file.zip", OTHER, etag=None)
    fetch_file(f"{server.url}/file.zip", path, QUICK)
    assert path.read_bytes() == OTHER
    assert "Range" not in server.asked[-1].headers


def test_a_changed_file_is_not_mixed_with_the_old_one(
    server: FileServer, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "tandem")
    stop_in_the_middle(server, path)
    server.serve("/file.zip", OTHER, etag='"two"')
    fetch_file(f"{server.url}/file.zip", path, QUICK)
    assert path.read_bytes() == OTHER
    assert "beginning anew: the file on the server has changed" in caplog.text


def test_a_server_that_continues_in_the_wrong_place(server: FileServer, path: Path) -> None:
    stop_in_the_middle(server, path, range_shift=-10)
    fetch_file(f"{server.url}/file.zip", path, PATIENT)
    assert path.read_bytes() == CONTENT


def test_another_url_is_another_file(server: FileServer, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "tandem")
    stop_in_the_middle(server, path)
    with pytest.raises(FetchError, match="404"):
        fetch_file(f"{server.url}/gone.zip", path, QUICK)
    assert path.with_name("file.zip.part").stat().st_size == CUT, "a dead mirror must not cost what is here"
    server.serve("/mirror.zip", OTHER)
    fetch_file(f"{server.url}/mirror.zip", path, QUICK)
    assert path.read_bytes() == OTHER
    assert "the partial file came from" in caplog.text


@pytest.mark.parametrize("sidecar", [b"", b"[]", b'{"url": 3}', b"[" * 100_000, None])
def test_a_partial_file_of_unknown_origin_is_dropped(server: FileServer, path: Path, sidecar: bytes | None) -> None:
    stop_in_the_middle(server, path)
    if sidecar is None:
        path.with_name("file.zip.part.json").unlink()
    else:
        path.with_name("file.zip.part.json").write_bytes(sidecar)
    server.serve("/file.zip", OTHER)
    fetch_file(f"{server.url}/file.zip", path, QUICK)
    assert path.read_bytes() == OTHER


def test_a_part_that_is_whole_only_takes_its_name(server: FileServer, path: Path) -> None:
    stop_in_the_middle(server, path)
    path.with_name("file.zip.part").write_bytes(CONTENT)
    before = len(server.asked)
    fetch_file(f"{server.url}/file.zip", path, QUICK)
    assert path.read_bytes() == CONTENT
    assert len(server.asked) == before


def test_a_file_that_became_shorter_begins_anew(server: FileServer, path: Path) -> None:
    stop_in_the_middle(server, path)
    server.serve("/file.zip", CONTENT[:1000])
    fetch_file(f"{server.url}/file.zip", path, PATIENT)
    assert path.read_bytes() == CONTENT[:1000]


def test_without_a_length(server: FileServer, path: Path) -> None:
    server.serve("/file.zip", CONTENT, chunked=True, cut_after=[CUT])
    fetch_file(f"{server.url}/file.zip", path, PATIENT)
    assert path.read_bytes() == CONTENT
    assert [asked.sent for asked in server.asked] == [CUT, len(CONTENT) - CUT]


def test_a_stall_ends_and_is_said(server: FileServer, path: Path) -> None:
    server.serve("/file.zip", CONTENT, stall_after=CUT)
    options = replace(PATIENT, stall_seconds=0.3, max_tries=2)
    with pytest.raises(FetchError, match=r"nothing arrived from 127.0.0.1 for 0.3 s, 2 times in a row"):
        fetch_file(f"{server.url}/file.zip", path, options)
    assert 0 < path.with_name("file.zip.part").stat().st_size <= CUT + (1 << 16)


def test_a_trickle_is_a_stall(server: FileServer, path: Path) -> None:
    server.serve("/file.zip", CONTENT, chunk_bytes=10, seconds_per_chunk=0.05)
    options = replace(QUICK, stall_seconds=0.5)
    with pytest.raises(FetchError, match=r"127.0.0.1 sends next to nothing"):
        fetch_file(f"{server.url}/file.zip", path, options)


def test_passing_troubles_are_waited_for(server: FileServer, path: Path) -> None:
    server.serve("/file.zip", CONTENT, statuses=[503, 500])
    fetch_file(f"{server.url}/file.zip", path, PATIENT)
    assert path.read_bytes() == CONTENT
    assert len(server.asked) == 3


@pytest.mark.parametrize(("status", "tries"), [(503, 3), (404, 1), (403, 1), (410, 1)])
def test_lasting_troubles_are_said(server: FileServer, path: Path, status: int, tries: int) -> None:
    server.serve("/file.zip", CONTENT, statuses=[status] * 9)
    with pytest.raises(FetchError, match=f"the server answered {status}"):
        fetch_file(f"{server.url}/file.zip", path, PATIENT)
    assert len(server.asked) == tries
    assert list(path.parent.iterdir()) == []


def test_a_wrong_size_is_refused_before_it_is_fetched(server: FileServer, path: Path) -> None:
    server.serve("/file.zip", CONTENT)
    with pytest.raises(FetchError, match=r"announces 3,000,000 bytes instead of 2,999,999"):
        fetch_file(f"{server.url}/file.zip", path, QUICK, num_bytes=2_999_999)
    server.serve("/file.zip", CONTENT, chunked=True)
    with pytest.raises(FetchError, match=r"sends more than the 2,999,999 bytes that are accepted"):
        fetch_file(f"{server.url}/file.zip", path, QUICK, num_bytes=2_999_999)
    assert list(path.parent.iterdir()) == []


def test_too_large_a_file(server: FileServer, path: Path) -> None:
    small = replace(QUICK, max_bytes=1_000_000)
    server.serve("/file.zip", CONTENT)
    with pytest.raises(FetchError, match=r"announces 3\.0 MB, more than is accepted"):
        fetch_file(f"{server.url}/file.zip", path, small)
    server.serve("/file.zip", CONTENT, chunked=True)
    seen: list[int] = []
    with pytest.raises(FetchError, match="sends more than the 1,000,000 bytes that are accepted"):
        fetch_file(f"{server.url}/file.zip", path, small, on_progress=lambda done, _total: seen.append(done))
    assert 0 < max(seen) <= 1_000_000
    assert list(path.parent.iterdir()) == []


def test_too_little_space(server: FileServer, path: Path) -> None:
    server.serve("/file.zip", CONTENT)
    with pytest.raises(FetchError, match=r"about 3\.0 MB are needed in .* and 1\.0 MB are free"):
        fetch_file(f"{server.url}/file.zip", path, replace(QUICK, space_limit=1_000_000))
    assert list(path.parent.iterdir()) == []
