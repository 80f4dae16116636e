"""ONNX Runtime Web: which files of its npm package are taken, and how they are had. They are never part of Tandem.

Every file has a known SHA-256, whatever way it came: from the cache, out of a folder or an archive that is given, or
through ``npm pack``, which only fetches the archive of a package and runs nothing of it.
"""

import hashlib
import logging
import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tandem.errors import ConfigError, DownloadError
from tandem.files import atomic_write_bytes, cache_folder, scratch_folder
from tandem.foreign import read_bounded

PACKAGE = "onnxruntime-web"
VERSION = "1.30.0"
NPM_SECONDS = 600
_NPM_OPTIONS = ("--ignore-scripts", "--silent", "--fetch-retries=1", "--fetch-timeout=120000")
Provider = Literal["wasm", "webgpu"]

_ARCHIVE_SHA256 = "d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71"
_ARCHIVE_BYTES = 33_106_585

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RuntimeFile:
    """A file of the package's folder ``dist``.

    Attributes:
        name: Its name.
        num_bytes: How long it is.
        sha256: What it hashes to.
    """

    name: str
    num_bytes: int
    sha256: str


@dataclass(frozen=True)
class RuntimeFiles:
    """What one kind of device needs.

    Attributes:
        module: The JavaScript.
        binary: The WebAssembly.
    """

    module: RuntimeFile
    binary: RuntimeFile


RUNTIMES: Mapping[Provider, RuntimeFiles] = {
    "wasm": RuntimeFiles(
        RuntimeFile(
            "ort.wasm.bundle.min.mjs", 73_054, "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90"
        ),
        RuntimeFile(
            "ort-wasm-simd-threaded.wasm",
            14_239_897,
            "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
        ),
    ),
    "webgpu": RuntimeFiles(
        RuntimeFile(
            "ort.jspi.bundle.min.mjs", 115_872, "07ec090355e11b342c95436db54da2d0c2bd5b1d319745bfd3337e6bdcf170ac"
        ),
        RuntimeFile(
            "ort-wasm-simd-threaded.jspi.wasm",
            16_758_545,
            "a54c76f86b0f0d9572380cf1c6292a7b3903716ffcbcd6b0e5c7050bf430eb93",
        ),
    ),
}
"""The smallest builds. That of WebGPU suspends WebAssembly (JSPI); the other, for browsers without that, has 27 MB."""

_FILES = {file.name: file for files in RUNTIMES.values() for file in (files.module, files.binary)}


def cached_runtime() -> Path:
    """The folder in the cache, which need not exist."""
    return cache_folder() / f"{PACKAGE}-{VERSION}"


def find_runtime(given: Path | None = None) -> Path:
    """A folder with the files of `RUNTIMES`, each of which is what it must be.

    Args:
        given: The package's folder, one that it is installed in, or its archive; None: the cache, else npm.

    Raises:
        ConfigError: What is given does not hold them.
        DownloadError: They are not in the cache, and npm is not there or does not bring them.
    """
    if given is not None:
        return _from_archive(given) if given.is_file() else _from_folder(given)
    folder = cached_runtime()
    if any(_problems(folder)):
        _from_npm()
    return folder


def _problems(folder: Path) -> Iterator[str]:
    for file in _FILES.values():
        path = folder / file.name
        if not path.is_file():
            yield f"{file.name} is missing"
        elif path.stat().st_size != file.num_bytes or _sha256(path.read_bytes()) != file.sha256:
            yield f"{file.name} is another file, or damaged"


def _from_folder(given: Path) -> Path:
    places = (given, given / "dist", given / "package" / "dist", given / PACKAGE / "dist", _installed(given))
    for place in places:
        if (place / next(iter(_FILES))).is_file():
            if problems := list(_problems(place)):
                raise ConfigError(
                    f"--runtime {given}: {'; '.join(problems)}. It must be {PACKAGE} {VERSION}, unchanged: "
                    f"npm install {PACKAGE}@{VERSION}.",
                    option="--runtime",
                )
            return place
    raise ConfigError(
        f"--runtime {given} does not hold {PACKAGE}: give its folder, one in which 'npm install {PACKAGE}@{VERSION}' "
        f"ran, or the archive of 'npm pack {PACKAGE}@{VERSION}'.",
        option="--runtime",
    )


def _installed(folder: Path) -> Path:
    return folder / "node_modules" / PACKAGE / "dist"


def _from_archive(archive: Path) -> Path:
    """Unpack what is needed into the cache. Only the one archive that is known is opened at all."""
    size = archive.stat().st_size
    if size != _ARCHIVE_BYTES or _sha256(read_bounded(archive, _ARCHIVE_BYTES)) != _ARCHIVE_SHA256:
        raise ConfigError(
            f"--runtime {archive} ({size} bytes) is not the archive of {PACKAGE} {VERSION} ({_ARCHIVE_BYTES} bytes, "
            f"SHA-256 {_ARCHIVE_SHA256}): 'npm pack {PACKAGE}@{VERSION}' brings that.",
            option="--runtime",
        )
    folder = cached_runtime()
    with tarfile.open(archive, "r:gz") as opened:
        for name in _FILES:
            member = opened.extractfile(f"package/dist/{name}")
            assert member is not None, "the archive is the known one"
            atomic_write_bytes(folder / name, member.read())
    return folder


def _from_npm() -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise _missing("npm (Node.js) is not installed")
    log.info("fetching %s %s (33 MB) with npm, once", PACKAGE, VERSION)
    with scratch_folder() as folder:
        command = [npm, "pack", f"{PACKAGE}@{VERSION}", "--pack-destination", folder, *_NPM_OPTIONS]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=NPM_SECONDS, cwd=folder)
        except (subprocess.SubprocessError, OSError) as error:
            text = str(getattr(error, "stderr", "") or error).strip().splitlines()
            raise _missing(f"npm does not bring it ({text[-1][:200] if text else 'no reason'})") from error
        archives = list(folder.glob("*.tgz"))
        if len(archives) != 1:
            raise _missing("npm brought no archive")
        try:
            _from_archive(archives[0])
        except ConfigError as error:
            raise _missing("what npm brought is another archive than the known one") from error


def _missing(why: str) -> DownloadError:
    return DownloadError(
        f"the page needs {PACKAGE} {VERSION}, which is not in {cached_runtime()}, and {why}. On a machine with npm and "
        f"a connection run 'npm pack {PACKAGE}@{VERSION}', and give the file that it makes: --runtime "
        f"{PACKAGE}-{VERSION}.tgz."
    )


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
