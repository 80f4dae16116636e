"""The boundary between this program and bytes that others have made.

Who parses a file that may be damaged or hostile puts the parsing, and nothing else, within `reading`: whatever a parser
raises there is about the file. A bug of ours outside of it keeps its traceback.
"""

import json
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from tandem.errors import NoMemoryError, TandemError
from tandem.interrupts import raise_lost

_REASON_CHARACTERS = 200


@contextmanager
def reading(
    file: Path | str, make: Callable[[str], Exception], *, passing: tuple[type[Exception], ...] = ()
) -> Iterator[None]:
    """Turn every exception of a parser into one that names the file.

    Args:
        file: What is read; its name begins the message.
        make: Makes the exception of a sentence without a full stop.
        passing: What is left as it is, beside errors of this program.

    Raises:
        Exception: What `make` makes. Where the system refuses to read the file that is an `OSError` still.
        NoMemoryError: There is not enough memory for it.
        KeyboardInterrupt: It is no error of the file, but a signal that the parser has lost.
    """
    try:
        yield
    except (TandemError, OSError, *passing) as error:
        # Without a number it comes from a parser, which says so of damaged files.
        if isinstance(error, OSError) and error.errno is None:
            raise make(f"{file} is damaged: {reason_of(error)}") from error
        raise
    except MemoryError as error:
        raise NoMemoryError(f"there is not enough memory to read {file}.") from error
    except RecursionError as error:
        raise make(f"{file} is damaged: it is nested too deeply") from error
    except Exception as error:
        raise_lost(error)
        raise make(f"{file} is damaged: {reason_of(error)}") from error


def reason_of(error: BaseException) -> str:
    """The first line of what an exception says, of bounded length; its kind where it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0][:_REASON_CHARACTERS] if lines else type(error).__name__


_HANDED_OVER = ("/dev/stdin", "/dev/fd/", "/proc/self/fd/")


def read_bounded(path: Path, max_bytes: int) -> bytes:
    """The content of a plain file; of what a shell hands over, as in ``<(…)``, all that comes.

    Raises:
        ValueError: It is a pipe or a device, which would be waited for, or too large.
        OSError: It cannot be read.
    """
    if str(path).startswith(_HANDED_OVER):
        with path.open("rb") as file:
            content = file.read(max_bytes + 1)
    else:
        with open_plain(path) as file:  # reading takes as much memory as is asked for
            content = file.read(min(max_bytes, os.fstat(file.fileno()).st_size) + 1)
    if len(content) > max_bytes:
        raise ValueError(f"it is larger than {max_bytes} bytes, the most that is read")
    return content


def open_plain(path: Path) -> BinaryIO:
    """Open a file that is not waited for.

    Raises:
        ValueError: It is a pipe or a device.
        OSError: It cannot be opened.
    """
    file = open(path, "rb", opener=_open_at_once)  # noqa: SIM115
    try:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("it is no plain file")
    except BaseException:
        file.close()
        raise
    return file


def _open_at_once(name: str, flags: int) -> int:
    return os.open(name, flags | getattr(os, "O_NONBLOCK", 0))


def load_json(path: Path, max_bytes: int) -> Any:
    """What a JSON file holds.

    Raises:
        ValueError: It is no plain file, too large, no text in UTF-8, or no JSON.
        OSError: It cannot be read.
        NoMemoryError: There is not enough memory for it.
    """
    content = read_bounded(path, max_bytes)
    try:
        return json.loads(content.decode("utf-8"))
    except MemoryError as error:
        raise NoMemoryError(f"there is not enough memory to read {path}.") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
