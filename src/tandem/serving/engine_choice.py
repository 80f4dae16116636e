"""What runs a model in the service: ONNX Runtime, where that does all that may be asked of it."""

import dataclasses
import importlib.util
import math
from pathlib import Path

from tandem.config.specifications import GeneratorSpec
from tandem.errors import ConfigError
from tandem.inference.engine import read_manifest_at
from tandem.inference.memory import forward_bytes
from tandem.inference.onnx.engine import require_no_dropout
from tandem.inference.onnx.load import is_onnx_file
from tandem.inference.runtime import Runtime


def served_runtime(path: Path, runtime: Runtime, *, device: str, max_pixels: int) -> Runtime:
    """The same runtime, with an engine for ``auto``.

    On a CPU that is ONNX Runtime, which takes about half the time there, where it is installed. It is PyTorch for what
    ONNX Runtime does not do: dropout as noise, tiles for images that are too large for the memory, bfloat16.

    Args:
        path: The model.
        runtime: How it is to be run.
        device: Where.
        max_pixels: Of the largest image that the service takes.
    """
    if runtime.engine != "auto" or is_onnx_file(path) or importlib.util.find_spec("onnxruntime") is None:
        return runtime
    if runtime.precision != "fp32" or runtime.compile or runtime.tile not in ("auto", 0) or not is_cpu(device):
        return runtime
    manifest = read_manifest_at(path)
    try:
        require_no_dropout(manifest)
    except ConfigError:
        return runtime
    side = math.isqrt(max_pixels)
    generators = [spec for spec in manifest.networks.values() if isinstance(spec, GeneratorSpec)]
    fits = all(forward_bytes(spec, side, side) <= runtime.budget_bytes for spec in generators)
    return dataclasses.replace(runtime, engine="onnx") if fits else runtime


def is_cpu(device: str) -> bool:
    """Whether a choice of device means the CPU here."""
    if device != "auto" or importlib.util.find_spec("torch") is None:
        return device == "cpu"
    from tandem.networks.device import choose_device  # noqa: PLC0415  (imports torch)

    return choose_device(device).type == "cpu"
