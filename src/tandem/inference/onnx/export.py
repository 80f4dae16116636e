"""From a bundle to ONNX files that have been held against PyTorch before they get their names."""

import dataclasses
from pathlib import Path

from tandem.checkpoint.bundle import load_bundle
from tandem.checkpoint.storage import Storage
from tandem.errors import BundleError
from tandem.files import scratch_folder
from tandem.inference.abilities import abilities_of
from tandem.inference.exported import Exported, Part, parts_of, write_all
from tandem.inference.onnx.check import check_file
from tandem.inference.onnx.engine import OnnxEngine, require_no_dropout
from tandem.inference.onnx.model_file import append_metadata, write_graph
from tandem.inference.onnx.networks import network_graph
from tandem.inference.proof import Proof


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
    return write_all(parts_of(model, out, manifest, networks, storage=storage), _write)


def _write(part: Part, temporary: Path) -> Proof:
    """Write a file under another name, and prove it: its operators with weights in full, then with its own."""
    metadata = part.metadata
    if metadata.storage != "fp32":
        with scratch_folder() as folder:
            _write_proven(part, folder / temporary.name, "fp32")
    proof = _write_proven(part, temporary, metadata.storage)
    proven = dataclasses.replace(metadata, proof=proof.as_json())
    append_metadata(temporary, proven)
    read, _ = check_file(temporary)
    if read.texts() != proven.texts():
        raise BundleError(f"{part.path} would not be read back as it was written: this is a fault of Tandem.")
    return proof


def _write_proven(part: Part, path: Path, storage: Storage) -> Proof:
    name, spec = part.metadata.network, part.spec
    weights = {key: tensor.numpy() for key, tensor in part.module.state_dict().items()}
    own_statistics = part.metadata.manifest.samples_with_noise
    write_graph(path, network_graph(spec, weights, storage=storage, own_statistics=own_statistics))
    return part.prove(OnnxEngine({name: spec}, {name: path}, storage=storage), storage)
