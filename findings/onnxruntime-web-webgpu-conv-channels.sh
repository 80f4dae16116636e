#!/usr/bin/env bash
# onnxruntime-web 1.30.0 (WebGPU, build with JSPI), onnx 1.23.2, playwright 1.65.2; Chromium 156 with SwiftShader; needs npm
#
# A convolution is the first operator that a device has to get right, so one would guess that a network which runs on WebGPU
# gives the numbers of WebAssembly to rounding. Where the input channels are a multiple of three and not of four, the output
# channels a multiple of four and the kernels larger than one pixel, the result is another one altogether, without a word:
# such maps are read three channels at a time. Three channels themselves are right, so the first layer of a network on RGB
# shows nothing. Two pictures behind each other (6 channels) or 24 features and a picture (27) do.
#
#     3x3 from  3 to 8 channels: off by 0.0000
#     3x3 from  4 to 8 channels: off by 0.0000
#     3x3 from  6 to 8 channels: off by 2.3619
#     3x3 from  6 to 3 channels: off by 0.0000
#     3x3 from 27 to 8 channels: off by 4.2283
#     3x3 from 28 to 8 channels: off by 0.0000
#     1x1 from 27 to 8 channels: off by 0.0000
#
# So exported graphs give such convolutions one more channel, of zeros, and the page compares WebGPU with WebAssembly before
# it lets it take over.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check numpy==2.4.6 onnx==1.23.2 playwright==1.65.2
(cd "$folder" && npm pack --silent --ignore-scripts onnxruntime-web@1.30.0 > /dev/null)
tar -xzf "$folder"/onnxruntime-web-1.30.0.tgz -C "$folder" package/dist/ort.jspi.bundle.min.mjs package/dist/ort-wasm-simd-threaded.jspi.wasm
export CHROMIUM=${CHROMIUM:-$(command -v chromium || command -v chromium-browser || command -v google-chrome)}
"$folder/venv/bin/python" - "$folder/package/dist" <<'PYTHON'
import functools
import http.server
import os
import sys
import threading
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save
from playwright.sync_api import sync_playwright

CASES = [(3, 3, 8), (3, 4, 8), (3, 6, 8), (3, 6, 3), (3, 27, 8), (3, 28, 8), (1, 27, 8)]
WRONG = {(3, 6, 8), (3, 27, 8)}
PAGE = """<!DOCTYPE html><script type="module">
import * as ort from "./ort.jspi.bundle.min.mjs";
ort.env.wasm.numThreads = 1;
ort.env.logLevel = "error";
globalThis.off = async (file, channels) => {
  const data = Float32Array.from({ length: channels * 256 }, (_, i) => Math.sin(i * i));
  const outputs = [];
  for (const provider of ["wasm", "webgpu"]) {
    const session = await ort.InferenceSession.create(file, { executionProviders: [provider] });
    outputs.push((await session.run({ x: new ort.Tensor("float32", data, [1, channels, 16, 16]) })).y.data);
  }
  return outputs[0].reduce((most, value, i) => Math.max(most, Math.abs(value - outputs[1][i])), 0);
};
document.title = "ready";
</script>"""


def write(path, kernel, taken, given):
    weight = np.random.default_rng(0).normal(size=(given, taken, kernel, kernel)).astype(np.float32)
    node = helper.make_node("Conv", ["x", "w"], ["y"], kernel_shape=[kernel] * 2, pads=[kernel // 2] * 4)
    graph = helper.make_graph(
        [node],
        "conv",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, taken, 16, 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, given, 16, 16])],
        [numpy_helper.from_array(weight / np.float32(weight[0].size**0.5), "w")],
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9), path)


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


folder = Path(sys.argv[1])
(folder / "index.html").write_text(PAGE)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
threading.Thread(target=server.serve_forever, daemon=True).start()
options = ["--enable-unsafe-webgpu", "--enable-unsafe-swiftshader", "--use-webgpu-adapter=swiftshader", "--no-sandbox"]
with sync_playwright() as started:
    browser = started.chromium.launch(executable_path=os.environ["CHROMIUM"], args=options)
    page = browser.new_page()
    page.goto(f"http://127.0.0.1:{server.server_port}/")
    page.wait_for_function("document.title === 'ready'")
    for case in CASES:
        kernel, taken, given = case
        write(folder / "conv.onnx", *case)
        found = page.evaluate("([file, channels]) => off(file, channels)", [f"conv.onnx?{case}", taken])
        print(f"{kernel}x{kernel} from {taken:2d} to {given} channels: off by {found:.4f}")
        assert (found > 0.5) == (case in WRONG) and (found > 0.5 or found < 1e-4), case
    browser.close()
PYTHON
