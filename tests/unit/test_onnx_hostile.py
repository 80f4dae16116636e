"""ONNX files of others, changed, cut off or hostile: each has its message, and none is run."""

import contextlib
import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, version_converter

import tandem
from cyclegan_bundle import make_cyclegan
from tandem.errors import BundleError, ConfigError, DataError, TandemError
from tandem.inference.onnx import check, wire
from tandem.inference.onnx.export import export_onnx
from tandem_bundle import make_tandem

Change = Callable[[onnx.ModelProto], None]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generator's file; tests do not write to its folder."""
    folder = tmp_path_factory.mktemp("exported")
    make_tandem(folder / "model", depth=2)
    export_onnx(folder / "model", folder / "m.onnx")
    return folder / "m.onnx"


def changed(exported: Path, folder: Path, change: Change) -> Path:
    model = onnx.load(exported)
    change(model)
    path = folder / "changed.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def text_of(model: onnx.ModelProto, key: str) -> onnx.StringStringEntryProto:
    return next(one for one in model.metadata_props if one.key == key)


def without_metadata(model: onnx.ModelProto) -> None:
    del model.metadata_props[:]


def other_operator(model: onnx.ModelProto) -> None:
    model.graph.node[0].op_type = "ConstantOfShape"


def other_domain(model: onnx.ModelProto) -> None:
    model.graph.node[0].domain = "com.microsoft"


def with_graph(model: onnx.ModelProto) -> None:
    graph = helper.make_graph([], "inner", [], [])
    model.graph.node[0].attribute.append(helper.make_attribute("body", graph))


def external(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../../../etc/passwd")


def other_inputs(model: onnx.ModelProto) -> None:
    model.graph.input[0].name = "x"


def other_channels(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 4


def other_opset(model: onnx.ModelProto) -> None:
    model.opset_import[0].version = 21


def more_opsets(model: onnx.ModelProto) -> None:
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))


def with_functions(model: onnx.ModelProto) -> None:
    model.functions.append(helper.make_function("here", "f", [], [], [], []))


def newer_format(model: onnx.ModelProto) -> None:
    text_of(model, "tandem.format").value = "2"


def no_json(model: onnx.ModelProto) -> None:
    text_of(model, "tandem.manifest").value = "{"


def deep_json(model: onnx.ModelProto) -> None:
    text_of(model, "tandem.manifest").value = "[" * 100_000


def other_bundle_format(model: onnx.ModelProto) -> None:
    text = text_of(model, "tandem.manifest")
    text.value = json.dumps(json.loads(text.value) | {"format": 9})


def huge_network(model: onnx.ModelProto) -> None:
    text = text_of(model, "tandem.manifest")
    values = json.loads(text.value)
    values["networks"]["generator"]["filters"] = 10**9
    text.value = json.dumps(values)


def other_network(model: onnx.ModelProto) -> None:
    text_of(model, "tandem.network").value = "gen_ab"


def half_precision(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT16


def twice(model: onnx.ModelProto) -> None:
    model.metadata_props.add(key="method", value="other")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without_metadata, "without the metadata of Tandem"),
        (other_operator, "holds the operator 'ConstantOfShape'"),
        (other_domain, "holds the operator 'com.microsoft"),
        (with_graph, "with a graph or a tensor inside"),
        (external, r"weights in another file \(external data\)"),
        (other_inputs, r"has the inputs x \(N, 3, H, W\), z \(N, 2\); a residual_unet of Tandem has image"),
        (other_channels, r"has the inputs image \(N, 4, H, W\)"),
        (other_opset, "has the operator sets ai.onnx 21; Tandem writes and reads ai.onnx 20 alone"),
        (more_opsets, "has the operator sets ai.onnx 20, com.microsoft 1"),
        (with_functions, "holds functions or training information"),
        (newer_format, "has the format '2' of Tandem's ONNX files"),
        (no_json, "the metadata of .* are damaged"),
        (deep_json, "the metadata of .* are damaged"),
        (other_bundle_format, "has the bundle format 9"),
        (huge_network, "filters must be from 1 to 4096"),
        (other_network, "it holds the network 'gen_ab'"),
        (twice, "the text 'method' is there twice"),
        (half_precision, "holds an input or output that is not float32, which no file that Tandem writes does"),
    ],
)
def test_what_others_have_changed(change: Change, message: str, exported: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=message):
        tandem.load(changed(exported, tmp_path, change))


def test_a_converted_file_is_told_by_its_operator_set(exported: Path, tmp_path: Path) -> None:
    """By the ONNX project's own converter."""
    path = tmp_path / "m.onnx"
    onnx.save(version_converter.convert_version(onnx.load(exported), 22), path)
    with pytest.raises(BundleError, match=r"has the operator sets ai.onnx 22|without the metadata of Tandem"):
        tandem.load(path)


def test_cut_off_everywhere(exported: Path, tmp_path: Path) -> None:
    """At every thousandth of its length, and where only the last byte is missing."""
    whole = exported.read_bytes()
    path = tmp_path / "cut.onnx"
    for length in {0, 1, len(whole) - 1, *range(7, len(whole), len(whole) // 100)}:
        path.write_bytes(whole[:length])
        with pytest.raises(BundleError, match=r"cut off|no ONNX file|without the metadata|operator sets|inputs"):
            tandem.load(path)


def test_noise_is_refused(exported: Path, tmp_path: Path) -> None:
    """Random bytes, and files with a few changed bytes, raise nothing but what the user is told."""
    source, path = random.Random(0), tmp_path / "noise.onnx"
    path.write_bytes(source.randbytes(10_000))
    with pytest.raises(BundleError):
        tandem.load(path)
    whole = exported.read_bytes()
    for _ in range(60):
        damaged = bytearray(whole)
        for _ in range(20):
            damaged[source.randrange(len(damaged))] = source.randrange(256)
        path.write_bytes(damaged)
        with contextlib.suppress(TandemError):
            tandem.load(path)(np.zeros((16, 16, 3), np.uint8), 1)


def test_a_graph_that_gives_another_shape(exported: Path, tmp_path: Path) -> None:
    def smaller(model: onnx.ModelProto) -> None:
        node = model.graph.node[-1]
        pooled = helper.make_node("AveragePool", list(node.input), ["less"], kernel_shape=[2, 2], strides=[2, 2])
        model.graph.node.insert(len(model.graph.node) - 1, pooled)
        node = model.graph.node[-1]
        node.input[0] = "less"

    with pytest.raises(BundleError, match=r"gives the shape \(1, 3, 8, 8\) instead of \(1, 3, 16, 16\)"):
        tandem.load(changed(exported, tmp_path, smaller))(np.zeros((16, 16, 3), np.uint8), 1)


def test_files_that_do_not_belong_together(exported: Path, tmp_path: Path) -> None:
    """The encoder of another model, none, and an encoder in the place of a generator."""
    make_tandem(tmp_path / "model", depth=3)
    export_onnx(tmp_path / "model", tmp_path / "other.onnx")
    (tmp_path / "m.onnx").write_bytes(exported.read_bytes())
    style = np.zeros((16, 16, 3), np.uint8)
    with pytest.raises(BundleError, match=r"an ONNX file of its own, and that is not there.*NAME.encoder.onnx"):
        tandem.load(tmp_path / "m.onnx").encode(style)
    (tmp_path / "other.encoder.onnx").rename(tmp_path / "m.encoder.onnx")
    with pytest.raises(BundleError, match=r"m.encoder.onnx is not the encoder of the model in .*m.onnx"):
        tandem.load(tmp_path / "m.onnx")
    with pytest.raises(BundleError, match="is the encoder of a model: give the file of its generator"):
        tandem.load(tmp_path / "m.encoder.onnx")
    with pytest.raises(BundleError, match=r"there is no such file. 'tandem export RUN --to onnx' writes one"):
        tandem.load(tmp_path / "nothing.onnx")


def test_what_onnx_files_do_not_do(exported: Path, tmp_path: Path) -> None:
    """Options of PyTorch are refused, and what the network does not take."""
    with pytest.raises(ConfigError, match="--engine torch: the model is an ONNX file"):
        tandem.load(exported, engine="torch")
    with pytest.raises(ConfigError, match=r"(?s)--precision bf16 has no effect.*--compile has"):
        tandem.load(exported, precision="bf16", compile=True)
    with pytest.raises(ConfigError, match="--device mps: ONNX Runtime does not have it here"):
        tandem.load(exported, device="mps")
    with pytest.raises(ConfigError, match="does not translate in tiles"):
        tandem.load(exported)(np.zeros((32, 32, 3), np.uint8), 1, tile=16)
    engine = tandem.load(exported)._engine
    with pytest.raises(DataError, match="takes multiples of 4 px"):
        engine.generate("generator", np.zeros((1, 3, 18, 16), np.float32), np.zeros((1, 2), np.float32), None)
    with pytest.raises(DataError, match="was given 1 channels, but it takes 3"):
        engine.generate("generator", np.zeros((1, 1, 16, 16), np.float32), np.zeros((1, 2), np.float32), None)
    make_cyclegan(tmp_path / "model")
    with pytest.raises(BundleError, match="no model at"):
        tandem.load(tmp_path / "model" / "model.onnx")


def test_numbers_of_any_length_are_read_back() -> None:
    """And what is written is what Google's own library reads."""
    for value in (0, 1, 127, 128, 300, 2**31, 2**63 - 1, -1, -(2**63)):
        (field,) = wire.fields(memoryview(b"".join(wire.number(3, value))))
        assert (field.number, field.integer) == (3, value)
        attribute = onnx.AttributeProto.FromString(b"".join(wire.number(3, value)))
        assert attribute.i == value
    with pytest.raises(ValueError, match="more than 64 bits"):
        list(wire.fields(memoryview(b"\x18" + b"\xff" * 11)))
    with pytest.raises(ValueError, match="unknown kind"):
        list(wire.fields(memoryview(b"\x1b")))


def test_the_operators_that_are_read_are_those_that_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    from onnx_models import SPECS, random_network  # noqa: PLC0415
    from tandem.inference.onnx.model_file import graph_bytes  # noqa: PLC0415
    from tandem.inference.onnx.networks import network_graph  # noqa: PLC0415

    monkeypatch.setattr("tandem.inference.onnx.graph.SMALL", 0)
    written = set()
    for spec in SPECS.values():
        weights = {name: tensor.numpy() for name, tensor in random_network(spec).state_dict().items()}
        for storage in ("fp32", "fp16", "int8"):
            model = onnx.load_from_string(graph_bytes(network_graph(spec, weights, storage=storage)))
            written |= {node.op_type for node in model.graph.node}
    assert written == check.OPERATORS
