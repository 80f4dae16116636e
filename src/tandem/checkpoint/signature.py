"""Signatures of shared bundles: who made a model, where a seal alone shows that nothing has changed.

The library ``model-signing`` (extra ``sign``, OpenSSF) signs every file of a folder with a plain key; the signature is
a file of its own beside the folder, because one inside would be part of what is signed.
"""

from pathlib import Path

from tandem.checkpoint.manifest import read_manifest
from tandem.errors import BundleError, ConfigError, MissingExtraError
from tandem.files import atomic_replace, remove_leftovers_of

MAX_SIGNATURE_BYTES = 2**20


def signature_of(folder: Path) -> Path:
    """Where the signature of a folder is by default: ``NAME.sig`` beside it."""
    whole = folder.resolve()
    return whole.with_name(f"{whole.name}.sig")


def sign(folder: Path, key: Path, signature: Path) -> None:
    """Sign a shared bundle.

    Args:
        folder: The bundle, whose seal is checked first.
        key: Private key of an elliptic curve (P-256, P-384 or P-521), as PEM, without a password.
        signature: The file that is written.

    Raises:
        BundleError: It is no shared bundle, or was changed.
        ConfigError: There is no such key, or the signature would lie inside the folder.
        MissingExtraError: ``model-signing`` is not installed.
    """
    _require_shared(folder)
    if signature.resolve().is_relative_to(folder.resolve()):
        raise ConfigError(f"{signature} lies in the folder that it signs: give a place outside.", option="--signature")
    _require_key(key)
    signing, _ = _library()
    try:
        signer = signing.Config().use_elliptic_key_signer(private_key=key)
        remove_leftovers_of(signature)
        atomic_replace(signature, lambda temporary: signer.sign(folder, temporary))
    except (ValueError, TypeError) as error:
        raise ConfigError(f"--key {key} does not sign: {_short(error)}. It must be {_PRIVATE}.") from error


def verify(folder: Path, key: Path, signature: Path) -> None:
    """Check that a shared bundle is the one that the owner of a key has signed, to the last file.

    Args:
        folder: The bundle.
        key: The owner's public key, as PEM.
        signature: The signature.

    Raises:
        BundleError: It is another one, or signed by another key.
        ConfigError: There is no such key or signature.
        MissingExtraError: ``model-signing`` is not installed.
    """
    _require_key(key)
    if not signature.is_file() or signature.stat().st_size > MAX_SIGNATURE_BYTES:
        raise ConfigError(f"--signature {signature} is no signature: give the file that was written with the model.")
    _, verifying = _library()
    try:
        verifying.Config().use_elliptic_key_verifier(public_key=key).verify(folder, signature)
    except (ValueError, TypeError, KeyError, OSError) as error:
        raise BundleError(
            f"{folder} is not what the owner of {key} has signed: {_short(error)}. Do not use it, or get it again.",
            file=folder,
        ) from error
    _require_shared(folder)


_PRIVATE = "a private key of an elliptic curve, as 'openssl ecparam -name prime256v1 -genkey -noout' makes one"


def _require_shared(folder: Path) -> None:
    manifest, _ = read_manifest(folder)
    if manifest.seal is None:
        raise BundleError(f"{folder} is no model that is made to be shared: 'tandem export --to hub' makes one of it.")


def _require_key(key: Path) -> None:
    if not key.is_file():
        raise ConfigError(f"--key {key}: there is no such file.", option="--key")


def _library() -> tuple:
    try:
        from model_signing import signing, verifying  # noqa: PLC0415  (an extra)
    except ImportError as error:
        raise MissingExtraError("model-signing", "sign", "signing models") from error
    return signing, verifying


def _short(error: Exception) -> str:
    text = str(error).strip().partition("\n")[0]
    return text.partition(": Expected")[0][:200].rstrip(". ") or type(error).__name__
