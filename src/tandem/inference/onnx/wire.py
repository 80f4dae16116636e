"""The encoding of ONNX files (protocol buffers), as much of it as is written and checked here.

A message is a sequence of fields, each a number with a kind and a value. Written here, the bytes follow from the model
alone, not from the version of a library; and read here, a file of a stranger can be looked at before anything runs it.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_MAX_VARINT_BYTES = 10
_BITS = 2**64 - 1

Encoded = list[bytes]
"""Pieces of a message, in order; large ones are kept apart and not copied."""


def varint(value: int) -> bytes:
    """A whole number; negative ones as 64 bits."""
    value &= _BITS
    pieces = bytearray()
    while value > 0x7F:
        pieces.append(value & 0x7F | 0x80)
        value >>= 7
    pieces.append(value)
    return bytes(pieces)


def number(field: int, value: int) -> Encoded:
    """A field that is a whole number."""
    return [varint(field << 3 | VARINT) + varint(value)]


def single(field: int, value: float) -> Encoded:
    """A field that is a float32."""
    return [varint(field << 3 | FIXED32) + struct.pack("<f", value)]


def text(field: int, value: str) -> Encoded:
    """A field that is text."""
    return block(field, [value.encode()])


def block(field: int, pieces: Iterable[bytes]) -> Encoded:
    """A field that is bytes or a message."""
    parts = list(pieces)
    return [varint(field << 3 | BYTES) + varint(sum(map(len, parts))), *parts]


def again(one: "Field") -> Encoded:
    """A field that was read, of a number or of bytes, as it was."""
    return number(one.number, one.value) if isinstance(one.value, int) else block(one.number, [one.message.tobytes()])


@dataclass(frozen=True)
class Field:
    """A field of a message that is read.

    Attributes:
        number: Which one.
        value: A whole number, or the bytes of text, of a message or of a number of fixed length.
    """

    number: int
    value: "int | memoryview"

    @property
    def integer(self) -> int:
        """The value, if it is a whole number."""
        if not isinstance(self.value, int):
            raise ValueError("a whole number was expected")
        return self.value if self.value < 2**63 else self.value - 2**64

    @property
    def message(self) -> memoryview:
        """The value, if it is bytes."""
        if isinstance(self.value, int):
            raise ValueError("bytes were expected")
        return self.value

    @property
    def string(self) -> str:
        """The value, if it is text."""
        return bytes(self.message).decode("utf-8")


def fields(message: memoryview) -> Iterator[Field]:
    """Read a message, whose contents stay where they are.

    Raises:
        ValueError: It ends within a field, or is none.
    """
    at, end = 0, len(message)
    while at < end:
        key, at = _varint(message, at)
        kind = key & 7
        if kind == VARINT:
            value, at = _varint(message, at)
            yield Field(key >> 3, value)
            continue
        if kind == BYTES:
            length, at = _varint(message, at)
        elif kind in {FIXED32, FIXED64}:
            length = 4 if kind == FIXED32 else 8
        else:
            raise ValueError(f"a field of the unknown kind {kind}")
        if length > end - at:
            raise ValueError(f"a field of {length} bytes, of which {end - at} are there: the file is cut off")
        yield Field(key >> 3, message[at : at + length])
        at += length


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for index in range(_MAX_VARINT_BYTES):
        if at >= len(message):
            raise ValueError("the file is cut off within a number")
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value & _BITS, at
    raise ValueError("a number of more than 64 bits")
