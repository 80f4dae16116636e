"""What people read on standard output and standard error: any text, on a stream of any encoding.

Signs that a stream cannot write are written in ASCII where there is a usual way, as escapes otherwise. Names of files
come from others, so messages go through `tandem.names.shown` on their way to a terminal.
"""

import codecs
import io
import logging
import sys

from tandem.names import shown

ERRORS = "tandem-ascii"
"""Name of the error handler that `prepare_streams` gives to the streams."""

_ASCII = {
    "…": "...",
    "—": "-",
    "–": "-",
    "−": "-",
    "×": "x",
    "·": "-",
    "→": "->",
    "←": "<-",
    "±": "+/-",
    "≥": ">=",
    "≤": "<=",
    "≈": "~",
    "’": "'",
    "“": '"',
    "”": '"',
    "\u00a0": " ",
    "\u202f": " ",
}


class MessageFormatter(logging.Formatter):
    """Formats log lines so that a terminal obeys nothing in them."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  (the name that logging calls)
        """See `logging.Formatter`."""
        return shown(super().formatMessage(record))


def prepare_streams() -> None:
    """Let standard output and standard error take any text, whatever their encoding."""
    codecs.register_error(ERRORS, _in_ascii)
    for stream in (sys.stdout, sys.stderr):
        # Tests and notebooks put other things in their place, which take all text.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ERRORS)


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end]
    replaced = "".join(_ASCII.get(sign) or shown(sign).encode("ascii", "backslashreplace").decode() for sign in signs)
    return replaced, error.end
