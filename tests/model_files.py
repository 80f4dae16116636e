"""Tiny networks as ONNX and TorchScript files."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx.external_data_helper import set_external_data
from torch import Tensor, nn


def write_onnx(
    path: Path, *, weight: np.ndarray, external: str | None = None, inputs: Sequence[str] = ("x",), op: str = "Conv"
) -> Path:
    """A 1×1 convolution (weight ``(K, 3, 1, 1)``), its weight inside or in another file."""
    tensor = numpy_helper.from_array(weight.astype(np.float32), "w")
    if external is not None:
        set_external_data(tensor, location=external, length=weight.size * 4)
        tensor.ClearField("raw_data")
    shape = ["n", 3, "h", "w"]
    graph = helper.make_graph(
        [helper.make_node(op, ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in inputs],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", len(weight), "h", "w"])],
        [tensor],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    path.write_bytes(model.SerializeToString())
    return path


def write_torchscript(path: Path, function: Callable[[Tensor], Tensor]) -> Path:
    class Wrapped(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return function(x)

    traced = torch.jit.trace(Wrapped(), torch.zeros(2, 3, 8, 8))
    torch.jit.save(traced, path)  # type: ignore[arg-type]
    return path


def write_identity(folder: Path) -> Path:
    """Three classes, one for each primary colour."""
    return write_onnx(folder / "identity.onnx", weight=np.eye(3).reshape(3, 3, 1, 1))


def write_random_features(path: Path, *, seed: int = 0, width: int = 12) -> Path:
    """Two layers of random 3×3 filters with ReLU: features that see colours and edges."""
    generator = np.random.default_rng(seed)
    shapes = ((width, 3, 3, 3), (width, width, 3, 3))
    weights = [
        numpy_helper.from_array(generator.normal(0, 1 / 3, shape).astype(np.float32), f"w{index}")
        for index, shape in enumerate(shapes)
    ]
    nodes = [
        helper.make_node("Conv", ["x", "w0"], ["h"], strides=[2, 2]),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("Conv", ["r", "w1"], ["k"], strides=[2, 2]),
        helper.make_node("Relu", ["k"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", width, "p", "q"])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    path.write_bytes(model.SerializeToString())
    return path
