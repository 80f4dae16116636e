"""Commands whose output cannot be written: closed, full, or read by nobody any more."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full")

PRESETS = ("presets",)


def tandem(*words: str | Path, before: Callable[[], None] | None = None, **streams: object) -> tuple[int, str]:
    """The status and what standard error says, if that is not given away."""
    streams = {"stderr": subprocess.PIPE} | streams
    command = [sys.executable, "-m", "tandem", *map(str, words)]
    done = subprocess.run(command, text=True, preexec_fn=before, timeout=60, check=False, **streams)  # type: ignore[call-overload]
    return done.returncode, done.stderr or ""


def close(*numbers: int) -> Callable[[], None]:
    def before() -> None:
        for number in numbers:
            os.close(number)

    return before


@pytest.mark.parametrize("words", [("--version",), ("--help",), PRESETS, ("presets", "--help")])
def test_standard_output(words: tuple[str, ...]) -> None:
    assert tandem(*words, before=close(1)) == (0, "")
    lead = "tandem presets" if "presets" in words else "tandem"
    with Path("/dev/full").open("w") as full:
        assert tandem(*words, stdout=full) == (1, f"{lead}: No space left on device\n")
    read, write = os.pipe()
    os.close(read)
    try:
        assert tandem(*words, stdout=write) == (1, "")
    finally:
        os.close(write)


def test_work_goes_on_without_its_messages(tmp_path: Path) -> None:
    def drawn(name: str, **how: object) -> dict[str, bytes]:
        out = tmp_path / name
        status, said = tandem("data", "demo", out, "--size", "16", "--num-train", "2", "--num-val", "0", **how)
        assert (status, said) == (0, "") if how else status == 0, said
        return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}

    expected = drawn("a")
    assert len(expected) > 2
    assert drawn("b", before=close(0, 1, 2), stderr=None) == expected  # nothing is written into a file that it opens
    with Path("/dev/full").open("w") as full:
        assert drawn("c", stderr=full) == expected
    read, write = os.pipe()
    os.close(read)
    try:
        assert drawn("d", stdout=write, stderr=write) == expected
    finally:
        os.close(write)


def test_wrong_use_is_still_told(capfd: pytest.CaptureFixture[str]) -> None:
    assert tandem("presets", "--nonsense", stderr=None)[0] == 2
    assert "there is no option --nonsense" in capfd.readouterr().err
