"""What `tandem doctor` says of a run: by its log, its checkpoints, and what its model makes of held-out images."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tandem.checkpoint.store import CheckpointStore
from tandem.config.run import RunConfig, from_flat
from tandem.config.yaml import read_file
from tandem.data.examine.finding import Finding
from tandem.data.splits import HELD_OUT_AFTER_TRAINING, Split, first_split
from tandem.errors import CheckpointError, TandemError
from tandem.evaluation.run_signs import first_is_best, signs_in_log, signs_in_pictures
from tandem.inference.translator import load
from tandem.report.findings_page import Section
from tandem.report.progress import TaskProgress
from tandem.report.records import HealthRecord, Record, TrainRecord, ValidationRecord, read_metrics
from tandem.report.text import number
from tandem.training.inputs import find_run_data
from tandem.training.run_folder import RunFolder
from tandem.training.sources import recall_data

NUM_INPUTS = 16
"""Held-out images that are translated."""

Found = tuple[Sequence[Finding], Sequence[Section], Sequence[tuple[str, str, str]], Mapping[str, Any]]

log = logging.getLogger(__name__)


def look_at_run(root: Path) -> Found:
    """Look at a run: findings, sections, tiles and numbers.

    Raises:
        DataError: Its log is damaged.
        ConfigError: Its options are none of this version.
    """
    run = RunFolder(root)
    config = from_flat(read_file(run.config))
    records = read_metrics(run.metrics)
    best = CheckpointStore(run.checkpoints).best_step() if run.checkpoints.is_dir() else None
    findings = [*signs_in_log(records, config), *first_is_best(best, _measured(records))]
    notes: list[str] = []
    try:
        findings += signs_in_pictures(*_pictures(run, config), config)
    except TandemError as error:  # the log says what it says without the data
        log.warning("outputs were not looked at: %s", error)
        notes.append(f"Outputs were not looked at: {error}")
    trained = [one for one in records if isinstance(one, TrainRecord)]
    steps = trained[-1].step if trained else 0
    stats = [
        ("Steps", f"{steps:,}", config.objective.method),
        ("To mend", str(len(findings)), ""),
        ("Best checkpoint", "none" if best is None else f"step {best:,}", ""),
    ]
    sections = [_losses(trained)] if trained else []
    if notes:
        sections.append(Section("Outputs", lead=notes[0]))
    return findings, sections, stats, {"steps": steps, "best_step": best}


def _measured(records: Sequence[Record]) -> list[int]:
    """The steps at which what decides about the best checkpoint was measured: validations, else snapshots."""
    validations = [one.step for one in records if isinstance(one, ValidationRecord)]
    return validations or [one.step for one in records if isinstance(one, HealthRecord)]


def _pictures(run: RunFolder, config: RunConfig) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Outputs of held-out images, and their ground truths or other real images, as the model's file has them."""
    data, data_b = recall_data(run)
    options, paired = config.data, config.objective.paired
    splits: Mapping[str, Split] = find_run_data(config, data, data_b, cache=run.cache)
    split = first_split(splits, HELD_OUT_AFTER_TRAINING) or next(iter(splits.values()))
    if not run.model.is_dir():
        raise CheckpointError(f"{run.root} has no model yet.", file=run.model)
    translator = load(run.model, device=_device(config))
    levels_a, levels_b = translator.manifest.preprocessing.input_levels, translator.manifest.preprocessing.output_levels
    inputs = split.inputs(options.direction)[:NUM_INPUTS]
    outputs, truths = [], []
    with TaskProgress("translating", len(inputs), "images") as progress:
        for item in inputs:
            a, b = item.read(
                options.direction,
                channels_a=options.input_channels,
                channels_b=options.output_channels,
                levels_a=levels_a,
                levels_b=levels_b,
            )
            made = translator(np.moveaxis(levels_a.to_floats(a), 0, 2), 1, output="tensor", value_range=(-1, 1))
            outputs.append(np.moveaxis(made[0].numpy(), 0, 2))
            if b is not None:
                truths.append(np.moveaxis(levels_b.to_floats(b), 0, 2))
            progress.advance()
    if not paired:
        for image in split.outputs(options.direction)[:NUM_INPUTS]:
            values = image.read_values(options.output_channels, levels_b)
            truths.append(np.moveaxis(levels_b.to_floats(values), 0, 2))
    return outputs, truths


def _device(config: RunConfig) -> str:
    """Where the model runs: as the run did, or on the CPU where that device is not here."""
    import torch  # noqa: PLC0415  (start-up time)

    device = config.training.device
    return "cpu" if device.startswith("cuda") and not torch.cuda.is_available() else device


def _losses(trained: Sequence[TrainRecord]) -> Section:
    first, last = trained[0], trained[-1]
    names = [name for name in last.losses if name in first.losses]
    rows = [(name, number(first.losses[name]), number(last.losses[name])) for name in names]
    header = ("Term", f"until step {first.step:,}", f"until step {last.step:,}")
    return Section("Losses", header=header, rows=rows)
