"""Where the models of the service are: their names, what changes when they are renewed, and how large they are."""

import re
from collections.abc import Sequence
from pathlib import Path

from tandem.checkpoint.manifest import bundle_folder, manifest_file, read_manifest
from tandem.checkpoint.named import named_folder
from tandem.inference.onnx.load import is_onnx_file
from tandem.inference.onnx.model_file import ROLES, file_of

Stamp = tuple[tuple[int, int, int], ...]
"""Of `telling_files` (of a bundle its manifest, which is replaced last): inode, size, time."""

_UNUSUAL = re.compile(r"[^\w.+-]", re.ASCII)


def telling_files(path: Path) -> list[Path]:
    """The files of a model that are others when it is replaced.

    Raises:
        BundleError: There is no model.
    """
    return _onnx_files(path) if is_onnx_file(path) else [manifest_file(bundle_folder(path))]


def stamp_of(files: Sequence[Path]) -> Stamp:
    """What changes when these files are replaced.

    Raises:
        OSError: One is not there.
    """
    found = [file.stat() for file in files]
    return tuple((one.st_ino, one.st_size, one.st_mtime_ns) for one in found)


def weight_bytes(path: Path) -> int:
    """Bytes of the files of a model's weights.

    Raises:
        OSError: They are not there.
        BundleError: Likewise.
    """
    files = _onnx_files(path) if is_onnx_file(path) else [read_manifest(path)[1]]
    return sum(file.stat().st_size for file in files)


def name_models(paths: Sequence[Path]) -> dict[str, Path]:
    """Names of models: that of the run, folder or ONNX file, with a number where several have the same.

    Raises:
        BundleError: There is no model at a path.
    """
    named: dict[str, Path] = {}
    for path in paths:
        first = name = _UNUSUAL.sub("-", _own_name(path)) or "model"
        number = 2
        while name in named:
            name, number = f"{first}-{number}", number + 1
        named[name] = path
    return named


def _own_name(path: Path) -> str:
    if is_onnx_file(path):
        return path.stem
    if named_folder(path) is not None:
        return str(path)
    folder = bundle_folder(path).resolve()
    return folder.parent.name if folder.name == "model" else folder.name


def _onnx_files(path: Path) -> list[Path]:
    """The files that the path of an ONNX file may stand for and that are there."""
    found = [file for file in (path, *(file_of(path, role) for role in ROLES if ROLES[role])) if file.is_file()]
    return found or [path]
