"""Networks from outside: any feature extractor or segmentation model, as an ONNX or a TorchScript file.

The question of trust: an ONNX file is a graph of operators without access to files, and is read from memory, so that it
cannot name others. **A TorchScript file is a program.** `torch.jit.load` runs no Python, but the program may use every
operator of PyTorch, those that read and write files included. It is therefore refused unless the caller says that it
is trusted, and should be no less trusted than a script one would run.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from tandem.errors import DataError, WeightsError
from tandem.inference.onnx.runtime import onnx_runtime
from tandem.interrupts import raise_lost
from tandem.networks.backbones.tensor_files import sha256_of
from tandem.threads import session_options

ExternalKind = Literal["onnx", "torchscript"]


class ExternalNetwork:
    """A network from a file, called on a batch of images ``(N, 3, H, W)``, float32.

    Attributes:
        kind: Of which kind the file is.
        sha256: Its hash.
    """

    def __init__(self, kind: ExternalKind, sha256: str, run: Callable[[Tensor], Tensor]) -> None:
        self.kind: ExternalKind = kind
        self.sha256 = sha256
        self._run = run

    def __call__(self, x: Tensor) -> Tensor:
        """The network's (first) output, on the device of `x`.

        Raises:
            DataError: It fails on this input, or gives no finite tensor.
        """
        try:
            output = self._run(x)
        except RuntimeError as error:
            raise DataError(
                f"the {self.kind} network fails on an input of the shape {tuple(x.shape)}: {_brief(error)}"
            ) from error
        if output.is_floating_point() and not output.isfinite().all():
            raise DataError(f"the {self.kind} network gives values that are not finite.")
        return output


def load_external(path: Path, *, device: torch.device, trust_torchscript: bool = False) -> ExternalNetwork:
    """Load a network.

    Args:
        path: An ONNX file if it ends in ``.onnx``, a TorchScript file otherwise.
        device: Where TorchScript runs; ONNX runs on the CPU.
        trust_torchscript: Whether this file may run as a program; see the module.

    Raises:
        WeightsError: It cannot be read, or is TorchScript and not trusted.
        MissingExtraError: ONNX needs the extra ``onnx``.
    """
    digest = sha256_of(path)
    if path.suffix.lower() == ".onnx":
        return ExternalNetwork("onnx", digest, _onnx(path))
    if not trust_torchscript:
        raise WeightsError(
            f"{path} would be loaded as TorchScript, which is a program that can read and write files. If you trust "
            "it, say so (trust_torchscript=True); otherwise give the network as an .onnx file."
        )
    return ExternalNetwork("torchscript", digest, _torchscript(path, device))


def _torchscript(path: Path, device: torch.device) -> Callable[[Tensor], Tensor]:
    try:
        module = torch.jit.load(path, map_location=device).eval()
    except MemoryError:
        raise
    except Exception as error:
        raise_lost(error)
        raise WeightsError(f"{path} cannot be read as TorchScript: {_brief(error)}") from error

    def run(x: Tensor) -> Tensor:
        return _first_tensor(module(x.contiguous()))

    return run


def _onnx(path: Path) -> Callable[[Tensor], Tensor]:
    onnxruntime = onnx_runtime(f"Reading {path.name}")
    options = session_options(onnxruntime)
    options.log_severity_level = 4
    try:
        # From memory: a model cannot refer to files beside it, or anywhere else.
        session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    except MemoryError:
        raise
    except Exception as error:
        raise_lost(error)
        raise WeightsError(
            f"{path} cannot be read as ONNX (one file, with its weights inside): {_brief(error)}"
        ) from error
    inputs = session.get_inputs()
    if len(inputs) != 1:
        raise WeightsError(f"{path} takes {len(inputs)} inputs; expected one, the images.")

    def run(x: Tensor) -> Tensor:
        array = np.ascontiguousarray(x.cpu().numpy())
        try:
            outputs = session.run(None, {inputs[0].name: array})
        except _onnx_errors(onnxruntime) as error:
            raise RuntimeError(str(error)) from error
        return _first_tensor([torch.from_numpy(np.array(outputs[0]))]).to(x.device)

    return run


def _onnx_errors(onnxruntime: Any) -> tuple[type[Exception], ...]:
    errors = vars(onnxruntime.capi.onnxruntime_pybind11_state)
    return tuple(value for value in errors.values() if isinstance(value, type) and issubclass(value, Exception))


def _first_tensor(output: Any) -> Tensor:
    """The output itself, or the first of a tuple, a list or a dict (as segmentation models give)."""
    if isinstance(output, dict):
        output = list(output.values())
    if isinstance(output, list | tuple) and output:
        output = output[0]
    if not isinstance(output, Tensor):
        raise RuntimeError(f"the output is a {type(output).__name__}, not a tensor")
    return output


def _brief(error: Exception) -> str:
    text = str(error).strip().partition("\n")[0] or type(error).__name__
    return text[:300]
