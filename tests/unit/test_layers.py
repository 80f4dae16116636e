"""The order of the layers, and what is imported without PyTorch."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import tandem

ROOT = Path(tandem.__file__).parent
ORDER = [
    {"version", "errors", "memory", "threads", "interrupts"},
    {"names"},
    {"foreign", "locks"},
    {"config"},
    {"rng", "files", "launch", "terminal"},
    {"targets", "prior", "tensors"},
    {"fetch"},
    {"data"},
    {"networks"},
    {"objectives"},
    {"report"},
    {"checkpoint"},
    {"training", "inference"},
    {"evaluation"},
    {"bench"},
    {"serving"},
    {"web"},
    {"commands"},
    {"api"},
    {"cli"},
    {"__main__", ""},
]
"""A module imports only from its own package and from lines above; "" is tandem/__init__.py with its lazy names."""

LAYER = {name: index for index, names in enumerate(ORDER) for name in names}


def package_of(module: str) -> str:
    return [*module.split("."), ""][1]


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imports_of(path: Path) -> Iterator[str]:
    """All modules of the project that a file imports, at the top or inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            if node.module == "tandem":
                yield from (f"tandem.{alias.name}" for alias in node.names)
            elif node.module and node.module.startswith("tandem."):
                yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("tandem."))


def test_every_package_has_a_place() -> None:
    assert {package_of(name) for name, _ in modules()} <= LAYER.keys()


def test_modules_import_only_what_is_below() -> None:
    wrong = []
    for name, path in modules():
        package = package_of(name)
        for imported in imports_of(path):
            other = package_of(imported)
            if other != package and not LAYER[other] < LAYER[package]:
                wrong.append(f"{name} imports {imported}")
    assert wrong == []


def test_inference_needs_no_training() -> None:
    for name, path in modules():
        if package_of(name) == "inference":
            assert not {package_of(imported) for imported in imports_of(path)} & {"objectives", "training"}, name


def test_the_walk_finds_imports_inside_functions(tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text(
        "import tandem.data.images\n"
        "from tandem import rng\n"
        "def f():\n"
        "    from tandem.training.step import train_step\n"
        "    import torch\n"
    )
    assert list(imports_of(tmp_path / "x.py")) == ["tandem.data.images", "tandem.rng", "tandem.training.step"]


def without_torch() -> list[str]:
    names = {name for name, _ in modules()}
    light = {name for name in names if package_of(name) in {"config", "prior", "fetch", "data", "report"}}
    of_tensors = ("contrast", "handover", "loader", "prefetch", "resident")
    light -= {f"tandem.data.{name}" for name in of_tensors}
    return ["tandem", "tandem.cli", *sorted(light), "tandem.checkpoint.manifest", "tandem.inference.translator"]


def test_start_up_does_not_load_torch() -> None:
    """One process: torch must not be there after any of the imports."""
    code = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]:\n"
        "    importlib.import_module(name)\n"
        "    assert 'torch' not in sys.modules, name\n"
    )
    result = subprocess.run([sys.executable, "-c", code, *without_torch()], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_public_names() -> None:
    for name in tandem.__all__:
        assert getattr(tandem, name) is not None
    assert set(dir(tandem)) == set(tandem.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = tandem.nothing
