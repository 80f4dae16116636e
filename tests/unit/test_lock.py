"""hashes.txt has what constraints.txt pins, and nothing else; and what is not pinned is not kept."""

import re
from pathlib import Path

import pytest

from lock import LEFT_OUT, entries, kept, pinned

ROOT = Path(__file__).parents[2]
COMPILED = """\
numpy==2.0.0 \\
    --hash=sha256:{a} \\
    --hash=sha256:{b}
nvidia-cublas==13.1 ; sys_platform == 'linux' \\
    --hash=sha256:{a}
Py_YAML==6.0 ; python_version < '3.12' \\
    --hash=sha256:{b}
torch==2.13.0 \\
    --hash=sha256:{a}
""".format(a="a" * 64, b="b" * 64)


def test_every_pin_has_hashes() -> None:
    pins, hashes = (pinned((ROOT / name).read_text()) for name in ("constraints.txt", "hashes.txt"))
    assert {name: version for name, version in pins.items() if name not in LEFT_OUT} == hashes
    assert {"pip", "setuptools"} <= hashes.keys()


def test_every_line_of_the_file_is_an_entry_or_a_comment() -> None:
    text = (ROOT / "hashes.txt").read_text()
    rest = text
    for _, _, lines in entries(text):
        rest = rest.replace(lines, "")
    assert [line for line in rest.splitlines() if not line.startswith("#")] == []


def test_what_is_not_pinned_is_left_out() -> None:
    text = kept(COMPILED, "numpy==2.0.0\npy-yaml==6.0\ntorch==2.13.0\n")
    assert re.findall(r"^\S+==\S+", text, re.MULTILINE) == ["numpy==2.0.0", "Py_YAML==6.0"]
    assert text.count("--hash=sha256:") == 3
    assert "; python_version < '3.12'" in text


def test_a_pin_that_does_not_hold_is_said() -> None:
    with pytest.raises(ValueError, match=r"pinned, and not what is needed: numpy$"):
        kept(COMPILED, "numpy==2.1.0\npy-yaml==6.0\n")
