"""The boundary between this program and bytes that others have made.

Who parses a file that may be damaged or hostile puts the parsing, and nothing else, within `reading`: whatever a parser
raises there is about the file. A bug of ours outside of it keeps its traceback.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tandem.errors import NoMemoryError, TandemError

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
    """
    try:
        yield
    except (TandemError, OSError, *passing) as error:
        # Without a number it comes from a parser, which says so of damaged files.
        if isinstance(error, OSError) and error.errno is None:
            raise make(f"{file} is damaged: {reason_of(error)}") from error
        raise
    except MemoryError as error:
        raise NoMemoryError(f"there is not enough memory to read {file}. Close other programs.") from error
    except RecursionError as error:
        raise make(f"{file} is damaged: it is nested too deeply") from error
    except Exception as error:
        raise make(f"{file} is damaged: {reason_of(error)}") from error


def reason_of(error: BaseException) -> str:
    """The first line of what an exception says, of bounded length; its kind where it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0][:_REASON_CHARACTERS] if lines else type(error).__name__
