"""Whole runs: one that is interrupted and continued beside one that is not, and a real training with samples."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.acceptance.settings import Outcome, Settings
from tandem.checkpoint.store import CheckpointStore
from tandem.config.presets import preset_options
from tandem.data.synthetic import write_dataset
from tandem.inference.jobs import split_jobs
from tandem.inference.sampling import SamplingOptions, sample_input
from tandem.inference.translator import load
from tandem.report.grid import image_grid, save_image
from tandem.training.inputs import find_data

START_SECONDS = 90
"""In which a run must have written its first line: the images are checked, kernels chosen."""
END_SECONDS = 60
"""In which a run must end after a signal."""
NUM_INPUTS, NUM_SAMPLES = 6, 5


def resume(settings: Settings) -> Outcome:
    """Stop a deterministic run by a signal, continue it, and compare every bit with one that ran through."""
    data = settings.work / "resume_data"
    if not data.exists():
        write_dataset(data, size=64, num_train=24, num_val=4, num_test=1)
    width = 4 if settings.smoke else 32
    result, failures = {}, []
    for precision in ("fp32", "bf16"):
        options = widths(width) | {
            **{"size": 64, "steps": 40 if settings.smoke else 300, "batch_size": 2, "dropout": True},
            **{"deterministic": True, "precision": precision, "device": settings.device},
            **{"log_every": 5, "snapshot_every": 1000, "num_previews": 2, "num_workers": 1},
        }
        whole, parts = (fresh(settings.work / f"resume_{precision}_{name}") for name in ("whole", "parts"))
        _train_until(options, data, whole, seconds=None)
        stopped = _train_until(options, data, parts, seconds=0.0, beyond=options["steps"] // 4)
        _train_until(options, data, parts, seconds=None)
        different = _differences(whole, parts, options["steps"])
        result[precision] = {"stopped_at": stopped, "steps": options["steps"], "different_tensors": different}
        if different:
            failures.append(f"{precision}: {len(different)} tensors differ, such as {different[0]}")
        if not 0 < stopped < options["steps"]:
            failures.append(f"{precision}: the run was not interrupted within its steps, but at {stopped}")
    lines = [
        f"- {name}: stopped at step {found['stopped_at']} of {found['steps']}, continued; "
        f"{len(found['different_tensors'])} tensors of the state differ from the run that was not stopped"
        for name, found in result.items()
    ]
    return Outcome(result, "\n".join(lines), failures)


def training(settings: Settings) -> Outcome:
    """Train the facades recipe for some minutes, stopped once and continued; a further call continues again."""
    data, options = training_data(settings), _training_options(settings)
    run = settings.work / ("training_smoke" if settings.smoke else "training")
    before = _last_step(run)
    seconds = 60 * settings.minutes
    middle = _train_until(options, data, run, seconds=0.6 * seconds)
    after = _train_until(options, data, run, seconds=0.4 * seconds)
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    last = [record for record in records if record["kind"] == "train"][-1]
    speeds = [r["speed"]["images_per_second"] for r in records if r["kind"] == "train" and r["step"] > before]
    rates = sorted(speed / options["batch_size"] for speed in speeds if speed)
    result = {
        "data": str(data),
        "steps": {"before": before, "stopped": middle, "now": after},
        "steps_per_second": rates[len(rates) // 2] if rates else None,
        "losses": last["losses"],
        "memory_mb": last["speed"]["memory_mb"],
        "options": options,
    }
    pictures = _pictures(settings, data, run, options)
    failures = (
        [] if before < middle < after else [f"the run was at steps {before}, {middle}, {after}: it did not go on"]
    )
    losses = ", ".join(f"{name} {value:.3g}" for name, value in last["losses"].items())
    rate = "unknown" if not rates else f"{rates[len(rates) // 2]:.1f}"
    lines = [
        f"{data.name}: from step {before} to {middle}, stopped by a signal, continued to {after}; {rate} steps/s as "
        f"logged (loading, logging and pictures included).",
        "",
        f"Losses at step {last['step']}: {losses}.",
        "",
        *(f"![{name}]({name})" for name in pictures),
    ]
    return Outcome(result, "\n".join(lines), failures)


def training_data(settings: Settings) -> Path:
    """The pairs of the training: those that were given, or the demo's."""
    if settings.data is not None:
        return settings.data
    data = settings.work / ("demo_smoke" if settings.smoke else "demo")
    if not data.exists():
        size, number = (64, 40) if settings.smoke else (256, 400)
        write_dataset(data, size=size, num_train=number, num_val=10, num_test=10)
    return data


def _training_options(settings: Settings) -> dict[str, Any]:
    options = preset_options("facades") | {"device": settings.device, "log_every": 50, "snapshot_every": 1000}
    options = {"batch_size": 2} | options
    if settings.data is None:
        options["direction"] = "AtoB"
    if not settings.smoke:
        return options | {"precision": "bf16", "num_workers": 4}
    small = {"size": 64, "load_size": 72, "log_every": 2, "snapshot_every": 10, "num_previews": 2, "num_workers": 1}
    return options | widths(4) | small


def widths(filters: int) -> dict[str, int]:
    """Options of BicycleGAN's networks with so many filters."""
    return {f"{name}_filters": filters for name in ("generator", "encoder", "discriminator")}


def _train_until(
    options: dict[str, Any], data: Path, out: Path, *, seconds: float | None, beyond: int | None = None
) -> int:
    """Train in a process of its own, and stop it by a signal.

    Args:
        options: Of the run.
        data: The dataset.
        out: The run's folder.
        seconds: Between the step `beyond` and the signal; None lets the run end.
        beyond: A step; the one that the run was last saved at if not given.

    Returns:
        The step that the run has been saved at.
    """
    command = [sys.executable, "-m", "benchmarks.acceptance.train_run", json.dumps(options), str(data), str(out)]
    beyond = _last_step(out) if beyond is None else beyond
    process = subprocess.Popen(command)
    try:
        if seconds is not None:
            _await_step(process, out / "metrics.jsonl", beyond=beyond)
            _wait(process, seconds)
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=END_SECONDS)
        elif process.wait():
            raise RuntimeError(f"training ended with status {process.returncode}")
    finally:
        process.kill()
        process.wait()
    if process.returncode:
        raise RuntimeError(f"training ended with status {process.returncode} after the signal")
    return _last_step(out)


def _await_step(process: subprocess.Popen[bytes], log: Path, *, beyond: int) -> None:
    """Wait until the log tells of a step after `beyond`."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        if lines and lines[-1].endswith("}") and json.loads(lines[-1])["step"] > beyond:
            return
        time.sleep(0.02)
    if process.poll() is not None:
        raise RuntimeError(f"training ended with status {process.returncode} before its first step")
    raise RuntimeError(f"the run has done no step within {START_SECONDS} s")


def _wait(process: subprocess.Popen[bytes], seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        time.sleep(0.1)


def _last_step(run: Path) -> int:
    steps = CheckpointStore(run / "checkpoints").steps() if (run / "checkpoints").exists() else []
    return steps[-1] if steps else 0


def fresh(folder: Path) -> Path:
    """A folder that is not there."""
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def _differences(whole: Path, parts: Path, step: int) -> list[str]:
    first, second = (CheckpointStore(run / "checkpoints").tensors(step) for run in (whole, parts))
    names = sorted(first.keys() | second.keys())
    same = (name in first and name in second and torch.equal(first[name], second[name]) for name in names)
    return [name for name, equal in zip(names, same, strict=True) if not equal]


def _pictures(settings: Settings, data: Path, run: Path, options: dict[str, Any]) -> list[str]:
    """The newest picture of the run's fixed inputs, and samples of held-out inputs by the model as people load it."""
    names = []
    snapshots = sorted((run / "gallery").glob("*.jpg"))
    if snapshots:
        shutil.copy(snapshots[-1], settings.out / "training.jpg")
        names.append("training.jpg")
    splits = find_data(data, paired=True)
    held_out = next(splits[name] for name in ("test", "val", "train") if name in splits)
    translator = load(run, device=options["device"])
    rows = []
    for job in split_jobs(held_out, translator.directions)[:NUM_INPUTS]:
        image, ground_truth = job.read(translator)
        wanted = SamplingOptions(num_samples=NUM_SAMPLES, seed=0, fit="resize").for_model(translator)
        (series,) = sample_input(translator, image, ground_truth, wanted, direction=job.direction)
        rows.append([image, ground_truth, *series.images])
    titles = ["input", "ground truth", *(f"sample {number + 1}" for number in range(NUM_SAMPLES))]
    save_image(image_grid(rows, column_titles=titles), settings.out / "samples.jpg")
    return [*names, "samples.jpg"]
