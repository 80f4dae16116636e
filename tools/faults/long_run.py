"""``python -m tools.faults.long_run``: whether a long training of every method stays as large as it was.

Trains tiny networks with validation and TensorBoard, and prints at ten times of each run what its process holds
(memory, open files, threads), how large its log is for each 1,000 steps, and how large its page.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tandem.config.run import METHODS
from tandem.data.synthetic import write_dataset

_TINY = (
    *("--size", "32", "--generator-filters", "2", "--discriminator-filters", "2", "--device", "cpu"),
    *("--num-previews", "1", "--num-preview-samples", "2", "--num-workers", "1", "--log", "tensorboard"),
)
_OF_METHOD = {
    "bicyclegan": ("--encoder-filters", "2", "--latent-dim", "2"),
    "tandem": ("--encoder-filters", "2", "--latent-dim", "2", "--batch-size", "2"),
    "pix2pix": ("--size", "64"),
    "cyclegan": ("--generator-blocks", "1"),
    "cut": ("--generator-blocks", "5", "--nce-patches", "8", "--nce-filters", "4", "--discriminator-layers", "2"),
}
_UNPAIRED = ("cyclegan", "cut")
READINGS = 10


@dataclass(frozen=True)
class Reading:
    """What a process holds at a step of its run."""

    steps: int
    memory_mb: float
    files: int
    threads: int
    log_kb: float
    page_kb: float

    def row(self, method: str) -> str:
        """A row of the table."""
        return (
            f"| {method} | {self.steps:,} | {self.memory_mb:,.0f} | {self.files} | {self.threads} | "
            f"{self.log_kb / self.steps * 1000:.0f} | {self.page_kb:,.0f} |"
        )


def _read(pid: int, out: Path, steps: int) -> Reading:
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines())
    return Reading(
        steps=steps,
        memory_mb=int(status["VmRSS"].split()[0]) / 1024,
        files=len(list(Path(f"/proc/{pid}/fd").iterdir())),
        threads=int(status["Threads"]),
        log_kb=(out / "metrics.jsonl").stat().st_size / 1e3,
        page_kb=(out / "index.html").stat().st_size / 1e3 if (out / "index.html").exists() else 0.0,
    )


def watch(method: str, folder: Path, num_steps: int) -> tuple[int, list[Reading]]:
    """Train by a method in a process of its own; its status, and what it held after each tenth of its steps."""
    layout = "unpaired" if method in _UNPAIRED else "side_by_side"
    data = write_dataset(folder / layout, size=32, num_train=8, num_val=4, num_test=0, layout=layout)
    out = folder / method
    every = max(1, num_steps // 100)
    words = ["train", data, "--out", out, "--method", method, *_TINY, *_OF_METHOD[method], "--steps", num_steps]
    words += ["--log-every", max(1, every // 2), "--snapshot-every", every * 5, "--validate-every", every * 5]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with (folder / f"{method}.txt").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tandem", *map(str, words)], env=environment, stdout=log, stderr=log
        )
    readings: list[Reading] = []
    while process.poll() is None:
        steps = _last_step(out)
        if steps >= (len(readings) + 1) * num_steps // READINGS:
            try:
                readings.append(_read(process.pid, out, steps))
            except (OSError, KeyError):  # it has ended
                continue
            sys.stdout.write(readings[-1].row(method) + "\n")
            sys.stdout.flush()
        time.sleep(0.5)
    return process.returncode, readings


def _last_step(out: Path) -> int:
    steps = [int(path.stem.rpartition("-")[2]) for path in (out / "checkpoints").glob("step-*.safetensors")]
    return max(steps, default=0)


def main(arguments: Sequence[str]) -> int:
    """Watch the runs; the status is 1 where one of them did not succeed."""
    parser = argparse.ArgumentParser(prog="python -m tools.faults.long_run", description=__doc__, allow_abbrev=False)
    parser.add_argument("--folder", type=Path, default=Path("runs/long"), help="for data and runs; continued if there")
    parser.add_argument("--steps", type=int, default=20_000, help="of each method")
    parser.add_argument("--methods", default=",".join(METHODS), help="with commas between")
    args = parser.parse_args(arguments)
    args.folder.mkdir(parents=True, exist_ok=True)
    sys.stdout.write("| Method | Steps | Memory (MB) | Open files | Threads | Log (kB per 1,000 steps) | Page (kB) |\n")
    sys.stdout.write("|---|---|---|---|---|---|---|\n")
    ended = {name: watch(name, args.folder, args.steps)[0] for name in args.methods.split(",")}
    for name, status in ended.items():
        if status:
            sys.stdout.write(f"{name} ended with status {status}: see {args.folder / f'{name}.txt'}\n")
    return int(any(ended.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
