"""Standard output and error of any encoding take all that the commands say; a terminal obeys nothing in it."""

import io
import logging
import sys

import pytest

from tandem.cli import main
from tandem.terminal import MessageFormatter, prepare_streams

COMMANDS = [
    ["--help"],
    ["train", "--help"],
    ["sample", "--help"],
    ["evaluate", "--help"],
    ["data", "download", "--list"],
    ["presets"],
    ["train", "--preset", "facades", "--print-config"],
]


def stream(encoding: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True)


def text_of(written: io.TextIOWrapper) -> str:
    assert isinstance(written.buffer, io.BytesIO)
    return written.buffer.getvalue().decode(written.encoding)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "koi8-r", "shift_jis"])
def test_any_encoding(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    for words in COMMANDS:
        monkeypatch.setattr(sys, "stdout", stream(encoding))
        monkeypatch.setattr(sys, "stderr", stream(encoding))
        try:
            status = main(words)
        except SystemExit as end:
            status = end.code
        assert status == 0
        assert text_of(sys.stdout)  # type: ignore[arg-type]


def test_usual_signs_in_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", stream("ascii"))
    prepare_streams()
    sys.stdout.write("64×64 → a…, \u732b, \udcff")
    assert text_of(sys.stdout) == "64x64 -> a..., \\u732b, \\xff"  # type: ignore[arg-type]


def test_messages_and_log_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", stream("utf-8"))
    assert main(["data", "check", "\x1b[2Jx\udcc4"]) == 1
    assert "The dataset folder \\x1b[2Jx\\xc4 does not exist" in text_of(sys.stderr)  # type: ignore[arg-type]
    record = logging.LogRecord("tandem", logging.INFO, "", 0, "page: %s", ("\x1b]0;x\x07",), None)
    assert MessageFormatter("%(message)s").format(record) == "page: \\x1b]0;x\\x07"
