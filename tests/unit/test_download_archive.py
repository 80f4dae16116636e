"""Archives come out as they were packed; damaged ones are noticed."""

import gzip
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from archives import both, jpeg, refused, tar, tar_entry, zipped

from tandem.data.download.archive import archive_format
from tandem.data.download.unpack import Unpacked, count_images, describe_counts, unpack
from tandem.errors import DataError


def test_images_come_out_and_nothing_else(tmp_path: Path) -> None:
    files = {
        "set/": b"",
        "set/train/1.jpg": jpeg(1),
        "set/train/ünï ☃.PNG": jpeg(2),
        "./set/./val/1.jpg": jpeg(3),
        "set/trainA/1.jpg": jpeg(4),
        "set/train/readme.txt": b"words",
        "set/train/run.py": b"import os",
        "set/train/.hidden.jpg": jpeg(5),
        "__MACOSX/set/train/1.jpg": jpeg(6),
        "set/odd/1.jpg": jpeg(7),
        "alone.jpg": jpeg(8),
    }
    files = {name: content for name, content in files.items() if not name.endswith("/")}
    for archive in both(tmp_path, files):
        out = tmp_path / f"{archive.name}-out"
        assert unpack(archive, out, "paired") == Unpacked(3, len(files) - 3)
        found = {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}
        assert found == {"train/1.jpg": jpeg(1), "train/ünï ☃.PNG": jpeg(2), "val/1.jpg": jpeg(3)}
        assert count_images(out) == {"train": 2, "val": 1}


def test_the_kind_decides_which_folders_are_taken(tmp_path: Path) -> None:
    """CycleGAN's maps.zip holds the pairs beside the domains, and both at once are no dataset."""
    names = ["maps/train/1.jpg", "maps/trainA/1.jpg", "maps/trainB/1.jpg", "maps/x/1.jpg", "maps/1.jpg"]
    archive = zipped(tmp_path / "maps.zip", *((name, jpeg()) for name in names))
    for kind, counts in (
        ("paired", {"train": 1}),
        ("unpaired", {"trainA": 1, "trainB": 1}),
        ("single", {".": 1, "train": 1, "trainA": 1, "trainB": 1, "x": 1}),
    ):
        unpack(archive, tmp_path / kind, kind)  # type: ignore[arg-type]
        assert count_images(tmp_path / kind) == counts


def test_many_large_images_pass(tmp_path: Path) -> None:
    """More bytes than any of the buffers, in both formats; what comes out is what went in."""
    noise = random.Random(0).randbytes(1_500_000)
    for archive in both(tmp_path, {"s/train/a.png": noise, "s/train/b.png": noise[::-1]}):
        out = tmp_path / f"{archive.name}-out"
        seen: list[int] = []
        unpack(archive, out, "paired", on_image=seen.append)
        assert seen == [1, 2]
        assert (out / "train/a.png").read_bytes() == noise
        assert (out / "train/b.png").read_bytes() == noise[::-1]


def cut(content: bytes) -> bytes:
    return content[: len(content) * 2 // 3]


def cut_late(content: bytes) -> bytes:
    return content[:-5]


def flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]


@pytest.mark.parametrize("harm", [cut, cut_late, flipped])
def test_damage_is_noticed(tmp_path: Path, harm: Callable[[bytes], bytes]) -> None:
    files = {f"s/train/{index}.png": random.Random(index).randbytes(20_000) for index in range(3)}
    for archive in both(tmp_path, files):
        archive.write_bytes(harm(archive.read_bytes()))
        refused(archive, tmp_path, "is damaged or cut off")


def test_a_tar_that_was_cut_before_it_was_compressed(tmp_path: Path) -> None:
    """Between two members nothing but the missing end mark shows it."""
    archive = tar(tmp_path / "a.tar.gz", *(tar_entry(f"s/train/{index}.jpg", jpeg()) for index in range(3)))
    whole = gzip.decompress(archive.read_bytes())
    member = 512 + -(-len(jpeg()) // 512) * 512
    for length in (2 * member, 2 * member + 100, 2 * member + 600):
        archive.write_bytes(gzip.compress(whole[:length]))
        refused(archive, tmp_path, "is damaged or cut off")


@pytest.mark.parametrize("content", [b"", b"PK", b"<html>", b"Rar!\x1a\x07", bytes(1000)])
def test_what_is_no_archive(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(DataError, match=r"neither a zip nor a tar\.gz"):
        archive_format(tmp_path / "a.zip")
    with pytest.raises(DataError, match="is no file"):
        archive_format(tmp_path)


def test_the_format_is_that_of_the_content(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.tar.gz", ("s/train/1.jpg", jpeg()))
    assert unpack(archive, tmp_path / "out", "paired").num_images == 1


def test_counts_in_words() -> None:
    assert describe_counts({"train": 49825, "val": None}) == "train 49,825 · val ?"
    assert describe_counts({}) == "?"


@pytest.mark.parametrize("compression", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2, zipfile.ZIP_DEFLATED])
def test_a_zip_that_is_damaged_inside(tmp_path: Path, compression: int) -> None:
    noise = random.Random(0).randbytes(5000)
    archive = zipped(
        tmp_path / "a.zip", *((f"set/train/{index}.jpg", noise) for index in range(3)), compression=compression
    )
    content = bytearray(archive.read_bytes())
    content[120:400] = bytes(byte ^ 0x55 for byte in content[120:400])
    archive.write_bytes(content)
    refused(archive, tmp_path, "is damaged or cut off")


def test_a_zip_that_has_lost_bytes_in_the_middle(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", *((f"set/train/{index}.jpg", jpeg(index)) for index in range(3)))
    content = archive.read_bytes()
    archive.write_bytes(content[:16] + content[80:])
    refused(archive, tmp_path, "is damaged or cut off")
