"""Bundles to be shared: a folder under the names that the Hugging Face Hub knows, sealed to the last byte.

``config.json`` is the manifest (the Hub counts requests of it as downloads), ``model.safetensors`` the weights,
``README.md`` the model card; pictures and a licence may lie beside them. The manifest carries a seal: the SHA-256 of
every other file, and one of itself. It shows damage and changes; who made the model it does not show.
"""

import dataclasses
import shutil
from collections.abc import Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from tandem.checkpoint.manifest import (
    SHARED_MANIFEST_NAME,
    SHARED_NAME,
    SHARED_WEIGHTS_NAME,
    Manifest,
    Seal,
    hash_of_sealed,
    read_manifest,
    sha256_of,
)
from tandem.errors import BundleError
from tandem.files import atomic_replace, atomic_write_bytes, atomic_write_text, remove_leftovers

CARD_NAME = "README.md"
_ZEROS = "0" * 64


def write_shared(folder: Path, manifest: Manifest, weights: Path, files: Mapping[str, bytes]) -> Manifest:
    """Write a bundle to be shared; paths of this machine are left out of its manifest.

    Args:
        folder: Where; what it holds of these names is replaced, the manifest last.
        manifest: Of the model.
        weights: Its file of weights.
        files: What lies beside them, by name.

    Returns:
        The manifest as it was written.
    """
    assert manifest.weights is not None
    folder.mkdir(parents=True, exist_ok=True)

    def copy(temporary: Path) -> None:
        shutil.copyfile(weights, temporary)

    atomic_replace(folder / SHARED_WEIGHTS_NAME, copy)
    for name, content in files.items():
        atomic_write_bytes(folder / name, content)
    shared = dataclasses.replace(
        manifest,
        training=_without_paths(manifest.training),
        weights=dataclasses.replace(manifest.weights, file=SHARED_WEIGHTS_NAME),
    )
    return _seal(folder, shared, [SHARED_WEIGHTS_NAME, *files])


def seal_anew(folder: Path) -> list[str]:
    """Seal a shared bundle whose card, licence or pictures have been changed, added or removed.

    Returns:
        The names of the files whose bytes are others than before.

    Raises:
        BundleError: It is no shared bundle, or its manifest or weights have changed.
    """
    remove_leftovers(folder)
    manifest, weights = read_manifest(folder, trust_files=True)
    if manifest.seal is None:
        raise BundleError(
            f"{folder} is no model that can be shared as it is: make one of it, 'tandem export --to hub'."
        )
    names = sorted(path.name for path in folder.iterdir() if path.is_file() and SHARED_NAME.fullmatch(path.name))
    names = [name for name in names if name != SHARED_MANIFEST_NAME]
    if CARD_NAME not in names:
        raise BundleError(f"{folder} has lost its {CARD_NAME}, the card that says what the model is: put it back.")
    before = manifest.seal.files
    sealed = _seal(folder, manifest, [weights.name, *(name for name in names if name != weights.name)])
    assert sealed.seal is not None
    after = sealed.seal.files
    return [name for name in sorted(before.keys() | after.keys()) if before.get(name) != after.get(name)]


def _seal(folder: Path, manifest: Manifest, names: list[str]) -> Manifest:
    unsealed = Seal(files={name: sha256_of(folder / name) for name in names}, sha256=_ZEROS)
    text = dataclasses.replace(manifest, seal=unsealed).to_json()
    digest = hash_of_sealed(text, unsealed)
    sealed = dataclasses.replace(manifest, seal=dataclasses.replace(unsealed, sha256=digest))
    atomic_write_text(folder / SHARED_MANIFEST_NAME, sealed.to_json())
    return sealed


def _without_paths(value: Any) -> Any:
    """The same with every absolute path replaced by its last part."""
    if isinstance(value, Mapping):
        return {key: _without_paths(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_without_paths(one) for one in value]
    if isinstance(value, str) and (PurePosixPath(value).is_absolute() or PureWindowsPath(value).is_absolute()):
        return PureWindowsPath(value).name
    return value
