"""A file in any of the file systems that fsspec knows: s3://, gs://, file:// and so on."""

from contextlib import suppress
from typing import Any

from tandem.fetch.errors import FetchError
from tandem.fetch.reader import Answer, Reading

_CHUNK = 1 << 20


def file_system(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path in it. Importing its library takes long.

    Raises:
        FetchError: It is not installed, or refuses the URL.
    """
    from fsspec.core import url_to_fs  # noqa: PLC0415  (takes long to import)

    try:
        return url_to_fs(url, skip_instance_cache=True)  # one of another process would hold its connections
    except Exception as error:
        raise _meaning_of(error) from error


def read_file(filesystem: Any, path: str, offset: int) -> Reading:
    """The bytes from `offset` on, or all of them where the file system cannot give these alone."""
    try:
        with filesystem.open(path, "rb") as file:
            start = 0
            with suppress(OSError, ValueError, NotImplementedError):
                start = file.seek(offset) if offset else 0
            size = getattr(file, "size", None)
            total = size if isinstance(size, int) else None
            yield Answer(status=206 if start else 200, start=start, total=total)
            while chunk := file.read(_CHUNK):
                yield bytes(chunk)
    except Exception as error:
        raise _meaning_of(error) from error


def _meaning_of(error: Exception) -> FetchError:
    """What a failure of whichever library means: not there, lasting, or worth another try."""
    text = f"{type(error).__name__}: {error}"
    match error:
        case FileNotFoundError():
            return FetchError("there is no such file", "missing")
        case ImportError() | PermissionError() | ValueError() | TypeError():
            return FetchError(text, "protocol")
    return FetchError(text, "connection", passing=True)
