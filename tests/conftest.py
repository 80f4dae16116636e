"""What all tests share: one thread (tests are small), folders in memory, reproducible property tests, tiny models."""

import gc
import importlib.util
import os
import shutil
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
import torch

from tiny_bundle import write_bundle

torch.set_num_threads(1)
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # some tests import ONNX Runtime themselves
if importlib.util.find_spec("hypothesis") is not None:  # the tests for a GPU run without it, on a bare machine
    from hypothesis import settings

    settings.register_profile("tandem", derandomize=True, deadline=None, max_examples=30, database=None)
    settings.load_profile("tandem")

FIXTURES = Path(__file__).parent / "fixtures"
MEMORY = Path("/dev/shm")
ROOM = 4 * 2**30
"""Bytes that the folders of all tests need, with a margin."""

if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM:
    # Runs write every file to the disk before they go on. On a disk, waiting for that is a fifth of a tiny run.
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put whole runs first: where several processes share the files, none is left alone with a long one at the end."""
    folders = ["integration", "numeric", "unit"]
    items.sort(key=lambda item: next((at for at, name in enumerate(folders) if name in item.path.parts), len(folders)))


def pytest_collection_finish() -> None:
    """Leave what is imported out of garbage collections: going through all of PyTorch takes a third of a second."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Escape names of files that are no text in what a test has printed: xdist ends a worker that sends them."""
    report = yield
    report.sections = [(title, text.encode("utf-8", "backslashreplace").decode()) for title, text in report.sections]
    return report


@pytest.fixture
def reference_cases() -> dict[str, Path]:
    """Numbers of the reference implementation: see tools/check_reference.py."""
    return {folder.name: folder for folder in sorted((FIXTURES / "reference").iterdir())}


@pytest.fixture
def make_bundle(tmp_path: Path) -> Callable[..., Path]:
    """Writes a bundle of two tiny networks with random weights (sides are multiples of 8 px) and returns its folder."""

    def make(name: str = "model", **options: Any) -> Path:
        return write_bundle(tmp_path / name, **options)

    return make
