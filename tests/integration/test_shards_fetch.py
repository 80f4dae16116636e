"""Shards from a web server and other file systems: whole, in parts, and everything that a server can do wrong."""

import gzip
import hashlib
import os
import resource
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import tandem

from file_server import FileServer
from tandem.data.discover import find_splits
from tandem.data.shards import store as shard_store
from tandem.data.shards.index import Shard, parse_index
from tandem.data.shards.open import CacheOptions, open_shards, read_shards
from tandem.data.shards.store import SHARD_POLICY, CachedStore
from tandem.data.splits import Split
from tandem.errors import ConfigError, DataError
from tandem.fetch.errors import FetchError
from tandem.fetch.policy import FetchPolicy
from tandem.fetch.transfer import fetch_bytes

QUICK = replace(SHARD_POLICY, stall_seconds=10, max_tries=3, backoff_seconds=0.01)
CONTENT = bytes(range(256)) * 20_000  # five chunks


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "x.tar").write_bytes(CONTENT)
    with FileServer(tmp_path / "served").running() as state:
        yield state


def shard(name: str, content: bytes) -> Shard:
    return Shard(name, "train", "ab", 1, len(content), hashlib.sha256(content).hexdigest())


def store(server: FileServer, tmp_path: Path, policy: FetchPolicy = QUICK) -> CachedStore:
    return CachedStore(server.url, tmp_path / "cache", 10**9, policy)


def fetch(server: FileServer, tmp_path: Path, policy: FetchPolicy = QUICK) -> bytes:
    return store(server, tmp_path, policy).path(shard("x.tar", CONTENT)).read_bytes()


def test_a_whole_file_comes_in_one_answer(server: FileServer, tmp_path: Path) -> None:
    seen: list[int] = []
    reporting = replace(store(server, tmp_path), on_bytes=lambda _, done: seen.append(done))
    assert reporting.path(shard("x.tar", CONTENT)).read_bytes() == CONTENT
    assert seen[-1] == len(CONTENT)
    assert len(seen) >= 5
    assert len(server.asked_for("x.tar")) == 1
    fetch(server, tmp_path)  # nothing is left to fetch
    assert len(server.asked_for("x.tar")) == 1


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_transfer_is_continued(server: FileServer, tmp_path: Path, ranges: bool) -> None:
    server.at("x.tar").ranges = ranges
    server.at("x.tar").cut_after = [2_500_000]
    assert fetch(server, tmp_path) == CONTENT
    assert server.asked_for("x.tar") == ["", "bytes=2500000-"]
    assert server.asked[-1].sent == len(CONTENT) - (2_500_000 if ranges else 0)


def test_what_has_arrived_is_kept_for_the_next_call(server: FileServer, tmp_path: Path) -> None:
    server.at("x.tar").cut_after = [3_000_000, 10, 10]
    with pytest.raises(
        DataError, match=r"x\.tar could not be fetched after 3 tries in a row: .*same command continues"
    ):
        fetch(server, tmp_path)
    assert (tmp_path / "cache" / "x.tar.part").read_bytes() == CONTENT[:3_000_020]
    assert fetch(server, tmp_path) == CONTENT
    assert server.asked_for("x.tar")[-1] == "bytes=3000020-"


def test_a_server_in_trouble_is_asked_again(server: FileServer, tmp_path: Path) -> None:
    server.at("x.tar").statuses = [503, 500]
    assert fetch(server, tmp_path) == CONTENT


def test_not_found_and_forbidden_end_at_once(server: FileServer, tmp_path: Path) -> None:
    server.at("x.tar").missing = True
    with pytest.raises(DataError, match=r"x\.tar is not there"):
        fetch(server, tmp_path)
    server.at("x.tar").missing, server.at("x.tar").statuses = False, [403]
    with pytest.raises(DataError, match=r"x\.tar cannot be used: .*403"):
        fetch(server, tmp_path)
    assert len(server.asked_for("x.tar")) == 2


def test_a_stall_ends(server: FileServer, tmp_path: Path) -> None:
    server.at("x.tar").stall_after = 0
    begun = time.monotonic()
    with pytest.raises(DataError, match=r"after 3 tries in a row: nothing arrived from 127\.0\.0\.1 for 0\.5 s"):
        fetch(server, tmp_path, replace(QUICK, stall_seconds=0.5))
    assert time.monotonic() - begun < 10


def test_no_server_at_all(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="could not be fetched after 3 tries"):
        CachedStore("http://127.0.0.1:9", tmp_path / "cache", 10**9, QUICK).path(shard("x.tar", CONTENT))
    with pytest.raises(DataError, match="cannot be used"):
        read_shards("nonsense://host/x", CacheOptions(tmp_path / "cache", 10**9, QUICK))


def test_more_than_announced_is_refused(server: FileServer, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"announces 5,120,000 bytes instead of 1,000,000.*index must be renewed"):
        store(server, tmp_path).path(shard("x.tar", CONTENT[:1_000_000]))
    with pytest.raises(FetchError, match=r"announces 5\.1 MB, more than is accepted"):
        fetch_bytes(f"{server.url}/x.tar", replace(QUICK, max_bytes=100))


def test_other_file_systems(server: FileServer, tmp_path: Path) -> None:
    store = CachedStore(f"file://{server.root}", tmp_path / "cache", 10**9, QUICK)
    assert store.path(shard("x.tar", CONTENT)).read_bytes() == CONTENT
    (tmp_path / "cache" / "x.tar").rename(tmp_path / "cache" / "x.tar.part")
    os.truncate(tmp_path / "cache" / "x.tar.part", 2_000_000)
    seen: list[int] = []
    reporting = replace(store, on_bytes=lambda _, done: seen.append(done))
    assert reporting.path(shard("x.tar", CONTENT)).read_bytes() == CONTENT
    assert seen[0] == 2_000_000
    with pytest.raises(DataError, match="is not there"):
        store.path(shard("z.tar", CONTENT))
    with pytest.raises(DataError, match=r"announces 5,120,000 bytes instead of 5,119,999"):
        store.path(shard("x.tar", CONTENT[:-1]))


def test_web_servers_need_no_library(server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    monkeypatch.setitem(sys.modules, "fsspec", None)
    assert fetch(server, tmp_path) == CONTENT


def test_what_is_shown_of_a_url_holds_no_password(tmp_path: Path) -> None:
    assert CachedStore("https://me:secret@host/shards", tmp_path, 10**9, QUICK).where == "https://host/shards"


def test_the_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(DataError, match=r"s3://bucket/index\.json cannot be used: ImportError: Install s3fs"):
        read_shards("s3://bucket", CacheOptions(tmp_path / "cache", 10**9, QUICK))


def test_another_content_of_the_same_size_is_refused(server: FileServer, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"x\.tar is not the shard that its index describes: .*SHA-256"):
        store(server, tmp_path).path(shard("x.tar", bytes(len(CONTENT))))
    assert not list((tmp_path / "cache").glob("x.tar*"))
    assert fetch(server, tmp_path) == CONTENT


def test_the_cache_is_bounded_and_drops_what_was_used_last_long_ago(server: FileServer, tmp_path: Path) -> None:
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


def test_processes_share_a_fetch(server: FileServer, tmp_path: Path) -> None:
    threads = [threading.Thread(target=store(server, tmp_path).path, args=(shard("x.tar", CONTENT),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.asked_for("x.tar")) == 1


def test_the_index_from_a_url(server: FileServer, tmp_path: Path) -> None:
    cache = CacheOptions(tmp_path / "cache", 10**9, QUICK)
    with pytest.raises(DataError, match=r"/index\.json is not there"):
        read_shards(server.url, cache)
    (server.root / "index.json").write_bytes(b"<html>")
    with pytest.raises(DataError, match=r"/index\.json is no index of shards"):
        read_shards(server.url, cache)
    with pytest.raises(ConfigError, match="that of their folder, without"):
        read_shards(f"{server.url}/data?token=1", cache)
    with pytest.raises(DataError):
        parse_index(b"[" * 100_000, "x")


def test_a_url_gives_what_the_folder_gives(data: Path, tmp_path: Path, server: FileServer) -> None:
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


def compressed(server: FileServer, content: bytes, name: str = "x.tar.gz") -> Path:
    """Put a compressed shard in the place of x.tar."""
    (server.root / "x.tar").unlink(missing_ok=True)
    (server.root / name).write_bytes(gzip.compress(content, 1))
    return server.root / name


def contents(split: Split) -> list[bytes]:
    return [file.read_bytes() for items in split.sequences().values() for item in items for file in item.files]


def in_cache(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "cache").iterdir() if not path.name.startswith("."))


@pytest.mark.parametrize("ending", [".tar.gz", ".tgz"])
def test_a_compressed_shard_is_unpacked_when_it_has_arrived(server: FileServer, tmp_path: Path, ending: str) -> None:
    compressed(server, CONTENT, f"x{ending}")
    seen: list[int] = []
    reporting = replace(store(server, tmp_path), on_bytes=lambda _, done: seen.append(done))
    assert reporting.path(shard("x.tar", CONTENT)).read_bytes() == CONTENT
    assert (seen[-1], in_cache(tmp_path)) == (len(CONTENT), ["x.tar"])
    asked = len(server.asked)
    fetch(server, tmp_path)
    assert len(server.asked) == asked


def test_a_broken_transfer_of_a_compressed_shard_is_continued(server: FileServer, tmp_path: Path) -> None:
    content = np.random.default_rng(0).bytes(5_000_000)  # which gzip makes no smaller
    compressed(server, content)
    server.at("x.tar.gz").cut_after = [3_000_000, 10, 10]
    wanted = shard("x.tar", content)
    with pytest.raises(DataError, match=r"x\.tar\.gz could not be fetched after 3 tries .*same command continues"):
        store(server, tmp_path).path(wanted)
    assert store(server, tmp_path).path(wanted).read_bytes() == content
    assert server.asked_for("x.tar.gz") == ["", "bytes=3000000-", "bytes=3000010-", "bytes=3000020-"]
    assert in_cache(tmp_path) == ["x.tar"]


def test_a_compressed_shard_must_unpack_to_what_the_index_says(server: FileServer, tmp_path: Path) -> None:
    packed = compressed(server, CONTENT[:-1] + b"x")
    wrong = r"x\.tar\.gz does not unpack to the x\.tar of its index.*index must be renewed"
    with pytest.raises(DataError, match=wrong):
        fetch(server, tmp_path)
    packed.write_bytes(gzip.compress(bytes(10**8)))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 * len(CONTENT), limits[1]))  # it ends where the index says
    try:
        with pytest.raises(DataError, match=wrong):
            fetch(server, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    packed.write_bytes(gzip.compress(CONTENT, 1)[:-9])
    with pytest.raises(DataError, match=r"x\.tar\.gz is not the shard that its index describes: .*is cut off"):
        fetch(server, tmp_path)
    packed.write_bytes(gzip.compress(CONTENT, 0) + bytes(200_000))
    with pytest.raises(DataError, match=r"x\.tar\.gz cannot be used: .*more than is accepted"):
        fetch(server, tmp_path)
    assert in_cache(tmp_path) in ([], ["x.tar.part"])
    compressed(server, CONTENT)
    assert fetch(server, tmp_path) == CONTENT
    assert in_cache(tmp_path) == ["x.tar"]


def test_a_compressed_shard_that_had_arrived_is_not_asked_for_again(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a kill while it was unpacked; and processes share what one of them does."""
    packed = compressed(server, CONTENT)
    (tmp_path / "cache").mkdir()
    shutil.copy(packed, tmp_path / "cache")
    (tmp_path / "cache" / "x.tar.part").write_bytes(b"of a time when it was plain")
    calls, original = list[Path](), shard_store._unpack

    def slow(packed: Path, *rest: Any) -> None:
        calls.append(packed)
        time.sleep(0.05)
        original(packed, *rest)

    monkeypatch.setattr(shard_store, "_unpack", slow)
    threads = [threading.Thread(target=store(server, tmp_path).path, args=(shard("x.tar", CONTENT),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (server.asked_for("x.tar.gz"), in_cache(tmp_path), len(calls)) == ([], ["x.tar"], 1)


def test_a_url_of_compressed_shards_gives_what_the_folder_gives(data: Path, tmp_path: Path, server: FileServer) -> None:
    """All on the disk, and as a bounded cache that is smaller than they are."""
    shutil.rmtree(server.root)
    assert tandem("data", "pack", data, server.root).status == 0
    largest = max(path.stat().st_size for path in server.root.glob("*.tar"))
    splits = open_shards(read_shards(server.root), paired=True)
    expected = {name: contents(split) for name, split in splits.items()}
    for path in server.root.glob("*.tar"):
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    for max_bytes in (10**9, largest):
        cache = tmp_path / f"cache-{max_bytes}"
        shards = read_shards(server.url, CacheOptions(cache, max_bytes, QUICK))
        assert shards.streamed == (max_bytes < 10**9)
        assert {name: contents(split) for name, split in open_shards(shards, paired=True).items()} == expected
        assert sum(path.stat().st_size for path in cache.rglob("*.tar")) <= max_bytes
