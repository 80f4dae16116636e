"""What the tests of archives share: writing good and bad ones, and seeing that one is refused."""

import io
import shutil
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from PIL import Image

from tandem.data.download.archive import ArchiveLimits
from tandem.data.download.unpack import unpack
from tandem.errors import DataError

SMALL = ArchiveLimits(
    max_members=20, max_member_bytes=100_000, max_total_bytes=300_000, max_ratio=10, ratio_from_bytes=200_000
)


def jpeg(number: int = 0) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 4), (number, 0, 90)).save(buffer, "JPEG")
    return buffer.getvalue()


def tar_entry(name: str, content: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    for field, value in fields.items():
        setattr(entry, field, value)
    return entry, content


def tar(path: Path, *entries: tuple[tarfile.TarInfo, bytes], format: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(path, "w:gz", format=format) as archive:
        for entry, content in entries:
            archive.addfile(entry, io.BytesIO(content) if entry.isreg() else None)
    return path


def zip_entry(name: str, mode: int = 0) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.external_attr = mode << 16
    return entry


def zipped(path: Path, *entries: tuple[zipfile.ZipInfo | str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for entry, content in entries:
            archive.writestr(entry, content, compression)
    return path


def both(tmp_path: Path, files: Mapping[str, bytes]) -> list[Path]:
    return [
        zipped(tmp_path / "set.zip", *files.items()),
        tar(tmp_path / "set.tar.gz", *(tar_entry(*item) for item in files.items())),
    ]


def refused(archive: Path, tmp_path: Path, says: str, limits: ArchiveLimits = SMALL) -> None:
    before = set(tmp_path.rglob("*"))
    out = tmp_path / "inner" / "out"
    with pytest.raises(DataError, match=says):
        unpack(archive, out, "single", limits=limits)
    outside = {path for path in tmp_path.rglob("*") if not path.is_relative_to(tmp_path / "inner")}
    assert outside == before, "something was written outside"
    shutil.rmtree(tmp_path / "inner")


def patched(path: Path, old: bytes, new: bytes) -> Path:
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))
    return path
