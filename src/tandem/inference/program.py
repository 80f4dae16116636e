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
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
import torch.fx.experimental._config as symbolic_shapes
from torch import Tensor, nn

from tandem.checkpoint.bundle import load_bundle
from tandem.config.specifications import GeneratorSpec, ImageEncoderSpec, NetworkSpec, PairEncoderSpec
from tandem.inference.abilities import abilities_of
from tandem.inference.exported import Exported, Part, Reference, parts_of, write_all
from tandem.inference.onnx.networks import inputs_of
from tandem.inference.proof import Proof

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

    def write(part: Part, temporary: Path) -> Proof:
        alone = manifest.samples_with_noise
        buffer = io.BytesIO()  # PyTorch's writer may end the process where the disk is full
        torch.export.save(_program(part.module, part.spec, one_by_one=alone), buffer)
        buffer.seek(0)
        program = torch.export.load(buffer).module()
        engine = _Programs(part.metadata.network, program, part.spec, alone=alone)
        proof = part.prove(engine, "fp32", has_noise=has_noise)
        _append_texts(buffer, dataclasses.replace(part.metadata, proof=proof.as_json()).texts())
        temporary.write_bytes(buffer.getbuffer())
        return proof

    return write_all(parts_of(model, out, manifest, networks), write)


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


def _append_texts(file: io.BytesIO, texts: Mapping[str, str]) -> None:
    """Put texts beside a program, where `torch.export.load` finds extra files."""
    with zipfile.ZipFile(file, "a") as archive:
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
