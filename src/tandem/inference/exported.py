"""Files that are held against PyTorch before they get their names: all those of a model, or none."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from tandem.checkpoint.bundle import load_prior
from tandem.checkpoint.manifest import Manifest
from tandem.checkpoint.storage import Storage
from tandem.config.specifications import GeneratorSpec, ImageEncoderSpec
from tandem.files import atomic_replace, remove_leftovers_of
from tandem.inference.engine import Engine
from tandem.inference.onnx.model_file import ROLES, Metadata, file_of, shared_manifest
from tandem.inference.proof import Proof, prove
from tandem.inference.torch_engine import TorchEngine
from tandem.networks.layers import sample_as_in_training


@dataclass(frozen=True)
class Exported:
    """A file that was written.

    Attributes:
        path: Where.
        network: Which network it holds.
        proof: How far it is from PyTorch.
    """

    path: Path
    network: str
    proof: Proof


@dataclass(frozen=True)
class Part:
    """A network of a bundle that is to become a file.

    Attributes:
        path: What the file is to be called.
        metadata: What it says of itself; the proof is not in it yet.
        module: The network, in the state in which it samples.
        reference: All networks of the bundle, as they are.
        exact: The same in float64.
    """

    path: Path
    metadata: Metadata
    module: nn.Module
    reference: "Reference"
    exact: "Reference"

    @property
    def spec(self) -> GeneratorSpec | ImageEncoderSpec:
        """The network in words."""
        spec = self.metadata.spec
        assert isinstance(spec, GeneratorSpec | ImageEncoderSpec)
        return spec

    def prove(self, engine: Engine, storage: Storage, *, has_noise: bool = False) -> Proof:
        """Hold what was written against PyTorch; see `tandem.inference.proof.prove`."""
        is_generator = isinstance(self.spec, GeneratorSpec)
        return prove(
            self.metadata.network,
            self.spec,
            engine,
            self.reference,
            self.exact,
            storage=storage,
            size=self.metadata.manifest.preprocessing.size,
            prior=self.metadata.prior if is_generator else None,
            has_noise=has_noise and is_generator,
        )


def parts_of(
    model: Path, out: Path, manifest: Manifest, networks: Mapping[str, nn.Module], *, storage: Storage = "fp32"
) -> list[Part]:
    """The files that a bundle becomes, that of the generator first.

    Args:
        model: The bundle's folder, or the run folder around it.
        out: The file of the generator; the others are called after it.
        manifest: As `tandem.checkpoint.bundle.load_bundle` gives it, like `networks`, which are put into the state in
            which they sample.
        networks: By name.
        storage: How weights are stored.

    Raises:
        BundleError: Its prior is damaged.
    """
    learned = load_prior(model, manifest)
    prior = None if learned is None else learned.prior
    shared = shared_manifest(manifest, storage)
    reference, exact = _references(manifest, networks)
    return [
        Part(
            out if name == "generator" else file_of(out, name),
            Metadata(shared, name, storage, prior),
            networks[name],
            reference,
            exact,
        )
        for name in ROLES
        if name in manifest.networks
    ]


def write_all(parts: Sequence[Part], write: Callable[[Part, Path], Proof]) -> list[Exported]:
    """Write files, all or none: each gets its name when those behind it have been written and proven.

    Args:
        parts: The files.
        write: Writes one under another name, and proves it.

    Returns:
        The files in the order of `parts`.

    Raises:
        BundleError: One would be another network than PyTorch's.
    """
    if not parts:
        return []
    first, *rest = parts
    written: list[Exported] = []

    def write_first(temporary: Path) -> None:
        proof = write(first, temporary)
        written.extend([Exported(first.path, first.metadata.network, proof), *write_all(rest, write)])

    remove_leftovers_of(first.path)
    atomic_replace(first.path, write_first)
    return written


class Reference(TorchEngine):
    """PyTorch's networks as modules, in the precision of their weights, on the CPU.

    Args:
        networks: By name, in the state in which they run.
        alone: Whether each image runs alone, as models with the statistics of an image sample.
    """

    def __init__(self, networks: Mapping[str, nn.Module], *, alone: bool) -> None:
        super().__init__(networks, torch.device("cpu"), noise=False)
        self._alone = alone
        self._weights = next(parameter.dtype for network in networks.values() for parameter in network.parameters())

    def _to_device(self, array: np.ndarray) -> Tensor:
        return super()._to_device(array).to(self._weights)

    def generate(self, generator: str, a: np.ndarray, z: np.ndarray, seed: int | None) -> np.ndarray:
        """See `Engine`."""
        size = 1 if self._alone else len(a)
        parts = [slice(start, start + size) for start in range(0, len(a), size)]
        return np.concatenate([super(Reference, self).generate(generator, a[part], z[part], seed) for part in parts])


def _references(manifest: Manifest, networks: Mapping[str, nn.Module]) -> tuple[Reference, Reference]:
    """The networks of a bundle, put into the state in which they sample, as they are and in float64."""
    for network in networks.values():
        if manifest.samples_with_noise:
            sample_as_in_training(network)
    exact = {name: copy.deepcopy(network).double() for name, network in networks.items()}
    alone = manifest.samples_with_noise
    return Reference(networks, alone=alone), Reference(exact, alone=alone)
