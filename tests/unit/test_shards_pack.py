"""Packing and reading back: the bytes of the files, other clients of the format, interruption, damage."""

import hashlib
import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import webdataset
from hypothesis import given
from hypothesis import strategies as st
from packing import contents, files_of, image, make, opened, packed, tar
from PIL import Image

from tandem.data.discover import find_splits
from tandem.data.shards.items import member_name, pairs_of, split_name
from tandem.data.shards.open import is_shards, is_url, read_shards
from tandem.data.shards.pack import pack
from tandem.data.splits import PairedSplit
from tandem.data.unpaired import find_unpaired
from tandem.errors import ConfigError, DataError
from tandem.locks import BUSY_NAME
from tandem.names import file_stem, is_control

LAYOUTS = ["side_by_side", "folders", "unpaired"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_names_order_and_bytes_are_those_of_the_folder(tmp_path: Path, layout: str) -> None:
    folders = make(tmp_path / "data", layout)
    out = packed(folders, tmp_path / "out")
    assert len(list(out.glob("train*.tar"))) > 2
    shards = opened(out, paired=layout != "unpaired")
    assert list(shards) == ["train", "test"]
    for split, folder in folders.items():
        assert files_of(shards[split]) == files_of(folder)
        assert shards[split].fingerprint() == folder.fingerprint()
        if isinstance(folder, PairedSplit):
            for one, other in zip(folder.pairs, shards[split].pairs, strict=True):
                x, y = (pair.read("BtoA", channels_a=1, channels_b=3) for pair in (one, other))
                assert all(np.array_equal(mine, theirs) for mine, theirs in zip(x, y, strict=True))
    description = shards["train"].describe()
    assert f"of {out}" in description
    assert ("unpaired, 5 images of A and 5 of B" if layout == "unpaired" else "train: 5 pairs in") in description


@pytest.mark.parametrize("layout", LAYOUTS)
def test_webdataset_reads_the_same(tmp_path: Path, layout: str) -> None:
    """The package of the convention as a second, independent reader."""
    folders = make(tmp_path / "data", layout)
    out = packed(folders, tmp_path / "out")
    urls = [str(path) for path in sorted(out.glob("train*.tar"))]
    samples = list(webdataset.WebDataset(urls, shardshuffle=False, empty_check=False))
    found = []
    for sample in samples:
        keys = [key for key in sample if not key.startswith("__")]
        name = sample["__key__"].rpartition("/")[2].replace("%2E", ".")
        found += [(name, sample[key]) for key in sorted(keys)]
    assert found == files_of(folders["train"])
    suffixes = {"side_by_side": {"ab.jpg"}, "folders": {"a.png", "b.bmp"}, "unpaired": {"a.png", "b.bmp"}}[layout]
    assert {key for sample in samples for key in sample if not key.startswith("__")} == suffixes


@pytest.mark.parametrize("layout", LAYOUTS)
def test_shards_of_webdataset_are_read_without_an_index(tmp_path: Path, layout: str) -> None:
    folders = make(tmp_path / "data", layout)
    (tmp_path / "out").mkdir()
    for split, folder in folders.items():
        if isinstance(folder, PairedSplit):
            parts = ("ab",) if layout == "side_by_side" else ("a", "b")
            samples = {split: [(p.name, dict(zip(parts, p.files, strict=True))) for p in folder.pairs]}
        else:
            samples = {f"{split}-{side}": [(s.name, {side: s.file}) for s in getattr(folder, side)] for side in "ab"}
        for prefix, group in samples.items():
            for number, half in enumerate((group[:2], group[2:])):
                with webdataset.TarWriter(str(tmp_path / "out" / f"{prefix}-{number}.tar")) as writer:
                    for key, files in half:
                        sample = {f"{part}{file.suffix.lower()}": file.read_bytes() for part, file in files.items()}
                        writer.write({"__key__": key.replace(".", "%2E"), "note.txt": b"is passed over", **sample})
    for empty in (tmp_path / "out").glob("test*-1.tar"):
        empty.unlink()
    shards = opened(tmp_path / "out", paired=layout != "unpaired")
    for split, folder in folders.items():
        assert files_of(shards[split]) == files_of(folder)


def test_pairs_serve_as_domains_and_not_the_other_way_round(tmp_path: Path) -> None:
    for layout in ("side_by_side", "folders"):
        folders = make(tmp_path / layout, layout)
        domains = find_unpaired(tmp_path / layout)["train"]
        shards = opened(packed(folders, tmp_path / f"{layout}.out"), paired=False)["train"]
        for mine, theirs in ((shards.a, domains.a), (shards.b, domains.b)):
            assert [single.name for single in mine] == [single.name for single in theirs]
            for x, y in zip(mine, theirs, strict=True):
                assert np.array_equal(x.read_image(3), y.read_image(3))
    out = packed(make(tmp_path / "unpaired", "unpaired"), tmp_path / "unpaired.out")
    with pytest.raises(DataError, match="holds unpaired data, and the method trains on pairs"):
        opened(out)


@pytest.mark.parametrize("keep", [None, 1])
def test_any_sample_can_be_asked_for(tmp_path: Path, keep: int | None) -> None:
    folders = make(tmp_path / "data", "side_by_side", count=11)
    out = packed(folders, tmp_path / "out", shard_bytes=7000)
    data = read_shards(out)
    shards = [shard for shard in data.shards if shard.split == "train"]
    assert len(shards) > 2
    assert max(shard.count for shard in shards) > 2
    pairs = pairs_of(data.store, shards, keep=keep)
    names = [pair.name for pair in folders["train"].pairs]  # pyright: ignore[reportAttributeAccessIssue]
    assert [pair.name for pair in pairs] == names
    for index in (3, 10, 0, 7, -1, 5, 5, -11):
        assert pairs[index].name == names[index]
    assert [pair.name for pair in pairs[2:9:3]] == names[2:9:3]
    for index in (11, -12):
        with pytest.raises(IndexError):
            pairs[index]


@given(key=st.text(st.sampled_from("ab.%2E5é"), min_size=1), part=st.sampled_from(["a", "b", "ab"]))
def test_keys_with_dots_survive(key: str, part: Any) -> None:
    name = member_name(key, part, ".jpeg")
    assert split_name(name) == (key, part)
    assert name.index(".") == len(name) - len(f".{part}.jpeg")


def test_the_same_data_gives_the_same_bytes(tmp_path: Path) -> None:
    first = packed(make(tmp_path / "one", "folders"), tmp_path / "first")
    shutil.copytree(tmp_path / "one", tmp_path / "two", copy_function=shutil.copy)  # with other times
    second = packed(find_splits(tmp_path / "two"), tmp_path / "second")
    assert contents(first) == contents(second)
    index = json.loads((first / "index.json").read_text())
    for shard in index["shards"]:
        content = (first / shard["name"]).read_bytes()
        assert (shard["size"], shard["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
        with tarfile.open(first / shard["name"]) as tar:
            assert {(m.mtime, m.uid, m.gid, m.uname, m.mode) for m in tar} == {(0, 0, 0, "", 0o644)}


def test_shards_have_the_size_that_was_asked_for(tmp_path: Path) -> None:
    folders = make(tmp_path / "data", "folders", count=30)
    for shard_bytes in (1, 3000, 10_000, 10**6):
        out = packed(folders, tmp_path / str(shard_bytes), shard_bytes=shard_bytes)
        index = json.loads((out / "index.json").read_text())
        sizes = [shard["size"] for shard in index["shards"] if shard["split"] == "train"]
        assert all(size <= shard_bytes for size in sizes) or all(s["count"] == 1 for s in index["shards"])
        assert sum(shard["count"] for shard in index["shards"]) == 32
        if shard_bytes == 10_000:
            assert min(sizes[:-1]) > 7000  # full but for less than one sample


def test_interrupted_packing_is_continued(tmp_path: Path) -> None:
    folders = make(tmp_path / "data", "side_by_side", count=8)
    whole, out = packed(folders, tmp_path / "whole"), tmp_path / "out"

    def stop(done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        packed(folders, out, on_progress=stop)
    assert not (out / "index.json").exists()
    assert [path.name for path in out.glob(".*")] == [BUSY_NAME]
    with pytest.raises(DataError, match="is packed in part only: run the same 'tandem data pack' again"):
        opened(out)
    kept = (out / "train-00000.tar").stat().st_mtime_ns
    (out / "train-00001.tar").write_bytes(b"damaged")
    (out / ".train-00002.tar.99.tmp").write_bytes(b"half")
    with pytest.raises(DataError, match="the beginning of another pack"):
        packed(folders, out, shard_bytes=6000)
    seen: list[tuple[int, int]] = []
    packed(folders, out, on_progress=lambda done, total: seen.append((done, total)))
    assert not list(out.glob(".*"))
    assert contents(out) == contents(whole)
    assert (out / "train-00000.tar").stat().st_mtime_ns == kept
    assert 0 < seen[0][0] < 10
    assert seen[-1] == (10, 10)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    before = {path: path.stat().st_mtime_ns for path in out.glob("*.tar")}
    (out / "test-00000.tar").unlink()
    packed(folders, out)  # completes what was lost and leaves the rest alone
    assert contents(out) == contents(whole)
    assert {p: t for p, t in before.items() if p.stat().st_mtime_ns != t}.keys() <= {out / "test-00000.tar"}


def test_what_packing_refuses(tmp_path: Path) -> None:
    folders = make(tmp_path / "data", "folders")
    out = packed(folders, tmp_path / "out")
    image(tmp_path / "data" / "trainA" / "0.PNG", 8, 77)  # another content, and so another size
    Image.new("RGB", (8, 8)).save(tmp_path / "data" / "trainA" / "0.PNG")
    with pytest.raises(DataError, match="holds another packed dataset, of other files or with other options"):
        packed(find_splits(tmp_path / "data"), out)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").touch()
    with pytest.raises(DataError, match=r"is not empty:\n  - letter\.txt"):
        packed(folders, tmp_path / "mine")
    image(tmp_path / "mixed" / "train" / "1.png", 16, 0)
    for side in "AB":
        image(tmp_path / "mixed" / f"test{side}" / "1.png", 8, 0)
    with pytest.raises(ConfigError, match="the splits have different layouts"):
        packed(find_splits(tmp_path / "mixed"), tmp_path / "new")
    assert not (tmp_path / "new").exists()
    shutil.rmtree(tmp_path / "data" / "trainB")
    with pytest.raises(DataError, match="No such file"):
        pack(folders, {}, tmp_path / "gone", shard_bytes=5000)
    assert not (tmp_path / "gone").exists()


def test_what_counts_as_shards(tmp_path: Path) -> None:
    assert not is_shards(tmp_path)
    image(tmp_path / "data" / "train" / "1.png", 16, 0)
    (tmp_path / "data" / "download.tar").touch()
    assert not is_shards(tmp_path / "data")  # images win over an archive that lies beside them
    tar(tmp_path / "x.tar", "1.ab.png")
    assert is_shards(tmp_path)
    assert is_url("https://host/data")
    assert is_url("s3://bucket/data")
    assert not is_url(tmp_path)
    assert not is_url("C:/data")


ODD_NAMES = [
    "Screenshot 2024-05-01 at 3.14.15\u202fPM",
    "obr\u00e1zek v\u00a013",
    "\u56f3\u30001",
    "\u0645\u06cc\u200c\u0634",
    "a\\b",
    "100%.5C%2F",
    "two\nlines\x1b[2J\x7f",
    "c1\x9b and \u2028",
    "\U0001f408\u200d\u2b1b",
    "\u732b" * 80,
]


def test_any_name_comes_back(tmp_path: Path) -> None:
    """Of every name that a folder can have, whatever Python calls printable."""
    for seed, name in enumerate(ODD_NAMES):
        image(tmp_path / "data" / "train" / f"{name}.png", 16, seed)
    folders = find_splits(tmp_path / "data")
    shards = opened(packed(folders, tmp_path / "out"))
    assert {pair.name for pair in shards["train"].pairs} == set(ODD_NAMES)
    assert files_of(shards["train"]) == files_of(folders["train"])
    assert shards["train"].fingerprint() == folders["train"].fingerprint()


@given(st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=40))
def test_names_of_members_are_reversible(key: str) -> None:
    name = member_name(key, "ab", ".png")
    assert split_name(name) == (key, "ab")
    assert "\\" not in name
    assert not [sign for sign in name if is_control(sign)]


@pytest.mark.parametrize("name", ["..%2Fx.a.png", "%2Fetc%2Fx.a.png", "a%00b.a.png", "%C3%A9.a.png"])
def test_an_escape_of_a_stranger_is_no_way_out(name: str) -> None:
    """A slash is never made of an escape; a control character in a name becomes no name of a file."""
    split = split_name(name)
    assert split is None or "/" not in file_stem(split[0])
    assert split is None or "\0" not in file_stem(split[0])


def test_pairs_by_name_are_packed_as_two_files(tmp_path: Path) -> None:
    for end, colour in (("_edge", (9, 9, 9)), ("_photo", (200, 30, 60))):
        (tmp_path / "data" / "train").mkdir(parents=True, exist_ok=True)
        for name in "12":
            Image.new("RGB", (8, 8), colour).save(tmp_path / "data" / "train" / f"{name}{end}.png")
    out = tmp_path / "packed"
    packed(find_splits(tmp_path / "data"), out)
    (train,) = opened(out, paired=True).values()
    assert train.layout == "folders"
    assert [pair.name for pair in train.inputs("AtoB")] == ["1", "2"]
    a, b = train.inputs("AtoB")[1].read("AtoB", channels_a=3, channels_b=3)
    assert b is not None
    assert (a[0, 0].tolist(), b[0, 0].tolist()) == ([9, 9, 9], [200, 30, 60])
