"""Netpbm files as images: PBM, PGM and PPM, plain and raw, PAM and PFM.

Pillow spreads their values over 8 or 16 bits by the largest one that the header names, and takes half of the bits of
16-bit colour away; here they stay as they are. The formats: https://netpbm.sourceforge.net/doc/ (pbm, pgm, ppm, pam)
and https://www.pauldebevec.com/Research/HDR/PFM/.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Literal

import numpy as np

from tandem.data.formats.stored import StoredImage, UnreadableError, check_values, kind_of_samples, read_what_is_there

_KINDS: dict[bytes, tuple[Literal["PBM", "PGM", "PPM", "PAM", "PFM"], int]] = {
    **{b"P1": ("PBM", 1), b"P2": ("PGM", 1), b"P3": ("PPM", 3)},
    **{b"P4": ("PBM", 1), b"P5": ("PGM", 1), b"P6": ("PPM", 3)},
    **{b"P7": ("PAM", 0), b"Pf": ("PFM", 1), b"PF": ("PFM", 3)},
}
"""What the first two bytes say: the format, and the channels."""
_PLAIN = frozenset({b"P1", b"P2", b"P3"})
_COLOURS_OF = {"BLACKANDWHITE": (1, False), "GRAYSCALE": (1, False), "RGB": (3, False)}
_COLOURS_OF |= {f"{name}_ALPHA": (colours, True) for name, (colours, _) in _COLOURS_OF.items()}
"""Of a PAM's TUPLTYPE: colours, and whether alpha follows them."""
_SPACES = b" \t\n\v\f\r"
_HEADER_BYTES = 2**16
_PLAIN_AT_ONCE = 2**20
_LARGEST = 65535


@dataclass(frozen=True)
class _Header:
    magic: bytes
    width: int
    height: int
    channels: int
    largest: int
    """The value of white; of floating point 0."""
    order: Literal["<", ">"] = ">"
    tuple_type: str = ""

    @property
    def dtype(self) -> np.dtype:
        """Of the samples in the file."""
        return np.dtype(f"{self.order}f4" if not self.largest else "u1" if self.largest < 256 else f"{self.order}u2")


def is_netpbm(head: bytes) -> bool:
    """Whether a file that begins so is one of these."""
    return head[:2] in _KINDS and len(head) > 2 and head[2] in _SPACES + b"#"


def read_netpbm_shape(stream: BinaryIO) -> tuple[int, int, int]:
    """The ``(height, width, channels)`` of a file; raises as `read_netpbm`."""
    header = _header(stream)
    return header.height, header.width, header.channels


def read_netpbm(stream: BinaryIO) -> StoredImage:
    """Read a file from where the stream is, of several images the first.

    Raises:
        UnreadableError: It is damaged, truncated, too large, or has values above the one that it calls the largest.
    """
    header = _header(stream)
    kind, _ = _KINDS[header.magic]
    read = _bits if kind == "PBM" else _plain if header.magic in _PLAIN else _raw
    values = read(stream, header)
    indices = None
    if kind == "PBM":
        indices = values[:, :, 0]
        values = values * np.uint8(255)
    elif kind == "PFM":
        values = values[::-1]
    elif values.max() > header.largest:
        raise UnreadableError(f"damaged: it holds {values.max()}, and its header calls {header.largest} the largest")
    native = np.ascontiguousarray(values, header.dtype.newbyteorder("="))
    bits = 8 * native.itemsize if kind in ("PBM", "PFM") else header.largest.bit_length()
    by_number = {1: (1, False), 3: (3, False)}.get(header.channels, (0, False))
    colours, alpha = _COLOURS_OF.get(header.tuple_type, by_number)
    if header.channels < colours + alpha:
        raise UnreadableError(f"damaged: a PAM of {header.channels} channels that are called {header.tuple_type}")
    return StoredImage(
        native,
        bits,
        colours,
        has_alpha=alpha,
        kind=f"{kind_of_samples(native.dtype, bits)} {kind}",
        indices=indices,
        largest=None if kind in ("PBM", "PFM") or header.largest == 2**bits - 1 else header.largest,
    )


def _header(stream: BinaryIO) -> _Header:
    """What the head of a file says; the stream is where the samples begin then."""
    begin = stream.tell()
    head = stream.read(_HEADER_BYTES)
    magic = head[:2]
    kind, channels = _KINDS[magic]
    header, end = _pam_header(head) if kind == "PAM" else _short_header(head, magic, kind, channels)
    check_values(header.width, header.height, header.channels)
    if kind != "PFM" and not 0 < header.largest <= _LARGEST:
        raise UnreadableError(f"damaged: its largest value is {header.largest}, and may be 1 to {_LARGEST}")
    stream.seek(begin + end)
    return header


def _short_header(head: bytes, magic: bytes, kind: str, channels: int) -> tuple[_Header, int]:
    """That of all but a PAM: numbers apart by white space, among comments, and one more byte of white space."""
    pattern = rb"P.(?:%s+(\d{1,9}))(?:%s+(\d{1,9}))" % (_GAP, _GAP)
    if kind == "PFM":
        pattern += rb"%s+([-+]?[0-9.eE+-]{1,32})" % _GAP
    elif kind != "PBM":
        pattern += rb"%s+(\d{1,9})" % _GAP
    match = re.match(pattern + rb"\s", head)
    if match is None:
        raise UnreadableError(f"damaged or truncated (the header of a {kind})")
    width, height = int(match[1]), int(match[2])
    if kind == "PBM":
        return _Header(magic, width, height, channels, 1), match.end()
    if kind != "PFM":
        return _Header(magic, width, height, channels, int(match[3])), match.end()
    try:
        scale = float(match[3])
    except ValueError as error:
        raise UnreadableError(f"damaged (a PFM of scale {match[3].decode()})") from error
    if not math.isfinite(scale) or scale == 0:
        raise UnreadableError(f"damaged (a PFM of scale {match[3].decode()}, whose sign says the order of its bytes)")
    return _Header(magic, width, height, channels, 0, order="<" if scale < 0 else ">"), match.end()


_GAP = rb"(?:\s|#[^\r\n]*[\r\n])"
"""White space, or a comment to the end of its line."""


def _pam_header(head: bytes) -> tuple[_Header, int]:
    """That of a PAM: a word and its value a line."""
    match = re.search(rb"\nENDHDR[ \t\r]*\n", head)
    if match is None:
        raise UnreadableError("damaged or truncated (the header of a PAM)")
    found: dict[str, str] = {}
    for line in head[2 : match.start()].decode("latin-1").splitlines():
        word, _, value = line.strip().partition(" ")
        if word and not word.startswith("#"):
            found[word] = f"{found[word]} {value.strip()}" if word in found and word == "TUPLTYPE" else value.strip()
    numbers = [found.get(word, "") for word in ("WIDTH", "HEIGHT", "DEPTH", "MAXVAL")]
    if not all(re.fullmatch(r"[0-9]{1,9}", number) for number in numbers):
        raise UnreadableError("damaged (a PAM without WIDTH, HEIGHT, DEPTH or MAXVAL)")
    width, height, depth, largest = map(int, numbers)
    return _Header(b"P7", width, height, depth, largest, tuple_type=found.get("TUPLTYPE", "")), match.end()


def _raw(stream: BinaryIO, header: _Header) -> np.ndarray:
    shape = (header.height, header.width, header.channels)
    wanted = math.prod(shape) * header.dtype.itemsize
    return np.frombuffer(_whole(stream, wanted), header.dtype).reshape(shape)


def _bits(stream: BinaryIO, header: _Header) -> np.ndarray:
    """The pixels of a PBM: 1 is white, where the file says 0."""
    if header.magic == b"P4":
        row_bytes = -(-header.width // 8)
        packed = np.frombuffer(_whole(stream, header.height * row_bytes), np.uint8)
        ink = np.unpackbits(packed.reshape(header.height, row_bytes), axis=1, count=header.width)
    else:
        ink = _joined(_digits(stream), header.height * header.width).reshape(header.height, header.width)
    return (1 - ink)[:, :, None]


def _plain(stream: BinaryIO, header: _Header) -> np.ndarray:
    count = header.height * header.width * header.channels
    return _joined(_numbers(stream), count).reshape(header.height, header.width, header.channels)


def _whole(stream: BinaryIO, num_bytes: int) -> bytes:
    data = read_what_is_there(stream, num_bytes)
    if len(data) < num_bytes:
        raise UnreadableError(f"damaged or truncated ({len(data)} of {num_bytes} bytes)")
    return data


def _joined(parts: Iterator[np.ndarray], count: int) -> np.ndarray:
    """So many values of a plain file; memory is taken for those that come."""
    taken: list[np.ndarray] = []
    missing = count
    for part in parts:
        taken.append(part[:missing])
        missing -= len(taken[-1])
        if missing == 0:
            return np.concatenate(taken)
    raise UnreadableError(f"damaged or truncated ({count - missing} of {count} values)")


def _digits(stream: BinaryIO) -> Iterator[np.ndarray]:
    """The pixels of a plain PBM, which need no space between them."""
    for text in _texts(stream, joined=True):
        bits = np.frombuffer(text.translate(None, _SPACES), np.uint8)
        if bits.size and (bits.min() < ord("0") or bits.max() > ord("1")):
            raise UnreadableError("damaged (a plain PBM holds what is neither 0 nor 1)")
        yield bits - np.uint8(ord("0"))


def _numbers(stream: BinaryIO) -> Iterator[np.ndarray]:
    """The values of a plain PGM or PPM."""
    for text in _texts(stream, joined=False):
        if text.translate(None, _SPACES + b"0123456789") or re.search(rb"\d{18}", text):
            raise UnreadableError("damaged (a plain PGM or PPM holds what is no number of it)")
        if text.strip():
            yield np.fromstring(text.decode(), dtype=np.int64, sep=" ")


def _texts(stream: BinaryIO, *, joined: bool) -> Iterator[bytes]:
    """The rest of a plain file without its comments, cut where there is space or, of `joined` values, anywhere."""
    left = b""
    while part := stream.read(_PLAIN_AT_ONCE):
        text = left + part
        comment = text.find(b"#", max(text.rfind(b"\n"), text.rfind(b"\r")) + 1)  # whose end has not come yet
        cut = len(text) if comment < 0 else comment
        if not joined:
            cut = max(text.rfind(space, 0, cut) for space in _SPACES) + 1
        text, left = text[:cut], text[cut:]
        if len(left) > _PLAIN_AT_ONCE:
            raise UnreadableError(f"damaged (a plain file with {len(left)} bytes of one number or comment)")
        yield _COMMENT.sub(b"", text)
    yield _COMMENT.sub(b"", left)


_COMMENT = re.compile(rb"#[^\r\n]*")
