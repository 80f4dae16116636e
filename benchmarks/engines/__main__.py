"""``python -m benchmarks.engines MODEL``: a model by PyTorch and by ONNX files of every storage, for 1 to 64 samples.

Each cell is a process of its own: CPU time until the first sample is there, wall and CPU time of a call, the most
memory that the process held. The cells take turns. Outputs are pictures of 8 bits; deviations are in their levels, from
PyTorch's.
"""

import json
import logging
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.command import at_least, make_parser, reporting, write

log = logging.getLogger(__name__)

STORAGES = ("fp32", "fp16", "int8")
WORKER = """
import json, sys, time
import numpy as np
import tandem
path, number, calls, threads, out = json.loads(sys.argv[1])
translator = tandem.load(path, device="cpu", threads=threads)
height, width = translator.manifest.preprocessing.size
channels = translator.manifest.preprocessing.input_channels
image = np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)
number = number if translator.is_stochastic else 1
translator(image, 1, seed=0, output="array")
start = time.process_time()
walls, cpus = [], []
for _ in range(calls):
    wall, cpu = time.perf_counter(), time.process_time()
    outputs = translator(image, number, seed=0, output="array")
    walls.append(time.perf_counter() - wall)
    cpus.append(time.process_time() - cpu)
np.save(out, outputs)
# ru_maxrss would be that of the process that started this one, where that was larger.
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) / 1024
print(json.dumps({"start": start, "walls": walls, "cpus": cpus, "peak_mib": peak, "samples": number}))
"""


@reporting
def main(arguments: Sequence[str]) -> None:
    """Parse the options, export, measure, print."""
    parser = make_parser("engines", "Measure a model by engine, storage and number of samples.", has_device=False)
    parser.add_argument("model", type=Path, help="folder of a run or a bundle")
    parser.add_argument("--samples", type=at_least(1), nargs="+", default=[1, 8, 64], help="samples of a call")
    parser.add_argument("--calls", type=at_least(1), default=5, help="calls that are timed in each process")
    parser.add_argument("--rounds", type=at_least(1), default=1, help="processes of each cell; medians are over these")
    parser.add_argument("--threads", type=at_least(1), default=1, help="CPU threads that compute")
    args = parser.parse_args(arguments)
    import torch  # noqa: PLC0415

    from tandem.bench.header import header_line, make_header  # noqa: PLC0415
    from tandem.checkpoint.manifest import read_manifest  # noqa: PLC0415
    from tandem.inference.onnx.export import export_onnx  # noqa: PLC0415

    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = {"torch fp32": args.model}
        for storage in STORAGES:
            paths[f"onnx {storage}"] = export_onnx(args.model, folder / f"{storage}.onnx", storage=storage)[0].path
        files = {what: read_manifest(path)[1] if path == args.model else path for what, path in paths.items()}
        sizes = {what: file.stat().st_size for what, file in files.items()}
        for number in args.samples:
            found: dict[str, list[dict[str, Any]]] = {what: [] for what in paths}
            for _ in range(args.rounds):
                for what, path in paths.items():
                    out = folder / f"{what}-{number}.npy"
                    found[what].append(_measured(path, number, args.calls, args.threads, out))
            right = np.load(folder / f"torch fp32-{number}.npy").astype(int)
            for what, several in found.items():
                off = np.abs(np.load(folder / f"{what}-{number}.npy").astype(int) - right)
                rows.append(_row(what, sizes[what], several) | {"largest": int(off.max()), "mean": float(off.mean())})
                log.info("%s", _line(rows[-1]))
    lines = "".join(f"{_line(row)}\n" for row in rows)
    header = make_header(torch.device("cpu")) | {"threads": args.threads}
    report = {"header": header, "calls": args.calls, "rows": rows}
    write(report, f"{header_line(header)}\n{lines}", as_json=args.json)


def _measured(path: Path, number: int, calls: int, threads: int, out: Path) -> dict[str, Any]:
    given = json.dumps([str(path), number, calls, threads, str(out)])
    finished = subprocess.run([sys.executable, "-c", WORKER, given], capture_output=True, text=True, check=True)
    return json.loads(finished.stdout)


def _row(what: str, size: int, several: Sequence[dict[str, Any]]) -> dict[str, Any]:
    wall, cpu = (statistics.median(one for found in several for one in found[key]) for key in ("walls", "cpus"))
    samples = several[0]["samples"]
    return {
        "what": what,
        "samples": samples,
        "file_mb": size / 1e6,
        "start_s": statistics.median(one["start"] for one in several),
        "latency_ms": 1000 * wall,
        "cpu_ms": 1000 * cpu,
        "per_second": samples / wall,
        "peak_mib": statistics.median(one["peak_mib"] for one in several),
    }


def _line(row: dict[str, Any]) -> str:
    return (
        f"{row['what']:<10}  {row['samples']:>3} samples  file {row['file_mb']:6.1f} MB  "
        f"start {row['start_s']:5.2f} s CPU  {row['latency_ms']:8.1f} ms  {row['cpu_ms']:8.1f} ms CPU  "
        f"{row['per_second']:7.1f} /s  {row['peak_mib']:5.0f} MiB  "
        f"off by {row['largest']} levels, {row['mean']:.3f} in the mean"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
