"""A file from a URL to the disk, continued where it stopped.

It is continued if the server confirms that its file is still the same (If-Range), or if the SHA-256 is known, which
shows it in the end; else it begins anew. The standard library asks web servers, fsspec everything else.
"""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tandem.fetch.errors import FetchError
from tandem.fetch.filesystem import file_system, read_file
from tandem.fetch.part import Origin, Part, amount, open_part, require_space
from tandem.fetch.policy import WEB, FetchPolicy
from tandem.fetch.reader import Answer, Reader
from tandem.fetch.web import REDIRECTS, WebSource, clean_url, meaning_of_status, redirected, without_credentials
from tandem.files import scratch_folder

_log = logging.getLogger(__name__)

_PROGRESS_THAT_COUNTS = 1 << 20  # a try that brought less counts as a failure
_LEAST_BYTES = 1024  # fewer in the time of a stall are one
_LONGEST_PAUSE_SECONDS = 60.0
_OK, _PARTIAL, _NOTHING_LEFT = 200, 206, 416

OnBytes = Callable[[int, int | None], None]


def fetch_file(
    url: str,
    path: Path,
    policy: FetchPolicy,
    *,
    num_bytes: int | None = None,
    sha256: str | None = None,
    on_progress: OnBytes = lambda _done, _total: None,
) -> Path:
    """Fetch `url` to `path`, or what is still missing of it; nothing is asked if the file is there.

    Several processes may fetch the same file at once: one does, the others wait for it.

    Args:
        url: Where the file is.
        path: Where the whole file goes; its folder exists.
        policy: Limits, tries and rules.
        num_bytes: The size that the file must have, if it is known.
        sha256: What it must hash to, in hexadecimal, if that is known.
        on_progress: Called with the bytes that are there and those of the whole file, if that is known.

    Raises:
        FetchError: It cannot be had, or is another file. What has arrived and may be right stays for the next call.
        ConfigError: The URL is none.
    """
    end, headers = time.monotonic() + policy.max_seconds, {}
    scheme = urlsplit(url).scheme.lower()
    if scheme in WEB:
        url, headers = without_credentials(clean_url(url, credentials=policy.credentials))
    try:
        if policy.schemes is not None and scheme not in policy.schemes:
            raise FetchError(f"its URL must begin with {' or '.join(sorted(policy.schemes))}", "url")
        with open_part(path, policy.max_seconds) as part:
            if not (path.exists() and num_bytes in {None, path.stat().st_size}):
                _Transfer(url, headers, part, policy, num_bytes, sha256, on_progress, end).run()
                part.finish()
    except FetchError as error:
        error.url, error.path = url, path
        raise
    return path


def fetch_bytes(url: str, policy: FetchPolicy) -> bytes:
    """Fetch a small file, of at most `policy.max_bytes`, into memory; raises what `fetch_file` does."""
    with scratch_folder() as folder:
        return fetch_file(url, folder / "file", policy).read_bytes()


@dataclass(frozen=True)
class _Transfer:
    """The tries to complete a partial file; for the fields see `fetch_file`."""

    url: str
    headers: dict[str, str]
    part: Part
    policy: FetchPolicy
    num_bytes: int | None
    sha256: str | None
    on_progress: OnBytes
    end: float

    def run(self) -> None:
        """Try until the file is whole."""
        failures, most = 0, self.part.size
        while True:
            try:
                return self._attempt()
            except FetchError as error:
                # Against the most that ever was there: a server might give and change its file in turn, without end.
                failures = 1 if self.part.size >= most + _PROGRESS_THAT_COUNTS else failures + 1
                most = max(most, self.part.size)
                error.kept = self.part.size
                pause = min(_LONGEST_PAUSE_SECONDS, self.policy.backoff_seconds * 2 ** (failures - 1))
                if not (error.passing or (error.reason == "unreachable" and self.policy.retry_unreachable)):
                    raise
                error.tries = failures
                if failures >= self.policy.max_tries or time.monotonic() + pause >= self.end:
                    raise
                _log.warning("%s: %s; trying again in %g s", self.url, error.detail, pause)
            time.sleep(pause)

    def _attempt(self) -> None:
        """Ask for what is missing, write it and check the file."""
        part, origin = self.part, self.part.origin()
        same = origin.url == self.url
        validator = origin.validator if same else None
        total = self.num_bytes if self.num_bytes is not None else origin.total
        if part.size and part.size == total and (same or self.sha256):
            return self._check_content(continued=False)
        offset = part.size if validator or self.sha256 else 0
        with self._ask(offset, validator) as (answer, reader):
            if answer.status == _NOTHING_LEFT:
                self._demand_end(answer, offset)
            else:
                if answer.status == _PARTIAL:
                    self._continue(answer, origin if validator else None, offset)
                else:
                    self._begin(answer, origin)
                self._receive(reader, answer.total)
        return self._check_content(continued=answer.status != _OK)

    @contextlib.contextmanager
    def _ask(self, offset: int, validator: str | None) -> Iterator[tuple[Answer, Reader]]:
        """The answer, after redirects, and what gives its bytes."""
        if urlsplit(self.url).scheme.lower() not in WEB:
            with Reader(read_file(*file_system(self.url), offset)) as reader:
                yield self._head(reader), reader
            return
        url, headers = self.url, dict(self.headers)
        if offset:
            headers |= {"Range": f"bytes={offset}-"} | ({"If-Range": validator} if validator else {})
        for _ in range(self.policy.max_redirects + 1):
            source = WebSource(self.policy.stall_seconds)
            with Reader(source.read(url, headers), source.cut) as reader:
                answer = self._head(reader)
                if answer.status not in REDIRECTS:
                    self._demand_file(url, answer, offset)
                    yield answer, reader
                    return
            target = redirected(url, answer)
            if urlsplit(target).netloc != urlsplit(url).netloc:
                headers.pop("Authorization", None)
            url = target
        raise FetchError(f"the server redirects more than {self.policy.max_redirects} times", "redirect")

    def _head(self, reader: Reader) -> Answer:
        answer = self._next(reader)
        assert isinstance(answer, Answer)
        return answer

    def _next(self, reader: Reader) -> Answer | bytes | None:
        """What comes next, in time."""
        with contextlib.suppress(TimeoutError):
            if (left := self.end - time.monotonic()) > 0:
                return reader.next(min(left, self.policy.stall_seconds))
        if time.monotonic() >= self.end:
            raise FetchError(f"it took longer than {self.policy.max_seconds:,g} s in all", "deadline")
        text = f"nothing arrived from {self._server} for {self.policy.stall_seconds:g} s"
        raise FetchError(text, "stall", passing=True)

    @property
    def _server(self) -> str:
        return urlsplit(self.url).hostname or self.url

    def _demand_file(self, url: str, answer: Answer, offset: int) -> None:
        """Refuse what is no answer with a file."""
        if answer.status == _NOTHING_LEFT and offset:
            return
        if answer.status not in {_OK, _PARTIAL}:
            raise meaning_of_status(answer)
        if self.policy.refuse_pages and answer.media_type == "text/html":
            raise FetchError("the server sent a web page instead of the file", "content", status=answer.status)
        # Servers call the compression of a .gz file an encoding, and then it is the file's own.
        if answer.encoding not in {"", "identity"} and not urlsplit(url).path.lower().endswith((".gz", ".tgz")):
            text = f"the server sent the file in the encoding '{answer.encoding:.20}', which was not asked for"
            raise FetchError(text, "content", status=answer.status)

    def _demand_end(self, answer: Answer, offset: int) -> None:
        """A server that has nothing more to give must mean that what is here is all."""
        if answer.total != offset or self.num_bytes not in {None, offset}:
            self.part.drop("the file on the server is shorter than what was already here")
            raise FetchError(f"the server has no bytes after {offset:,}", "connection", status=416, passing=True)

    def _continue(self, answer: Answer, confirmed: Origin | None, offset: int) -> None:
        """Go on after what is here, if that is what the server gives; `confirmed` is what it should go on with."""
        fits = answer.start == offset > 0
        if confirmed is not None:
            fits = fits and confirmed.total in {None, answer.total}
            fits = fits and answer.validator in {None, confirmed.validator}
        if not fits:
            self.part.drop("the server continues another file")
            raise FetchError("the server sent a part that does not fit", "connection", status=206, passing=True)
        self._check_size(answer.total, offset)
        _log.info("continuing after %s", amount(offset))

    def _begin(self, answer: Answer, origin: Origin) -> None:
        """Take the file from its beginning; what is here is dropped now that there is another one."""
        self._check_size(answer.total, 0)
        why = f"the partial file came from {origin.url}"
        if origin.url == self.url:
            changed = answer.validator != origin.validator
            why = f"the file on the server has {'changed' if changed else 'no way to be continued'}"
        self.part.begin(Origin(self.url, answer.validator, answer.total), why)

    def _check_size(self, total: int | None, offset: int) -> None:
        if total is None:
            return
        if self.num_bytes not in {None, total}:
            raise FetchError(f"the server announces {total:,} bytes instead of {self.num_bytes:,}", "size")
        if total > self.policy.max_bytes:
            raise FetchError(f"the server announces {amount(total)}, more than is accepted", "size")
        require_space(self.part.path.parent, total - offset, self.policy.space_limit)

    def _receive(self, reader: Reader, total: int | None) -> None:
        total = self.num_bytes if total is None else total
        most = self.policy.max_bytes if total is None else total
        done = self.part.size
        self.on_progress(done, total)
        since, mark = time.monotonic(), done
        while isinstance(chunk := self._next(reader), bytes):
            done += len(chunk)
            if done > most:
                self.part.drop("it is too long")
                raise FetchError(f"the server sends more than the {most:,} bytes that are accepted", "size")
            self.part.append(chunk)
            self.on_progress(done, total)
            if time.monotonic() - since >= self.policy.stall_seconds:
                if done - mark < _LEAST_BYTES:
                    raise FetchError(f"{self._server} sends next to nothing", "stall", passing=True)
                since, mark = time.monotonic(), done
        if total is not None and done < total:
            raise FetchError(f"the server ended after {done:,} of {total:,} bytes", "connection", passing=True)

    def _check_content(self, *, continued: bool) -> None:
        if not self.part.size:
            raise FetchError("the server sent an empty file", "content")
        if self.sha256 is not None and (digest := self.part.sha256()) != self.sha256:
            self.part.drop("it is another file")
            # What was continued may have begun elsewhere, or before the server's file was changed.
            text = f"what arrived has the SHA-256 {digest} instead of {self.sha256}"
            raise FetchError(text, "content", passing=continued)
