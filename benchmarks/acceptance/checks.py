"""What is right or wrong: the environment, the tests that need a GPU, the reference numbers."""

import ast
import importlib.metadata
import importlib.util
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path

import torch

from benchmarks.acceptance.settings import ROOT, Outcome, Settings, SkippedPart
from tandem.bench.header import header_line, make_header
from tandem.training.device import configure_backends

PACKAGES = {
    name.lower().replace("pillow", "PIL").replace("pyyaml", "yaml"): name
    for name in ("numpy", "Pillow", "safetensors", "rich", "fsspec", "PyYAML", "pytest", "hypothesis", "triton")
}
"""Distributions by the module that they bring."""
REFERENCE_CASES = ROOT / "tests" / "fixtures" / "reference"


def environment(settings: Settings) -> Outcome:
    """Hardware, versions, and which packages are missing."""
    device = torch.device(settings.device)
    configure_backends(device, deterministic=False)
    header = make_header(device)
    versions = {package: _version(module) for module, package in PACKAGES.items()}
    cards = torch.cuda.device_count() if torch.cuda.is_available() else 0
    missing = [name for name, version in versions.items() if version is None]
    there = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    lines = [header_line(header), "", f"{cards} GPU(s). Installed: {there}. Missing: {', '.join(missing) or 'none'}."]
    return Outcome({"header": header, "packages": versions, "gpus": cards}, "\n".join(lines))


def tests(settings: Settings) -> Outcome:
    """The tests marked `gpu`; files that need missing packages are skipped with the reason."""
    del settings
    if _version("pytest") is None:
        raise SkippedPart("this machine lacks pytest")
    files = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_*.py") if _has_gpu_mark(path))
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.xml"
        command = [sys.executable, "-m", "pytest", *files, "-m", "gpu", "-p", "benchmarks.acceptance.skip_missing"]
        # The options of pyproject.toml are strict about plugins that a bare machine does not have.
        command += ["-o", "addopts=", "-p", "no:cacheprovider", "-q", "-ra", f"--junitxml={results}"]
        status = subprocess.run(command, cwd=ROOT, check=False).returncode
        if not results.exists():
            return Outcome({"status": status}, "", [f"pytest ended with status {status} before any test"])
        counts, lines = _read_results(results)
    text = ", ".join(f"{number} {name}" for name, number in counts.items())
    failures = [f"pytest ended with status {status}"] if status not in {0, 5} else []
    if not failures and not counts["passed"]:
        raise SkippedPart("; ".join(dict.fromkeys(lines)) or "there are no tests")
    return Outcome({"status": status, **counts, "notes": lines}, "\n".join([text, "", *lines]), failures)


def reference(settings: Settings) -> Outcome:
    """Training steps in float64 against the numbers of the official implementations, on this machine's CPU."""
    cases = sorted(map(str, REFERENCE_CASES.iterdir()))
    if settings.smoke:
        cases = cases[:1]
    command = [sys.executable, str(ROOT / "tools" / "check_reference.py"), *cases]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    sys.stdout.write(done.stdout + done.stderr)
    failures = [] if done.returncode == 0 else [f"check_reference.py ended with status {done.returncode}"]
    return Outcome({"status": done.returncode, "lines": done.stdout.splitlines()}, f"```\n{done.stdout}```", failures)


def _version(module: str) -> str | None:
    return None if importlib.util.find_spec(module) is None else importlib.metadata.version(PACKAGES[module])


def _has_gpu_mark(path: Path) -> bool:
    """Whether a test file uses ``pytest.mark.gpu``: others need not be imported."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return any(isinstance(node, ast.Attribute) and ast.unparse(node) == "pytest.mark.gpu" for node in nodes)


def _read_results(path: Path) -> tuple[dict[str, int], list[str]]:
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    notes = []
    for case in ET.parse(path).getroot().iter("testcase"):
        kinds = {child.tag: child for child in case}
        skip = kinds.get("skipped")
        if skip is not None:
            counts["skipped"] += 1
            notes.append(f"skipped: {_reason(skip)}")
        elif "failure" in kinds or "error" in kinds:
            counts["failed"] += 1
            notes.append(f"failed: {case.get('classname')}.{case.get('name')}")
        else:
            counts["passed"] += 1
    return counts, notes


def _reason(skip: ET.Element) -> str:
    """Of a test its message; of a whole file it stands in the text."""
    message = skip.get("message") or ""
    return message if message and message != "collection skipped" else (skip.text or "").strip("() \n")[:300]
