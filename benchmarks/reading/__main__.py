"""``python -m benchmarks.reading``: pairs of many channels and 16 bits, by the bare library and as training samples.

Processor time of one process, in turn. The bare way is ``tifffile.imread`` or ``numpy.load`` of both files; a sample is
read, cut to the training size, flipped or not, and made float32 in [-1, 1].
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.command import at_least, make_parser, reporting, write

KINDS: dict[str, dict[str, Any]] = {
    "tiff": {},
    "tiff-tiles": {"tile": (64, 64)},
    "tiff-deflate": {"compression": "zlib", "predictor": True},
    "npy": {},
}
TARGET = 0.9


@reporting
def main(arguments: Sequence[str]) -> None:
    """Parse the options, write, measure, print."""
    parser = make_parser(
        "reading", "Measure what a sample of many channels costs beside bare reading.", has_device=False
    )
    parser.add_argument("--side", type=at_least(16), default=256, help="side of the images in pixels")
    parser.add_argument("--channels", type=at_least(1), default=6, help="channels of A and of B")
    parser.add_argument("--pairs", type=at_least(1), default=24, help="pairs of each kind")
    parser.add_argument("--rounds", type=at_least(1), default=9, help="rounds that count")
    args = parser.parse_args(arguments)
    import tifffile  # noqa: PLC0415
    import torch  # noqa: PLC0415

    from tandem.bench.header import header_line, make_header  # noqa: PLC0415
    from tandem.data.images import read_native  # noqa: PLC0415
    from tandem.training.device import configure_backends  # noqa: PLC0415

    torch.set_num_threads(1)
    configure_backends(torch.device("cpu"), deterministic=False)  # keeps freed memory, as training does
    rows: dict[str, dict[str, float]] = {}
    for kind in KINDS:
        bare: Callable[[Path], Any] = np.load if kind == "npy" else tifffile.imread
        with tempfile.TemporaryDirectory() as name:
            files = _write(Path(name), kind, (args.side, args.side, args.channels), args.pairs)
            dataset = _dataset(Path(name), args.side, args.channels)
            ways: dict[str, Callable[[int], Any]] = {
                "bare": lambda index, files=files, bare=bare: [bare(file) for file in files[index]],
                "read": lambda index, files=files: [read_native(file) for file in files[index]],
                "sample": lambda index, dataset=dataset: dataset[index],
            }
            rounds = [{way: _time(ask, args.pairs) for way, ask in ways.items()} for _ in range(args.rounds + 1)][1:]
        rows[kind] = {f"{way}_ms": 1000 * statistics.median(one[way] for one in rounds) for way in ways}
        for way in ("read", "sample"):
            rows[kind][f"bare_over_{way}"] = statistics.median(one["bare"] / one[way] for one in rounds)
    header = make_header(torch.device("cpu"))
    lines = "".join(
        f"{kind:<13} bare {row['bare_ms']:6.2f} ms a pair, read {row['read_ms']:6.2f} ({row['bare_over_read']:.2f}), "
        f"sample {row['sample_ms']:6.2f} ({row['bare_over_sample']:.2f})\n"
        for kind, row in rows.items()
    )
    what = f"{args.side} x {args.side} x {args.channels} uint16, A and B; bare over ours, at least {TARGET} is wanted\n"
    write({"header": header, "rows": rows}, f"{header_line(header)}\n{what}{lines}", as_json=args.json)


def _write(folder: Path, kind: str, shape: tuple[int, int, int], pairs: int) -> list[list[Path]]:
    import tifffile  # noqa: PLC0415

    rng = np.random.default_rng(0)
    files: list[list[Path]] = [[] for _ in range(pairs)]
    for domain in ("trainA", "trainB"):
        (folder / domain).mkdir()
        for index, pair in enumerate(files):
            values = rng.integers(0, 4096, shape, dtype=np.uint16)
            path = folder / domain / f"{index}.{'npy' if kind == 'npy' else 'tif'}"
            if kind == "npy":
                np.save(path, values)
            else:
                tifffile.imwrite(path, values, photometric="minisblack", planarconfig="contig", **KINDS[kind])
            pair.append(path)
    return files


def _dataset(folder: Path, side: int, channels: int) -> Any:
    from tandem.config.run import from_flat  # noqa: PLC0415
    from tandem.data.discover import find_splits  # noqa: PLC0415
    from tandem.training.inputs import make_dataset  # noqa: PLC0415

    config = from_flat(
        {
            "method": "bicyclegan",
            **{"size": side, "load_size": side, "input_channels": channels, "output_channels": channels},
            **{"range_a": "0,4095", "range_b": "0,4095"},
        }
    )
    return make_dataset(config, find_splits(folder)["train"])


def _time(ask: Callable[[int], Any], pairs: int) -> float:
    start = time.process_time()
    for index in range(pairs):
        ask(index)
    return (time.process_time() - start) / pairs


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
