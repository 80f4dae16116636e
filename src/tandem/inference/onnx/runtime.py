"""ONNX Runtime, which is an extra, without what it would send."""

import os
from types import ModuleType

from tandem.errors import MissingExtraError


def onnx_runtime(what: str) -> ModuleType:
    """The module ``onnxruntime``.

    From 1.29 on its builds for Linux and macOS report over the network what a process does with models, and keep an
    identifier below the home folder, from the import on: `disable_telemetry_events` comes too late for both.
    ``ORT_DISABLE_TELEMETRY=1`` turns that off, and is set here unless the environment says otherwise.

    Args:
        what: What needs it, as the beginning of a sentence.

    Raises:
        MissingExtraError: It is not installed.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnxruntime  # noqa: PLC0415  (an extra)
    except ImportError as error:
        raise MissingExtraError("onnxruntime", "onnx", what) from error
    return onnxruntime
