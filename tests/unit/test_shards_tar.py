"""Headers of tar files: what Python's tarfile writes is found, what is damaged or hostile is refused."""

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tandem.data.shards.tar import TarMember, scan
from tandem.errors import DataError

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/\\", exclude_categories=("C", "Z")), min_size=1)


def write(path: Path, members: list[tuple[str, bytes]], format: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(path, "w", format=format) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(data), 1.5  # pax writes an extended header for the fraction
            tar.addfile(info, io.BytesIO(data))
    return path


def refused(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        list(scan(path))
    assert str(path) in str(caught.value)
    return str(caught.value)


@given(
    members=st.lists(st.tuples(NAMES.filter(lambda n: n not in {".", ".."}), st.binary(max_size=1500)), max_size=5),
    format=st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]),
)
def test_what_tarfile_writes_is_found(tmp_path_factory, members: list[tuple[str, bytes]], format: int) -> None:
    path = write(tmp_path_factory.mktemp("tar") / "x.tar", members, format)
    found = list(scan(path))
    assert [member.name for member in found] == [name for name, _ in members]
    content = path.read_bytes()
    assert [content[m.offset : m.offset + m.size] for m in found] == [data for _, data in members]
    with tarfile.open(path) as tar:
        assert [TarMember(m.name, m.offset_data, m.size) for m in tar.getmembers()] == found


def test_long_names_and_ustar(tmp_path: Path) -> None:
    for format in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        (member,) = scan(write(tmp_path / "x.tar", [("n" * 250, b"1")], format))
        assert member.name == "n" * 250
    (member,) = scan(write(tmp_path / "x.tar", [("./1.a.png", b"1")], tarfile.USTAR_FORMAT))
    assert member.name == "1.a.png"


@pytest.mark.parametrize("length", [0, 1, 511, 512, 600, 1024, 1500, 2559])
def test_a_file_that_is_cut_off(tmp_path: Path, length: int) -> None:
    path = write(tmp_path / "x.tar", [("1.a.png", b"x" * 700), ("1.b.png", b"y" * 10)], tarfile.GNU_FORMAT)
    path.write_bytes(path.read_bytes()[:length])
    assert "it is cut off" in refused(path)


def test_a_damaged_header_in_the_middle_is_not_the_end(tmp_path: Path) -> None:
    path = write(tmp_path / "x.tar", [("1.a.png", b"x" * 10), ("1.b.png", b"y" * 10)], tarfile.GNU_FORMAT)
    content = bytearray(path.read_bytes())
    content[1024 + 5] ^= 1
    path.write_bytes(content)
    with tarfile.open(path) as tar:
        assert len(tar.getmembers()) == 1  # tarfile takes it for the end
    assert "bad checksum" in refused(path)


def header(name: str = "x", size: int = 0, kind: bytes = tarfile.REGTYPE) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


def pax(text: bytes, size: int | None = None) -> bytes:
    return header(size=len(text) if size is None else size, kind=b"x") + text + bytes(-len(text) % 512)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda: header("../x.a.png"), "a member is called '../x.a.png'"),
        (lambda: header("/etc/passwd"), "a member is called '/etc/passwd'"),
        (lambda: header("a\\b.png"), "a member is called"),
        (lambda: header("a\nb.png"), "a member is called"),
        (lambda: header(".."), "a member is called"),
        (lambda: header("x", kind=tarfile.SYMTYPE), "is no plain file"),
        (lambda: header("x", kind=tarfile.LNKTYPE), "is no plain file"),
        (lambda: header("x", kind=tarfile.CHRTYPE), "is no plain file"),
        (lambda: header("x", kind=tarfile.GNUTYPE_SPARSE), "is no plain file"),
        (lambda: header("x", size=10**15), "it is cut off"),
        (lambda: header("x", kind=b"x", size=1 << 20) + bytes(1 << 20), "an extended header has 1048576 bytes"),
        (lambda: header("x", kind=b"L", size=1 << 20) + bytes(1 << 20), "an extended header has 1048576 bytes"),
        (lambda: pax(b"19 path=../../evil\n") + header("x"), "a member is called '../../evil'"),
        (lambda: pax(b"16 size=1000000\n") + header("x"), "it is cut off"),
        (lambda: pax(b"11 size=-1\n") + header("x"), "a size is b'-1'"),
        (lambda: pax(b"99 path=x\n") + header("x"), "an extended header is damaged"),
        (lambda: pax(b"path=x\n") + header("x"), "an extended header is damaged"),
        (lambda: pax(b"22 GNU.sparse.major=1\n") + header("x"), "it holds a sparse file"),
        (lambda: b"\x1f\x8b" + bytes(600), "bad checksum"),
        (lambda: b"no tar file at all" * 40, "invalid header"),
    ],
)
def test_hostile_files(tmp_path: Path, content: Callable[[], bytes], message: str) -> None:
    path = tmp_path / "x.tar"
    path.write_bytes(content() + bytes(1024))
    assert message in refused(path)


def test_folders_are_passed_over_and_missing_files_named(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    path.write_bytes(header("folder/", kind=tarfile.DIRTYPE) + header("1.a.png") + bytes(1024))
    assert [member.name for member in scan(path)] == ["1.a.png"]
    assert "No such file" in refused(tmp_path / "y.tar")


def test_a_member_that_is_too_large(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    with path.open("wb") as file:
        file.write(header("1.a.png", size=(1 << 30) + 1))
        file.truncate((1 << 30) + 10_000)
    assert "a member has 1073741825 bytes" in refused(path)
