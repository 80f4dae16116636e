"""``tandem data download`` when something is wrong: it says what, and nothing is half installed."""

import hashlib
import re
from dataclasses import replace
from pathlib import Path

import pytest
from dataset_archives import download, images_of, jpeg, packed, paths_of, tarred, zipped
from support import tandem

from file_server import FileServer
from tandem.data.download.archive import ArchiveLimits
from tandem.data.download.catalogue import CATALOGUE
from tandem.data.download.install import DATASET_POLICY, DatasetSource, install
from tandem.errors import DataError, DownloadError

FACADES = CATALOGUE["pix2pix/facades"]
CATS = CATALOGUE["cyclegan/grumpifycat"]
HORSES = CATALOGUE["cyclegan/horse2zebra"]


def nothing_installed(folder: Path = Path()) -> bool:
    return not [path for path in folder.rglob("*") if path.suffix == ".jpg"]


def test_the_server_is_gone(server: FileServer) -> None:
    gone = download(server)
    assert gone.status == 1
    assert gone.err.splitlines()[-9:] == [
        "tandem data: pix2pix/facades could not be downloaded: the server answered 404 Not Found.",
        f"Tried: {server.url}/sets/facades.tar.gz",
        "What can be done:",
        "  - try again later: the same command continues",
        "  - from another server that you trust: --mirror URL, of a folder with facades.tar.gz in it or of the",
        "    archive itself",
        "  - get facades.tar.gz (about 30.4 MB) in any other way, then:",
        "    tandem data download pix2pix/facades --out datasets/facades --archive FILE",
        "datasets/facades then holds: train 400 · val 100 · test 106 images.",
    ]
    assert paths_of(Path("datasets")) == set()


@pytest.mark.parametrize("trouble", ["503", "stall", "cut"])
def test_a_server_in_trouble(server: FileServer, facades: bytes, trouble: str) -> None:
    behaviour = {"503": {"statuses": [503]}, "stall": {"stall_after": 40_000}, "cut": {"cut_after": [40_000]}}[trouble]
    says = {"503": "answered 503", "stall": "nothing arrived from 127.0.0.1 for 0.5 s", "cut": "ended after 40,000 of"}
    server.serve("/sets/facades.tar.gz", facades, **behaviour)
    failed = download(server, "--timeout", "0.5")
    assert failed.status == 1
    assert says[trouble] in failed.err
    assert "What can be done" in failed.err
    if trouble == "cut":
        assert "the same command continues after the 40,000 bytes that have arrived" in failed.err
    assert nothing_installed()


def test_the_real_server_is_named_when_it_cannot_be_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that is not there stands for a network without a way out."""
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    gone = tandem("data", "download", "horse2zebra", "--out", tmp_path / "h", "--tries", "1")
    assert gone.status == 1
    assert "Tried: https://efrosgans.eecs.berkeley.edu/cyclegan/datasets/horse2zebra.zip" in gone.err
    assert (
        "see in a browser whether the authors still offer it: https://efrosgans.eecs.berkeley.edu/cyclegan/" in gone.err
    )
    assert "get horse2zebra.zip (116.9 MB) in any other way" in gone.err
    assert "then holds: trainA 1,067 · trainB 1,334 · testA 120 · testB 140 images." in gone.err
    assert paths_of(tmp_path) == set()


def test_wrong_numbers_of_images(server: FileServer) -> None:
    files = images_of(FACADES)
    del files["facades/train/7.jpg"]
    files = {name: content for name, content in files.items() if "/val/" not in name}
    server.serve("/sets/facades.tar.gz", packed(FACADES, files))
    refused = download(server)
    assert refused.status == 1
    assert "train: 399 images instead of 400; val: 0 images instead of 100" in refused.err
    assert nothing_installed()
    assert paths_of(Path("datasets")) == {"facades.tar.gz.refused"}
    hint = re.search(r"tandem (data download .*)", refused.err)
    assert hint is not None
    as_it_is = tandem(*hint[1].split())
    assert as_it_is.status == 0, as_it_is.err
    assert "images: test 106 · train 399 (not those of the catalogue)" in as_it_is.err
    assert "--unchecked: installed all the same" in as_it_is.err


def test_a_folder_that_must_be_there(server: FileServer) -> None:
    files = {name: content for name, content in images_of(CATS).items() if "trainA" in name}
    server.serve("/sets/grumpifycat.zip", packed(CATS, files))
    refused = download(server, name="grumpifycat")
    assert "trainB: 0 images instead of some" in refused.err
    server.serve("/sets/grumpifycat.zip", zipped({"grumpifycat/readme.txt": b"soon"}))
    empty = download(server, name="grumpifycat")
    assert empty.status == 1
    assert "grumpifycat.zip holds no unpaired images" in empty.err
    assert nothing_installed()


def test_a_wrong_archive_by_size_and_by_hash(server: FileServer) -> None:
    content = packed(HORSES, {"horse2zebra/trainA/1.jpg": jpeg(1)})
    server.serve("/sets/horse2zebra.zip", content)
    wrong_size = download(server, name="horse2zebra")
    assert wrong_size.status == 1
    assert f"announces {len(content):,} bytes instead of 116,867,962" in wrong_size.err
    Path("mine.zip").write_bytes(content)
    wrong_hash = tandem("data", "download", "horse2zebra", "--archive", "mine.zip")
    assert wrong_hash.status == 1
    assert f"the SHA-256 of mine.zip is {hashlib.sha256(content).hexdigest()}, and that of the catalogue a74d" in (
        wrong_hash.err
    )
    assert "--unchecked installs it as it is" in wrong_hash.err
    assert Path("mine.zip").read_bytes() == content
    assert nothing_installed()
    unchecked = download(server, "--unchecked", name="horse2zebra")
    assert unchecked.status == 0, unchecked.err
    assert Path("datasets/horse2zebra/trainA/1.jpg").read_bytes() == jpeg(1)


def test_a_corrupt_archive_is_removed_and_fetched_anew(server: FileServer, facades: bytes) -> None:
    middle = len(facades) // 2
    corrupt = facades[:middle] + bytes(100) + facades[middle + 100 :]
    for content in (corrupt, facades[:-2000], b"not an archive at all"):
        server.serve("/sets/facades.tar.gz", content)
        refused = download(server)
        assert refused.status == 1
        assert re.search("is damaged or cut off|neither a zip nor a tar.gz", refused.err), refused.err
        assert "The archive was removed; the same command downloads it anew." in refused.err
        assert paths_of(Path("datasets")) == set()
    server.serve("/sets/facades.tar.gz", facades)
    assert download(server).status == 0


def test_a_hostile_archive(server: FileServer, tmp_path: Path) -> None:
    files = {"facades/train/1.jpg": jpeg(1), "../../../escaped.jpg": jpeg(2)}
    for name, content in (("facades.tar.gz", tarred(files)), ("facades.zip", zipped(files))):
        server.serve(f"/sets/{name}", content)
        refused = tandem("data", "download", "facades", "--mirror", f"{server.url}/sets/{name}", "--unchecked")
        assert refused.status == 1
        assert "leads out of its folder" in refused.err
        assert "Traceback" not in refused.err
        assert nothing_installed(tmp_path)


def test_too_little_space(server: FileServer, facades: bytes) -> None:
    server.serve("/sets/facades.tar.gz", facades)
    source = DatasetSource(mirror=f"{server.url}/sets")
    for limit, asked in ((FACADES.about_bytes or 0, 0), (len(facades) - 1, 0)):
        with pytest.raises(DownloadError, match=r"are needed in .* make room, or give --out on another disk"):
            install(FACADES, Path("d/facades"), source, policy=replace(DATASET_POLICY, space_limit=limit))
        assert len(server.asked) == asked
    assert paths_of(Path("d")) == set()


def test_the_limits_of_an_archive_hold_for_an_installation(server: FileServer, facades: bytes) -> None:
    server.serve("/sets/facades.tar.gz", facades)
    source = DatasetSource(mirror=f"{server.url}/sets")
    with pytest.raises(DataError, match="more than 605 entries"):
        install(FACADES, Path("d/facades"), source, limits=ArchiveLimits(max_members=605))
    assert paths_of(Path("d")) == set()


@pytest.mark.parametrize("name", ["cityscapes", "cyclegan/cityscapes"])
def test_what_is_withheld(server: FileServer, name: str) -> None:
    refused = tandem("data", "download", name)
    assert refused.status == 1
    assert "the Cityscapes licence forbids passing the images on" in refused.err
    assert "register at https://www.cityscapes-dataset.com" in refused.err
    assert "leftImg8bit_trainvaltest.zip" in refused.err
    assert paths_of(Path()) == set()
    entry = CATALOGUE[name if "/" in name else f"pix2pix/{name}"]
    Path("own.zip").write_bytes(zipped(dict.fromkeys(images_of(entry), b"")))
    assert tandem("data", "download", name, "--archive", "own.zip").status == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "which dataset?"),
        (["horse2zebar"], "there is no dataset 'horse2zebar' in the catalogue. Did you mean horse2zebra?"),
        (["pix2pix/horse2zebra"], "there is no dataset 'pix2pix/horse2zebra'"),
        (["edges2shoes", "--unpaired"], "leave out --unpaired"),
        (["facades", "--mirror", "file:///etc"], "must begin with https:// or http://"),
        (["facades", "--mirror", "http://localhost/x?a=b"], "the path before the '?' must end in .tar.gz"),
        (["facades", "--archive", "nowhere.zip"], "--archive nowhere.zip is no file"),
        (["facades", "--archive", "a", "--mirror", "http://b"], "exclude each other"),
        (["facades", "--archive", "a", "--keep-archive"], "has no effect"),
        (["facades", "--timeout", "0"], "--timeout must be above 0"),
        (["facades", "--tries", "0"], "--tries must be from 1 to 100, not 0"),
        (["facades", "--out", "taken"], "--out taken holds other files"),
        (["facades", "--out", "taken/file.txt"], "--out taken/file.txt is a file"),
        (["facades", "--miror", "x"], "Did you mean --mirror?"),
    ],
)
def test_wrong_use(words: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("taken").mkdir()
    Path("taken/file.txt").write_text("mine")
    wrong = tandem("data", "download", *words)
    assert wrong.status == 2, wrong.err
    assert says in wrong.err
    assert paths_of(Path()) == {"taken", "taken/file.txt"}
