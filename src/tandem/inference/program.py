"""From a bundle to programs of torch.export: networks that PyTorch runs without Tandem.

A program (``.pt2``) holds the operators of a network and its weights; ``torch.export.load(path).module()`` is the
network. There is a file for each network, named as ONNX files are, and it takes and gives what that does, in the order
of `tandem.inference.onnx.networks.inputs_of`. The number of images, their height and their width are free; a size that
the network does not take is refused. Models that sample with dropout draw it from PyTorch's generator, as they do here,
and like those with the statistics of an image they take one image at a time.

Programs carry the lines of source that made them; these are removed. Beside the program a file holds the same texts as
ONNX files do, as ``extra/tandem.json``.
"""

import dataclasses
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.fx.experimental._config as symbolic_shapes
from torch import Tensor, nn

from tandem.checkpoint.bundle import load_bundle, load_prior
from tandem.config.specifications import GeneratorSpec, ImageEncoderSpec, NetworkSpec, PairEncoderSpec
from tandem.inference.abilities import abilities_of
from tandem.inference.exported import Exported, Reference, references, write_all
from tandem.inference.onnx.model_file import ROLES, Metadata, file_of, shared_manifest
from tandem.inference.onnx.networks import inputs_of
from tandem.inference.proof import Proof, prove

TEXTS = "tandem.json"
"""The name of the texts among the extra files of a program."""
_OF_SOURCE = ("stack_trace", "custom")
"""What nodes say of the code that made them, with paths."""
_MADE = (1980, 1, 1, 0, 0, 0)


def export_programs(model: Path, out: Path) -> list[Exported]:
    """Write a bundle as programs of torch.export, all or none.

    Args:
        model: The bundle's folder, or the run folder around it.
        out: The file of the generator, ``shoes.pt2``; the others are called after it, as ONNX files are.

    Returns:
        The files, that of the generator first.

    Raises:
        BundleError: There is no model, it is damaged, or a file would be another than PyTorch's network.
    """
    manifest, networks = load_bundle(model)
    has_noise = abilities_of(manifest).has_dropout_noise
    learned = load_prior(model, manifest)
    prior = None if learned is None else learned.prior
    shared = shared_manifest(manifest, "fp32")
    reference, exact = references(manifest, networks)
    files: list[_File] = []
    for name in ROLES:
        if name in manifest.networks:
            path = out if name == "generator" else file_of(out, name)
            metadata = Metadata(shared, name, "fp32", prior)
            files.append(_File(path, metadata, networks[name], reference, exact, has_noise=has_noise))
    return write_all(files)


@dataclass(frozen=True)
class _File:
    path: Path
    metadata: Metadata
    module: nn.Module
    reference: Reference
    exact: Reference
    has_noise: bool

    @property
    def network(self) -> str:
        """See `Unproven`."""
        return self.metadata.network

    def write(self, temporary: Path) -> Proof:
        """See `Unproven`."""
        metadata, name, spec = self.metadata, self.network, self.metadata.spec
        assert isinstance(spec, GeneratorSpec | ImageEncoderSpec)
        manifest = metadata.manifest
        with temporary.open("wb") as file:
            torch.export.save(_program(self.module, spec, one_by_one=manifest.samples_with_noise), file)
        with temporary.open("rb") as file:
            program = torch.export.load(file).module()
        proof = prove(
            name,
            spec,
            _Programs(name, program, spec, alone=manifest.samples_with_noise),
            self.reference,
            self.exact,
            storage="fp32",
            size=manifest.preprocessing.size,
            prior=metadata.prior if isinstance(spec, GeneratorSpec) else None,
            has_noise=self.has_noise and isinstance(spec, GeneratorSpec),
        )
        _append_texts(temporary, dataclasses.replace(metadata, proof=proof.as_json()).texts())
        return proof


def _program(
    module: nn.Module, spec: GeneratorSpec | ImageEncoderSpec, *, one_by_one: bool
) -> torch.export.ExportedProgram:
    """The program of a network, without a trace of the source."""
    free_sides = {"H", "W"} if one_by_one else {"N", "H", "W"}
    length = max(spec.smallest_side, 2 * spec.size_multiple)
    sizes = {"N": 1 if one_by_one else 2, "H": length, "W": length}
    inputs, free = [], []
    for shape in inputs_of(spec).values():
        inputs.append(torch.zeros([sizes[side] if isinstance(side, str) else side for side in shape]))
        free.append({axis: torch.export.Dim.DYNAMIC for axis, side in enumerate(shape) if side in free_sides})
    # Sizes are not taken for 1 or another number of the example: else the program would exclude that.
    sizes_are_free = symbolic_shapes.patch(backed_size_oblivious=True)  # pyright: ignore[reportAttributeAccessIssue]
    with sizes_are_free, torch.no_grad():
        program = torch.export.export(module, tuple(inputs), dynamic_shapes=tuple(free), strict=False)
    for node in program.graph.nodes:
        for key in _OF_SOURCE:
            node.meta.pop(key, None)
    return program


def _append_texts(path: Path, texts: Mapping[str, str]) -> None:
    """Put texts beside a program, where `torch.export.load` finds extra files."""
    with zipfile.ZipFile(path, "a") as archive:
        root = archive.namelist()[0].partition("/")[0]
        info = zipfile.ZipInfo(f"{root}/extra/{TEXTS}", _MADE)
        archive.writestr(info, json.dumps(texts, sort_keys=True))


class _Generator(nn.Module):
    """A program as a generator is called: with a latent of no numbers where there is none."""

    def __init__(self, program: nn.Module) -> None:
        super().__init__()
        self.program = program

    def forward(self, a: Tensor, z: Tensor) -> Tensor:
        return self.program(a, z) if z.shape[1] else self.program(a)


class _Programs(Reference):
    """One program as an engine."""

    def __init__(self, name: str, program: nn.Module, spec: NetworkSpec, *, alone: bool) -> None:
        is_encoder = isinstance(spec, ImageEncoderSpec)
        super().__init__({name: program if is_encoder else _Generator(program)}, alone=alone)
        self._sees_input = isinstance(spec, PairEncoderSpec) and spec.input_channels

    def encode(self, b: np.ndarray, a: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """See `Engine`."""
        given = [b]
        if self._sees_input:
            n, _, height, width = b.shape
            empty = np.zeros((n, self._sees_input, height, width), np.float32)
            given += [empty if a is None else a, np.full(n, 0 if a is None else 1, np.float32)]
        with torch.inference_mode():
            mu, logvar = self._networks["encoder"](*map(self._to_device, given))
            return mu.numpy(), logvar.numpy()
