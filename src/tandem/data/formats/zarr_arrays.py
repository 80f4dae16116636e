"""Arrays of Zarr 2 and 3 in a folder: what their metadata say, and whether their chunks are what they should be.

All of it is checked before anything is decoded: the compressors are those of Zarr itself, links are refused, and every
chunk must say the size that it should have.
"""

import math
import re
import stat
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tandem.data.formats.stored import UnreadableError
from tandem.foreign import load_json

MAX_CHUNK_BYTES = 1 << 28
_MAX_METADATA = 1 << 24
_TYPES = {"uint8", "uint16", "uint32", "int8", "int16", "int32", "float16", "float32", "float64"}
_V2_TYPE = re.compile(r"[<>|]([uif][1248])")
_ZSTD = 0xFD2FB528


@dataclass(frozen=True)
class ZarrArray:
    """What the metadata of an array say, checked.

    Attributes:
        folder: Its own.
        version: 2 or 3, of Zarr.
        shape: Along its axes.
        chunks: Likewise, of a chunk.
        dtype: Of its samples.
        codec: What packs a chunk; None where nothing does.
        checksum: Whether four bytes behind a chunk are one.
        key: What stands before the numbers in the name of a chunk, and between them.
        names: Of its axes; empty where they have none.
    """

    folder: Path
    version: int
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: np.dtype
    codec: str | None
    checksum: bool
    key: tuple[str, str]
    names: tuple[str, ...]

    @property
    def chunk_bytes(self) -> int:
        """Of an unpacked chunk."""
        return math.prod(self.chunks) * self.dtype.itemsize


def metadata_file(folder: Path) -> Path:
    """The file that says what a folder is; raises `UnreadableError` where there is none."""
    for name in ("zarr.json", ".zarray", ".zgroup"):
        if (path := plain_file(folder, name)) is not None:
            return path
    raise UnreadableError("holds neither zarr.json nor .zarray nor .zgroup, so it is no Zarr image")


def read_node(folder: Path) -> tuple[Mapping[str, Any], bool]:
    """The attributes of a group or an array, and whether it is an array."""
    file = metadata_file(folder)
    if file.name == "zarr.json":
        document = _document(file)
        attributes = document.get("attributes", {})
        return mapping(attributes, "attributes"), document.get("node_type") == "array"
    beside = plain_file(folder, ".zattrs")
    return ({} if beside is None else _document(beside)), file.name == ".zarray"


def _document(file: Path) -> Mapping[str, Any]:
    try:
        return mapping(load_json(file, _MAX_METADATA), file.name)
    except ValueError as error:
        raise UnreadableError(f"damaged ({file.name}: {error})") from error


def mapping(value: object, what: str) -> Mapping[str, Any]:
    """A JSON object; raises `UnreadableError` of anything else."""
    if not isinstance(value, dict):
        raise UnreadableError(f"damaged ({what} is no JSON object)")
    return value


def read_array(folder: Path) -> ZarrArray:
    """What the metadata of an array say.

    Raises:
        UnreadableError: They are damaged, or the array is of a kind that is not read, or too large.
    """
    file = metadata_file(folder)
    document = _document(file)
    try:
        if file.name == ".zarray":
            return _array_2(folder, document)
        if file.name == "zarr.json" and document.get("node_type") == "array":
            return _array_3(folder, document)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableError(f"damaged ({file.name}: {error!r:.80})") from error
    raise UnreadableError(f"{folder.name} in it is no array")


def _array_2(folder: Path, told: Mapping[str, Any]) -> ZarrArray:
    kind = _V2_TYPE.fullmatch(str(told["dtype"]))
    _refuse_type(str(told["dtype"]) if kind is None else np.dtype(kind[1]).name)
    if told.get("filters"):
        raise UnreadableError(f"has filters ({told['filters']!r:.60}), which are not read")
    codec = None if told["compressor"] is None else str(told["compressor"]["id"])
    between = told.get("dimension_separator", ".")
    return _checked(
        folder,
        version=2,
        shape=told["shape"],
        chunks=told["chunks"],
        dtype=np.dtype(str(told["dtype"])),
        codec=codec,
        checksum=False,
        key=("", between),
        names=(),
    )


def _array_3(folder: Path, told: Mapping[str, Any]) -> ZarrArray:
    _refuse_type(str(told["data_type"]))
    names = [one["name"] for one in told["codecs"]]
    packing = [name for name in names if name not in ("transpose", "bytes", "crc32c")]
    order = ["transpose", "bytes", *packing, "crc32c"]
    if told.get("storage_transformers") or len(packing) > 1 or names != [name for name in order if name in names]:
        raise UnreadableError(
            f"has chunks of the codecs {', '.join(map(str, names))}, which are not read in this order"
        )
    grid, encoding = told["chunk_grid"], told["chunk_key_encoding"]
    if grid["name"] != "regular" or encoding["name"] not in ("default", "v2"):
        raise UnreadableError("has chunks of different sizes, or with unusual names, which are not read")
    is_default = encoding["name"] == "default"
    between = (encoding.get("configuration") or {}).get("separator", "/" if is_default else ".")
    labels = told.get("dimension_names") or []
    key = (f"c{between}" if is_default else "", between)
    return _checked(
        folder,
        version=3,
        shape=told["shape"],
        chunks=grid["configuration"]["chunk_shape"],
        dtype=np.dtype(told["data_type"]),
        codec=packing[0] if packing else None,
        checksum="crc32c" in names,
        key=key,
        names=tuple(str(label) for label in labels),
    )


def _refuse_type(name: str) -> None:
    if name not in _TYPES:
        raise UnreadableError(
            f"has samples of the type {name:.40}; read are integers of 8 to 32 bits and floating point"
        )


def _checked(
    folder: Path,
    *,
    version: int,
    shape: Any,
    chunks: Any,
    dtype: np.dtype,
    codec: str | None,
    checksum: bool,
    key: tuple[str, str],
    names: tuple[str, ...],
) -> ZarrArray:
    sides = [*shape, *chunks]
    if not all(type(side) is int and 1 <= side <= 2**31 for side in sides) or not 2 <= len(shape) == len(chunks) <= 8:
        raise UnreadableError(f"damaged (shape {shape!r:.60}, chunks {chunks!r:.60})")
    if codec not in (None, *_SIZES):
        raise UnreadableError(f"is packed by {codec:.40}; read are {', '.join(_SIZES)}, and what is not packed")
    if key[1] not in (".", "/"):
        raise UnreadableError(f"damaged (its chunks are named with {key[1]!r:.20})")
    array = ZarrArray(folder, version, tuple(shape), tuple(chunks), dtype, codec, checksum, key, names)
    if array.chunk_bytes > MAX_CHUNK_BYTES:
        raise UnreadableError(f"has chunks of {array.chunk_bytes} bytes, at most {MAX_CHUNK_BYTES} are read")
    return array


def plain_file(folder: Path, name: str) -> Path | None:
    """A file below a folder; None where there is none.

    Raises:
        UnreadableError: It, or a folder on the way, is a link, or it is no plain file.
    """
    path, mode = folder, 0
    for part in name.split("/"):
        path = path / part
        try:
            mode = path.lstat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            return None
        if stat.S_ISLNK(mode):
            raise UnreadableError(f"holds a link ({path.name}), and links are not followed in it")
    if not stat.S_ISREG(mode):
        raise UnreadableError(f"{name} in it is no plain file")
    return path


def folder_below(root: Path, name: object) -> Path:
    """The folder of a dataset, which lies in the folder that names it."""
    if not isinstance(name, str) or not name or len(name) > 256:
        raise UnreadableError("damaged (a dataset has no path)")
    path = root
    for part in name.split("/"):
        path = path / part
        if part in ("", ".", "..") or "\\" in part or "\0" in part or path.is_symlink() or not path.is_dir():
            raise UnreadableError(f"names a dataset {name!r:.80}, which is no folder in it")
    return path


def check_chunk(path: Path, array: ZarrArray) -> None:
    """Hold the size that a chunk says of itself against the one that it should have, before it is unpacked."""
    with path.open("rb") as file:
        if array.codec is None:
            found = path.stat().st_size - (4 if array.checksum else 0)
        else:
            if path.stat().st_size > 2 * MAX_CHUNK_BYTES:
                raise UnreadableError(f"damaged (the chunk {path.name} has {path.stat().st_size} bytes)")
            content = file.read() if array.codec in _STREAMS else file.read(18)
            content = content[:-4] if array.codec in _STREAMS and array.checksum else content
            found = _SIZES[array.codec](content, array.chunk_bytes)
    if found != array.chunk_bytes:
        size = "another number of" if found is None else found
        raise UnreadableError(f"damaged (the chunk {path.name} would unpack to {size} bytes, not {array.chunk_bytes})")


def _size_of_blosc(head: bytes, expected: int) -> int | None:
    del expected
    return struct.unpack_from("<I", head, 4)[0] if len(head) >= 16 else None


def _size_of_lz4(head: bytes, expected: int) -> int | None:
    del expected
    return struct.unpack_from("<I", head)[0] if len(head) >= 4 else None


def _size_of_zstd(head: bytes, expected: int) -> int | None:
    """The content size in the header of a frame (RFC 8878, 3.1.1)."""
    del expected
    if len(head) < 6 or struct.unpack_from("<I", head)[0] != _ZSTD:
        return None
    descriptor = head[4]
    single, flag = bool(descriptor & 0x20), descriptor >> 6
    start = 5 + (not single) + (0, 1, 2, 4)[descriptor & 3]
    width = (1 if single else 0, 2, 4, 8)[flag]
    if not width or len(head) < start + width:
        return None
    return int.from_bytes(head[start : start + width], "little") + (256 if width == 2 else 0)


def _size_of_deflate(content: bytes, expected: int) -> int | None:
    """Unpacked as far as one byte beyond what is expected, and thrown away."""
    unpacking, found = zlib.decompressobj(wbits=47), 0
    try:
        while found <= expected and not unpacking.eof:
            part = unpacking.decompress(content, min(1 << 20, expected + 1 - found))
            if not part and not unpacking.unconsumed_tail:
                break
            found, content = found + len(part), unpacking.unconsumed_tail
    except zlib.error as error:
        raise UnreadableError(f"damaged ({error})") from error
    return found if unpacking.eof and not unpacking.unused_data.strip(b"\0") else None


_STREAMS = ("gzip", "zlib")
_SIZES = {
    "blosc": _size_of_blosc,
    "zstd": _size_of_zstd,
    "lz4": _size_of_lz4,
    "gzip": _size_of_deflate,
    "zlib": _size_of_deflate,
}
"""How large a chunk says that it is, by what packs it; compressors that do not say it are not read."""
