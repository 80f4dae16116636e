"""Graphs that are written from specifications compute what the networks compute; the oracle is PyTorch."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from onnx_models import SPECS, random_network
from tandem.checkpoint.storage import INT8_LEVELS, SMALL, Storage
from tandem.config.specifications import GeneratorSpec, PairEncoderSpec, PixelDiscriminatorSpec, UNetSpec
from tandem.errors import BundleError, ConfigError
from tandem.inference.onnx.graph import OPSET, Graph
from tandem.inference.onnx.model_file import graph_beside_weights, graph_bytes, write_graph
from tandem.inference.onnx.networks import network_graph, pooled_kernels
from tandem.networks.build import build_network
from tandem.networks.convolutions import _pooled
from tandem.networks.layers import sample_as_in_training

SIZES = ((1, 16, 16), (3, 32, 48))


def weights_of(network: nn.Module) -> dict[str, np.ndarray]:
    return {name: tensor.numpy() for name, tensor in network.state_dict().items()}


def arguments_of(name: str, n: int, h: int, w: int) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(n)
    spec = SPECS[name]
    given = {"image": torch.rand(n, spec.in_channels, h, w, generator=random) * 2 - 1}  # type: ignore[union-attr]
    if isinstance(spec, GeneratorSpec):
        if spec.latent_dim:
            given["z"] = torch.randn(n, spec.latent_dim, generator=random)
    elif isinstance(spec, PairEncoderSpec) and spec.input_channels:
        given["input_image"] = torch.rand(n, spec.input_channels, h, w, generator=random)
        given["known"] = torch.tensor([1.0, 0.0, 1.0])[:n]
    return given


@pytest.mark.parametrize("name", list(SPECS))
def test_every_kind_of_network(name: str) -> None:
    """Of two sizes and numbers of images in one file, which the ONNX project's own checker takes as valid."""
    network = random_network(SPECS[name])
    model = graph_bytes(network_graph(SPECS[name], weights_of(network)))
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model)
    for n, h, w in SIZES:
        given = arguments_of(name, n, h, w)
        expected = network(*(tensor.clone() for tensor in given.values()))
        found = session.run(None, {key: tensor.numpy() for key, tensor in given.items()})
        for one, other in zip(found, expected if isinstance(expected, tuple) else [expected], strict=True):
            np.testing.assert_allclose(one, other.numpy(), rtol=0, atol=2e-5)


def test_batch_norms_of_the_image_itself() -> None:
    """As pix2pix samples: the statistics are those of the one image, whatever training has seen."""
    spec = UNetSpec(in_channels=3, out_channels=3, latent_dim=0, injection="none", depth=3, filters=8, norm="batch")
    network = random_network(spec)
    model = graph_bytes(network_graph(spec, weights_of(network), own_statistics=True))
    sample_as_in_training(network)
    image = torch.rand(1, 3, 24, 16, generator=torch.Generator().manual_seed(0))
    (found,) = onnxruntime.InferenceSession(model).run(None, {"image": image.numpy()})
    np.testing.assert_allclose(found, network(image).numpy(), rtol=0, atol=2e-5)


@pytest.mark.parametrize(("storage", "share"), [("fp16", 0.55), ("int8", 0.32)])
def test_small_weights(storage: str, share: float) -> None:
    """Half and a quarter of the size, near the same outputs; what is stored is checked by hand below."""
    spec = UNetSpec(in_channels=3, out_channels=3, latent_dim=8, depth=3, filters=32)
    network = random_network(spec)
    given = {"image": torch.rand(1, 3, 16, 24), "z": torch.randn(1, 8)}
    expected = network(*given.values()).numpy()
    small, whole = (
        graph_bytes(network_graph(spec, weights_of(network), storage=one))  # type: ignore[arg-type]
        for one in (storage, "fp32")
    )
    assert len(small) < share * len(whole)
    (found,) = onnxruntime.InferenceSession(small).run(None, {key: tensor.numpy() for key, tensor in given.items()})
    assert 0 < np.abs(found - expected).max() < {"fp16": 2e-3, "int8": 8e-2}[storage]


def test_how_int8_rounds() -> None:
    """Each output channel to 127 levels of its own largest weight; ONNX Runtime multiplies it out."""
    weight = np.random.default_rng(0).normal(size=(3, SMALL)).astype(np.float32)
    weight[1] = 0
    graph = Graph("g", storage="int8")
    graph.output(graph.node("Identity", graph.weight("w", weight, axis=0)), "out", (3, SMALL))
    graph.input("unused", (1,))
    (found,) = onnxruntime.InferenceSession(graph_bytes(graph)).run(None, {"unused": np.zeros(1, np.float32)})
    step = np.abs(weight).max(1, keepdims=True) / INT8_LEVELS
    assert np.abs(found - weight).max() <= step.max() / 2 * 1.001
    assert np.allclose(np.abs(found).max(1), np.abs(weight).max(1), rtol=1e-6)
    assert not found[1].any()


def test_pooled_kernels_are_those_of_the_network() -> None:
    weight = np.random.default_rng(0).normal(size=(5, 4, 3, 3)).astype(np.float32)
    np.testing.assert_allclose(pooled_kernels(weight), _pooled(torch.from_numpy(weight)).numpy(), rtol=0, atol=1e-6)


def test_a_graph_says_its_operator_set_and_nothing_of_its_origin() -> None:
    network = random_network(SPECS["residual"])
    model = onnx.load_from_string(graph_bytes(network_graph(SPECS["residual"], weights_of(network))))
    assert [(one.domain, one.version) for one in model.opset_import] == [("", OPSET)]
    assert not any(node.metadata_props or node.doc_string for node in model.graph.node)
    assert not model.graph.value_info


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"down.0.conv.weight": None}, "down.0.conv.weight is missing"),
        ({"down.0.conv.bias": np.zeros(3, np.float32)}, r"down.0.conv.bias is float32 of the shape \(3,\)"),
        ({"down.0.conv.bias": np.zeros(8)}, "down.0.conv.bias is float64"),
        ({"other": np.zeros(8, np.float32)}, "other belongs to no layer"),
    ],
)
def test_weights_of_another_network(change: dict[str, np.ndarray | None], message: str) -> None:
    weights = weights_of(random_network(SPECS["unet"])) | change
    with pytest.raises(BundleError, match=message):
        network_graph(SPECS["unet"], {name: array for name, array in weights.items() if array is not None})


def test_discriminators_are_not_written() -> None:

    with pytest.raises(ConfigError, match="is neither a generator nor an encoder"):
        network_graph(PixelDiscriminatorSpec(in_channels=3, filters=4), {})


def test_large_weights_stay_in_the_file(tmp_path: Path) -> None:
    """Of the graph that is read beside a file the ONNX project's library finds every weight where it lies."""
    spec = UNetSpec(in_channels=3, out_channels=3, latent_dim=8, depth=4, filters=64)
    path = tmp_path / "m.onnx"
    write_graph(path, network_graph(spec, weights_of(random_network(spec))))
    graph = graph_beside_weights(path)
    assert graph is not None
    assert len(graph) < 0.15 * path.stat().st_size
    found = onnx.load_from_string(graph)
    assert sum(bool(one.external_data) for one in found.graph.initializer) == 5
    onnx.load_external_data_for_model(found, str(tmp_path))
    whole = onnx.load(path)
    assert [one.name for one in found.graph.initializer] == [one.name for one in whole.graph.initializer]
    for one, other in zip(found.graph.initializer, whole.graph.initializer, strict=True):
        assert (one.raw_data, one.dims, one.data_type) == (other.raw_data, other.dims, other.data_type)
    assert found.graph.node == whole.graph.node
    write_graph(path, network_graph(SPECS["unet"], weights_of(random_network(SPECS["unet"]))))
    assert graph_beside_weights(path) is None


MEMORY = """
import sys
import numpy as np
from pathlib import Path
from tandem.config.specifications import UNetSpec
from tandem.inference.onnx.engine import OnnxEngine

def mib(what):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(what)) / 1024

path, storage = sys.argv[1:]
spec = UNetSpec(in_channels=3, out_channels=3, latent_dim=8, depth=7, filters=48)
engine = OnnxEngine({"generator": spec}, {"generator": Path(path)}, storage=storage, threads=1)
before = mib("VmRSS")
engine.generate("generator", np.zeros((1, 3, 128, 128), np.float32), np.zeros((1, 8), np.float32), None)
print(mib("VmHWM") - before)
"""


@pytest.mark.parametrize(("storage", "most"), [("fp32", 1.85), ("fp16", 1.3), ("int8", 1.0)])
def test_memory(storage: Storage, most: float, tmp_path: Path) -> None:
    """Weights in full are held once, and rounded ones are expanded one layer after the other."""
    spec = UNetSpec(in_channels=3, out_channels=3, latent_dim=8, depth=7, filters=48)
    weights = {name: np.full(shape, 0.01, np.float32) for name, shape in shapes_of(spec).items()}
    write_graph(tmp_path / "m.onnx", network_graph(spec, weights, storage=storage))
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-c", MEMORY, tmp_path / "m.onnx", storage]
    found = subprocess.run(words, env=environment, capture_output=True, text=True, check=True, timeout=120)
    full = sum(array.nbytes for array in weights.values()) / 2**20
    assert float(found.stdout) < most * full


def shapes_of(spec: UNetSpec) -> dict[str, torch.Size]:
    with torch.device("meta"):
        return {name: tensor.shape for name, tensor in build_network(spec).state_dict().items()}
