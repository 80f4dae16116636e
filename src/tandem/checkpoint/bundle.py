"""Model bundles: what inference needs, and nothing that training needs; see `manifest` for the format."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from tandem.checkpoint.manifest import MANIFEST_NAME, Manifest, WeightsFile, read_manifest, sha256_of
from tandem.checkpoint.tensors import read_tensors, write_tensors
from tandem.errors import BundleError
from tandem.files import atomic_write_text, remove_leftovers
from tandem.networks.build import build_network


def save_bundle(folder: Path, manifest: Manifest, networks: Mapping[str, nn.Module]) -> None:
    """Write or renew the bundle in `folder` with the weights of `networks`, named as in the manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder)
    tensors = {
        f"{name}.{key}": value for name, network in networks.items() for key, value in network.state_dict().items()
    }
    unnamed = folder / "weights.safetensors"
    write_tensors(unnamed, tensors, {"method": manifest.method})
    digest = sha256_of(unnamed)
    weights = folder / f"weights-{digest[:16]}.safetensors"
    unnamed.replace(weights)
    manifest = dataclasses.replace(manifest, weights=WeightsFile(file=weights.name, sha256=digest))
    atomic_write_text(folder / MANIFEST_NAME, manifest.to_json())
    for old in folder.glob("weights*.safetensors"):
        if old != weights:
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
    manifest, weights = read_manifest(path)
    try:
        tensors = read_tensors(weights)
    except (ValueError, OSError) as error:
        raise BundleError(f"the weights of {path} cannot be read: {error}.") from error
    networks = {}
    for name, spec in manifest.networks.items():
        try:
            with torch.device("meta"):
                network = build_network(spec)
        except (ValueError, RuntimeError, OverflowError, ZeroDivisionError, TypeError) as error:
            raise BundleError(f"{path}: the specification of {name} describes no network: {error}.") from error
        own = {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}
        expected = {key: value.dtype for key, value in network.state_dict().items()}
        wrong = [
            f"{key} is {own[key].dtype}" for key, dtype in expected.items() if key in own and own[key].dtype != dtype
        ]
        if wrong:
            raise BundleError(f"{path}: the weights do not fit the specification of {name}: {wrong[0]}.")
        try:
            network.load_state_dict(own, assign=True)
        except RuntimeError as error:
            raise BundleError(f"{path}: the weights do not fit the specification of {name}: {error}.") from error
        networks[name] = network.to(device).eval().requires_grad_(False)
    return manifest, networks
