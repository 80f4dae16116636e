"""A model as ONNX files: one for each network, each with all that Tandem needs to use it beside the graph.

``shoes.onnx`` is a generator and ``shoes.encoder.onnx`` its encoder; of a model that translates in both directions
there are ``shoes.AtoB.onnx`` and ``shoes.BtoA.onnx``. The metadata of a file are texts (`metadata_props`): those that
begin with ``tandem.`` are read back here, the others are for people and other programs. They hold no path, date or
option of the training, so that a file is the same bytes wherever and whenever it is written.
"""

import base64
import dataclasses
import json
import mmap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tandem.checkpoint.arrays import PRIOR_ARRAYS, prior_of
from tandem.checkpoint.manifest import Manifest, manifest_of_values
from tandem.checkpoint.storage import Storage
from tandem.config.specifications import GeneratorSpec, ImageEncoderSpec, NetworkSpec
from tandem.errors import BundleError
from tandem.inference.onnx import wire
from tandem.inference.onnx.graph import IR_VERSION, OPSET, Graph
from tandem.prior.distributions import MixturePrior
from tandem.version import __version__

FORMAT = "1"
SUFFIX = ".onnx"
ROLES: Mapping[str, str] = {"generator": "", "encoder": ".encoder", "gen_ab": ".AtoB", "gen_ba": ".BtoA"}
"""What stands before the ending of the file of a network."""
LARGE_BYTES = 2**20
"""Weights of so many bytes are read from the file by whoever opens it."""
_GRAPH, _TENSOR, _TEXT, _RAW = 7, 5, 14, 9
"""Numbers of fields: of a model, of its graph, and of a tensor."""
_KEPT_OF_TRAINING = ("steps", "images_seen", "weights", "num_pairs", "data_fingerprint", "val_split")


@dataclass(frozen=True)
class Metadata:
    """What a file says beside its graph.

    Attributes:
        manifest: Of the whole model.
        network: Which of its networks the file holds.
        storage: How its weights are stored.
        prior: What latents are drawn from; None: N(0, I).
        proof: How far it is from PyTorch, as `tandem.inference.proof` measured it; None before that.
    """

    manifest: Manifest
    network: str
    storage: Storage
    prior: MixturePrior | None = None
    proof: Mapping[str, Any] | None = None

    @property
    def spec(self) -> NetworkSpec:
        """The network's specification."""
        return self.manifest.networks[self.network]

    def texts(self) -> dict[str, str]:
        """As the texts of the file."""
        values = {
            "tandem.format": FORMAT,
            "tandem.network": self.network,
            "tandem.storage": self.storage,
            "tandem.manifest": _json(json.loads(self.manifest.to_json())),
        }
        if self.prior is not None:
            values["tandem.prior"] = _json({name: _packed(getattr(self.prior, name)) for name in PRIOR_ARRAYS})
        if self.proof is not None:
            values["tandem.proof"] = _json(self.proof)
        return values | self._explained()

    def _explained(self) -> dict[str, str]:
        """What other programs need to know, one thing each."""
        spec, images = self.spec, self.manifest.preprocessing
        assert isinstance(spec, GeneratorSpec | ImageEncoderSpec)
        values: dict[str, Any] = {
            "method": self.manifest.method,
            "value_range": list(images.value_range),
            "channel_order": {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}.get(spec.in_channels, str(spec.in_channels)),
            "size_multiple": spec.size_multiple,
            "smallest_side": spec.smallest_side,
            "trained_size": list(images.size),
            "latent_dim": spec.latent_dim,
        }
        if isinstance(spec, GeneratorSpec):
            values["direction"] = {"gen_ab": "AtoB", "gen_ba": "BtoA"}.get(self.network, images.direction)
            if spec.latent_dim:
                values["z"] = "N(0, I)" if self.prior is None else self.prior.describe()
        return {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}


def shared_manifest(manifest: Manifest, storage: Storage) -> Manifest:
    """What a file tells of a model: nothing of the machine and the options that it was trained with.

    A calibration stays with the weights that it was measured with; rounded weights are others.
    """
    kept = {name: manifest.training[name] for name in _KEPT_OF_TRAINING if name in manifest.training}
    calibration = manifest.calibration if storage == "fp32" else None
    return dataclasses.replace(manifest, training=kept, statistics={}, calibration=calibration)


def write_graph(path: Path, graph: Graph) -> None:
    """Write a file that has no metadata yet."""
    head = [*wire.number(1, IR_VERSION), *wire.text(2, "tandem"), *wire.text(3, __version__)]
    pieces = [*head, *wire.block(7, graph.encode()), *wire.block(8, wire.number(2, OPSET))]
    with path.open("wb") as file:
        file.writelines(pieces)


def graph_bytes(graph: Graph) -> bytes:
    """A model without metadata, in memory."""
    return b"".join(
        [*wire.number(1, IR_VERSION), *wire.block(7, graph.encode()), *wire.block(8, wire.number(2, OPSET))]
    )


def graph_beside_weights(path: Path) -> bytes | None:
    """The graph of a file without its large weights, which it names as the bytes of the file itself.

    So a runtime brings them from where they lie into the form in which it uses them, and no copy of the file is in
    memory meanwhile.

    Args:
        path: A file that `tandem.inference.onnx.check.check_file` has looked at.

    Returns:
        A model that is read beside the file; None where no weights are large, or where the name of the file is no text.
    """
    name, has_large = path.name, False
    if any("\ud800" <= letter <= "\udfff" for letter in str(path)):
        return None
    with path.open("rb") as file:
        whole = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    begin = _address(whole)
    pieces: wire.Encoded = []
    for one in wire.fields(whole):
        if one.number == _GRAPH:
            parts: wire.Encoded = []
            for part in wire.fields(one.message):
                is_large = part.number == _TENSOR and len(part.message) >= LARGE_BYTES
                has_large |= is_large
                parts += wire.block(_TENSOR, _beside(part.message, name, begin)) if is_large else wire.again(part)
            pieces += wire.block(_GRAPH, parts)
        elif one.number != _TEXT:
            pieces += wire.again(one)
    return b"".join(pieces) if has_large else None


def _beside(tensor: memoryview, name: str, begin: int) -> wire.Encoded:
    pieces: wire.Encoded = []
    for part in wire.fields(tensor):
        if part.number != _RAW:
            pieces += wire.again(part)
            continue
        place = {"location": name, "offset": _address(part.message) - begin, "length": len(part.message)}
        for key, value in place.items():
            pieces += wire.block(13, [*wire.text(1, key), *wire.text(2, str(value))])
        pieces += wire.number(14, 1)
    return pieces


def _address(content: memoryview) -> int:
    return np.frombuffer(content, np.uint8).ctypes.data


def append_metadata(path: Path, metadata: Metadata) -> None:
    """Add the metadata to a file; what is written behind a message belongs to it."""
    with path.open("ab") as file:
        for name, value in metadata.texts().items():
            file.writelines(wire.block(14, [*wire.text(1, name), *wire.text(2, value)]))


def file_of(path: Path, network: str) -> Path:
    """The file of a network, beside and named like `path` (``shoes.onnx``)."""
    return path.with_name(f"{path.name.removesuffix(path.suffix)}{ROLES[network]}{path.suffix}")


def metadata_of(texts: Mapping[str, str], origin: Path) -> Metadata:
    """Read metadata, which may be hostile.

    Raises:
        BundleError: They are missing, damaged, or of another version.
    """
    if "tandem.manifest" not in texts:
        raise BundleError(
            f"{origin} is an ONNX file without the metadata of Tandem, so that nobody knows what it takes and gives: "
            "another program wrote it, or removed them. Write one with 'tandem export RUN --to onnx'.",
            file=origin,
        )
    if texts.get("tandem.format") != FORMAT:
        raise BundleError(
            f"{origin} has the format {texts.get('tandem.format')!r:.40} of Tandem's ONNX files, this version reads "
            f"format {FORMAT}: export the model again with 'tandem export'.",
            file=origin,
        )
    try:
        values = json.loads(texts["tandem.manifest"])
        packed = json.loads(texts.get("tandem.prior", "null"))
        proof = json.loads(texts.get("tandem.proof", "null"))
        manifest = manifest_of_values(values, str(origin))
        prior = None
        if manifest.prior is not None:
            dims = {"weights": 1, "means": 2, "factors": 3}
            arrays = {name: _unpacked(packed[name], dims[name]) for name in PRIOR_ARRAYS}
            prior = prior_of(manifest.prior, arrays, str(origin))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        if isinstance(error, BundleError):
            raise
        raise BundleError(f"the metadata of {origin} are damaged: {error}.", file=origin) from error
    network, storage = texts.get("tandem.network", ""), texts.get("tandem.storage", "")
    if network not in ROLES or network not in manifest.networks or storage not in {"fp32", "fp16", "int8"}:
        raise BundleError(
            f"the metadata of {origin} are damaged: it holds the network {network!r:.40} with weights stored as "
            f"{storage!r:.40}.",
            file=origin,
        )
    if not isinstance(manifest.networks[network], GeneratorSpec | ImageEncoderSpec):
        raise BundleError(f"the metadata of {origin} are damaged: {network} is no network to run.", file=origin)
    return Metadata(manifest, network, storage, prior, proof)  # type: ignore[arg-type]  # pyright: ignore


def _json(values: object) -> str:
    return json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _packed(array: np.ndarray) -> dict[str, Any]:
    little = np.ascontiguousarray(array, "<f4")
    return {"shape": list(array.shape), "data": base64.b64encode(little.tobytes()).decode()}


def _unpacked(value: Any, axes: int) -> np.ndarray:
    shape, data = value["shape"], base64.b64decode(value["data"], validate=True)
    if len(shape) != axes or not all(type(side) is int and side > 0 for side in shape):
        raise ValueError(f"the shape {shape!r:.60} is none of {axes} axes")
    flat = np.frombuffer(data, "<f4")
    if flat.size != int(np.prod(shape, dtype=object)):
        raise ValueError(f"{flat.size} numbers are none of the shape {shape!r:.60}")
    return flat.reshape(shape).astype(np.float32)
