"""From a bundle to ONNX files that have been held against PyTorch before they get their names."""

import dataclasses
import tempfile
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from tandem.checkpoint.bundle import load_bundle, load_prior
from tandem.checkpoint.storage import Storage
from tandem.config.specifications import GeneratorSpec, ImageEncoderSpec
from tandem.errors import BundleError
from tandem.inference.abilities import abilities_of
from tandem.inference.engine import Engine
from tandem.inference.exported import Exported, references, write_all
from tandem.inference.onnx.check import check_file
from tandem.inference.onnx.engine import OnnxEngine, require_no_dropout
from tandem.inference.onnx.model_file import ROLES, Metadata, append_metadata, file_of, shared_manifest, write_graph
from tandem.inference.onnx.networks import network_graph
from tandem.inference.proof import Proof, prove


def export_onnx(model: Path, out: Path, *, storage: Storage = "fp32") -> list[Exported]:
    """Write a bundle as ONNX files, all or none.

    Args:
        model: The bundle's folder, or the run folder around it.
        out: The file of the generator, ``shoes.onnx``; the others are called after it, see
            `tandem.inference.onnx.model_file`.
        storage: How weights are stored.

    Returns:
        The files, that of the generator first.

    Raises:
        BundleError: There is no model, it is damaged, or a file would be another than PyTorch's network.
        ConfigError: It samples with dropout.
        MissingExtraError: ONNX Runtime is not installed.
    """
    manifest, networks = load_bundle(model)
    abilities_of(manifest)
    require_no_dropout(manifest)
    learned = load_prior(model, manifest)
    prior = None if learned is None else learned.prior
    shared = shared_manifest(manifest, storage)
    reference, exact = references(manifest, networks)
    files: list[_File] = []
    for name in ROLES:
        if name in manifest.networks:
            path = out if name == "generator" else file_of(out, name)
            files.append(_File(path, Metadata(shared, name, storage, prior), networks[name], reference, exact))
    return write_all(files)


@dataclass(frozen=True)
class _File:
    path: Path
    metadata: Metadata
    module: nn.Module
    reference: Engine
    exact: Engine

    @property
    def network(self) -> str:
        """See `Unproven`."""
        return self.metadata.network

    def write(self, temporary: Path) -> Proof:
        """Write it under another name, and prove it: its operators with weights in full, then with its own."""
        metadata = self.metadata
        if metadata.storage != "fp32":
            with tempfile.TemporaryDirectory(prefix="tandem-export-") as folder:
                self._write_proven(Path(folder) / temporary.name, "fp32")
        proof = self._write_proven(temporary, metadata.storage)
        append_metadata(temporary, dataclasses.replace(metadata, proof=proof.as_json()))
        read, _ = check_file(temporary)
        if read.texts() != dataclasses.replace(metadata, proof=proof.as_json()).texts():
            raise BundleError(f"{self.path} would not be read back as it was written: this is a fault of Tandem.")
        return proof

    def _write_proven(self, path: Path, storage: Storage) -> Proof:
        metadata, name, spec = self.metadata, self.metadata.network, self.metadata.spec
        assert isinstance(spec, GeneratorSpec | ImageEncoderSpec)
        weights = {key: tensor.numpy() for key, tensor in self.module.state_dict().items()}
        manifest = metadata.manifest
        write_graph(path, network_graph(spec, weights, storage=storage, own_statistics=manifest.samples_with_noise))
        return prove(
            name,
            spec,
            OnnxEngine({name: spec}, {name: path}, storage=storage),
            self.reference,
            self.exact,
            storage=storage,
            size=manifest.preprocessing.size,
            prior=metadata.prior if isinstance(spec, GeneratorSpec) else None,
        )
