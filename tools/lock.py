"""``make lock``: write hashes.txt, the hashes of all files of every version that development needs, but for PyTorch.

uv finds out what the project and its extra ``dev`` need on any machine, in the versions of constraints.txt, and which
files an index has of each. PyTorch is left out, with what only its builds for GPUs need: which file it is differs by
machine and by registry.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
LEAST_PYTHON = "3.11.5"
"""The oldest for which all of constraints.txt can be installed."""
LEFT_OUT = {"torch"}
_HEAD = """\
# Hashes of what constraints.txt pins, for every machine; 'make lock' writes this file, 'make setup' holds what it
# installs against it. PyTorch is not here: its files differ by machine and registry.
"""
_ENTRY = re.compile(
    r"^([A-Za-z0-9][\w.-]*)==(\S+)(?: ; .*?)? \\\n(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+", re.MULTILINE
)


def main() -> int:
    """Write the file; returns the status of uv where it fails."""
    command = [Path(sys.executable).with_name("uv"), "pip", "compile", "--quiet", "--universal", "--generate-hashes"]
    command += ["--no-annotate", "--no-header", "--python-version", LEAST_PYTHON, "--extra", "dev"]
    command += ["--constraint", "constraints.txt", "pyproject.toml", "-"]
    done = subprocess.run(
        list(map(str, command)), cwd=ROOT, input="pip\nsetuptools\n", stdout=subprocess.PIPE, text=True, check=False
    )
    if not done.returncode:
        (ROOT / "hashes.txt").write_text(kept(done.stdout, (ROOT / "constraints.txt").read_text()))
    return done.returncode


def kept(compiled: str, constraints: str) -> str:
    """What uv says, of what `constraints` pins.

    Raises:
        ValueError: A version that is pinned is not there.
    """
    pins = pinned(constraints)
    found = {normal(name): (version, text) for name, version, text in entries(compiled)}
    if wrong := sorted(name for name in pins.keys() - LEFT_OUT if found.get(name, ("",))[0] != pins[name]):
        raise ValueError(f"pinned, and not what is needed: {', '.join(wrong)}")
    return _HEAD + "".join(text for name, (_, text) in sorted(found.items()) if name in pins.keys() - LEFT_OUT)


def pinned(text: str) -> dict[str, str]:
    """The versions by name that a file of constraints, or one with hashes, pins."""
    return {normal(name): version for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.MULTILINE)}


def entries(text: str) -> list[tuple[str, str, str]]:
    """Name, version and all lines of each entry with hashes."""
    return [(match[1], match[2], match[0]) for match in _ENTRY.finditer(text)]


def normal(name: str) -> str:
    """The one of the names that index and file may differ in."""
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    sys.exit(main())
