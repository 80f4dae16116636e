"""Tensor files: safetensors with one JSON text beside the tensors, hashed, written atomically, read with care.

What `write_tensors` writes carries two hashes: SHA-256 of the header, and XXH3 (128 bits) of the tensors, which finds
damage at ten times the speed of SHA-256, and is not meant against somebody who changes a file and its hash. A file of
another program has none; whoever needs them says so.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import xxhash
from safetensors import safe_open

from tandem.errors import CheckpointError
from tandem.files import atomic_replace
from tandem.foreign import open_plain, reading
from tandem.names import is_text

if TYPE_CHECKING:  # start-up time
    from torch import Tensor

METADATA_KEY = "tandem"
HEADER_HASH, DATA_HASH = "header_sha256", "data_xxh3_128"
MAX_HEADER_BYTES = 100 * 10**6
"""Of the header of a file, as safetensors bounds it too."""
READ_BYTES = 16 * 2**20
"""What is read at once to be hashed."""
BLOCK_BYTES = 64 * 2**10
"""What is hashed and then written at once: so little that it is still in the cache of the processor then."""

_NO_HASH = "0" * 64
_DTYPES = {
    "torch.float64": "F64",
    "torch.float32": "F32",
    "torch.float16": "F16",
    "torch.bfloat16": "BF16",
    "torch.int64": "I64",
    "torch.int32": "I32",
    "torch.int16": "I16",
    "torch.int8": "I8",
    "torch.uint8": "U8",
    "torch.bool": "BOOL",
}


@dataclass(frozen=True)
class TensorFile:
    """An open tensor file: what is read of it stays readable if somebody removes or replaces it meanwhile.

    Attributes:
        metadata: The JSON text beside the tensors; None in a file of another program.
        is_hashed: Whether it carries hashes; that of the header has been verified then.
    """

    metadata: dict[str, Any] | None
    is_hashed: bool
    _path: Path
    _file: BinaryIO
    _texts: Mapping[str, str]

    def verify(self) -> None:
        """Hold the tensors against their hash, which reads the whole file.

        Raises:
            ValueError: They are not what was written, or the file carries no hash.
            OSError: It cannot be read.
        """
        if not self.is_hashed:
            raise ValueError(f"{self._path} carries no hash of its tensors")
        self._file.seek(0)
        self._file.seek(_header_length(self._path, self._file), os.SEEK_CUR)
        digest, buffer = xxhash.xxh3_128(), memoryview(bytearray(READ_BYTES))
        while length := self._file.readinto(buffer):  # type: ignore[attr-defined]
            digest.update(buffer[:length])
        if digest.hexdigest() != self._texts[DATA_HASH]:
            raise ValueError(f"{self._path} is damaged: the hash of its tensors is not the one that was written")

    def tensors(self, prefixes: tuple[str, ...] = ("",)) -> "dict[str, Tensor]":
        """The tensors whose names begin with one of `prefixes`, all unless given, on the CPU.

        Raises:
            ValueError: The file is damaged.
            OSError: It cannot be read.
        """
        with reading(self._path, ValueError), safe_open(_name_of(self._file, self._path), "pt") as opened:
            names = [name for name in opened.keys() if name.startswith(prefixes)]  # noqa: SIM118  (not a mapping)
            return {name: opened.get_tensor(name) for name in names}

    def arrays(self) -> dict[str, np.ndarray]:
        """All tensors as arrays, without PyTorch.

        Raises:
            ValueError: The file is damaged, or has numbers that NumPy does not have.
            OSError: It cannot be read.
        """
        with reading(self._path, ValueError), safe_open(_name_of(self._file, self._path), "numpy") as opened:
            return {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118  (not a mapping)


def write_tensors(path: Path, tensors: "Mapping[str, Tensor]", metadata: Mapping[str, Any]) -> None:
    """Write `tensors` (any device, copied to plain contiguous memory) and `metadata` (JSON) to `path`.

    Raises:
        CheckpointError: The system refuses it, e.g. because the disk is full; what was there before is untouched.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps(metadata)
    try:
        atomic_replace(path, lambda temporary: _write_file(temporary, plain, text))
    except OSError as error:
        reason = error.strerror or error
        raise CheckpointError(
            f"{path} cannot be written: {reason}. What was there before is untouched.", file=path
        ) from error


@contextmanager
def open_tensors(path: Path) -> Iterator[TensorFile]:
    """Open a tensor file and verify its header, where it carries a hash of it.

    Raises:
        ValueError: Not a tensor file, or damaged.
        OSError: It cannot be opened.
    """
    with open_plain(path) as file:
        with reading(path, ValueError):
            length = _header_length(path, file)
            raw = file.read(length)
            header = json.loads(raw)
            texts = header.get("__metadata__", {})
            hashed = HEADER_HASH in texts or DATA_HASH in texts
            if hashed:
                _verify_header(path, raw, texts)
            metadata = json.loads(texts[METADATA_KEY]) if METADATA_KEY in texts else None
        if not isinstance(metadata, dict | None):
            raise ValueError(f"{path}: its metadata is not a JSON object")
        yield TensorFile(metadata, hashed, path, file, texts)


def read_tensors(path: Path, prefixes: tuple[str, ...] = ("",)) -> "dict[str, Tensor]":
    """Read the tensors of `path` whose names begin with one of `prefixes`, all unless given, on the CPU.

    Their hash is not verified: for files whose hash is known from elsewhere, or that have none.

    Raises:
        ValueError: Not a tensor file, or damaged.
        OSError: It cannot be opened.
    """
    with open_tensors(path) as file:
        return file.tensors(prefixes)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read all tensors of `path` as arrays, without PyTorch; see `read_tensors`.

    Raises:
        ValueError: Not a tensor file, damaged, or with numbers that NumPy does not have.
        OSError: It cannot be opened.
    """
    with open_tensors(path) as file:
        return file.arrays()


def _write_file(path: Path, tensors: "Mapping[str, Tensor]", text: str) -> None:
    # The order of safetensors: by alignment, so that every tensor begins at a multiple of its own size.
    ordered = sorted(tensors.items(), key=lambda item: (-item[1].element_size(), item[0]))
    texts = {METADATA_KEY: text, DATA_HASH: _NO_HASH[:32], HEADER_HASH: _NO_HASH}
    entries, begin = {}, 0
    for name, tensor in ordered:
        end = begin + tensor.numel() * tensor.element_size()
        entries[name] = {"dtype": _DTYPES[str(tensor.dtype)], "shape": list(tensor.shape), "data_offsets": [begin, end]}
        begin = end
    digest = xxhash.xxh3_128()
    with path.open("wb") as file:
        file.write(_header(texts, entries))
        for _, tensor in ordered:
            content = _bytes_of(tensor)
            for at in range(0, len(content), BLOCK_BYTES):
                block = content[at : at + BLOCK_BYTES]
                digest.update(block)
                file.write(block)
        texts[DATA_HASH] = digest.hexdigest()
        texts[HEADER_HASH] = hashlib.sha256(_header(texts, entries)[8:]).hexdigest()
        file.seek(0)
        file.write(_header(texts, entries))


def _bytes_of(tensor: "Tensor") -> memoryview:
    """The bytes of a contiguous tensor on the CPU, not copied."""
    import torch  # noqa: PLC0415  (start-up time)

    return tensor.reshape(-1).view(torch.uint8).numpy().data if tensor.numel() else memoryview(b"")


def _header(texts: Mapping[str, str], entries: Mapping[str, object]) -> bytes:
    """Length and JSON, filled up with spaces so that the tensors begin at a multiple of eight bytes."""
    raw = json.dumps({"__metadata__": texts, **entries}).encode()
    raw += b" " * (-len(raw) % 8)
    return len(raw).to_bytes(8, "little") + raw


def _header_length(path: Path, file: BinaryIO) -> int:
    length, size = int.from_bytes(file.read(8), "little"), os.fstat(file.fileno()).st_size
    if length > min(MAX_HEADER_BYTES, size - 8):
        raise ValueError(f"{path} is cut off or not a safetensors file (a header of {length} bytes in {size})")
    return length


def _verify_header(path: Path, raw: bytes, texts: Mapping[str, str]) -> None:
    told = texts.get(HEADER_HASH, "").encode()
    unhashed = raw.replace(told, _NO_HASH.encode()) if len(told) == len(_NO_HASH) else b""
    if hashlib.sha256(unhashed).hexdigest().encode() != told or DATA_HASH not in texts:
        raise ValueError(f"{path} is damaged: the SHA-256 of its header is not the one that was written")


def _name_of(file: BinaryIO, path: Path) -> str:
    """A name of the open file that safetensors takes.

    Where an open file has a second name that is the one: what is opened again is then the same file, whoever has
    replaced or removed it, and it is UTF-8, which not all names on a disk are.
    """
    again = f"/proc/self/fd/{file.fileno()}"
    return again if os.path.exists(again) or not is_text(str(path)) else str(path)  # noqa: PTH110
