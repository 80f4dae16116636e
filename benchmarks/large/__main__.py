"""``python -m benchmarks.large MODEL``: memory and time of a large TIFF, from file to file.

Each image is translated by ``tandem sample`` in a process of its own. Memory is what that process holds that is in no
file (``RssAnon`` of Linux), asked for twenty times a second: layers that lie in temporary files count as files, whose
pages the system drops when others need the room.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.command import at_least, make_parser, reporting, write

SMALL = 256
_ROWS = 1024
"""Rows that are drawn at once."""


@reporting
def main(arguments: Sequence[str]) -> None:
    """Parse the options, draw, translate, print."""
    parser = make_parser("large", "Measure the translation of a large TIFF from file to file.", has_device=False)
    parser.add_argument("model", type=Path, help="folder of a run or a bundle")
    parser.add_argument("--side", type=at_least(SMALL), default=20_000, help="side of the large image in pixels")
    parser.add_argument("--memory-gb", type=float, default=0.5, help="as of tandem sample")
    parser.add_argument("--tile", type=at_least(16), default=512, help="as of tandem sample")
    parser.add_argument("--folder", type=Path, help="where the files lie; by default that for temporary files")
    args = parser.parse_args(arguments)
    import torch  # noqa: PLC0415

    from tandem.bench.header import header_line, make_header  # noqa: PLC0415
    from tandem.inference.translator import load  # noqa: PLC0415

    preprocessing = load(args.model, device="cpu").manifest.preprocessing
    levels, channels = preprocessing.input_levels, preprocessing.input_channels
    found: dict[int, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        for side in (SMALL, args.side):
            source, out = Path(name) / f"{side}.tif", Path(name) / f"{side}-out.tif"
            _draw(source, side, channels, np.dtype(levels.type))
            options = ["--fit", "pad", "--tile", str(args.tile), "--memory-gb", str(args.memory_gb), "--device", "cpu"]
            command = ["sample", str(args.model), str(source), "--out", str(out), "--num-samples", "1", *options]
            found[side] = _measured(command) | {"file_gb": source.stat().st_size / 1e9}
            source.unlink()
    small, large = found[SMALL], found[args.side]
    above = large["peak_mib"] - small["peak_mib"]
    header = make_header(torch.device("cpu"))
    text = (
        f"{header_line(header)}\n{args.side} x {args.side} x {channels} {levels.type} ({large['file_gb']:.2f} GB): "
        f"{above:.0f} MiB above the {small['peak_mib']:.0f} MiB of {SMALL} px, {large['seconds']:.0f} s, "
        f"{large['cpu_seconds']:.0f} s of processor time\n"
    )
    report = {"header": header, "side": args.side, "channels": channels, "type": levels.type, "above_mib": above}
    write(report | {"small": small, "large": large}, text, as_json=args.json)


def _draw(path: Path, side: int, channels: int, dtype: np.dtype) -> None:
    """A smooth image that spans its type, in tiles, without compression."""
    import tifffile  # noqa: PLC0415

    top = np.iinfo(dtype).max if dtype.kind in "ui" else 1
    columns = np.arange(side, dtype=np.float32)[None, :, None]
    waves = np.arange(1, channels + 1, dtype=np.float32)[None, None]

    def bands() -> Any:
        for first in range(0, side, _ROWS):
            rows = np.arange(first, min(side, first + _ROWS), dtype=np.float32)[:, None, None]
            values = 0.5 + 0.25 * np.sin(rows / 97 * waves) + 0.25 * np.cos(columns / 131 * waves)
            for row in (values * top).astype(dtype):
                yield row[None]

    with tifffile.TiffWriter(path, bigtiff=True) as file:
        how = {"photometric": "minisblack", "planarconfig": "contig"} if channels > 1 else {"photometric": "minisblack"}
        file.write(bands(), shape=(side, side, channels), dtype=dtype, rowsperstrip=1, **how)  # type: ignore[arg-type]


def _measured(command: Sequence[str]) -> dict[str, Any]:
    start = time.perf_counter()
    with subprocess.Popen([sys.executable, "-m", "tandem", *command], stdout=subprocess.DEVNULL) as process:
        peak, ticks = 0, 0
        while process.poll() is None:
            peak, ticks = max(peak, _anonymous_kib(process.pid)), _ticks(process.pid) or ticks
            time.sleep(0.05)
    if process.returncode:
        raise SystemExit(f"tandem {' '.join(command)} ended with {process.returncode}")
    return {"peak_mib": peak / 1024, "seconds": time.perf_counter() - start, "cpu_seconds": ticks / 100}


def _anonymous_kib(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("RssAnon")), 0)


def _ticks(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
