"""ONNX Runtime reports nothing by itself, and leaves nothing behind."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("onnxruntime", reason="the extra 'onnx' is not installed")

CODE = "from tandem.inference.onnx.runtime import onnx_runtime; onnx_runtime('A test').get_available_providers()"
KEPT = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH")
"""None by which ONNX Runtime knows a machine of CI, where it is quiet."""


def test_it_keeps_no_identifier(tmp_path: Path) -> None:
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    environment = {**kept, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    subprocess.run([sys.executable, "-c", CODE], env=environment, check=True, timeout=120)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
