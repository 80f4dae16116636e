"""Where results go: whether a file or a folder can be written at a path, said before any work begins.

A path is refused with the reason and with what to give instead. Nothing is made or touched here.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from tandem.errors import ConfigError, Problem
from tandem.files import longest_name

PICTURE_FOLDER = ".ome.zarr"
"""Ending of pictures that are folders."""
PICTURE_ENDINGS = (
    *(".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".npy", ".nii", ".nii.gz", ".dcm", ".exr"),
    PICTURE_FOLDER,
)
VIDEO_ENDINGS = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".gif")
_MODEL_ENDINGS = (".onnx", ".safetensors", ".pt", ".pth", ".ckpt", ".pkl", ".pb", ".tflite", ".engine", ".bin", ".h5")
_ARCHIVE_ENDINGS = (".zip", ".tar", ".gz", ".tgz", ".xz", ".bz2", ".7z", ".rar")
_DOCUMENT_ENDINGS = (".html", ".htm", ".md", ".txt", ".pdf", ".json", ".jsonl", ".yaml", ".yml", ".csv", ".tsv", ".log")
_OTHER_PICTURES = (".bmp", ".tif", ".tiff", ".svg", ".avif", ".heic", ".npy", ".npz")
FILE_ENDINGS = frozenset(
    {*PICTURE_ENDINGS, *VIDEO_ENDINGS, *_MODEL_ENDINGS, *_ARCHIVE_ENDINGS, *_DOCUMENT_ENDINGS, *_OTHER_PICTURES}
)
"""Endings that nobody gives a folder; ``runs/v1.5`` has none of them."""

_INNER_BYTES = 200
"""Room in a path for what lies in a folder: ``checkpoints/step-00000001.safetensors`` and its like."""
_MAX_PATH_BYTES = 4096


def is_picture_name(name: str) -> bool:
    """Whether a file is one picture by its name."""
    return name.lower().endswith(PICTURE_ENDINGS)


def is_picture_folder(name: str) -> bool:
    """Whether a picture is a folder by its name."""
    return name.lower().endswith(PICTURE_FOLDER)


def folder_problems(path: Path, what: str, *, option: str = "--out", instead: str = "") -> Iterator[Problem]:
    """Say why `path` cannot become a folder, or be gone on with as one.

    Args:
        path: A folder, which need not exist.
        what: What it is to hold: ``the report``.
        option: That named it.
        instead: What to do where the path is named like a file, as a sentence; by default to leave the ending away.
    """
    found = list(_place_problems(path, option, room=_INNER_BYTES))
    if not found and path.exists() and not path.is_dir():
        found = [f"{option} {path} is a file: give a folder for {what}"]
    elif not found and not path.exists() and (ending := path.suffix.lower()) in FILE_ENDINGS:
        advice = instead or f"give a name without '{ending}'"
        found = [f"{option} {path} is named like a file ('{ending}'), and {what} is a folder: {advice}"]
    yield from (Problem(text, option, path) for text in found)


def file_problems(path: Path, what: str, *, option: str = "--out", example: str) -> Iterator[Problem]:
    """Say why `path` cannot become a file.

    Args:
        path: A file, which is replaced if it exists.
        what: What it is to hold: ``the picture``.
        option: That named it.
        example: A name to give instead of a folder's.
    """
    found = list(_place_problems(path, option, room=0))
    if not found and path.is_dir():
        found = [f"{option} {path} is a folder, and {what} is a file: give its name, e.g. {path / example}"]
    elif not found and path.exists() and not path.is_file():
        found = [f"{option} {path} is no plain file: give another name"]
    yield from (Problem(text, option, path) for text in found)


def require_folder_target(path: Path, what: str, *, option: str = "--out") -> None:
    """Raise the `ConfigError` of `folder_problems`; do nothing where there are none."""
    found = tuple(folder_problems(path, what, option=option))
    if found:
        raise ConfigError(problems=found)


def _place_problems(path: Path, option: str, *, room: int) -> Iterator[str]:
    """What is wrong with the way to a file or folder, whichever it is; asks in ways that raise nothing."""
    if "\0" in str(path):
        yield f"{option} must not hold a zero byte"
        return
    way = [*reversed(path.parents), path]
    broken = next((one for one in way if os.path.islink(one) and not os.path.exists(one)), None)  # noqa: PTH110, PTH114
    if broken is not None:
        lead = f"{option} {path}: {broken}" if broken != path else f"{option} {path}"
        target = os.readlink(broken)  # noqa: PTH115
        yield f"{lead} is a link to {target}, which is not there: mount or make it, or give another path"
        return
    there = next((one for one in reversed(way) if os.path.exists(one)), Path())  # noqa: PTH110
    folder = there if there.is_dir() else there.parent
    whole = len(os.fsencode(path.absolute()))
    longest, limit = max(len(os.fsencode(one.name)) for one in way), longest_name(folder)
    if longest > limit:
        yield f"{option}: a name in it has {longest} bytes; give one of at most {limit}, as this file system takes them"
    elif whole + room > _MAX_PATH_BYTES:
        yield f"{option}: the path has {whole} bytes; give one of at most {_MAX_PATH_BYTES - room}"
    elif there not in {path, folder}:
        yield f"{option} {path}: {there} is a file, so that nothing can lie in it; give another path"
    elif not os.access(folder, os.W_OK | os.X_OK):
        yield f"{option} {path}: {folder} may not be written to; change its permissions, or give another path"
