"""Model bundles: what inference needs, and nothing that training needs; see `manifest` for the format."""

import dataclasses
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from tandem.checkpoint.calibration import Calibration
from tandem.checkpoint.manifest import (
    MANIFEST_NAME,
    RENEWALS,
    LearnedPrior,
    Manifest,
    WeightsFile,
    bundle_folder,
    read_manifest,
    sha256_of,
)
from tandem.checkpoint.storage import Storage, in_full, rounded
from tandem.config.specifications import NetworkSpec
from tandem.errors import BundleError, TandemError
from tandem.files import atomic_replace, atomic_write_text, remove_leftovers, remove_leftovers_of
from tandem.foreign import reason_of
from tandem.interrupts import raise_lost
from tandem.networks.build import build_network
from tandem.prior.distributions import MixturePrior
from tandem.tensors import read_tensors, write_tensors

_STORED = {torch.float32, torch.float16, torch.int8, torch.int64}
PRIOR_TENSORS = ("weights", "means", "factors")


@dataclass(frozen=True)
class FittedPrior:
    """A learned prior as bundles and checkpoints hold it.

    Attributes:
        prior: Its numbers.
        images: Training images to whose latents it was fitted.
    """

    prior: MixturePrior
    images: int

    @property
    def entry(self) -> LearnedPrior:
        """What a manifest says of it."""
        family = "gaussian" if self.prior.components == 1 else "mixture"
        return LearnedPrior(family=family, components=self.prior.components, images=self.images)

    def tensors(self, prefix: str) -> dict[str, Tensor]:
        """Its numbers by name: ``PREFIXweights``, ``PREFIXmeans`` and ``PREFIXfactors``."""
        return {f"{prefix}{name}": torch.from_numpy(getattr(self.prior, name)) for name in PRIOR_TENSORS}

    @classmethod
    def of(cls, entry: LearnedPrior, tensors: Mapping[str, Tensor], prefix: str) -> "FittedPrior":
        """The inverse of `entry` and `tensors`, of files that may be hostile.

        Raises:
            ValueError: The tensors are not those of a prior, or not of this one.
        """
        missing = [name for name in PRIOR_TENSORS if f"{prefix}{name}" not in tensors]
        if missing:
            raise ValueError(f"{prefix}{missing[0]} is missing")
        given = {name: tensors[f"{prefix}{name}"] for name in PRIOR_TENSORS}
        wrong = [name for name, tensor in given.items() if tensor.dtype != torch.float32]
        if wrong:
            raise ValueError(f"{wrong[0]} must be float32, not {given[wrong[0]].dtype}")
        found = cls(MixturePrior(**{name: tensor.numpy() for name, tensor in given.items()}), entry.images)
        if found.entry != entry or entry.images < 1:
            raise ValueError(f"the manifest has {entry}, the tensors are those of {found.entry}")
        return found


def save_bundle(
    folder: Path,
    manifest: Manifest,
    networks: Mapping[str, nn.Module],
    *,
    prior: FittedPrior | None = None,
    storage: Storage = "fp32",
) -> None:
    """Write or renew the bundle in `folder` with the weights of `networks`, named as in the manifest.

    A calibration of other weights is left out.

    Args:
        folder: Where.
        manifest: What the model says of itself; its `weights` and `prior` are replaced.
        networks: By name.
        prior: What latents are drawn from; None: N(0, I).
        storage: How the weights are stored.

    Raises:
        ConfigError: They cannot be stored like that.
    """
    folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder)
    tensors = {
        f"{name}.{key}": value for name, network in networks.items() for key, value in network.state_dict().items()
    }
    if storage != "fp32":
        arrays = rounded({name: tensor.cpu().numpy() for name, tensor in tensors.items()}, storage)
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    tensors |= {} if prior is None else prior.tensors("prior.")
    unnamed = folder / "weights.safetensors"
    write_tensors(unnamed, tensors, {"method": manifest.method})
    digest = sha256_of(unnamed)
    weights = folder / f"weights-{digest[:16]}.safetensors"
    unnamed.replace(weights)
    entry = None if prior is None else prior.entry
    written = WeightsFile(file=weights.name, sha256=digest, stored=storage)
    manifest = dataclasses.replace(manifest, prior=entry, weights=written, seal=None)
    if manifest.calibration is not None and manifest.calibration.weights_sha256 != digest:
        manifest = dataclasses.replace(manifest, calibration=None)
    _write_manifest(folder, manifest)


def save_calibration(path: Path, calibration: Calibration, out: Path | None = None) -> Path:
    """Write what a model's calibration has found into its bundle, or into a copy of it.

    A reader, or a crash, sees the bundle without it or with all of it.

    Args:
        path: The bundle's folder, or the run folder around it.
        calibration: Of the weights of this bundle.
        out: The folder of the copy; None for the bundle itself.

    Returns:
        The folder that was written.

    Raises:
        BundleError: There is no bundle, it is damaged, or it has other weights by now.
    """
    manifest, weights = read_manifest(path)
    assert manifest.weights is not None
    if manifest.weights.sha256 != calibration.weights_sha256:
        raise BundleError(
            f"the model at {path} has other weights than those that were calibrated: it was renewed meanwhile, so that "
            "nothing was written. Calibrate it when its training has ended, or a copy of it ('tandem export')."
        )
    manifest = dataclasses.replace(manifest, calibration=calibration)
    sealed = manifest.seal is not None
    manifest = dataclasses.replace(manifest, seal=None)
    if out is None or out.resolve() == weights.parent.resolve():
        if sealed:
            raise BundleError(
                f"the model at {path} is sealed, to be shared: give --out for a copy to be calibrated, and share that."
            )
        remove_leftovers_of(weights.parent / MANIFEST_NAME)
        atomic_write_text(weights.parent / MANIFEST_NAME, manifest.to_json())
        return weights.parent

    def copy(temporary: Path) -> None:
        shutil.copyfile(weights, temporary)

    atomic_replace(out / weights.name, copy)
    _write_manifest(out, manifest)
    return out


def _write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replace the manifest of a bundle; then weights that it does not name are removed."""
    assert manifest.weights is not None
    atomic_write_text(folder / MANIFEST_NAME, manifest.to_json())
    for old in folder.glob("weights*.safetensors"):
        if old.name != manifest.weights.file:
            old.unlink(missing_ok=True)


def load_bundle(path: Path, *, device: str | torch.device = "cpu") -> tuple[Manifest, dict[str, nn.Module]]:
    """Read a bundle.

    Args:
        path: The bundle's folder, or the run folder around it.
        device: Where the networks go.

    Returns:
        The manifest, and the networks by name, in eval mode and without gradients.

    Raises:
        BundleError: There is no bundle, or it is damaged, hostile or of another format.
    """
    manifest, tensors = _read(path)
    networks = {}
    for name, spec in manifest.networks.items():
        own = {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}
        network = network_of(spec, own, f"{path}: the specification of {name}", BundleError)
        networks[name] = network.to(device).eval().requires_grad_(False)
    return manifest, networks


def _read(path: Path) -> tuple[Manifest, dict[str, Tensor]]:
    """The manifest and the weights that it names, of one and the same model."""
    for _ in range(RENEWALS):
        manifest, weights = read_manifest(path)
        try:
            return manifest, read_weights(manifest, weights)
        except FileNotFoundError:
            continue  # renewed meanwhile
        except (ValueError, OSError) as error:
            raise BundleError(f"the weights of {path} cannot be read: {error}.", file=weights) from error
    raise BundleError(f"{path} is renewed again and again while it is read: copy it, or try later.", file=path)


def read_weights(manifest: Manifest, weights: Path) -> dict[str, Tensor]:
    """The tensors of a bundle's file of weights, in full.

    Raises:
        ValueError: The file is damaged.
        OSError: It cannot be read.
    """
    tensors = read_tensors(weights)
    if manifest.weights is None or manifest.weights.stored == "fp32":
        return tensors
    if other := next((str(one.dtype) for one in tensors.values() if one.dtype not in _STORED), None):
        raise ValueError(f"it holds {other}")
    arrays = in_full({name: tensor.numpy() for name, tensor in tensors.items()})
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def network_of(
    spec: NetworkSpec, weights: Mapping[str, Tensor], what: str, make: Callable[[str], TandemError]
) -> nn.Module:
    """Build a network of a specification and weights that may be hostile.

    Nothing is allocated: the network takes over the weights, whatever sizes the specification claims.

    Args:
        spec: What it is.
        weights: By the names of its parameters and buffers.
        what: The specification, as the beginning of a message.
        make: Makes the error.

    Raises:
        TandemError: There is no such network, or the weights are not its own, or not finite.
    """
    try:
        with torch.device("meta"):
            network = build_network(spec)
    except MemoryError:
        raise
    except Exception as error:
        raise_lost(error)
        raise make(f"{what} describes no network: {reason_of(error)}.") from error
    for key, value in network.state_dict().items():
        given = weights.get(key)
        if given is not None and given.dtype != value.dtype:
            raise make(f"{what} does not fit the weights: {key} is {given.dtype}.")
        if given is not None and given.is_floating_point() and not given.isfinite().all():
            raise make(f"{what}: the weights {key} hold values that are not finite: nothing comes of it.")
    try:
        network.load_state_dict(weights, assign=True)
    except RuntimeError as error:
        raise make(f"{what} does not fit the weights: {error}.") from error
    return network


def load_prior(path: Path, manifest: Manifest) -> FittedPrior | None:
    """Read the learned prior of a bundle whose manifest, and so the hash of its weights, has been read.

    Args:
        path: The bundle's folder, or the run folder around it.
        manifest: Its manifest.

    Returns:
        None where latents are drawn from N(0, I).

    Raises:
        BundleError: It is damaged or hostile, or the bundle has been renewed meanwhile.
    """
    if manifest.prior is None:
        return None
    assert manifest.weights is not None, "read_manifest refuses it"
    try:
        # The file's name carries its hash: where it is there it is the one that has been checked.
        tensors = read_tensors(bundle_folder(path) / manifest.weights.file, ("prior.",))
        return FittedPrior.of(manifest.prior, tensors, "prior.")
    except (ValueError, OSError) as error:
        raise BundleError(f"the prior of {path} cannot be read: {error}.") from error
