"""Bytes from any URL that fsspec knows, with time-outs, tries, and continued where they broke off.

Reading happens in a thread of its own, so that a server or library that stalls can be left alone whatever it is.
"""

import importlib.util
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tandem.errors import DataError, MissingExtraError

CHUNK = 1 << 20

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FetchOptions:
    """How patient fetching is.

    Attributes:
        stall_seconds: Longest silence.
        max_tries: Tries in a row that bring nothing.
        backoff_seconds: Pause before the second try; it doubles with each further one.
    """

    stall_seconds: float = 60.0
    max_tries: int = 4
    backoff_seconds: float = 1.0


class _LastingError(Exception):
    """A failure that another try would not mend."""


def fetch_bytes(url: str, max_bytes: int, options: FetchOptions) -> bytes:
    """Fetch a small file.

    Raises:
        DataError: It is not there, too large, or does not arrive.
        MissingExtraError: The protocol needs a package that is not installed.
    """
    received = bytearray()

    def take(chunk: bytes) -> None:
        received.extend(chunk)
        if len(received) > max_bytes:
            raise _LastingError(f"it has more than {max_bytes} bytes, the most that is read")

    def attempt() -> None:
        received.clear()
        for chunk in _patiently(url, 0, None, options.stall_seconds):
            take(chunk)

    _try(url, attempt, lambda: 0, options)
    return bytes(received)


def fetch_file(
    url: str, path: Path, size: int, options: FetchOptions, on_bytes: Callable[[int], None] = lambda _: None
) -> None:
    """Fetch a file of known size to `path`, or what is still missing of it.

    Args:
        url: Where it is.
        path: Where it goes; what is there is taken for its beginning.
        size: Bytes of the whole file.
        options: Time-outs and tries.
        on_bytes: Called with the bytes that are there.

    Raises:
        DataError: It is not there, has another size, or does not arrive; what has arrived stays.
        MissingExtraError: The protocol needs a package that is not installed.
    """

    def there() -> int:
        return path.stat().st_size if path.exists() else 0

    def attempt() -> None:
        done = there()
        if done > size:
            path.unlink()
            done = 0
        if done == size:
            return
        with path.open("ab") as file:
            try:
                for chunk in _patiently(url, done, size, options.stall_seconds):
                    done += len(chunk)
                    if done > size:
                        raise _LastingError(f"it has more than the {size} bytes that the index gives")
                    file.write(chunk)
                    on_bytes(done)
            except _NoRangesError:
                file.truncate(0)
                raise
        if done < size:
            raise OSError(f"it ended after {done} of {size} bytes")

    _try(url, attempt, there, options)


class _NoRangesError(OSError):
    """The server does not give the end of a file: it must be fetched from its beginning."""


def _try(url: str, attempt: Callable[[], None], progress: Callable[[], int], options: FetchOptions) -> None:
    failures = 0
    while True:
        before = progress()
        try:
            attempt()
            return
        except FileNotFoundError as error:
            raise DataError(f"{url} is not there (the server answers 'not found').") from error
        except _LastingError as error:
            raise DataError(f"{url} cannot be used: {error}.") from error
        except (OSError, EOFError, TimeoutError) as error:
            failures = failures + 1 if progress() <= before + CHUNK else 1
            if failures >= options.max_tries:
                tries = f"after {failures} tries in a row" if failures > 1 else "at the first try"
                raise DataError(
                    f"{url} could not be fetched {tries}: {error}. What has arrived is kept; the same command "
                    "continues."
                ) from error
            pause = options.backoff_seconds * 2 ** (failures - 1)
            _log.warning("%s: %s; trying again in %g s", url, error, pause)
            time.sleep(pause)


def _patiently(url: str, offset: int, size: int | None, stall_seconds: float) -> Iterator[bytes]:
    """The bytes of a file from `offset` on, raising `TimeoutError` when none come for too long."""
    chunks: queue.Queue[bytes | BaseException | None] = queue.Queue(maxsize=4)
    given_up = threading.Event()

    def put(item: bytes | BaseException | None) -> bool:
        while not given_up.is_set():
            try:
                chunks.put(item, timeout=0.5)
            except queue.Full:
                continue
            return True
        return False

    filesystem, path = _file_system(url)  # out of the clock's sight: importing takes time

    def read() -> None:
        try:
            for chunk in _read(filesystem, path, offset, size):
                if not put(chunk):
                    return
            put(None)
        except BaseException as error:
            put(error)

    threading.Thread(target=read, name="fetch", daemon=True).start()
    try:
        while True:
            try:
                item = chunks.get(timeout=stall_seconds)
            except queue.Empty:
                raise TimeoutError(f"nothing arrived for {stall_seconds:g} s") from None
            if item is None:
                return
            if isinstance(item, bytes):
                yield item
            else:
                raise _meaning(item) from item
    finally:
        given_up.set()


def _file_system(url: str) -> tuple[Any, str]:
    from fsspec.core import url_to_fs  # noqa: PLC0415  (takes long to import)

    try:
        return url_to_fs(url, skip_instance_cache=True, **_protocol_options(url))
    except MissingExtraError:
        raise
    except (ImportError, ValueError, OSError) as error:
        raise _meaning(error) from error


def _read(filesystem: Any, path: str, offset: int, size: int | None) -> Iterator[bytes]:
    options: dict[str, Any] = {}
    if _is_http(path):
        # From the beginning one answer as a stream; from the middle as ranges, which need the size.
        options = {"size": size, "block_size": 8 * CHUNK if offset else 0, "cache_type": "readahead"}
    with filesystem.open(path, "rb", **options) as file:
        if offset:
            file.seek(offset)
        while chunk := file.read(CHUNK):
            yield bytes(chunk)


def _protocol_options(url: str) -> dict[str, Any]:
    if not _is_http(url):
        return {}
    if importlib.util.find_spec("aiohttp") is None:
        raise MissingExtraError("aiohttp", "http", "Reading data from a web server")
    import aiohttp  # noqa: PLC0415  (an extra)

    # By default a request may take five minutes in all, which is too short for a large file on a slow line.
    return {"client_kwargs": {"timeout": aiohttp.ClientTimeout(total=None), "trust_env": True}}


def _is_http(url: str) -> bool:
    return url.startswith(("http://", "https://"))


def _meaning(error: BaseException) -> BaseException:
    """What a failure of whichever file system means: not there, worth another try, or lasting."""
    cause = error.__cause__
    if isinstance(error, FileNotFoundError) and isinstance(cause, Exception):  # fsspec says so of any failure
        return _meaning(cause)
    status = getattr(error, "status", 0)
    match error:
        case MissingExtraError() | FileNotFoundError():
            meaning = error
        case ValueError() if "range" in str(error).lower():
            meaning = _NoRangesError("the server does not give parts of files; beginning anew")
        case _ if status in {404, 410}:
            meaning = FileNotFoundError(str(error))
        case _ if 400 <= status < 500 and status not in {408, 425, 429}:
            meaning = _LastingError(f"the server answered with status {status}")
        case ImportError() | PermissionError() | ValueError() | TypeError():
            meaning = _LastingError(f"{type(error).__name__}: {error}")
        case _:
            meaning = OSError(f"{type(error).__name__}: {error}")
    return meaning
