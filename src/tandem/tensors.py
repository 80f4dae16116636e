"""Tensor files: safetensors with one JSON text beside the tensors, written atomically, read with care."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from tandem.errors import CheckpointError
from tandem.files import atomic_replace
from tandem.names import is_text

METADATA_KEY = "tandem"


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    """Write `tensors` (any device, copied to plain contiguous memory) and `metadata` (JSON) to `path`."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = {METADATA_KEY: json.dumps(metadata)}
    try:
        atomic_replace(path, lambda temporary: save_file(plain, temporary, text))
    except SafetensorError as error:
        raise CheckpointError(f"{path} cannot be written: {error}. What was there before is untouched.") from error


def read_metadata(path: Path) -> dict[str, Any]:
    """Read only the JSON text of `path`.

    Raises:
        ValueError: Not a tensor file, damaged, or without our text.
        OSError: It cannot be opened.
    """
    try:
        with _readable(path) as readable, safe_open(readable, "pt") as file:
            text = (file.metadata() or {}).get(METADATA_KEY)
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged or not a safetensors file ({error})") from error
    if text is None:
        raise ValueError(f"{path} was not written by Tandem (it has no '{METADATA_KEY}' metadata)")
    metadata = json.loads(text)
    if not isinstance(metadata, dict):
        raise ValueError(f"{path}: its metadata is not a JSON object")
    return metadata


def read_tensors(path: Path, prefixes: tuple[str, ...] = ("",)) -> dict[str, Tensor]:
    """Read the tensors of `path` whose names begin with one of `prefixes`, all unless given, on the CPU.

    Raises:
        ValueError: Not a tensor file, or damaged.
        OSError: It cannot be opened.
    """
    try:
        with _readable(path) as readable, safe_open(readable, "pt") as file:
            names = [name for name in file.keys() if name.startswith(prefixes)]  # noqa: SIM118  (not a mapping)
            return {name: file.get_tensor(name) for name in names}
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged or not a safetensors file ({error})") from error


@contextmanager
def _readable(path: Path) -> Iterator[str]:
    """A path of the same file that safetensors takes, which wants UTF-8, and not all names on a disk are that."""
    if is_text(str(path)):
        yield str(path)
        return
    with path.open("rb") as file:  # on Linux alone, where an open file has a second name
        yield f"/proc/self/fd/{file.fileno()}"
