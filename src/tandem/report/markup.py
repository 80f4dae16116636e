"""What makes a value safe inside HTML and SVG: text, addresses, and drawings that are markup already."""

import html
import os
import re
from pathlib import PurePath
from urllib.parse import quote

# Characters that neither XML nor a reader can make sense of.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")


class Svg(str):
    """An SVG element with every text in it escaped; the only values that templates insert as they are."""

    __slots__ = ()

    def __html__(self) -> str:
        """Return the element itself: this is what Jinja2 asks of values that need no escaping."""
        return str(self)


def printable(text: object) -> str:
    """Return `str(text)` without what no document can hold.

    Control characters and the bytes of a file name that are not UTF-8 become a replacement sign.
    """
    decodable = str(text).encode("utf-8", "replace").decode("utf-8")
    return _UNPRINTABLE.sub("\ufffd", decodable)


def escape(text: object) -> str:
    """Return `printable(text)` so that XML shows it as it is, in an element or a quoted attribute."""
    return html.escape(printable(text), quote=True)


def url(path: str | PurePath) -> str:
    """Return the relative URL of a file, given its path relative to the page, `/` between folders.

    Any file name works: every byte that could mean something else in a URL is quoted.

    Raises:
        ValueError: The path is empty or starts with `/`: the page would not survive being moved.
    """
    relative = path.as_posix() if isinstance(path, PurePath) else path
    if not relative or relative.startswith("/"):
        raise ValueError(f"a page needs paths relative to itself, but was given {relative!r}")
    return quote(os.fsencode(relative), safe="/")
