"""``python -m benchmarks.serving MODEL``: the HTTP service against a plain FastAPI handler around PyTorch.

Both are processes of their own on this machine and get the same requests from the same clients, in turn. CPU time of a
request is that of the server's process; where other programs share the machine, its ratio says more than that of the
throughput, since the system gives a server with more threads a larger share.
"""

import importlib.util
import statistics
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.command import at_least, make_parser, reporting, write
from benchmarks.serving.clients import ask
from benchmarks.serving.servers import Server, running
from tandem.bench.header import header_line, make_header
from tandem.data.array_files import encoded
from tandem.errors import ConfigError

CLIENTS = (1, 4, 16, 64)
PICTURES = 8
WARM_UP = 64


@reporting
def main(arguments: Sequence[str]) -> None:
    """Parse the options, measure, print."""
    parser = make_parser("serving", "Measure the HTTP service against a plain handler.", has_device=False)
    parser.add_argument("model", type=Path, help="the folder of a model, such as that of the demo (runs/demo/tandem)")
    parser.add_argument("--size", type=at_least(8), default=64, help="side of the images, in pixels")
    parser.add_argument(
        "--clients", type=at_least(1), nargs="+", default=list(CLIENTS), help="clients at the same time"
    )
    parser.add_argument("--requests", type=at_least(16), default=200, help="of a measurement")
    parser.add_argument("--rounds", type=at_least(1), default=3, help="rounds; medians are over these")
    parser.add_argument("--memory", type=at_least(0), default=0, help="requests of the test of the memory; 20000")
    args = parser.parse_args(arguments)
    if importlib.util.find_spec("fastapi") is None:
        raise ConfigError("the plain handler needs FastAPI, which no extra brings: pip install fastapi.")
    rng = np.random.default_rng(0)
    images = [_picture(rng, args.size) for _ in range(PICTURES)]
    model = str(args.model)
    words = {
        "plain": ["-m", "benchmarks.serving.plain", model, "PORT"],
        "tandem serve": ["-m", "tandem", "serve", model, "--device", "cpu", "--port", "PORT", "--max-waiting", "256"],
        "tandem serve --max-batch 1": [
            *("-m", "tandem", "serve", model, "--device", "cpu", "--port", "PORT", "--max-waiting", "256"),
            *("--max-batch", "1"),
        ],
    }
    with ExitStack() as stack:
        servers = [stack.enter_context(running(name, one)) for name, one in words.items()]
        rows = _measure(servers, images, args.clients, args.requests, args.rounds)
        memory = _memory(servers[1], images, args.memory) if args.memory else []
    report = {"header": make_header(torch.device("cpu")), "rows": rows, "memory_mb": memory}
    write(report, _text(report), as_json=args.json)


def _picture(rng: np.random.Generator, size: int) -> bytes:
    """A drawing: a few boxes on white."""
    picture = np.full((size, size, 3), 255, np.uint8)
    for _ in range(4):
        top, left = rng.integers(0, size // 2, 2)
        height, width = rng.integers(2, size // 2, 2)
        picture[top : top + height, left : left + width] = rng.integers(0, 255, 3)
    return encoded(picture, ".png")


def _measure(
    servers: Sequence[Server], images: Sequence[bytes], numbers: Sequence[int], requests: int, rounds: int
) -> list[dict[str, Any]]:
    for server in servers:
        ask(server, images, clients=4, requests=WARM_UP)
    rows = []
    for clients in numbers:
        found: dict[str, list[tuple[float, float, float]]] = {server.name: [] for server in servers}
        wrong: dict[str, int] = dict.fromkeys(found, 0)
        differing: dict[str, int] = dict.fromkeys(found, 0)
        for _ in range(rounds):
            for server in servers:
                before = server.cpu_seconds
                answers = ask(server, images, clients=clients, requests=requests)
                cpu = (server.cpu_seconds - before) / requests
                found[server.name].append((answers.per_second, answers.p95, cpu))
                wrong[server.name] += answers.failed
                differing[server.name] += answers.differing
        medians = {
            name: [statistics.median(column) for column in zip(*values, strict=True)] for name, values in found.items()
        }
        plain = medians[servers[0].name]
        for name, (per_second, p95, cpu) in medians.items():
            row = {"clients": clients, "server": name, "per_second": per_second, "p95_ms": 1000 * p95}
            row |= {"times_per_second": per_second / plain[0], "times_p95": p95 / plain[1], "cpu_ms": 1000 * cpu}
            rows.append(row | {"failed": wrong[name], "differing": differing[name]})
    return rows


def _memory(server: Server, images: Sequence[bytes], requests: int) -> list[float]:
    """Memory in MB after each tenth of the requests."""
    found = []
    for _ in range(10):
        ask(server, images, clients=16, requests=requests // 10)
        found.append(server.memory_mb)
    return found


def _text(report: Mapping[str, Any]) -> str:
    lines = [
        header_line(report["header"]),
        "clients  server                       answers/s  times  p95 ms  times  CPU ms  failed  differing",
    ]
    for row in report["rows"]:
        lines.append(
            f"{row['clients']:7d}  {row['server']:27s}  {row['per_second']:9.1f}  {row['times_per_second']:5.2f}  "
            f"{row['p95_ms']:6.0f}  {row['times_p95']:5.2f}  {row['cpu_ms']:6.1f}  {row['failed']:6d}  "
            f"{row['differing']:9d}"
        )
    if report["memory_mb"]:
        lines.append(f"MB after each tenth of the requests: {', '.join(f'{one:.1f}' for one in report['memory_mb'])}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
