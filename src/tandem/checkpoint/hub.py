"""Models on the Hugging Face Hub: pushing and pulling shared bundles, and ``hf://user/name@revision`` as a path.

The library ``huggingface_hub`` (extra ``hub``) does the talking, with its own login, endpoint, proxies and cache. What
comes from there is a stranger's: only the manifest and the files that it names are asked for, all of one commit, and
every byte is checked against the seal before anything is used.
"""

import dataclasses
import logging
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tandem.checkpoint.manifest import (
    MAX_MANIFEST_BYTES,
    MAX_SHARED_BYTES,
    SHARED_MANIFEST_NAME,
    Manifest,
    read_manifest,
    sealed_files,
)
from tandem.checkpoint.seal import seal_anew
from tandem.errors import BundleError, ConfigError, DownloadError, MissingExtraError
from tandem.files import atomic_replace

SCHEME = "hf:"
MAX_WEIGHTS_BYTES = 4 * 2**30
_ADDRESS = re.compile(r"(?:hf:/{1,2})?(?P<repo>[\w.-]{1,96}/[\w.-]{1,96})(?:@(?P<revision>[\w./-]{1,200}))?")

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where a model is on the Hub.

    Attributes:
        repo: ``user/name``.
        revision: A branch, tag or commit; None: the newest of the main branch.
    """

    repo: str
    revision: str | None = None

    @classmethod
    def of(cls, text: str) -> "Address":
        """Read ``user/name``, ``user/name@revision``, either with ``hf://`` in front.

        Raises:
            ConfigError: It is none of them.
        """
        found = _ADDRESS.fullmatch(text)
        if found is None:
            raise ConfigError(f"'{text}' is no model on the Hub: write USER/NAME or USER/NAME@REVISION.")
        return cls(repo=found["repo"], revision=found["revision"])

    def __str__(self) -> str:
        return self.repo + (f"@{self.revision}" if self.revision else "")


def local_model(path: str | Path) -> Path:
    """The folder of a model, which is `path` itself, or where the cache has what an address of the Hub names.

    Raises:
        BundleError: What is there is no model, or was changed.
        DownloadError: It cannot be had.
    """
    text = path if isinstance(path, str) else path.as_posix()
    return fetch(Address.of(text)) if text.startswith(SCHEME) else Path(path)


def fetch(address: Address) -> Path:
    """Bring a model into the library's cache, or find it there when the Hub cannot be reached.

    Returns:
        Its folder in the cache, whose files nobody should change.

    Raises:
        BundleError: What is there is no shared model of Tandem, or a byte of it is another one.
        DownloadError: It cannot be had.
        MissingExtraError: ``huggingface_hub`` is not installed.
    """
    hub = _library()
    with _explained(address):
        manifest = Path(_download(hub, address, SHARED_MANIFEST_NAME, MAX_MANIFEST_BYTES))
        pinned = dataclasses.replace(address, revision=manifest.parent.name)  # the cache names folders by commit
        for name, limit in _files_of(manifest):
            _download(hub, pinned, name, limit)
    try:
        read_manifest(manifest.parent)
    except BundleError as error:
        raise BundleError(
            f"{address} is not what its author shared: {error} (Where the Hub has it right, the copy in the cache is "
            f"damaged: remove {manifest.parents[2]}.)",
            file=manifest,
        ) from error
    return manifest.parent


def pull(address: Address, out: Path) -> Manifest:
    """Copy a model from the Hub into a folder of one's own.

    Raises:
        BundleError: See `fetch`.
        DownloadError: See `fetch`.
    """
    folder = fetch(address)
    manifest, _ = read_manifest(folder)
    assert manifest.seal is not None, "fetch refuses it"
    out.mkdir(parents=True, exist_ok=True)
    for name in [*manifest.seal.files, SHARED_MANIFEST_NAME]:  # the manifest last: then the model is there

        def copy(temporary: Path, source: Path = folder / name) -> None:
            shutil.copyfile(source, temporary)

        atomic_replace(out / name, copy)
    read_manifest(out)
    return manifest


def push(folder: Path, address: Address, *, private: bool) -> str:
    """Send a shared bundle to the Hub, in one commit; the repository is made if there is none.

    Args:
        folder: What ``tandem export --to hub`` has written, sealed anew if its card was edited.
        address: Where to; its revision is a branch.
        private: Whether a repository that is made is private.

    Returns:
        The URL of the commit.

    Raises:
        BundleError: It is no shared bundle, or its weights or manifest were changed.
        DownloadError: The Hub refuses it, or cannot be reached.
        MissingExtraError: ``huggingface_hub`` is not installed.
    """
    hub = _library()
    for name in seal_anew(folder):
        log.info("sealed anew, because it was changed: %s", name)
    manifest, _ = read_manifest(folder)
    assert manifest.seal is not None
    with _explained(address):
        api = hub.HfApi(library_name="tandem-gan")
        api.create_repo(address.repo, private=private or None, exist_ok=True)
        done = api.upload_folder(
            repo_id=address.repo,
            folder_path=folder,
            allow_patterns=[*manifest.seal.files, SHARED_MANIFEST_NAME],
            revision=address.revision,
            commit_message=f"Upload a {manifest.method} model",
        )
    return str(done.commit_url)


def _files_of(manifest: Path) -> Iterator[tuple[str, int]]:
    """The files that a manifest names, each with how large it may be."""
    for name, is_weights in sealed_files(manifest).items():
        yield name, MAX_WEIGHTS_BYTES if is_weights else MAX_SHARED_BYTES


def _download(hub: Any, address: Address, name: str, limit: int) -> str:
    """A file in the cache; nothing larger than `limit` is fetched."""
    asked = {"repo_id": address.repo, "filename": name, "revision": address.revision, "library_name": "tandem-gan"}
    planned = hub.hf_hub_download(**asked, dry_run=True)
    if planned.will_download and planned.file_size > limit:
        raise BundleError(f"{address}: {name} has {planned.file_size:,} bytes; at most {limit:,} are fetched.")
    return hub.hf_hub_download(**asked)


def _library() -> Any:
    try:
        import huggingface_hub  # noqa: PLC0415  (an extra)
        from huggingface_hub.utils import tqdm  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError("huggingface_hub", "hub", "the Hugging Face Hub") from error
    # Its bars begin a thread that only redraws them; where memory is too short for it, they wait for it for ever.
    tqdm.monitor_interval = 0
    return huggingface_hub


@contextmanager
def _explained(address: Address) -> Iterator[None]:
    """Turn what the library raises into our errors, each with what to do."""
    from huggingface_hub import errors  # noqa: PLC0415  (an extra)

    url = f"hf://{address}"
    try:
        yield
    except errors.GatedRepoError as error:
        text = "its author gives it to those who ask: ask on its page, and log in with 'hf auth login'"
        raise DownloadError(f"{address}: {text}.", url=url) from error
    except errors.RepositoryNotFoundError as error:
        text = "there is no such model on the Hub, or it is private: check the name, or log in with 'hf auth login'"
        raise DownloadError(f"{address}: {text}.", url=url) from error
    except errors.RevisionNotFoundError as error:
        raise DownloadError(f"{address}: the model has no revision '{address.revision}'.", url=url) from error
    except errors.LocalEntryNotFoundError as error:
        text = "the Hub cannot be reached, and the cache does not have it: connect once, or give a folder"
        raise DownloadError(f"{address}: {text}.", url=url) from error
    except errors.EntryNotFoundError as error:
        text = "it holds no model of Tandem, or not the whole of one (config.json and the files that it names)"
        raise BundleError(f"{address}: {text}.", file=url) from error
    except (errors.HfHubHTTPError, errors.HFValidationError, errors.OfflineModeIsEnabled, OSError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise DownloadError(f"{address}: the Hub does not do it: {reason[:300]}", url=url) from error
