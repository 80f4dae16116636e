"""The measurement of the loader as JSON values and as text."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from benchmarks.loading.routes import make_routes, time_processor, time_routes, time_training
from tandem.bench.header import header_line, make_header, spread, spread_text
from tandem.config.run import RunConfig
from tandem.data.budget import decoded_budget
from tandem.data.synthetic import write_dataset
from tandem.errors import ConfigError
from tandem.report.progress import TaskProgress
from tandem.training.device import configure_backends
from tandem.training.inputs import open_inputs

GENERATED_PAIRS = 64


def measure_loading(
    config: RunConfig, data: Path | str | None, data_b: Path | None, *, rounds: int, steps: int, device: torch.device
) -> dict[str, Any]:
    """Measure every way of the loader, in turn, beside the training step.

    Args:
        config: All options of a run.
        data: The dataset, or the folder of domain A; None draws pictures.
        data_b: The folder of domain B.
        rounds: Rounds that count.
        steps: Training steps of a round; 0 measures the loader alone.
        device: Where batches are brought.

    Returns:
        JSON values: the header; seconds of a pair and of processor time by way; seconds of a step alone and with each
        way, and the share of the time for which it waits.

    Raises:
        ConfigError: Decoded, the images do not fit the memory, so that there is nothing to compare.
    """
    configure_backends(device, deterministic=False)
    with tempfile.TemporaryDirectory(prefix="tandem-") as folder:
        inputs = _open(config, data or _generated(config, Path(folder)), data_b, Path(folder) / "cache")
        with TaskProgress("loading", None, "rounds") as progress:
            routes = make_routes(config, inputs.train, device)
            processor = time_processor(routes, config, device, rounds=rounds)
            loaded = time_routes(routes, config, device, rounds=rounds, on_round=progress.callback)
        alone, trained = None, {}
        if steps:
            with TaskProgress("training", None, "rounds") as progress:
                alone, trained = time_training(
                    routes, config, device, rounds=rounds, steps=steps, on_round=progress.callback
                )
    return {
        "header": make_header(device),
        "data": "generated pictures" if data is None else str(data),
        "images": len(inputs.train),
        "decoded_mb": inputs.report.loaded_bytes / 1e6,
        "method": config.objective.method,
        "size": config.data.size,
        "batch_size": config.training.batch_size,
        "num_workers": routes["files"].num_workers,
        "rounds": rounds,
        "steps": steps,
        "pair_seconds": {name: spread(timing) for name, timing in loaded.items()},
        "pair_processor_seconds": {name: spread(timing) for name, timing in processor.items()},
        "train_step_seconds": None if alone is None else spread(alone),
        "train_step_seconds_with_loading": {name: spread(found.steps) for name, found in trained.items()},
        "waiting": {name: spread(found.shares) for name, found in trained.items()},
    }


def _generated(config: RunConfig, folder: Path) -> Path:
    with TaskProgress("drawing", None, "pairs") as progress:
        return write_dataset(
            folder / "data",
            size=max(config.data.crop_size),
            num_train=GENERATED_PAIRS,
            num_val=1,
            num_test=1,
            layout="side_by_side" if config.objective.paired else "unpaired",
            on_progress=progress.callback,
        )


def _open(config: RunConfig, data: Path | str, data_b: Path | None, cache: Path) -> Any:
    budget = decoded_budget(None)
    with TaskProgress("checking images", None, "images") as progress:
        inputs = open_inputs(config, data, data_b, cache=cache, decoded_bytes=budget, on_check=progress.callback)
    if budget < inputs.report.loaded_bytes or getattr(inputs.train, "decoded", None) is None:
        raise ConfigError(
            f"decoded, the training images take {inputs.report.loaded_bytes / 1e9:.3g} GB, more than a quarter of the "
            "free memory, so there is nothing to compare: measure with a part of the data."
        )
    return inputs


def loading_text(report: Mapping[str, Any]) -> str:
    """The report for readers."""
    lines = [
        header_line(report["header"]),
        f"{report['data']}: {report['images']} pairs, decoded {report['decoded_mb']:.0f} MB",
        f"{report['method']}, {report['size']} px, batch {report['batch_size']}, {report['num_workers']} workers; "
        f"medians (and quartiles) of {report['rounds']} rounds in turn",
    ]
    alone = report["train_step_seconds"]
    need = None if alone is None else report["batch_size"] / alone["median"]
    if alone is not None and need is not None:
        lines.append(f"{'the step alone':<19} {need:.1f} pairs/s, {spread_text(alone)}")
    for name, seconds in report["pair_seconds"].items():
        median, low, high = (1 / x for x in (seconds["median"], *reversed(seconds["quartiles"])))
        milliseconds = 1000 * report["pair_processor_seconds"][name]["median"]
        line = (
            f"{name:<19} {median:.1f} pairs/s ({low:.1f} to {high:.1f}), {milliseconds:.2f} ms of processor time each"
        )
        if need is not None:
            share, low, high = (
                100 * x for x in (report["waiting"][name]["median"], *report["waiting"][name]["quartiles"])
            )
            line += f", {median / need:.1f} times the need; steps wait {share:.1f} % ({low:.1f} to {high:.1f})"
        lines.append(line)
    return "\n".join(lines) + "\n"
