"""Files that are held against PyTorch before they get their names: all those of a model, or none."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from tandem.checkpoint.manifest import Manifest
from tandem.files import atomic_replace, remove_leftovers_of
from tandem.inference.onnx.model_file import ROLES
from tandem.inference.proof import Proof
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


class Unproven(Protocol):
    """A file that is to be written."""

    @property
    def path(self) -> Path:
        """What it is to be called."""
        ...

    @property
    def network(self) -> str:
        """Which network it holds."""
        ...

    def write(self, temporary: Path) -> Proof:
        """Write it under another name, and prove it.

        Raises:
            BundleError: It would be another network than PyTorch's.
        """
        ...


def write_all(files: Sequence[Unproven]) -> list[Exported]:
    """Write files, all or none: each gets its name when those behind it have been written and proven.

    Returns:
        The files in the order of `tandem.inference.onnx.model_file.ROLES`, that of the generator first.

    Raises:
        BundleError: One would be another network than PyTorch's.
    """
    written: list[Exported] = []
    _write_all(files, written.append)
    return sorted(written, key=lambda one: list(ROLES).index(one.network))


def _write_all(files: Sequence[Unproven], told: Callable[[Exported], None]) -> None:
    if not files:
        return
    first, *rest = files

    def write(temporary: Path) -> None:
        proof = first.write(temporary)
        _write_all(rest, told)
        told(Exported(first.path, first.network, proof))

    remove_leftovers_of(first.path)
    atomic_replace(first.path, write)


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


def references(manifest: Manifest, networks: Mapping[str, nn.Module]) -> tuple[Reference, Reference]:
    """The networks of a bundle, put into the state in which they sample, as they are and in float64."""
    for network in networks.values():
        if manifest.samples_with_noise:
            sample_as_in_training(network)
    exact = {name: copy.deepcopy(network).double() for name, network in networks.items()}
    alone = manifest.samples_with_noise
    return Reference(networks, alone=alone), Reference(exact, alone=alone)
