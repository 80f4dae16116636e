"""Putting a dataset into its folder: fetch, check, unpack, count, and only then give it its name.

Everything happens in a hidden folder beside the target, `.NAME.download`, which a second process cannot enter and which
goes when the dataset is there. So the target holds all of the dataset or does not exist, and whatever was interrupted
is continued from there by the same call.
"""

import hashlib
import logging
import os
import shlex
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from tandem.config.options import Options, option
from tandem.data.download.advice import by_hand, not_handed_out
from tandem.data.download.archive import ArchiveLimits, archive_format
from tandem.data.download.catalogue import RemoteDataset
from tandem.data.download.present import Installed, installed, write_marker
from tandem.data.download.unpack import count_images, unpack
from tandem.errors import ConfigError, DataError, DownloadError
from tandem.fetch.errors import FetchError
from tandem.fetch.part import require_space
from tandem.fetch.policy import FetchPolicy
from tandem.fetch.transfer import fetch_file
from tandem.fetch.web import clean_url
from tandem.files import missing_folders, remove_empty
from tandem.locks import lock_handle
from tandem.names import file_stem

_log = logging.getLogger(__name__)

DATASET_POLICY = FetchPolicy(max_bytes=32 << 30, refuse_pages=True)
ARCHIVE_ENDINGS = (".tar.gz", ".tgz", ".zip")
_CHUNK = 1 << 20
_WORK_BYTES = len("..download")

Stage = Literal["downloading", "checking", "unpacking"]
Progress = Callable[[Stage, int, int | None], None]


@dataclass(frozen=True, kw_only=True)
class DatasetSource(Options):
    """Where an archive comes from if not from its authors, and what is done with it."""

    mirror: str | None = option(
        None, "URL of the folder that holds the archive under its usual name, or of the archive itself", metavar="URL"
    )
    archive: Path | None = option(None, "an archive on the disk, instead of a download", metavar="FILE")
    keep_archive: bool = option(False, "leave the archive beside the dataset", one_way=True)
    unchecked: bool = option(
        False,
        "install it even if size, SHA-256 or numbers of images are not those that are known",
        one_way=True,
    )

    def problems(self) -> Iterator[str]:
        """Say what does not fit together."""
        if self.mirror is not None and self.archive is not None:
            yield "--mirror and --archive exclude each other: one is a download, the other a file"
        if self.archive is not None and self.keep_archive:
            yield "--keep-archive has no effect with --archive, which is never removed"


def install(
    entry: RemoteDataset,
    out: Path,
    source: DatasetSource,
    *,
    policy: FetchPolicy = DATASET_POLICY,
    limits: ArchiveLimits | None = None,
    on_progress: Progress = lambda _stage, _done, _total: None,
) -> Installed:
    """Download a dataset and put it into `out`; see the module.

    Args:
        entry: Of the catalogue.
        out: The folder, for which `installed` gave None.
        source: Where the archive comes from.
        policy: Limits, tries and rules of the download.
        limits: Of the archive.
        on_progress: Called with what is being done, how much of it, and how much there is if that is known.

    Raises:
        ConfigError: A URL that is none, or a folder or file in the way.
        DownloadError: The archive cannot be had; the message says what to do by hand.
        DataError: The archive is damaged, hostile, or not the one of the catalogue. Nothing is installed.
    """
    if source.archive is not None and not source.archive.is_file():
        raise ConfigError(f"--archive {source.archive} is no file.")
    kept = out.parent / entry.archive_name
    if source.keep_archive and kept.exists():
        raise ConfigError(f"--keep-archive would overwrite {kept}: move it away, or install from it with --archive.")
    url = None if source.archive is not None else _address(entry, source.mirror)
    with _work_folder(out) as work:
        if (present := installed(entry, out)) is not None:  # another process was faster
            return present
        job = _Job(entry, out, work, source, policy, limits or ArchiveLimits(), on_progress)
        archive = job.fetch(url) if url is not None else source.archive
        assert archive is not None
        images = work / "images"
        try:
            done = job.unpack(archive, images)
        except BaseException as error:
            shutil.rmtree(images, ignore_errors=True)
            if isinstance(error, DataError | _OtherArchiveError):
                raise DataError(job.refuse(archive, error)) from error
            raise
        done = replace(done, source=url or archive.name)
        write_marker(images, done)
        os.sync()
        images.replace(out.resolve())  # over an empty folder, or over none
        if source.keep_archive:
            archive.replace(kept)
        shutil.rmtree(work)
    return done


class _OtherArchiveError(Exception):
    """An archive that is whole but not the one of the catalogue."""


@dataclass(frozen=True)
class _Job:
    """The steps of one installation."""

    entry: RemoteDataset
    out: Path
    work: Path
    source: DatasetSource
    policy: FetchPolicy
    limits: ArchiveLimits
    on_progress: Progress

    def fetch(self, url: str) -> Path:
        """Download the archive into the work folder, unless an earlier call has."""
        archive = self.work / self.entry.archive_name
        if archive.exists():
            _log.info("the archive has been downloaded before")
            return archive
        arrived = sum(path.stat().st_size for path in self.work.glob("*.part"))
        if self.entry.about_bytes:  # the archive, and as much again for its images
            self._require_space(2 * self.entry.about_bytes - arrived)
        _log.info("from %s", url)
        try:
            return fetch_file(
                url,
                archive,
                self.policy,
                num_bytes=None if self.source.unchecked else self.entry.exact_bytes,
                on_progress=lambda done, total: self.on_progress("downloading", done, total),
            )
        except FetchError as error:
            if error.reason == "space":
                raise _no_space(error) from error
            raise DownloadError(by_hand(self.entry, url, self.out, error)) from error

    def unpack(self, archive: Path, folder: Path) -> Installed:
        """Check the archive, unpack it into `folder` and count the images."""
        archive_format(archive)
        sha256, known = _sha256(archive, self.on_progress), self.entry.sha256
        _log.info("SHA-256 %s%s", sha256, "" if known else " (there is no known one to compare it with)")
        self._demand(
            known in {None, sha256}, f"the SHA-256 of {archive.name} is {sha256}, and that of the catalogue {known}"
        )
        shutil.rmtree(folder, ignore_errors=True)  # of a call that was killed
        self._require_space(archive.stat().st_size)

        def on_image(count: int) -> None:
            self.on_progress("unpacking", count, self.entry.num_images)

        on_image(0)
        unpacked = unpack(archive, folder, self.entry.kind, limits=self.limits, on_image=on_image)
        counts = count_images(folder)
        if not counts:
            raise DataError(f"{archive.name} holds no {self.entry.kind} images.")
        wrong = [
            f"{name}: {counts.get(name, 0):,} images instead of {'some' if number is None else f'{number:,}'}"
            for name, number in self.entry.folders.items()
            if (name not in counts if number is None else counts.get(name, 0) != number)
        ]
        self._demand(not wrong, f"{archive.name} does not hold what the catalogue says: {'; '.join(wrong)}")
        return Installed(self.entry.key, archive.name, sha256, counts, unpacked.num_left_out)

    def refuse(self, archive: Path, error: Exception) -> str:
        """The message for an archive that is not installed; a download goes, or aside if it could be wanted."""
        text = f"{self.entry.key} is not installed: {error}"
        could_be_wanted = isinstance(error, _OtherArchiveError)
        if self.source.archive is not None:
            return text + (" --unchecked installs it as it is." if could_be_wanted else "")
        if not could_be_wanted:
            archive.unlink()
            return f"{text} The archive was removed; the same command downloads it anew."
        aside = self.out.parent / f"{self.entry.archive_name}.refused"
        archive.replace(aside)
        return (
            f"{text} The archive was put aside; the same command downloads it anew. To install it as it is: "
            f"tandem data download {self.entry.key} --out {shlex.quote(str(self.out))} "
            f"--archive {shlex.quote(str(aside))} --unchecked"
        )

    def _require_space(self, needed: int) -> None:
        try:
            require_space(self.work, needed, self.policy.space_limit)
        except FetchError as error:
            raise _no_space(error) from error

    def _demand(self, holds: bool, problem: str) -> None:
        if not holds and not self.source.unchecked:
            raise _OtherArchiveError(f"{problem}.")
        if not holds:
            _log.warning("%s (--unchecked: installed all the same)", problem)


def _no_space(error: FetchError) -> DownloadError:
    return DownloadError(
        f"{error}: make room, or give --out on another disk. What has arrived is kept, and the same command continues."
    )


def _address(entry: RemoteDataset, mirror: str | None) -> str:
    if mirror is None and entry.withheld:
        raise DownloadError(not_handed_out(entry))
    if mirror is None:
        return entry.url
    url = clean_url(mirror)
    path, _, query = url.partition("?")
    if path.lower().endswith(ARCHIVE_ENDINGS):
        return url
    if query:
        raise ConfigError(f"--mirror {mirror:.200}: the path before the '?' must end in {', '.join(ARCHIVE_ENDINGS)}.")
    return f"{path.rstrip('/')}/{entry.archive_name}"


@contextmanager
def _work_folder(out: Path) -> Iterator[Path]:
    """The hidden folder beside `out`, for this process alone; it goes at the end if nothing is in it.

    Raises:
        DownloadError: Another process has it.
    """
    target = out.resolve()
    work = target.parent / f".{file_stem(target.name, room=_WORK_BYTES)}.download"
    made = missing_folders(work.parent)
    work.mkdir(parents=True, exist_ok=True)
    handle = os.open(work, os.O_RDONLY)
    try:
        if not _lock(handle, work):  # not even an empty folder of another process may be removed
            raise DownloadError(f"another process is downloading to {out}: wait for it, or stop it.")
        try:
            yield work
        finally:
            remove_empty([work, *made])
    finally:
        os.close(handle)


def _lock(handle: int, work: Path) -> bool:
    """Lock the folder for this process; False if another has it, or has just done with it and removed it."""
    try:
        return lock_handle(handle) and os.path.samestat(work.stat(), os.fstat(handle))
    except OSError:
        return False


def _sha256(path: Path, on_progress: Progress) -> str:
    digest, total, done = hashlib.sha256(), path.stat().st_size, 0
    on_progress("checking", 0, total)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            done += len(chunk)
            on_progress("checking", done, total)
    return digest.hexdigest()
