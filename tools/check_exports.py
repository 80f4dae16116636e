"""Take official weights all the way: convert, export as ONNX, run without PyTorch, compare with the reference.

    python tools/check_exports.py CASE_DIR [CASE_DIR …]

A case folder is one of `tools/check_reference.py`. Its generators and its encoder are saved as ``.pth`` files with
their official keys, become a model and then ONNX files, which a process computes with that cannot import PyTorch. One
line is printed per case; the exit status is 1 where a deviation is above `TOLERANCE`.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file

import tandem
from tandem.checkpoint.convert import Told, convert
from tandem.inference.onnx.export import export_onnx

TOLERANCE = 1e-4
"""Largest deviation, relative to a tensor's largest magnitude: float32 against the reference's float64."""
NETWORKS = {"G", "E", "G_A", "G_B"}
WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
import numpy as np
from pathlib import Path
from tandem.inference.onnx.load import load_onnx
folder = Path(sys.argv[1])
given = dict(np.load(folder / "given.npz"))
engine = load_onnx(folder / "m.onnx", device="cpu", threads=1)[1]
found = {}
for name, array in given.items():
    network, _, key = name.partition("|")
    if network == "encoder":
        found["mu"], found["logvar"] = engine.encode(array)
    elif not key.endswith("z"):
        z = given.get(f"{name}.z", np.zeros((len(array), 0), np.float32))
        found[key] = engine.generate(network, array, z, None)
np.savez(folder / "found.npz", **found)
"""


def main(cases: list[Path]) -> int:
    """Check some cases and print a line for each."""
    worst = 0.0
    for case in cases:
        largest, name = _largest(case)
        worst = max(worst, largest)
        print(f"{case.name}: converted, exported and run without PyTorch; largest deviation {largest:.1e} ({name})")
    return int(worst > TOLERANCE)


def _largest(case: Path) -> tuple[float, str]:
    """The largest relative deviation of a case, and of which tensor."""
    method = json.loads((case / "case.json").read_text(encoding="utf-8"))["method"]
    inputs, expected = load_file(case / "inputs.safetensors"), load_file(case / "expected.safetensors")
    with tempfile.TemporaryDirectory(prefix="tandem-check-") as name:
        folder = Path(name)
        convert(_saved(case, folder), folder / "model", Told(method=method, dropout=False))
        export_onnx(folder / "model", folder / "m.onnx")
        np.savez(folder / "given.npz", **_given(method, inputs, expected))  # type: ignore[arg-type]
        subprocess.run([sys.executable, "-c", WITHOUT_TORCH, folder], check=True)
        found = dict(np.load(folder / "found.npz"))
        if method == "pix2pix":  # the reference's batch norm counts both images, a model's each alone
            translator = tandem.load(folder / "model", device="cpu")
            images = [np.moveaxis(one, 0, 2) for one in inputs["step0.A"]]
            outputs = [np.asarray(translator(one, 1, value_range=(-1, 1), output="tensor")) for one in images]
            expected["step0.fake_B"] = np.concatenate(outputs)
    deviations = {}
    for key, array in found.items():
        right = expected[f"step0.{key}"]
        deviations[key] = float(np.abs(array - right).max() / np.abs(right).max())
    return max((value, key) for key, value in deviations.items())


def _saved(case: Path, folder: Path) -> list[Path]:
    states: dict[str, dict[str, torch.Tensor]] = {}
    for key, value in load_file(case / "initial_weights.safetensors").items():
        network, _, rest = key.partition(".")
        if network in NETWORKS:
            states.setdefault(network, {})[rest] = torch.from_numpy(value)
    paths = []
    for network, state in states.items():
        paths.append(folder / f"latest_net_{network}.pth")
        torch.save(state, paths[-1])
    return paths


def _given(method: str, inputs: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What the networks are given, as ``NETWORK|OUTPUT``, with its latent as ``NETWORK|OUTPUT.z``."""
    a, b = inputs["step0.A"], inputs["step0.B"]
    if inputs.get("step0.flipped", np.zeros(1))[0]:
        a = np.ascontiguousarray(a[..., ::-1])
    match method:
        case "bicyclegan":
            z = expected["step0.mu"] + inputs["step0.eps"] * np.exp(expected["step0.logvar"] / 2)
            return {
                "encoder|": b[:1],
                "generator|fake_B_encoded": a[:1],
                "generator|fake_B_encoded.z": z.astype(np.float32),
                "generator|fake_B_random": a[:1],
                "generator|fake_B_random.z": inputs["step0.z_random"].astype(np.float32),
            }
        case "cyclegan":
            return {
                "gen_ab|fake_B": a,
                "gen_ba|fake_A": b,
                "gen_ba|rec_A": expected["step0.fake_B"],
                "gen_ab|rec_B": expected["step0.fake_A"],
            }
        case _:
            return {"generator|fake_B": a}


if __name__ == "__main__":
    sys.exit(main([Path(argument) for argument in sys.argv[1:]]))
