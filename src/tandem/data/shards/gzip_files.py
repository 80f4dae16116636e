"""Files that are compressed as a whole: which of them are read, and their content piece by piece."""

import gzip
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from tandem.errors import DataError
from tandem.foreign import open_plain, reason_of

GZIP_ENDINGS = (".tar.gz", ".tgz")
OTHER_ENDINGS = (".tar.zst", ".tzst", ".tar.xz", ".txz", ".tar.bz2", ".tbz2", ".tar.lz4")
"""What is not unpacked: of these bzip2 and xz are slow to read, the others need packages of their own."""
_MAGIC = b"\x1f\x8b"
_CHUNK_BYTES = 1 << 20


def unpacked_chunks(path: Path, report: Callable[[int], None]) -> Iterator[bytes]:
    """The content of a gzip file, piece by piece, down to its checksum.

    Args:
        path: The file.
        report: Called with the bytes of it that are read.

    Raises:
        DataError: It cannot be read, is cut off, damaged, or something follows it.
    """
    try:
        with open_plain(path) as raw:
            if raw.read(len(_MAGIC)) != _MAGIC:
                raise ValueError("it is no gzip file, as its name says")
            raw.seek(0)
            with gzip.GzipFile(fileobj=raw, mode="rb") as file:
                while chunk := file.read(_CHUNK_BYTES):
                    yield chunk
                    report(raw.tell())
    except EOFError as error:
        raise DataError(f"{path} is cut off: the end of its compressed content is missing", file=path) from error
    except gzip.BadGzipFile as error:
        reason = "something else follows its compressed content" if str(error).startswith("Not a") else reason_of(error)
        raise DataError(f"{path} is damaged: {reason}", file=path) from error
    except zlib.error as error:
        raise DataError(f"{path} is damaged: {reason_of(error)}", file=path) from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise DataError(f"{path} cannot be unpacked: {reason}", file=path) from error
