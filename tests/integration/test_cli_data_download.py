"""``tandem data download`` from a local server: whole, interrupted and continued."""

import hashlib
import os
import re
import signal
from pathlib import Path

from dataset_archives import download, images_of, jpeg, packed, paths_of, zipped
from support import finish, fork, start, tandem, until, wait_for

from file_server import FileServer
from tandem.data.discover import find_splits
from tandem.data.download.catalogue import CATALOGUE
from tandem.data.download.install import _work_folder

FACADES = CATALOGUE["pix2pix/facades"]
CATS = CATALOGUE["cyclegan/grumpifycat"]


def test_a_dataset_from_a_server(server: FileServer, facades: bytes) -> None:
    server.serve("/sets/facades.tar.gz", facades)
    done = download(server)
    assert done.status == 0, done.err
    assert f"SHA-256 {hashlib.sha256(facades).hexdigest()} (there is no known one to compare it with)" in done.err
    assert "images: test 106 · train 400 · val 100 (as expected)" in done.err
    assert re.search(r"downloading: done, [\d,]+ bytes in \d+ s", done.err)
    assert "unpacking: done, 606 images" in done.err
    assert "next: tandem train datasets/facades --out runs/facades --preset facades" in done.err
    assert {path.name for path in Path("datasets").iterdir()} == {"facades"}
    splits = find_splits(Path("datasets/facades"))
    assert {name: len(split.pairs) for name, split in splits.items()} == {"train": 400, "val": 100, "test": 106}
    again = download(server)
    assert again.status == 0
    assert "pix2pix/facades is already there and complete: datasets/facades" in again.err
    assert len(server.asked) == 1


def test_what_was_removed_later_is_noticed(server: FileServer, facades: bytes) -> None:
    server.serve("/sets/facades.tar.gz", facades)
    assert download(server, "--out", "here").status == 0
    next(Path("here/train").iterdir()).unlink()
    again = download(server, "--out", "here")
    assert again.status == 1
    assert "here held test 106 · train 400 · val 100 and holds test 106 · train 399 · val 100" in again.err
    other = download(server, "--out", "here", name="grumpifycat")
    assert other.status == 2
    assert "--out here holds pix2pix/facades: give another folder" in other.err


def test_a_dataset_without_known_numbers_and_the_archive_kept(server: FileServer) -> None:
    content = packed(CATS)
    server.serve("/sets/grumpifycat.zip", content)
    done = download(server, "--keep-archive", name="grumpifycat")
    assert done.status == 0, done.err
    assert "images: trainA 2 · trainB 2 (no known number to compare with: trainA, trainB)" in done.err
    assert "next: tandem train datasets/grumpifycat --out runs/grumpifycat --preset cut-grumpifycat" in done.err
    assert Path("datasets/grumpifycat.zip").read_bytes() == content
    refused = download(server, "--keep-archive", "--out", "datasets/other", name="grumpifycat")
    assert refused.status == 2
    assert "would overwrite datasets/grumpifycat.zip" in refused.err
    by_hand = tandem("data", "download", "grumpifycat", "--out", "x/y", "--archive", "datasets/grumpifycat.zip")
    assert by_hand.status == 0
    assert Path("datasets/grumpifycat.zip").read_bytes() == content
    assert paths_of(Path("x")) == {
        "y",
        "y/.tandem-dataset.json",
        *(f"y/train{domain}" for domain in "AB"),
        *(f"y/train{domain}/{index}.jpg" for domain in "AB" for index in range(2)),
    }


def test_a_full_url_and_unicode(server: FileServer) -> None:
    files = images_of(CATS) | {"grumpifycat/trainA/кот ☃.jpg": jpeg(9)}
    server.serve("/d%C3%A4%20ta/cats.zip?key=1", packed(CATS, files))
    done = tandem(
        *("data", "download", "grumpifycat", "--out", "Bücher/кот", "--mirror", f"{server.url}/dä ta/cats.zip?key=1")
    )
    assert done.status == 0, done.err
    assert Path("Bücher/кот/trainA/кот ☃.jpg").read_bytes() == jpeg(9)


def test_killed_in_the_middle_and_continued(server: FileServer, facades: bytes, tmp_path: Path) -> None:
    """kill -9 while a slow server sends; the same command asks for the rest alone."""
    behaviour = server.serve("/sets/facades.tar.gz", facades, chunk_bytes=8192, seconds_per_chunk=0.05)
    words = ["data", "download", "facades", "--mirror", f"{server.url}/sets", "--out", tmp_path / "facades"]
    process = start(*words)
    part = tmp_path / ".facades.download" / "facades.tar.gz.part"
    until(lambda: part.exists() and part.stat().st_size > 30_000, process.pid)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    arrived = part.stat().st_size
    assert 30_000 < arrived < len(facades)
    assert not (tmp_path / "facades").exists()
    behaviour.seconds_per_chunk, behaviour.chunk_bytes = 0, 1 << 16
    done = finish(start(*words))
    assert done.status == 0, done.out
    assert f"continuing after {arrived:,} bytes" in done.out or f"continuing after {arrived / 1e6:.1f} MB" in done.out
    assert server.asked[-1].headers["Range"] == f"bytes={arrived}-"
    assert server.asked[-1].sent == len(facades) - arrived
    assert len(list((tmp_path / "facades").rglob("*.jpg"))) == 606
    assert not part.parent.exists()


def test_killed_while_unpacking_and_continued(server: FileServer, facades: bytes, tmp_path: Path) -> None:
    """The archive is there already, so nothing is fetched again; half of the images are not left over."""
    server.serve("/sets/facades.tar.gz", facades)
    out = tmp_path / "facades"
    words = ["data", "download", "facades", "--mirror", f"{server.url}/sets", "--out", out]
    pid = fork(*words, before=slow_writing)
    images = tmp_path / ".facades.download" / "images"
    until(lambda: images.exists() and len(list(images.rglob("*.jpg"))) >= 5, pid)
    os.kill(pid, signal.SIGKILL)
    assert wait_for(pid) == -signal.SIGKILL
    assert not out.exists()
    done = tandem(*words)
    assert done.status == 0, done.err
    assert "the archive has been downloaded before" in done.err
    assert len(server.asked) == 1
    assert len(list(out.rglob("*.jpg"))) == 606


def slow_writing() -> None:
    """Make the writing of an image take long, in a process that will be killed."""
    from tandem.data.download import unpack as module  # noqa: PLC0415

    original = module._write

    def slow(*arguments: object) -> None:
        original(*arguments)  # type: ignore[arg-type]
        signal.sigtimedwait([], 0.02)

    module._write = slow  # type: ignore[assignment]


def test_two_at_once(server: FileServer, facades: bytes, tmp_path: Path) -> None:
    server.serve("/sets/facades.tar.gz", facades, stall_after=50_000)
    words = ["data", "download", "facades", "--mirror", f"{server.url}/sets", "--out", tmp_path / "facades"]
    pid = fork(*words)
    until((tmp_path / ".facades.download" / "facades.tar.gz.part").exists, pid)
    second = tandem(*words)
    os.kill(pid, signal.SIGKILL)
    wait_for(pid)
    assert second.status == 1
    assert "another process is downloading" in second.err


def test_who_comes_second_removes_nothing(tmp_path: Path) -> None:
    """The folder that the first one has just made is empty yet, and stays."""
    with _work_folder(tmp_path / "facades") as work:
        second = tandem("data", "download", "facades", "--out", tmp_path / "facades")
        assert second.status == 1
        assert "another process is downloading" in second.err
        assert work.is_dir()
    assert not work.exists()


def test_names_on_both_lists(server: FileServer) -> None:
    server.serve("/sets/maps.zip", zipped({f"maps/train{domain}/1.jpg": jpeg(1) for domain in "AB"}))
    for words in (["cyclegan/maps"], ["maps", "--unpaired"]):
        done = tandem("data", "download", *words, "--mirror", f"{server.url}/sets", "--unchecked")
        assert done.status == 0, done.err
        assert "next: tandem train datasets/maps_unpaired --out runs/maps_unpaired --preset cyclegan-maps" in done.err
    assert server.asked[0].path == "/sets/maps.zip"
    assert len(server.asked) == 1
    download(server, name="maps")
    assert server.asked[-1].path == "/sets/maps.tar.gz"


def test_the_list() -> None:
    listed = tandem("data", "download", "--list")
    assert listed.status == 0
    for key, entry in CATALOGUE.items():
        assert f"{key}: {entry.title} ({entry.kind})" in listed.out
    assert "train 138,567 · val ?" in listed.out
    assert "a number that could not be verified" in listed.out


def test_a_dataset_that_was_put_there_by_other_means(tmp_path: Path) -> None:
    for name, content in images_of(FACADES).items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    done = tandem("data", "download", "facades", "--out", tmp_path / "facades")
    assert done.status == 0
    assert "is already there and complete" in done.err
