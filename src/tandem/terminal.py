"""What people read on standard output and standard error: any text, on a stream of any encoding.

Signs that a stream cannot write are written in ASCII where there is a usual way, as escapes otherwise. Names of files
come from others, so messages go through `tandem.names.shown` on their way to a terminal.
"""

import codecs
import contextlib
import io
import logging
import os
import sys
from pathlib import Path

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


class _Messages(io.TextIOWrapper):
    """Text that nobody needs to read: a full disk or a reader that is gone, as in ``| head``, is no reason to end."""

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            super().flush()


def prepare_streams() -> None:
    """Let standard output and standard error take any text, whatever their encoding.

    Those that are closed go nowhere, as does a closed standard input: a file that is opened would take their numbers,
    and whatever is printed would be written into it. Messages that can't be written are lost, and the work goes on.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
    sys.stdout = sys.stdout or _nowhere()
    sys.stderr = sys.stderr or _nowhere()
    if sys.stderr is sys.__stderr__ and not isinstance(sys.stderr, _Messages):
        sys.stderr = _Messages(sys.stderr.buffer, encoding=sys.stderr.encoding, line_buffering=True)
    codecs.register_error(ERRORS, _in_ascii)
    for stream in (sys.stdout, sys.stderr):
        # Tests and notebooks put other things in their place, which take all text.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ERRORS)


def leave_output() -> None:
    """Let what standard output still holds go nowhere if it can't be written: Python tries again at its end."""
    if sys.stdout is sys.__stdout__ and sys.stdout is not None:
        try:
            sys.stdout.flush()
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stdout.fileno())
            os.close(nowhere)


def _nowhere() -> io.TextIOWrapper:
    return Path(os.devnull).open("w", encoding="utf-8")


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end]
    replaced = "".join(_ASCII.get(sign) or shown(sign).encode("ascii", "backslashreplace").decode() for sign in signs)
    return replaced, error.end
