"""Shards from a web server by fsspec: whole, in parts, and everything that a server can do wrong."""

import hashlib
import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from shard_server import ShardServer, serving
from support import tandem

from tandem.data.discover import find_splits
from tandem.data.shards import fetch as fetching
from tandem.data.shards.fetch import FetchOptions, fetch_bytes, fetch_file
from tandem.data.shards.index import Shard, parse_index
from tandem.data.shards.open import CacheOptions, open_shards, read_shards
from tandem.data.shards.store import CachedStore
from tandem.errors import ConfigError, DataError, MissingExtraError

QUICK = FetchOptions(stall_seconds=10, max_tries=3, backoff_seconds=0.01)
CONTENT = bytes(range(256)) * 20_000  # five chunks


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ShardServer]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "x.tar").write_bytes(CONTENT)
    with serving(tmp_path / "served") as state:
        yield state


def fetch(server: ShardServer, path: Path, options: FetchOptions = QUICK) -> None:
    fetch_file(f"{server.url}/x.tar", path, len(CONTENT), options)


def test_a_whole_file_comes_in_one_answer(server: ShardServer, tmp_path: Path) -> None:
    seen: list[int] = []
    fetch_file(f"{server.url}/x.tar", tmp_path / "x", len(CONTENT), QUICK, seen.append)
    assert (tmp_path / "x").read_bytes() == CONTENT
    assert seen[-1] == len(CONTENT)
    assert len(seen) >= 5
    assert len(server.asked_for("x.tar")) == 1
    fetch(server, tmp_path / "x")  # nothing is left to fetch
    assert len(server.asked_for("x.tar")) == 1


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_transfer_is_continued(server: ShardServer, tmp_path: Path, ranges: bool) -> None:
    server.ranges = ranges
    server.cut_after = [2_500_000]
    fetch(server, tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == CONTENT
    first, second, *_ = server.asked_for("x.tar")
    assert first == ""
    assert second.startswith("bytes=")
    assert int(second.removeprefix("bytes=").split("-")[0]) > 0
    assert (len(server.asked_for("x.tar")) > 2) == (not ranges)  # from the beginning, where there are no parts


def test_what_has_arrived_is_kept_for_the_next_call(server: ShardServer, tmp_path: Path) -> None:
    server.cut_after = [3_000_000, 10, 10]
    with pytest.raises(
        DataError, match=r"x\.tar could not be fetched after 3 tries in a row: .*same command continues"
    ):
        fetch(server, tmp_path / "x")
    kept = (tmp_path / "x").stat().st_size
    assert 0 < kept < len(CONTENT)
    fetch(server, tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == CONTENT


def test_a_server_in_trouble_is_asked_again(server: ShardServer, tmp_path: Path) -> None:
    server.statuses = [503, 500]
    fetch(server, tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == CONTENT


def test_not_found_and_forbidden_end_at_once(server: ShardServer, tmp_path: Path) -> None:
    server.missing = {"x.tar"}
    with pytest.raises(DataError, match=r"x\.tar is not there"):
        fetch(server, tmp_path / "x")
    server.missing, server.statuses = set(), [403]
    with pytest.raises(DataError, match=r"x\.tar cannot be used: .*403"):
        fetch(server, tmp_path / "x")
    assert len(server.asked_for("x.tar")) == 2


def test_a_stall_ends(server: ShardServer, tmp_path: Path) -> None:
    server.stall = {"x.tar"}
    begun = time.monotonic()
    with pytest.raises(DataError, match=r"after 3 tries in a row: nothing arrived for 0\.5 s"):
        fetch(server, tmp_path / "x", FetchOptions(stall_seconds=0.5, max_tries=3, backoff_seconds=0.01))
    assert time.monotonic() - begun < 10


def test_no_server_at_all(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="could not be fetched after 3 tries"):
        fetch_file("http://127.0.0.1:9/x.tar", tmp_path / "x", 10, QUICK)
    with pytest.raises(DataError, match="cannot be used"):
        fetch_bytes("nonsense://host/x", 10, QUICK)


def test_more_than_announced_is_refused(server: ShardServer, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="more than the 1000000 bytes that the index gives"):
        fetch_file(f"{server.url}/x.tar", tmp_path / "x", 1_000_000, QUICK)
    with pytest.raises(DataError, match="more than 100 bytes, the most that is read"):
        fetch_bytes(f"{server.url}/x.tar", 100, QUICK)


def test_other_file_systems(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(CONTENT)
    fetch_file(f"file://{tmp_path}/x", tmp_path / "y", len(CONTENT), QUICK)
    assert (tmp_path / "y").read_bytes() == CONTENT
    (tmp_path / "y").write_bytes(CONTENT[:2_000_000])
    fetch_file(f"file://{tmp_path}/x", tmp_path / "y", len(CONTENT), QUICK)
    assert (tmp_path / "y").read_bytes() == CONTENT
    with pytest.raises(DataError, match="is not there"):
        fetch_file(f"file://{tmp_path}/z", tmp_path / "y", len(CONTENT) + 1, QUICK)


def test_the_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'tandem-gan\[http\]'"):
        fetch_bytes("http://127.0.0.1:9/x", 10, QUICK)


def shard(name: str, content: bytes) -> Shard:
    return Shard(name, "train", "ab", 1, len(content), hashlib.sha256(content).hexdigest())


def test_another_content_of_the_same_size_is_refused(server: ShardServer, tmp_path: Path) -> None:
    store = CachedStore(server.url, tmp_path / "cache", 10**9, QUICK)
    with pytest.raises(DataError, match=r"x\.tar is not the shard that its index describes \(SHA-256"):
        store.path(shard("x.tar", bytes(len(CONTENT))))
    assert not list((tmp_path / "cache").glob("x.tar*"))
    assert store.path(shard("x.tar", CONTENT)).read_bytes() == CONTENT


def test_the_cache_is_bounded_and_drops_what_was_used_last_long_ago(server: ShardServer, tmp_path: Path) -> None:
    shards = []
    for index in range(5):
        content = bytes([index]) * 1000
        (server.root / f"{index}.tar").write_bytes(content)
        shards.append(shard(f"{index}.tar", content))
    store = CachedStore(server.url, tmp_path / "cache", 3000, QUICK)
    for number, expected in ((0, "0"), (1, "01"), (2, "012"), (0, "012"), (3, "023"), (4, "034"), (0, "034")):
        path = store.path(shards[number])
        assert path.read_bytes() == bytes([number]) * 1000
        now = time.time() - 1000 + len(server.asked)  # as if much time passed between the uses
        os.utime(path, (now if number else now + 500, path.stat().st_mtime))
        assert "".join(sorted(p.stem for p in (tmp_path / "cache").glob("*.tar"))) == expected


def test_processes_share_a_fetch(server: ShardServer, tmp_path: Path) -> None:
    store = CachedStore(server.url, tmp_path / "cache", 10**9, QUICK)
    threads = [threading.Thread(target=store.path, args=(shard("x.tar", CONTENT),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.asked_for("x.tar")) == 1


def test_the_index_from_a_url(server: ShardServer, tmp_path: Path) -> None:
    cache = CacheOptions(tmp_path / "cache", 10**9, QUICK)
    with pytest.raises(DataError, match=r"/index\.json is not there"):
        read_shards(server.url, cache)
    (server.root / "index.json").write_bytes(b"<html>")
    with pytest.raises(DataError, match=r"/index\.json is no index of record files"):
        read_shards(server.url, cache)
    with pytest.raises(ConfigError, match="that of their folder, without"):
        read_shards(f"{server.url}/data?token=1", cache)
    with pytest.raises(DataError):
        parse_index(b"[" * 100_000, "x")


def test_a_url_gives_what_the_folder_gives(data: Path, tmp_path: Path, server: ShardServer) -> None:
    shutil.rmtree(server.root)
    assert tandem("data", "pack", data, server.root).status == 0
    progress: list[tuple[int, int]] = []
    cache = CacheOptions(tmp_path / "cache", 10**9, QUICK)
    shards = read_shards(server.url, cache, lambda done, total: progress.append((done, total)))
    assert progress[-1][0] == progress[-1][1] == sum(shard.size for shard in shards.shards)
    splits = open_shards(shards, paired=True)
    for split, folder in find_splits(data).items():
        assert [pair.name for pair in splits[split].pairs] == [pair.name for pair in folder.pairs]
    checked = tandem("data", "check", server.url)
    assert checked.status == 0
    assert "11 pairs, all readable" in checked.err
