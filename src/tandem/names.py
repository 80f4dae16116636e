"""Names of files: as people see them, and as file systems take them.

Names come from disks, archives and shards, and may hold anything: control characters that a terminal obeys, bytes that
are no text, more bytes than a name may have once an ending of ours is behind it.
"""

import hashlib
import os
import re
import unicodedata

MAX_NAME_BYTES = 255
"""Of one name, as the common file systems take it."""
OWN_ENDING_BYTES = 48
"""Room for what Tandem puts behind the name of an input: ``_spherical_00001.webp`` and its like."""

_MARK_BYTES = 9  # a hyphen and eight hexadecimal digits
_DIRECTIONS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # text that is shown in another order
_SEPARATORS = frozenset("/\\") if os.name == "nt" else frozenset("/")


def shown(text: object) -> str:
    r"""`str(text)` as a terminal may get it: whatever it would obey is written as an escape, lines stay lines.

    Control characters become ``\x1b``, characters that turn the direction of the text ``\u202e``, and bytes of a file
    name that are no text ``\xff``.
    """
    whole = str(text)
    return whole if whole.isprintable() else "".join(map(_shown, whole))


def _shown(sign: str) -> str:
    if "\ud800" <= sign <= "\udfff":
        value = ord(sign)
        return f"\\x{value - 0xDC00:02x}" if 0xDC80 <= value <= 0xDCFF else f"\\u{value:04x}"
    if sign in "\n\t" or not (sign in _DIRECTIONS or is_control(sign)):
        return sign
    return f"\\x{ord(sign):02x}" if ord(sign) < 0x100 else f"\\u{ord(sign):04x}"


def public_location(location: object) -> str:
    """Where data is, as text that may stand on pages and in logs: a URL without name, password, query and fragment."""
    text = str(location)
    scheme, mark, rest = text.partition("://")
    if not mark:
        return text
    address, slash, path = re.split(r"[?#]", rest, maxsplit=1)[0].partition("/")
    return f"{scheme}://{address.rpartition('@')[2]}{slash}{path}"


def is_control(sign: str) -> bool:
    """Whether a character is none that is written: a control character, or a mark that ends a line or a paragraph."""
    return unicodedata.category(sign) in {"Cc", "Zl", "Zp"}


def is_text(name: str) -> bool:
    """Whether a name is UTF-8; on Linux it may be any bytes, which Python keeps as lone surrogates."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def file_stem(name: str, *, room: int = OWN_ENDING_BYTES) -> str:
    """What files that are made of something called `name` are called, without the ending.

    That is the name itself wherever a file may have it. One that is too long is shortened, and one with separators of
    folders, control characters or characters that this system cannot write gets ``_`` in their place; both end in a
    hash of the whole name, so that two of them stay two, and the same on every machine.

    Args:
        name: Of an image, without its ending.
        room: Bytes that the ending will need.
    """
    plain = "".join(map(_writable, name))
    if plain == name and _length(name) <= MAX_NAME_BYTES - room:
        return name
    mark = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[: _MARK_BYTES - 1]
    return f"{shortened(plain, MAX_NAME_BYTES - room - _MARK_BYTES)}-{mark}"


def file_path(name: str, *, room: int = OWN_ENDING_BYTES) -> str:
    """Where files go that are made of an image called `name`: its subfolders and its stem, as `file_stem` has them.

    A name that leads nowhere below a folder, such as ``../x``, is the stem of one file.
    """
    *folders, stem = name.split("/")
    if any(part in {"", ".", ".."} for part in (*folders, stem)):
        return file_stem(name, room=room)
    return "/".join([*(file_stem(part, room=0) for part in folders), file_stem(stem, room=room)])


def shortened(name: str, most: int) -> str:
    """The beginning of a name that has at most so many bytes, in whole characters."""
    kept: list[str] = []
    for sign in name:
        most -= _length(sign)
        if most < 0:
            break
        kept.append(sign)
    return "".join(kept)


def _writable(sign: str) -> str:
    if sign in _SEPARATORS or is_control(sign):
        return "_"
    try:
        os.fsencode(sign)
    except UnicodeEncodeError:
        return "_"
    return sign


def _length(name: str) -> int:
    return len(os.fsencode(name))
