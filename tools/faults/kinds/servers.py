"""Servers that drip, send no end of interim answers, no length, or nothing at all; then they serve."""

import random
from pathlib import Path
from typing import Any

from tests.file_server import FileServer
from tools.faults.ground import Ground
from tools.faults.kinds.disks import broken
from tools.faults.trial import Kind, Verdict

SECONDS = 30.0
"""How long a call may take; each silence that it meets ends after half a second."""
_OK = b"HTTP/1.1 200 OK\r\n"
_RAW = (
    (b"", b""),
    (b"", b"H"),
    (_OK + b"X-Long: ", b"x"),
    (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    (b"", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"),
    (_OK + b"Transfer-Encoding: chunked\r\n\r\n", b"0"),
    (_OK + b"Content-Length: 600000\r\n\r\n", b"x"),
    (b"SSH-2.0-\x1b[2J\x00\r\n\r\n", b""),
    (_OK + b"Content-Length: -1\r\n\r\n", b""),
    (_OK + b"Content-Length: 99999999999999999999\r\n\r\n", b"x"),
)


def _behaviour(draws: random.Random, size: int) -> dict[str, Any]:
    return draws.choice(
        [
            {"raw": draws.choice(_RAW), "seconds_per_chunk": draws.choice([0.0005, 0.02])},
            {"close_delimited": True, "cut_after": [draws.randrange(size)]},
            {"close_delimited": True, "surplus": b"x" * 1000},
            {"stall_before_head": True},
            {"stall_after": draws.randrange(size)},
            {"cut_after": [draws.randrange(size)] * 9, "reset": draws.random() < 0.5},
            {"announce": draws.choice([0, 1, size - 1, size + 1, 10**15])},
            {"redirect": "/facades.zip"},
            {"statuses": [draws.choice([403, 404, 429, 500, 503])] * 9},
            {"content_range": "bytes 5-1/2", "cut_after": [size // 2]},
            {"range_shift": 7, "cut_after": [size // 2]},
            {"encoding": "gzip"},
            {"content_type": "text/html"},
            {"chunked": True, "cut_after": [draws.randrange(size)]},
        ]
    )


def misbehave(ground: Ground, draws: random.Random) -> Verdict:
    """Download from a server that misbehaves, then from one that does not."""
    command = ground.commands()["data-download"]
    ground.expected(command)
    out = ground.fresh(command)
    content = ground.archive.read_bytes()
    behaviour = _behaviour(draws, len(content))
    with FileServer(Path("/dev/null")).running() as server:
        server.serve("/facades.zip", content, **behaviour)
        words = ["data", "download", "facades", "--mirror", f"{server.url}/facades.zip", "--unchecked", "--out", out]
        ended = ground.call([*words, "--tries", "2", "--timeout", "0.5"], seconds=SECONDS)
        server.serve("/facades.zip", content)
        again = ground.call(words, seconds=SECONDS)
    shown = ", ".join(f"{name}={str(value)[:60]}" for name, value in behaviour.items())
    did = f"a server with {shown}: status {ended.status} after {ended.seconds:.1f} s, then {again.status}"
    return Verdict(did, broken(ended) or broken(again) or (again.last_line if again.status else _difference(ground)))


def _difference(ground: Ground) -> str:
    """How the images differ; where the archive came from is told beside them."""
    command = ground.commands()["data-download"]
    wrong = ground.difference(command)
    return "" if wrong.startswith("1 files") and wrong.endswith(".json") else wrong


KINDS = (
    Kind(
        "servers",
        "A server that misbehaves does not hold a command, and the next call brings the right files",
        misbehave,
    ),
)
