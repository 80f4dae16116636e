"""Training in several processes beside training in one: the same losses."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from benchmarks.acceptance.runs import fresh, widths
from benchmarks.acceptance.settings import Outcome, Settings, SkippedPart
from tandem.data.synthetic import write_dataset

TOLERANCE = 1e-4
"""Largest relative difference of a loss in the first steps: sums in another order, in float32."""
STEPS = 10


def processes(settings: Settings) -> Outcome:
    """Two processes or more, each with a GPU of its own; with fewer than two GPUs, two on the CPU."""
    if importlib.util.find_spec("tandem.training.distributed") is None:
        raise SkippedPart("this version of Tandem trains in one process")
    cards = torch.cuda.device_count() if settings.device.startswith("cuda") else 0
    number, device = (min(cards, 4), "cuda") if cards > 1 else (2, "cpu")
    data = settings.work / "processes_data"
    if not data.exists():
        write_dataset(data, size=64, num_train=32, num_val=4, num_test=1)
    options = widths(8) | {
        **{"size": 64, "steps": STEPS, "batch_size": 4 * number, "learning_rate": 2e-5, "device": device},
        **{"log_every": 1, "snapshot_every": 1000, "num_previews": 2, "num_workers": 1},
    }
    alone, together = (fresh(settings.work / f"processes_{name}") for name in ("alone", "together"))
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(number)]
    losses = [_losses(options, data, out, words) for out, words in ((alone, []), (together, launcher))]
    worst = max(
        abs(found[name] - value) / max(abs(value), 0.01 * sum(map(abs, expected.values())))
        for expected, found in zip(*losses, strict=True)
        for name, value in expected.items()
    )
    failures = [] if worst <= TOLERANCE else [f"losses of {number} processes deviate by {worst:.1e}"]
    text = (
        f"{number} processes on {device}, {STEPS} steps of a batch of {4 * number}: losses deviate from those of one "
    )
    return Outcome(
        {"processes": number, "device": device, "largest_deviation": worst},
        text + f"process by {worst:.1e} at most (tolerance {TOLERANCE:g}).",
        failures,
    )


def _losses(options: dict[str, Any], data: Path, out: Path, launcher: list[str]) -> list[dict[str, float]]:
    worker = ["-m", "benchmarks.acceptance.train_run", json.dumps(options), str(data), str(out)]
    command = [sys.executable, *launcher, *worker]
    subprocess.run(command, check=True)
    records = [json.loads(line) for line in (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [record["losses"] for record in records if record["kind"] == "train"]
