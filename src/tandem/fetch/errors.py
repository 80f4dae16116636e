"""Why a file could not be fetched, as data."""

from pathlib import Path
from typing import Literal

from tandem.errors import TandemError

FetchReason = Literal[
    "busy",  # another process is at the same file
    "certificate",  # the server's is not valid
    "connection",  # it broke, or what came over it does not fit together
    "content",  # not the file that is expected: by its SHA-256, a web page, compressed, empty
    "deadline",  # it took longer than is allowed in all
    "missing",  # there is no such file
    "protocol",  # the library for this kind of URL is not there, or refuses it
    "redirect",  # to where it is not followed, or without end
    "size",  # too large, or not what is expected
    "space",  # the disk has too little
    "stall",  # nothing comes, or next to nothing
    "status",  # the server's answer is neither a file nor "missing"
    "tls",  # no secure connection
    "unreachable",  # the server is not known, or refuses connections
    "url",  # of a kind that is not accepted
]


class FetchError(TandemError):
    """A file that could not be fetched. The text has no full stop: whoever asked goes on with what can be done.

    Attributes:
        detail: What happened, in words.
        reason: What kind of failure it is.
        status: Of the HTTP answer that led to it, if one did.
        passing: It may be gone at the next try.
        url: What was asked for, without name and password.
        path: Where the file was to go.
        tries: How often in a row it happened.
        kept: Bytes that have arrived and that the next call continues from.
    """

    url = ""
    path: Path | None = None
    tries = 1
    kept = 0

    def __init__(self, detail: str, reason: FetchReason, *, status: int | None = None, passing: bool = False) -> None:
        # What a server says may hold control characters, which a terminal would obey.
        self.detail = "".join(character if character.isprintable() else "?" for character in detail)
        super().__init__(self.detail)
        self.reason: FetchReason = reason
        self.status, self.passing = status, passing

    def __str__(self) -> str:
        return f"{self.detail}, {self.tries} times in a row" if self.tries > 1 else self.detail
