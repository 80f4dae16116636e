"""Changes to genuine files: of bytes, and of what the format is made of, with its lengths and sums made right again."""

import gzip
import io
import json
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

Mutator = Callable[[bytes, random.Random], bytes]

_NUMBERS = (0, 1, 2, 7, 8, 127, 128, 255, 256, 32767, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**53, 2**63 - 1, 2**64 - 1)
_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 1.5, -0.0, 1e308, float("nan"), float("inf"), 10**400, -(10**30), 2**53 + 1),
    *("", "a", "../x", "/etc/passwd", "\0", "\ud800", "x" * 5000, "\x1b[2J", "1e999", "NaN", "0", "é", "*", "&a"),
    *([], {}, [[]], [None], {"": 0}, [1, 2, 3], [[[[]]]], ["a"] * 300, {"a": {"a": {"a": {}}}}, [0] * 3000),
)
_MOST = 1 << 20


def of_bytes(content: bytes, draws: random.Random) -> bytes:
    """Bits, bytes, numbers, cuts, doubled and missing pieces, one to four of them."""
    data = bytearray(content)
    for _ in range(draws.choice([1, 1, 1, 2, 4])):
        at = draws.randrange(len(data)) if data else 0
        length = draws.choice([1, 2, 4, 8, draws.randint(1, 64)])
        match draws.randrange(8):
            case 0 if data:
                data[at] ^= 1 << draws.randrange(8)
            case 1 if data:
                data[at] = draws.choice((0, 1, 0x7F, 0x80, 0xFF, draws.randrange(256)))
            case 2:
                size = draws.choice([2, 4, 8])
                number = draws.choice(_NUMBERS) & (256**size - 1)
                data[at : at + size] = number.to_bytes(size, draws.choice(["little", "big"]))
            case 3:
                del data[at:]
            case 4:
                del data[at : at + length]
            case 5:
                data[at:at] = draws.randbytes(length)
            case 6:
                data[at:at] = data[at : at + length] * draws.choice([1, 2, 50])
            case _:
                other = draws.randrange(len(data)) if data else 0
                data[at : at + length] = data[other : other + length]
    return bytes(data[:_MOST])


def of_value(value: Any, draws: random.Random) -> Any:
    """A JSON value with one node replaced, removed, renamed or doubled."""
    if isinstance(value, dict) and value and draws.random() < 0.85:
        key = draws.choice(list(value))
        changed = dict(value)
        match draws.randrange(8):
            case 0:
                del changed[key]
            case 1:
                changed[draws.choice(["", "a", "../x", "format", "\ud800", "x" * 300])] = changed.pop(key)
            case 2:
                changed[draws.choice(["extra", "format", "version", key + key])] = draws.choice(_VALUES)
            case _:
                changed[key] = of_value(value[key], draws)
        return changed
    if isinstance(value, list) and value and draws.random() < 0.85:
        at, changed = draws.randrange(len(value)), list(value)
        match draws.randrange(6):
            case 0:
                del changed[at]
            case 1:
                changed[at:at] = [changed[at]] * draws.choice([1, 2, 300])
            case _:
                changed[at] = of_value(value[at], draws)
        return changed
    if isinstance(value, int | float) and not isinstance(value, bool) and draws.random() < 0.5:
        return draws.choice([value + 1, -value, value * 1000, 2**31, 10**12, 0.5, str(value)[:20]])
    return draws.choice(_VALUES)


def of_json(content: bytes, draws: random.Random) -> bytes:
    """A changed value; or its text, its bytes or its depth."""
    kind = draws.random()
    if kind < 0.15:
        return of_bytes(content, draws)
    if kind < 0.17:
        depth = draws.choice([50, 1000, 100_000])
        return b'{"a":' * depth + b"[" * depth
    value = json.loads(content)
    for _ in range(draws.choice([1, 1, 2, 3])):
        value = of_value(value, draws)
    return json.dumps(value, ensure_ascii=draws.random() < 0.5).encode("utf-8", "surrogatepass")


def of_lines(content: bytes, draws: random.Random) -> bytes:
    """One line of JSON changed, or the lines' order and number."""
    lines = content.splitlines(keepends=True)
    at = draws.randrange(len(lines))
    match draws.randrange(6):
        case 0:
            return of_bytes(content, draws)
        case 1:
            lines[at:at] = [draws.choice(lines)]
        case 2:
            del lines[at]
        case _:
            lines[at] = of_json(lines[at], draws) + b"\n"
    return b"".join(lines)


_TOKENS = (b"&a ", b"*a", b"!!python/object/apply:os.system [x]", b"<<: *a", b"\t", b"---\n", b"? ", b"[", b"{", b"#")
_TOKENS += (b"'", b'"', b": ", b"- ", b"0x1F", b"1_000", b"2026-01-01", b"~", b"!!binary x", b"1e400", b".nan", b"yes")


def of_yaml(content: bytes, draws: random.Random) -> bytes:
    """Tokens of YAML put somewhere, values replaced, or bytes changed."""
    kind = draws.random()
    if kind < 0.3:
        return of_bytes(content, draws)
    lines = content.splitlines(keepends=True)
    for _ in range(draws.choice([1, 1, 2, 3])):
        at = draws.randrange(len(lines))
        key, colon, _ = lines[at].partition(b": ")
        if kind < 0.7 and colon:
            value = json.dumps(draws.choice(_VALUES)).encode("utf-8", "surrogatepass")
            lines[at] = key + b": " + draws.choice([value, draws.choice(_TOKENS)]) + b"\n"
        else:
            place = draws.randrange(len(lines[at]) + 1)
            lines[at] = lines[at][:place] + draws.choice(_TOKENS) + lines[at][place:]
    return b"".join(lines)


def of_zip(content: bytes, draws: random.Random) -> bytes:
    """One member's content or name changed and packed again, so that sums and sizes are right; or bytes."""
    if draws.random() < 0.4:
        return of_bytes(content, draws)
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old:
        names = old.namelist()
        chosen = draws.choice(names)
        kind = draws.choice([zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
        with zipfile.ZipFile(buffer, "w", kind) as new:
            for name in names:
                data = old.read(name)
                if name == chosen and draws.random() < 0.1:
                    continue
                if name == chosen and draws.random() < 0.2:
                    name = str(draws.choice(_VALUES))[:100].encode("utf-8", "replace").decode()  # noqa: PLW2901
                elif name == chosen:
                    head = draws.choice([128, 128, len(data)])  # where NumPy and pickle say what follows
                    data = of_bytes(data[:head], draws) + data[head:]
                new.writestr(name or "x", data)
    return buffer.getvalue()


def of_tensors(content: bytes, draws: random.Random) -> bytes:
    """The header of safetensors changed as JSON, its length made right; or bytes."""
    (length,) = struct.unpack("<Q", content[:8])
    if draws.random() < 0.3:
        return of_bytes(content, draws)
    header = of_json(content[8 : 8 + length], draws)
    return struct.pack("<Q", len(header)) + header + content[8 + length :]


def of_png(content: bytes, draws: random.Random) -> bytes:
    """A chunk of a PNG changed, doubled, removed or renamed, its sum made right; or bytes."""
    if draws.random() < 0.25:
        return of_bytes(content, draws)
    chunks, at = [], 8
    while at + 8 <= len(content):
        (length,) = struct.unpack(">I", content[at : at + 4])
        chunks.append((content[at + 4 : at + 8], content[at + 8 : at + 8 + length]))
        at += 12 + length
    at = draws.randrange(len(chunks))
    name, data = chunks[at]
    match draws.randrange(6):
        case 0:
            chunks[at:at] = [chunks[at]]
        case 1:
            del chunks[at]
        case 2:
            chunks[at] = (draws.choice([b"tRNS", b"PLTE", b"gAMA", b"iCCP", b"acTL", b"zTXt", b"IDAT", b"IEND"]), data)
        case 3 if name == b"IDAT":
            try:
                packed = zlib.compress(of_bytes(zlib.decompress(data), draws))
            except zlib.error:
                packed = data[: len(data) // 2]
            chunks[at] = (name, packed)
        case _:
            chunks[at] = (name, of_bytes(data, draws))
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
    return content[:8] + body


def of_tar(content: bytes, draws: random.Random) -> bytes:
    """A field of a tar header changed, its sum made right; or bytes."""
    if draws.random() < 0.3:
        return of_bytes(content, draws)
    data = bytearray(content)
    headers = [at for at in range(0, len(data) - 511, 512) if data[at + 257 : at + 262] == b"ustar"]
    if not headers:
        return of_bytes(content, draws)
    at = draws.choice(headers)
    begin, end = draws.choice(
        [(0, 100), (100, 108), (124, 136), (124, 136), (156, 157), (157, 257), (257, 265), (345, 500)]
    )
    data[at + begin : at + end] = of_bytes(bytes(data[at + begin : at + end]), draws)[: end - begin].ljust(
        end - begin, b"\0"
    )
    data[at + 148 : at + 156] = b" " * 8
    data[at + 148 : at + 156] = b"%06o\0 " % sum(data[at : at + 512])
    return bytes(data)


def of_packed_tar(content: bytes, draws: random.Random) -> bytes:
    """As `of_tar`, within gzip; or its bytes."""
    if draws.random() < 0.2:
        return of_bytes(content, draws)
    return gzip.compress(of_tar(gzip.decompress(content), draws), 1)
