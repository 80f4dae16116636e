"""Shards that are compressed as a whole: unpacked once, counted while they are, and never believed."""

import gzip
import os
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from packing import files_of, make, packed

from tandem.data.check import check_data
from tandem.data.shards import gzip_files, unpacked
from tandem.data.shards.open import CacheOptions, ShardedData, needs_cache, open_shards, read_shards
from tandem.errors import ConfigError, DataError


def compress(root: Path, *, index: bool = False, ending: str = ".tar.gz") -> Path:
    """Compress packed shards; without their index they are those of any tool."""
    for path in root.glob("*.tar"):
        path.with_name(f"{path.stem}{ending}").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    if not index:
        (root / "index.json").unlink()
    return root


def read(root: Path, cache: Path, calls: list[tuple[int, int]] | None = None, max_bytes: int = 10**9) -> ShardedData:
    seen: list[tuple[int, int]] = [] if calls is None else calls
    return read_shards(root, CacheOptions(cache, max_bytes), lambda done, total: seen.append((done, total)))


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    return packed(make(tmp_path / "data", "folders"), tmp_path / "out")


@pytest.mark.parametrize("layout", ["folders", "unpaired"])
@pytest.mark.parametrize(("index", "ending"), [(False, ".tar.gz"), (False, ".tgz"), (True, ".tar.gz")])
def test_the_same_samples_as_from_tar(tmp_path: Path, layout: str, index: bool, ending: str) -> None:
    root = packed(make(tmp_path / "data", layout), tmp_path / "out")
    paired = layout == "folders"
    expected = {name: files_of(split) for name, split in open_shards(read_shards(root), paired=paired).items()}
    assert not needs_cache(root)
    compress(root, index=index, ending=ending)
    assert needs_cache(root)
    calls: list[tuple[int, int]] = []
    splits = open_shards(read(root, tmp_path / "cache", calls), paired=paired)
    assert {name: files_of(split) for name, split in splits.items()} == expected
    total = sum(path.stat().st_size for path in root.iterdir() if path.name != "index.json")
    assert calls[-1] == (total, total)
    assert str(root) in splits["train"].describe()
    assert str(tmp_path / "cache") not in splits["train"].describe()


def test_what_is_unpacked_is_used_until_something_changes(tmp_path: Path, shards: Path) -> None:
    compress(shards)
    cache, calls = tmp_path / "cache", list[tuple[int, int]]()
    read(shards, cache)
    tars = {path.name: path for path in cache.rglob("*.tar")}
    before = {name: (path.stat().st_mtime_ns, path.read_bytes()) for name, path in tars.items()}
    assert len(before) > 2
    read(shards, cache, calls)
    assert calls == []
    assert {name: (path.stat().st_mtime_ns, path.read_bytes()) for name, path in tars.items()} == before

    first, second, *_, last = sorted(tars)
    tars[first].write_bytes(bytes(len(before[first][1])))  # damaged
    tars[second].unlink()
    source = shards / f"{last}.gz"
    os.utime(source, ns=(0, source.stat().st_mtime_ns + 1))  # may be another file
    read(shards, cache)
    after = {name: (path.stat().st_mtime_ns, path.read_bytes()) for name, path in tars.items()}
    assert {name: content for name, (_, content) in after.items()} == {name: one[1] for name, one in before.items()}
    assert {name for name in tars if after[name][0] != before[name][0]} >= {first, last}

    source.unlink()  # what no longer has a source goes
    read(shards, cache)
    assert {path.name for path in cache.rglob("*.tar")} == set(tars) - {last}
    assert not list(cache.rglob(f"{last}*"))


def test_damage_that_no_time_tells_of_is_found_by_the_check(tmp_path: Path, shards: Path) -> None:
    compress(shards)
    splits = open_shards(read(shards, tmp_path / "cache"), paired=True)
    path = sorted((tmp_path / "cache").rglob("train*.tar"))[0]
    content, times = bytearray(path.read_bytes()), path.stat()
    content[content.index(b"BM", 512) + 60] ^= 1  # one bit of a BMP, which any reader takes
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(DataError, match="damaged since it was unpacked: remove it, and the same command unpacks it"):
        check_data(list(splits.values()), channels_a=3, channels_b=3)
    path.unlink()
    splits = open_shards(read(shards, tmp_path / "cache"), paired=True)
    check_data(list(splits.values()), channels_a=3, channels_b=3)


def cut_off(path: Path) -> str:
    path.write_bytes(path.read_bytes()[:-20])
    return "is cut off: the end of its compressed content is missing"


def cut_in_the_header(path: Path) -> str:
    path.write_bytes(path.read_bytes()[:5])
    return "is cut off: the end"


def garbage_behind(path: Path) -> str:
    path.write_bytes(path.read_bytes() + b"garbage")
    return "is damaged: something else follows its compressed content"


def checksum(path: Path) -> str:
    content = bytearray(path.read_bytes())
    content[-6] ^= 1
    path.write_bytes(content)
    return "is damaged: CRC check failed"


def flipped(path: Path) -> str:
    content = path.read_bytes()
    path.write_bytes(content[:10] + b"\xff" * 20 + content[30:])
    return "is damaged: Error -3"


def no_gzip(path: Path) -> str:
    path.write_bytes(gzip.decompress(path.read_bytes()))
    return "cannot be unpacked: it is no gzip file, as its name says"


def empty(path: Path) -> str:
    path.write_bytes(b"")
    return "it is no gzip file"


def no_tar(path: Path) -> str:
    path.write_bytes(gzip.compress(b"no tar" * 1000))
    return "is no tar file that can be used"


@pytest.mark.parametrize(
    "spoil", [cut_off, cut_in_the_header, garbage_behind, checksum, flipped, no_gzip, empty, no_tar]
)
def test_damaged_files_are_named_and_the_others_kept(
    tmp_path: Path, shards: Path, spoil: Callable[[Path], str]
) -> None:
    path = sorted(compress(shards).glob("train*.tar.gz"))[0]
    whole = path.read_bytes()
    says = spoil(path)
    cache = tmp_path / "cache"
    with pytest.raises(DataError) as refused:
        read(shards, cache)
    assert says in str(refused.value)
    assert path.name.removesuffix(".gz") in str(refused.value)
    assert not list(cache.rglob("*.tmp"))
    kept = {one.name: one.stat().st_mtime_ns for one in cache.rglob("*.tar")}
    path.write_bytes(whole)
    read(shards, cache)
    assert len(kept) > 1
    now = {one.name: one.stat().st_mtime_ns for one in cache.rglob("*.tar")}
    assert len(now) == len(list(shards.glob("*.gz")))
    assert all(now[name] == when for name, when in kept.items() if name != path.name.removesuffix(".gz"))


def test_a_bomb_ends_at_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """64 MB of zeros, whose trailer says that there are none: no more than the limit and a piece is unpacked."""
    monkeypatch.setattr(gzip_files, "_CHUNK_BYTES", 1 << 16)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.tar.gz").write_bytes(gzip.compress(bytes(1 << 26))[:-4] + bytes(4))
    calls: list[tuple[int, int]] = []
    with pytest.raises(ConfigError, match=r"unpack to more than 0\.001 GB.*\(at train\.tar\.gz\): raise --cache-gb"):
        read(tmp_path / "data", tmp_path / "cache", calls, max_bytes=10**6)
    assert len(calls) == 1 + (10**6 >> 16)
    assert {path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()} == {".lock"}


def test_one_process_unpacks_and_the_others_wait(tmp_path: Path, shards: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    original = unpacked._unpack

    def slow(path: Path, *rest: Any) -> unpacked.Unpacked:
        done.append(path.name)
        time.sleep(0.02)
        return original(path, *rest)

    monkeypatch.setattr(unpacked, "_unpack", slow)
    compress(shards)
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda _: read(shards, tmp_path / "cache").shards, range(3)))
    assert found[0] == found[1] == found[2]
    assert sorted(done) == sorted(path.name for path in shards.iterdir())


def test_the_limit_is_of_all_shards_together(tmp_path: Path, shards: Path) -> None:
    total = sum(path.stat().st_size for path in shards.glob("*.tar"))
    compress(shards)
    with pytest.raises(ConfigError, match="--cache-gb"):
        read(shards, tmp_path / "cache", max_bytes=total - 1)
    there = list((tmp_path / "cache").rglob("*.tar"))
    assert there
    calls: list[tuple[int, int]] = []
    read(shards, tmp_path / "cache", calls, max_bytes=total)
    missing = {path.stem: path.stat().st_size for path in shards.glob("*.gz")}
    for path in there:
        del missing[path.name]
    assert calls[0] == (0, sum(missing.values()))  # goes on behind what is there


def test_several_gzip_members_and_zeros_behind_are_read(tmp_path: Path, shards: Path) -> None:
    """As pigz, bgzip and tape drives write them."""
    expected = {path.name: path.read_bytes() for path in shards.glob("*.tar")}
    for path in compress(shards).glob("*.gz"):
        content = gzip.decompress(path.read_bytes())
        path.write_bytes(gzip.compress(content[:700]) + gzip.compress(content[700:]) + bytes(100))
    read(shards, tmp_path / "cache")
    assert {path.name: path.read_bytes() for path in (tmp_path / "cache").rglob("*.tar")} == expected


def test_plain_and_compressed_shards_go_together(tmp_path: Path, shards: Path) -> None:
    expected = {name: files_of(split) for name, split in open_shards(read_shards(shards), paired=True).items()}
    compress(shards)
    gz = sorted(shards.glob("train*.gz"))[0]
    subprocess.run(["gunzip", "-k", gz], check=True)
    with pytest.raises(DataError, match=rf"holds {gz.stem} and {gz.name}, which are one shard: remove one"):
        read(shards, tmp_path / "cache")
    gz.unlink()
    splits = open_shards(read(shards, tmp_path / "cache"), paired=True)
    assert {name: files_of(split) for name, split in splits.items()} == expected
    assert gz.stem not in {path.name for path in (tmp_path / "cache").rglob("*.tar")}


def test_an_index_decides_what_is_unpacked(tmp_path: Path, shards: Path) -> None:
    compress(shards, index=True)
    (shards / "other.tar.gz").write_bytes(b"no shard of the index")
    first, second, *_ = sorted(shards.glob("train*.gz"))
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    with pytest.raises(DataError, match=f"{first.name} does not unpack to the {first.stem} of its index"):
        read(shards, tmp_path / "cache")
    first.write_bytes(content)
    assert len(read(shards, tmp_path / "cache").shards) == len(list(shards.glob("*.gz"))) - 1


def test_without_a_cache_and_other_compressions_say_what_to_do(tmp_path: Path, shards: Path) -> None:
    gz = sorted(compress(shards).iterdir())[0]
    with pytest.raises(DataError, match=rf"{gz.name} and so on.*here is none: unpack them yourself \(gunzip {shards}"):
        read_shards(shards)
    gz.rename(gz.with_suffix(".zst"))
    with pytest.raises(
        DataError, match=r"\.tar\.zst and so on, and of these \.tar\.gz alone is read: unpack them once"
    ):
        read(shards, tmp_path / "cache")
