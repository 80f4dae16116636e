#!/usr/bin/env bash
# onnxruntime 1.32.0, onnx 1.23.2 (CPU)
#
# A Dropout node whose input training_mode is true has to drop values, and some exporters write such nodes for models
# whose only noise is dropout. One would guess that a runtime either runs it or refuses the graph.
# ONNX Runtime removes it at its default level of optimisation (and at the basic one), without a warning: nothing is
# dropped, and every run gives the same output. Only with all optimisations off half of the values are zero.
#
#     default            0.000 of the values dropped, two runs equal: True
#     basic              0.000 of the values dropped, two runs equal: True
#     no optimisation    0.501 of the values dropped, two runs equal: False
#
# So noise has to be an input of an exported graph, and a check of an export has to ask that two draws differ.
set -euo pipefail
export ORT_DISABLE_TELEMETRY=1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

nodes = [
    helper.make_node("Relu", ["x"], ["kept"]),
    helper.make_node("Dropout", ["kept", "ratio", "training_mode"], ["dropped"]),
    helper.make_node("Mul", ["dropped", "factor"], ["y"]),
]
values = {"ratio": np.float32(0.5), "training_mode": np.array(True), "factor": np.float32(3)}
x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 10_000]) for name in "xy")
constants = [numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()]
graph = helper.make_graph(nodes, "noise", [x], [y], constants)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
onnx.checker.check_model(model, full_check=True)


def run(name, level):
    options = onnxruntime.SessionOptions()
    if level is not None:
        options.graph_optimization_level = level
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    first, second = (session.run(None, {"x": np.ones((1, 10_000), np.float32)})[0] for _ in range(2))
    share, equal = float((first == 0).mean()), bool(np.array_equal(first, second))
    print(f"{name:<18} {share:.3f} of the values dropped, two runs equal: {equal}")
    return share, equal


assert run("default", None) == (0.0, True)
assert run("basic", onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC) == (0.0, True)
share, equal = run("no optimisation", onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL)
assert abs(share - 0.5) < 0.05 and not equal
PYTHON
