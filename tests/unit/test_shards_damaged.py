"""Shards and indices that are damaged, hostile, or no dataset."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from packing import make, opened, packed, tar

from tandem.data.check import check_data
from tandem.data.shards.open import read_shards
from tandem.errors import DataError


def damage_size(out: Path) -> str:
    path = out / "train-00001.tar"
    path.write_bytes(path.read_bytes()[:-700])
    return "train-00001.tar has 2372 bytes, but its index says 3072: it is cut off or another file"


def damage_count(out: Path) -> str:
    shutil.copy(out / "train-00000.tar", out / "train-00002.tar")
    text = (out / "index.json").read_text()
    sizes = [json.loads(text)["shards"][i]["size"] for i in (0, 2)]
    (out / "index.json").write_text(text.replace(f'"size": {sizes[1]}', f'"size": {sizes[0]}'))
    return "occur more than once" if sizes[0] == sizes[1] else "samples of ab, but its index says"


def damage_missing(out: Path) -> str:
    (out / "train-00001.tar").unlink()
    return "No such file or directory, but the index names it"


def damage_image(out: Path) -> str:
    path = out / "train-00000.tar"
    content = bytearray(path.read_bytes())
    content[520:560] = bytes(40)
    path.write_bytes(content)
    index = json.loads((out / "index.json").read_text())
    index["shards"][0]["sha256"] = hashlib.sha256(content).hexdigest()
    (out / "index.json").write_text(json.dumps(index))
    return "train-00000.tar:0.a.PNG: not an image"


def damage_pixel(out: Path) -> str:
    """One bit of a BMP, which any reader takes."""
    path = out / "train-00000.tar"
    content = bytearray(path.read_bytes())
    content[content.index(b"BM", 512) + 60] ^= 1
    path.write_bytes(content)
    return f"{path}: its SHA-256 is not the one in the index"


@pytest.mark.parametrize("damage", [damage_size, damage_count, damage_missing, damage_image, damage_pixel])
def test_shards_that_do_not_fit_their_index(tmp_path: Path, damage: Callable[[Path], str]) -> None:
    out = packed(make(tmp_path / "data", "folders"), tmp_path / "out", shard_bytes=4096)
    says = damage(out)
    with pytest.raises(DataError) as caught:
        check_data(list(opened(out).values()), channels_a=3, channels_b=3)
    assert says in str(caught.value)


def edit(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda index: index["shards"][0].update(changes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (edit(name="../evil.tar"), "'../evil.tar' is no name of a shard"),
        (edit(name="/etc/passwd"), "is no name of a shard"),
        (edit(name="train-00001.tar"), "two of one name"),
        (edit(sha256="x"), "sha256 is no SHA-256"),
        (edit(count=0), "0 samples"),
        (edit(count=2**31), "2147483648 samples do not fit into"),
        (edit(count=2**30, size=2**40), "samples, at most 50000000 are read"),
        (edit(size=10**15), "cannot be"),
        (edit(size=-1), "cannot be"),
        (edit(domain="a"), "domain a does not go with layout folders"),
        (edit(split="tset"), "split must be one of train, val, test"),
        (edit(extra=1), "unknown entries: extra"),
        (lambda index: index.update(version=2), "it has version 2, this is version 1"),
        (lambda index: index.update(format="x"), 'expected "format"'),
        (lambda index: index.update(shards=[]), "there are no shards"),
        (lambda index: index["splits"].pop("test"), "splits and shards do not go together"),
        (lambda index: index["splits"]["train"].update(fingerprint=1), "fingerprint must be str"),
    ],
)
def test_a_hostile_index(tmp_path: Path, change: Callable[[dict[str, Any]], None], message: str) -> None:
    out = packed(make(tmp_path / "data", "folders"), tmp_path / "out")
    index = json.loads((out / "index.json").read_text())
    change(index)
    (out / "index.json").write_text(json.dumps(index))
    with pytest.raises(DataError) as caught:
        read_shards(out)
    assert "index.json is no index of shards that can be used" in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("1.a.png", "2.a.png", "2.b.png"), "'1' has a alone; a pair is a and b, or ab"),
        (("1.a.png", "1.a.jpg"), "there is another a of '1'"),
        (("1.ab.png", "2.a.png", "2.b.png", "3.ab.png", "3.a.png"), "'3' has ab and a alone"),
        (("1.txt", "2.jpg"), "there are no members called KEY.a.png"),
    ],
)
def test_shards_without_samples(tmp_path: Path, names: tuple[str, ...], message: str) -> None:
    tar(tmp_path / "x.tar", *names)
    with pytest.raises(DataError) as caught:
        read_shards(tmp_path)
    assert message in str(caught.value)


def test_a_key_in_two_shards(tmp_path: Path) -> None:
    for name in ("x", "y"):
        tar(tmp_path / f"{name}.tar", "1.ab.png", f"{name}.ab.png")
    with pytest.raises(DataError, match=r"these keys occur more than once:\n  - 1"):
        opened(tmp_path)
