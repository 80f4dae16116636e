"""Archives of strangers: everything hostile is refused by name, and nothing is written outside."""

import gzip
import io
import random
import struct
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from archives import both, jpeg, patched, refused, tar, tar_entry, zip_entry, zipped

from tandem.data.download.archive import ArchiveLimits


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("../out.jpg", "leads out of its folder"),
        ("set/train/../../../out.jpg", "leads out of its folder"),
        ("/tmp/out.jpg", "is absolute"),
        ("set\\..\\out.jpg", "a backslash"),
        ("C:/out.jpg", "is absolute"),
        ("set/train/a\nb.jpg", "control characters"),
        ("set/train/a\x1b[2J.jpg", "control characters"),
        ("set/train/" + "x" * 300 + ".jpg", "is too long"),
        ("/".join("abcdefghij" * 2 for _ in range(60)) + "/a.jpg", "is too long"),
        ("../secret.txt", "leads out of its folder"),
    ],
)
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_names_that_lead_elsewhere(tmp_path: Path, name: str, says: str, kind: str) -> None:
    if kind == "zip":
        refused(zipped(tmp_path / "a.zip", ("set/train/ok.jpg", jpeg()), (name, jpeg())), tmp_path, says)
    else:
        entries = (tar_entry("set/train/ok.jpg", jpeg()), tar_entry(name, jpeg()))
        refused(tar(tmp_path / "a.tar.gz", *entries), tmp_path, says)
        refused(tar(tmp_path / "b.tar.gz", *entries, format=tarfile.GNU_FORMAT), tmp_path, says)


@pytest.mark.parametrize(
    ("type", "says"),
    [
        (tarfile.SYMTYPE, "is a symbolic link"),
        (tarfile.LNKTYPE, "is a hard link"),
        (tarfile.CHRTYPE, "is a device"),
        (tarfile.BLKTYPE, "is a device"),
        (tarfile.FIFOTYPE, "is a pipe"),
        (b"Z", "is a device or another special file"),
    ],
)
def test_what_is_no_plain_file_in_a_tar(tmp_path: Path, type: bytes, says: str) -> None:
    link = tar_entry("set/train/1.jpg", type=type, linkname="/etc/passwd")
    refused(tar(tmp_path / "a.tar.gz", link, tar_entry("set/train/1.jpg", jpeg())), tmp_path, says)


@pytest.mark.parametrize(
    ("mode", "says"), [(0o120777, "is a symbolic link"), (0o020666, "is a special file"), (0o010666, "a special file")]
)
def test_what_is_no_plain_file_in_a_zip(tmp_path: Path, mode: int, says: str) -> None:
    refused(zipped(tmp_path / "a.zip", (zip_entry("set/train/1.jpg", mode), b"/etc/passwd")), tmp_path, says)


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (("s/train/1.jpg", "s/train/1.jpg"), "occurs twice"),
        (("s/train/1.jpg", "./s//train/1.jpg"), "are one name on some disks"),
        (("s/train/a.jpg", "s/train/A.JPG"), "are one name on some disks"),
        (("s/train/\u00e9.jpg", "s/train/e\u0301.jpg"), "are one name on some disks"),
        (("s/train/1.jpg", "t/train/1.jpg"), "two files would become train/1.jpg"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_that_collide(tmp_path: Path, names: tuple[str, str], says: str) -> None:
    refused(zipped(tmp_path / "a.zip", *((name, jpeg()) for name in names)), tmp_path, says)
    refused(tar(tmp_path / "a.tar.gz", *(tar_entry(name, jpeg()) for name in names)), tmp_path, says)


def test_too_many_members_even_of_those_that_are_left_out(tmp_path: Path) -> None:
    names = [f"s/train/{index}.txt" for index in range(21)]
    refused(zipped(tmp_path / "a.zip", *((name, b"") for name in names)), tmp_path, "more than 20 entries")
    refused(tar(tmp_path / "a.tar.gz", *(tar_entry(name) for name in names)), tmp_path, "more than 20 entries")
    folders = [tar_entry(f"s/{index}", type=tarfile.DIRTYPE) for index in range(21)]
    refused(tar(tmp_path / "b.tar.gz", *folders), tmp_path, "more than 20 entries")


def test_too_large_a_member(tmp_path: Path) -> None:
    noise = random.Random(0).randbytes(100_001)
    for archive in both(tmp_path, {"s/train/1.jpg": noise}):
        refused(archive, tmp_path, r"'s/train/1.jpg' is 100,001 bytes, more than 100,000")


def test_too_much_in_all(tmp_path: Path) -> None:
    noise = random.Random(0).randbytes(99_000)
    for archive in both(tmp_path, {f"s/train/{index}.jpg": noise for index in range(4)}):
        refused(archive, tmp_path, "unpacks to more than 300,000 bytes")


def test_bombs(tmp_path: Path) -> None:
    """Zeros shrink a thousandfold: refused by the ratio, long before they are written."""
    zeros = bytes(90_000)
    names = [f"s/train/{index}.jpg" for index in range(3)]
    bomb = zipped(tmp_path / "a.zip", *((name, zeros) for name in names), compression=zipfile.ZIP_DEFLATED)
    refused(bomb, tmp_path, "unpacks to more than 200,000 bytes")
    refused(
        tar(tmp_path / "a.tar.gz", *(tar_entry(name, zeros) for name in names)), tmp_path, "more than 200,000 bytes"
    )


def test_a_zip_whose_members_share_their_bytes(tmp_path: Path) -> None:
    """The overlapping kind of bomb: many names for one compressed stream; the sum of what is announced counts."""
    original = zipped(
        tmp_path / "a.zip", ("s/train/0.jpg", bytes(90_000)), compression=zipfile.ZIP_DEFLATED
    ).read_bytes()
    start = original.index(b"PK\x01\x02")
    record, end = original[start : original.index(b"PK\x05\x06")], original[original.index(b"PK\x05\x06") :]
    records = b"".join(record.replace(b"s/train/0.jpg", b"s/train/%d.jpg" % index) for index in range(9))
    end = end[:8] + struct.pack("<HHL", 9, 9, len(records)) + end[16:]
    (tmp_path / "b.zip").write_bytes(original[:start] + records + end)
    refused(tmp_path / "b.zip", tmp_path, "damaged|unpacks to more")


def test_a_member_that_is_shorter_than_it_says(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", ("s/train/1.jpg", bytes(50_000)), compression=zipfile.ZIP_DEFLATED)
    patched(archive, struct.pack("<L", 50_000), struct.pack("<L", 60_000))
    refused(archive, tmp_path, r"1\.jpg has 50,000 of 60,000 bytes")


def test_a_member_that_is_longer_than_it_says(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", ("s/train/1.jpg", bytes(50_000)), compression=zipfile.ZIP_DEFLATED)
    refused(patched(archive, struct.pack("<L", 50_000), struct.pack("<L", 10)), tmp_path, "is damaged")


def test_a_huge_tar_header_is_not_read_into_memory(tmp_path: Path) -> None:
    """A pax header may announce gigabytes; only so much of it is read as headers may be long."""
    for kind in (tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XGLTYPE):
        header = tarfile.TarInfo("./pax")
        header.type, header.size = kind, 500_000_000
        with gzip.open(tmp_path / "a.tar.gz", "wb", compresslevel=1) as file:
            file.write(header.tobuf(tarfile.GNU_FORMAT))
            for _ in range(40):
                file.write(bytes(1_000_000))
        tracemalloc.start()
        large = ArchiveLimits(max_ratio=1e9)
        refused(tmp_path / "a.tar.gz", tmp_path, "a header of more than 1,048,576 bytes", limits=large)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 8_000_000


def test_a_tar_that_points_backwards(tmp_path: Path) -> None:
    """A negative size in a pax header would make the reader loop over the same member."""
    entry, content = tar_entry("s/train/readme.txt", jpeg())
    entry.pax_headers = {"size": "-2048"}
    refused(tar(tmp_path / "a.tar.gz", (entry, content)), tmp_path, "point backwards")


def test_sparse_members(tmp_path: Path) -> None:
    entry, content = tar_entry("s/train/1.jpg", jpeg())
    entry.pax_headers = {"GNU.sparse.map": "0,1", "GNU.sparse.size": "99999999999", "GNU.sparse.name": "s/train/1.jpg"}
    refused(tar(tmp_path / "a.tar.gz", (entry, content)), tmp_path, "only plain files are unpacked")


def test_names_that_are_no_unicode(tmp_path: Path) -> None:
    archive = tmp_path / "a.tar.gz"
    with tarfile.open(archive, "w:gz", format=tarfile.GNU_FORMAT, errors="surrogateescape") as file:
        entry, content = tar_entry("s/train/\udcff.jpg", jpeg())
        file.addfile(entry, io.BytesIO(content))
    refused(archive, tmp_path, "is not valid Unicode")


def test_encrypted_members(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", ("s/train/1.jpg", jpeg()))
    content = bytearray(archive.read_bytes())
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(content)
    refused(archive, tmp_path, "not unpacked: 's/train/1.jpg' is encrypted")


def test_a_directory_of_a_zip_is_bounded_before_it_is_read(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", ("s/train/1.jpg", jpeg()))
    content = archive.read_bytes()
    end = content.index(b"PK\x05\x06")
    archive.write_bytes(content[: end + 8] + struct.pack("<HHL", 60_000, 60_000, 46) + content[end + 16 :])
    refused(archive, tmp_path, "more than 20 entries")
    archive.write_bytes(content[: end + 8] + struct.pack("<HHL", 1, 1, 2**31) + content[end + 16 :])
    refused(archive, tmp_path, "more than 20 entries")
