"""axe-core, which finds what keeps people from using a page; from npm, checked by its hash, once a session."""

import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

_PACKAGE = "axe-core@4.14.1"
_SHA256 = "e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745"


def complaints(page: Any) -> list[tuple[str, str, list[str]]]:
    """What axe finds in a page of Playwright's: how bad it is, the rule, and the elements."""
    page.evaluate(_source())
    found = page.evaluate("axe.run(document)")
    assert len(found["passes"]) > 20, "it looked at the page"
    return [(one["impact"], one["id"], [str(node["target"]) for node in one["nodes"]]) for one in found["violations"]]


@lru_cache(maxsize=1)
def _source() -> str:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("axe-core comes from npm, which is not installed")
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", _PACKAGE, "--ignore-scripts", "--pack-destination", folder]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=120, cwd=folder)
        except (subprocess.SubprocessError, OSError) as error:
            pytest.skip(f"npm does not bring {_PACKAGE}: {error}")
        (archive,) = Path(folder).glob("*.tgz")
        assert hashlib.sha256(archive.read_bytes()).hexdigest() == _SHA256
        with tarfile.open(archive) as opened:
            file = opened.extractfile("package/axe.min.js")
            assert file is not None
            return file.read().decode()
