"""The packages that are published are the same bytes wherever they are built, and hold the whole package."""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


def build(tree: Path, out: Path, **environment: str) -> dict[str, str]:
    subprocess.run(
        [sys.executable, tree / "tools" / "build.py", out], env={**os.environ, **environment}, check=True, umask=0o077
    )
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in out.iterdir()}


def test_two_builds_are_the_same_bytes(tmp_path: Path) -> None:
    """In another folder, at another time, with another umask, time zone and leftovers of an editable installation."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("this is no checkout")
    other = tmp_path / "elsewhere" / "clone"
    subprocess.run(["git", "clone", "--quiet", ROOT, other], check=True)
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    for name in filter(None, tracked.split("\0")):
        if (ROOT / name).is_file():
            shutil.copyfile(ROOT / name, other / name)
            os.utime(other / name, (0, 0))
    (other / "src" / "tandem_gan.egg-info").mkdir()
    (other / "src" / "tandem_gan.egg-info" / "SOURCES.txt").write_text("Makefile\n")
    first = build(ROOT, tmp_path / "first", TZ="UTC")
    assert build(other, tmp_path / "second", TZ="Asia/Tokyo", PYTHONHASHSEED="7", LC_ALL="C") == first
    wheel, sdist = sorted(tmp_path.glob("first/*"), key=lambda path: path.suffix != ".whl")
    with zipfile.ZipFile(wheel) as packed, tarfile.open(sdist) as source:
        inside = {name for name in packed.namelist() if name.startswith("tandem/")}
        members = {member.partition("/")[2] for member in source.getnames()}
    package = {name.removeprefix("src/") for name in tracked.split("\0") if name.startswith("src/tandem/")}
    assert package <= inside
    assert {f"src/{name}" for name in package} <= members
