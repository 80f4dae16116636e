"""Looking at an ONNX file before anything runs it: whether it is whole, and one that Tandem wrote.

A file of a stranger is read with bounds, its weights stay where they are, and what is run afterwards has only operators
that Tandem writes, none of which holds a graph, reads another file or is from elsewhere.
"""

import hashlib
import mmap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tandem.errors import BundleError
from tandem.inference.onnx import wire
from tandem.inference.onnx.graph import OPSET
from tandem.inference.onnx.model_file import Metadata, metadata_of
from tandem.inference.onnx.networks import inputs_of, outputs_of

# fmt: off
OPERATORS = frozenset({
    "Add", "AveragePool", "BatchNormalization", "Cast", "Concat", "Conv", "ConvTranspose", "DequantizeLinear",
    "Elu", "Expand", "Flatten", "Gemm", "GlobalAveragePool", "Identity", "InstanceNormalization", "LeakyRelu",
    "Mul", "Pad", "ReduceSum", "Relu", "Reshape", "Resize", "Shape", "Sigmoid", "Slice", "Softmax",
    "SpaceToDepth", "Sub", "Tanh", "Unsqueeze",
})
# fmt: on
"""Those that `tandem.inference.onnx.networks` writes."""
MAX_FILE_BYTES = 2**31 - 1
"""An ONNX file is one message, which is not larger."""
MAX_METADATA_BYTES = 64 * 2**20
MAX_NODES = 100_000

_EXPORT = "Write it with 'tandem export RUN --to onnx'"
_FLOAT = 1
_Shape = tuple[int | str, ...]


@dataclass
class _Model:
    """What was found in a file."""

    opsets: dict[str, int] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    inputs: dict[str, _Shape] = field(default_factory=dict)
    outputs: dict[str, _Shape] = field(default_factory=dict)
    graphs: int = 0
    nodes: int = 0


def check_file(path: Path) -> tuple[Metadata, str]:
    """Check a file.

    Returns:
        Its metadata, and the SHA-256 of its content.

    Raises:
        BundleError: It is missing, cut off, damaged, of another program, or does what files of Tandem don't do.
    """
    try:
        size = path.stat().st_size
        if not path.is_file() or not 0 < size <= MAX_FILE_BYTES:
            raise BundleError(f"{path} is no ONNX file: it has {size} bytes, or is no plain file.", file=path)
        with path.open("rb") as file:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        digest = hashlib.sha256(content).hexdigest()
        model = _read(memoryview(content), path)
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error}.", file=path) from error
    metadata = metadata_of(model.texts, path)
    opset = model.opsets.get("")
    if opset != OPSET or set(model.opsets) - {""}:
        given = ", ".join(f"{domain or 'ai.onnx'} {version}" for domain, version in model.opsets.items()) or "none"
        raise BundleError(
            f"{path} has the operator sets {given:.100}; Tandem writes and reads ai.onnx {OPSET} alone. {_EXPORT}.",
            file=path,
        )
    _require_signature(model, metadata, path)
    return metadata, digest


def _read(whole: memoryview, path: Path) -> _Model:
    model = _Model()
    try:
        for one in wire.fields(whole):
            match one.number:
                case 7:
                    model.graphs += 1
                    _read_graph(one.message, model, path)
                case 8:
                    texts = {part.number: part for part in wire.fields(one.message)}
                    model.opsets[texts[1].string if 1 in texts else ""] = texts[2].integer if 2 in texts else 0
                case 14:
                    texts = {part.number: part for part in wire.fields(one.message)}
                    if len(one.message) > MAX_METADATA_BYTES:
                        raise ValueError(f"a text of {len(one.message)} bytes")
                    name = texts[1].string if 1 in texts else ""
                    if name in model.texts:
                        raise ValueError(f"the text {name!r:.40} is there twice")
                    model.texts[name] = texts[2].string if 2 in texts else ""
                case 20 | 25:
                    raise _foreign(path, "functions or training information")
    except (ValueError, IndexError) as error:
        if isinstance(error, BundleError):
            raise
        raise BundleError(
            f"{path} is cut off, damaged, or no ONNX file: {error}. Copy it again, or write it with 'tandem export'.",
            file=path,
        ) from error
    if model.graphs != 1:
        raise BundleError(f"{path} is no ONNX file: it holds {model.graphs} graphs, not one.", file=path)
    return model


def _read_graph(graph: memoryview, model: _Model, path: Path) -> None:
    for one in wire.fields(graph):
        match one.number:
            case 1:
                model.nodes += 1
                _check_node(one.message, model.nodes, path)
            case 5:
                _check_tensor(one.message, path)
            case 11:
                name, shape = _value_info(one.message, path)
                model.inputs[name] = shape
            case 12:
                name, shape = _value_info(one.message, path)
                model.outputs[name] = shape
            case 15:
                raise _foreign(path, "sparse weights")


def _check_node(node: memoryview, count: int, path: Path) -> None:
    parts = list(wire.fields(node))
    operators = [part.string for part in parts if part.number == 4]
    _ = [part.string for part in parts if part.number in {1, 2, 3}]  # names are text, else reading them fails later
    domains = [part.string for part in parts if part.number == 7 and part.string]
    if count > MAX_NODES:
        raise _foreign(path, f"more than {MAX_NODES} operators")
    if len(operators) != 1 or operators[0] not in OPERATORS or domains:
        raise _foreign(path, f"the operator {'.'.join([*domains, *operators])!r:.60}")
    for attribute in (part.message for part in parts if part.number == 5):
        if any(part.number in {5, 6, 10, 11, 22, 23} for part in wire.fields(attribute)):
            raise _foreign(path, f"an operator ({operators[0]}) with a graph or a tensor inside")


def _check_tensor(tensor: memoryview, path: Path) -> None:
    for part in wire.fields(tensor):
        if part.number == 8:
            _ = part.string
        if part.number == 13 or (part.number == 14 and part.integer):
            raise BundleError(
                f"{path} has weights in another file (external data). Files of Tandem are whole; one that names others "
                f"is not read. {_EXPORT}.",
                file=path,
            )


def _value_info(message: memoryview, path: Path) -> tuple[str, _Shape]:
    name, shape = "", None
    for part in wire.fields(message):
        if part.number == 1:
            name = part.string
        elif part.number == 2:
            shape = _shape_of(part.message, path)
    if shape is None:
        raise ValueError(f"{name!r:.40} has no shape")
    return name, shape


def _shape_of(kind: memoryview, path: Path) -> _Shape:
    sides: list[int | str] = []
    for tensor in (part.message for part in wire.fields(kind) if part.number == 1):
        for part in wire.fields(tensor):
            if part.number == 1 and part.integer != _FLOAT:
                raise _foreign(path, "an input or output that is not float32")
            if part.number == 2:
                sides += [_side(one.message) for one in wire.fields(part.message)]
    return tuple(sides)


def _side(dimension: memoryview) -> int | str:
    for part in wire.fields(dimension):
        return part.integer if part.number == 1 else part.string
    return ""


def _require_signature(model: _Model, metadata: Metadata, path: Path) -> None:
    """Refuse a graph whose inputs and outputs are not those of the network that the file says it holds."""
    expected = (inputs_of(metadata.spec), outputs_of(metadata.spec))
    for what, given, wanted in zip(("inputs", "outputs"), (model.inputs, model.outputs), expected, strict=True):
        if given != wanted:
            raise BundleError(
                f"{path} has the {what} {', '.join(_told(given))}; a {metadata.spec.kind} of Tandem has "
                f"{', '.join(_told(wanted))}. Another program has changed it. {_EXPORT}.",
                file=path,
            )


def _told(shapes: dict[str, _Shape]) -> Iterator[str]:
    for name, shape in list(shapes.items())[:8]:
        yield f"{name:.40} ({', '.join(map(str, shape[:6])):.60})"


def _foreign(path: Path, what: str) -> BundleError:
    return BundleError(
        f"{path} holds {what}, which no file that Tandem writes does: another program wrote or changed it. {_EXPORT}.",
        file=path,
    )
