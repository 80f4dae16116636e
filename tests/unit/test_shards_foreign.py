"""Shards of other tools: what says which members are A and B, and which split a file is."""

import io
import tarfile
from pathlib import Path

import pytest
from packing import opened
from PIL import Image
from test_subfolders import picture

from tandem.data.shards.open import is_shards, read_shards
from tandem.errors import DataError


def write(path: Path, names: list[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as tar:
        for number, name in enumerate(names):
            content = io.BytesIO()
            Image.new("RGB", (8, 8), (number, 0, 0)).save(content, "PNG")
            info = tarfile.TarInfo(name)
            info.size = content.tell()
            content.seek(0)
            tar.addfile(info, content)
    return path


def names_of(root: Path) -> dict[str, list[str]]:
    return {name: [item.name for item in split.inputs("AtoB")] for name, split in opened(root).items()}


@pytest.mark.parametrize(
    ("members", "keys"),
    [
        (["a/1.png", "a/2.png", "b/1.jpg", "b/2.jpg"], ["1", "2"]),
        (["set/input/x/1.png", "set/target/x/1.png", "set/readme.txt"], ["set/x/1"]),
        (["1.target.png", "1.input.png", "1.json"], ["1"]),
        (["d.1/1.Sketch.png", "d.1/1.Photo.png"], ["d.1/1"]),
        (["1.a.png", "1.b.png", "photos/1.png", "edges/1.png"], ["1"]),  # the convention goes first
        (["A/1.png", "B/1.png", "__MACOSX/A/._1.png"], ["1"]),
    ],
)
def test_what_says_a_and_b(tmp_path: Path, members: list[str], keys: list[str]) -> None:
    write(tmp_path / "train-0.tar", members)
    assert names_of(tmp_path) == {"train": keys}
    (train,) = opened(tmp_path).values()
    a, b = (file.read_bytes() for file in train.pairs[0].files)
    side = next(
        index
        for index, name in enumerate(members)
        if name.lower().split("/")[0] == "b" or "arget" in name or "Photo" in name or ".b." in name
    )
    assert Image.open(io.BytesIO(b)).getpixel((0, 0)) == (side, 0, 0)
    assert Image.open(io.BytesIO(a)).getpixel((0, 0)) != (side, 0, 0)


@pytest.mark.parametrize(
    ("members", "says"),
    [
        (["a/1.png", "b/2.png"], "'1' has a alone; a pair is a and b"),
        (["a/1.png", "b/1.png", "edges/1.png", "photos/1.png"], "in several ways which are A and B"),
        (["a/1.png", "b/1.png", "b/1.jpg"], "there is another b of '1'"),
        (["1.png", "2.png"], "none that lie in folders a/ and b/"),
        (["a/../../1.png"], "a member is called"),
    ],
)
def test_what_does_not(tmp_path: Path, members: list[str], says: str) -> None:
    write(tmp_path / "train-0.tar", members)
    with pytest.raises(DataError, match=says):
        read_shards(tmp_path)


def test_splits_by_the_names_of_files(tmp_path: Path) -> None:
    for split in ("train-000000", "train-000001", "val-000000", "validation_1", "test.2"):
        write(tmp_path / f"shoes-{split}.tar", [f"{split.replace('.', '')}.a.png", f"{split.replace('.', '')}.b.png"])
    write(tmp_path / "train-of-test-3.tar", ["x.a.png", "x.b.png"])
    assert names_of(tmp_path) == {
        "train": ["train-000000", "train-000001", "x"],
        "val": ["val-000000", "validation_1"],
        "test": ["test2"],
    }
    write(tmp_path / "shoes-val-test-4.tar", ["y.a.png", "y.b.png"])
    with pytest.raises(DataError, match=r"shoes-val-test-4\.tar is called like several splits: val, test"):
        read_shards(tmp_path)


@pytest.mark.parametrize("ending", [".tar.gz", ".tgz", ".tar.zst", ".tar.bz2"])
def test_archives_beside_images_are_no_shards(tmp_path: Path, ending: str) -> None:
    write(tmp_path / "train-0.tar", ["1.a.png", "1.b.png"]).rename(tmp_path / f"train-0{ending}")
    assert is_shards(tmp_path)
    picture(tmp_path / "train" / "1.png", width=32)  # a folder of images beside an archive is no shard
    assert not is_shards(tmp_path)
