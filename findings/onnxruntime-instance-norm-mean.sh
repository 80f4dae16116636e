#!/usr/bin/env bash
# onnxruntime 1.32.0, onnx 1.23.2 (CPU), float32
#
# InstanceNormalization takes the mean away and divides by the spread, so one would guess that a large mean costs no more
# digits than its own subtraction. The CPU kernel computes x · s - mean · s instead, with s = 1 / spread: where the mean is
# large beside the spread, as in every layer on a blank canvas, the two products cancel. A network that is right on
# photographs is then off by a visible amount on an empty page, and comparing exports on noise does not show it.
#
#     mean 0, spread 0.001: off by 1e-07 (InstanceNormalization), 1e-07 (mean taken away before)
#     mean 1, spread 0.001: off by 4e-05 (InstanceNormalization), 9e-08 (mean taken away before)
#     mean 10, spread 0.001: off by 6e-04 (InstanceNormalization), 1e-07 (mean taken away before)
#
# So exported graphs subtract the mean before the norm, and are compared on constant canvases too.
set -euo pipefail
export ORT_DISABLE_TELEMETRY=1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnxruntime
from onnx import TensorProto, helper

EPSILON = 1e-5


def session(centred):
    first = [helper.make_node("GlobalAveragePool", ["x"], ["m"]), helper.make_node("Sub", ["x", "m"], ["c"])]
    norm = helper.make_node("InstanceNormalization", ["c" if centred else "x", "one", "zero"], ["y"], epsilon=EPSILON)
    graph = helper.make_graph(
        [*first, norm] if centred else [norm],
        "norm",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 64, 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, 64, 64])],
        [
            helper.make_tensor(name, TensorProto.FLOAT, [4], [value] * 4)
            for name, value in (("one", 1.0), ("zero", 0.0))
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def exact(x):
    x = x.astype(np.float64)
    mean = x.mean((2, 3), keepdims=True)
    return (x - mean) / np.sqrt(x.var((2, 3), keepdims=True) + EPSILON)


sessions = {"InstanceNormalization": session(False), "mean taken away before": session(True)}
found = {}
for mean in (0, 1, 10):
    noise = np.random.default_rng(0).normal(size=(1, 4, 64, 64))
    x = (mean + 1e-3 * noise).astype(np.float32)
    off = {name: float(np.abs(one.run(None, {"x": x})[0] - exact(x)).max()) for name, one in sessions.items()}
    print(f"mean {mean}, spread 0.001: off by", ", ".join(f"{value:.0e} ({name})" for name, value in off.items()))
    found[mean] = list(off.values())
assert max(found[0]) < 1e-6, found
for mean in (1, 10):
    assert found[mean][0] > 50 * found[mean][1], found
PYTHON
