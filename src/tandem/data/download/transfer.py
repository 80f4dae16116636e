"""A file from the web to the disk, continued where it stopped.

While it arrives it is `NAME.part`; beside it `NAME.part.json` says which file on which server it is the beginning of.
It is continued only if the server confirms that the file is still that one (If-Range); otherwise it begins anew.
"""

import http.client
import json
import logging
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tandem.config.parse import parse_dataclass
from tandem.data.download.web import NothingLeftError, PassingError, Response, meaning_of, open_url
from tandem.errors import DownloadError
from tandem.files import atomic_write_text

_log = logging.getLogger(__name__)

_CHUNK = 1 << 18
_MAX_SIDECAR_BYTES = 1 << 16
_PROGRESS_THAT_COUNTS = 1 << 20  # a try that brought less counts as a failure

Progress = Callable[[int, int | None], None]


class SpaceError(DownloadError):
    """The disk has too little room."""


@dataclass(frozen=True)
class TransferOptions:
    """How patient a transfer is and how much it may take.

    Attributes:
        timeout_seconds: For connecting, and for the longest silence; less than 1 KiB in this time counts as silence.
        max_tries: Tries in a row that bring nothing before giving up.
        backoff_seconds: Pause before the second try; it doubles with each further one.
        max_bytes: The largest file that is accepted.
        space_limit: Bytes that may be used on the disk, if that is less than what is free.
    """

    timeout_seconds: float = 30.0
    max_tries: int = 4
    backoff_seconds: float = 1.0
    max_bytes: int = 32 << 30
    space_limit: int | None = None


@dataclass(frozen=True)
class _Origin:
    """What the bytes of a partial file belong to."""

    url: str
    validator: str | None
    total: int | None


def fetch(
    url: str,
    path: Path,
    *,
    expected_bytes: int | None = None,
    options: TransferOptions | None = None,
    on_progress: Progress | None = None,
) -> Path:
    """Download `url` to `path`, or continue to.

    Args:
        url: From `clean_url`.
        path: Where the whole file goes; its folder exists.
        expected_bytes: The size that the file must have, if it is known.
        options: Time-outs, tries and limits.
        on_progress: Called with the bytes that are there and those of the whole file, if the server says so.

    Raises:
        DownloadError: The server is gone, does not have the file, sends something else, or stalls again and again; or
            the disk has too little space. What has arrived stays for the next call.
    """
    options = options or TransferOptions()
    transfer = _Transfer(url, path, expected_bytes, options, on_progress or (lambda _done, _total: None))
    failures = 0
    while True:
        before = transfer.size
        try:
            transfer.attempt()
            break
        except PassingError as error:
            failures = 1 if transfer.size >= before + _PROGRESS_THAT_COUNTS else failures + 1
            if failures >= options.max_tries:
                raise DownloadError(f"{error}, {failures} times in a row") from error
            pause = options.backoff_seconds * 2 ** (failures - 1)
            _log.info("%s; trying again in %g s", error, pause)
            time.sleep(pause)
    transfer.part.replace(path)
    transfer.sidecar.unlink(missing_ok=True)
    return path


def require_space(folder: Path, needed: int, limit: int | None = None) -> None:
    """Refuse work that needs more bytes than the disk of `folder` has, or than `limit` allows.

    Raises:
        SpaceError: It does.
    """
    free = shutil.disk_usage(folder).free
    free = free if limit is None else min(free, limit)
    if needed > free:
        raise SpaceError(
            f"about {amount(needed)} are needed in {folder}, and {amount(free)} are free: make room, or give "
            "--out on another disk. What has arrived is kept, and the same command continues."
        )


def amount(count: int) -> str:
    """An amount of bytes in GB (10**9), MB or, where it is small, bytes."""
    if count >= 1_000_000_000:
        return f"{count / 1e9:,.1f} GB"
    return f"{count / 1e6:,.1f} MB" if count >= 100_000 else f"{count:,} bytes"


class _Transfer:
    """The partial file and the tries to complete it."""

    def __init__(
        self, url: str, path: Path, expected_bytes: int | None, options: TransferOptions, on_progress: Progress
    ) -> None:
        self.part = path.with_name(f"{path.name}.part")
        self.sidecar = path.with_name(f"{path.name}.part.json")
        self._url, self._expected, self._options, self._on_progress = url, expected_bytes, options, on_progress
        self._unfit = ""

    @property
    def size(self) -> int:
        """Bytes that are there."""
        return self.part.stat().st_size if self.part.exists() else 0

    def attempt(self) -> None:
        """Ask for what is missing and write it; on return the file is whole."""
        origin = self._read_origin()
        offset = self.size if origin is not None else 0
        if origin is not None and offset and offset == origin.total:
            return
        headers = {}
        if origin is not None and origin.validator is not None and offset:
            headers = {"Range": f"bytes={offset}-", "If-Range": origin.validator}
        try:
            response = open_url(self._url, headers, self._options.timeout_seconds)
        except NothingLeftError as answer:  # 416: there is nothing after what is here
            if answer.content_range == f"bytes */{offset}":
                return
            self._begin_anew("the file on the server is shorter than what was already here")
            raise PassingError(f"the server has no bytes after {offset}") from answer
        with response:
            origin = self._judge(response, origin, offset)
            self._receive(response, origin.total)

    def _judge(self, response: Response, origin: _Origin | None, offset: int) -> _Origin:
        """Decide from the headers whether this is the file, and where it continues."""
        if response.headers.get_content_type() == "text/html":
            raise DownloadError("the server sent a web page where an archive was expected")
        validator = _validator(response)
        if response.status == http.HTTPStatus.PARTIAL_CONTENT:
            start, total = _content_range(response)
            if origin is None or not offset or start != offset or origin.total not in {None, total}:
                self._begin_anew("the server continues another file")
                raise PassingError("the server sent a part that does not fit")
            _log.info("continuing after %s", amount(offset))
            self._check_size(total, offset)
            return origin
        if origin is None:
            self._begin_anew(self._unfit)
        else:
            changed = validator != origin.validator
            self._begin_anew(f"the file on the server has {'changed' if changed else 'no way to be continued'}")
        total = _length(response)
        self._check_size(total, 0)
        begun = _Origin(self._url, validator, total)
        atomic_write_text(self.sidecar, json.dumps(asdict(begun)))
        return begun

    def _check_size(self, total: int | None, offset: int) -> None:
        if total is not None and self._expected is not None and total != self._expected:
            raise DownloadError(
                f"the server announces {total:,} bytes, and the archive of the catalogue has {self._expected:,}"
            )
        if total is not None and total > self._options.max_bytes:
            raise DownloadError(f"the server announces {amount(total)}, more than is accepted")
        if total is not None:
            require_space(self.part.parent, total - offset, self._options.space_limit)

    def _receive(self, response: Response, total: int | None) -> None:
        done = self.size
        self._on_progress(done, total)
        watch = _StallWatch(self._options.timeout_seconds)
        with self.part.open("ab", buffering=0) as file:
            while True:
                try:
                    chunk = response.read1(_CHUNK)
                except (OSError, http.client.HTTPException, ValueError) as error:
                    raise meaning_of(error, self._url, self._options.timeout_seconds) from error
                if not chunk:
                    break
                file.write(chunk)
                done += len(chunk)
                if done > (self._options.max_bytes if total is None else total):
                    raise DownloadError("the server sends more than is accepted")
                self._on_progress(done, total)
                if not watch.goes_on(len(chunk)):
                    raise PassingError(f"{urlsplit(self._url).hostname} sends next to nothing")
        if total is not None and done < total:
            raise PassingError(f"the server ended after {done:,} of {total:,} bytes")
        if not done:
            raise DownloadError("the server sent an empty file")
        if self._expected is not None and done != self._expected:
            self._begin_anew("its size is wrong")
            raise DownloadError(f"{done:,} bytes arrived, and the archive of the catalogue has {self._expected:,}")

    def _begin_anew(self, why: str) -> None:
        if self.part.exists():
            _log.info("beginning anew: %s (%s are dropped)", why, amount(self.size))
        self.part.unlink(missing_ok=True)
        self.sidecar.unlink(missing_ok=True)

    def _read_origin(self) -> _Origin | None:
        """What the partial file belongs to; None if there is none, or none that can be continued from this URL.

        It is dropped only once the server has another one to give.
        """
        if not self.part.exists():
            return None
        try:
            if self.sidecar.stat().st_size > _MAX_SIDECAR_BYTES:
                raise ValueError("its description is too large")
            origin = parse_dataclass(_Origin, json.loads(self.sidecar.read_text("utf-8")), self.sidecar.name)
        except (OSError, ValueError, RecursionError) as error:
            self._unfit = f"it is not known what the partial file belongs to ({error})"
            return None
        if origin.url != self._url:
            self._unfit = f"the partial file came from {origin.url}"
            return None
        return origin


class _StallWatch:
    """Notices a server that sends just enough not to run into the time-out."""

    LEAST_BYTES = 1024

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since, self._bytes = time.monotonic(), 0

    def goes_on(self, num_bytes: int) -> bool:
        """Take note of bytes; False if too few have come."""
        self._bytes += num_bytes
        if time.monotonic() - self._since < self._seconds:
            return True
        enough = self._bytes >= self.LEAST_BYTES
        self._since, self._bytes = time.monotonic(), 0
        return enough


def _validator(response: Response) -> str | None:
    """What If-Range takes: a strong ETag, else the time of the last change."""
    etag = response.headers.get("ETag", "")
    chosen = etag if re.fullmatch(r'"[\x21\x23-\x7e]*"', etag) else response.headers.get("Last-Modified", "")
    return chosen if 0 < len(chosen) <= 1000 and chosen.isprintable() and chosen.isascii() else None


def _content_range(response: Response) -> tuple[int, int]:
    match = re.fullmatch(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18})", response.headers.get("Content-Range", "").strip())
    return (int(match[1]), int(match[2])) if match else (-1, -1)


def _length(response: Response) -> int | None:
    text = response.headers.get("Content-Length", "")
    return int(text) if re.fullmatch(r"\d{1,18}", text) else None
