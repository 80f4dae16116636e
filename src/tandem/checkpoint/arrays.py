"""A bundle's numbers as NumPy arrays: what runs a model without PyTorch reads it here."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tandem.checkpoint.manifest import LearnedPrior, Manifest, read_manifest
from tandem.checkpoint.storage import in_full
from tandem.errors import BundleError
from tandem.prior.distributions import MixturePrior
from tandem.tensors import read_arrays

PRIOR_ARRAYS = ("weights", "means", "factors")


def load_arrays(path: Path) -> tuple[Manifest, dict[str, np.ndarray]]:
    """Read a bundle.

    Args:
        path: The bundle's folder, or the run folder around it.

    Returns:
        The manifest and the arrays of all networks and of the learned prior, ``NETWORK.WEIGHT`` and ``prior.…``.

    Raises:
        BundleError: There is no bundle, or it is damaged, hostile or of another format.
    """
    manifest, weights = read_manifest(path)
    assert manifest.weights is not None, "read_manifest refuses it"
    try:
        arrays = read_arrays(weights)
        return manifest, arrays if manifest.weights.stored == "fp32" else in_full(arrays)
    except (ValueError, OSError) as error:
        raise BundleError(f"the weights of {path} cannot be read: {error}.") from error


def arrays_below(arrays: Mapping[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    """Those whose names begin with ``NAME.``, without that."""
    return {key.removeprefix(f"{name}."): array for key, array in arrays.items() if key.startswith(f"{name}.")}


def prior_of(entry: LearnedPrior | None, arrays: Mapping[str, np.ndarray], origin: str) -> MixturePrior | None:
    """The learned prior that a manifest names.

    Args:
        entry: What the manifest says of it.
        arrays: ``weights``, ``means`` and ``factors``.
        origin: Where they are from, for messages.

    Raises:
        BundleError: The arrays are not those of a prior, or not of this one.
    """
    if entry is None:
        return None
    missing = [name for name in PRIOR_ARRAYS if name not in arrays]
    if missing:
        raise BundleError(f"the prior of {origin} cannot be read: {missing[0]} is missing.")
    try:
        prior = MixturePrior(**{name: arrays[name] for name in PRIOR_ARRAYS})
    except ValueError as error:
        raise BundleError(f"the prior of {origin} cannot be read: {error}.") from error
    if prior.components != entry.components or (entry.family == "gaussian") != (prior.components == 1):
        raise BundleError(f"the prior of {origin} has {prior.components} components, its manifest says {entry}.")
    return prior
