"""Archives of datasets to serve, and the command that downloads them."""

import io
import random
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from PIL import Image
from support import Finished, tandem

from file_server import FileServer
from tandem.data.download.catalogue import RemoteDataset


def jpeg(number: int, size: int = 16) -> bytes:
    """A small side-by-side image of noise of its own, which does not shrink."""
    buffer = io.BytesIO()
    noise = random.Random(number).randbytes(2 * size * size * 3)
    Image.frombytes("RGB", (2 * size, size), noise).save(buffer, "JPEG")
    return buffer.getvalue()


def images_of(entry: RemoteDataset, *, unknown: int = 2) -> dict[str, bytes]:
    """As many images as the catalogue says, under the paths of the archive."""
    return {
        f"{entry.name}/{folder}/{index}.jpg": jpeg(index)
        for folder, number in entry.folders.items()
        for index in range(unknown if number is None else number)
    }


def zipped(files: Mapping[str, bytes], *, compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def packed(entry: RemoteDataset, files: Mapping[str, bytes] | None = None) -> bytes:
    """The archive of a dataset in the format of its server."""
    files = images_of(entry) if files is None else files
    return zipped(files) if entry.archive_name.endswith(".zip") else tarred(files)


def paths_of(folder: Path) -> set[str]:
    """All files and folders in `folder`, hidden ones too."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")} if folder.exists() else set()


def download(server: FileServer, *words: str | Path, name: str = "facades") -> Finished:
    return tandem("data", "download", name, "--mirror", f"{server.url}/sets", "--tries", "1", "--timeout", "5", *words)
