"""What git tracks is the project's: sources, texts and small fixtures, and nothing that a tool or a run has made."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FIXTURES = "tests/fixtures/"
MAX_BYTES, MAX_FIXTURE_BYTES = 2**20, 3 * 2**20
MADE = {
    "archives and packages": {".whl", ".zip", ".tar", ".gz", ".tgz", ".xz", ".bz2", ".7z", ".egg"},
    "weights and models": {".pt", ".pth", ".ckpt", ".onnx", ".pkl", ".h5", ".safetensors"},
    "arrays": {".npy", ".npz"},
    "compiled code": {".pyc", ".so", ".o", ".dll", ".exe"},
    "videos": {".mp4", ".mkv", ".webm", ".avi", ".gif"},
    "what tools leave": {".log", ".orig", ".rej", ".swp", ".prof", ".coverage", ".DS_Store"},
}
"""Endings of what does not belong into the repository."""
FIXTURE_SUFFIXES = {".png", ".json", ".npz", ".safetensors"}


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False).stdout


@pytest.fixture(scope="module")
def tracked() -> list[Path]:
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("this is no checkout")
    return [path for name in git("ls-files", "-z").split("\0") if name and (path := ROOT / name).exists()]


def is_fixture(path: Path) -> bool:
    return path.relative_to(ROOT).as_posix().startswith(FIXTURES)


def test_no_tracked_file_is_large(tracked: list[Path]) -> None:
    limits = {path: MAX_FIXTURE_BYTES if is_fixture(path) else MAX_BYTES for path in tracked}
    assert {str(path): path.stat().st_size for path, most in limits.items() if path.stat().st_size > most} == {}


def test_nothing_tracked_was_made_by_a_tool_or_a_run(tracked: list[Path]) -> None:
    kinds = {suffix: kind for kind, suffixes in MADE.items() for suffix in suffixes}
    found = {str(path): kinds.get(path.suffix, kinds.get(path.name)) for path in tracked if not is_fixture(path)}
    assert {path: kind for path, kind in found.items() if kind} == {}
    assert {path.suffix for path in tracked if is_fixture(path)} <= FIXTURE_SUFFIXES


def test_nothing_tracked_is_ignored(tracked: list[Path]) -> None:
    """Such a file would be in the repository although .gitignore says that a tool or a run makes it."""
    assert tracked
    assert git("ls-files", "--cached", "--ignored", "--exclude-standard").split() == []


@pytest.mark.parametrize("name", ["runs/a/log.jsonl", "datasets/a.png", ".coverage", ".coverage.host.1", "a-1.whl"])
def test_what_runs_and_tools_make_is_ignored(name: str, tracked: list[Path]) -> None:
    assert tracked
    assert git("check-ignore", name).strip() == name


WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def steps_of(path: Path) -> list[dict[str, Any]]:
    jobs = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]
    return [step for job in jobs.values() for step in job["steps"]]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_run_targets_of_the_makefile_with_few_rights(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    assert all(job["timeout-minutes"] for job in workflow["jobs"].values())
    commands = [step["run"] for step in steps_of(path) if "run" in step]
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {command.removeprefix("make ") for command in commands} <= targets
    used = [step["uses"] for step in steps_of(path) if "uses" in step]
    assert all(re.fullmatch(r"actions/[\w-]+@v\d+", action) for action in used)


def test_ci_tests_every_python_that_is_promised_and_does_what_the_local_script_does() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    prefix = "Programming Language :: Python :: "
    promised = [name.removeprefix(prefix) for name in project["classifiers"] if name.startswith(prefix)]
    path = ROOT / ".github" / "workflows" / "ci.yml"
    assert yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]["tests"]["strategy"]["matrix"]["python"] == promised
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    local = targets(*re.findall(r"^make .*", script, re.MULTILINE))
    assert local >= {"browser", "docs", "lint", "setup", "test", "types"}
    assert local <= targets(*(step.get("run", "") for step in steps_of(path)))


def targets(*commands: str) -> set[str]:
    """What calls of make are asked for."""
    return {word for line in commands if line.startswith("make ") for word in re.findall(r" ([a-z][a-z-]*)", line)}


def test_findings_are_listed_pinned_and_know_nothing_of_tandem() -> None:
    text = (ROOT / "findings" / "README.md").read_text(encoding="utf-8")
    scripts = sorted((ROOT / "findings").glob("*.sh"))
    assert re.findall(r"^\| `([\w-]+)` \|", text, re.MULTILINE) == [script.stem for script in scripts]
    for script in scripts:
        code = script.read_text(encoding="utf-8")
        installed = re.search(r"pip install --quiet --disable-pip-version-check (.*)", code)
        assert installed is not None, script.name
        assert all(re.fullmatch(r"[\w-]+==[\d.]+", package) for package in installed[1].split())
        assert "tandem" not in code.lower()
